//! What a large backlog costs: messages for users who are all away, on the disk of the real program. It is killed
//! and started again, and then every user comes and has to get all of them in order.
//!
//! `cargo build --release && cargo bench -p msgserver-benches --bench backlog -- [USERS] [EACH]`; 100,000 users with
//! 10 messages each unless said. The clients need descriptors: `ulimit -n 20000`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream as BlockingStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use program::Server;

mod program;

/// How many messages are in one request.
const BATCH: usize = 1000;

/// How many users are connected at a time while they fetch.
const WAVE: usize = 5000;

fn main() {
    let mut numbers = std::env::args().filter_map(|argument| argument.parse::<usize>().ok());
    let (users, each) = (numbers.next().unwrap_or(100_000), numbers.next().unwrap_or(10));
    let directory = tempfile::tempdir().expect("room");

    let server = Server::start(directory.path(), &[]);
    println!("nothing waits:        ready in {:>6.2} s, {:>6} KiB", server.took, server.anonymous_kib());
    let began = Instant::now();
    publish(&server.http, users, each);
    let count = users * each;
    let rate = count as f64 / began.elapsed().as_secs_f64();
    println!(
        "{count} accepted:     {rate:>8.0} a second, {:>6} KiB, on disk {} MiB",
        server.anonymous_kib(),
        megabytes(directory.path())
    );
    server.kill();

    let server = Server::start(directory.path(), &[]);
    println!("after a kill -9:      ready in {:>6.2} s, {:>6} KiB", server.took, server.anonymous_kib());
    server.stop();

    let server = Server::start(directory.path(), &[]);
    println!("after a stop:         ready in {:>6.2} s, {:>6} KiB", server.took, server.anonymous_kib());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let began = Instant::now();
    for wave in (0..users).collect::<Vec<_>>().chunks(WAVE) {
        let clients: Vec<_> =
            wave.iter().map(|&user| runtime.spawn(fetch(server.frame.clone(), user, each))).collect();
        for client in clients {
            runtime.block_on(client).expect("each gets all that is for it, once and in order");
        }
    }
    let rate = count as f64 / began.elapsed().as_secs_f64();
    println!("all fetched in order: {rate:>8.0} a second, {:>6} KiB", server.anonymous_kib());
    server.stop();
}

/// One message for each user in turn, until each has all of its.
fn publish(http: &str, users: usize, each: usize) {
    let mut socket = BlockingStream::connect(http).expect("it listens");
    let mut answers = BufReader::new(socket.try_clone().expect("a descriptor"));
    let padding = "x".repeat(100);
    for n in 0..each {
        for first in (0..users).step_by(BATCH) {
            let mut body = String::new();
            for user in first..users.min(first + BATCH) {
                body +=
                    &format!("{{\"to\":{{\"user\":\"away{user}\"}},\"content\":\"{n} {user} {padding}\"}}\n");
            }
            let length = body.len();
            write!(
                socket,
                "POST /v1/messages/batch HTTP/1.1\r\nHost: bench\r\nContent-Type: application/x-ndjson\r\n\
                 Content-Length: {length}\r\n\r\n{body}"
            )
            .expect("it reads");
            let mut length = 0;
            let mut status = String::new();
            answers.read_line(&mut status).expect("it answers");
            loop {
                let mut line = String::new();
                answers.read_line(&mut line).expect("it answers");
                let line = line.trim().to_ascii_lowercase();
                if line.is_empty() {
                    break;
                }
                if let Some(value) = line.strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a number");
                }
            }
            let mut answer = vec![0; length];
            answers.read_exact(&mut answer).expect("it answers");
            let answer = String::from_utf8_lossy(&answer);
            assert!(status.contains("202") && !answer.contains("\"status\""), "{status}{answer}");
        }
    }
}

/// Fetches all that waits for a user.
async fn fetch(frame: String, user: usize, each: usize) {
    // Whoever is turned away in a crowd comes again.
    while !has_fetched(&frame, user, each).await {}
}

async fn has_fetched(frame: &str, user: usize, each: usize) -> bool {
    let mut socket = TcpStream::connect(frame).await.expect("it listens");
    say(&mut socket, &format!("{{\"type\":\"hello\",\"user\":\"away{user}\",\"device\":\"phone\"}}")).await;
    let mut next = 0;
    while next < each {
        let frame = hear(&mut socket).await;
        match frame["type"].as_str() {
            Some("message") => {
                let content = frame["content"].as_str().unwrap_or_default();
                assert!(content.starts_with(&format!("{next} {user} ")), "{content}");
                next += 1;
                assert_eq!(frame["seq"], next);
            }
            Some("bye") => {
                let pause = frame["retry_after_ms"].as_u64().expect("it says when to come again");
                tokio::time::sleep(Duration::from_millis(pause)).await;
                return false;
            }
            _ => assert_eq!(frame["type"], "welcome"),
        }
    }
    say(&mut socket, &format!("{{\"type\":\"ack\",\"seq\":{each}}}")).await;
    say(&mut socket, "{\"type\":\"ping\"}").await;
    assert_eq!(hear(&mut socket).await["type"], "pong");
    true
}

async fn say(socket: &mut TcpStream, frame: &str) {
    let mut bytes = (frame.len() as u32).to_be_bytes().to_vec();
    bytes.extend_from_slice(frame.as_bytes());
    socket.write_all(&bytes).await.expect("it reads");
}

async fn hear(socket: &mut TcpStream) -> Value {
    let length = socket.read_u32().await.expect("it writes");
    let mut frame = vec![0; length as usize];
    socket.read_exact(&mut frame).await.expect("it writes");
    serde_json::from_slice(&frame).expect("it is JSON")
}

fn megabytes(directory: &Path) -> u64 {
    fn bytes(directory: &Path) -> u64 {
        let entries = std::fs::read_dir(directory).expect("it is there").flatten();
        entries
            .map(|entry| match entry.metadata() {
                Ok(about) if about.is_dir() => bytes(&entry.path()),
                about => about.map_or(0, |about| about.len()),
            })
            .sum()
    }
    bytes(directory) >> 20
}
