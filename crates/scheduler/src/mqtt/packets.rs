//! What clients of MQTT send once they are connected.

use std::num::NonZeroU16;
use std::sync::Arc;

use msgserver_mqtt::{Answer, Disconnect, Packet, Publish, Qos, Reason, Version};
use msgserver_pool::{CloseReason, Session};

use super::Refused;
use super::talks::Arrival;
use crate::core::Core;
use crate::subscribing::Asked;

impl Core {
    pub(crate) fn hear_packet(self: &Arc<Self>, session: &Arc<Session>, packet: Packet) {
        match packet {
            Packet::Acknowledged(packet) => {
                if let Some(seq) = session.acknowledge_packet(packet) {
                    self.acknowledged(session, seq);
                }
            }
            Packet::Publish(publish) => self.hear_publish(session, publish),
            Packet::Release(packet) => {
                self.talks.with(session.id(), |talk| talk.release(packet));
                self.answer(session, &Answer::Complete(packet));
            }
            Packet::Subscribe(asked) => {
                let (packet, count) = (asked.packet, asked.filters.len());
                if self.publisher.ask(session, Asked::Packet(asked)).is_err() {
                    self.answer(session, &Answer::Subscribed(packet, vec![Reason::QUOTA; count]));
                }
            }
            Packet::Unsubscribe(asked) => {
                let (packet, count) = (asked.packet, asked.filters.len());
                if self.publisher.ask(session, Asked::UnsubscribePacket(asked)).is_err() {
                    self.answer(session, &Answer::Unsubscribed(packet, vec![Reason::UNSPECIFIED; count]));
                }
            }
            Packet::Disconnect(how) => self.hear_disconnect(session, how),
            _ => {}
        }
    }

    fn hear_publish(&self, session: &Arc<Session>, publish: Publish) {
        let (qos, packet) = (publish.qos, publish.packet);
        if let (Qos::ExactlyOnce, Some(packet)) = (qos, packet) {
            match self.talks.with(session.id(), |talk| talk.receive(packet)) {
                Arrival::New => {}
                Arrival::Published => return self.answer(session, &Answer::Received(packet)),
                Arrival::Pending => return,
                Arrival::TooMany => {
                    let text = "too many messages at QoS 2 are not released";
                    return self.reject(session, Refused::new(Reason::RECEIVE_MAXIMUM, text));
                }
            }
        }
        let access = self.grants.of(session);
        if let Err(refused) = self.publisher.take_packet(session, access, publish, &self.intake) {
            self.answer_publish(session, qos, packet, Err(refused));
        }
    }

    /// Tells a client what became of what it has published.
    pub(crate) fn answer_publish(
        &self,
        session: &Session,
        qos: Qos,
        packet: Option<NonZeroU16>,
        outcome: Result<(), Refused>,
    ) {
        let version = self.version_of(session);
        match (packet, outcome) {
            (None, Ok(())) => {}
            // At QoS 0 what the server has no room for now may be lost, what it will never take may not be in silence.
            (None, Err(refused)) => {
                let is_for_now = matches!(refused.reason, Reason::QUOTA | Reason::UNSPECIFIED);
                if !is_for_now {
                    self.reject(session, refused);
                }
            }
            (Some(packet), Ok(())) if qos == Qos::ExactlyOnce => {
                self.talks.with(session.id(), |talk| talk.note_published(packet));
                self.answer(session, &Answer::Received(packet));
            }
            (Some(packet), Ok(())) => {
                let reason = Reason::SUCCESS;
                self.answer(session, &Answer::Acknowledged { packet, reason, detail: None });
            }
            (Some(packet), Err(Refused { reason, detail })) if version == Some(Version::V5) => {
                let is_terse = self.talks.with(session.id(), |talk| talk.is_terse);
                let whole = Answer::Acknowledged { packet, reason, detail: Some(detail) };
                match !is_terse && session.takes(&whole.encode(Version::V5)) {
                    true => self.answer(session, &whole),
                    false => self.answer(session, &Answer::Acknowledged { packet, reason, detail: None }),
                }
            }
            // 3.1.1 has no way to refuse it but to end the connection.
            (Some(packet), Err(refused)) => {
                self.talks.with(session.id(), |talk| talk.release(packet));
                self.reject(session, refused);
            }
        }
    }

    fn hear_disconnect(&self, session: &Session, how: Disconnect) {
        let is_allowed = self.talks.with(session.id(), |talk| {
            if let Some(seconds) = how.session_expiry {
                if talk.session_expiry == 0 && seconds > 0 {
                    return false;
                }
                talk.session_expiry = seconds;
            }
            if !how.with_will {
                talk.will = None;
            }
            true
        });
        if !is_allowed {
            let text = "a session that was to end with its connection cannot be kept when it ends";
            return self.reject(session, Refused::new(Reason::PROTOCOL_ERROR, text));
        }
        session.close(CloseReason::ClosedByPeer);
    }
}
