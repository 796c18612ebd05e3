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
    let (mut mended, mut flips) = (0, 0);
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
            let exported = export(directory.path(), &right, &place);
            let store = open_again(directory.path()).unwrap_or_else(|fault| panic!("{place}: {fault}"));
            let found = contents(&store).await;
            for (of, text) in &found {
                assert_eq!(right.get(of), Some(text), "{place}: {of:?} is not what was kept");
            }
            let (messages, faults) = exported;
            assert_eq!(found, messages, "{place}: what is delivered is not what is exported");
            let lost = right.len() - found.len();
            let told = !faults.is_empty() || store.recovery().unwrap().dropped_bytes > 0;
            assert!(lost == 0 || told, "{place}: {lost} are lost, and nobody is told");
            // One row of a journal, which may be a user's; one block of rows, which may be of many. The rest is
            // kept twice, or can be done without.
            let in_rows = name.starts_with("rows/tables");
            let most = if name.starts_with("journals") {
                1
            } else if in_rows {
                60
            } else {
                0
            };
            assert!(lost <= most, "{place}: {lost} are lost: {faults:?}");
            mended += u32::from(faults.iter().any(|fault| fault.contains("mended")));
            if lost > 0 && in_rows {
                assert!(faults.iter().any(|fault| fault.contains("of user")), "{place}: {faults:?}");
            }
            // And it goes on.
            assert!(append(&store, "more", &["somebody else"]).await[0] > 0);
        }
    }
    assert!(mended > 0);
    eprintln!("{flips} bits were flipped; {mended} were mended");
}

/// Opens a store right after it was closed. A process that another test begins has every descriptor of this one,
/// and so the lock, until it has become its own program.
fn open_again(directory: &Path) -> Result<DiskStore, StoreError> {
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    loop {
        match DiskStore::open(directory) {
            Err(StoreError::InUse(_)) if std::time::Instant::now() < deadline => std::thread::yield_now(),
            store => return store,
        }
    }
}

/// What an export holds, and what it and a check name.
fn export(directory: &Path, right: &Contents, place: &str) -> (Contents, Vec<String>) {
    let store = DiskStore::look_into(directory).unwrap_or_else(|fault| panic!("{place}: {fault}"));
    let checked = store.check().unwrap();
    let mut bytes = Vec::new();
    let exported = store.export(&mut bytes).unwrap();
    let mut messages = Contents::new();
    for line in String::from_utf8(bytes).unwrap().lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let Some(message) = line.get("message") else { continue };
        let of = (message["user"].as_str().unwrap().to_owned(), message["seq"].as_u64().unwrap());
        let text = message["message"]["content"].as_str().unwrap().to_owned();
        assert_eq!(right.get(&of), Some(&text), "{place}: {of:?} is not what was kept");
        messages.insert(of, text);
    }
    assert!(exported.lost.is_empty() || !checked.faults.is_empty(), "{place}: the check finds nothing");
    (messages, [checked.faults, exported.lost].concat())
}

#[tokio::test]
async fn what_says_of_which_form_a_store_is_may_be_lost_or_damaged() {
    let original = tempfile::tempdir().unwrap();
    append(&DiskStore::open(original.path()).unwrap(), "m", &["a"]).await;
    let damage = |file: &Path, with: Option<&str>| match with {
        None => fs::remove_file(file).unwrap(),
        Some(text) => fs::write(file, text).unwrap(),
    };
    for (format, copy) in
        [(None, false), (None, true), (Some(""), false), (Some("msgserver store 3\n"), false)]
    {
        let directory = tempfile::tempdir().unwrap();
        self::copy(original.path(), directory.path());
        damage(&directory.path().join("format"), format);
        if copy {
            damage(&directory.path().join("copies/format"), Some("no copy"));
        }
        let store = open_again(directory.path()).unwrap();
        assert!(store.recovery().unwrap().mended[0].contains("the file format"), "{format:?}");
        assert_eq!(all(&store, "a").await, ["1:m"]);
        drop(store);
        assert_eq!(open_again(directory.path()).unwrap().recovery().unwrap().mended, Vec::<String>::new());
    }
    // Now it may be another format, and nothing is changed.
    let directory = tempfile::tempdir().unwrap();
    self::copy(original.path(), directory.path());
    damage(&directory.path().join("format"), Some("msgserver store 3\n"));
    damage(&directory.path().join("copies/format"), None);
    let fault = open_again(directory.path()).unwrap_err().to_string();
    assert!(fault.contains("write the known one into the file `format`"), "{fault}");
    fs::write(directory.path().join("format"), "msgserver store 1\n").unwrap();
    assert_eq!(all(&open_again(directory.path()).unwrap(), "a").await, ["1:m"]);
}
