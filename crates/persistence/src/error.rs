//! What a store can refuse.

use std::path::PathBuf;

use msgserver_message::{MessageId, UserId};

/// Why a store did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The id belongs to another message.
    #[error("the id {0} was used for a message with other content or users; give a new message a new id")]
    Conflict(MessageId),
    /// An inbox has no room, and the publisher wants nothing older to go.
    #[error("the inbox of {user} is full: {limit}; try again when some of it is delivered")]
    Full {
        /// Whose inbox.
        user: UserId,
        /// What is reached.
        limit: &'static str,
    },
    /// This store does not do that.
    #[error("{what} is not supported with the {store} store; the disk store does it")]
    Unsupported {
        /// Which store.
        store: &'static str,
        /// What was asked for.
        what: &'static str,
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
    /// The store was closed before.
    #[error("the {store} store is closed; open it again to use it")]
    Closed {
        /// Which store.
        store: &'static str,
    },
}
