//! What became of a message.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{DeviceId, MessageId, Timestamp, UserId};

/// A stage in the life of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Stage {
    /// It is as safe as the store promises.
    Accepted,
    /// It waits for the moment that its publisher has named.
    Scheduled,
    /// It is on its way, and in no store.
    Queued,
    /// It was written to a device's connection.
    Sent,
    /// A device has said that it is safe there; of one whose protocol lets it say nothing, its TCP has.
    Acknowledged,
    /// It is not delivered any more: its time was over, or an inbox was full.
    Expired,
    /// It was taken back, or a newer one took its place.
    Cancelled,
}

impl Stage {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Scheduled => "scheduled",
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Acknowledged => "acknowledged",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A stage that a message has reached, and when; whose, on which device and by which door, where that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The stage.
    pub state: Stage,
    /// When.
    pub at: Timestamp,
    /// Whose copy of the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// On which device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// By which door.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub door: Option<Cow<'static, str>>,
    /// Why, where the stage alone does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Cow<'static, str>>,
}

impl Step {
    /// A step of the message as a whole.
    #[must_use]
    pub const fn new(state: Stage, at: Timestamp) -> Self {
        Self { state, at, user: None, device: None, door: None, reason: None }
    }

    /// A step of one user's copy.
    #[must_use]
    pub fn of(user: &UserId, state: Stage, at: Timestamp) -> Self {
        Self { user: Some(user.clone()), ..Self::new(state, at) }
    }
}

/// What became of a message, step by step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The message.
    pub id: MessageId,
    /// The last stage that was reached.
    pub state: Stage,
    /// The steps in the order of their times.
    pub steps: Vec<Step>,
}

impl Receipt {
    /// The receipt of a message with these steps; nothing if there are none.
    #[must_use]
    pub fn of(id: MessageId, mut steps: Vec<Step>) -> Option<Self> {
        // A stable sort: of steps within a millisecond, the one that was noted first stays first.
        steps.sort_by_key(|step| step.at);
        let state = steps.last()?.state;
        Some(Self { id, state, steps })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_in_the_order_of_its_times() {
        let step = |state, millis| Step::new(state, Timestamp::from_millis(millis));
        let id = MessageId::generate();
        let steps = vec![step(Stage::Acknowledged, 3), step(Stage::Accepted, 1), step(Stage::Sent, 3)];
        let receipt = Receipt::of(id, steps).unwrap();
        let states: Vec<_> = receipt.steps.iter().map(|step| step.state.as_str()).collect();
        assert_eq!(states, ["accepted", "acknowledged", "sent"]);
        assert_eq!(receipt.state, Stage::Sent);
        assert_eq!(Receipt::of(id, Vec::new()), None);
        let json = serde_json::to_value(&receipt.steps[0]).unwrap();
        assert_eq!(json, serde_json::json!({"state": "accepted", "at": "1970-01-01T00:00:00.001Z"}));
    }
}
