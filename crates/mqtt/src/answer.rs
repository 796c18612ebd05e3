//! What a server says, messages left out.

use std::num::NonZeroU16;

use bytes::{BufMut, Bytes, BytesMut};

use crate::writer::{packet, properties, text};
use crate::{Reason, Version};

/// What a server says to a client, messages left out. Words are for clients of 5 alone: 3.1.1 has no place for them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// CONNACK: the client may come in.
    Welcome(Welcome),
    /// CONNACK: it may not.
    Refused {
        /// Why.
        reason: Reason,
        /// Why, in words.
        detail: Option<String>,
    },
    /// PUBACK: what was published at QoS 1 is safe, or was refused.
    Acknowledged {
        /// What the client has named.
        packet: NonZeroU16,
        /// What became of it.
        reason: Reason,
        /// What was wrong, in words.
        detail: Option<String>,
    },
    /// PUBREC: what was published at QoS 2 is safe. For clients of 3.1.1.
    Received(NonZeroU16),
    /// PUBCOMP: that the client knows so is known. To clients of 5, that there was nothing to know.
    Complete(NonZeroU16),
    /// SUBACK: what became of each filter, in their order.
    Subscribed(NonZeroU16, Vec<Reason>),
    /// UNSUBACK: what became of each filter, in their order.
    Unsubscribed(NonZeroU16, Vec<Reason>),
    /// PINGRESP.
    Pong,
    /// DISCONNECT. Nothing for clients of 3.1.1, for whom the end of the connection has to do.
    Disconnect {
        /// Why.
        reason: Reason,
        /// Why, in words.
        detail: Option<String>,
    },
}

/// On which terms a client comes in. All but the first are for clients of 5.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Welcome {
    /// Whether its earlier session goes on.
    pub session_present: bool,
    /// For how many seconds its session is known, if not as long as it had asked for.
    pub session_expiry: Option<u32>,
    /// The id that it was given.
    pub client: Option<String>,
    /// How many seconds it may be silent, if not as many as it had asked for.
    pub keep_alive: Option<u16>,
    /// The longest packet that it may send, in bytes.
    pub packet_size: u32,
}

impl Answer {
    /// The bytes; none if the version has no way to say it.
    #[must_use]
    pub fn encode(&self, version: Version) -> Bytes {
        let mut body = BytesMut::new();
        let first = match self {
            Self::Welcome(welcome) => {
                body.put_slice(&[u8::from(welcome.session_present), 0]);
                if version == Version::V5 {
                    properties(&welcome.properties(), &mut body);
                }
                0x20
            }
            Self::Refused { reason, detail } => {
                if version == Version::V311 {
                    body.put_slice(&[0, reason.return_code()]);
                } else {
                    body.put_slice(&[0, reason.code()]);
                    properties(&words(detail.as_deref()), &mut body);
                }
                0x20
            }
            Self::Acknowledged { packet, reason, detail } => {
                body.put_u16(packet.get());
                if version == Version::V5 && *reason != Reason::SUCCESS {
                    body.put_u8(reason.code());
                    properties(&words(detail.as_deref()), &mut body);
                }
                0x40
            }
            Self::Received(packet) => {
                body.put_u16(packet.get());
                0x50
            }
            Self::Complete(packet) => {
                body.put_u16(packet.get());
                if version == Version::V5 {
                    // Nothing is received at QoS 2 from who speaks 5.
                    body.put_u8(Reason::PACKET_ID_UNKNOWN.code());
                }
                0x70
            }
            Self::Subscribed(packet, reasons) => {
                body.put_u16(packet.get());
                match version {
                    Version::V5 => {
                        properties(&[], &mut body);
                        body.extend(reasons.iter().map(|reason| reason.code()));
                    }
                    Version::V311 => body.extend(
                        reasons.iter().map(|reason| if reason.is_refusal() { 0x80 } else { reason.code() }),
                    ),
                }
                0x90
            }
            Self::Unsubscribed(packet, reasons) => {
                body.put_u16(packet.get());
                if version == Version::V5 {
                    properties(&[], &mut body);
                    body.extend(reasons.iter().map(|reason| reason.code()));
                }
                0xb0
            }
            Self::Pong => return Bytes::from_static(b"\xd0\0"),
            Self::Disconnect { .. } if version == Version::V311 => return Bytes::new(),
            Self::Disconnect { reason, detail } => {
                body.put_u8(reason.code());
                properties(&words(detail.as_deref()), &mut body);
                0xe0
            }
        };
        packet(first, &body)
    }
}

/// A reason string, if there is one.
fn words(detail: Option<&str>) -> BytesMut {
    let mut out = BytesMut::new();
    if let Some(detail) = detail {
        out.put_u8(0x1f);
        text(detail, &mut out);
    }
    out
}

impl Welcome {
    fn properties(&self) -> BytesMut {
        let mut out = BytesMut::new();
        if let Some(seconds) = self.session_expiry {
            out.put_u8(0x11);
            out.put_u32(seconds);
        }
        if let Some(client) = &self.client {
            out.put_u8(0x12);
            text(client, &mut out);
        }
        if let Some(seconds) = self.keep_alive {
            out.put_u8(0x13);
            out.put_u16(seconds);
        }
        // The most that is published at is QoS 1; neither subscription identifiers nor shared subscriptions.
        out.put_slice(&[0x24, 1, 0x29, 0, 0x2a, 0]);
        out.put_u8(0x27);
        out.put_u32(self.packet_size);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(id: u16) -> NonZeroU16 {
        NonZeroU16::new(id).unwrap()
    }

    #[test]
    fn each_version_has_its_own_form() {
        let words = || Some("no".to_owned());
        let welcome = Welcome { session_present: true, packet_size: 256, ..Welcome::default() };
        let reason = Reason::NOT_AUTHORIZED;
        for (answer, v311, v5) in [
            (
                Answer::Welcome(welcome),
                &b"\x20\x02\x01\0"[..],
                &b"\x20\x0e\x01\0\x0b\x24\x01\x29\0\x2a\0\x27\0\0\x01\0"[..],
            ),
            (
                Answer::Refused { reason, detail: words() },
                b"\x20\x02\0\x05",
                b"\x20\x08\0\x87\x05\x1f\0\x02no",
            ),
            (
                Answer::Acknowledged { packet: id(3), reason, detail: None },
                b"\x40\x02\0\x03",
                b"\x40\x04\0\x03\x87\0",
            ),
            (
                Answer::Subscribed(id(3), vec![Reason::GRANTED_1, Reason::TOPIC_FILTER]),
                b"\x90\x04\0\x03\x01\x80",
                b"\x90\x05\0\x03\0\x01\x8f",
            ),
            (Answer::Unsubscribed(id(3), vec![Reason::SUCCESS]), b"\xb0\x02\0\x03", b"\xb0\x04\0\x03\0\0"),
            (Answer::Disconnect { reason, detail: None }, b"", b"\xe0\x02\x87\0"),
        ] {
            assert_eq!(answer.encode(Version::V311), v311, "{answer:?}");
            assert_eq!(answer.encode(Version::V5), v5, "{answer:?}");
        }
    }
}
