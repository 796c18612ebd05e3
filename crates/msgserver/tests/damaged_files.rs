//! A bit that flips in any file of a server's store is named, never delivered, and loses no more than what it hit.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use support::{Server, hello, read_frame, until};

const USERS: usize = 12;
/// Messages to each user: once in sorted files, and once in a journal.
const MESSAGES: usize = 40;

fn user(n: usize) -> String {
    format!("user{n}")
}

fn text(lot: &str, n: usize) -> String {
    format!("{lot} {n} {}", "x".repeat(200))
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

/// What a killed server leaves behind, with messages in every kind of file.
fn left_behind(directory: &Path) {
    let journals = directory.join("data/journals");
    let publish = |server: &Server, lot: &str| {
        let mut http = server.http();
        for n in 0..MESSAGES {
            let users = (0..USERS).map(|of| json!({"to": {"user": user(of)}, "content": text(lot, n)}));
            http.publish_all(users);
        }
    };
    let mut server = Server::start(directory, &[]);
    publish(&server, "sorted");
    server.signal("-TERM");
    server.child.wait().unwrap();
    let before = files(&journals);
    // A start hands over what is in the journals to the sorted files.
    let server = Server::start(directory, &[]);
    until(|| before.iter().all(|journal| !journal.exists()).then_some(()));
    publish(&server, "journal");
}

/// What a user gets, up to a message that is published now.
fn received(server: &Server, user: &str) -> Vec<String> {
    let (mut phone, _) = hello(server, user, "phone");
    server.http().publish(&json!({"to": {"user": user}, "content": "the end"}));
    let mut texts = Vec::new();
    loop {
        let frame = read_frame(&mut phone);
        let text = frame["content"].as_str().unwrap_or_else(|| panic!("{frame}")).to_owned();
        if text == "the end" {
            return texts;
        }
        texts.push(text);
    }
}

fn check(directory: &Path) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_msgserver"));
    let output = command.args(["store", "check", "--data-dir"]).arg(directory.join("data")).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Whether one text is what is left of the other when some of it is taken out.
fn is_in_order(some: &[String], all: &[String]) -> bool {
    let mut all = all.iter();
    some.iter().all(|text| all.any(|other| other == text))
}

#[test]
fn a_flipped_bit_in_any_file_is_named_and_costs_no_more_than_it_hit() {
    let original = tempfile::tempdir().unwrap();
    left_behind(original.path());
    let all: Vec<_> =
        ["sorted", "journal"].into_iter().flat_map(|lot| (0..MESSAGES).map(move |n| text(lot, n))).collect();
    let data = original.path().join("data");
    let mut kinds = BTreeSet::new();
    for file in files(&data) {
        let name = file.strip_prefix(&data).unwrap();
        let bytes = fs::read(&file).unwrap();
        for at in BTreeSet::from([0, bytes.len() / 3, bytes.len() * 2 / 3, bytes.len().max(1) - 1]) {
            if bytes.is_empty() {
                break;
            }
            let place = format!("{} at byte {at} of {}", name.display(), bytes.len());
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            // One is checked, which may mend it, and on the other a server starts.
            let [checked, served] = [(); 2].map(|()| {
                let directory = tempfile::tempdir().unwrap();
                copy(&data, &directory.path().join("data"));
                fs::write(directory.path().join("data").join(name), &damaged).unwrap();
                directory
            });
            let (is_well, named) = check(checked.path());
            let server = Server::start(served.path(), &[]);
            let mut lost = 0;
            for of in 0..USERS {
                let texts = received(&server, &user(of));
                assert!(is_in_order(&texts, &all), "{place}: {} got {texts:?}", user(of));
                lost += all.len() - texts.len();
            }
            // The last commit may have been cut short: nobody can tell.
            let cut_short = named.contains("nobody was told of");
            assert!(
                lost == 0 || !is_well || cut_short,
                "{place}: {lost} are lost, and the check says {named}"
            );
            let log = server.log();
            for word in ["mended", "damaged", "cut short"] {
                kinds.extend(log.contains(word).then_some(word));
            }
            let is_told = ["damage", "cut short", "cannot be read"].iter().any(|word| log.contains(word));
            assert!(lost == 0 || is_told, "{place}: {lost} are lost, and the log says {log}");
            assert_eq!(named.contains("mended"), log.contains("mended"), "{place}: {named}\n{log}");
            let most = if name.starts_with("rows/tables") {
                // A block of rows, which may hold messages of several users.
                MESSAGES
            } else if cut_short {
                // The last commit.
                USERS
            } else {
                // A row of a journal, or nothing at all.
                usize::from(name.starts_with("journals"))
            };
            assert!(lost <= most, "{place}: {lost} are lost: {named}");
        }
    }
    assert_eq!(kinds.len(), 3, "only these came to pass: {kinds:?}");
}
