//! A message to one user from end to end: handed over, delivered to its client's socket, acknowledged.

use std::time::Duration;

use msgserver::{Content, HttpApi, MemoryStore, Publication, Server, SharedSecret, UserId};
use msgserver_benches::content;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

use super::Rounds;

const SECRET: &str = "s";

/// A server and a client, on one thread beside that of the reactor.
struct Hall {
    runtime: Runtime,
    server: Server,
    user: UserId,
    client: TcpStream,
    /// What the last frame was read into.
    frame: Vec<u8>,
}

impl Hall {
    /// With the user's client at the door of the first protocol, or at that of `frame`.
    fn new(stored: bool) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let user = UserId::new("ada").expect("a name");
        let (server, client) = runtime.block_on(async {
            let builder = Server::builder().authentication(SharedSecret::new(SECRET));
            let builder = if stored { builder.store(MemoryStore::new()) } else { builder };
            let server = builder.build().expect("the defaults fit");
            let door = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let mut client = TcpStream::connect(door.local_addr().expect("bound")).await.expect("it listens");
            client.set_nodelay(true).expect("a socket");
            let serving = server.clone();
            if stored {
                tokio::spawn(async move { serving.serve_frames(door).await });
                say(&mut client, &format!("{{\"type\":\"hello\",\"user\":\"ada\",\"token\":\"{SECRET}\"}}"))
                    .await;
            } else {
                tokio::spawn(async move { serving.serve(door).await });
                client.write_all(format!("ada;{SECRET}|").as_bytes()).await.expect("a socket");
            }
            (server, client)
        });
        let mut hall = Self { runtime, server, user, client, frame: Vec::with_capacity(1024) };
        if stored {
            let welcome = hall.runtime.block_on(hear(&mut hall.client, &mut hall.frame));
            assert!(welcome.starts_with("{\"type\":\"welcome\""), "{welcome}");
        }
        let server = hall.server.clone();
        hall.runtime.block_on(async {
            while server.online_count() == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        hall
    }
}

async fn say(client: &mut TcpStream, frame: &str) {
    client.write_all(&(frame.len() as u32).to_be_bytes()).await.expect("it reads");
    client.write_all(frame.as_bytes()).await.expect("it reads");
}

async fn hear<'f>(client: &mut TcpStream, frame: &'f mut Vec<u8>) -> &'f str {
    let length = client.read_u32().await.expect("it writes");
    frame.resize(length as usize, 0);
    client.read_exact(frame).await.expect("it writes");
    std::str::from_utf8(frame).expect("it is JSON")
}

/// Takes a message as the client, and acknowledges it.
async fn take(client: &mut TcpStream, frame: &mut Vec<u8>, ack: &mut [u8]) {
    let message = hear(client, frame).await;
    let seq = message.split_once("\"seq\":").unwrap_or_else(|| panic!("{message} has no number")).1;
    let digits = seq.bytes().take_while(u8::is_ascii_digit).count();
    let end = ack.len() - 1;
    ack[end - 20..end].fill(b' ');
    ack[end - digits..end].copy_from_slice(&seq.as_bytes()[..digits]);
    client.write_all(ack).await.expect("it reads");
}

/// A frame with room for any number.
fn acknowledgement() -> Vec<u8> {
    let frame = format!("{{\"type\":\"ack\",\"seq\":{:20}}}", 0);
    [&(frame.len() as u32).to_be_bytes(), frame.as_bytes()].concat()
}

pub(super) fn to_one(rounds: Rounds<'_>) {
    let Hall { runtime, server, user, mut client, mut frame } = Hall::new(false);
    let (sender, content) = (server.sender(), content(128));
    frame.resize(129, 0);
    rounds(&mut || {
        runtime.block_on(async {
            sender.publish(Publication::new(user.clone(), content.clone())).await.expect("it is taken");
            client.read_exact(&mut frame).await.expect("it writes");
        });
    });
}

pub(super) fn to_one_acknowledged(rounds: Rounds<'_>) {
    let Hall { runtime, server, user, mut client, mut frame } = Hall::new(true);
    let (sender, content, mut ack): (_, Content, _) = (server.sender(), content(128), acknowledgement());
    rounds(&mut || {
        runtime.block_on(async {
            sender.publish(Publication::new(user.clone(), content.clone())).await.expect("it is taken");
            take(&mut client, &mut frame, &mut ack).await;
        });
    });
}

pub(super) fn to_one_over_http(rounds: Rounds<'_>) {
    let Hall { runtime, server, mut client, mut frame, .. } = Hall::new(true);
    let mut ack = acknowledgement();
    let body = format!("{{\"to\":{{\"user\":\"ada\"}},\"content\":\"{}\"}}", "x".repeat(126));
    let request = format!(
        "POST /v1/messages HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut publisher = runtime.block_on(async {
        let door = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = door.local_addr().expect("bound");
        tokio::spawn(HttpApi::new(server.sender()).serve(door, std::future::pending()));
        let publisher = TcpStream::connect(address).await.expect("it listens");
        publisher.set_nodelay(true).expect("a socket");
        publisher
    });
    let mut answer = vec![0; 1024];
    rounds(&mut || {
        runtime.block_on(async {
            publisher.write_all(request.as_bytes()).await.expect("it reads");
            let length = publisher.read(&mut answer).await.expect("it answers");
            let answer = &answer[..length];
            assert!(answer.starts_with(b"HTTP/1.1 202 ") && answer.ends_with(b"}"), "{answer:?}");
            take(&mut client, &mut frame, &mut ack).await;
        });
    });
}
