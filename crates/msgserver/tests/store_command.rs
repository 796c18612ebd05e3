//! What operators do with a store on disk, by the real binary.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]

mod support;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;
use support::{Server, acknowledge, contents, hello};

fn store(action: &str, directory: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_msgserver"));
    command.args(["store", action, "--data-dir"]).arg(directory.join("data")).args(more).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A store that a killed server has left behind: three messages for ada, of whose one is acknowledged.
fn left_behind(directory: &Path) {
    let server = Server::start(directory, &[]);
    let (mut phone, _) = hello(&server, "ada", "phone");
    for text in ["one", "two", "three"] {
        assert_eq!(server.post("/v1/messages", &json!({"to": {"user": "ada"}, "content": text})).0, 202);
    }
    assert_eq!(contents(&mut phone, 3), ["one", "two", "three"]);
    acknowledge(&mut phone, 1);
    // What is acknowledged is safe with the next thing that is published.
    let id = "01KB0000000000000000000000";
    let later =
        json!({"id": id, "to": {"user": "bob"}, "content": "later", "deliver_at": "2126-01-31T12:00:00Z"});
    assert_eq!(server.post("/v1/messages", &later).0, 202);
    let refused = store("check", directory, &[]);
    assert!(!refused.status.success());
    assert!(said(&refused).contains("is in use by another server"), "{}", said(&refused));
}

#[test]
fn a_store_is_checked_counted_exported_and_imported() {
    let [old, new] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    left_behind(old.path());
    let checked = store("check", old.path(), &[]);
    assert!(checked.status.success(), "{}", said(&checked));
    assert_eq!(String::from_utf8_lossy(&checked.stdout), "2 messages can be read\n");
    let stats = said(&store("stats", old.path(), &[]));
    for line in ["users      1", "devices    1", "messages   2", "scheduled  1", "receipts   4"] {
        assert!(stats.contains(line), "{line:?} is not in {stats}");
    }

    let file = old.path().join("export");
    let file = file.to_str().unwrap();
    let exported = store("export", old.path(), &[file]);
    assert!(exported.status.success(), "{}", said(&exported));
    assert!(!store("export", old.path(), &[file]).status.success(), "an export replaces no file");
    let on_output = store("export", old.path(), &[]);
    let lines = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    let text = std::fs::read_to_string(file).unwrap();
    assert_eq!(lines(&String::from_utf8(on_output.stdout).unwrap()), lines(&text));

    let imported = store("import", new.path(), &[file]);
    assert!(imported.status.success(), "{}", said(&imported));
    let again = store("import", new.path(), &[file]);
    assert!(said(&again).contains("an import needs an empty store"), "{}", said(&again));

    let server = Server::start(new.path(), &[]);
    let (mut phone, _) = hello(&server, "ada", "phone");
    assert_eq!(contents(&mut phone, 2), ["two", "three"]);
    let id = "01KB0000000000000000000000";
    let other = json!({"id": id, "to": {"user": "bob"}, "content": "other"});
    assert_eq!(server.post("/v1/messages", &other).0, 409, "the id is still known");
    let receipt = server.http().get(&format!("/v1/messages/{id}"));
    assert_eq!(receipt["state"], "scheduled");
}

#[test]
fn where_there_is_no_store_that_is_said() {
    let directory = tempfile::tempdir().unwrap();
    for action in ["check", "stats", "export"] {
        let output = store(action, directory.path(), &[]);
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).contains("there is no store in it"), "{}", said(&output));
    }
}
