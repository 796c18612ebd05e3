//! What can go wrong.

use std::io;
use std::time::Duration;

use msgserver_message::MessageId;
use msgserver_protocol::{ByeCode, ErrorCode};

use crate::InvalidAddress;

/// What a client cannot mend by itself. A lost connection is none: it is tried again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// That is no address.
    #[error(transparent)]
    Address(#[from] InvalidAddress),
    /// TLS cannot be spoken with these certificates.
    #[error("{what}: {detail}")]
    Trust {
        /// The file, or what else was asked.
        what: String,
        /// Why not.
        detail: String,
    },
    /// A key cannot stand in a header of HTTP.
    #[error("the key has characters that no header may have; a key is one line of visible ASCII")]
    Key,
    /// The place where a device stands could not be read or kept. What was not kept is not acknowledged.
    #[error("the position: {0}")]
    Position(#[from] io::Error),
    /// The server has closed the session, and wants the client not to come back as it is.
    #[error("{detail} ({code:?})")]
    Bye {
        /// Why.
        code: ByeCode,
        /// Why, for people.
        detail: String,
    },
    /// What answered is no server of this protocol, or refuses with a status of HTTP.
    #[error("{address} answered with {status}: {detail}")]
    Status {
        /// Where.
        address: String,
        /// The status of HTTP.
        status: u16,
        /// What it said.
        detail: String,
    },
    /// The server does not take this, and would not take it again.
    #[error("{detail} ({code:?})")]
    Refused {
        /// Why.
        code: ErrorCode,
        /// Why, for people.
        detail: String,
    },
    /// A message was not answered in time. It may have been kept: publish it again under the same id to find out.
    #[error("{} was not answered within {}: {last}", describe(.id), humantime::format_duration(*.within))]
    Deadline {
        /// Under which id it can be published again; none if it was no message.
        id: Option<MessageId>,
        /// How long was waited.
        within: Duration,
        /// What went wrong last.
        last: String,
    },
    /// What the server answered is not what it should be.
    #[error("the server's answer: {0}")]
    Answer(String),
    /// The client was closed.
    #[error("the client was closed")]
    Closed,
}

fn describe(id: &Option<MessageId>) -> String {
    id.map_or_else(|| "the request".to_owned(), |id| format!("message {id}"))
}
