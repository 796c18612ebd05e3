//! What a publisher over MQTT says beside the content.

use serde::{Deserialize, Serialize};

/// What a publisher over MQTT says beside the content. Subscribers over MQTT get it as it was said; other doors have no
/// place for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Properties {
    /// Whether it was published at QoS 0, and so is to come at no more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub at_most_once: bool,
    /// Whether the payload is said to be UTF-8, or said not to need to be; nothing if neither is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_text: Option<bool>,
    /// What the payload is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Where an answer is to be published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_topic: Option<String>,
    /// What an answer has to bring along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<Vec<u8>>,
    /// Names and values, in the order of the publisher.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub user: Vec<(String, String)>,
}

impl Properties {
    /// How many bytes its texts have.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let texts = self.content_type.iter().chain(&self.response_topic);
        let pairs = self.user.iter().map(|(name, value)| name.len() + value.len());
        texts.map(String::len).chain(pairs).chain(self.correlation.iter().map(Vec::len)).sum()
    }
}
