//! What can be wrong with a value, a frame or a choice.

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
    /// The stream underneath failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
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
