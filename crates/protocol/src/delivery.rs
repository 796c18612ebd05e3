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
}

impl<'a> Delivery<'a> {
    /// A message that is in no inbox.
    #[must_use]
    pub const fn notice(message: &'a Message) -> Self {
        Self { message, seq: None, redelivered: false }
    }

    /// A message that is kept under `seq`.
    #[must_use]
    pub const fn kept(message: &'a Message, seq: Seq) -> Self {
        Self { message, seq: Some(seq), redelivered: false }
    }
}
