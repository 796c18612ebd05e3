//! What stands on msgserver's wire: serializers, frames, and the decoder of what clients send. No I/O.
//!
//! Two protocols are spoken on raw TCP. [`Bar`] (`default`) is the first msgserver's: a serialized content
//! and a `|`. [`LengthPrefixed`] (`frame`) has a 4-byte big-endian length before an object, in both
//! directions, and its clients can acknowledge. Three begin as HTTP and carry the same objects: [`WebSocket`],
//! [`EventStream`] and [`Poll`]. [`Mqtt`] has packets of its own, which are in the crate `msgserver-mqtt`. A [`Protocol`] says how a [`Delivery`] becomes bytes, a
//! [`Serializer`] how a value does; an [`Encoder`] is one of each that fit together, which is checked when
//! it is made and not when the first message is sent. What clients say is read by [`Inbound::next`].
//!
//! Contents are bytes and ids here: who gets a message, and when, is not known. [`FrameDecoder`] is a codec of
//! `tokio-util`, whose traits need no runtime.
//!
//! ```
//! use msgserver_message::{Content, Message};
//! use msgserver_protocol::{Bar, Delivery, Encoder, Json, MessagePack};
//!
//! let old_clients = Encoder::new(Bar, Json)?;
//! let message = Message::new(Content::text("a|b"));
//! assert_eq!(old_clients.encode(&Delivery::notice(&message))?, &b"\"a\\u007cb\"|"[..]);
//!
//! // MessagePack can hold the byte that ends a frame of the default protocol.
//! assert!(Encoder::new(Bar, MessagePack).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bar;
mod cipher;
mod delivery;
mod encoder;
mod error;
mod event_stream;
mod first_text;
mod frame;
mod inbound;
mod length_prefixed;
mod mqtt;
mod poll;
mod serializer;
mod websocket;

pub use bar::{Bar, KEEPALIVE};
pub use cipher::Cipher;
pub use delivery::Delivery;
pub use encoder::Encoder;
pub use error::{DecodeError, EncodeError, FrameFault, IncompatibleChoice};
pub use event_stream::EventStream;
pub use first_text::{FirstText, TextTooLong};
pub use frame::{ByeCode, ClientFrame, ErrorCode, Hello, ServerFrame};
pub use inbound::{Acknowledgement, Heard, Inbound, Partial};
pub use length_prefixed::{FrameDecoder, LengthPrefixed, MAX_FRAME_BYTES};
pub use mqtt::{INBOX, Mqtt, NOTICES, PACKET_IDS, TOPIC_PREFIX, packet_of};
pub use poll::Poll;
pub use serializer::{FrameFormat, Json, MessagePack, Serializer};
pub use websocket::{CloseCode, WebSocket, WebSocketEvent};

/// How a delivery is put on the wire.
pub trait Protocol: Send + Sync + 'static {
    /// The name that configurations use.
    fn name(&self) -> &str;

    /// Why `serializer` cannot go under this protocol in the clear, or nothing if it can.
    fn objection(&self, serializer: &dyn Serializer) -> Option<&'static str>;

    /// Appends what is serialized (and, on an encrypted door, sealed) of a delivery, without a frame.
    ///
    /// # Errors
    /// [`EncodeError`] if the serializer has no form for it.
    fn payload(
        &self,
        delivery: &Delivery<'_>,
        serializer: &dyn Serializer,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError>;

    /// Appends `payload` with its frame.
    fn frame(&self, payload: &[u8], out: &mut Vec<u8>);

    /// Bytes that a client drops, sent from time to time to find out whether it is still there.
    fn keepalive(&self) -> Option<&'static [u8]> {
        None
    }

    /// How clients of this protocol speak, if they do.
    fn inbound(&self, serializer: &dyn Serializer) -> Inbound {
        let _ = serializer;
        Inbound::Silent
    }

    /// How the server learns what is safe with a client.
    fn acknowledgement(&self) -> Acknowledgement {
        Acknowledgement::ByTcp
    }

    /// Whether a session is one answer: it ends with the first messages that it was sent.
    fn is_one_answer(&self) -> bool {
        false
    }

    /// Appends an object of the conversation, frame and all; nothing if its clients would not understand it.
    ///
    /// # Errors
    /// [`EncodeError`] if the serializer has no form for it.
    fn say(
        &self,
        frame: &ServerFrame,
        serializer: &dyn Serializer,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let _ = (frame, serializer, out);
        Ok(())
    }

    /// Appends what stands between a `bye` and the end of the connection. `fault` is what was wrong with the
    /// client's last frame.
    fn close(&self, bye: &ServerFrame, fault: Option<FrameFault>, out: &mut Vec<u8>) {
        let _ = (bye, fault, out);
    }
}
