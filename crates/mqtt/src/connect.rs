//! CONNECT: who comes, and on which terms.

use std::num::{NonZeroU16, NonZeroU32};

use bytes::{Bytes, BytesMut};

use crate::packet::split;
use crate::properties::{OF_CONNECT, OF_WILL, Properties};
use crate::reader::Reader;
use crate::{Fault, Publish, Qos, Version};

const CONNECT: u8 = 0x10;

const CLEAN: u8 = 0x02;
const WILL: u8 = 0x04;
const WILL_QOS: u8 = 0x18;
const WILL_RETAIN: u8 = 0x20;
const PASSWORD: u8 = 0x40;
const USER_NAME: u8 = 0x80;

/// The first packet of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connect {
    /// Which version it speaks.
    pub version: Version,
    /// Its id; empty if the server is to give it one.
    pub client: String,
    /// Whether it begins anew, whatever is known of an earlier session.
    pub clean: bool,
    /// Seconds that it may be silent; 0 for as long as it likes.
    pub keep_alive: u16,
    /// Its user name.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<Bytes>,
    /// What is to be published when it goes without saying so.
    pub will: Option<Will>,
    /// How many seconds its session outlasts its connection; `u32::MAX` for ever. Of 3.1.1 for ever, or not at all
    /// if it begins anew.
    pub session_expiry: u32,
    /// How many messages it takes without having acknowledged them.
    pub receive_maximum: NonZeroU16,
    /// The longest packet that it takes, in bytes.
    pub packet_size: Option<NonZeroU32>,
    /// How it wants to prove who it is, if not by user name and password.
    pub authentication_method: Option<String>,
    /// Whether it wants to be told in words what was wrong.
    pub problem_information: bool,
}

/// What is to be published when a client goes without saying so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Will {
    /// Seconds to wait before that.
    pub delay: u32,
    /// What.
    pub publish: Publish,
}

/// A first packet that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct Refused {
    /// In which version the client can be told, if it can.
    pub version: Option<Version>,
    /// What is wrong.
    pub fault: Fault,
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Self { version: None, fault }
    }
}

impl Connect {
    /// Takes the first packet from `bytes`, which may be `limit` bytes long; nothing if more has to come.
    ///
    /// # Errors
    /// [`Refused`] if it is no CONNECT that this server can take.
    pub fn next(bytes: &mut BytesMut, limit: usize) -> Result<Option<Self>, Refused> {
        match bytes.first() {
            None => return Ok(None),
            Some(&CONNECT) => {}
            Some(first) if first >> 4 == CONNECT >> 4 => return Err(Fault::FirstByte(*first).into()),
            Some(_) => return Err(Fault::NotConnect.into()),
        }
        let Some((_, body)) = split(bytes, limit)? else { return Ok(None) };
        let mut from = Reader::new(body);
        let name = from.text("the protocol's name")?;
        let level = from.byte("the protocol's level")?;
        let version = Version::of_level(level).filter(|_| name == "MQTT");
        let Some(version) = version else {
            // Who speaks a later version knows the form of 5, everybody else that of 3.1.1.
            let version = if level > 5 { Version::V5 } else { Version::V311 };
            return Err(Refused { version: Some(version), fault: Fault::Version { name, level } });
        };
        // Who speaks 3.1.1 is not told what is malformed, but left (MQTT-3.1.4-1).
        let told = (version == Version::V5).then_some(version);
        Self::read(version, from).map(Some).map_err(|fault| Refused { version: told, fault })
    }

    fn read(version: Version, mut from: Reader) -> Result<Self, Fault> {
        let flags = from.byte("the connect flags")?;
        let has = |flag| flags & flag != 0;
        let will_qos = Qos::of_bits((flags & WILL_QOS) >> 3).ok_or(Fault::Reserved("the will's QoS"))?;
        if has(1) || !has(WILL) && has(WILL_QOS | WILL_RETAIN) {
            return Err(Fault::Reserved("a connect flag"));
        }
        if version == Version::V311 && has(PASSWORD) && !has(USER_NAME) {
            return Err(Fault::Reserved("the password flag without a user name"));
        }
        let keep_alive = from.two("the keep alive")?;
        let properties = Properties::read(&mut from, version, &OF_CONNECT)?;
        let client = from.text("the client id")?;
        let will =
            has(WILL).then(|| Self::will(version, will_qos, has(WILL_RETAIN), &mut from)).transpose()?;
        let user = has(USER_NAME).then(|| from.text("the user name")).transpose()?;
        let password = has(PASSWORD).then(|| from.binary("the password")).transpose()?;
        from.end()?;
        let clean = has(CLEAN);
        let session_expiry = match version {
            Version::V311 if clean => 0,
            Version::V311 => u32::MAX,
            Version::V5 => properties.session_expiry.unwrap_or(0),
        };
        Ok(Self {
            version,
            client,
            clean,
            keep_alive,
            user,
            password,
            will,
            session_expiry,
            receive_maximum: properties.receive_maximum.unwrap_or(NonZeroU16::MAX),
            packet_size: properties.packet_size,
            authentication_method: properties.authentication_method,
            problem_information: properties.problem_information.unwrap_or(true),
        })
    }

    fn will(version: Version, qos: Qos, retain: bool, from: &mut Reader) -> Result<Will, Fault> {
        let properties = Properties::read(from, version, &OF_WILL)?;
        let topic = from.text("the will's topic")?;
        let payload = from.binary("the will's payload")?;
        if topic.is_empty() || topic.contains(['+', '#']) {
            return Err(Fault::TopicName(topic));
        }
        let delay = properties.will_delay.unwrap_or(0);
        Ok(Will { delay, publish: Publish::new(topic, payload, qos, retain, properties) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reason;

    fn connect(body: &[u8]) -> Result<Connect, Refused> {
        let mut bytes = BytesMut::from(&[&[CONNECT, u8::try_from(body.len()).unwrap()], body].concat()[..]);
        Connect::next(&mut bytes, 1024).map(|connect| connect.expect("it is whole"))
    }

    #[test]
    fn all_that_a_client_can_say_is_read() {
        let body = [
            &b"\0\x04MQTT\x05\xee\0\x0a"[..],
            b"\x0f\x11\0\0\0\x3c\x21\0\x05\x27\0\0\x01\0\x17\0",
            b"\0\x01c",
            b"\x0c\x18\0\0\0\x07\x02\0\0\0\x09\x01\x01",
            b"\0\x03t/a\0\x02hi\0\x03ada\0\x02pw",
        ]
        .concat();
        let read = connect(&body).unwrap();
        assert_eq!((read.version, read.clean, read.keep_alive), (Version::V5, true, 10));
        assert_eq!((read.session_expiry, read.receive_maximum.get()), (60, 5));
        assert_eq!((read.packet_size.unwrap().get(), read.problem_information), (256, false));
        assert_eq!((read.user.as_deref(), read.password.as_deref()), (Some("ada"), Some(&b"pw"[..])));
        let will = read.will.unwrap();
        assert_eq!((will.delay, will.publish.expiry, will.publish.retain), (7, Some(9), true));
        assert_eq!((&*will.publish.topic, will.publish.qos), ("t/a", Qos::AtLeastOnce));
        assert_eq!(will.publish.is_text, Some(true));
    }

    #[test]
    fn a_session_of_3_1_1_ends_with_its_connection_or_never() {
        assert_eq!(connect(b"\0\x04MQTT\x04\x02\0\0\0\0").unwrap().session_expiry, 0);
        assert_eq!(connect(b"\0\x04MQTT\x04\0\0\0\0\x01a").unwrap().session_expiry, u32::MAX);
    }

    #[test]
    fn what_is_wrong_has_the_reason_of_the_standard() {
        let (v311, v5) = (Some(Version::V311), Some(Version::V5));
        for (body, version, reason) in [
            (&b"\0\x06MQIsdp\x03\x02\0\0\0\0"[..], v311, Reason::VERSION),
            (b"\0\x04MQTT\x06\x02\0\0\0\0\0", v5, Reason::VERSION),
            (b"\0\x04MQTT\x04\x03\0\0\0\0", None, Reason::MALFORMED),
            (b"\0\x04MQTT\x04\x0a\0\0\0\0", None, Reason::MALFORMED),
            (b"\0\x04MQTT\x04\x42\0\0\0\0\0\0", None, Reason::MALFORMED),
            (b"\0\x04MQTT\x05\x1e\0\0\0\0\0\0\0\0", v5, Reason::MALFORMED),
            (b"\0\x04MQTT\x05\x02\0\0\x03\x21\0\0\0\0", v5, Reason::PROTOCOL_ERROR),
            (b"\0\x04MQTT\x05\x02\0\0\x04\x17\0\x17\0\0\0", v5, Reason::PROTOCOL_ERROR),
            (b"\0\x04MQTT\x05\x02\0\0\x02\x17\x02\0\0", v5, Reason::PROTOCOL_ERROR),
            (b"\0\x04MQTT\x05\x02\0\0\x05\x18\0\0\0\0\0\0", v5, Reason::PROTOCOL_ERROR),
            (b"\0\x04MQTT\x05\x02\0\0\0\0\x02a\0", v5, Reason::MALFORMED),
            (b"\0\x04MQTT\x05\x02\0\0\0\0\0x", v5, Reason::MALFORMED),
        ] {
            let refused = connect(body).unwrap_err();
            assert_eq!((refused.version, refused.fault.reason()), (version, reason), "{body:?}: {refused}");
        }
        for bytes in [&b"\x30\0"[..], b"GET / HTTP/1.1", b"\x11\0", b"\x10\xff\xff\xff\xff\x01"] {
            assert_eq!(Connect::next(&mut BytesMut::from(bytes), 1024).unwrap_err().version, None);
        }
    }
}
