//! A flipped bit is told, never delivered, and loses what it hits and nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use msgserver_persistence::DiskStore;

use super::*;

type Contents = BTreeMap<(String, u64), String>;

const USERS: u64 = 40;
const MESSAGES: u64 = 25;

async fn contents(store: &DiskStore) -> Contents {
    let mut contents = Contents::new();
    for n in 0..USERS {
        let name = format!("user {n}");
        let entries = store.read(&user(&name), Seq::ZERO, 1000).await;
        for entry in entries.unwrap_or_default() {
            contents.insert((name.clone(), entry.seq.get()), entry.message.content.as_text().unwrap());
        }
    }
    contents
}

/// A store with messages in sorted files and in a journal, and what it holds.
async fn written(directory: &Path) -> Contents {
    let fill = async |upto: u64| {
        let store = DiskStore::open(directory).unwrap();
        for n in 0..MESSAGES {
            let batch = (0..USERS).map(|of| {
                let name = format!("user {of}");
                to(&[&name], message(&format!("{upto} {n} for {name} {}", "x".repeat(100))))
            });
            assert!(store.append(batch.collect()).await.iter().all(Result::is_ok));
        }
        contents(&store).await
    };
    fill(1).await;
    // A start has the engine take over what is in the journals, and then removes them.
    {
        let journals = fs::read_dir(directory.join("journals")).unwrap();
        let before: Vec<_> = journals.map(|file| file.unwrap().path()).collect();
        let store = DiskStore::open(directory).unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        while before.iter().any(|file| file.exists()) {
            assert!(std::time::Instant::now() < deadline, "the journals are still there");
            tokio::task::yield_now().await;
        }
        drop(store);
    }
    fill(2).await
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.append(&mut self::files(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(&file, &target).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_is_told_and_never_delivered() {
    let original = tempfile::tempdir().unwrap();
    let right = written(original.path()).await;
    assert_eq!(right.len() as u64, USERS * MESSAGES * 2);
    let (mut refused, mut flips) = (0, 0);
    for file in files(original.path()) {
        let name = file.strip_prefix(original.path()).unwrap().to_owned();
        let bytes = fs::read(&file).unwrap();
        if bytes.is_empty() {
            continue;
        }
        // Some at the edges, where heads and tails are, and some spread over all of it.
        let spread = (0..24).map(|n| n * bytes.len() / 24);
        let heads = (0..8).map(|n| n.min(bytes.len() - 1));
        let tails = (1..9).map(|n| bytes.len().saturating_sub(n));
        for at in spread.chain(heads).chain(tails) {
            flips += 1;
            let directory = tempfile::tempdir().unwrap();
            copy(original.path(), directory.path());
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            fs::write(directory.path().join(&name), &damaged).unwrap();
            let place = format!("{} at byte {at}", name.display());
            let store = match DiskStore::open(directory.path()) {
                Ok(store) => store,
                Err(fault) => {
                    assert!(matches!(fault, StoreError::Corrupt { .. }), "{place}: {fault}");
                    let in_magic = name.starts_with("journals") && at < 8;
                    assert!(in_magic || !name.starts_with("journals"), "{place}: {fault}");
                    refused += 1;
                    continue;
                }
            };
            let found = contents(&store).await;
            for (of, text) in &found {
                assert_eq!(right.get(of), Some(text), "{place}: {of:?} is not what was kept");
            }
            let lost = right.len() - found.len();
            let checked = store.check().unwrap();
            let told = !checked.faults.is_empty() || store.recovery().unwrap().dropped_bytes > 0;
            assert!(lost == 0 || told, "{place}: {lost} are lost, and nobody is told");
            // One row of a journal, which may be a user's; one block of a sorted file, which may hold rows of many.
            let most = if name.starts_with("journals") { 1 } else { 60 };
            assert!(lost <= most, "{place}: {lost} are lost: {checked:?}");
            // And it goes on.
            assert!(append(&store, "more", &["somebody else"]).await[0] > 0);
        }
    }
    eprintln!("{flips} bits were flipped, and {refused} times the store refused to open");
}
