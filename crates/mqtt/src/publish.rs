//! PUBLISH, as clients send it.

use std::num::NonZeroU16;

use bytes::Bytes;

use crate::properties::{OF_PUBLISH, Properties};
use crate::reader::Reader;
use crate::{Fault, Qos, Version};

/// What a client publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    /// Where to.
    pub topic: String,
    /// What.
    pub payload: Bytes,
    /// How sure it is to be.
    pub qos: Qos,
    /// Whether it takes the place of what is retained for its topic.
    pub retain: bool,
    /// Whether it may have been sent before.
    pub again: bool,
    /// What its acknowledgement has to name; nothing at QoS 0.
    pub packet: Option<NonZeroU16>,
    /// For how many seconds it is worth delivering.
    pub expiry: Option<u32>,
    /// What the payload is.
    pub content_type: Option<String>,
    /// Whether the client says that the payload is UTF-8, or that it need not be; nothing if it says neither.
    pub is_text: Option<bool>,
    /// Where an answer is to be published.
    pub response_topic: Option<String>,
    /// What an answer has to bring along.
    pub correlation: Option<Bytes>,
    /// Names and values, in their order.
    pub user: Vec<(String, String)>,
}

impl Publish {
    pub(crate) fn new(topic: String, payload: Bytes, qos: Qos, retain: bool, properties: Properties) -> Self {
        let Properties {
            message_expiry: expiry,
            content_type,
            is_text,
            response_topic,
            correlation,
            user,
            ..
        } = properties;
        Self {
            topic,
            payload,
            qos,
            retain,
            again: false,
            packet: None,
            expiry,
            content_type,
            is_text,
            response_topic,
            correlation,
            user,
        }
    }

    pub(crate) fn read(flags: u8, mut from: Reader, version: Version) -> Result<Self, Fault> {
        let qos = Qos::of_bits((flags >> 1) & 0x3).ok_or(Fault::Reserved("the QoS"))?;
        let again = flags & 0x8 != 0;
        if again && qos == Qos::AtMostOnce {
            return Err(Fault::Reserved("DUP at QoS 0"));
        }
        let topic = from.text("the topic")?;
        let packet = (qos != Qos::AtMostOnce).then(|| from.packet_id()).transpose()?;
        let properties = Properties::read(&mut from, version, &OF_PUBLISH)?;
        if let Some(alias) = properties.topic_alias {
            return Err(Fault::TopicAlias(alias));
        }
        if topic.is_empty() && version == Version::V5 {
            return Err(Fault::Unexpected("a PUBLISH without a topic and an alias for it"));
        }
        if topic.is_empty() || topic.contains(['+', '#']) {
            return Err(Fault::TopicName(topic));
        }
        if qos == Qos::ExactlyOnce && version == Version::V5 {
            return Err(Fault::Qos(qos));
        }
        let read = Self::new(topic, from.rest(), qos, flags & 0x1 != 0, properties);
        Ok(Self { again, packet, ..read })
    }
}
