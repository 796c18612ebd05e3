//! Why a publication or a subscription is refused.

use msgserver_message::TopicFilter;
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

/// Why a session does not follow a topic.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// It may not.
    #[error("this client may not follow {0}")]
    Forbidden(TopicFilter),
    /// It follows as many topics as it may.
    #[error("this client follows {limit} topics already, and may follow no more; follow several with one +")]
    TooMany {
        /// How many it may follow.
        limit: usize,
    },
    /// It follows the topic, but did not take all of the messages that it asked for.
    #[error(
        "the history was cut short, as the client has not read what was sent before; read, and ask for less"
    )]
    HistoryCut,
    /// The store could not note it.
    #[error(transparent)]
    Store(#[from] StoreError),
}
