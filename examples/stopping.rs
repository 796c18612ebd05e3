//! Stopping without loss: on SIGTERM or Ctrl-C nobody new is let in, what was accepted is written or kept, clients
//! of the `frame` protocol are told `bye`, and the store is closed.
//!
//! `cargo run -p msgserver-examples --bin stopping -- 127.0.0.1:3367 ./inboxes`, and connect with
//! `cargo run -p msgserver-examples --bin frame_client`. Type `@ada hello`.

use std::time::Duration;

use msgserver::{DiskStore, Server};
use msgserver_examples::{console, open};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::args().nth(2).unwrap_or_else(|| "./inboxes".to_owned());
    let server = Server::builder().protocol("frame").store(DiskStore::open(directory)?).build()?;
    let mut terminate = signal(SignalKind::terminate())?;
    open(&server).await?;
    tokio::select! {
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        ended = console(&server) => ended?,
    }
    server.stop(Duration::from_secs(10)).await;
    println!("stopped");
    // The thread that reads standard input cannot be interrupted, and nothing is left to wait for.
    std::process::exit(0);
}
