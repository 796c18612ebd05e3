//! A server with parameters: pool, queue, serializer, protocol and encryption, each by name or by value.
//!
//! `cargo run -p msgserver-examples --bin parameters -- 127.0.0.1:3366 name`, and connect with
//! `nc 127.0.0.1 3366`; or `value` instead of `name`, and connect with
//! `cargo run -p msgserver-examples --bin frame_client`.
//! Each line that you type goes to everybody who is connected.

use std::sync::Arc;

use msgserver::{Encryption, Json, LaneQueue, LengthPrefixed, Server, ShardedPool};
use msgserver_examples::{console, open};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // What cannot be is refused when the server is built, with an error that says which choice it was.
    for builder in [Server::builder().protocol("morse"), Server::builder().serializer("msgpack")] {
        if let Err(refusal) = builder.build() {
            println!("refused: {refusal}");
        }
    }

    let by_value = std::env::args().nth(2).is_some_and(|how| how == "value");
    let server = if by_value {
        Server::builder()
            .pool(Arc::new(ShardedPool::default()))
            .queue(Arc::new(LaneQueue::default()))
            .serializer(Arc::new(Json))
            .protocol(Arc::new(LengthPrefixed))
            .encryption(Encryption::None)
            .build()?
    } else {
        Server::builder()
            .pool("default")
            .queue("default")
            .serializer("json")
            .protocol("default")
            .encryption("none")
            .build()?
    };
    open(&server).await?;
    console(&server).await
}
