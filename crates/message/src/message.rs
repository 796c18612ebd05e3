//! A message, as it is kept and sent.

use serde::{Deserialize, Serialize};

use crate::{CollapseKey, Content, MessageId, Priority, Properties, Timestamp, Topic};

/// A message that was accepted, without whom it is for: one message can be in many inboxes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its name for publishers and receipts.
    pub id: MessageId,
    /// What it says.
    pub content: Content,
    /// When it was accepted.
    pub sent_at: Timestamp,
    /// The topic that it was published to, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<Topic>,
    /// When it is not worth delivering any more, if ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// How urgent it is.
    #[serde(default, skip_serializing_if = "Priority::is_default")]
    pub priority: Priority,
    /// What it is about, if a newer one about the same takes its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collapse_key: Option<CollapseKey>,
    /// What was said beside the content, if it was published over MQTT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub properties: Option<Box<Properties>>,
}

impl Message {
    /// A message accepted now, under a fresh id.
    #[must_use]
    pub fn new(content: Content) -> Self {
        Self {
            id: MessageId::generate(),
            content,
            sent_at: Timestamp::now(),
            topic: None,
            expires_at: None,
            priority: Priority::default(),
            collapse_key: None,
            properties: None,
        }
    }

    /// How many bytes it says: its content, as JSON, and what was said beside it.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.content.as_json().len() + self.properties.as_ref().map_or(0, |properties| properties.bytes())
    }

    /// Whether its time is over at `now`.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}
