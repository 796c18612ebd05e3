//! API keys that are changed while the server runs.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]

mod support;

use std::path::Path;
use std::process::Command;

use serde_json::json;
use support::tokens::api_key;
use support::{Server, next_frame, until, write_frame};

/// The status of an answer to who shows this key.
fn status(server: &Server, key: &str) -> u16 {
    server.request("GET", "/v1/stats", Some(key), None).0
}

/// As an editor writes a file: whole, by a rename.
fn write(file: &Path, lines: &[&str]) {
    let beside = file.with_extension("new");
    std::fs::write(&beside, lines.join("\n")).unwrap();
    std::fs::rename(beside, file).unwrap();
}

#[test]
fn api_keys_of_a_file_come_and_go_while_the_server_runs() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("api-keys");
    let [(fixed, of_configuration), (old, first), (new, second)] =
        ["fixed", "old", "new"].map(|name| api_key(name, &["read", "publish"]));
    write(&file, &["# of the figures", "", &first]);
    let path = file.to_str().unwrap();
    let flags = ["--store", "memory", "--api-keys", &of_configuration, "--api-keys-file", path];
    let server = Server::start(directory.path(), &flags);
    let statuses = || [&fixed, &old, &new].map(|key| status(&server, key));
    let becomes = |expected: [u16; 3]| until(|| (statuses() == expected).then_some(()));
    assert_eq!(statuses(), [200, 200, 401]);

    write(&file, &[&first, &second]);
    becomes([200, 200, 200]);
    // It opens the other doors as well, as long as it is there.
    let say_hello = |key: &str| {
        let mut socket = server.connect("frame");
        write_frame(&mut socket, &json!({"type": "hello", "token": key}));
        next_frame(&mut socket).unwrap()["type"].clone()
    };
    assert_eq!(say_hello(&new), "welcome");
    write(&file, &[&second]);
    becomes([200, 401, 200]);

    // What is wrong leaves the keys in force, and is said once, without what stands there.
    for (lines, word) in
        [(&[&*first, &old][..], "line 2"), (&["nonsense"], "line 1"), (&[], "no key"), (&["\u{0}"], "line 1")]
    {
        write(&file, lines);
        until(|| server.log().contains(word).then_some(()));
        assert_eq!(statuses(), [200, 401, 200], "{lines:?}");
    }
    std::fs::remove_file(&file).unwrap();
    until(|| server.log().contains("No such file").then_some(()));
    assert_eq!(statuses(), [200, 401, 200]);
    assert!(!server.log().contains(&old));
    // And it is read again when it is there again.
    write(&file, &[&first]);
    becomes([200, 200, 401]);
    assert!(server.log().contains("API keys can be read again"));
}

#[test]
fn a_server_does_not_start_on_a_file_of_api_keys_that_has_none() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("api-keys");
    let start = || {
        let mut serve = Command::new(env!("CARGO_BIN_EXE_msgserver"));
        serve.args(["serve", "--listen", "off", "--frame", "off", "--http", "127.0.0.1:0"]);
        serve.args(["--store", "memory", "--api-keys-file"]).arg(&file);
        let output = serve.output().unwrap();
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    for text in [None, Some(""), Some("nonsense\n")] {
        if let Some(text) = text {
            std::fs::write(&file, text).unwrap();
        }
        let (success, said) = start();
        assert!(!success && said.contains("api_keys_file") && said.contains("api-keys"), "{text:?}: {said}");
    }
}
