//! What the server keeps of a conversation over MQTT besides its session.

use std::collections::HashMap;
use std::num::NonZeroU16;

use msgserver_message::{DeviceId, Seq, SessionId, UserId};
use msgserver_pool::Session;
use msgserver_protocol::Acknowledgement;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::Publication;

/// How many messages at QoS 2 may be under way from one client.
const MOST_RECEIVED: usize = 1000;

/// What is kept of one conversation.
#[derive(Debug, Default)]
pub(crate) struct Talk {
    /// Few clients have one.
    pub(crate) will: Option<Box<Will>>,
    /// How many seconds its subscriptions outlast its connection.
    pub(crate) session_expiry: u32,
    /// Whether it does not want to be told in words what was wrong.
    pub(crate) is_terse: bool,
    /// What has come at QoS 2 and is not released, and whether it is published. Few clients send any.
    received: Received,
}

/// What is published when a client goes without saying so.
#[derive(Debug)]
pub(crate) struct Will {
    pub(crate) publication: Publication,
    /// Seconds to wait before that.
    pub(crate) delay: u32,
}

type Received = Option<Box<HashMap<NonZeroU16, bool>>>;

/// What is to be done with a message at QoS 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// It is new.
    New,
    /// It has come before and will be answered.
    Pending,
    /// It has come before and is published.
    Published,
    /// There is no room for it.
    TooMany,
}

/// Whether a will that waits is published at once, now that its client is back.
pub(crate) type PublishNow = bool;

/// The conversations over MQTT, and what is left of some that are over.
#[derive(Debug, Default)]
pub(crate) struct Talks {
    /// Of the sessions that have something to be kept. One that only receives, and ends with its connection, has not.
    by_session: Mutex<HashMap<SessionId, Box<Talk>>>,
    /// What has come at QoS 2 from clients that are away and whose sessions are not over.
    received: Mutex<HashMap<(UserId, DeviceId), Received>>,
    wills: Mutex<HashMap<(UserId, DeviceId), oneshot::Sender<PublishNow>>>,
    /// Up to where devices have acknowledged whose sessions are over, until the store knows.
    leaving: Mutex<HashMap<(UserId, DeviceId), Seq>>,
}

impl Talks {
    pub(crate) fn begin(&self, session: SessionId, talk: Talk) {
        if !talk.is_usual() {
            self.by_session.lock().insert(session, Box::new(talk));
        }
    }

    pub(crate) fn end(&self, session: SessionId) -> Talk {
        let mut talks = self.by_session.lock();
        let talk = talks.remove(&session).map_or_else(Talk::default, |talk| *talk);
        if talks.len() * 4 < talks.capacity() {
            talks.shrink_to_fit();
        }
        talk
    }

    /// A session is about to be found no more: what it has acknowledged is, until the store knows.
    pub(crate) fn note_leaving(&self, session: &Session) {
        let upto = session.acknowledged();
        if upto > Seq::ZERO && session.acknowledgement() == Acknowledgement::ByPacket {
            let mut leaving = self.leaving.lock();
            let known = leaving.entry((session.user().clone(), session.device().clone())).or_default();
            *known = upto.max(*known);
        }
    }

    /// The store knows what a session has acknowledged.
    pub(crate) fn has_left(&self, session: &Session) {
        let mut leaving = self.leaving.lock();
        if !leaving.is_empty() {
            let key = (session.user().clone(), session.device().clone());
            if leaving.get(&key).is_some_and(|upto| *upto <= session.acknowledged()) {
                leaving.remove(&key);
            }
        }
    }

    /// Up to where a device has acknowledged whose last session is just over, if the store may not know.
    pub(crate) fn left_at(&self, user: &UserId, device: &DeviceId) -> Option<Seq> {
        self.leaving.lock().get(&(user.clone(), device.clone())).copied()
    }

    /// Asks or changes what is kept of a session that is certainly not over.
    pub(crate) fn with<T>(&self, session: SessionId, change: impl FnOnce(&mut Talk) -> T) -> T {
        let mut talks = self.by_session.lock();
        if let Some(talk) = talks.get_mut(&session) {
            return change(talk);
        }
        let mut talk = Talk::default();
        let outcome = change(&mut talk);
        if !talk.is_usual() {
            talks.insert(session, Box::new(talk));
        }
        outcome
    }

    /// Keeps what a client that goes may send again.
    pub(crate) fn keep_received(&self, user: &UserId, device: &DeviceId, talk: &mut Talk) {
        let received = talk.received.take();
        if received.is_some() {
            self.received.lock().insert((user.clone(), device.clone()), received);
        }
    }

    /// Gives a client that has come again what was kept, if its session goes on.
    pub(crate) fn restore_received(&self, user: &UserId, device: &DeviceId, talk: &mut Talk, goes_on: bool) {
        let mut kept = self.received.lock();
        if !kept.is_empty() {
            talk.received = kept.remove(&(user.clone(), device.clone())).flatten().filter(|_| goes_on);
        }
    }

    /// Has a will wait for its client to come back; gives what tells that it has.
    pub(crate) fn await_return(&self, user: UserId, device: DeviceId) -> oneshot::Receiver<PublishNow> {
        let (back, waits) = oneshot::channel();
        self.wills.lock().insert((user, device), back);
        waits
    }

    /// A client is back: its will is not published, unless its session does not go on.
    pub(crate) fn has_returned(&self, user: &UserId, device: &DeviceId, goes_on: bool) {
        let mut wills = self.wills.lock();
        if !wills.is_empty()
            && let Some(back) = wills.remove(&(user.clone(), device.clone()))
        {
            let _ = back.send(!goes_on);
        }
    }

    /// A will waits no more.
    pub(crate) fn has_waited(&self, user: &UserId, device: &DeviceId) {
        let mut wills = self.wills.lock();
        let key = (user.clone(), device.clone());
        if wills.get(&key).is_some_and(oneshot::Sender::is_closed) {
            wills.remove(&key);
        }
    }
}

impl Talk {
    pub(crate) fn new(will: Option<Will>, session_expiry: u32, is_terse: bool) -> Self {
        Self { will: will.map(Box::new), session_expiry, is_terse, received: None }
    }

    /// Whether nothing of it need be kept.
    fn is_usual(&self) -> bool {
        self.will.is_none() && self.session_expiry == 0 && !self.is_terse && self.received.is_none()
    }

    /// Notes that a message at QoS 2 has come.
    pub(crate) fn receive(&mut self, packet: NonZeroU16) -> Arrival {
        let received = self.received.get_or_insert_default();
        match received.get(&packet) {
            Some(true) => Arrival::Published,
            Some(false) => Arrival::Pending,
            None if received.len() >= MOST_RECEIVED => Arrival::TooMany,
            None => {
                received.insert(packet, false);
                Arrival::New
            }
        }
    }

    /// It is published.
    pub(crate) fn note_published(&mut self, packet: NonZeroU16) {
        if let Some(published) = self.received.as_mut().and_then(|received| received.get_mut(&packet)) {
            *published = true;
        }
    }

    /// It is not, or the client knows that it is: its packet id is free.
    pub(crate) fn release(&mut self, packet: NonZeroU16) {
        if let Some(received) = &mut self.received {
            received.remove(&packet);
            if received.is_empty() {
                self.received = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(id: u16) -> NonZeroU16 {
        NonZeroU16::new(id).unwrap()
    }

    #[test]
    fn a_message_at_qos_2_is_published_once_though_its_client_comes_again() {
        let (talks, mut talk) = (Talks::default(), Talk::default());
        let (user, device) = (UserId::new("ada").unwrap(), DeviceId::new("d").unwrap());
        assert_eq!(talk.receive(packet(1)), Arrival::New);
        assert_eq!(talk.receive(packet(1)), Arrival::Pending);
        talk.note_published(packet(1));
        talks.keep_received(&user, &device, &mut talk);
        let mut again = Talk::default();
        talks.restore_received(&user, &device, &mut again, true);
        assert_eq!(again.receive(packet(1)), Arrival::Published);
        again.release(packet(1));
        assert_eq!(again.receive(packet(1)), Arrival::New);
        talks.keep_received(&user, &device, &mut again);
        let mut anew = Talk::default();
        talks.restore_received(&user, &device, &mut anew, false);
        assert_eq!(anew.receive(packet(1)), Arrival::New);
    }
}
