//! WebSocket (RFC 6455), the server's side, without I/O and without its opening handshake.
//!
//! A message is one object of the `frame` protocol. What the server sends is not masked, so a message is the same
//! bytes for every session of a serializer. No extension is spoken.

mod close;
mod header;
mod reading;

use crate::frame::ServerFrame;
use crate::{Acknowledgement, Delivery, EncodeError, FrameFault, FrameFormat, Inbound, Protocol, Serializer};

pub use close::CloseCode;
use header::Opcode;
pub use reading::WebSocketEvent;
pub(crate) use reading::{Fragments, next};

/// A ping without a payload: a client answers it by itself, and so is heard.
const PING: &[u8] = &[0x89, 0];

/// The protocol of WebSocket sessions: JSON in text messages, or MessagePack in binary ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebSocket(FrameFormat);

impl WebSocket {
    /// For objects in this form.
    #[must_use]
    pub const fn new(format: FrameFormat) -> Self {
        Self(format)
    }

    fn append(self, payload: &[u8], out: &mut Vec<u8>) {
        header::write(Opcode::of(self.0), payload, out);
    }
}

impl Protocol for WebSocket {
    fn name(&self) -> &str {
        "websocket"
    }

    fn objection(&self, serializer: &dyn Serializer) -> Option<&'static str> {
        (serializer.frame_format() != Some(self.0))
            .then_some("its messages are JSON text or MessagePack, as the subprotocol says")
    }

    fn payload(
        &self,
        delivery: &Delivery<'_>,
        _: &dyn Serializer,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        self.0.write(&ServerFrame::from(delivery), out)
    }

    fn frame(&self, payload: &[u8], out: &mut Vec<u8>) {
        self.append(payload, out);
    }

    fn keepalive(&self) -> Option<&'static [u8]> {
        Some(PING)
    }

    fn inbound(&self, _: &dyn Serializer) -> Inbound {
        Inbound::WebSocket(self.0)
    }

    fn acknowledgement(&self) -> Acknowledgement {
        Acknowledgement::ByFrame
    }

    fn say(&self, frame: &ServerFrame, _: &dyn Serializer, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let mut payload = Vec::new();
        self.0.write(frame, &mut payload)?;
        self.append(&payload, out);
        Ok(())
    }

    fn close(&self, bye: &ServerFrame, fault: Option<FrameFault>, out: &mut Vec<u8>) {
        if let ServerFrame::Bye { code, detail, .. } = bye {
            CloseCode::of(*code, fault).write(detail, out);
        }
    }
}
