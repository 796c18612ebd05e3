//! The work that is recorded: several lives of a store, so that its sorted files are written and merged too.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use msgserver_message::{Content, DeviceId, Message, Seq, UserId};
use msgserver_persistence::{Append, Appended, DiskStore, Store};

pub(crate) const USERS: u64 = 4;
const LIVES: u64 = 7;
const BATCHES: u64 = 12;

pub(crate) fn user(n: u64) -> UserId {
    UserId::new(format!("user {n}")).unwrap()
}

pub(crate) fn device() -> DeviceId {
    DeviceId::new("phone").unwrap()
}

/// What a message says: whose it is, its number, and enough more to lie in several sectors.
pub(crate) fn text(of: u64, seq: u64) -> String {
    format!("{of} {seq} {}", "x".repeat((seq % 7 * 200) as usize))
}

/// A device comes, is sent what waits for it, acknowledges that, and goes.
async fn come(store: &DiskStore, of: u64, say: &mut impl FnMut(&str)) {
    let cursor = store.open(&user(of), &device()).await.unwrap();
    if cursor.acknowledged < cursor.last {
        say(&format!("sent {of} {}", cursor.last));
        say(&format!("acknowledge {of} {}", cursor.last));
        store.acknowledge(&user(of), &device(), cursor.last).await.unwrap();
    }
    store.leave(&user(of), &device(), cursor.last).await.unwrap();
}

/// Works in `directory`, and writes a line into a file of its own for all that is asked and answered.
pub(crate) fn run(directory: &Path) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let mut said = File::create(directory.join("answers")).unwrap();
    // One call of the system a line.
    let mut say = |line: &str| said.write_all(line.as_bytes()).unwrap();
    let mut last = [0; USERS as usize];
    for life in 0..LIVES {
        let store = DiskStore::open(directory.join("data")).unwrap();
        runtime.block_on(async {
            if life == 0 {
                for of in 0..USERS {
                    store.open(&user(of), &device()).await.unwrap();
                    say(&format!("known {of}"));
                }
            }
            for batch in 0..BATCHES {
                let all: Vec<_> = (0..USERS).filter(|of| (batch + of) % 3 > 0).collect();
                let mut appends = Vec::new();
                for of in &all {
                    let seq = last[*of as usize] + 1;
                    say(&format!("asked {of} {seq}"));
                    let message = Arc::new(Message::new(Content::text(&text(*of, seq))));
                    appends.push(Append::new(message, [user(*of)]));
                }
                for (of, done) in all.iter().zip(store.append(appends).await) {
                    last[*of as usize] += 1;
                    let seq = last[*of as usize];
                    assert_eq!(done.unwrap(), Appended::New(vec![(user(*of), Seq::new(seq))]));
                    say(&format!("answered {of} {seq}"));
                }
                let of = (life + batch) % USERS;
                if batch % 3 == 1 {
                    come(&store, of, &mut say).await;
                    // Nothing waits for it now.
                    store.open(&user(of), &device()).await.unwrap();
                    store.leave(&user(of), &device(), Seq::ZERO).await.unwrap();
                }
                if batch % 3 == 0 && last[of as usize] > 5 {
                    let upto = last[of as usize] - 5;
                    say(&format!("acknowledge {of} {upto}"));
                    store.acknowledge(&user(of), &device(), Seq::new(upto)).await.unwrap();
                }
            }
            store.close().await.unwrap();
        });
    }
}
