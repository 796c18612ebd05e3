//! What a session tells whoever brought it online.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use msgserver_message::Seq;
use msgserver_mqtt::Packet;
use msgserver_protocol::{ClientFrame, FrameFault};

use crate::Session;

/// What happens to sessions. Called on a reactor's thread, which serves many sessions: must not wait.
pub trait Events: Send + Sync + 'static {
    /// The client said something.
    fn on_frame(&self, session: &Arc<Session>, frame: ClientFrame);
    /// The client sent a packet of MQTT.
    fn on_packet(&self, session: &Arc<Session>, packet: Packet) {
        let _ = (session, packet);
    }
    /// The peer's TCP has acknowledged the last byte of everything up to and including `seq`.
    fn on_delivered(&self, session: &Arc<Session>, seq: Seq);
    /// The outbox of a session that had to wait has room again.
    fn on_room(&self, session: &Arc<Session>);
    /// What a client is told before its session is closed, if it would understand it.
    fn last_words(&self, session: &Session, reason: &CloseReason) -> Option<Bytes> {
        let _ = (session, reason);
        None
    }
    /// The session is over; nothing more is told of it.
    fn on_closed(&self, session: &Arc<Session>, reason: &CloseReason);
}

/// Why a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The client closed the connection.
    ClosedByPeer,
    /// The connection failed.
    Failed(std::io::ErrorKind),
    /// The client did not read, and its outbox is full.
    SlowConsumer,
    /// What the client sent is not a frame.
    BadFrame {
        /// What was wrong.
        fault: FrameFault,
        /// What was wrong, for people.
        detail: String,
    },
    /// Nothing was heard for as long as it may be silent: two heartbeats, or what it has agreed on with its door.
    HeartbeatMissed,
    /// The same device has connected again.
    Replaced,
    /// It was one answer, and the answer is complete.
    Complete,
    /// Somebody who runs the server has closed it.
    Dismissed,
    /// The time of the token is over with which it was opened.
    TokenExpired,
    /// The token was taken back with which it was opened.
    Revoked,
    /// The server closes it.
    ShuttingDown,
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClosedByPeer => f.write_str("closed by the client"),
            Self::Failed(kind) => write!(f, "the connection failed: {kind}"),
            Self::SlowConsumer => f.write_str("the client does not read what is sent to it"),
            Self::BadFrame { detail, .. } => f.write_str(detail),
            Self::HeartbeatMissed => f.write_str("nothing was heard for as long as the client may be silent"),
            Self::Replaced => f.write_str("the same device has connected again"),
            Self::Complete => f.write_str("the answer is complete"),
            Self::Dismissed => f.write_str("closed by an operator"),
            Self::TokenExpired => f.write_str("the token has expired; come back with a fresh one"),
            Self::Revoked => f.write_str("the token was revoked"),
            Self::ShuttingDown => f.write_str("the server stops"),
        }
    }
}
