//! A serializer of your own: each content in an envelope with a version.
//!
//! `cargo run -p msgserver-examples --bin own_serializer`, and connect with `nc 127.0.0.1 3366`.
//! Each line that you type goes to everybody who is connected.

use std::sync::Arc;

use msgserver::{Content, EncodeError, Serializer, Server};
use msgserver_examples::{console, open};

struct Envelope;

impl Serializer for Envelope {
    fn name(&self) -> &str {
        "envelope"
    }

    fn serialize(&self, content: &Content, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.extend_from_slice(br#"{"version":1,"body":"#);
        out.extend_from_slice(content.as_json().as_bytes());
        out.push(b'}');
        Ok(())
    }

    // So the default protocol can write a `|` inside a text as an escape.
    fn is_json(&self) -> bool {
        true
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::builder().serializer(Arc::new(Envelope)).build()?;
    open(&server).await?;
    console(&server).await
}
