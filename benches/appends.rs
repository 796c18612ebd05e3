//! What a synced append to the disk store costs, one at a time and in batches, beside a file that is written and
//! synced as often and as much.

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use msgserver_benches::{content, users};
use msgserver_message::{Message, UserId};
use msgserver_persistence::{Append, DiskStore, Limits, Store};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

const APPENDS: usize = 512 * 1024;
const USERS: usize = 100_000;
const IN_FLIGHT: usize = 256;
const CONTENT: usize = 128;

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let users = Arc::new(users(USERS));
    let bytes = bytes_of_an_append(&runtime, &users)?;
    println!("{APPENDS} appends of {CONTENT} bytes for {USERS} users, {bytes} bytes in the journal for each");
    println!("{:<34} {:>9} {:>11} {:>10} {:>13}", "", "a second", "µs of CPU", "of writer", "of checkpoint");
    floor(bytes)?;
    for batch in [1, 16, 64, IN_FLIGHT] {
        publish(&runtime, &users, batch)?;
    }
    Ok(())
}

/// The same bytes in the same pieces into a file, with as many syncs.
fn floor(bytes: usize) -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let mut file = File::create(directory.path().join("file"))?;
    let piece = vec![b'x'; bytes * IN_FLIGHT];
    let measured = Measured::begin();
    for _ in 0..APPENDS / IN_FLIGHT {
        file.write_all(&piece)?;
        file.sync_data()?;
    }
    measured.tell("a bare file, synced each 256");
    Ok(())
}

/// As many batches at a time as are [`IN_FLIGHT`] together, until [`APPENDS`] are answered.
fn publish(runtime: &Runtime, users: &Arc<Vec<UserId>>, batch: usize) -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let store = Arc::new(open(directory.path())?);
    let next = Arc::new(AtomicUsize::new(0));
    let measured = Measured::begin();
    runtime.block_on(async {
        let mut publishers = JoinSet::new();
        for _ in 0..IN_FLIGHT / batch {
            let (store, users, next) = (Arc::clone(&store), Arc::clone(users), Arc::clone(&next));
            publishers.spawn(async move {
                loop {
                    let from = next.fetch_add(batch, Ordering::Relaxed);
                    if from >= APPENDS {
                        return;
                    }
                    // Neighbours are not next to each other in the tables.
                    let user = |n: usize| n * 7919 % USERS;
                    let appends = (from..from + batch).map(|n| {
                        let user = user(n);
                        Append::new(Arc::new(Message::new(content(CONTENT))), &users[user..=user])
                    });
                    let kept = store.append(appends.collect()).await;
                    assert!(kept.iter().all(Result::is_ok), "{kept:?}");
                }
            });
        }
        while publishers.join_next().await.is_some() {}
    });
    measured.tell(&format!("{} at a time, {batch} together", IN_FLIGHT / batch));
    Ok(())
}

fn open(directory: &Path) -> Result<DiskStore, Box<dyn Error>> {
    Ok(DiskStore::with_limits(directory, Limits { messages: u64::MAX, ..Limits::default() })?)
}

fn bytes_of_an_append(runtime: &Runtime, users: &[UserId]) -> Result<usize, Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let store = open(directory.path())?;
    let append = |n: usize| Append::new(Arc::new(Message::new(content(CONTENT))), &users[n..=n]);
    let before = store.stats()?.journal_bytes;
    runtime.block_on(store.append((0..IN_FLIGHT).map(append).collect()));
    Ok(usize::try_from(store.stats()?.journal_bytes - before)? / IN_FLIGHT)
}

/// A stretch of work: its time, and the processor time of this process and of the store's threads.
struct Measured {
    start: Instant,
    cpu: [f64; 3],
}

impl Measured {
    fn begin() -> Self {
        Self { start: Instant::now(), cpu: cpu() }
    }

    fn tell(&self, what: &str) {
        let rate = APPENDS as f64 / self.start.elapsed().as_secs_f64();
        let now = cpu();
        let [all, writer, checkpoints] =
            [0, 1, 2].map(|n| (now[n] - self.cpu[n]).max(0.0) * 1e6 / APPENDS as f64);
        println!("{what:<34} {rate:>9.0} {all:>11.2} {writer:>10.2} {checkpoints:>13.2}");
    }
}

/// Seconds of processor time of this process, of the writer and of the checkpoints that live now.
fn cpu() -> [f64; 3] {
    let seconds = |stat: &str| {
        let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
        let ticks = fields.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
        ticks.sum::<f64>() / 100.0
    };
    let stat = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let mut cpu = [seconds(&stat("/proc/self/stat")), 0.0, 0.0];
    for thread in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let stat = stat(&thread.path().join("stat").to_string_lossy());
        if stat.contains("(disk store)") {
            cpu[1] += seconds(&stat);
        } else if stat.contains("(disk checkpoint") {
            cpu[2] += seconds(&stat);
        }
    }
    cpu
}
