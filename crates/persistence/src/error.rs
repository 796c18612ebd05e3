//! What a store can refuse.

use std::fmt;
use std::path::PathBuf;

use msgserver_message::{MessageId, UserId};

/// What an inbox has too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InboxLimit {
    /// It may hold so many messages.
    Messages(u64),
    /// Its contents may have so many bytes.
    Bytes(usize),
}

impl fmt::Display for InboxLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Messages(limit) => write!(f, "{limit} messages"),
            Self::Bytes(limit) => write!(f, "{limit} bytes"),
        }
    }
}

/// Why a store did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The id belongs to another message.
    #[error("the id {0} was used for a message with other content or users; give a new message a new id")]
    Conflict(MessageId),
    /// An inbox has no room, and its publisher did not want the oldest messages to go.
    #[error(
        "the inbox of user {user:?} is full, it takes {limit}; \
         wait until the user has fetched some, or let the oldest go"
    )]
    Full {
        /// Whose inbox.
        user: UserId,
        /// What it has too much of.
        limit: InboxLimit,
    },
    /// Another server has the directory.
    #[error("data directory {} is in use by another server; stop it or choose another directory", .0.display())]
    InUse(PathBuf),
    /// The store cannot be used now.
    #[error("the {store} store is not available: {detail}")]
    Unavailable {
        /// Which store.
        store: &'static str,
        /// What it said.
        detail: String,
    },
    /// Something kept is not what this server writes.
    #[error(
        "the {store} store holds something that this server did not write or cannot read: {detail}; \
         restore it from a backup or use the version that wrote it"
    )]
    Corrupt {
        /// Which store.
        store: &'static str,
        /// What is wrong, and where.
        detail: String,
    },
    /// Something is imported into a store that holds something.
    #[error("an import needs an empty store, and this one is not; name a new directory")]
    NotEmpty,
    /// What is imported is no export, or not all of one.
    #[error("line {line} of the import: {detail}")]
    BadImport {
        /// The number of the line, from 1.
        line: u64,
        /// What is wrong.
        detail: String,
    },
    /// The store was closed before.
    #[error("the {store} store is closed; open it again to use it")]
    Closed {
        /// Which store.
        store: &'static str,
    },
}
