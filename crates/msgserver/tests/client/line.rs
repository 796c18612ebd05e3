//! What is between a client and a server, and fails.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};

/// Passes on connections to a door, and ends each after so many bytes that come from there.
pub(crate) struct Failing {
    pub(crate) address: SocketAddr,
    pub(crate) ended: Arc<AtomicU64>,
}

impl Failing {
    /// The nth connection lives for `lives(n)` bytes.
    pub(crate) async fn before(door: &str, lives: impl Fn(u64) -> u64 + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let ended = Arc::new(AtomicU64::new(0));
        let (door, count) = (door.to_owned(), Arc::clone(&ended));
        tokio::spawn(async move {
            for n in 0.. {
                let (client, _) = listener.accept().await.unwrap();
                let Ok(server) = TcpStream::connect(&door).await else { continue };
                tokio::spawn(pass(client, server, lives(n), Arc::clone(&count)));
            }
        });
        Self { address, ended }
    }
}

async fn pass(client: TcpStream, server: TcpStream, life: u64, ended: Arc<AtomicU64>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (from_server, mut to_server) = server.into_split();
    let mut from_server = from_server.take(life);
    // Both halves end together, at whatever byte it is.
    tokio::select! {
        _ = copy(&mut from_client, &mut to_server) => {}
        _ = copy(&mut from_server, &mut to_client) => {}
    }
    let _ = to_client.shutdown().await;
    ended.fetch_add(1, Ordering::Relaxed);
}
