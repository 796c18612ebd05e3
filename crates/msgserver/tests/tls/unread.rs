//! What clients leave unread.

use std::io::{BufReader, Write};

use serde_json::json;

use crate::support::authority::Authority;
use crate::support::{bar, read_frame, until, write_frame};
use crate::{SECRET, hello, start};

#[test]
fn what_a_client_does_not_read_waits_and_comes_whole_and_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new(directory.path());
    let server = start(directory.path(), &authority.server(), &["--limits-outbox-bytes", "256 KiB"]);
    let mut frames = authority.connect(&server, "frame");
    assert_eq!(
        hello(&mut frames, &json!({"type": "hello", "user": "ada", "device": "d"}))["type"],
        "welcome"
    );
    let content = |n: usize| format!("{n} {}", "x".repeat(20_000));
    let message = |n| json!({"to": {"user": "ada"}, "content": content(n)});
    // More than both kernels hold for one connection.
    server.http().publish_all((0..300).map(message));
    server.http().publish_all((300..600).map(message));
    until(|| (server.stats()["queued"] == 0).then_some(()));
    for n in 0..600 {
        let message = read_frame(&mut frames);
        assert_eq!((&message["seq"], &message["content"]), (&json!(n + 1), &json!(content(n))), "{n}");
        write_frame(&mut frames, &json!({"type": "ack", "seq": n + 1}));
    }
    server.wait_for("stored", 0);
}

#[test]
fn what_an_old_client_has_not_taken_stays_and_comes_again() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new(directory.path());
    let flags = ["--limits-outbox-bytes", "256 KiB", "--shared-secret", SECRET];
    let server = start(directory.path(), &authority.server(), &flags);
    let connect = || {
        let mut old = authority.connect(&server, "listen");
        write!(old, "bob;{SECRET}|").unwrap();
        old
    };
    let reads_nothing = connect();
    server.wait_for("connections", 1);
    // More than both kernels hold for one connection.
    let content = |n: usize| format!("{n} {}", "x".repeat(20_000));
    let message = |n| json!({"to": {"user": "bob"}, "content": content(n)});
    (0..3).for_each(|batch| drop(server.http().publish_all((batch * 300..(batch + 1) * 300).map(message))));
    drop(reads_nothing);
    server.wait_until_away("bob");
    let left = server.stats()["stored"].as_u64().unwrap();
    assert!(left > 0, "its kernel cannot have taken all of it");

    let mut old = BufReader::new(connect());
    for n in 900 - usize::try_from(left).unwrap()..900 {
        assert_eq!(bar(&mut old), format!("{:?}", content(n)), "{n}");
    }
    server.wait_for("stored", 0);
}
