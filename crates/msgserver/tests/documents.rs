//! What the documents say of the tests is true.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]

use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Every source file below a directory.
fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The names of the functions that are tests.
fn tests(source: &str) -> Vec<&str> {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    lines
        .iter()
        .enumerate()
        .filter_map(|(n, line)| {
            let name = line.trim_start_matches("async ").strip_prefix("fn ")?.split_once('(')?.0;
            let attributes = lines[..n].iter().rev().take_while(|line| line.starts_with("#["));
            let is_test = |line: &&str| line.starts_with("#[test]") || line.starts_with("#[tokio::test");
            attributes.copied().any(|line| is_test(&line)).then_some(name)
        })
        .collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The names of all tests below a directory.
fn tests_below(directory: &str) -> HashSet<String> {
    let mut files = Vec::new();
    sources(&root().join(directory), &mut files);
    let sources = files.iter().map(|file| std::fs::read_to_string(file).unwrap());
    sources.flat_map(|source| tests(&source).into_iter().map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn each_promise_of_delivery_names_tests_that_exist() {
    let known = tests_below("crates");
    let document = std::fs::read_to_string(root().join("docs/delivery.md")).unwrap();
    let mut promises = 0;
    for row in document.lines().filter(|line| line.starts_with("| ") && line.matches(" | ").count() == 2) {
        let held_by = row.rsplit(" | ").next().unwrap().trim_end_matches('|').trim();
        if held_by == "held by" {
            continue;
        }
        promises += 1;
        let named: Vec<&str> = held_by.split(", ").map(|name| name.trim_matches('`')).collect();
        let missing: Vec<_> = named.iter().filter(|name| !known.contains(**name)).collect();
        assert!(missing.is_empty(), "no test is called {missing:?}: {row}");
    }
    assert!(promises > 20, "the tables were not found");
}

#[test]
fn the_statements_of_mqtt_name_the_tests_that_there_are() {
    let tests = tests_below("crates/msgserver/tests/mqtt_conformance");
    let document = std::fs::read_to_string(root().join("docs/mqtt.md")).unwrap();
    let named =
        document.split('`').skip(1).step_by(2).filter(|name| name.contains('_') && !name.contains(' '));
    let named: HashSet<String> = named.map(str::to_owned).collect();
    let differ: Vec<_> = named.symmetric_difference(&tests).collect();
    assert!(differ.is_empty(), "only the document or only the tests have {differ:?}");
    assert!(tests.len() > 100, "the tests were not found");
}
