//! Events that wait for one endpoint.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::event::Event;

/// Events that wait for one endpoint, in their order and in bounded memory: when there are too many, the oldest go.
#[derive(Debug)]
pub(crate) struct Backlog {
    waiting: VecDeque<Waiting>,
    /// Of what waits, and of what is being sent.
    bytes: usize,
    limit: usize,
    /// How many were dropped since the endpoint last took something.
    missed: u64,
}

#[derive(Debug)]
struct Waiting {
    event: Arc<Event>,
    since: Instant,
}

/// Events that go together.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) events: Vec<Arc<Event>>,
    /// How many the endpoint has missed before these.
    pub(crate) missed: u64,
    /// Since when the first has waited.
    pub(crate) since: Instant,
    bytes: usize,
}

impl Backlog {
    pub(crate) fn new(limit: usize) -> Self {
        Self { waiting: VecDeque::new(), bytes: 0, limit, missed: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Adds an event, and drops what is too much; how many.
    pub(crate) fn push(&mut self, event: Arc<Event>, now: Instant) -> u64 {
        self.bytes += event.bytes();
        self.waiting.push_back(Waiting { event, since: now });
        self.drop_while(|backlog, _| backlog.bytes > backlog.limit)
    }

    /// Drops what has waited for longer than `age`; how many.
    pub(crate) fn drop_older(&mut self, age: Duration, now: Instant) -> u64 {
        self.drop_while(|_, oldest| now.duration_since(oldest.since) > age)
    }

    /// Drops everything that waits; how many.
    pub(crate) fn drop_all(&mut self) -> u64 {
        self.drop_while(|_, _| true)
    }

    fn drop_while(&mut self, too_much: impl Fn(&Self, &Waiting) -> bool) -> u64 {
        let mut dropped = 0;
        while self.waiting.front().is_some_and(|oldest| too_much(self, oldest))
            && let Some(Waiting { event, .. }) = self.waiting.pop_front()
        {
            self.bytes -= event.bytes();
            dropped += 1;
        }
        self.missed += dropped;
        dropped
    }

    /// Takes the oldest events out, at most `limit`; nothing if there are none.
    pub(crate) fn take(&mut self, limit: usize) -> Option<Batch> {
        let since = self.waiting.front()?.since;
        let taken = self.waiting.len().min(limit);
        let events: Vec<_> = self.waiting.drain(..taken).map(|waiting| waiting.event).collect();
        if self.waiting.is_empty() {
            // The table of a long outage is not kept.
            self.waiting = VecDeque::new();
        }
        let bytes = events.iter().map(|event| event.bytes()).sum();
        Some(Batch { events, missed: std::mem::take(&mut self.missed), since, bytes })
    }

    /// A batch has arrived.
    pub(crate) fn arrived(&mut self, batch: &Batch) {
        self.bytes -= batch.bytes;
    }

    /// A batch is given up.
    pub(crate) fn gave_up(&mut self, batch: &Batch) {
        self.bytes -= batch.bytes;
        self.missed += batch.missed + batch.events.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use msgserver_message::{MessageId, Stage, Step, Timestamp};

    use super::*;

    fn event(millis: u64) -> Arc<Event> {
        let step = Step::new(Stage::Accepted, Timestamp::from_millis(millis));
        Arc::new(Event::new(MessageId::from_bytes([1; 16]), &step, None))
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many_and_are_counted() {
        let (now, one) = (Instant::now(), event(0).bytes());
        let mut backlog = Backlog::new(3 * one);
        let dropped: u64 = (1..=5).map(|n| backlog.push(event(n), now)).sum();
        assert_eq!((dropped, backlog.len()), (2, 3));
        let batch = backlog.take(2).unwrap();
        assert_eq!((&batch.events[..], batch.missed), (&[event(3), event(4)][..], 2));

        // What is being sent still takes memory.
        assert_eq!(backlog.push(event(6), now), 1);
        backlog.gave_up(&batch);
        assert_eq!(backlog.push(event(7), now), 0);
        let batch = backlog.take(9).unwrap();
        assert_eq!((&batch.events[..], batch.missed), (&[event(6), event(7)][..], 5));
        backlog.arrived(&batch);
        assert_eq!(backlog.bytes, 0);
        assert!(backlog.take(9).is_none());
    }

    #[test]
    fn what_has_waited_too_long_goes() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut backlog = Backlog::new(usize::MAX);
        for n in 0..5 {
            backlog.push(event(n), start + second * n as u32);
        }
        assert_eq!(backlog.drop_older(second * 2, start + second * 4), 2);
        assert_eq!(backlog.take(1).unwrap().since, start + second * 2);
        assert_eq!(backlog.drop_all(), 2);
    }
}
