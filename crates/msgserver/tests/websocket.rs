//! WebSocket sessions of the real binary: with the Python library `websockets`, and byte by byte.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};
use support::{Client, Server};
use tempfile::tempdir;

const JSON: &str = "msgserver.v1.json";
const MSGPACK: &str = "msgserver.v1.msgpack";

fn url(server: &Server, query: &str) -> String {
    format!("ws://{}/v1/ws{query}", server.address("http"))
}

fn online(server: &Server, subprotocol: &str, user: &str, device: &str) -> (Client, Value) {
    let mut client = Client::websocket(&url(server, ""), subprotocol, &[]);
    client.tell(json!({"type": "hello", "user": user, "device": device}));
    let welcome = client.json();
    assert_eq!(welcome["type"], "welcome", "{welcome}");
    (client, welcome)
}

fn publish(server: &Server, to: Value, content: &str) {
    server.http().publish(&json!({"to": to, "content": content}));
}

/// One connection on which WebSocket is written out by hand.
struct Raw(BufReader<TcpStream>);

impl Raw {
    /// Asks for a WebSocket, and sends `ahead` without waiting for the answer.
    fn open(server: &Server, path: &str, headers: &str, ahead: &[u8]) -> (Self, u16, String) {
        let mut socket = server.connect("http");
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n",
            server.address("http")
        );
        socket.write_all(&[head.as_bytes(), ahead].concat()).unwrap();
        let mut raw = Self(BufReader::new(socket));
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(raw.0.read_line(&mut head).unwrap(), 0, "{head}");
        }
        let status = head[9..12].parse().unwrap();
        (raw, status, head.to_lowercase())
    }

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mask = [1, 2, 3, 4];
        let mut frame = vec![first];
        match payload.len() {
            length @ 0..=125 => frame.push(0x80 | length as u8),
            length => {
                frame.push(0x80 | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend(mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    fn hello(user: &str) -> Vec<u8> {
        Self::frame(0x81, json!({"type": "hello", "user": user}).to_string().as_bytes())
    }

    fn say(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    /// The next frame: its first byte and its payload.
    fn next(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 2];
        self.0.read_exact(&mut head).unwrap();
        let length = match head[1] {
            126 => {
                let mut length = [0; 2];
                self.0.read_exact(&mut length).unwrap();
                u16::from_be_bytes(length) as usize
            }
            length => length as usize,
        };
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload).unwrap();
        (head[0], payload)
    }

    fn object(&mut self) -> Value {
        let (first, payload) = self.next();
        assert_eq!(first, 0x81, "{payload:?}");
        serde_json::from_slice(&payload).unwrap()
    }

    /// The `bye` and the status with which the server ends the connection.
    fn end(&mut self) -> (Value, u16) {
        let bye = self.object();
        assert_eq!(bye["type"], "bye", "{bye}");
        let (first, payload) = self.next();
        assert_eq!(first, 0x88);
        assert_eq!(self.0.read(&mut [0]).unwrap(), 0, "the end follows");
        (bye, u16::from_be_bytes([payload[0], payload[1]]))
    }
}

#[test]
fn a_client_of_a_library_receives_acknowledges_and_resumes_in_both_forms() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    for (subprotocol, user) in [(JSON, "ada"), (MSGPACK, "bob")] {
        let to = json!({"user": user});
        publish(&server, to.clone(), "before");
        let (mut client, welcome) = online(&server, subprotocol, user, "tab");
        assert_eq!(welcome["resumed"], false);
        publish(&server, to.clone(), "meanwhile");
        for (seq, content) in [(1, "before"), (2, "meanwhile")] {
            let message = client.json();
            assert_eq!((&message["seq"], &message["content"]), (&json!(seq), &json!(content)));
        }
        client.tell(json!({"type": "ack", "seq": 1}));
        client.tell(json!({"type": "ping"}));
        assert_eq!(client.json()["type"], "pong");
        client.tell("close");
        let closed = client.json();
        assert_eq!(closed["closed"], 1000, "{closed}");
        server.wait_until_away(user);

        publish(&server, to, "after");
        let (mut client, welcome) = online(&server, subprotocol, user, "tab");
        assert_eq!(welcome["resumed"], true);
        let (second, third) = (client.json(), client.json());
        assert_eq!((&second["seq"], &second["redelivered"]), (&json!(2), &json!(true)));
        assert_eq!((&third["seq"], &third["content"]), (&json!(3), &json!("after")));
    }
}

#[test]
fn a_notice_reaches_both_forms_and_a_client_may_publish() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    let (mut json, _) = online(&server, JSON, "ada", "tab");
    let (mut packed, _) = online(&server, MSGPACK, "bob", "tab");
    packed.tell(json!({"type": "publish", "ref": 7, "message": {"to": {"all": true}, "content": "hi"}}));
    assert_eq!(json.json()["content"], "hi");
    // Its own notice and the answer may come in either order.
    let came = [packed.json(), packed.json()];
    assert!(came.iter().any(|frame| frame["type"] == "published" && frame["ref"] == 7), "{came:?}");
    assert!(came.iter().any(|frame| frame["content"] == "hi"), "{came:?}");
}

#[test]
fn a_token_may_stand_in_hello_in_a_header_or_in_the_address() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path(), &["--shared-secret", "s3cret"]);
    let mut in_header =
        Client::websocket(&url(&server, "?user=ada&device=tab"), JSON, &["Authorization=Bearer s3cret"]);
    in_header.tell(json!({"type": "hello"}));
    let welcome = in_header.json();
    assert_eq!((&welcome["user"], &welcome["device"]), (&json!("ada"), &json!("tab")));
    let mut in_address = Client::websocket(&url(&server, "?token=s3cret"), JSON, &[]);
    in_address.tell(json!({"type": "hello", "user": "bob"}));
    assert_eq!(in_address.json()["user"], "bob");
    let mut wrong = Client::websocket(&url(&server, ""), JSON, &[]);
    wrong.tell(json!({"type": "hello", "user": "bob", "token": "guess"}));
    assert_eq!(wrong.json()["code"], "unauthorized");
    assert_eq!(wrong.json()["closed"], 4001);
}

#[test]
fn each_end_has_a_status_of_its_own_and_a_bye_before_it() {
    let directory = tempdir().unwrap();
    let mut server = Server::start(directory.path(), &["--limits-opening-deadline", "500ms"]);
    let frame = Raw::frame;
    let long = vec![b'a'; 2 * 1024 * 1024];
    let first_frames: [(&[u8], u16); 8] = [
        (&frame(0xc1, b"{}"), 1002),
        (&[0x81, 2, b'{', b'}'], 1002),
        (&frame(0x82, b"{}"), 1003),
        (&frame(0x81, b"\xff"), 1007),
        (&frame(0x81, &long), 1009),
        (&frame(0x81, b"nonsense"), 4000),
        (&frame(0x81, br#"{"type":"ping"}"#), 4000),
        (&[], 4002),
    ];
    for (bytes, expected) in first_frames {
        let (mut raw, status, _) = Raw::open(&server, "/v1/ws", "", b"");
        assert_eq!(status, 101);
        // The server may close before it has read all of a frame that is too long.
        let _ = raw.0.get_mut().write_all(bytes);
        let (bye, code) = raw.end();
        assert_eq!(code, expected, "{bye}");
    }
    for (bytes, expected) in &first_frames[..6] {
        let (mut raw, ..) = Raw::open(&server, "/v1/ws", "", &Raw::hello("eve"));
        assert_eq!(raw.object()["type"], "welcome");
        let _ = raw.0.get_mut().write_all(bytes);
        assert_eq!(raw.end().1, *expected);
    }
    let (mut replaced, ..) = Raw::open(&server, "/v1/ws", "", &Raw::hello("ada"));
    replaced.object();
    let (mut dismissed, ..) = Raw::open(&server, "/v1/ws", "", &Raw::hello("ada"));
    dismissed.object();
    let (bye, code) = replaced.end();
    assert_eq!((bye["code"].as_str(), code), (Some("replaced"), 4003));
    server.http().call("DELETE", "/v1/users/ada/sessions", "");
    let (bye, code) = dismissed.end();
    assert_eq!((bye["code"].as_str(), code), (Some("dismissed"), 4006));

    let (mut last, ..) = Raw::open(&server, "/v1/ws", "", &Raw::hello("ada"));
    last.object();
    server.signal("-TERM");
    let (bye, code) = last.end();
    assert_eq!((bye["code"].as_str(), code), (Some("shutting_down"), 1001));
    assert!(bye["retry_after_ms"].is_u64(), "{bye}");
    assert!(server.child.wait().unwrap().success());
}

#[test]
fn frames_in_parts_pings_between_them_and_what_comes_with_the_handshake_are_heard() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    let hello = json!({"type": "hello", "user": "ada"}).to_string();
    let (begin, rest) = hello.as_bytes().split_at(9);
    let ahead = [Raw::frame(0x01, begin), Raw::frame(0x89, b"there?")].concat();
    let (mut raw, status, head) =
        Raw::open(&server, "/v1/ws", "Sec-WebSocket-Protocol: x, msgserver.v1.json\r\n", &ahead);
    assert_eq!(status, 101);
    // The example of RFC 6455, section 1.3.
    assert!(head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
    assert!(head.contains("sec-websocket-protocol: msgserver.v1.json"), "{head}");
    assert_eq!(raw.next(), (0x8a, b"there?".to_vec()));
    for byte in Raw::frame(0x80, rest) {
        raw.say(&[byte]);
    }
    assert_eq!(raw.object()["type"], "welcome");
    let ping = br#"{"type":"ping"}"#;
    raw.say(&[Raw::frame(0x01, &ping[..3]), Raw::frame(0x00, b""), Raw::frame(0x8a, b"pong")].concat());
    raw.say(&[Raw::frame(0x89, b""), Raw::frame(0x80, &ping[3..])].concat());
    assert_eq!(raw.next(), (0x8a, Vec::new()));
    assert_eq!(raw.object()["type"], "pong");
    // A goodbye is answered with its own status.
    raw.say(&Raw::frame(0x88, &3456u16.to_be_bytes()));
    assert_eq!(raw.next(), (0x88, 3456u16.to_be_bytes().to_vec()));
}

#[test]
fn who_is_silent_is_asked_and_then_left() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path(), &["--sessions-heartbeat", "1s"]);
    // The library answers pings by itself.
    let (mut client, _) = online(&server, JSON, "ada", "tab");
    let (mut raw, ..) = Raw::open(&server, "/v1/ws", "", &Raw::hello("bob"));
    raw.object();
    assert_eq!(raw.next(), (0x89, Vec::new()));
    while raw.0.fill_buf().unwrap()[0] == 0x89 {
        raw.next();
    }
    let (bye, code) = raw.end();
    assert_eq!((bye["code"].as_str(), code), (Some("heartbeat_missed"), 4005));
    publish(&server, json!({"user": "ada"}), "still there");
    assert_eq!(client.json()["content"], "still there");
}

#[test]
fn only_pages_of_this_host_and_of_named_origins_may_connect() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path(), &["--browser-origins", "https://app.example.org"]);
    let own = format!("Origin: http://{}\r\n", server.address("http"));
    for (origin, expected) in [
        ("", 101),
        (own.as_str(), 101),
        ("Origin: https://app.example.org\r\n", 101),
        ("Origin: https://evil.example\r\n", 403),
        ("Origin: null\r\n", 403),
    ] {
        let (_, status, _) = Raw::open(&server, "/v1/ws", origin, b"");
        assert_eq!(status, expected, "{origin}");
    }
    for (headers, expected) in [("Sec-WebSocket-Protocol: mqtt\r\n", 400)] {
        assert_eq!(Raw::open(&server, "/v1/ws", headers, b"").1, expected, "{headers}");
    }
    server.http().request("GET", "/v1/ws", "").unwrap().assert_problem(426);
    server.http().request("GET", "/v1/ws?user=", "").unwrap().assert_problem(400);
}

#[test]
fn a_full_server_and_one_that_cannot_tell_who_is_who_say_so_in_http() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path(), &["--limits-connections", "1"]);
    let (mut first, ..) = Raw::open(&server, "/v1/ws", "", &Raw::hello("ada"));
    first.object();
    assert_eq!(Raw::open(&server, "/v1/ws", "", b"").1, 503);
    assert_eq!(server.stats()["connections_refused"], 1);
    drop(first);
    server.wait_for("connections", 0);
    let (mut next, ..) = Raw::open(&server, "/v1/ws", "", &Raw::hello("ada"));
    assert_eq!(next.object()["type"], "welcome");

    let directory = tempdir().unwrap();
    let flags = ["--http", "0.0.0.0:0", "--api-key", "k", "--listen", "off", "--frame", "off"];
    let open = Server::start(directory.path(), &flags);
    assert_eq!(Raw::open(&open, "/v1/ws?user=ada", "", b"").1, 403);
    assert_eq!(Raw::open(&open, "/v1/ws?user=ada&token=k", "", b"").1, 101);
}

#[test]
fn garbage_and_half_frames_cost_nobody_anything() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path(), &[]);
    let (mut client, _) = online(&server, JSON, "ada", "tab");
    let mut half_said = Vec::new();
    for n in 0..200u32 {
        let (mut raw, ..) = Raw::open(&server, "/v1/ws", "", &Raw::hello(&format!("u{n}")));
        raw.object();
        let bytes: Vec<u8> =
            (0..64).map(|i| (n.wrapping_mul(2_654_435_761).rotate_left(i) >> 7) as u8).collect();
        let _ = raw.0.get_mut().write_all(&bytes);
        half_said.push(raw);
    }
    publish(&server, json!({"user": "ada"}), "undisturbed");
    assert_eq!(client.json()["content"], "undisturbed");
    drop(half_said);
    server.wait_for("connections", 1);
    assert!(!server.log().contains("panic"), "{}", server.log());
}
