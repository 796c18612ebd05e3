//! A process that is killed at any moment loses nothing that it has answered.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use msgserver_persistence::DiskStore;

use super::*;

const DIRECTORY: &str = "MSGSERVER_TEST_CRASH_DIRECTORY";
const USERS: [&str; 4] = ["a", "b", "c", "d"];

/// Appends without end, and prints what was answered.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "the process that the test below starts and kills"]
async fn a_process_to_be_killed() {
    let Ok(directory) = std::env::var(DIRECTORY) else { return };
    let store = Arc::new(DiskStore::open(directory).unwrap());
    let count = Arc::new(AtomicU64::new(0));
    let publishers: Vec<_> = USERS
        .into_iter()
        .map(|name| {
            let (store, count) = (Arc::clone(&store), Arc::clone(&count));
            tokio::spawn(async move {
                // Until it is killed.
                while !store.name().is_empty() {
                    let text = format!("{name} {}", count.fetch_add(1, Ordering::Relaxed));
                    let message = message(&text);
                    let id = message.id;
                    let seq = put(&*store, named(&[name], message)).await[0];
                    let mut out = std::io::stdout().lock();
                    // One write a line: half a line is one that was not answered.
                    out.write_all(format!("kept {name} {seq} {id}\n").as_bytes()).unwrap();
                    out.flush().unwrap();
                }
            })
        })
        .collect();
    for publisher in publishers {
        publisher.await.unwrap();
    }
}

#[tokio::test]
async fn what_was_answered_survives_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let mut kept: BTreeMap<(String, u64), String> = BTreeMap::new();
    for life in 0..8 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "on_disk::crashes::a_process_to_be_killed", "--ignored", "--nocapture"])
            .env(DIRECTORY, directory.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut answered = 0;
        for line in lines {
            let words: Vec<_> = line.split(' ').collect();
            if let ["kept", name, seq, id] = words[..]
                && id.len() == 26
            {
                let taken = kept.insert((name.to_owned(), seq.parse().unwrap()), id.to_owned());
                assert_eq!(taken, None, "a number was given twice: {line}");
                answered += 1;
                // Somewhere in the middle of what it does. What it has printed by then is read to the end.
                if answered == 40 + life * 25 {
                    child.kill().unwrap();
                }
            }
        }
        child.wait().unwrap();
        assert!(answered >= 40 + life * 25, "it ended by itself after {answered}");

        let store = DiskStore::open(directory.path()).unwrap();
        assert!(store.recovery().unwrap().lost.is_empty());
        assert_eq!(store.check().unwrap().faults, Vec::<String>::new());
        let mut there = BTreeMap::new();
        for name in USERS {
            let mut after = Seq::ZERO;
            loop {
                let page = store.read(&user(name), after, 500).await.unwrap();
                for entry in &page {
                    assert_eq!(entry.seq, after.next(), "numbers have no gap");
                    after = entry.seq;
                    there.insert((name.to_owned(), entry.seq.get()), entry.message.id.to_string());
                }
                if page.is_empty() {
                    break;
                }
            }
        }
        for (place, id) in &kept {
            assert_eq!(there.get(place), Some(id), "{place:?}");
            // A publisher that asks again would be told that it was taken.
            assert!(store.receipt(id.parse().unwrap()).await.unwrap().is_some());
        }
        // What was kept but not answered counts as kept from now on.
        kept = there;
    }
}

/// A journal is removed when the engine has it, and a power cut may bring it back.
#[tokio::test]
async fn a_journal_that_came_back_is_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let journals = directory.path().join("journals");
    let names = || {
        let mut names: Vec<_> =
            std::fs::read_dir(&journals).unwrap().map(|file| file.unwrap().path()).collect();
        names.sort();
        names
    };
    {
        let store = DiskStore::open(directory.path()).unwrap();
        open(&store, "a", "x").await;
        append(&store, "passed", &["a"]).await;
    }
    let old = names();
    let bytes: Vec<_> = old.iter().map(|name| std::fs::read(name).unwrap()).collect();
    // Until it is in no journal any more that it was there and has gone.
    for life in 0..2 {
        let before = names();
        let store = DiskStore::open(directory.path()).unwrap();
        if life == 0 {
            acknowledge(&store, "a", "x", 1).await;
        }
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        while before.iter().any(|name| name.exists()) {
            assert!(std::time::Instant::now() < deadline, "the journals are still there");
            tokio::task::yield_now().await;
        }
    }
    for (name, bytes) in old.iter().zip(bytes) {
        assert!(!name.exists());
        std::fs::write(name, bytes).unwrap();
    }
    let store = DiskStore::open(directory.path()).unwrap();
    assert_eq!(all(&store, "a").await, Vec::<String>::new());
    assert_eq!(store.stored().await.unwrap(), 0);
    assert_eq!(append(&store, "new", &["a"]).await, [2]);
}
