//! What is to be published, to whom, and how fast.

use std::time::Duration;

use crate::cli::bench::stamp::Stamp;

/// Whom the messages are for.
#[derive(Debug, Clone)]
pub(in crate::cli::bench) enum Receivers {
    /// Everybody who is connected: a notice.
    All,
    /// One user after the other. Their names are the prefix and a number.
    Users { prefix: String, count: u64 },
}

/// When the next message may go.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli::bench) enum Pace {
    /// As soon as fewer than so many are on their way to their receivers, of whom each message has `each`.
    Delivered { window: u64, each: u64 },
    /// As soon as fewer than so many are unanswered, on all lanes together.
    Answered { window: u64 },
    /// So many a second, whatever happens to them.
    Rate { a_second: f64, each: u64 },
}

/// What is to be published.
#[derive(Debug, Clone)]
pub(in crate::cli::bench) struct Plan {
    pub(in crate::cli::bench) receivers: Receivers,
    pub(in crate::cli::bench) pace: Pace,
    /// Bytes of each content.
    pub(in crate::cli::bench) size: usize,
    /// Whether they are for who is connected now, and kept nowhere.
    pub(in crate::cli::bench) unkept: bool,
    /// The end: after so many messages, or so much time, or at the first of the two.
    pub(in crate::cli::bench) messages: Option<u64>,
    pub(in crate::cli::bench) time: Option<Duration>,
}

/// A message, as a lane sends it.
pub(in crate::cli::bench) struct Message<'a> {
    /// The user; nothing if it is a notice.
    pub(in crate::cli::bench) to: Option<(&'a str, u64)>,
    pub(in crate::cli::bench) stamp: Stamp,
    pub(in crate::cli::bench) size: usize,
    pub(in crate::cli::bench) unkept: bool,
}
