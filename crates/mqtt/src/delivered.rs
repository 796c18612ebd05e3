//! PUBLISH, as a server sends it.

use std::num::NonZeroU16;

use bytes::{BufMut, BytesMut};

use crate::Version;
use crate::writer::{binary, properties, text, varying};

/// A message for a client.
#[derive(Debug, Clone, Copy)]
pub struct Delivered<'a> {
    /// Where it comes from.
    pub topic: &'a str,
    /// What it says.
    pub payload: &'a [u8],
    /// What its acknowledgement has to name; without one it is sent at QoS 0.
    pub packet: Option<NonZeroU16>,
    /// Whether it may have been sent before.
    pub again: bool,
    /// Whether it is what a new subscriber gets of before.
    pub retained: bool,
    /// For how many seconds it is worth something. For clients of 5, as all that follows.
    pub expiry: Option<u32>,
    /// Whether the payload is UTF-8, or need not be; nothing to say neither.
    pub is_text: Option<bool>,
    /// What the payload is.
    pub content_type: Option<&'a str>,
    /// Where an answer is to be published.
    pub response_topic: Option<&'a str>,
    /// What an answer has to bring along.
    pub correlation: Option<&'a [u8]>,
    /// What else is known of it, as user properties.
    pub about: &'a [(&'a str, &'a str)],
}

impl Delivered<'_> {
    /// Appends the bytes.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) {
        let mut head = BytesMut::with_capacity(self.topic.len() + 128);
        text(self.topic, &mut head);
        if let Some(packet) = self.packet {
            head.put_u16(packet.get());
        }
        if version == Version::V5 {
            properties(&self.properties(), &mut head);
        }
        let mut length = BytesMut::with_capacity(4);
        varying(head.len() + self.payload.len(), &mut length);
        let again = u8::from(self.again && self.packet.is_some());
        out.reserve(1 + length.len() + head.len() + self.payload.len());
        out.push(0x30 | again << 3 | u8::from(self.packet.is_some()) << 1 | u8::from(self.retained));
        for part in [&length[..], &head, self.payload] {
            out.extend_from_slice(part);
        }
    }

    fn properties(&self) -> BytesMut {
        let mut out = BytesMut::with_capacity(96);
        if let Some(is_text) = self.is_text {
            out.put_slice(&[0x01, u8::from(is_text)]);
        }
        if let Some(seconds) = self.expiry {
            out.put_u8(0x02);
            out.put_u32(seconds);
        }
        if let Some(content_type) = self.content_type {
            out.put_u8(0x03);
            text(content_type, &mut out);
        }
        if let Some(topic) = self.response_topic {
            out.put_u8(0x08);
            text(topic, &mut out);
        }
        if let Some(correlation) = self.correlation {
            out.put_u8(0x09);
            binary(correlation, &mut out);
        }
        for (name, value) in self.about {
            out.put_u8(0x26);
            text(name, &mut out);
            text(value, &mut out);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_what_the_standard_says() {
        let message = Delivered {
            topic: "t/a",
            payload: b"hi",
            packet: NonZeroU16::new(7),
            again: true,
            retained: false,
            expiry: Some(5),
            is_text: Some(true),
            content_type: None,
            response_topic: Some("t/b"),
            correlation: Some(&[1, 2]),
            about: &[("seq", "7")],
        };
        let (mut old, mut new) = (Vec::new(), Vec::new());
        message.encode(Version::V311, &mut old);
        assert_eq!(old, b"\x3a\x09\0\x03t/a\0\x07hi");
        message.encode(Version::V5, &mut new);
        assert_eq!(new, b"\x3a\x25\0\x03t/a\0\x07\x1b\x01\x01\x02\0\0\0\x05\x08\0\x03t/b\x09\0\x02\x01\x02\x26\0\x03seq\0\x017hi");
        let (notice, mut out) = (Delivered { packet: None, retained: true, ..message }, Vec::new());
        notice.encode(Version::V311, &mut out);
        assert_eq!(out, b"\x31\x07\0\x03t/ahi");
    }
}
