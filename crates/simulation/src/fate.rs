//! What became of an order.

use msgserver_message::Timestamp;

use crate::order::Order;

/// What a publisher was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Accepted, for the first time.
    New,
    /// Accepted, for the first time or as before.
    Taken,
    /// Accepted, as before.
    Duplicate,
    /// Refused for good.
    Refused,
    /// Nothing, or that it cannot be said.
    Unknown,
}

/// What became of an order.
#[derive(Debug)]
pub(crate) struct Fate {
    pub(crate) order: Order,
    /// When it was first asked for, in steps of the auditor.
    pub(crate) submitted: u64,
    pub(crate) submitted_wall: Timestamp,
    /// When it was answered for good.
    pub(crate) answered: Option<u64>,
    pub(crate) answered_wall: Timestamp,
    pub(crate) taken: bool,
    pub(crate) refused: bool,
    pub(crate) tries: u32,
    pub(crate) taken_back: bool,
    /// How often somebody has asked to take it back and was not answered.
    pub(crate) cancelling: u32,
}

impl Fate {
    /// It is asked for the first time.
    pub(crate) fn new(order: Order, submitted: u64, wall: Timestamp) -> Self {
        Self {
            order,
            submitted,
            submitted_wall: wall,
            answered: None,
            answered_wall: wall,
            taken: false,
            refused: false,
            tries: 1,
            taken_back: false,
            cancelling: 0,
        }
    }

    /// Whether it was certainly in its inboxes before `step`.
    pub(crate) fn is_before(&self, step: u64) -> bool {
        // What waits for its time is accepted then, and nobody is told when that is.
        self.order.deliver_at.is_none() && self.answered.is_some_and(|answered| answered < step)
    }

    /// Whether somebody may have taken it back.
    pub(crate) fn may_be_taken_back(&self) -> bool {
        self.taken_back || self.cancelling > 0
    }

    /// Whether its time may have been over when the clock was at `latest`.
    pub(crate) fn may_have_expired(&self, latest: Timestamp) -> bool {
        let starts = self.order.deliver_at.map_or(self.submitted_wall, |at| at.max(self.submitted_wall));
        self.order.ttl.is_some_and(|ttl| starts.saturating_add(ttl) <= latest)
    }
}
