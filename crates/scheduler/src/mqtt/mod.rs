//! Clients of MQTT: how they come in, what their packets ask for, and what is left when they go.
//!
//! An MQTT session is a session like any other. Its inbox is the user's, its client id the device, its packet ids
//! follow from the numbers in the inbox, and what it has subscribed to is what its device follows. Only what the
//! standard has and others have not is kept here: wills, and what was received at QoS 2.

mod leaving;
mod opening;
mod packets;
mod publication;
mod records;
mod subscribing;
mod talks;

pub(crate) use leaving::Remains;
pub(crate) use publication::publication;
pub(crate) use talks::{Talk, Talks};

use msgserver_mqtt::{Answer, Reason, Version};
use msgserver_pool::{CloseReason, Session};
use msgserver_protocol::{FrameFault, Inbound};

use crate::core::Core;

/// Why a packet is not done, as its client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) reason: Reason,
    pub(crate) detail: String,
}

impl Refused {
    pub(crate) fn new(reason: Reason, detail: impl ToString) -> Self {
        Self { reason, detail: detail.to_string() }
    }
}

impl Core {
    /// Which version a session speaks, if it speaks MQTT.
    fn version_of(&self, session: &Session) -> Option<Version> {
        match self.encoders[session.encoding()].inbound() {
            Inbound::Mqtt(version) => Some(version),
            _ => None,
        }
    }

    fn answer(&self, session: &Session, answer: &Answer) {
        if let Some(version) = self.version_of(session) {
            session.say(answer.encode(version));
        }
    }

    /// Ends a session for what its client has sent.
    fn reject(&self, session: &Session, Refused { reason, detail }: Refused) {
        self.dismiss(session, CloseReason::BadFrame { fault: FrameFault::Packet(reason), detail });
    }
}
