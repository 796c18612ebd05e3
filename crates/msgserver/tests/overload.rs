//! More than the real binary can take: a herd that comes back, clients that do not read, publishers that are faster
//! than the store. Each costs a limited amount of memory, is told when to come back, and delays nobody else.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]

mod support;

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use support::{AtEnd, PATIENCE, Redis, Server, contents, hello, put_frame, read_frame, until, write_frame};

fn say_hello(server: &Server, user: &str) -> TcpStream {
    let mut socket = server.connect("frame");
    write_frame(&mut socket, &json!({"type": "hello", "user": user}));
    socket
}

#[test]
fn a_herd_is_let_in_at_a_pace_while_the_connected_are_served() {
    let directory = tempfile::tempdir().unwrap();
    const HERD: usize = 20;
    const BURST: u64 = 10;
    let flags = ["--admission-rate", "1", "--admission-burst", "10", "--limits-opening-deadline", "60s"];
    let server = Server::start(directory.path(), &flags);
    let mut http = server.http();
    let (mut ada, _) = hello(&server, "ada", "phone");
    let users: Vec<_> = (0..HERD).map(|n| format!("herd{n}")).collect();
    http.publish_all((0..5).map(|n| json!({"to": {"users": users}, "content": n})));

    let mut herd: Vec<_> = users.iter().map(|user| say_hello(&server, user)).collect();
    until(|| (server.stats()["connections"].as_u64().unwrap() >= BURST).then_some(()));
    for n in 0..50 {
        http.publish(&json!({"to": {"user": "ada"}, "content": n}));
        assert_eq!(read_frame(&mut ada)["content"], n);
    }
    // The pace gives the rest as many seconds as there are of them.
    assert!(server.stats()["connections"].as_u64().unwrap() < HERD as u64 + 1, "let in all at once");
    for socket in &mut herd {
        assert_eq!(read_frame(socket)["type"], "welcome");
        assert_eq!(contents(socket, 5), [0, 1, 2, 3, 4]);
    }
}

#[test]
fn who_finds_nothing_does_not_wait_behind_the_herd() {
    let directory = tempfile::tempdir().unwrap();
    const HERD: usize = 19;
    const BURST: u64 = 10;
    let flags = ["--admission-rate", "1", "--admission-burst", "10", "--admission-parallel", "1"];
    let server = Server::start(directory.path(), &flags);
    let users: Vec<_> = (0..HERD).map(|n| format!("herd{n}")).collect();
    server.http().publish(&json!({"to": {"users": users}, "content": "waits"}));
    let _herd: Vec<_> = users.iter().map(|user| say_hello(&server, user)).collect();
    until(|| (server.stats()["connections"].as_u64().unwrap() >= BURST).then_some(()));
    // The others have a turn each second; one more place is left beside them.
    let (_ada, _) = hello(&server, "ada", "phone");
    assert!(server.stats()["connections"].as_u64().unwrap() < HERD as u64 + 1, "it came last");
}

#[test]
fn who_has_waited_too_long_at_the_door_is_told_when_to_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--admission-rate", "1", "--admission-burst", "4", "--limits-opening-deadline", "1s"];
    let server = Server::start(directory.path(), &flags);
    let users: Vec<_> = (0..10).map(|n| format!("user{n}")).collect();
    server.http().publish(&json!({"to": {"users": users}, "content": "waits"}));
    let mut came = [false; 10];
    let mut sent_away = 0;
    until(|| {
        let outside: Vec<_> = (0..came.len()).filter(|n| !came[*n]).collect();
        let sockets: Vec<_> = outside.iter().map(|n| say_hello(&server, &users[*n])).collect();
        for (n, mut socket) in outside.into_iter().zip(sockets) {
            let frame = read_frame(&mut socket);
            if frame["type"] == "welcome" {
                came[n] = true;
                continue;
            }
            assert_eq!((&frame["type"], &frame["code"]), (&json!("bye"), &json!("unavailable")), "{frame}");
            assert!(frame["retry_after_ms"].as_u64().is_some_and(|wait| wait <= 5000), "{frame}");
            sent_away += 1;
        }
        came.iter().all(|came| *came).then_some(())
    });
    assert!(sent_away > 0);
}

/// A client of whose bytes the kernels of both sides hold little: else each would hide some MiB of them.
fn connect_narrowly(server: &Server, user: &str) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.set_tcp_mss(536).unwrap();
    let address: SocketAddr = server.address("frame").parse().unwrap();
    socket.connect(&address.into()).unwrap();
    let mut socket = TcpStream::from(socket);
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    write_frame(&mut socket, &json!({"type": "hello", "user": user}));
    assert_eq!(read_frame(&mut socket)["type"], "welcome");
    socket
}

#[test]
fn a_thousand_clients_that_do_not_read_cost_their_outboxes_and_delay_nobody() {
    const SLOW: usize = 1000;
    const MESSAGES: usize = 40;
    const OUTBOX: u64 = 16 << 10;
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--limits-outbox-bytes", "16 KiB", "--sessions-ack-timeout", "1h"];
    let server = Server::start_under("-Sn 1024", directory.path(), &flags);
    let mut http = server.http();
    let (mut quick, _) = hello(&server, "quick", "phone");
    let users: Vec<_> = (0..SLOW).map(|n| format!("slow{n}")).collect();
    let mut slow: Vec<_> = users.iter().map(|user| connect_narrowly(&server, user)).collect();
    let content = |n: usize| json!([n, "x".repeat(4 << 10)]);
    // What the store needs at most, when nobody is there: its memory grows until it hands over what has changed.
    let away: Vec<_> = (0..SLOW).map(|n| format!("away{n}")).collect();
    let (mut store, mut most) = (0, 0);
    for n in 0..3 * MESSAGES {
        http.publish(&json!({"to": {"users": away}, "content": content(n)}));
        store = store.max(server.memory());
    }
    for n in 0..MESSAGES {
        http.publish(&json!({"to": {"users": users}, "content": content(n)}));
        http.publish(&json!({"to": {"user": "quick"}, "content": n}));
        assert_eq!(read_frame(&mut quick)["content"], n);
        most = most.max(server.memory());
    }
    // All that waits is ten times as much as the outboxes hold; the store's own memory goes up and down meanwhile.
    let (grown, allowed) = (most.saturating_sub(store), SLOW as u64 * OUTBOX * 3 / 2 + (96 << 20));
    assert!(allowed < (SLOW * MESSAGES * (4 << 10)) as u64);
    assert!(grown < allowed, "{grown} bytes more, {allowed} are allowed");
    assert_eq!(server.stats()["connections"], SLOW + 1);
    for socket in &mut slow {
        for n in 0..MESSAGES {
            assert_eq!(read_frame(socket)["content"], content(n));
        }
    }
}

#[test]
fn publishers_are_told_to_wait_before_memory_runs_out_and_taken_again_when_the_store_is_back() {
    let (directory, redis) = (tempfile::tempdir().unwrap(), Redis::start());
    let flags = ["--store", &redis.url(), "--limits-publishing-bytes", "32 MiB"];
    let server = Server::start(directory.path(), &flags);
    let (mut publisher, _) = hello(&server, "publisher", "phone");
    let message = json!({"to": {"user": "ada"}, "content": "x".repeat(1_000_000)});
    server.http().publish(&message);
    let before = server.memory();

    redis.signal("-STOP");
    let (over, refused) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let _over = AtEnd(|| over.store(true, Ordering::Relaxed));
        // Together they send more than there is room for, and so does each kind of publisher below find none.
        for _ in 0..40 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    // Who is refused before its body is read to the end loses its connection as well.
                    let answer = server.http().post("/v1/messages", &message).unwrap();
                    match answer.status {
                        429 => {
                            answer.assert_problem(429);
                            refused.fetch_add(1, Ordering::Relaxed);
                        }
                        202 => {}
                        // The store has not answered for too long.
                        _ => answer.assert_problem(503),
                    }
                }
            });
        }
        until(|| (refused.load(Ordering::Relaxed) > 0).then_some(()));
        let batch: Value = (0..7).map(|_| message.clone()).collect();
        until(|| {
            let answer = server.http().post("/v1/messages/batch", &batch).unwrap();
            // All of it, or what of it found no room.
            let statuses = serde_json::from_str::<Value>(&answer.body).unwrap();
            (answer.status == 429 || statuses.to_string().contains("429")).then_some(())
        });
        until(|| {
            put_frame(&mut publisher, &json!({"type": "publish", "ref": 1, "message": message})).unwrap();
            let answer = read_frame(&mut publisher);
            (answer["code"] == "overloaded").then_some(())
        });
        let grown = server.memory().saturating_sub(before);
        assert!(grown < 160 << 20, "{grown} bytes more");
        // Who only asks is answered as ever.
        assert_eq!(server.http().request("GET", "/healthz", "").unwrap().status, 200);
        redis.signal("-CONT");
    });
    until(|| (server.http().post("/v1/messages", &message).unwrap().status == 202).then_some(()));
}

#[test]
fn bodies_that_are_announced_and_do_not_come_take_no_room() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--limits-publishing-bytes", "32 MiB"]);
    let silent: Vec<_> = (0..50)
        .map(|_| {
            let mut socket = server.connect("http");
            let head = "POST /v1/messages/batch HTTP/1.1\r\nHost: a\r\nContent-Length: 8000000\r\n\r\n[";
            socket.write_all(head.as_bytes()).unwrap();
            socket
        })
        .collect();
    server.http().publish(&json!({"to": {"user": "ada"}, "content": "x".repeat(1_000_000)}));
    drop(silent);
}

#[test]
fn a_body_may_be_as_long_as_is_configured() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--limits-body-bytes", "2 KiB"]);
    let mut http = server.http();
    let message = |length: usize| json!({"to": {"user": "ada"}, "content": "x".repeat(length)});
    http.publish(&message(1000));
    http.post("/v1/messages", &message(2100)).unwrap().assert_problem(413);
    let mut http = server.http();
    http.post("/v1/messages/batch", &json!([message(1000), message(1000)])).unwrap().assert_problem(413);
}
