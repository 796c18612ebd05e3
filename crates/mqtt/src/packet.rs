//! Whatever a client sends once it is connected.

use std::num::NonZeroU16;

use bytes::{Buf, Bytes, BytesMut};

use crate::properties::{OF_ACKNOWLEDGEMENT, OF_DISCONNECT, Properties};
use crate::reader::{Reader, varying};
use crate::{Fault, Publish, Reason, Subscribe, Unsubscribe, Version};

/// A packet of a client that is connected.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Packet {
    /// PUBLISH.
    Publish(Publish),
    /// PUBACK: a message at QoS 1 is safe with the client, or it does not want it.
    Acknowledged(NonZeroU16),
    /// PUBREL: the client knows that its message at QoS 2 has come.
    Release(NonZeroU16),
    /// SUBSCRIBE.
    Subscribe(Subscribe),
    /// UNSUBSCRIBE.
    Unsubscribe(Unsubscribe),
    /// PINGREQ.
    Ping,
    /// DISCONNECT.
    Disconnect(Disconnect),
}

/// How a client leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disconnect {
    /// Whether its will is to be published all the same.
    pub with_will: bool,
    /// How many seconds its session is to outlast this, if it says so.
    pub session_expiry: Option<u32>,
}

/// Takes a packet from `bytes`: its first byte, and what stands behind its length.
pub(crate) fn split(bytes: &mut BytesMut, limit: usize) -> Result<Option<(u8, Bytes)>, Fault> {
    let Some(&first) = bytes.first() else { return Ok(None) };
    let Some((length, taken)) = varying(&bytes[1..])? else { return Ok(None) };
    let (head, length) = (1 + taken, length as usize);
    if head + length > limit {
        return Err(Fault::TooLarge { length: head + length, limit });
    }
    if bytes.len() < head + length {
        return Ok(None);
    }
    bytes.advance(head);
    Ok(Some((first, bytes.split_to(length).freeze())))
}

impl Packet {
    /// Takes the next packet from `bytes`, which may be `limit` bytes long; nothing if more has to come.
    ///
    /// # Errors
    /// [`Fault`] if it is none that a client may send.
    pub fn next(bytes: &mut BytesMut, version: Version, limit: usize) -> Result<Option<Self>, Fault> {
        if let Some(&first) = bytes.first() {
            check_first(first, version)?;
        }
        let Some((first, body)) = split(bytes, limit)? else { return Ok(None) };
        let from = Reader::new(body);
        Ok(Some(match first >> 4 {
            3 => Self::Publish(Publish::read(first & 0xf, from, version)?),
            4 => Self::Acknowledged(acknowledgement(from, version)?),
            6 => Self::Release(acknowledgement(from, version)?),
            8 => Self::Subscribe(Subscribe::read(from, version)?),
            10 => Self::Unsubscribe(Unsubscribe::read(from, version)?),
            12 => {
                from.end()?;
                Self::Ping
            }
            _ => Self::Disconnect(Disconnect::read(from, version)?),
        }))
    }
}

/// The type and its flags, before the rest has come: who sends something else is not waited for.
fn check_first(first: u8, version: Version) -> Result<(), Fault> {
    match (first >> 4, first & 0xf) {
        (1, 0) => Err(Fault::NotConnect),
        (3, _) | (6 | 8 | 10, 2) | (4 | 12 | 14, 0) => Ok(()),
        // Nothing is sent at QoS 2.
        (5, 0) => Err(Fault::Unexpected("PUBREC")),
        (7, 0) => Err(Fault::Unexpected("PUBCOMP")),
        // Who has not named a method when it came authenticates no more.
        (15, 0) if version == Version::V5 => Err(Fault::Unexpected("AUTH")),
        (2 | 9 | 11 | 13, 0) => Err(Fault::Unexpected("a packet of servers")),
        _ => Err(Fault::FirstByte(first)),
    }
}

/// What is acknowledged. With which reason makes no difference: it is not to be sent again.
fn acknowledgement(mut from: Reader, version: Version) -> Result<NonZeroU16, Fault> {
    let packet = from.packet_id()?;
    if version == Version::V5 && !from.is_empty() {
        from.byte("a reason")?;
        if !from.is_empty() {
            Properties::read(&mut from, version, &OF_ACKNOWLEDGEMENT)?;
        }
    }
    from.end()?;
    Ok(packet)
}

impl Disconnect {
    fn read(mut from: Reader, version: Version) -> Result<Self, Fault> {
        let mut read = Self { with_will: false, session_expiry: None };
        if version == Version::V5 && !from.is_empty() {
            // Only a client that leaves in good order wants its will forgotten.
            read.with_will = from.byte("a reason")? != Reason::SUCCESS.code();
            if !from.is_empty() {
                read.session_expiry = Properties::read(&mut from, version, &OF_DISCONNECT)?.session_expiry;
            }
        }
        from.end()?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Qos, Retained};
    use proptest::prelude::*;

    fn read(bytes: &[u8], version: Version) -> Result<Option<Packet>, Fault> {
        Packet::next(&mut BytesMut::from(bytes), version, 1024)
    }

    fn whole(bytes: &[u8], version: Version) -> Packet {
        read(bytes, version).unwrap().expect("it is whole")
    }

    #[test]
    fn a_publish_is_read_in_both_versions() {
        let Packet::Publish(old) = whole(b"\x3b\x09\0\x03t/a\0\x07hi", Version::V311) else { panic!() };
        assert_eq!((&*old.topic, &old.payload[..], old.qos), ("t/a", &b"hi"[..], Qos::AtLeastOnce));
        assert!(old.retain && old.again && old.packet == NonZeroU16::new(7));
        let new = b"\x30\x15\0\x03all\x0d\x02\0\0\0\x05\x03\0\x03a/b\x01\x01hi";
        let Packet::Publish(new) = whole(new, Version::V5) else { panic!() };
        assert_eq!(
            (new.expiry, new.content_type.as_deref(), new.is_text),
            (Some(5), Some("a/b"), Some(true))
        );
        assert_eq!((&new.payload[..], new.packet), (&b"hi"[..], None));
    }

    #[test]
    fn subscriptions_are_read_with_their_options() {
        let Packet::Subscribe(read) = whole(b"\x82\x0b\0\x09\0\0\x05inbox\x1d", Version::V5) else {
            panic!()
        };
        let [one] = &read.filters[..] else { panic!() };
        assert_eq!((read.packet.get(), &*one.filter, one.qos), (9, "inbox", Qos::AtLeastOnce));
        assert!(one.no_local && one.retain_as_published && one.retained == Retained::IfNew);
        let Packet::Unsubscribe(read) = whole(b"\xa2\x08\0\x02\0\x01a\0\x01b", Version::V311) else {
            panic!()
        };
        assert_eq!(read.filters, ["a", "b"]);
    }

    #[test]
    fn a_client_leaves_with_its_will_or_without() {
        let leaves = |bytes| match whole(bytes, Version::V5) {
            Packet::Disconnect(how) => (how.with_will, how.session_expiry),
            other => panic!("{other:?}"),
        };
        assert_eq!(leaves(b"\xe0\0"), (false, None));
        assert_eq!(leaves(b"\xe0\x01\x04"), (true, None));
        assert_eq!(leaves(b"\xe0\x07\0\x05\x11\0\0\0\x09"), (false, Some(9)));
    }

    #[test]
    fn what_is_wrong_has_the_reason_of_the_standard() {
        let (v311, v5) = (Version::V311, Version::V5);
        for (bytes, version, reason) in [
            (&b"\x10\0"[..], v5, Reason::PROTOCOL_ERROR),
            (b"\0", v311, Reason::MALFORMED),
            (b"\xf0", v311, Reason::MALFORMED),
            (b"\xf0", v5, Reason::PROTOCOL_ERROR),
            (b"\x20", v5, Reason::PROTOCOL_ERROR),
            (b"\x80", v5, Reason::MALFORMED),
            (b"\xc1", v5, Reason::MALFORMED),
            (b"\xc0\xff\xff\xff\xff", v5, Reason::MALFORMED),
            (b"\xc0\x80\0", v5, Reason::MALFORMED),
            (b"\x30\xff\x7f", v5, Reason::TOO_LARGE),
            (b"\x36\x05\0\x01a\0\x01", v311, Reason::MALFORMED),
            (b"\x34\x06\0\x01a\0\x01\0", v5, Reason::QOS),
            (b"\x38\x03\0\x01a", v311, Reason::MALFORMED),
            (b"\x32\x05\0\x01a\0\0", v311, Reason::PROTOCOL_ERROR),
            (b"\x30\x03\0\x01+", v311, Reason::TOPIC_NAME),
            (b"\x30\x05\0\x03a\0b", v311, Reason::MALFORMED),
            (b"\x30\x05\0\x03\xed\xa0\x80", v311, Reason::MALFORMED),
            (b"\x30\x07\0\x01a\x03\x23\0\x01", v5, Reason::TOPIC_ALIAS),
            (b"\x30\x06\0\x01a\x02\x0b\x01", v5, Reason::PROTOCOL_ERROR),
            (b"\x30\x08\0\x01a\x04\x01\0\x01\0", v5, Reason::PROTOCOL_ERROR),
            (b"\x82\x02\0\x01", v311, Reason::PROTOCOL_ERROR),
            (b"\x82\x06\0\x01\0\x01a\x03", v311, Reason::MALFORMED),
            (b"\x82\x06\0\x01\0\x01a\x04", v311, Reason::MALFORMED),
            (b"\x82\x06\0\0\0\x01a\x01", v311, Reason::PROTOCOL_ERROR),
            (b"\x82\x09\0\x01\x02\x0b\x01\0\x01a\x01", v5, Reason::SUBSCRIPTION_ID),
            (b"\xa2\x02\0\x01", v311, Reason::PROTOCOL_ERROR),
            (b"\xe0\x01\0", v311, Reason::MALFORMED),
        ] {
            let fault = read(bytes, version).unwrap_err();
            assert_eq!(fault.reason(), reason, "{bytes:?}: {fault}");
        }
    }

    proptest! {
        #[test]
        fn however_the_bytes_are_cut_the_packets_are_the_same(cuts in prop::collection::vec(1usize..8, 0..40)) {
            let all = b"\xc0\0\x32\x07\0\x01a\0\x07hi\x82\x06\0\x01\0\x01a\x01\x40\x02\0\x09\xe0\0";
            let (mut bytes, mut rest, mut packets) = (BytesMut::new(), &all[..], 0);
            let mut cuts = cuts.into_iter();
            while !rest.is_empty() {
                let (now, later) = rest.split_at(cuts.next().unwrap_or(rest.len()).min(rest.len()));
                rest = later;
                bytes.extend_from_slice(now);
                while Packet::next(&mut bytes, Version::V311, 100).unwrap().is_some() {
                    packets += 1;
                }
            }
            prop_assert_eq!(packets, 5);
            prop_assert!(bytes.is_empty());
        }

        #[test]
        fn no_bytes_make_it_fall(bytes in prop::collection::vec(any::<u8>(), 0..60), first in any::<u8>()) {
            for version in [Version::V311, Version::V5] {
                let mut bytes = BytesMut::from(&[&[first, bytes.len() as u8][..], &bytes].concat()[..]);
                let _ = Packet::next(&mut bytes, version, 1024);
            }
        }
    }
}
