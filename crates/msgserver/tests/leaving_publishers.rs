//! A publisher that leaves before it is answered takes nothing back: what the store keeps is delivered.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]

mod support;

use serde_json::json;
use support::{Redis, Server, hello, read_frame, until};

/// Longer than what else the server may say to Redis meanwhile.
const LENGTH: usize = 50_000;

const PUBLISHED: [(&str, &str); 2] = [("/v1/messages", "alone"), ("/v1/messages/batch", "in a batch")];

#[test]
fn what_a_publisher_does_not_wait_for_reaches_who_is_connected() {
    let (directory, redis) = (tempfile::tempdir().unwrap(), Redis::start());
    let server = Server::start(directory.path(), &["--store", &redis.url()]);
    let (mut phone, _) = hello(&server, "ada", "phone");
    server.http().publish(&json!({"to": {"user": "ada"}, "content": "before"}));
    assert_eq!(read_frame(&mut phone)["content"], "before");

    redis.signal("-STOP");
    let text = |name: &str| format!("{name} {}", "x".repeat(LENGTH));
    for (path, name) in PUBLISHED {
        let message = json!({"to": {"user": "ada"}, "content": text(name)});
        let body = if path.ends_with("batch") { json!([message]) } else { message }.to_string();
        let (connections, unread) = (server.descriptors(), redis.unread());
        let mut http = server.http();
        let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
        http.send(head + &body).unwrap();
        // It is on its way into the store.
        until(|| (redis.unread() >= unread + LENGTH as u64).then_some(()));
        drop(http);
        until(|| (server.descriptors() <= connections).then_some(()));
    }
    redis.signal("-CONT");
    for (_, name) in PUBLISHED {
        let message = read_frame(&mut phone);
        assert!(message["content"].as_str().is_some_and(|text| text.starts_with(name)), "{name} is missing");
    }
}
