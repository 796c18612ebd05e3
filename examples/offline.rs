//! Messages for who is not connected: in memory, on disk, in Redis.
//!
//! `cargo run -p msgserver-examples --bin offline -- 127.0.0.1:3366 memory`, or `disk ./inboxes`, or
//! `redis redis://127.0.0.1:6379`. Type `@ada hello`, and only then connect with `nc 127.0.0.1 3366` and say
//! `ada|`. With the latter two, kill the server in between.

use msgserver::{DiskStore, MemoryStore, RedisStore, Server, UserId};
use msgserver_examples::{console, open};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(2);
    let (store, place) = (arguments.next(), arguments.next());
    let builder = Server::builder().authentication(|text: &str| UserId::new(text));
    let builder = match store.as_deref() {
        Some("disk") => builder.store(DiskStore::open(place.as_deref().unwrap_or("./inboxes"))?),
        Some("redis") => {
            let store = RedisStore::connect(place.as_deref().unwrap_or("redis://127.0.0.1:6379")).await?;
            // What a deployment of the Go program left there, in the order in which it was sent.
            let taken = store.take_over().await?;
            println!("taken over: {} messages", taken.messages);
            builder.store(store)
        }
        _ => builder.store(MemoryStore::new()),
    };
    let server = builder.build()?;
    open(&server).await?;
    console(&server).await
}
