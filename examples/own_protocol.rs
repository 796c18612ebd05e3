//! A protocol of your own: a line of JSON a message.
//!
//! `cargo run -p msgserver-examples --bin own_protocol`, and connect with `nc 127.0.0.1 3366`.
//! Each line that you type goes to everybody who is connected.

use std::sync::Arc;

use msgserver::{Delivery, EncodeError, Protocol, Serializer, Server};
use msgserver_examples::{console, open};

struct Lines;

impl Protocol for Lines {
    fn name(&self) -> &str {
        "lines"
    }

    fn objection(&self, serializer: &dyn Serializer) -> Option<&'static str> {
        (!serializer.is_json()).then_some("its output can hold the end of a line; use json")
    }

    fn payload(
        &self,
        delivery: &Delivery<'_>,
        serializer: &dyn Serializer,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let start = out.len();
        serializer.serialize(&delivery.message.content, out)?;
        // JSON has the end of a line only between its values, where a space means the same.
        for byte in out[start..].iter_mut().filter(|byte| **byte == b'\n') {
            *byte = b' ';
        }
        Ok(())
    }

    fn frame(&self, payload: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(payload);
        out.push(b'\n');
    }

    fn keepalive(&self) -> Option<&'static [u8]> {
        Some(b"\n")
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::builder().protocol(Arc::new(Lines)).build()?;
    open(&server).await?;
    console(&server).await
}
