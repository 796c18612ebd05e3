//! Reading what clients say, whichever way their protocol puts it.

use bytes::{Bytes, BytesMut};
use msgserver_mqtt::{Packet, Version};
use tokio_util::codec::Decoder;

use crate::mqtt;
use crate::websocket::{self, Fragments};
use crate::{ClientFrame, DecodeError, FrameDecoder, FrameFormat};

/// How clients of a protocol speak after they are online.
///
/// A value and no object: a reactor chooses by it for each session, and a session that has nothing half said owns
/// nothing for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Inbound {
    /// They say nothing; whatever comes is passed over.
    #[default]
    Silent,
    /// A length of 4 bytes, then an object.
    LengthPrefixed(FrameFormat),
    /// An object a WebSocket message: text for JSON, binary for MessagePack.
    WebSocket(FrameFormat),
    /// Packets of MQTT, after the first one, with which a client comes in.
    Mqtt(Version),
}

/// What has come of a frame that is not whole yet. Empty between frames, and then worth nothing.
#[derive(Debug, Default)]
pub struct Partial {
    pub(crate) bytes: BytesMut,
    /// Of a WebSocket message that comes in several frames.
    pub(crate) fragments: Option<Fragments>,
}

impl Partial {
    /// Adds what was read.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether nothing is half said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.fragments.is_none()
    }

    /// The bytes that were not read yet, once the first frame is.
    #[must_use]
    pub fn into_rest(self) -> Vec<u8> {
        self.bytes.into()
    }
}

/// What a client has said.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Heard {
    /// An object of the conversation.
    Frame(ClientFrame),
    /// A packet of MQTT.
    Packet(Packet),
    /// A question of the protocol underneath, and the bytes that answer it.
    Asked(Bytes),
    /// The client ends the conversation; it is owed these bytes, and then the end of the connection.
    Goodbye(Bytes),
}

impl Inbound {
    /// Whether clients say anything.
    #[must_use]
    pub const fn is_silent(self) -> bool {
        matches!(self, Self::Silent)
    }

    /// The next thing that was said, in frames and messages of at most `limit` bytes; nothing if more has to come.
    ///
    /// # Errors
    /// [`DecodeError`] if it is nothing that this protocol has. What follows cannot be understood any more.
    pub fn next(self, partial: &mut Partial, limit: usize) -> Result<Option<Heard>, DecodeError> {
        match self {
            Self::Silent => {
                partial.bytes.clear();
                Ok(None)
            }
            Self::LengthPrefixed(format) => {
                let frame = FrameDecoder::new(format, limit).decode(&mut partial.bytes)?;
                Ok(frame.map(Heard::Frame))
            }
            Self::WebSocket(format) => websocket::next(format, partial, limit),
            Self::Mqtt(version) => mqtt::next(version, partial, limit),
        }
    }
}

/// How the server learns what is safe with a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Acknowledgement {
    /// The client cannot say it: its TCP has acknowledged the last byte.
    #[default]
    ByTcp,
    /// By `ack` frames.
    ByFrame,
    /// By a request of its own, or when it connects again. Until then nothing is sent a second time: a connection
    /// that lives has lost nothing.
    ByRequest,
    /// Each message by a packet of its own, in any order; what the client has chosen to get without, by TCP. Nothing
    /// is sent a second time while the connection lives.
    ByPacket,
}
