//! The objects of the `frame` protocol.

use msgserver_message::{
    Content, DeviceId, MessageId, Seq, SessionId, Timestamp, Topic, TopicFilter, UserId,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::Delivery;

/// The first frame of a client: who it says it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The user; a server that asks for proof takes the one that is proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// Which of the user's devices this is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// The proof.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// What to follow besides the inbox, beside what the device follows already.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<TopicFilter>,
}

/// What a client says. Fields that are not known are passed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", try_from = "Wire")]
#[non_exhaustive]
pub enum ClientFrame {
    /// The first frame.
    Hello(Hello),
    /// Everything up to and including `seq` is safe with this device.
    Ack {
        /// The last number that is safe.
        seq: Seq,
    },
    /// Follow a topic, or several with a `+` for one level.
    Subscribe {
        /// The topic.
        topic: TopicFilter,
        /// How many of the last messages of each topic that fits are wanted first.
        #[serde(default, skip_serializing_if = "is_zero")]
        history: u32,
    },
    /// Follow a topic no more.
    Unsubscribe {
        /// The topic, as it was subscribed to.
        topic: TopicFilter,
    },
    /// Still there?
    Ping,
    /// Publish a message, as `POST /v1/messages` takes it.
    Publish {
        /// What the answer is to name.
        #[serde(rename = "ref")]
        reference: serde_json::Value,
        /// The message, as JSON text: its numbers keep all their digits.
        #[serde(serialize_with = "as_json")]
        message: Box<str>,
    },
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives it a reference")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A client's frame as it is read. serde reads what is tagged into values of its own first, in which a number has no
/// digits beyond 64 bits; a field that stands beside what is tagged is read straight from the text.
#[derive(Deserialize)]
struct Wire {
    #[serde(rename = "ref", default, deserialize_with = "present")]
    reference: Option<serde_json::Value>,
    #[serde(default, deserialize_with = "present")]
    message: Option<Box<RawValue>>,
    #[serde(flatten)]
    said: Said,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Said {
    Hello(Hello),
    Ack {
        seq: Seq,
    },
    Subscribe {
        topic: TopicFilter,
        #[serde(default)]
        history: u32,
    },
    Unsubscribe {
        topic: TopicFilter,
    },
    Ping,
    Publish {},
}

impl TryFrom<Wire> for ClientFrame {
    type Error = &'static str;

    fn try_from(Wire { reference, message, said }: Wire) -> Result<Self, &'static str> {
        Ok(match said {
            Said::Hello(hello) => Self::Hello(hello),
            Said::Ack { seq } => Self::Ack { seq },
            Said::Subscribe { topic, history } => Self::Subscribe { topic, history },
            Said::Unsubscribe { topic } => Self::Unsubscribe { topic },
            Said::Ping => Self::Ping,
            Said::Publish {} => {
                let (Some(reference), Some(message)) = (reference, message) else {
                    return Err("publish takes `ref` and `message`");
                };
                Self::Publish { reference, message: Box::<str>::from(message) }
            }
        })
    }
}

/// What is there, also if it is `null`.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

fn as_json<S: Serializer>(text: &str, to: S) -> Result<S::Ok, S::Error> {
    serde_json::from_str::<&RawValue>(text).map_err(serde::ser::Error::custom)?.serialize(to)
}

/// Why a frame was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorCode {
    /// The frame is not one that a client may send now.
    UnexpectedFrame,
    /// The server does not do this on this door.
    NotSupported,
    /// The store could not do it now; try again.
    Unavailable,
    /// This client may not do that.
    Forbidden,
    /// What is to be published is not right.
    Invalid,
    /// The id was used for something else.
    Conflict,
    /// Too much waits already; try again later.
    Overloaded,
    /// This device follows as many topics as it may.
    TooManyTopics,
}

/// Why the server closes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ByeCode {
    /// What came is not a frame.
    BadFrame,
    /// The client is not who it says it is, or gave no proof.
    Unauthorized,
    /// No `hello` came in time.
    Timeout,
    /// The same device has connected again.
    Replaced,
    /// The client did not read what was sent to it.
    SlowConsumer,
    /// Nothing was heard for two heartbeats.
    HeartbeatMissed,
    /// Somebody who runs the server has closed it.
    Dismissed,
    /// The time of the token is over.
    TokenExpired,
    /// The token was taken back.
    Revoked,
    /// The server stops.
    ShuttingDown,
    /// The store could not be asked, or the door is full; come back later.
    Unavailable,
}

/// What the server says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
#[non_exhaustive]
pub enum ServerFrame {
    /// The answer to `hello`.
    Welcome {
        /// This connection.
        session: SessionId,
        /// Who the client is taken for.
        user: UserId,
        /// As which device.
        device: DeviceId,
        /// How often the client has to be heard, in milliseconds.
        heartbeat_ms: u64,
        /// Whether the device was known, and goes on where it was.
        resumed: bool,
    },
    /// A message.
    Message {
        /// Its id.
        id: MessageId,
        /// Its number in the inbox; kept until acknowledged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seq: Option<Seq>,
        /// What it says.
        content: Content,
        /// The topic that it was published to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        topic: Option<Topic>,
        /// When it was accepted.
        sent_at: Timestamp,
        /// Whether this device may have seen it before.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        redelivered: bool,
    },
    /// The answer to `publish`.
    Published {
        /// What the publisher named.
        #[serde(rename = "ref")]
        reference: serde_json::Value,
        /// The message's id.
        id: MessageId,
        /// What has become of it.
        state: String,
    },
    /// The answer to `ping`.
    Pong,
    /// A frame was not taken.
    Error {
        /// Why.
        code: ErrorCode,
        /// Why, for people.
        detail: String,
        /// What the publisher named.
        #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
        reference: Option<serde_json::Value>,
    },
    /// The last frame before the server closes.
    Bye {
        /// Why.
        code: ByeCode,
        /// Why, for people.
        detail: String,
        /// When to come back, in milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    },
}

impl From<&Delivery<'_>> for ServerFrame {
    fn from(delivery: &Delivery<'_>) -> Self {
        let message = delivery.message;
        Self::Message {
            id: message.id,
            seq: delivery.seq,
            content: message.content.clone(),
            topic: message.topic.clone(),
            sent_at: message.sent_at,
            redelivered: delivery.redelivered,
        }
    }
}
