//! What one client has got.

use std::collections::{BTreeMap, BTreeSet};

use msgserver_message::{Priority, Seq};

use crate::following::Following;
use crate::order::{Number, Order};
use crate::promise::{Broken, Promise};

/// What one client has got; what it keeps itself is the last number.
#[derive(Debug)]
pub(crate) struct DeviceLog {
    /// How often it has connected.
    pub(crate) connection: u64,
    /// Whether it has numbers, and acknowledges them.
    acknowledges: bool,
    welcome: Option<u64>,
    /// Whether it was there before any other device of its user: then it gets what had waited.
    is_first: bool,
    /// Where its cursor stood when it was new.
    base: Option<Seq>,
    last: Seq,
    acknowledged: Seq,
    seen: BTreeMap<Seq, Number>,
    has: BTreeSet<Number>,
    /// The latest moment at which something that it has was asked for, by priority.
    latest: [u64; 3],
    /// What came on this connection without a number: there it comes in order.
    on_connection: Vec<Number>,
    seqs_on_connection: BTreeSet<Seq>,
    pub(crate) following: Following,
    /// Whether it is welcome on this connection, and has been told nothing of its end.
    pub(crate) is_here: bool,
}

fn broken<T>(promise: Promise, detail: String) -> Result<T, Broken> {
    Err(Broken { promise, detail })
}

impl DeviceLog {
    pub(crate) fn new(acknowledges: bool) -> Self {
        Self {
            connection: 0,
            acknowledges,
            welcome: None,
            is_first: false,
            base: None,
            last: Seq::ZERO,
            acknowledged: Seq::ZERO,
            seen: BTreeMap::new(),
            has: BTreeSet::new(),
            latest: [0; 3],
            on_connection: Vec::new(),
            seqs_on_connection: BTreeSet::new(),
            following: Following::default(),
            is_here: false,
        }
    }

    pub(crate) fn begin_connection(&mut self) -> u64 {
        self.connection += 1;
        self.is_here = false;
        self.on_connection.clear();
        self.seqs_on_connection.clear();
        self.connection
    }

    pub(crate) fn welcome(&mut self, step: u64, cursor: Seq, is_first: bool) {
        self.is_here = true;
        if self.welcome.is_none() {
            (self.welcome, self.is_first, self.base) = (Some(step), is_first, Some(cursor));
        }
    }

    /// Takes what has come; whether it is new to the client.
    pub(crate) fn take(
        &mut self,
        seq: Option<Seq>,
        number: Number,
        redelivered: bool,
        was_passed_over: bool,
    ) -> Result<bool, Broken> {
        let Some(seq) = seq else {
            if self.on_connection.contains(&number) {
                return broken(Promise::SeenOnce, format!("got message {number} twice on one connection"));
            }
            self.on_connection.push(number);
            return Ok(self.has.insert(number));
        };
        self.seqs_on_connection.insert(seq);
        if let Some(before) = self.seen.insert(seq, number) {
            if before != number {
                let detail = format!("got {seq} as message {before} and as message {number}");
                return broken(Promise::OneNumberOneMessage, detail);
            }
            if !redelivered {
                return broken(Promise::AgainIsMarked, format!("got {seq} again, unmarked"));
            }
            return Ok(false);
        }
        if seq <= self.last {
            if was_passed_over {
                // It was passed over, and then the clock was set back or the device followed its topic: the client
                // passes over it as well.
                return Ok(false);
            }
            return broken(Promise::InOrder, format!("got {seq} after {}, for the first time", self.last));
        }
        self.last = seq;
        if !self.has.insert(number) {
            return broken(Promise::SeenOnce, format!("got message {number} again, as {seq}"));
        }
        Ok(true)
    }

    /// A message that was answered before another was asked for comes before it.
    pub(crate) fn check_order(
        &mut self,
        number: Number,
        priority: Priority,
        submitted: u64,
        answered: Option<u64>,
    ) -> Result<(), Broken> {
        let latest = &mut self.latest[priority as usize];
        let late = answered.is_some_and(|answered| answered < *latest);
        *latest = (*latest).max(submitted);
        if late {
            let detail = format!("got message {number} behind one that was published after it was accepted");
            return broken(Promise::InOrder, detail);
        }
        Ok(())
    }

    pub(crate) fn acknowledge(&mut self, seq: Seq) {
        self.acknowledged = self.acknowledged.max(seq);
    }

    /// Up to where its cursor may stand, if that is known.
    pub(crate) fn acknowledged(&self) -> Option<Seq> {
        Some(self.acknowledged.max(self.base?)).filter(|_| self.acknowledges)
    }

    pub(crate) fn acknowledges(&self) -> bool {
        self.acknowledges
    }

    /// What it was sent up to `cursor` and has not acknowledged.
    pub(crate) fn owes_up_to(&self, cursor: Seq) -> impl Iterator<Item = Number> {
        let from = self.acknowledged().map_or(cursor, |upto| upto.min(cursor));
        self.seen.range(from.next()..cursor.next().max(from.next())).map(|(_, number)| *number)
    }

    /// What has come on this connection and is not acknowledged.
    pub(crate) fn in_flight(&self) -> impl Iterator<Item = Number> {
        self.seqs_on_connection.range(self.acknowledged.next()..).map(|seq| self.seen[seq])
    }

    pub(crate) fn last(&self) -> Seq {
        self.last
    }

    pub(crate) fn has(&self, number: Number) -> bool {
        self.has.contains(&number)
    }

    /// Whether it has not got what it has to get.
    pub(crate) fn misses(&self, order: &Order, submitted: u64) -> bool {
        let has_to = match &order.topic {
            Some(topic) => self.following.is_due(topic, submitted),
            None => self.is_first || self.welcome.is_some_and(|welcome| welcome < submitted),
        };
        self.welcome.is_some() && has_to && !self.has(order.number)
    }
}
