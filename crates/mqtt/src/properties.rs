//! The properties of MQTT 5.

use std::num::{NonZeroU16, NonZeroU32};

use bytes::Bytes;

use crate::reader::Reader;
use crate::{Fault, Version};

const PAYLOAD_FORMAT: u32 = 0x01;
const MESSAGE_EXPIRY: u32 = 0x02;
const CONTENT_TYPE: u32 = 0x03;
const RESPONSE_TOPIC: u32 = 0x08;
const CORRELATION: u32 = 0x09;
const SUBSCRIPTION_ID: u32 = 0x0b;
const SESSION_EXPIRY: u32 = 0x11;
const AUTHENTICATION_METHOD: u32 = 0x15;
const AUTHENTICATION: u32 = 0x16;
const PROBLEM_INFORMATION: u32 = 0x17;
const WILL_DELAY: u32 = 0x18;
const RESPONSE_INFORMATION: u32 = 0x19;
const REASON_STRING: u32 = 0x1f;
const RECEIVE_MAXIMUM: u32 = 0x21;
const TOPIC_ALIAS_MAXIMUM: u32 = 0x22;
const TOPIC_ALIAS: u32 = 0x23;
const USER_PROPERTY: u32 = 0x26;
const PACKET_SIZE: u32 = 0x27;

/// A packet, and which properties it may have.
pub(crate) struct Allowed {
    packet: &'static str,
    ids: &'static [u32],
}

pub(crate) const OF_CONNECT: Allowed = Allowed {
    packet: "CONNECT",
    ids: &[
        SESSION_EXPIRY,
        AUTHENTICATION_METHOD,
        AUTHENTICATION,
        PROBLEM_INFORMATION,
        RESPONSE_INFORMATION,
        RECEIVE_MAXIMUM,
        TOPIC_ALIAS_MAXIMUM,
        PACKET_SIZE,
        USER_PROPERTY,
    ],
};
pub(crate) const OF_WILL: Allowed = Allowed {
    packet: "a will",
    ids: &[
        WILL_DELAY,
        PAYLOAD_FORMAT,
        MESSAGE_EXPIRY,
        CONTENT_TYPE,
        RESPONSE_TOPIC,
        CORRELATION,
        USER_PROPERTY,
    ],
};
pub(crate) const OF_PUBLISH: Allowed = Allowed {
    packet: "PUBLISH",
    ids: &[
        PAYLOAD_FORMAT,
        MESSAGE_EXPIRY,
        CONTENT_TYPE,
        RESPONSE_TOPIC,
        CORRELATION,
        TOPIC_ALIAS,
        USER_PROPERTY,
    ],
};
pub(crate) const OF_ACKNOWLEDGEMENT: Allowed =
    Allowed { packet: "an acknowledgement", ids: &[REASON_STRING, USER_PROPERTY] };
pub(crate) const OF_SUBSCRIBE: Allowed =
    Allowed { packet: "SUBSCRIBE", ids: &[SUBSCRIPTION_ID, USER_PROPERTY] };
pub(crate) const OF_UNSUBSCRIBE: Allowed = Allowed { packet: "UNSUBSCRIBE", ids: &[USER_PROPERTY] };
pub(crate) const OF_DISCONNECT: Allowed =
    Allowed { packet: "DISCONNECT", ids: &[SESSION_EXPIRY, REASON_STRING, USER_PROPERTY] };

/// What the properties of a packet say, as far as a server has use for it; the others are read over.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Properties {
    pub(crate) is_text: Option<bool>,
    pub(crate) message_expiry: Option<u32>,
    pub(crate) content_type: Option<String>,
    pub(crate) response_topic: Option<String>,
    pub(crate) correlation: Option<Bytes>,
    pub(crate) subscription_id: Option<u32>,
    pub(crate) session_expiry: Option<u32>,
    pub(crate) authentication_method: Option<String>,
    pub(crate) problem_information: Option<bool>,
    pub(crate) will_delay: Option<u32>,
    pub(crate) receive_maximum: Option<NonZeroU16>,
    pub(crate) topic_alias: Option<u16>,
    pub(crate) packet_size: Option<NonZeroU32>,
    pub(crate) user: Vec<(String, String)>,
}

impl Properties {
    /// Reads the properties of a packet; 3.1.1 has none.
    pub(crate) fn read(from: &mut Reader, version: Version, allowed: &Allowed) -> Result<Self, Fault> {
        let mut read = Self::default();
        if version == Version::V311 {
            return Ok(read);
        }
        let mut part = from.part("the properties")?;
        let (mut seen, mut has_authentication) = (0_u64, false);
        while !part.is_empty() {
            let id = part.varying("a property")?;
            if !allowed.ids.contains(&id) {
                return Err(Fault::Property { id, packet: allowed.packet });
            }
            if id != USER_PROPERTY && seen & (1 << id) != 0 {
                return Err(Fault::Twice(id));
            }
            seen |= 1 << id;
            has_authentication |= id == AUTHENTICATION;
            read.take(id, &mut part)?;
        }
        if has_authentication && read.authentication_method.is_none() {
            return Err(Fault::Value(AUTHENTICATION));
        }
        Ok(read)
    }

    fn take(&mut self, id: u32, from: &mut Reader) -> Result<(), Fault> {
        let what = "a property";
        let yes_or_no = |byte| match byte {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Fault::Value(id)),
        };
        match id {
            PAYLOAD_FORMAT => self.is_text = Some(yes_or_no(from.byte(what)?)?),
            MESSAGE_EXPIRY => self.message_expiry = Some(from.four(what)?),
            CONTENT_TYPE => self.content_type = Some(from.text(what)?),
            RESPONSE_TOPIC => {
                let topic = from.text(what)?;
                if topic.is_empty() || topic.contains(['+', '#']) {
                    return Err(Fault::Value(id));
                }
                self.response_topic = Some(topic);
            }
            CORRELATION => self.correlation = Some(from.binary(what)?),
            AUTHENTICATION => drop(from.binary(what)?),
            SUBSCRIPTION_ID => {
                let number = from.varying(what)?;
                self.subscription_id = Some((number > 0).then_some(number).ok_or(Fault::Value(id))?);
            }
            SESSION_EXPIRY => self.session_expiry = Some(from.four(what)?),
            AUTHENTICATION_METHOD => self.authentication_method = Some(from.text(what)?),
            PROBLEM_INFORMATION => self.problem_information = Some(yes_or_no(from.byte(what)?)?),
            RESPONSE_INFORMATION => drop(yes_or_no(from.byte(what)?)?),
            WILL_DELAY => self.will_delay = Some(from.four(what)?),
            REASON_STRING => drop(from.text(what)?),
            RECEIVE_MAXIMUM => {
                let most = NonZeroU16::new(from.two(what)?).ok_or(Fault::Value(id))?;
                self.receive_maximum = Some(most);
            }
            TOPIC_ALIAS_MAXIMUM => drop(from.two(what)?),
            TOPIC_ALIAS => self.topic_alias = Some(from.two(what)?),
            USER_PROPERTY => self.user.push((from.text(what)?, from.text(what)?)),
            _ => {
                let most = NonZeroU32::new(from.four(what)?).ok_or(Fault::Value(id))?;
                self.packet_size = Some(most);
            }
        }
        Ok(())
    }
}
