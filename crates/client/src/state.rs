//! How a client is.

use std::time::Duration;

use msgserver_message::{DeviceId, SessionId, UserId};

/// How a client is; [`Builder::on_state`](crate::Builder::on_state) is told of each change.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// A connection is being made.
    Connecting,
    /// It is online.
    #[non_exhaustive]
    Online {
        /// Who the server takes it for.
        user: UserId,
        /// As which device.
        device: DeviceId,
        /// This connection.
        session: SessionId,
        /// Whether the device was known, and goes on where it was.
        resumed: bool,
    },
    /// The connection is lost; there is another one after a while.
    #[non_exhaustive]
    Waiting {
        /// Why.
        detail: String,
        /// For how long.
        wait: Duration,
    },
    /// The server did not take something that was no request of the application's.
    #[non_exhaustive]
    Told {
        /// What it said.
        detail: String,
    },
    /// There will be no other connection.
    Closed,
}
