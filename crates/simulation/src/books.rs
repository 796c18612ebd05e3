//! What is known of all orders and all devices, and what follows from it.

use std::collections::{BTreeMap, BTreeSet};

use msgserver_message::{DeviceId, Seq, Timestamp, UserId};

use crate::device::DeviceLog;
use crate::fate::Fate;
use crate::order::Number;
use crate::promise::{Broken, Promise};
use crate::trace::Trace;

/// What is known of all orders and all devices.
#[derive(Debug)]
pub(crate) struct Books {
    pub(crate) trace: Trace,
    pub(crate) step: u64,
    pub(crate) fates: Vec<Fate>,
    pub(crate) devices: BTreeMap<(UserId, DeviceId), DeviceLog>,
    /// Which message each number of a user stands for, once a device was sent it.
    pub(crate) numbers: BTreeMap<(UserId, Seq), Number>,
    /// How many messages an inbox holds before it drops some.
    pub(crate) limit: u64,
    /// How many messages the log of a topic holds.
    pub(crate) history: u64,
    /// Who was told that the server stops.
    pub(crate) told: BTreeSet<(UserId, DeviceId)>,
    pub(crate) broken: Option<Broken>,
}

impl Books {
    pub(crate) fn new(trace: Trace, limit: u64) -> Self {
        Self {
            trace,
            step: 0,
            fates: Vec::new(),
            devices: BTreeMap::new(),
            numbers: BTreeMap::new(),
            limit,
            history: 0,
            told: BTreeSet::new(),
            broken: None,
        }
    }

    pub(crate) fn fail(&mut self, promise: Promise, detail: impl Into<String>) {
        let detail = detail.into();
        self.trace.note(format_args!("BROKEN {promise}: {detail}"));
        self.broken.get_or_insert(Broken { promise, detail });
    }

    pub(crate) fn log(&mut self, user: &UserId, device: &DeviceId) -> &mut DeviceLog {
        self.devices.get_mut(&(user.clone(), device.clone())).expect("it has said hello")
    }

    pub(crate) fn check_cursor(&mut self, user: &UserId, device: &DeviceId, cursor: Seq, now: Timestamp) {
        let has_topics = self.fates.iter().any(|fate| fate.order.topic.is_some());
        let log = &self.devices[&(user.clone(), device.clone())];
        let acknowledged = log.acknowledged();
        let is_its_own = |number: Number| {
            let fate = &self.fates[number];
            let topic = fate.order.topic.as_ref();
            topic.is_none_or(|topic| log.following.is_due(topic, fate.submitted))
                && !self.is_excused(fate, user, now)
        };
        // What a device does not follow, or follows no more, its cursor passes over, with what has gone before it.
        let is_beyond = if has_topics {
            log.owes_up_to(cursor).any(is_its_own)
        } else {
            acknowledged.is_some_and(|acknowledged| cursor > acknowledged)
        };
        if is_beyond {
            let detail = format!("{user}/{device} stands at {cursor}, and has acknowledged {acknowledged:?}");
            self.fail(Promise::CursorFollowsAck, detail);
        }
    }

    /// Where a message has one recipient with one device, "taken back" means that it was never sent.
    pub(crate) fn check_cancelled(&mut self, number: Number) {
        let fate = &self.fates[number];
        let (true, [user]) = (fate.taken_back, &fate.order.users[..]) else { return };
        let mut devices = self.devices.iter().filter(|((of, _), _)| of == user);
        if let (Some((key, log)), None) = (devices.next(), devices.next())
            && log.has(number)
        {
            let detail = format!("{}/{} got message {number}", key.0, key.1);
            self.fail(Promise::CancelledStaysAway, detail);
        }
    }

    /// Whether a user may never get a message that was accepted.
    pub(crate) fn is_excused(&self, fate: &Fate, user: &UserId, now: Timestamp) -> bool {
        let order = &fate.order;
        let collapsed = order.collapse_key.is_some()
            && self.fates.iter().any(|other| {
                other.order.number != order.number
                    && other.order.collapse_key == order.collapse_key
                    && other.order.may_reach(user)
                    && (other.taken || !other.refused)
                    && !other.is_before(fate.submitted)
            });
        let to_user = self.fates.iter().filter(|fate| fate.order.may_reach(user)).count() as u64;
        fate.may_have_expired(now) || collapsed || fate.may_be_taken_back() || to_user > self.limit
    }
}
