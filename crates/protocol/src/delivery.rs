//! One message on its way to one session, or to many.

use msgserver_message::{Message, Seq};

/// One message on its way to one session, or to many that would get the same bytes.
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'a> {
    /// The message.
    pub message: &'a Message,
    /// Its number in the inbox that it is kept in until acknowledged; none for what is not kept.
    pub seq: Option<Seq>,
    /// Whether the device may have seen it before.
    pub redelivered: bool,
    /// Whether it is to this user, and not a notice to all.
    pub personal: bool,
    /// Whether it is sent without being acknowledged, though it is kept: where a client may choose so.
    pub at_most_once: bool,
    /// Whether it is what a topic had before the client came to follow it.
    pub retained: bool,
}

impl<'a> Delivery<'a> {
    /// A message that is in no inbox.
    #[must_use]
    pub const fn notice(message: &'a Message) -> Self {
        Self { message, seq: None, redelivered: false, personal: false, at_most_once: false, retained: false }
    }

    /// A message to a user that is kept nowhere.
    #[must_use]
    pub const fn passing(message: &'a Message) -> Self {
        Self { personal: true, ..Self::notice(message) }
    }

    /// A message that is kept under `seq`.
    #[must_use]
    pub const fn kept(message: &'a Message, seq: Seq) -> Self {
        Self { seq: Some(seq), ..Self::passing(message) }
    }
}
