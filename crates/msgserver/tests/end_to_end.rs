//! The real binary, over real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::cloned_ref_to_slice_refs,
    reason = "a test that meets an error has to end"
)]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use support::{Server, bar, hello, read_frame, write_frame};

#[test]
fn a_notice_reaches_every_old_client_byte_for_byte() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    let mut clients: Vec<_> = (0..50).map(|_| BufReader::new(server.connect("listen"))).collect();
    server.wait_for("connections", 50);
    assert_eq!(server.post("/msg/sender", &json!({"To": "", "Content": "a|b"})), (200, "1".to_owned()));
    let long = "x".repeat(5000);
    assert_eq!(server.post("/msg/sender", &json!({"Content": long})), (200, "1".to_owned()));
    for client in &mut clients {
        assert_eq!(bar(client), "\"a\\u007cb\"");
        assert_eq!(bar(client), format!("\"{long}\""));
    }
    drop(clients);
    server.wait_for("connections", 0);
}

#[test]
fn an_old_client_gets_what_waited_for_it_once_and_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--shared-secret", "123456"]);
    for n in 0..300 {
        assert_eq!(server.post("/msg/sender", &json!({"To": "ada", "Content": n.to_string()})).1, "1");
    }
    // With a `|`, without one, and in pieces.
    for (text, from) in [("ada;123456|", 0), ("ada;123456", 300), ("ada;12|", 301)] {
        let mut socket = server.connect("listen");
        for byte in text.bytes() {
            socket.write_all(&[byte]).unwrap();
        }
        if from == 301 {
            let mut refusal = String::new();
            socket.read_to_string(&mut refusal).unwrap();
            assert_eq!(refusal, "password is wrong");
            continue;
        }
        let mut socket = BufReader::new(socket);
        server.wait_for("users", 1);
        if from == 300 {
            server.post("/msg/sender", &json!({"To": "ada", "Content": "300"}));
        }
        for n in from..=from.max(299) {
            assert_eq!(bar(&mut socket), format!("\"{n}\""));
        }
        server.wait_for("stored", 0);
        socket.get_ref().shutdown(Shutdown::Both).unwrap();
        server.wait_for("users", 0);
    }
}

#[test]
fn what_is_not_acknowledged_comes_again_also_after_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    let (mut phone, welcome) = hello(&server, "ada", "phone");
    assert_eq!(welcome["resumed"], false);
    for n in 1..=10 {
        let (status, body) =
            server.post("/v1/messages", &json!({"to": {"user": "ada"}, "content": {"n": n}}));
        assert_eq!(status, 202, "{body}");
        let frame = read_frame(&mut phone);
        assert_eq!((frame["content"]["n"].as_u64(), frame["seq"].as_u64()), (Some(n), Some(n)));
    }
    write_frame(&mut phone, &json!({"type": "ack", "seq": 4}));
    server.wait_for("stored", 6);
    drop(server); // kill -9

    let server = Server::start(directory.path(), &[]);
    let (mut phone, welcome) = hello(&server, "ada", "phone");
    assert_eq!(welcome["resumed"], true);
    for n in 5..=10 {
        assert_eq!(read_frame(&mut phone)["seq"], n);
    }
    write_frame(&mut phone, &json!({"type": "ack", "seq": 99}));
    assert_eq!(read_frame(&mut phone)["type"], "error");
    write_frame(&mut phone, &json!({"type": "ping"}));
    assert_eq!(read_frame(&mut phone)["type"], "pong");

    let (_again, _) = hello(&server, "ada", "phone");
    assert_eq!(read_frame(&mut phone)["code"], "replaced");
}

#[test]
fn a_client_that_never_reads_delays_nobody_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--store", "memory"]);
    let (mut slow, _) = hello(&server, "slow", "phone");
    let (mut quick, _) = hello(&server, "quick", "phone");
    let content = "x".repeat(1_000_000);
    for _ in 0..30 {
        let body = json!({"to": {"users": ["slow", "quick"]}, "content": content});
        assert_eq!(server.post("/v1/messages", &body).0, 202);
        read_frame(&mut quick);
    }
    for seq in 1..=30 {
        assert_eq!(read_frame(&mut slow)["seq"], seq);
    }
}

#[test]
fn bad_input_gets_an_error_and_harms_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--api-key", "K"]);
    let post = |body: &str| server.request("POST", "/v1/messages", Some("K"), Some(body.to_owned()));
    let deep = format!("{{\"to\":{{\"all\":true}},\"content\":{}1{}}}", "[".repeat(2000), "]".repeat(2000));
    for body in [
        "",
        "{",
        "[]",
        r#"{"to":{"user":"a"}}"#,
        r#"{"to":{},"content":1}"#,
        r#"{"to":{"users":[]},"content":1}"#,
        r#"{"to":{"user":"a","all":true},"content":1}"#,
        r#"{"to":{"user":"a\u0000"},"content":1}"#,
        r#"{"to":{"user":"a"},"content":1,"id":"x"}"#,
        r#"{"to":{"user":"a"},"content":1,"wrong":1}"#,
        &deep,
    ] {
        let (status, answer) = post(body);
        assert_eq!(status, 400, "{body}: {answer}");
        let problem: Value = serde_json::from_str(&answer).unwrap();
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
    }
    // Refused by its length, before a byte of it is sent.
    let mut socket = server.connect("http");
    let head =
        "POST /v1/messages HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer K\r\nContent-Length: 2000000\r\n\r\n";
    socket.write_all(head.as_bytes()).unwrap();
    let mut status = String::new();
    BufReader::new(socket).read_line(&mut status).unwrap();
    assert_eq!(status.split(' ').nth(1), Some("413"));
    assert_eq!(server.request("POST", "/v1/messages", None, Some("{}".to_owned())).0, 401);
    assert_eq!(
        server.request("POST", "/msg/sender", Some("K"), Some("{}".to_owned())),
        (400, "0".to_owned())
    );
    assert_eq!(server.request("GET", "/nowhere", Some("K"), None).0, 404);

    for garbage in [
        &b"\xff\xff\xff\xff"[..],
        b"\0\0\0\x02{}",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\0\0\0\x0f{\"type\":\"ping\"}",
    ] {
        let mut socket = server.connect("frame");
        socket.write_all(garbage).unwrap();
        assert_eq!(read_frame(&mut socket)["type"], "bye");
    }
    let (mut socket, _) = hello(&server, "ada", "phone");
    let id = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    let good = format!(r#"{{"to":{{"user":"ada"}},"content":"still here","id":"{id}"}}"#);
    for _ in 0..2 {
        let (status, answer) = post(&good);
        assert_eq!((status, answer.contains(id)), (202, true));
    }
    assert_eq!(post(&good.replace("still", "not")).0, 409);
    assert_eq!(read_frame(&mut socket)["content"], "still here");
}

#[test]
fn sigterm_drains_and_exits_with_success() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::start(directory.path(), &[]);
    let (mut socket, _) = hello(&server, "ada", "phone");
    server.signal("-TERM");
    assert_eq!(read_frame(&mut socket)["code"], "shutting_down");
    assert!(server.child.wait().unwrap().success());
}

#[test]
fn impossible_flags_are_refused_before_any_door_opens() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    for (flags, word, code) in [
        (vec!["--serializer", "msgpack"], "msgpack", 2),
        (vec!["--listen", "nowhere"], "nowhere", 2),
        (vec!["--http", "0.0.0.0:0"], "api-key", 2),
        (vec!["--listen", "0.0.0.0:0"], "shared-secret", 2),
        (vec!["--store", "cloud"], "cloud", 2),
        (vec!["--http", "off"], "in use", 1),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_msgserver"))
            .args(["serve", "--data-dir"])
            .arg(directory.path().join("data"))
            .args(&flags)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{flags:?}: {said}");
        assert!(said.contains(word), "{flags:?}: {said}");
    }
    drop(server);
}

#[test]
fn send_and_listen_are_a_first_message() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    let binary = env!("CARGO_BIN_EXE_msgserver");
    let sent = Command::new(binary)
        .args(["send", "--url", &format!("http://{}", server.address("http")), "--to", "ada", "hello, Ada"])
        .output()
        .unwrap();
    assert!(String::from_utf8(sent.stdout).unwrap().ends_with(" accepted\n"));
    let mut listen = Command::new(binary)
        .args(["listen", "--url", &format!("tcp://{}", server.address("frame")), "--user", "ada"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(listen.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "hello, Ada\n");
    server.wait_for("stored", 0);
    listen.kill().unwrap();
    listen.wait().unwrap();
}
