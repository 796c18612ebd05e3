//! What is published.

use std::time::Duration;

use msgserver_message::{CollapseKey, Content, MessageId, Priority, Stage, Timestamp, Topic, UserId};
use serde::{Deserialize, Serialize, Serializer};

/// A message to be published, to a user, to several, to a topic or to all.
///
/// It has an id from the beginning. Publishing it again, after an error or by another process, is the same message to
/// the server: it counts once.
///
/// ```
/// use std::time::Duration;
/// use msgserver_client::{Content, Publication, Priority, UserId};
///
/// let lunch = Publication::to_user(UserId::new("ada")?, Content::text("lunch?"))
///     .ttl(Duration::from_secs(3600))
///     .priority(Priority::High);
/// # Ok::<(), msgserver_client::InvalidName>(())
/// ```
#[derive(Debug, Clone, Serialize)]
pub struct Publication {
    to: To,
    content: Content,
    id: MessageId,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_words")]
    ttl: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deliver_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Priority::is_default")]
    priority: Priority,
    #[serde(skip_serializing_if = "Option::is_none")]
    collapse_key: Option<CollapseKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    if_full: Option<&'static str>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "lowercase")]
enum To {
    User(UserId),
    Users(Vec<UserId>),
    Topic(Topic),
    All(bool),
}

fn as_words<S: Serializer>(ttl: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&humantime::format_duration(ttl.unwrap_or_default()))
}

impl Publication {
    fn new(to: To, content: Content) -> Self {
        let id = MessageId::generate();
        Self {
            to,
            content,
            id,
            ttl: None,
            deliver_at: None,
            priority: Priority::default(),
            collapse_key: None,
            store: None,
            if_full: None,
        }
    }

    /// To one user.
    #[must_use]
    pub fn to_user(user: UserId, content: Content) -> Self {
        Self::new(To::User(user), content)
    }

    /// To several users, in one go.
    #[must_use]
    pub fn to_users(users: Vec<UserId>, content: Content) -> Self {
        Self::new(To::Users(users), content)
    }

    /// To everybody who follows a topic.
    #[must_use]
    pub fn to_topic(topic: Topic, content: Content) -> Self {
        Self::new(To::Topic(topic), content)
    }

    /// A notice, to everybody who is connected.
    #[must_use]
    pub fn to_all(content: Content) -> Self {
        Self::new(To::All(true), content)
    }

    /// Its id. A fresh one unless [`with_id`](Self::with_id) has said another.
    #[must_use]
    pub const fn id(&self) -> MessageId {
        self.id
    }

    /// Under an id of the application's, such as one that it has written down before it publishes.
    #[must_use]
    pub const fn with_id(mut self, id: MessageId) -> Self {
        self.id = id;
        self
    }

    /// How long it is worth delivering, counted from when it is to be delivered.
    #[must_use]
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Not before this time.
    #[must_use]
    pub const fn deliver_at(mut self, at: Timestamp) -> Self {
        self.deliver_at = Some(at);
        self
    }

    /// How urgent it is to who is away.
    #[must_use]
    pub const fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// It takes the place of what waits under the same key and was not sent yet.
    #[must_use]
    pub fn collapse_key(mut self, key: CollapseKey) -> Self {
        self.collapse_key = Some(key);
        self
    }

    /// Whether it waits for who is away. Messages do and notices do not, unless said.
    #[must_use]
    pub const fn store(mut self, store: bool) -> Self {
        self.store = Some(store);
        self
    }

    /// It is refused if an inbox is full, where else the oldest messages would give way.
    #[must_use]
    pub const fn refuse_if_full(mut self) -> Self {
        self.if_full = Some("refuse");
        self
    }

    pub(crate) fn to_json(&self) -> Result<Box<str>, serde_json::Error> {
        Ok(serde_json::to_string(self)?.into())
    }
}

/// What was published: the server has it, as safe as its store promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Published {
    /// The message's id.
    pub id: MessageId,
    /// What had become of it: accepted, scheduled or queued.
    pub state: Stage,
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that meets an error has to end")]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_said_is_left_out_and_what_was_said_is_as_the_server_reads_it() {
        let id: MessageId = "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
        let plain = Publication::to_all(Content::text("a")).with_id(id);
        assert_eq!(
            &*plain.to_json().unwrap(),
            format!(r#"{{"to":{{"all":true}},"content":"a","id":"{id}"}}"#)
        );
        let full = Publication::to_user(UserId::new("ada").unwrap(), Content::from_json("1.50").unwrap())
            .with_id(id)
            .ttl(Duration::from_secs(90))
            .priority(Priority::High)
            .store(true)
            .refuse_if_full();
        let json = full.to_json().unwrap();
        assert_eq!(
            &*json,
            format!(
                r#"{{"to":{{"user":"ada"}},"content":1.50,"id":"{id}","ttl":"1m 30s","priority":"high","store":true,"if_full":"refuse"}}"#
            )
        );
    }
}
