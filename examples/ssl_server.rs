//! The first msgserver's "SSL" handshake, the server's side. It protects little: see the handshake crate.
//!
//! `cargo run -p msgserver-examples --bin ssl_server`, and connect with
//! `cargo run -p msgserver-examples --bin ssl_client`. Type `@ada hello`.

use msgserver::{MemoryStore, Server, SharedSecret};
use msgserver_examples::{console, open};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::builder()
        .encryption("ssl") // as Encryption::Ssl(1024): other sizes up to 4096 bits can be had so
        .authentication(SharedSecret::new("123456"))
        .store(MemoryStore::new())
        .build()?;
    open(&server).await?;
    console(&server).await
}
