//! What is promised, by name.

use std::fmt;

/// A promise that the auditor holds the server to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Promise {
    /// What was answered with "accepted" reaches every device that has to get it.
    AcceptedIsKept,
    /// A client that keeps its last number sees each message once.
    SeenOnce,
    /// One user's messages of one priority arrive in the order in which they were accepted.
    InOrder,
    /// A number that a device was sent stands for one message, for every device of the user and for ever.
    OneNumberOneMessage,
    /// What was refused is not delivered.
    RefusedIsRefused,
    /// What is scheduled does not arrive before its time.
    NotBeforeItsTime,
    /// What was taken back does not arrive.
    CancelledStaysAway,
    /// What has expired is not sent any more.
    ExpiredStaysAway,
    /// A device gets nothing of a topic that it does not follow.
    NotFollowedStaysAway,
    /// Who begins to follow a topic and asks for its last messages gets the last ones, in order.
    HistoryIsTheLast,
    /// The log of a topic holds no more than it is to hold.
    RetentionHolds,
    /// What a device was sent before is marked when it is sent again.
    AgainIsMarked,
    /// A cursor stands where its device has acknowledged, and no further.
    CursorFollowsAck,
    /// A device may acknowledge what it was sent.
    AckIsTaken,
    /// No more is in flight to a device than its window holds.
    WindowHolds,
    /// What every device has acknowledged is not kept.
    PassedIsTrimmed,
    /// The same id is accepted once, and answered as before.
    IdCountsOnce,
    /// A crash or a power cut damages nothing: what a start finds agrees.
    CrashDamagesNothing,
    /// A server that is told to stop ends in time.
    StopEndsInTime,
    /// Who is connected when a server stops is told so, and when to come again.
    StopSaysBye,
    /// What a server has noted before it has stopped is safe, without anything cut short.
    StopIsWhole,
    /// When all faults are over, everything that is due arrives.
    ComesToRest,
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = String::new();
        for letter in format!("{self:?}").chars() {
            if letter.is_uppercase() && !words.is_empty() {
                words.push('-');
            }
            words.push(letter.to_ascii_lowercase());
        }
        f.write_str(&words)
    }
}

/// A promise that was not kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{promise}: {detail}")]
pub struct Broken {
    /// Which.
    pub promise: Promise,
    /// How.
    pub detail: String,
}
