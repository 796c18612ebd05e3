//! The TCP doors of the real binary against clients that do what no well-meaning client does.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]

mod support;

use std::io::{BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::{Value, json};
use support::{AtEnd, Http, Server, bar, hello, read_frame, until, write_frame};

fn start(flags: &[&str]) -> (tempfile::TempDir, Server) {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), flags);
    (directory, server)
}

fn framed(payload: &[u8]) -> Vec<u8> {
    [&(payload.len() as u32).to_be_bytes(), payload].concat()
}

/// Everything that the server says until it closes.
fn rest(mut socket: TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    match socket.read_to_end(&mut said) {
        Ok(_) => {}
        Err(fault) => {
            let said = String::from_utf8_lossy(&said);
            assert_eq!(fault.kind(), ErrorKind::ConnectionReset, "the server has not closed: {said}");
        }
    }
    said
}

/// The `bye` that ends what the server says.
fn bye(socket: TcpStream) -> Value {
    let said = rest(socket);
    let mut unread = &said[..];
    loop {
        let frame = read_frame(&mut unread);
        if unread.is_empty() {
            assert_eq!(frame["type"], "bye", "{frame}");
            assert!(frame["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{frame}");
            return frame;
        }
    }
}

#[test]
fn garbage_on_the_frame_door_is_told_so_before_and_after_hello() {
    let (_directory, server) = start(&["--store", "memory"]);
    let (mut bystander, _) = hello(&server, "ada", "phone");
    let deep = format!(r#"{{"type":"ping","new":{}1{}}}"#, "[".repeat(5000), "]".repeat(5000));
    let publish = |json: &str| framed(format!(r#"{{"type":"publish","ref":1,"message":{json}}}"#).as_bytes());
    let never: Vec<(&str, Vec<u8>)> = vec![
        ("a length over every limit", b"\xff\xff\xff\xff".to_vec()),
        ("a length just over the limit", (1024 * 1024 + 4097u32).to_be_bytes().to_vec()),
        ("an empty frame", framed(b"")),
        ("not JSON", framed(b"hello")),
        ("half of JSON", framed(br#"{"type":"hello""#)),
        ("not UTF-8", framed(b"{\"type\":\"hello\",\"user\":\"\xff\"}")),
        ("not an object", framed(br#"[{"type":"hello"}]"#)),
        ("a type alone in an array", framed(br#"["hello"]"#)),
        ("two objects", framed(br#"{"type":"ping"}{"type":"ping"}"#)),
        ("no type", framed(br#"{"user":"ada"}"#)),
        ("a type of a wrong type", framed(br#"{"type":["hello"]}"#)),
        ("an unknown type", framed(br#"{"type":"dance"}"#)),
        ("a negative number", framed(br#"{"type":"ack","seq":-1}"#)),
        ("a fraction", framed(br#"{"type":"ack","seq":1.5}"#)),
        ("a number beyond all", framed(br#"{"type":"ack","seq":18446744073709551616}"#)),
        ("nested too deep", framed(deep.as_bytes())),
        ("an HTTP request", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()),
    ];
    for (what, bytes) in &never {
        let mut socket = server.connect("frame");
        socket.write_all(bytes).unwrap();
        assert_eq!(bye(socket)["code"], "bad_frame", "{what}");
        let (mut socket, _) = hello(&server, "eve", "phone");
        socket.write_all(bytes).unwrap();
        assert_eq!(bye(socket)["code"], "bad_frame", "{what} after hello");
    }
    let user = |user: &str| json!({"type": "hello", "user": user}).to_string();
    for first in [
        user(""),
        user(&"x".repeat(257)),
        user("a\u{0}b"),
        r#"{"type":"hello","user":7}"#.to_owned(),
        r#"{"type":"hello","device":""}"#.to_owned(),
        r#"{"type":"hello","token":7}"#.to_owned(),
        r#"{"type":"ping"}"#.to_owned(),
        r#"{"type":"ack","seq":1}"#.to_owned(),
    ] {
        let mut socket = server.connect("frame");
        socket.write_all(&framed(first.as_bytes())).unwrap();
        assert_eq!(bye(socket)["code"], "bad_frame", "{first}");
    }
    // What may be said, though not now or not here, is answered and the session goes on.
    bystander.write_all(&publish(&format!("{}1{}", "[".repeat(5000), "]".repeat(5000)))).unwrap();
    assert_eq!(read_frame(&mut bystander)["code"], "invalid");
    for (frame, code) in [
        (json!({"type": "hello", "user": "eve"}), "unexpected_frame"),
        (json!({"type": "ack", "seq": u64::MAX}), "unexpected_frame"),
    ] {
        write_frame(&mut bystander, &frame);
        assert_eq!(read_frame(&mut bystander)["code"], code, "{frame}");
    }
    write_frame(&mut bystander, &json!({"type": "ping"}));
    assert_eq!(read_frame(&mut bystander)["type"], "pong");
    drop(bystander);
    server.wait_for("connections", 0);
}

#[test]
fn a_frame_in_pieces_or_many_in_one_are_the_same() {
    let (_directory, server) = start(&["--store", "memory"]);
    let mut socket = server.connect("frame");
    socket.set_nodelay(true).unwrap();
    let mut bytes = framed(br#"{"type":"hello","user":"ada","device":"phone"}"#);
    for _ in 0..50 {
        bytes.extend(framed(br#"{"type":"ping"}"#));
    }
    let (slowly, at_once) = bytes.split_at(200);
    for byte in slowly {
        socket.write_all(&[*byte]).unwrap();
    }
    socket.write_all(at_once).unwrap();
    assert_eq!(read_frame(&mut socket)["type"], "welcome");
    for _ in 0..50 {
        assert_eq!(read_frame(&mut socket)["type"], "pong");
    }
}

#[test]
fn garbage_as_msgpack_is_told_so() {
    let (_directory, server) =
        start(&["--protocol", "frame", "--serializer", "msgpack", "--store", "memory"]);
    // {"type": "ping", "new": [[[[…
    let deep = [&b"\x82\xa4type\xa4ping\xa3new"[..], &[0x91; 60_000], b"\x01"].concat();
    for bytes in [
        &b"\xc1"[..],
        b"\x81\xa4type\xa4hell",
        b"\xdf\xff\xff\xff\xff",
        b"\x81\xa4type\xdb\xff\xff\xff\xff",
        b"\x82\xa4type\xa3ack\xa3seq\xcb\x7f\xf0\0\0\0\0\0\0",
        &deep,
    ] {
        let mut socket = server.connect("listen");
        socket.write_all(&framed(bytes)).unwrap();
        let said = String::from_utf8_lossy(&rest(socket)).into_owned();
        assert!(said.contains("bye") && said.contains("bad_frame"), "{said:?}");
    }
    hello(&server, "ada", "phone");
}

#[test]
fn garbage_as_authentication_is_refused_in_words() {
    let (_directory, server) = start(&["--shared-secret", "123456", "--store", "memory"]);
    let long = format!("{};123456|", "x".repeat(257));
    for (text, reason) in [
        (&b"|"[..], "password is wrong"),
        (b"||||", "password is wrong"),
        (b"ada|", "password is wrong"),
        (b"ada;|", "password is wrong"),
        (b"ada;1234567|", "password is wrong"),
        (b"ada;123456\0|", "password is wrong"),
        (b";123456|", "at least one character"),
        (b"a\x01da;123456|", "control character"),
        (b"a\nda;123456|", "control character"),
        (long.as_bytes(), "256 bytes"),
        (b"\xff\xfe;123456|", "not UTF-8"),
        (b"\0\0\0\0|", "password is wrong"),
        (&[b'x'; 5000], "4096 bytes"),
        (&[b'|'; 100_000], "password is wrong"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "password is wrong"),
    ] {
        let mut socket = server.connect("listen");
        socket.write_all(text).unwrap();
        let said = String::from_utf8(rest(socket)).unwrap();
        assert!(
            said.contains(reason),
            "{:?}: {said:?}",
            String::from_utf8_lossy(&text[..text.len().min(40)])
        );
    }
    // Without end, from a client that does not listen.
    let mut endless = server.connect("listen");
    while endless.write_all(&[b'x'; 10_000]).is_ok() {}
    // Gone in the middle, one way or the other.
    drop(server.connect("listen"));
    server.connect("listen").write_all(b"ada;12").unwrap();
    let half = server.connect("listen");
    half.shutdown(Shutdown::Write).unwrap();
    assert!(String::from_utf8(rest(half)).unwrap().contains("ended before authentication"));
    for token in [json!(null), json!(""), json!("12345"), json!("x".repeat(60_000))] {
        let mut socket = server.connect("frame");
        write_frame(&mut socket, &json!({"type": "hello", "user": "ada", "token": token}));
        assert_eq!(bye(socket)["code"], "unauthorized");
    }
    assert_eq!(server.stats()["connections"], 0);
    let log = server.log();
    assert!(!log.contains("123456") && log.lines().all(|line| !line.contains('\0')), "{log}");

    let mut socket = BufReader::new(server.connect("listen"));
    socket.get_mut().write_all(b"ada;123456|").unwrap();
    server.wait_for("users", 1);
    server.post("/msg/sender", &json!({"To": "ada", "Content": "still here"}));
    assert_eq!(bar(&mut socket), "\"still here\"");
    // An old client that says it is done is offline.
    socket.get_ref().shutdown(Shutdown::Write).unwrap();
    server.wait_for("connections", 0);
}

#[test]
fn an_old_client_that_talks_on_is_not_minded() {
    let (_directory, server) = start(&["--store", "memory"]);
    let mut socket = server.connect("listen");
    for _ in 0..500 {
        socket.write_all(&[b'|'; 10_000]).unwrap();
    }
    server.wait_for("connections", 1);
    server.post("/msg/sender", &json!({"Content": "hello"}));
    assert_eq!(bar(&mut BufReader::new(socket)), "\"hello\"");
}

#[test]
fn who_never_reads_costs_bounded_memory_and_is_closed_or_waited_for() {
    let (_directory, server) = start(&[]);
    let deaf: Vec<_> = (0..20).map(|_| server.connect("listen")).collect();
    let (slow, _) = hello(&server, "slow", "phone");
    let (mut quick, _) = hello(&server, "quick", "phone");
    server.wait_for("connections", 22);
    let mut http = Http::connect(server.address("http")).unwrap();
    let content = "x".repeat(500_000);
    let mut publish = |to: Value, count: usize| {
        for _ in 0..count {
            let message = json!({"to": to, "content": content});
            assert_eq!(http.post("/v1/messages", &message).unwrap().status, 202);
        }
    };
    publish(json!({"user": "slow"}), 2);
    let before = server.memory();
    // Of notices only so much is kept for a client, then it is closed.
    for _ in 0..60 {
        publish(json!({"all": true}), 1);
        assert_eq!(read_frame(&mut quick)["content"], content);
    }
    drop(quick);
    until(|| (server.stats()["connections"] == 0).then_some(()));
    for socket in deaf {
        rest(socket);
    }
    // Also for the one that acknowledges: its inbox has the rest.
    rest(slow);
    let grown = server.memory().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more");
    assert!(server.log().contains("does not read"), "{}", server.log());
}

#[test]
fn a_backlog_stays_in_the_store_and_not_in_memory() {
    let (_directory, server) = start(&[]);
    let mut http = Http::connect(server.address("http")).unwrap();
    let mut slow: Vec<_> = (0..10).map(|n| hello(&server, &format!("slow{n}"), "phone").0).collect();
    let users: Vec<_> = (0..10).map(|n| format!("slow{n}")).collect();
    let message = json!({"to": {"users": users}, "content": "x".repeat(100_000)});
    let before = server.memory();
    for _ in 0..200 {
        assert_eq!(http.post("/v1/messages", &message).unwrap().status, 202);
    }
    let grown = server.memory().saturating_sub(before);
    // 200 MB wait; an outbox may hold 1 MiB, and the store has a cache.
    assert!(grown < 120 << 20, "{grown} bytes more");
    for socket in &mut slow {
        for seq in 1..=200 {
            assert_eq!(read_frame(socket)["seq"], seq);
        }
    }
}

#[test]
fn a_flood_from_one_client_neither_delays_others_nor_costs_memory() {
    let (_directory, server) = start(&[]);
    let before = server.memory();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for (user, frame) in
            [("pinging", json!({"type": "ping"})), ("acking", json!({"type": "ack", "seq": 1}))]
        {
            let (mut flood, _) = hello(&server, user, "phone");
            server.post("/v1/messages", &json!({"to": {"user": user}, "content": "x"}));
            read_frame(&mut flood);
            let mut answers = flood.try_clone().unwrap();
            let frames = framed(frame.to_string().as_bytes()).repeat(1000);
            let over = &over;
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    flood.write_all(&frames).unwrap();
                }
                flood.shutdown(Shutdown::Both).unwrap();
            });
            scope.spawn(move || std::io::copy(&mut answers, &mut std::io::sink()));
        }
        let ends = AtEnd(|| over.store(true, Ordering::Relaxed));
        for n in 0..50 {
            let (mut socket, _) = hello(&server, &format!("ada{n}"), "phone");
            write_frame(&mut socket, &json!({"type": "ping"}));
            assert_eq!(read_frame(&mut socket)["type"], "pong");
            server.post("/v1/messages", &json!({"to": {"user": format!("ada{n}")}, "content": n}));
            assert_eq!(read_frame(&mut socket)["content"], n);
            server.post("/v1/messages", &json!({"to": {"all": true}, "content": "all"}));
            assert_eq!(read_frame(&mut socket)["content"], "all");
        }
        let grown = server.memory().saturating_sub(before);
        drop(ends);
        assert!(grown < 64 << 20, "{grown} bytes more");
    });
}

/// How many descriptors this process may have open; raised as far as it may go.
fn own_descriptors() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    limit.current.unwrap_or(u64::MAX)
}

#[test]
fn ten_thousand_connections_that_open_and_close_at_once_leave_nothing_behind() {
    let count = 10_000.min(own_descriptors().saturating_sub(500) as usize);
    let directory = tempfile::tempdir().unwrap();
    // As most systems start a process: the server raises its limit itself.
    let server = Server::start_under("-Sn 1024", directory.path(), &["--store", "memory"]);
    let storm = |count: usize| {
        let threads = 8;
        let all_open = std::sync::Barrier::new(threads);
        std::thread::scope(|scope| {
            for thread in 0..threads {
                let (server, all_open) = (&server, &all_open);
                scope.spawn(move || {
                    let mut sockets = Vec::new();
                    for n in (thread..count).step_by(threads) {
                        if n % 2 == 0 {
                            sockets.push(server.connect("listen"));
                        } else {
                            let mut socket = server.connect("frame");
                            let user = format!("user{n}");
                            write_frame(&mut socket, &json!({"type": "hello", "user": user}));
                            sockets.push(socket);
                        }
                    }
                    if all_open.wait().is_leader() {
                        server.wait_for("connections", count as u64);
                    }
                    all_open.wait();
                    // Closed all at once, and half of them with bytes that were never read: a reset.
                    drop(sockets);
                });
            }
        });
        server.wait_for("connections", 0);
    };
    storm(100);
    let (descriptors, memory) = (server.descriptors(), server.memory());
    const STORMS: usize = 6;
    for _ in 0..STORMS {
        storm(count);
    }
    // Two of them for whoever asks over HTTP at the time.
    until(|| (server.descriptors() <= descriptors + 2).then_some(()));
    // The allocator keeps some of what the crowd needed, and each of 5,000 users has an inbox now. Were a part of
    // each connection kept, it would be far more after six storms.
    let left = server.memory().saturating_sub(memory);
    assert!(left < 400 * (STORMS * count) as u64, "{left} bytes are left");

    let (mut socket, _) = hello(&server, "ada", "phone");
    server.post("/v1/messages", &json!({"to": {"user": "ada"}, "content": "still here"}));
    assert_eq!(read_frame(&mut socket)["content"], "still here");
}

#[test]
fn when_descriptors_run_out_the_others_are_served_and_the_log_says_so_once() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start_under("-n 128", directory.path(), &["--store", "memory"]);
    let mut http = Http::connect(server.address("http")).unwrap();
    let (mut ada, _) = hello(&server, "ada", "phone");
    let mut others: Vec<_> = (0..300).map(|_| server.connect("listen")).collect();
    let turned_away = || http_stats(&server)["connections_refused"].as_u64().unwrap();
    // All of them: one that still waits to be accepted when there is no descriptor left would be news at its door too.
    until(|| {
        let stats = http_stats(&server);
        let met = stats["connections"].as_u64()? + stats["connections_refused"].as_u64()?;
        (met == 301).then_some(())
    });
    assert!(turned_away() > 150);
    let mut said = String::new();
    others.pop().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("connections of this server are taken"), "{said}");
    assert_eq!(bye(server.connect("frame"))["code"], "unavailable");

    // What is reserved for HTTP is taken as well, by clients that say nothing.
    let silent: Vec<_> = (0..100).map(|_| server.connect("http")).collect();
    until(|| (server.descriptors() >= 128).then_some(()));
    for n in 0..100 {
        let message = json!({"to": {"user": "ada"}, "content": n});
        assert_eq!(http.post("/v1/messages", &message).unwrap().status, 202);
        assert_eq!(read_frame(&mut ada)["content"], n);
    }
    // One line each, not one a try.
    let log = server.log();
    for (line, doors) in [("the server is full", 1), ("connections have to wait", 1)] {
        assert_eq!(log.matches(line).count(), doors, "{log}");
    }

    drop((others, silent));
    until(|| (http_stats(&server)["connections"] == 1).then_some(()));
    hello(&server, "eve", "phone");
}

/// The figures, over a connection that may have to wait until it is accepted.
fn http_stats(server: &Server) -> Value {
    let mut http = Http::connect(server.address("http")).unwrap();
    serde_json::from_str(&http.request("GET", "/v1/stats", "").unwrap().body).unwrap()
}
