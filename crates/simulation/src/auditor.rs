//! Who knows what was promised, and what came of it.

use std::sync::Arc;

use msgserver_message::{DeviceId, Seq, Timestamp, UserId};
use parking_lot::Mutex;

use crate::books::Books;
use crate::clock::Clock;
use crate::device::DeviceLog;
use crate::fate::{Answer, Fate};
use crate::order::{Number, Order};
use crate::promise::{Broken, Promise};
use crate::trace::Trace;

/// Hears from publishers and clients what they have asked for and got, and tells the first promise that is broken.
/// Clones are the same auditor.
#[derive(Debug, Clone)]
pub(crate) struct Auditor {
    pub(crate) books: Arc<Mutex<Books>>,
    pub(crate) clock: Clock,
    pub(crate) trace: Trace,
}

impl Auditor {
    pub(crate) fn new(clock: Clock, trace: Trace, limit: u64) -> Self {
        let books = Books::new(trace.clone(), limit);
        Self { books: Arc::new(Mutex::new(books)), clock, trace }
    }

    pub(crate) fn broken(&self) -> Option<Broken> {
        self.books.lock().broken.clone()
    }

    pub(crate) fn fail(&self, promise: Promise, detail: impl Into<String>) {
        self.books.lock().fail(promise, detail);
    }

    /// A process begins: what an earlier one was asked and has not done it will never do.
    pub(crate) fn begin_life(&self) {
        self.books.lock().devices.values_mut().for_each(|log| log.following.forget_what_is_asked());
    }

    /// The number of the next order.
    pub(crate) fn next_number(&self) -> Number {
        self.books.lock().fates.len()
    }

    /// A publisher asks, for the first time or again.
    pub(crate) fn submit(&self, order: &Order) {
        let books = &mut *self.books.lock();
        books.step += 1;
        if let Some(fate) = books.fates.get_mut(order.number) {
            fate.tries += 1;
            // What was refused for want of room may be taken now.
            fate.refused = false;
        } else {
            let wall = self.clock.wall();
            books.fates.push(Fate::new(order.clone(), books.step, wall));
        }
        self.trace.note(format_args!("publish {order}"));
    }

    /// A publisher is answered.
    pub(crate) fn answer(&self, number: Number, answer: Answer, words: &str) {
        self.trace.note(format_args!("publish {number}: {answer:?} {words}"));
        let books = &mut *self.books.lock();
        books.step += 1;
        let fate = &mut books.fates[number];
        let first = fate.tries == 1;
        let fault = match answer {
            Answer::Unknown => return,
            Answer::Duplicate if first => Some("a fresh id is a duplicate"),
            Answer::New if fate.taken => Some("an id that was accepted is accepted again"),
            Answer::Refused if fate.taken => Some("an id that was accepted is refused"),
            _ => None,
        };
        fate.taken |= answer != Answer::Refused;
        fate.refused |= answer == Answer::Refused;
        if fate.taken {
            fate.answered.get_or_insert(books.step);
            fate.answered_wall = self.clock.latest();
        }
        if let Some(fault) = fault {
            books.fail(Promise::IdCountsOnce, format!("message {number}: {fault}"));
        }
    }

    /// Somebody asks to take an order back: from now on it may be.
    pub(crate) fn cancel(&self, number: Number) {
        self.trace.note(format_args!("cancel {number}"));
        self.books.lock().fates[number].cancelling += 1;
    }

    /// It was taken back, or not; an unknown outcome is not told.
    pub(crate) fn cancel_answer(&self, number: Number, taken_back: bool) {
        self.trace.note(format_args!("cancel {number}: taken back {taken_back}"));
        let books = &mut *self.books.lock();
        let fate = &mut books.fates[number];
        fate.cancelling -= 1;
        fate.taken_back |= taken_back;
        books.check_cancelled(number);
    }

    /// A device says hello; gives the number of its connection.
    pub(crate) fn hello(&self, user: &UserId, device: &DeviceId, acknowledges: bool) -> u64 {
        self.trace.note(format_args!("hello {user}/{device}"));
        let books = &mut *self.books.lock();
        books.step += 1;
        let key = (user.clone(), device.clone());
        let log = books.devices.entry(key).or_insert_with(|| DeviceLog::new(acknowledges));
        log.begin_connection()
    }

    /// Whether a client still listens to its connection of this number, and not to a later one.
    pub(crate) fn listens(&self, user: &UserId, device: &DeviceId, connection: u64) -> bool {
        self.books.lock().log(user, device).connection == connection
    }

    /// It is welcome, and its cursor stands at `cursor`.
    pub(crate) fn welcome(&self, user: &UserId, device: &DeviceId, cursor: Seq) {
        self.trace.note(format_args!("welcome {user}/{device} at {cursor}"));
        let books = &mut *self.books.lock();
        books.step += 1;
        let is_first = books.devices.keys().all(|(of, other)| of != user || other == device);
        let step = books.step;
        books.log(user, device).welcome(step, cursor, is_first);
        books.check_cursor(user, device, cursor, self.clock.latest());
    }

    /// A client gets a message; whether it has not had it yet. The server sent it when its clock was at `sent_at`.
    pub(crate) fn receive(
        &self,
        user: &UserId,
        device: &DeviceId,
        (seq, number): (Option<Seq>, Number),
        redelivered: bool,
        sent_at: Timestamp,
    ) -> bool {
        let mark = if redelivered { " again" } else { "" };
        let shown = seq.map_or_else(String::new, |seq| format!("{seq}: "));
        self.trace.note(format_args!("receive {user}/{device} {shown}{number}{mark}"));
        let books = &mut *self.books.lock();
        books.step += 1;
        let fate = &books.fates[number];
        let (priority, submitted) = (fate.order.priority, fate.submitted);
        // What waits for its time is accepted then, and nobody is told when that is.
        let answered = fate.answered.filter(|_| fate.order.deliver_at.is_none());
        let refused = fate.refused && !fate.taken;
        let early = fate.order.deliver_at.is_some_and(|at| self.clock.latest() < at);
        let latest = if fate.answered.is_some() { fate.answered_wall } else { self.clock.latest() };
        let starts = fate.order.deliver_at.map_or(latest, |at| at.max(latest));
        let expired = fate.order.ttl.is_some_and(|ttl| starts.saturating_add(ttl) <= sent_at);
        let was_over = fate.may_have_expired(self.clock.latest());
        let topic = fate.order.topic.clone();
        let log = books.devices.get_mut(&(user.clone(), device.clone())).expect("it has said hello");
        let is_strange = topic.as_ref().is_some_and(|topic| !log.following.may_get(topic));
        let was_passed_over =
            was_over || topic.as_ref().is_some_and(|topic| !log.following.is_due(topic, submitted));
        let taken = log.take(seq, number, redelivered, was_passed_over).and_then(|fresh| {
            // Where there are no numbers, nobody passes over what was over until the clock was set back.
            if fresh && (seq.is_some() || !was_over) {
                log.check_order(number, priority, submitted, answered).map(|()| fresh)
            } else {
                Ok(fresh)
            }
        });
        if let Some(seq) = seq {
            let known = *books.numbers.entry((user.clone(), seq)).or_insert(number);
            if known != number {
                let detail = format!("{user} got {seq} as message {known} and as message {number}");
                books.fail(Promise::OneNumberOneMessage, detail);
            }
        }
        for (is, promise) in [
            (refused, Promise::RefusedIsRefused),
            (early, Promise::NotBeforeItsTime),
            (expired, Promise::ExpiredStaysAway),
            (is_strange, Promise::NotFollowedStaysAway),
        ] {
            if is {
                books.fail(promise, format!("{user}/{device} got message {number}"));
            }
        }
        books.check_cancelled(number);
        taken.unwrap_or_else(|Broken { promise, detail }| {
            books.fail(promise, format!("{user}/{device} {detail}"));
            false
        })
    }

    /// A client acknowledges.
    pub(crate) fn acknowledge(&self, user: &UserId, device: &DeviceId, seq: Seq) {
        self.trace.note(format_args!("ack {user}/{device} {seq}"));
        self.books.lock().log(user, device).acknowledge(seq);
    }

    /// What a client has got and not acknowledged is not more than its window. What was taken back, as another device
    /// had not been sent it, is in flight no more when the rest is sent again, and its client cannot know.
    pub(crate) fn check_window(&self, user: &UserId, device: &DeviceId, window: usize) {
        let books = &mut *self.books.lock();
        let numbers: Vec<_> = books.log(user, device).in_flight().collect();
        let in_flight = numbers.into_iter().filter(|n| !books.fates[*n].may_be_taken_back()).count();
        if in_flight > window {
            let detail = format!("{user}/{device} has {in_flight} in flight, and its window is {window}");
            books.fail(Promise::WindowHolds, detail);
        }
    }

    /// Where a cursor stands.
    pub(crate) fn check_cursor(&self, user: &UserId, device: &DeviceId, cursor: Seq) {
        self.books.lock().check_cursor(user, device, cursor, self.clock.latest());
    }

    /// The last number that a client has kept.
    pub(crate) fn last(&self, user: &UserId, device: &DeviceId) -> Seq {
        self.books.lock().log(user, device).last()
    }

    /// All is over, and this is left.
    pub(crate) fn at_rest(&self, missing: Option<String>, scheduled: bool, stored: u64) {
        if let Some(missing) = missing {
            self.fail(Promise::AcceptedIsKept, missing);
        }
        if scheduled {
            self.fail(Promise::ComesToRest, "something is scheduled still");
        }
        if stored > 0 {
            let detail = format!("{stored} messages are kept that every device has acknowledged");
            self.fail(Promise::PassedIsTrimmed, detail);
        }
    }

    /// What is missing when all is over.
    pub(crate) fn missing(&self) -> Option<String> {
        let books = self.books.lock();
        let now = self.clock.latest();
        books.fates.iter().filter(|fate| fate.taken).find_map(|fate| {
            let mut devices = books.devices.iter().filter(|((user, _), _)| fate.order.may_reach(user));
            let misses = |((user, _), log): &(&(UserId, DeviceId), &DeviceLog)| {
                log.misses(&fate.order, fate.submitted) && !books.is_excused(fate, user, now)
            };
            let ((user, device), _) = devices.find(misses)?;
            Some(format!("message {} was accepted and has not reached {user}/{device}", fate.order.number))
        })
    }
}
