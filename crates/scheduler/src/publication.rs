//! What a publisher hands over.

use std::time::Duration;

use msgserver_message::{
    CollapseKey, Content, InvalidContent, MAX_CONTENT_BYTES, MessageId, Priority, Properties, Stage, Target,
    Timestamp, Topic, UserId,
};
use msgserver_persistence::IfFull;
use serde::Deserialize;
use serde_json::value::RawValue;

/// What a publisher hands over.
#[derive(Debug, Clone)]
pub struct Publication {
    /// Who it is for.
    pub target: Target,
    /// What it says.
    pub content: Content,
    /// Its id, if the publisher chose one: the same again is accepted once.
    pub id: Option<MessageId>,
    /// How long it is worth delivering, counted from when it is to be delivered.
    pub ttl: Option<Duration>,
    /// When it is to be delivered, if not now.
    pub deliver_at: Option<Timestamp>,
    /// How urgent it is.
    pub priority: Priority,
    /// What it is about: it takes the place of what waits under the same key.
    pub collapse_key: Option<CollapseKey>,
    /// Whether it is to be kept for who is not connected; messages are and notices are not unless said.
    pub store: Option<bool>,
    /// What happens when an inbox is full.
    pub if_full: IfFull,
    /// What is said beside the content, if it is published over MQTT.
    pub properties: Option<Box<Properties>>,
}

impl Publication {
    /// A publication with nothing unusual.
    #[must_use]
    pub fn new(target: impl Into<Target>, content: Content) -> Self {
        Self {
            target: target.into(),
            content,
            id: None,
            ttl: None,
            deliver_at: None,
            priority: Priority::default(),
            collapse_key: None,
            store: None,
            if_full: IfFull::default(),
            properties: None,
        }
    }

    /// Reads the object that publishers send, such as `{"to": {"user": "ada"}, "content": "hello"}`.
    ///
    /// # Errors
    /// [`InvalidPublication`] says what is wrong with it.
    pub fn from_json(json: &[u8]) -> Result<Self, InvalidPublication> {
        let body: Body<'_> = serde_json::from_slice(json)?;
        let ttl = body.ttl.as_deref().map(humantime::parse_duration).transpose();
        let ttl = ttl.map_err(InvalidPublication::Ttl)?;
        let content = body.content.get();
        if content.len() > MAX_CONTENT_BYTES {
            return Err(InvalidPublication::TooLong { bytes: content.len() });
        }
        Ok(Self {
            target: body.to.target()?,
            content: Content::from_json(content)?,
            id: body.id,
            ttl,
            deliver_at: body.deliver_at,
            priority: body.priority,
            collapse_key: body.collapse_key,
            store: body.store,
            if_full: match body.if_full {
                Full::DropOldest => IfFull::DropOldest,
                Full::Refuse => IfFull::Refuse,
            },
            properties: None,
        })
    }
}

/// What a publisher is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// The message's id.
    pub id: MessageId,
    /// What has become of it: accepted, scheduled or queued.
    pub state: Stage,
}

/// What a publisher sent is no publication.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPublication {
    /// It is not the object that it should be.
    #[error(transparent)]
    Malformed(#[from] serde_json::Error),
    /// The content is not one.
    #[error(transparent)]
    Content(#[from] InvalidContent),
    /// The content is longer than anybody has to take.
    #[error("a content may be {MAX_CONTENT_BYTES} bytes long, this one has {bytes}")]
    TooLong {
        /// How long it is, in bytes of JSON.
        bytes: usize,
    },
    /// The time to live is no duration.
    #[error("ttl: {0}; a duration is such as 90s or 24h")]
    Ttl(humantime::DurationError),
    /// Nobody, or too many at once, are named.
    #[error("`to` takes exactly one of user, users, topic and \"all\": true")]
    Target,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body<'a> {
    to: To,
    #[serde(borrow)]
    content: &'a RawValue,
    id: Option<MessageId>,
    ttl: Option<String>,
    store: Option<bool>,
    deliver_at: Option<Timestamp>,
    #[serde(default)]
    priority: Priority,
    collapse_key: Option<CollapseKey>,
    #[serde(default)]
    if_full: Full,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "snake_case")]
enum Full {
    #[default]
    DropOldest,
    Refuse,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct To {
    user: Option<UserId>,
    users: Option<Vec<UserId>>,
    topic: Option<Topic>,
    all: Option<bool>,
}

impl To {
    fn target(self) -> Result<Target, InvalidPublication> {
        match (self.user, self.users, self.topic, self.all) {
            (Some(user), None, None, None) => Ok(Target::User(user)),
            (None, Some(users), None, None) => Ok(Target::Users(users)),
            (None, None, Some(topic), None) => Ok(Target::Topic(topic)),
            (None, None, None, Some(true)) => Ok(Target::All),
            _ => Err(InvalidPublication::Target),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_read() {
        let json = r#"{"to":{"users":["a","b"]},"content":{"n":1.50},"id":"01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "ttl":"90s","deliver_at":"2026-01-31T12:00:00Z","priority":"high","collapse_key":"k",
            "store":true,"if_full":"refuse"}"#;
        let read = Publication::from_json(json.as_bytes()).unwrap();
        assert!(matches!(&read.target, Target::Users(users) if users.len() == 2));
        assert_eq!(read.content.as_json(), r#"{"n":1.50}"#);
        assert_eq!(read.ttl, Some(Duration::from_secs(90)));
        assert_eq!(read.deliver_at.unwrap().to_string(), "2026-01-31T12:00:00.000Z");
        assert_eq!((read.priority, read.if_full), (Priority::High, IfFull::Refuse));
        assert_eq!(read.collapse_key.unwrap().as_str(), "k");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (json, word) in [
            (r#"{"to":{},"content":1}"#, "exactly one"),
            (r#"{"to":{"user":"a","all":true},"content":1}"#, "exactly one"),
            (r#"{"to":{"all":false},"content":1}"#, "exactly one"),
            (r#"{"to":{"user":"a"},"content":1,"ttl":"soon"}"#, "ttl"),
            (r#"{"to":{"user":"a"},"content":1,"ttl":5}"#, "string"),
            (r#"{"to":{"user":"a"},"content":1,"priority":"urgent"}"#, "urgent"),
            (r#"{"to":{"user":"a"},"content":1,"deliver_at":"tomorrow"}"#, "tomorrow"),
            (r#"{"to":{"user":"a"},"content":1,"colour":"red"}"#, "colour"),
            (r#"{"to":{"user":"a"}}"#, "content"),
        ] {
            let said = Publication::from_json(json.as_bytes()).unwrap_err().to_string();
            assert!(said.contains(word), "{json}: {said}");
        }
    }
}
