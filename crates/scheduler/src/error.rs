//! Why a publication is refused.

use msgserver_persistence::StoreError;
use msgserver_protocol::EncodeError;

/// Why a publication is refused. It is not delivered to anybody.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The store could not keep it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A door's serializer has no form for it.
    #[error(transparent)]
    Content(#[from] EncodeError),
    /// The content is longer than anybody has to take.
    #[error("a content may be {limit} bytes long, this one has {bytes}")]
    TooLong {
        /// How long it is, in bytes of JSON.
        bytes: usize,
        /// What is allowed.
        limit: usize,
    },
    /// No user is named.
    #[error("no user is named; give at least one")]
    NoUser,
    /// This server does not do that.
    #[error("{0} is not supported")]
    NotSupported(&'static str),
    /// This takes a store, and an inbox in it.
    #[error("{0} takes a store, and users whose messages are kept in it")]
    NeedsStore(&'static str),
    /// Too much waits already.
    #[error("{waiting} messages wait to be sent, and no more than {limit} may; try again later")]
    Overloaded {
        /// How many wait.
        waiting: usize,
        /// How many may.
        limit: usize,
    },
    /// Too many bytes are being published already.
    #[error("{bytes} bytes are being published, and no more than {limit} may be at a time; try again later")]
    TooMuch {
        /// How many are.
        bytes: usize,
        /// How many may be.
        limit: usize,
    },
    /// The server stops.
    #[error("the server stops")]
    ShuttingDown,
}
