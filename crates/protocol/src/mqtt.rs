//! MQTT: what a delivery is as a PUBLISH packet, and what becomes of a connection in its words.

use std::num::NonZeroU16;

use msgserver_message::{Seq, Timestamp};
use msgserver_mqtt::{Answer, Delivered, Packet, Reason, Version};

use crate::event_stream::json_alone;
use crate::inbound::{Heard, Partial};
use crate::{
    Acknowledgement, ByeCode, DecodeError, Delivery, EncodeError, FrameFault, Inbound, Protocol, Serializer,
    ServerFrame,
};

/// MQTT in one of its versions.
///
/// A message to a user comes from `inbox`, a notice from `all`, a message of a topic from `t/` and the topic. The
/// payload is the text if the content is one, else its JSON; clients of 5 find the rest in user properties.
#[derive(Debug, Clone, Copy)]
pub struct Mqtt(pub Version);

/// Where messages to a user come from.
pub const INBOX: &str = "inbox";
/// Where notices come from, and are published to.
pub const NOTICES: &str = "all";
/// What stands before the name of a topic.
pub const TOPIC_PREFIX: &str = "t/";

/// How many packet ids there are.
pub const PACKET_IDS: u64 = u16::MAX as u64;

/// The packet id under which a kept message is sent. It follows from the number, so a message that is sent again has
/// the same one, whatever has happened to the server since; those of [`PACKET_IDS`] numbers in a row are different.
#[must_use]
pub fn packet_of(seq: Seq) -> NonZeroU16 {
    let id = (seq.get().wrapping_sub(1) % PACKET_IDS) as u16 + 1;
    NonZeroU16::new(id).expect("one more than something")
}

pub(crate) fn next(
    version: Version,
    partial: &mut Partial,
    limit: usize,
) -> Result<Option<Heard>, DecodeError> {
    Ok(Packet::next(&mut partial.bytes, version, limit)?.map(|packet| match packet {
        Packet::Ping => Heard::Asked(Answer::Pong.encode(version)),
        packet => Heard::Packet(packet),
    }))
}

/// Why a connection ends, in the words of the standard.
const fn reason(code: ByeCode, fault: Option<FrameFault>) -> Reason {
    match (code, fault) {
        (_, Some(FrameFault::Packet(reason))) => reason,
        (ByeCode::BadFrame, _) => Reason::PROTOCOL_ERROR,
        (ByeCode::Unauthorized | ByeCode::Revoked, _) => Reason::NOT_AUTHORIZED,
        (ByeCode::Timeout | ByeCode::HeartbeatMissed, _) => Reason::KEEP_ALIVE,
        (ByeCode::Replaced, _) => Reason::TAKEN_OVER,
        (ByeCode::SlowConsumer, _) => Reason::QUOTA,
        (ByeCode::Dismissed, _) => Reason::ADMINISTRATIVE,
        (ByeCode::TokenExpired, _) => Reason::CONNECT_TIME,
        (ByeCode::ShuttingDown, _) => Reason::SHUTTING_DOWN,
        (ByeCode::Unavailable, _) => Reason::BUSY,
    }
}

impl Protocol for Mqtt {
    fn name(&self) -> &str {
        "mqtt"
    }

    fn objection(&self, serializer: &dyn Serializer) -> Option<&'static str> {
        json_alone(serializer)
    }

    fn payload(
        &self,
        delivery: &Delivery<'_>,
        _: &dyn Serializer,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let message = delivery.message;
        let topic = match &message.topic {
            Some(topic) => &format!("{TOPIC_PREFIX}{topic}"),
            None if delivery.personal => INBOX,
            None => NOTICES,
        };
        let text = message.content.as_text();
        let mut about: Vec<(&str, String)> = Vec::new();
        let mut expiry = None;
        if self.0 == Version::V5 {
            about.push(("id", message.id.to_string()));
            about.extend(delivery.seq.map(|seq| ("seq", seq.to_string())));
            about.push(("sent_at", message.sent_at.to_string()));
            about.extend(delivery.redelivered.then(|| ("redelivered", "true".to_owned())));
            expiry = message.expires_at.map(|end| {
                let left = end.as_millis().saturating_sub(Timestamp::now().as_millis());
                u32::try_from(left.div_ceil(1000)).unwrap_or(u32::MAX)
            });
        }
        let said = message.properties.as_deref();
        let own = about.iter().map(|(name, value)| (*name, &**value));
        let user = said.iter().flat_map(|said| &said.user).map(|(name, value)| (&**name, &**value));
        // The server's own stand first, so that whoever looks for them finds no publisher's.
        let about: Vec<(&str, &str)> = own.chain(user).collect();
        // What did not come over MQTT is UTF-8 in any case: a text, or JSON.
        let (is_text, content_type) = match said {
            Some(said) => (said.is_text, said.content_type.as_deref()),
            None => (Some(true), text.is_none().then_some("application/json")),
        };
        let packet = delivery.seq.filter(|_| !delivery.at_most_once).map(packet_of);
        Delivered {
            topic,
            payload: text.as_deref().unwrap_or(message.content.as_json()).as_bytes(),
            packet,
            again: delivery.redelivered,
            retained: delivery.retained,
            expiry,
            is_text,
            content_type,
            response_topic: said.and_then(|said| said.response_topic.as_deref()),
            correlation: said.and_then(|said| said.correlation.as_deref()),
            about: &about,
        }
        .encode(self.0, out);
        Ok(())
    }

    fn frame(&self, payload: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(payload);
    }

    fn inbound(&self, _: &dyn Serializer) -> Inbound {
        Inbound::Mqtt(self.0)
    }

    fn acknowledgement(&self) -> Acknowledgement {
        Acknowledgement::ByPacket
    }

    fn close(&self, bye: &ServerFrame, fault: Option<FrameFault>, out: &mut Vec<u8>) {
        if let ServerFrame::Bye { code, detail, .. } = bye {
            let detail = Some(detail.clone()).filter(|detail| !detail.is_empty());
            out.extend_from_slice(
                &Answer::Disconnect { reason: reason(*code, fault), detail }.encode(self.0),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Encoder, Json};
    use msgserver_message::{Content, Message, Topic};

    #[test]
    fn a_message_comes_from_the_topic_of_its_kind() {
        let encoder = Encoder::new(Mqtt(Version::V311), Json).unwrap();
        let mut message = Message::new(Content::text("hi"));
        let kept = Delivery::kept(&message, Seq::new(7));
        assert_eq!(encoder.encode(&kept).unwrap(), &b"\x32\x0b\0\x05inbox\0\x07hi"[..]);
        let again = Delivery { redelivered: true, ..kept };
        assert_eq!(encoder.encode(&again).unwrap()[0], 0x3a);
        let once = Delivery { at_most_once: true, ..again };
        assert_eq!(encoder.encode(&once).unwrap(), &b"\x30\x09\0\x05inboxhi"[..]);
        assert_eq!(encoder.encode(&Delivery::notice(&message)).unwrap(), &b"\x30\x07\0\x03allhi"[..]);
        message.content = Content::from_json("{\"n\":1}").unwrap();
        message.topic = Some(Topic::new("a/b").unwrap());
        let retained = Delivery { retained: true, ..Delivery::notice(&message) };
        assert_eq!(encoder.encode(&retained).unwrap(), &b"\x31\x0e\0\x05t/a/b{\"n\":1}"[..]);
    }

    #[test]
    fn packet_ids_follow_the_numbers_and_are_never_zero() {
        for (seq, id) in [(1, 1), (65_535, 65_535), (65_536, 1), (131_071, 1), (u64::MAX, u16::MAX)] {
            assert_eq!(packet_of(Seq::new(seq)).get(), id, "{seq}");
        }
    }

    #[test]
    fn clients_of_5_are_told_why_the_connection_ends() {
        let bye = |code| ServerFrame::Bye { code, detail: "why".to_owned(), retry_after_ms: None };
        let encoder = Encoder::new(Mqtt(Version::V5), Json).unwrap();
        let said = encoder.farewell(&bye(ByeCode::ShuttingDown), None).unwrap();
        assert_eq!(said, &b"\xe0\x08\x8b\x06\x1f\0\x03why"[..]);
        let fault = FrameFault::Packet(Reason::TOO_LARGE);
        assert_eq!(encoder.farewell(&bye(ByeCode::BadFrame), Some(fault)).unwrap()[2], 0x95);
        let old = Encoder::new(Mqtt(Version::V311), Json).unwrap();
        assert_eq!(old.farewell(&bye(ByeCode::Replaced), None), None);
    }
}
