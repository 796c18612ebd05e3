//! Clients that nobody here wrote, and such that speak no TLS.

use std::io::{Read, Write};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::authority::Authority;
use crate::support::{Client, Server, write_frame};
use crate::{SECRET, hello, publish, start};

#[test]
fn clients_of_other_libraries_come_in_at_each_raw_door() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new(directory.path());
    let server = start(directory.path(), &authority.server(), &["--shared-secret", SECRET]);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/tls_client.py");
    let python = |door: &str, more: &[&str]| {
        let address = server.address(door);
        Client::start(Command::new("python3").args([script, address, &authority.ca()]).args(more))
    };
    let mut frames = python("frame", &[]);
    frames.tell(json!({"type": "hello", "user": "ada", "device": "new", "token": SECRET}).to_string());
    assert_eq!(frames.json()["type"], "welcome");
    let mut old = python("listen", &["--bar"]);
    old.tell(format!("bob;{SECRET}|"));
    server.wait_for("connections", 2);

    // More than one record.
    let long = "x".repeat(100_000);
    for user in ["ada", "bob"] {
        publish(&server, user, &json!(long));
    }
    let message = frames.json();
    assert_eq!((&message["content"], &message["seq"]), (&json!(long), &json!(1)));
    assert_eq!(old.line().unwrap(), format!("\"{long}\""));
    frames.tell(json!({"type": "ack", "seq": 1}).to_string());
    // The one has said so, the other's TCP has: its last record is there.
    server.wait_for("stored", 0);

    server.http().publish(&json!({"to": {"all": true}, "content": "to all"}));
    assert_eq!(frames.json()["content"], "to all");
    assert_eq!(old.line().unwrap(), "\"to all\"");

    server.signal("-TERM");
    assert_eq!(frames.json()["code"], "shutting_down");
    assert_eq!(frames.line().unwrap(), "closed", "the end is announced, as TLS has it");
    assert_eq!(old.line().unwrap(), "closed");
}

#[test]
fn openssl_speaks_both_versions_and_comes_back_with_its_ticket() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new(directory.path());
    let server = start(directory.path(), &authority.server(), &[]);
    let ticket = authority.file("ticket");
    for version in ["-tls1_2", "-tls1_3"] {
        for (session, news) in [("-sess_out", "New, TLSv1."), ("-sess_in", "Reused, TLSv1.")] {
            let mut client = Client::start(
                Command::new("openssl")
                    .args(["s_client", "-connect", server.address("frame"), "-servername", "localhost"])
                    .args(["-CAfile", &authority.ca(), "-verify_return_error", version, session, &ticket]),
            );
            client.line_with(news);
            let hello = json!({"type": "hello", "user": "ada"}).to_string();
            client.write(&[&(hello.len() as u32).to_be_bytes(), hello.as_bytes()].concat());
            // Its ticket comes before that.
            client.read_until("\"welcome\"");
            client.close_input();
            server.wait_for("connections", 0);
            while client.line().is_some() {}
        }
    }
}

#[test]
fn https_websockets_and_streams_of_events_are_under_tls_as_well() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new(directory.path());
    let [certificate, key] = authority.server();
    let server = Server::start(directory.path(), &["--tls-cert", &certificate, "--tls-key", &key]);
    let (ca, address) = (authority.ca(), server.address("http").to_owned());
    let url = |path: &str| format!("https://{address}{path}");
    let mut events = Client::curl(&["--cacert", &ca, &url("/v1/sse?user=ada&device=d")]);
    events.line_with("content-type: text/event-stream");

    let websocket = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    let mut socket = authority.connect(&server, "http");
    write!(socket, "GET /v1/ws?user=bob HTTP/1.1\r\nHost: a\r\n{websocket}\r\n\r\n").unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    // A `hello` in one masked frame, whose mask is nothing.
    let hello = br#"{"type":"hello"}"#;
    socket.write_all(&[&[0x81, 0x80 | hello.len() as u8, 0, 0, 0, 0], &hello[..]].concat()).unwrap();
    let mut frame = [0; 2];
    socket.read_exact(&mut frame).unwrap();
    let mut welcome = vec![0; usize::from(frame[1])];
    socket.read_exact(&mut welcome).unwrap();
    let welcome: Value = serde_json::from_slice(&welcome).unwrap();
    assert_eq!((&welcome["type"], &welcome["user"]), (&json!("welcome"), &json!("bob")));

    let body = json!({"to": {"all": true}, "content": "hi"}).to_string();
    let mut posted = Client::curl(&["--cacert", &ca, "--http1.1", "-d", &body, &url("/v1/messages")]);
    posted.line_with("HTTP/1.1 202");
    while !events.line_with("data:").contains("\"hi\"") {}
    socket.read_exact(&mut frame).unwrap();
    let mut notice = vec![0; usize::from(frame[1])];
    socket.read_exact(&mut notice).unwrap();
    assert!(String::from_utf8(notice).unwrap().contains("\"hi\""));
}

#[test]
fn who_speaks_no_tls_or_does_not_finish_is_closed_and_holds_up_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new(directory.path());
    let flags = ["--limits-opening-deadline", "300ms"];
    let server = start(directory.path(), &authority.server(), &flags);
    let mut clear = server.connect("frame");
    write_frame(&mut clear, &json!({"type": "hello", "user": "ada"}));
    let mut said = Vec::new();
    let _ = clear.read_to_end(&mut said);
    assert!(!String::from_utf8_lossy(&said).contains("welcome"));

    // The beginning of a ClientHello, and nothing more.
    let mut slow: Vec<_> = (0..50).map(|_| server.connect("frame")).collect();
    slow.iter_mut().for_each(|socket| socket.write_all(&[22, 3, 1, 2, 0, 1]).unwrap());
    let mut quick = authority.connect(&server, "frame");
    assert_eq!(hello(&mut quick, &json!({"type": "hello", "user": "ada"}))["type"], "welcome");
    for mut socket in slow {
        let mut said = Vec::new();
        let _ = socket.read_to_end(&mut said);
    }
    server.wait_for("connections_refused", 51);
    server.wait_for("connections", 1);
}
