//! The loads under which the first msgserver lost messages and mixed up their order, on the real binary.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]

mod support;

use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;
use support::{Http, Server, bar, hello, read_frame, write_frame};

const CLIENTS: usize = 1000;
const NOTICES: usize = 250;

/// Notices to 1,000 old clients, so many a second or as fast as they are taken.
fn notices_reach_everybody_in_order(pace: Option<u32>) {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start_under("-Sn 1024", directory.path(), &[]);
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| BufReader::new(server.connect("listen"))).collect();
    server.wait_for("connections", CLIENTS as u64);
    std::thread::scope(|scope| {
        for clients in clients.chunks_mut(CLIENTS / 8) {
            scope.spawn(move || {
                for n in 0..NOTICES {
                    for client in &mut *clients {
                        assert_eq!(bar(client), format!("\"notice {n}\""));
                    }
                }
            });
        }
        let mut http = Http::connect(server.address("http")).unwrap();
        let start = Instant::now();
        for n in 0..NOTICES {
            if let Some(pace) = pace {
                let due = start + Duration::from_secs(1) * n as u32 / pace;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            let answer = http.post("/msg/sender", &json!({"To": "", "Content": format!("notice {n}")}));
            assert_eq!(answer.unwrap().body, "1");
        }
    });
    assert_eq!(server.stats()["connections"], CLIENTS);
}

#[test]
fn fifty_notices_a_second_reach_a_thousand_clients_in_order() {
    notices_reach_everybody_in_order(Some(50));
}

#[test]
fn notices_as_fast_as_they_are_taken_reach_a_thousand_clients_in_order() {
    notices_reach_everybody_in_order(None);
}

/// Eight publishers to one user who has a new and an old client.
fn publishers_keep_their_order(store: &str, each: u64) {
    const PUBLISHERS: usize = 8;
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--store", store, "--shared-secret", "S"]);
    let mut phone = server.connect("frame");
    write_frame(&mut phone, &json!({"type": "hello", "user": "ada", "device": "phone", "token": "S"}));
    assert_eq!(read_frame(&mut phone)["type"], "welcome");
    let mut old = server.connect("listen");
    old.write_all(b"ada;S|").unwrap();
    server.wait_for("connections", 2);

    let read_phone = |mut socket: TcpStream| {
        let mut frames = BufReader::new(socket.try_clone().unwrap());
        let mut next = [0; PUBLISHERS];
        for seq in 1..=PUBLISHERS as u64 * each {
            let frame = read_frame(&mut frames);
            assert_eq!(frame["seq"], seq);
            let publisher = frame["content"][0].as_u64().unwrap() as usize;
            assert_eq!(frame["content"][1], next[publisher]);
            next[publisher] += 1;
            if seq % 100 == 0 {
                write_frame(&mut socket, &json!({"type": "ack", "seq": seq}));
            }
        }
    };
    let read_old = |socket: TcpStream| {
        let mut frames = BufReader::new(socket);
        let mut next = [0; PUBLISHERS];
        for _ in 0..PUBLISHERS as u64 * each {
            let [publisher, n]: [usize; 2] = serde_json::from_str(&bar(&mut frames)).unwrap();
            assert_eq!(n, next[publisher]);
            next[publisher] += 1;
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| read_phone(phone));
        scope.spawn(|| read_old(old));
        for publisher in 0..PUBLISHERS {
            let server = &server;
            scope.spawn(move || {
                let mut http = Http::connect(server.address("http")).unwrap();
                for n in 0..each {
                    let message = json!({"to": {"user": "ada"}, "content": [publisher, n]});
                    assert_eq!(http.post("/v1/messages", &message).unwrap().status, 202);
                }
            });
        }
    });
    server.wait_for("stored", 0);
}

#[test]
fn eight_publishers_to_one_user_keep_their_order() {
    publishers_keep_their_order("memory", 10_000);
}

#[test]
fn eight_publishers_to_one_user_keep_their_order_on_disk() {
    publishers_keep_their_order("disk", 1250);
}

#[test]
fn a_users_messages_keep_their_order_while_sessions_come_and_go() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--store", "memory"]);
    const MESSAGES: u64 = 3000;
    std::thread::scope(|scope| {
        for device in ["phone", "tablet"] {
            // Known before the first message, so that it gets all of them.
            drop(hello(&server, "ada", device));
            let server = &server;
            scope.spawn(move || {
                let (mut seen, mut connection) = (0, 0);
                while seen < MESSAGES {
                    connection += 1;
                    let (mut socket, welcome) = hello(server, "ada", device);
                    assert_eq!(welcome["resumed"], true);
                    // A few messages of each connection, of which it acknowledges some, or none.
                    for n in 1..=connection % 40 {
                        let frame = read_frame(&mut socket);
                        if frame["type"] == "bye" {
                            break;
                        }
                        let seq = frame["seq"].as_u64().unwrap();
                        assert_eq!(frame["content"], seq - 1);
                        assert!(seq <= seen + 1, "{seq} came after {seen}");
                        seen = seen.max(seq);
                        if n % 7 == 0 {
                            write_frame(&mut socket, &json!({"type": "ack", "seq": seq}));
                        }
                        if seen == MESSAGES {
                            write_frame(&mut socket, &json!({"type": "ack", "seq": seen}));
                            // The answer comes after the acknowledgement was taken.
                            write_frame(&mut socket, &json!({"type": "ping"}));
                            while read_frame(&mut socket)["type"] != "pong" {}
                            return;
                        }
                    }
                    // Every third goes without a word, when the next is there already.
                    if connection % 3 == 0 {
                        let (_next, _) = hello(server, "ada", device);
                    }
                }
            });
        }
        let mut http = Http::connect(server.address("http")).unwrap();
        for n in 0..MESSAGES {
            let message = json!({"to": {"user": "ada"}, "content": n});
            assert_eq!(http.post("/v1/messages", &message).unwrap().status, 202);
        }
    });
    server.wait_for("stored", 0);
}
