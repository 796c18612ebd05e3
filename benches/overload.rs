//! What the real program needs in memory when clients do not read and when publishers send more than the disk takes, and
//! what those who are connected notice of it.
//!
//! `cargo build --release && cargo bench -p msgserver-benches --bench overload -- [CLIENTS] [MESSAGES]`; 1,000 clients that
//! do not read and 100,000 messages unless said. Both need descriptors: `ulimit -n 20000`.

use std::collections::BTreeMap;
use std::net::Shutdown;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use msgserver_benches::tell;
use serde_json::{Value, json};

use program::Server;
use wire::{Http, Quick, hello, hello_narrowly};

mod program;
mod wire;

/// Bytes of a content.
const CONTENT: usize = 1024;

/// How many messages are in one request.
const BATCH: usize = 500;

/// What a client may leave unread in the server's memory.
const OUTBOX: &str = "64 KiB";

/// Who is connected, reads, and gets a message every [`EVERY`] or as soon as the last has arrived.
const QUICK: usize = 20;
const EVERY: Duration = Duration::from_millis(5);

/// Publishers that do not wait, and for how long they go on.
const PUBLISHERS: usize = 512;
const CROWDED: Duration = Duration::from_secs(15);

fn main() {
    let mut numbers = std::env::args().filter_map(|argument| argument.parse::<usize>().ok());
    let (clients, messages) = (numbers.next().unwrap_or(1000), numbers.next().unwrap_or(100_000));
    let to_each = (messages / clients).max(1);
    let own = |flow: &mut Flow<'_>, name: &str| {
        for n in 0..to_each {
            let batch =
                (0..clients).map(|of| json!({"to": {"user": format!("{name}{of}")}, "content": text(n)}));
            flow.publish(&batch.collect::<Vec<_>>());
        }
    };
    // What the store needs for as much is not what clients cost.
    slow(
        "messages of their own, which are kept",
        clients,
        |flow| own(flow, "away"),
        |flow| own(flow, "slow"),
    );
    slow(
        "notices to all, which are not kept",
        clients,
        |_| {},
        |flow| {
            let came = flow.came.load(Ordering::Relaxed);
            for first in (0..messages).step_by(BATCH) {
                let batch = (first..messages.min(first + BATCH))
                    .map(|n| json!({"to": {"all": true}, "content": text(n)}));
                flow.publish(&batch.collect::<Vec<_>>());
                // Who reads is to keep up: it is those who do not that are measured.
                while flow.came.load(Ordering::Relaxed) < came + first {
                    flow.look();
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        },
    );
    for limit in [None, Some("64 MiB")] {
        crowded(limit);
    }
}

fn text(n: usize) -> String {
    format!("{n:<CONTENT$}")
}

/// Something that flows while clients do not read: how it is published, and what the memory comes to.
struct Flow<'s> {
    server: &'s Server,
    http: Http,
    /// How much has come to a client that reads all the time.
    came: &'s AtomicUsize,
    most: u64,
    refused: u64,
}

impl Flow<'_> {
    fn look(&mut self) {
        self.most = self.most.max(self.server.anonymous_kib());
    }

    /// Publishes all of it, again where it is refused.
    fn publish(&mut self, messages: &[Value]) {
        for batch in messages.chunks(BATCH) {
            let mut left = batch.to_vec();
            while !left.is_empty() {
                let (status, body) = self.http.batch(&left).expect("it is open");
                self.look();
                let results: Vec<Value> = if status == 202 {
                    serde_json::from_str(&body).expect("JSON")
                } else {
                    vec![json!({"status": status}); left.len()]
                };
                let (before, mut results) = (left.len(), results.iter());
                left.retain(|_| results.next().is_some_and(|result| result.get("status").is_some()));
                self.refused += left.len() as u64;
                if left.len() == before {
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
        }
    }
}

fn slow(
    what: &str,
    clients: usize,
    before_it: impl FnOnce(&mut Flow<'_>),
    publish: impl FnOnce(&mut Flow<'_>),
) {
    let directory = tempfile::tempdir().expect("room");
    let server =
        Server::start(directory.path(), &["--limits-outbox-bytes", OUTBOX, "--sessions-ack-timeout", "1h"]);
    let sockets: Vec<_> = (0..clients).map(|n| hello_narrowly(&server.frame, &format!("slow{n}"))).collect();
    let (came, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| watch(hello(&server.frame, "watcher"), &came, &over));
        let http = Http::connect(&server.http);
        let mut flow = Flow { server: &server, http, came: &came, most: 0, refused: 0 };
        before_it(&mut flow);
        let quiet = while_probed(&server, || std::thread::sleep(Duration::from_secs(3)));
        let before = server.anonymous_kib();
        (flow.most, flow.refused) = (before, 0);
        let began = Instant::now();
        let crowded = while_probed(&server, || publish(&mut flow));
        let (took, after) = (began.elapsed(), server.anonymous_kib());
        let stats = flow.http.get("/v1/stats");
        println!(
            "{clients} clients that do not read, {OUTBOX} each, and {what}; {:.1} s",
            took.as_secs_f64()
        );
        println!(
            "  memory: {before} KiB before, {} at most, {after} after; {} bytes a client at most",
            flow.most,
            (flow.most - before) * 1024 / clients as u64
        );
        println!(
            "  refused and sent again: {}; connected in the end: {}",
            flow.refused, stats["connections"]
        );
        tell("quiet", &quiet);
        tell("meanwhile", &crowded);
        over.store(true, Ordering::Relaxed);
    });
    drop(sockets);
    server.kill();
}

/// Reads all the time.
fn watch(mut watcher: Quick, came: &AtomicUsize, over: &AtomicBool) {
    watcher.socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a socket");
    while !over.load(Ordering::Relaxed) {
        // Nothing has come for a while, or something has.
        if watcher.fill().is_ok_and(|count| count > 0) {
            came.fetch_add(watcher.pass_over(), Ordering::Relaxed);
        }
    }
}

fn crowded(limit: Option<&str>) {
    let directory = tempfile::tempdir().expect("room");
    let flags: Vec<&str> = limit.into_iter().flat_map(|limit| ["--limits-publishing-bytes", limit]).collect();
    let server = Server::start(directory.path(), &flags);
    let before = server.anonymous_kib();
    let (over, most) = (AtomicBool::new(false), AtomicU64::new(before));
    let results = Mutex::new(BTreeMap::<u64, u64>::new());
    let latencies = while_probed(&server, || {
        std::thread::scope(|scope| {
            for publisher in 0..PUBLISHERS {
                let (server, over, results) = (&server, &over, &results);
                scope.spawn(move || publish_until(&server.http, publisher, over, results));
            }
            let began = Instant::now();
            while began.elapsed() < CROWDED {
                most.fetch_max(server.anonymous_kib(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(20));
            }
            over.store(true, Ordering::Relaxed);
        });
    });
    let counted = results.into_inner().expect("no panic");
    let counted: Vec<_> = counted.iter().map(|(status, count)| format!("{status}: {count}")).collect();
    println!(
        "{PUBLISHERS} publishers that do not wait, batches of {BATCH}, publishing_bytes = {}",
        limit.unwrap_or("default")
    );
    println!("  messages by status: {}", counted.join(", "));
    println!("  memory: {before} KiB before, {} at most", most.into_inner());
    tell("meanwhile", &latencies);
    server.kill();
}

/// Sends batches to users who are away, without regard for what it is told.
fn publish_until(http: &str, publisher: usize, over: &AtomicBool, results: &Mutex<BTreeMap<u64, u64>>) {
    let batch: Vec<_> = (0..BATCH)
        .map(|n| json!({"to": {"user": format!("away{}", publisher * BATCH + n)}, "content": text(n)}))
        .collect();
    let mut connection = Http::connect(http);
    while !over.load(Ordering::Relaxed) {
        // Who is refused before its body is read may lose its connection before it has read why.
        let Ok((status, body)) = connection.batch(&batch) else {
            connection = Http::connect(http);
            *results.lock().expect("no panic").entry(0).or_default() += batch.len() as u64;
            continue;
        };
        let mut results = results.lock().expect("no panic");
        match serde_json::from_str::<Value>(&body) {
            Ok(Value::Array(all)) => all.iter().for_each(|result| {
                *results.entry(result["status"].as_u64().unwrap_or(202)).or_default() += 1;
            }),
            _ => *results.entry(status).or_default() += batch.len() as u64,
        }
    }
}

/// Does something while messages go to the connected, one after the other, and gives how long each took.
fn while_probed(server: &Server, meanwhile: impl FnOnce()) -> Vec<Duration> {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let probing = scope.spawn(|| probe(server, &over));
        meanwhile();
        over.store(true, Ordering::Relaxed);
        probing.join().expect("no panic")
    })
}

fn probe(server: &Server, over: &AtomicBool) -> Vec<Duration> {
    let connected: Vec<_> = (0..QUICK).map(|n| hello(&server.frame, &format!("quick{n}"))).collect();
    let sockets: Vec<_> = connected.iter().map(|one| one.socket.try_clone().expect("a socket")).collect();
    let mut publisher = Http::connect(&server.http);
    let mut latencies = Vec::new();
    std::thread::scope(|scope| {
        let (said, came) = std::sync::mpsc::channel();
        for one in connected {
            let said = said.clone();
            scope.spawn(move || one.read_for("there", &said));
        }
        drop(said);
        let mut due = Instant::now();
        for n in (0..QUICK).cycle() {
            if over.load(Ordering::Relaxed) {
                break;
            }
            let start = Instant::now();
            let message = json!({"to": {"user": format!("quick{n}")}, "content": "there"});
            let (status, _) = publisher.post("/v1/messages", &message.to_string()).expect("it is open");
            if status == 202 {
                came.recv().expect("somebody is connected");
                latencies.push(start.elapsed());
            }
            due = (due + EVERY).max(Instant::now());
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        sockets.iter().for_each(|socket| socket.shutdown(Shutdown::Both).expect("a socket"));
    });
    latencies.sort_unstable();
    latencies
}
