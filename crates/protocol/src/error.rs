//! What can be wrong with a value, a frame or a choice.

use msgserver_mqtt::{Fault, Reason};

/// A value has no form in the serializer that was chosen.
#[derive(Debug, thiserror::Error)]
#[error("the serializer {serializer} has no form for this content: {detail}")]
pub struct EncodeError {
    /// The serializer.
    pub serializer: String,
    /// What it said.
    pub detail: String,
}

/// What a client sent is not a frame.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The length before a frame is over the limit.
    #[error("a frame may be {limit} bytes long, this one says {length}")]
    TooLong {
        /// What the frame said.
        length: usize,
        /// What is allowed.
        limit: usize,
    },
    /// The object in a frame is not one that clients send.
    #[error("not a frame: {0}")]
    Malformed(String),
    /// A frame that its protocol does not allow here.
    #[error("the protocol does not allow it: {0}")]
    Violation(&'static str),
    /// A text is not UTF-8.
    #[error("a text message has to be UTF-8")]
    NotUtf8,
    /// A message is of the kind that the agreed subprotocol has not.
    #[error("the agreed subprotocol has {0} messages and no others")]
    WrongKind(&'static str),
    /// A packet is none that a client of MQTT may send.
    #[error(transparent)]
    Packet(#[from] Fault),
    /// The stream underneath failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl DecodeError {
    /// What was wrong, without its particulars.
    #[must_use]
    pub const fn fault(&self) -> FrameFault {
        match self {
            Self::TooLong { .. } => FrameFault::TooLong,
            Self::Malformed(_) | Self::Io(_) => FrameFault::Malformed,
            Self::Violation(_) => FrameFault::Violation,
            Self::NotUtf8 => FrameFault::NotUtf8,
            Self::WrongKind(_) => FrameFault::WrongKind,
            Self::Packet(fault) => FrameFault::Packet(fault.reason()),
        }
    }
}

/// What is wrong with what a client sent, for protocols that have a number for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FrameFault {
    /// It is longer than allowed.
    TooLong,
    /// It is no object that clients send.
    Malformed,
    /// Its protocol does not allow it here.
    Violation,
    /// It is a text and not UTF-8.
    NotUtf8,
    /// It is binary where text was agreed on, or the reverse.
    WrongKind,
    /// A packet of MQTT is not right, for the reason that the standard has a code for.
    Packet(Reason),
}

/// A protocol and a serializer that do not fit together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("protocol {protocol:?} cannot carry serializer {serializer:?}: {reason}")]
pub struct IncompatibleChoice {
    /// The protocol's name.
    pub protocol: String,
    /// The serializer's name.
    pub serializer: String,
    /// Why not, and what to choose instead.
    pub reason: &'static str,
}
