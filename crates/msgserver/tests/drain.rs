//! The end of the real binary: SIGTERM while clients read, do not read, come and publish.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]

mod support;

use std::collections::HashSet;
use std::io::{self, Write};
use std::process::ExitStatus;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use support::{Http, Server, hello, next_frame, put_frame, read_frame, until, write_frame};

/// What was answered with "accepted", by whichever way it was published.
#[derive(Default)]
struct Answered {
    contents: Mutex<HashSet<u64>>,
    next: AtomicU64,
}

impl Answered {
    fn message(&self) -> (u64, Value) {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        (n, json!({"to": {"user": "ada"}, "content": n}))
    }

    fn count(&self) -> usize {
        self.contents.lock().unwrap().len()
    }

    fn note(&self, n: u64) {
        assert!(self.contents.lock().unwrap().insert(n));
    }

    /// One message a request, until the server is gone or says that it stops.
    fn publish_alone(&self, http: &str) -> io::Result<()> {
        let mut http = Http::connect(http)?;
        loop {
            let (n, message) = self.message();
            let answer = http.post("/v1/messages", &message)?;
            if answer.status != 202 {
                answer.assert_problem(503);
                return Ok(());
            }
            self.note(n);
        }
    }

    fn publish_batches(&self, http: &str) -> io::Result<()> {
        let mut http = Http::connect(http)?;
        loop {
            let (numbers, messages): (Vec<_>, Vec<_>) = (0..20).map(|_| self.message()).unzip();
            let answer = http.post("/v1/messages/batch", &json!(messages))?;
            if answer.status != 202 {
                answer.assert_problem(503);
                return Ok(());
            }
            let results: Vec<Value> = serde_json::from_str(&answer.body).unwrap();
            for (n, result) in numbers.into_iter().zip(&results) {
                match &result["id"] {
                    Value::String(_) => self.note(n),
                    _ => assert_eq!(result["status"], 503, "{result}"),
                }
            }
        }
    }

    /// Publishes through a session, with some on their way all the time.
    fn publish_frames(&self, server: &Server) -> io::Result<()> {
        let (mut socket, _) = hello(server, "publisher", "phone");
        for _ in 0..30 {
            self.put(&mut socket)?;
        }
        loop {
            let frame = next_frame(&mut socket)?;
            match frame["type"].as_str().unwrap() {
                "published" => self.note(frame["ref"].as_u64().unwrap()),
                "error" => assert_eq!(frame["code"], "unavailable", "{frame}"),
                "bye" => assert_eq!(frame["code"], "shutting_down", "{frame}"),
                _ => panic!("{frame}"),
            }
            self.put(&mut socket)?;
        }
    }

    fn put(&self, socket: &mut impl Write) -> io::Result<()> {
        let (n, message) = self.message();
        put_frame(socket, &json!({"type": "publish", "ref": n, "message": message}))
    }
}

fn ended(server: &mut Server) -> ExitStatus {
    until(|| server.child.try_wait().unwrap())
}

#[test]
fn what_was_answered_while_the_server_stopped_is_safe() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::start(directory.path(), &["--delivery-drain", "5s"]);
    // Known, and so what comes from now on is kept for it.
    drop(hello(&server, "ada", "phone"));
    server.wait_until_away("ada");
    let (mut reading, _) = hello(&server, "ada", "tablet");
    // This one does not read, also not what is for everybody.
    let _slow = hello(&server, "ada", "television");

    let answered = Answered::default();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| answered.publish_alone(server.address("http")));
        }
        scope.spawn(|| answered.publish_batches(server.address("http")));
        scope.spawn(|| answered.publish_frames(&server));
        let told = scope.spawn(|| {
            loop {
                let frame = read_frame(&mut reading);
                match frame["seq"].as_u64() {
                    Some(seq) => write_frame(&mut reading, &json!({"type": "ack", "seq": seq})),
                    None => return frame,
                }
            }
        });
        until(|| (answered.count() > 500).then_some(()));
        server.signal("-TERM");
        assert_eq!(told.join().unwrap()["code"], "shutting_down");
    });
    assert!(ended(&mut server).success(), "{}", server.log());

    let server = Server::start(directory.path(), &[]);
    let (mut phone, _) = hello(&server, "ada", "phone");
    let mut answered = answered.contents.into_inner().unwrap();
    let mut seen = HashSet::new();
    while !answered.is_empty() {
        let frame = read_frame(&mut phone);
        let n = frame["content"].as_u64().unwrap();
        assert!(seen.insert(n), "{n} came twice");
        answered.remove(&n);
        write_frame(&mut phone, &json!({"type": "ack", "seq": frame["seq"]}));
    }
}

#[test]
fn clients_are_told_to_come_back_at_different_times() {
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--store", "memory", "--sessions-return-within", "30s"];
    let mut server = Server::start(directory.path(), &flags);
    let mut clients: Vec<_> = (0..50).map(|n| hello(&server, &format!("user{n}"), "phone").0).collect();
    server.signal("-TERM");
    let waits: HashSet<u64> = clients
        .iter_mut()
        .map(|client| {
            let bye = read_frame(client);
            assert_eq!(bye["code"], "shutting_down");
            bye["retry_after_ms"].as_u64().unwrap()
        })
        .collect();
    assert!(waits.iter().all(|wait| *wait <= 30_000), "{waits:?}");
    let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
    assert!(waits.len() > 40 && most - least > 10_000, "{waits:?}");
    assert!(ended(&mut server).success());
}

/// A client that leaves more unread than the kernel holds for it.
fn who_does_not_read(server: &Server) -> std::net::TcpStream {
    let (socket, _) = hello(server, "slow", "phone");
    let mut http = server.http();
    for _ in 0..20 {
        http.publish(&json!({"to": {"user": "slow"}, "content": "x".repeat(1_000_000)}));
    }
    socket
}

#[test]
fn who_does_not_read_holds_up_a_stop_no_longer_than_is_configured() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::start(directory.path(), &["--delivery-drain", "500ms"]);
    let _slow = who_does_not_read(&server);
    server.signal("-TERM");
    assert!(ended(&mut server).success(), "{}", server.log());
}

#[test]
fn a_second_signal_ends_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::start(directory.path(), &["--delivery-drain", "1h"]);
    let _slow = who_does_not_read(&server);
    server.signal("-TERM");
    until(|| server.log().contains("draining").then_some(()));
    assert!(server.child.try_wait().unwrap().is_none(), "nothing was left to wait for");
    server.signal("-INT");
    assert_eq!(ended(&mut server).code(), Some(1));
    assert!(server.log().contains("ended before everything was settled"), "{}", server.log());
}

#[test]
fn a_request_under_way_is_answered_before_the_server_ends() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::start(directory.path(), &[]);
    let mut http = server.http();
    http.send("POST /v1/messages HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{").unwrap();
    // Before it, so that the first part has been read.
    server.http().get("/v1/stats");
    server.signal("-TERM");
    http.answer("POST").unwrap().assert_problem(503);
    assert!(ended(&mut server).success());
}
