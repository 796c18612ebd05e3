//! What a message says.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// The longest content that a server takes, in bytes of its JSON text.
pub const MAX_CONTENT_BYTES: usize = 1024 * 1024;

/// The longest message, in whichever form it travels: its content, and what goes with it.
pub const MAX_MESSAGE_BYTES: usize = MAX_CONTENT_BYTES + 4096;

/// What a message says: one JSON value, kept as its text.
///
/// The text is what a publisher sent and what a JSON client gets, so a number keeps all its digits and
/// nothing is parsed twice. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Content(Arc<str>);

/// The text is not one JSON value, or it nests deeper than 128 levels.
#[derive(Debug, thiserror::Error)]
#[error("content must be one JSON value, nested at most 128 deep: {0}")]
pub struct InvalidContent(#[from] serde_json::Error);

impl Content {
    /// A text, as a JSON string.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self(serde_json::Value::from(text).to_string().into())
    }

    /// Takes a JSON text, without the white space around it.
    ///
    /// # Errors
    /// [`InvalidContent`] if it is not one JSON value or nests deeper than 128 levels.
    pub fn from_json(json: &str) -> Result<Self, InvalidContent> {
        // Into a value and not a RawValue: the raw form is not held to the depth limit, and what cannot be
        // read back later has to be refused here.
        serde_json::from_str::<serde_json::Value>(json)?;
        Ok(Self(json.trim_ascii().into()))
    }

    /// Whatever serde can write as JSON.
    ///
    /// # Errors
    /// [`InvalidContent`] if JSON has no form for it, such as a map with keys that are not texts.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, InvalidContent> {
        Self::from_json(&serde_json::to_string(value)?)
    }

    /// The JSON text.
    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.0
    }

    /// The text itself if the content is a JSON string.
    #[must_use]
    pub fn as_text(&self) -> Option<String> {
        self.0.starts_with('"').then(|| serde_json::from_str(&self.0).ok()).flatten()
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// In JSON the value itself; in formats that cannot take a JSON text over, use the text.
impl Serialize for Content {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serde_json::from_str::<&RawValue>(&self.0)
                .map_err(serde::ser::Error::custom)?
                .serialize(serializer)
        } else {
            serializer.serialize_str(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = if deserializer.is_human_readable() {
            // Not as a RawValue: inside a tagged frame serde has read the value already, and it has no text.
            serde_json::Value::deserialize(deserializer)?.to_string()
        } else {
            String::deserialize(deserializer)?
        };
        Self::from_json(&json).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_goes_through_unchanged() {
        let json = r#"{"n":1234567890123456789012345678901234567890,"b":[true,null]}"#;
        let content = Content::from_json(json).unwrap();
        assert_eq!(serde_json::to_string(&content).unwrap(), json);
        let json = r#"{"b":[true,null],"n":1.5}"#;
        assert_eq!(serde_json::from_str::<Content>(json).unwrap().as_json(), json);
    }

    #[test]
    fn what_is_not_one_value_or_too_deep_is_refused() {
        for json in ["", "{", "1 2", "\"\u{1}\"", &"[".repeat(100_000)] {
            assert!(Content::from_json(json).is_err());
        }
        let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
        assert!(Content::from_json(&deep).is_err());
        assert!(serde_json::from_str::<Content>(&deep).is_err());
    }

    #[test]
    fn a_text_is_a_json_string() {
        let content = Content::text("a \"b\" | \n");
        assert_eq!(content.as_json(), r#""a \"b\" | \n""#);
        assert_eq!(content.as_text().as_deref(), Some("a \"b\" | \n"));
        assert_eq!(Content::from_json("1").unwrap().as_text(), None);
    }
}
