//! Connections that do not come online, over real sockets.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use msgserver_pool::ShardedPool;
use msgserver_protocol::{Bar, Encoder, Json, LengthPrefixed};
use msgserver_queue::LaneQueue;
use msgserver_scheduler::{Door, Parts, Scheduler, Settings, SharedSecret};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const BAR: usize = 0;
const FRAME: usize = 1;

/// A server whose clients have little time, and the addresses of its doors.
async fn hasty(settings: Settings) -> (Scheduler, [SocketAddr; 2]) {
    let door = |encoder| Door { encoder, encryption: None, max_connections: None };
    let parts = Parts {
        pool: Arc::new(ShardedPool::default()),
        queue: Arc::new(LaneQueue::default()),
        store: None,
        doors: vec![
            door(Encoder::new(Bar, Json).unwrap()),
            door(Encoder::new(LengthPrefixed, Json).unwrap()),
        ],
        filter: None,
        authentication: Some(Arc::new(SharedSecret::new("secret"))),
        failed_callback: None,
        witness: None,
    };
    let scheduler = Scheduler::start(parts, settings).unwrap();
    let mut addresses = Vec::new();
    for door in [BAR, FRAME] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        addresses.push(listener.local_addr().unwrap());
        let scheduler = scheduler.clone();
        tokio::spawn(async move { scheduler.serve(listener, door).await });
    }
    (scheduler, [addresses[0], addresses[1]])
}

/// All that the server says until it closes.
async fn rest(socket: &mut TcpStream) -> String {
    let mut said = Vec::new();
    let reading = socket.read_to_end(&mut said);
    tokio::time::timeout(Duration::from_secs(60), reading).await.expect("it is closed").unwrap();
    // The length before a frame is no text.
    String::from_utf8_lossy(&said).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_or_half_of_it_is_told_and_closed() {
    let settings = Settings {
        opening_deadline: Duration::from_millis(100),
        text_grace: Duration::from_secs(600),
        ..Settings::default()
    };
    let (scheduler, doors) = hasty(settings).await;
    for (door, said) in
        [(BAR, &b""[..]), (BAR, b"ada;sec"), (FRAME, b""), (FRAME, b"\0\0"), (FRAME, b"\0\0\0\x10{\"type\"")]
    {
        let mut socket = TcpStream::connect(doors[door]).await.unwrap();
        socket.write_all(said).await.unwrap();
        let told = rest(&mut socket).await;
        assert!(told.contains("did not come whole in time"), "{said:?}: {told}");
        assert_eq!(told.contains("\"code\":\"timeout\""), door == FRAME, "{told}");
    }
    assert_eq!(scheduler.figures().await.connections_refused, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_one_too_many_is_told_so_also_while_the_others_are_still_opening() {
    let (scheduler, doors) = hasty(Settings { max_connections: 2, ..Settings::default() }).await;
    let mut online = TcpStream::connect(doors[BAR]).await.unwrap();
    online.write_all(b"ada;secret|").await.unwrap();
    let until = |count| {
        let scheduler = scheduler.clone();
        tokio::time::timeout(Duration::from_secs(60), async move {
            while scheduler.online_count() != count {
                tokio::task::yield_now().await;
            }
        })
    };
    until(1).await.unwrap();
    let _opening = TcpStream::connect(doors[BAR]).await.unwrap();
    for door in [BAR, FRAME] {
        let told = rest(&mut TcpStream::connect(doors[door]).await.unwrap()).await;
        assert!(told.contains("all 2 connections of this server are taken"), "{told}");
        assert_eq!(told.contains("retry_after_ms"), door == FRAME, "{told}");
    }
    drop(online);
    until(0).await.unwrap();
    let mut next = TcpStream::connect(doors[BAR]).await.unwrap();
    next.write_all(b"eve;secret|").await.unwrap();
    until(1).await.unwrap();
}
