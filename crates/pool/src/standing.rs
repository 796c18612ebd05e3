//! Where a session stands in its user's inbox.

use std::collections::VecDeque;
use std::num::NonZeroU16;

use msgserver_message::{MessageId, Seq, Timestamp};
use msgserver_protocol::{PACKET_IDS, packet_of};

/// A kept message that was sent and is not acknowledged yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InFlight {
    /// Its number.
    pub seq: Seq,
    /// Its id.
    pub id: MessageId,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// Whether somebody has been told that it was.
    pub is_told: bool,
    /// Whether it is safe with the client, while something before it is not.
    pub is_safe: bool,
}

/// Where a session stands in its user's inbox.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// The last kept message that was sent.
    tail: Seq,
    /// The last one that is safe with the client.
    acknowledged: Seq,
    /// The last one that the device may have seen before this session sent it.
    seen: Seq,
    /// The newest one when the session began. Up to here the store alone says which message has which number.
    settled: Seq,
    /// The last one that was passed over as it is not for this device.
    skipped: Seq,
    in_flight: VecDeque<InFlight>,
    /// Whether somebody is writing acknowledgements down.
    noting: bool,
    /// Whether somebody looks after what is not acknowledged in time.
    watched: bool,
    /// Whether what is in flight is to be sent again.
    overdue: bool,
    /// Whether the session is over: what was in flight then is not safe with the client, though nothing is any more.
    over: bool,
    /// The first one that was passed over as the client has not chosen to get it.
    held: Option<Seq>,
    /// Whether what was passed over is to be sent after all.
    anew: bool,
}

impl Standing {
    /// Of a device that has acknowledged so much, that may have seen so much, of an inbox whose newest message is
    /// `last`.
    #[must_use]
    pub fn new(acknowledged: Seq, seen: Seq, last: Seq) -> Self {
        Self { tail: acknowledged, acknowledged, seen, settled: last, ..Self::default() }
    }

    pub(crate) const fn tail(&self) -> Seq {
        self.tail
    }

    pub(crate) const fn acknowledged(&self) -> Seq {
        self.acknowledged
    }

    pub(crate) fn last_sent(&self) -> Seq {
        self.tail.max(self.seen)
    }

    pub(crate) fn in_flight_since(&self, id: MessageId) -> Option<Timestamp> {
        self.in_flight.iter().find(|message| message.id == id).map(|message| message.sent_at)
    }

    /// What is in flight under a number and nobody was told of; from now on somebody is.
    pub(crate) fn tell_of(&mut self, seq: Seq) -> Option<InFlight> {
        // It is the last one, unless another lane's worker has gone on meanwhile.
        let found = self.in_flight.iter_mut().rev().find(|message| message.seq <= seq)?;
        (found.seq == seq && !std::mem::replace(&mut found.is_told, true)).then_some(*found)
    }

    pub(crate) const fn settled(&self) -> Seq {
        self.settled
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    pub(crate) fn may_have_seen(&self, seq: Seq) -> bool {
        seq <= self.seen
    }

    /// What is not to be sent counts as sent.
    pub(crate) fn pass_over(&mut self, seq: Seq) {
        self.tail = self.tail.max(seq);
    }

    /// What is not for this device counts as sent, and as safe with it once all before it is: whether the caller has
    /// to write that down.
    pub(crate) fn skip(&mut self, seq: Seq) -> bool {
        self.tail = self.tail.max(seq);
        self.skipped = seq;
        self.catch_up() && !std::mem::replace(&mut self.noting, true)
    }

    /// Acknowledges for the device what it is not sent, if nothing before that is in flight.
    fn catch_up(&mut self) -> bool {
        let is_settled = !self.over && !self.anew && self.in_flight.is_empty();
        let caught_up = is_settled && self.skipped > self.acknowledged;
        if caught_up {
            self.acknowledged = self.skipped;
        }
        caught_up
    }

    pub(crate) fn sent(&mut self, seq: Seq, id: MessageId, sent_at: Timestamp) {
        self.tail = seq;
        let message = InFlight { seq, id, sent_at, is_told: false, is_safe: false };
        match self.in_flight.back() {
            Some(last) if last.seq > seq => {
                let at = self.in_flight.partition_point(|other| other.seq < seq);
                self.in_flight.insert(at, message);
            }
            _ => self.in_flight.push_back(message),
        }
    }

    pub(crate) fn is_in_flight(&self, seq: Seq) -> bool {
        self.in_flight.binary_search_by_key(&seq, |message| message.seq).is_ok()
    }

    /// Whether the packet id of a message is free: that of the oldest in flight comes again after so many numbers.
    pub(crate) fn has_packet_for(&self, seq: Seq) -> bool {
        let [front, back] = [self.in_flight.front(), self.in_flight.back()].map(|m| m.map_or(seq, |m| m.seq));
        back.max(seq).get() - front.min(seq).get() < PACKET_IDS
    }

    /// The message in flight that has this packet id.
    pub(crate) fn of_packet(&self, packet: NonZeroU16) -> Option<Seq> {
        let first = self.in_flight.front()?.seq;
        let beyond = (u64::from(packet.get()) + PACKET_IDS - u64::from(packet_of(first).get())) % PACKET_IDS;
        Some(Seq::new(first.get() + beyond)).filter(|seq| self.is_in_flight(*seq))
    }

    /// One message is safe with the client. Gives up to where all are, if that is news.
    pub(crate) fn acknowledge_one(&mut self, seq: Seq) -> Option<Seq> {
        let at = self.in_flight.binary_search_by_key(&seq, |message| message.seq).ok()?;
        self.in_flight[at].is_safe = true;
        self.safe()
    }

    /// Up to where all messages are safe with the client, if that is not noted yet.
    pub(crate) fn safe(&self) -> Option<Seq> {
        // What is to be sent after all must not be left behind.
        let begins = self.held.filter(|_| self.anew);
        let counts = |message: &&InFlight| {
            message.is_safe && message.seq <= self.tail && begins.is_none_or(|begins| message.seq < begins)
        };
        self.in_flight.iter().take_while(counts).last().map(|message| message.seq)
    }

    /// What the client has not chosen to get counts as sent, until it chooses to.
    pub(crate) fn hold(&mut self, seq: Seq) {
        self.pass_over(seq);
        self.held.get_or_insert(seq);
    }

    /// Has what was held sent after all, by whoever keeps the order; whether anything was.
    pub(crate) fn begin_anew(&mut self) -> bool {
        self.anew = self.held.is_some();
        self.anew
    }

    /// Everything up to `seq` is safe with the client: what was in flight of it, and whether the caller has to
    /// write it down.
    pub(crate) fn acknowledge(&mut self, seq: Seq) -> (Vec<InFlight>, bool) {
        if seq <= self.acknowledged {
            return (Vec::new(), false);
        }
        self.acknowledged = seq;
        // What is to be sent again and was acknowledged before that needs not be sent.
        self.tail = self.tail.max(seq);
        self.held.take_if(|held| !self.anew && *held <= seq);
        let safe = self.in_flight.partition_point(|message| message.seq <= seq);
        let safe = self.in_flight.drain(..safe).collect();
        self.catch_up();
        if self.in_flight.is_empty() {
            // A burst's table is not kept by a session that may be idle for hours.
            self.in_flight = VecDeque::new();
        }
        (safe, !std::mem::replace(&mut self.noting, true))
    }

    /// What is to be written down next when everything up to `noted` has been.
    pub(crate) fn next_note(&mut self, noted: Seq) -> Option<Seq> {
        self.noting = self.acknowledged > noted;
        self.noting.then_some(self.acknowledged)
    }

    /// Whether the caller has to look after what is in flight from now on.
    pub(crate) fn watch(&mut self) -> bool {
        !self.in_flight.is_empty() && !std::mem::replace(&mut self.watched, true)
    }

    /// Since when the oldest message in flight has waited; whoever asked looks no more if there is none.
    pub(crate) fn waits_since(&mut self) -> Option<Timestamp> {
        let oldest = self.in_flight.front().map(|message| message.sent_at);
        self.watched = oldest.is_some();
        oldest
    }

    /// Has what is in flight sent again, by whoever keeps the order.
    pub(crate) fn ask_again(&mut self) {
        self.overdue = true;
    }

    /// Begins anew behind the last acknowledgement, if that was asked for; whether it did.
    pub(crate) fn rewind(&mut self) -> bool {
        if std::mem::take(&mut self.anew) {
            self.settled = self.settled.max(self.tail);
            self.tail = self.acknowledged;
            self.held = None;
            return true;
        }
        if !std::mem::take(&mut self.overdue) || self.in_flight.is_empty() {
            return false;
        }
        self.seen = self.seen.max(self.tail);
        // From the store: what the lane still holds may be behind what is sent again.
        self.settled = self.settled.max(self.tail);
        self.tail = self.acknowledged;
        self.skipped = self.acknowledged;
        self.in_flight = VecDeque::new();
        true
    }

    /// The end: the last number sent, and what is in flight.
    pub(crate) fn end(&mut self) -> (Seq, Vec<InFlight>) {
        self.over = true;
        (self.last_sent(), std::mem::take(&mut self.in_flight).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(standing: &mut Standing, seqs: std::ops::RangeInclusive<u64>) {
        for seq in seqs {
            standing.sent(Seq::new(seq), MessageId::from_bytes([seq as u8; 16]), Timestamp::from_millis(seq));
        }
    }

    #[test]
    fn an_acknowledgement_frees_what_is_up_to_it_and_one_caller_writes_it_down() {
        let mut standing = Standing::new(Seq::new(3), Seq::new(4), Seq::new(6));
        assert!(standing.may_have_seen(Seq::new(4)) && !standing.may_have_seen(Seq::new(5)));
        sent(&mut standing, 4..=8);
        let (safe, note) = standing.acknowledge(Seq::new(6));
        assert_eq!(safe.iter().map(|m| m.seq.get()).collect::<Vec<_>>(), [4, 5, 6]);
        assert!(note && standing.in_flight() == 2);
        assert_eq!(standing.acknowledge(Seq::new(5)), (Vec::new(), false));
        assert!(!standing.acknowledge(Seq::new(7)).1, "the first caller goes on");
        assert_eq!(standing.next_note(Seq::new(6)), Some(Seq::new(7)));
        assert_eq!(standing.next_note(Seq::new(7)), None);
    }

    #[test]
    fn what_is_not_for_a_device_is_acknowledged_for_it() {
        let mut standing = Standing::new(Seq::new(3), Seq::new(3), Seq::new(3));
        assert!(standing.skip(Seq::new(4)), "nothing is before it");
        assert_eq!(standing.next_note(Seq::ZERO), Some(Seq::new(4)));
        assert_eq!(standing.next_note(Seq::new(4)), None);
        sent(&mut standing, 5..=5);
        assert!(!standing.skip(Seq::new(6)), "what is before it is in flight");
        assert_eq!(standing.acknowledged(), Seq::new(4));
        assert!(standing.acknowledge(Seq::new(5)).1);
        assert_eq!(standing.next_note(Seq::new(4)), Some(Seq::new(6)));
        assert_eq!(standing.next_note(Seq::new(6)), None);
    }

    #[test]
    fn what_was_skipped_is_not_safe_when_what_is_before_it_is_sent_again() {
        let mut standing = Standing::new(Seq::ZERO, Seq::ZERO, Seq::ZERO);
        sent(&mut standing, 1..=2);
        assert!(!standing.skip(Seq::new(3)));
        standing.ask_again();
        assert!(standing.rewind());
        assert_eq!((standing.tail(), standing.acknowledged()), (Seq::ZERO, Seq::ZERO));
        sent(&mut standing, 1..=2);
        standing.acknowledge(Seq::new(2));
        assert_eq!(standing.acknowledged(), Seq::new(2));
        assert_eq!(standing.tail(), Seq::new(2), "it is passed over once more");
    }

    #[test]
    fn what_is_not_acknowledged_is_sent_again_and_marked() {
        let mut standing = Standing::new(Seq::ZERO, Seq::ZERO, Seq::ZERO);
        assert!(!standing.watch());
        sent(&mut standing, 1..=3);
        assert!(standing.watch() && !standing.watch());
        standing.acknowledge(Seq::new(1));
        assert_eq!(standing.waits_since(), Some(Timestamp::from_millis(2)));
        assert!(!standing.rewind(), "nobody has asked");
        assert_eq!(standing.in_flight(), 2);
        standing.ask_again();
        assert!(standing.rewind());
        assert_eq!((standing.tail(), standing.in_flight()), (Seq::new(1), 0));
        assert!(standing.may_have_seen(Seq::new(3)) && !standing.may_have_seen(Seq::new(4)));
        assert_eq!(standing.waits_since(), None);
        assert_eq!(standing.end().0, Seq::new(3));
    }

    #[test]
    fn messages_that_are_acknowledged_in_any_order_move_the_cursor_as_far_as_all_are() {
        let mut standing = Standing::new(Seq::ZERO, Seq::ZERO, Seq::ZERO);
        sent(&mut standing, 1..=4);
        assert_eq!(standing.acknowledge_one(Seq::new(3)), None);
        assert_eq!(standing.acknowledge_one(Seq::new(1)), Some(Seq::new(1)));
        standing.acknowledge(Seq::new(1));
        assert_eq!(standing.acknowledge_one(Seq::new(2)), Some(Seq::new(3)));
        standing.acknowledge(Seq::new(3));
        assert_eq!(standing.acknowledge_one(Seq::new(2)), None, "it was acknowledged before");
        assert_eq!((standing.acknowledged(), standing.in_flight()), (Seq::new(3), 1));
    }

    #[test]
    fn what_was_passed_over_comes_after_all_and_is_not_left_behind() {
        let mut standing = Standing::new(Seq::ZERO, Seq::ZERO, Seq::ZERO);
        (1..=2).for_each(|seq| standing.hold(Seq::new(seq)));
        sent(&mut standing, 3..=3);
        standing.begin_anew();
        assert_eq!(standing.acknowledge_one(Seq::new(3)), None, "what is before it is to be sent");
        assert!(standing.rewind() && !standing.rewind());
        assert_eq!((standing.tail(), standing.is_in_flight(Seq::new(3))), (Seq::ZERO, true));
        sent(&mut standing, 1..=2);
        standing.pass_over(Seq::new(3));
        assert_eq!(standing.acknowledge_one(Seq::new(2)), None);
        assert_eq!(standing.acknowledge_one(Seq::new(1)), Some(Seq::new(3)));
        standing.acknowledge(Seq::new(3));
        standing.begin_anew();
        assert!(!standing.rewind(), "nothing is held any more");
    }

    #[test]
    fn a_packet_id_is_of_one_message_in_flight() {
        let packet = |id| NonZeroU16::new(id).unwrap();
        let mut standing = Standing::new(Seq::ZERO, Seq::ZERO, Seq::ZERO);
        sent(&mut standing, 65_534..=65_537);
        assert_eq!(standing.of_packet(packet(65_535)), Some(Seq::new(65_535)));
        assert_eq!(standing.of_packet(packet(2)), Some(Seq::new(65_537)));
        assert_eq!(standing.of_packet(packet(3)), None);
        assert!(standing.has_packet_for(Seq::new(65_534 + 65_534)));
        assert!(!standing.has_packet_for(Seq::new(65_534 + 65_535)));
    }

    #[test]
    fn that_something_was_sent_is_told_once_and_only_while_it_is_in_flight() {
        let mut standing = Standing::new(Seq::ZERO, Seq::ZERO, Seq::ZERO);
        sent(&mut standing, 1..=3);
        assert_eq!(standing.tell_of(Seq::new(2)).map(|message| message.seq), Some(Seq::new(2)));
        assert_eq!(standing.tell_of(Seq::new(2)), None);
        let (safe, _) = standing.acknowledge(Seq::new(2));
        assert_eq!(safe.iter().map(|message| message.is_told).collect::<Vec<_>>(), [false, true]);
        assert_eq!(standing.tell_of(Seq::new(1)), None);
        assert_eq!(standing.tell_of(Seq::new(4)), None);
    }

    #[test]
    fn what_is_acknowledged_while_it_is_to_be_sent_again_is_not() {
        let mut standing = Standing::new(Seq::ZERO, Seq::ZERO, Seq::ZERO);
        sent(&mut standing, 1..=5);
        standing.ask_again();
        assert!(standing.rewind());
        assert_eq!((standing.tail(), standing.last_sent()), (Seq::ZERO, Seq::new(5)));
        assert_eq!(standing.acknowledge(Seq::new(3)), (Vec::new(), true));
        assert_eq!((standing.tail(), standing.acknowledged()), (Seq::new(3), Seq::new(3)));
    }

    #[test]
    fn what_was_in_flight_at_the_end_is_not_passed_over() {
        let mut standing = Standing::new(Seq::new(3), Seq::new(3), Seq::new(3));
        sent(&mut standing, 4..=5);
        assert_eq!(standing.end().1.len(), 2);
        // Whoever brings it its messages may not have noticed yet.
        assert!(!standing.skip(Seq::new(6)));
        assert!(standing.acknowledge(Seq::new(4)).1);
        assert_eq!(standing.acknowledged(), Seq::new(4), "5 has to come again");
    }
}
