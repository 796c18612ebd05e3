//! What waits for one endpoint, and what is counted of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::Endpoint;
use crate::backlog::{Backlog, Batch};
use crate::event::Event;

/// What waits for one endpoint, between who tells and who sends.
pub(crate) struct Outbox {
    pub(crate) endpoint: Endpoint,
    backlog: Mutex<Backlog>,
    came: Notify,
    /// Nothing is taken any more: the endpoint does not want it, or the server ends.
    closed: AtomicBool,
    /// Whether the log knows that events are being dropped.
    told: AtomicBool,
    sending: AtomicU64,
    delivered: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
}

/// What is counted, of all endpoints together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct WebhookFigures {
    /// Events that wait, or are being sent, now.
    pub waiting: u64,
    /// Events that endpoints have taken since the start.
    pub delivered: u64,
    /// Requests that endpoints have not taken since the start.
    pub failed: u64,
    /// Events that were dropped since the start: too many waited, they were too old, or the endpoint was gone.
    pub dropped: u64,
}

impl Outbox {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        Self {
            backlog: Mutex::new(Backlog::new(endpoint.backlog)),
            endpoint,
            came: Notify::new(),
            closed: AtomicBool::new(false),
            told: AtomicBool::new(false),
            sending: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        }
    }

    /// Puts an event behind the others. Takes no longer than it takes to lock and to push.
    pub(crate) fn push(&self, event: &Arc<Event>) {
        let dropped = {
            let mut backlog = self.backlog.lock();
            // Looked at under the lock: who closes empties the backlog under it.
            if self.closed.load(Ordering::Relaxed) {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                return;
            }
            backlog.push(Arc::clone(event), Instant::now())
        };
        self.came.notify_one();
        self.count_dropped(dropped, "too many wait");
    }

    /// The next events, once there are some.
    pub(crate) async fn next(&self) -> Batch {
        loop {
            if let Some(batch) = self.take() {
                return batch;
            }
            self.came.notified().await;
        }
    }

    /// The next events, if there are some.
    pub(crate) fn take(&self) -> Option<Batch> {
        let mut backlog = self.backlog.lock();
        let batch = backlog.take(self.endpoint.batch)?;
        self.sending.store(batch.events.len() as u64, Ordering::Relaxed);
        Some(batch)
    }

    pub(crate) fn arrived(&self, batch: &Batch) {
        self.backlog.lock().arrived(batch);
        self.sending.store(0, Ordering::Relaxed);
        self.delivered.fetch_add(batch.events.len() as u64, Ordering::Relaxed);
        self.told.store(false, Ordering::Relaxed);
    }

    pub(crate) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// Drops what is not worth telling any more: events of the backlog, and the batch if it is as old. Whether it is.
    pub(crate) fn drop_old(&self, batch: &Batch, now: Instant) -> bool {
        let age = self.endpoint.retry.give_up_after;
        let is_old = now.duration_since(batch.since) > age;
        let dropped = {
            let mut backlog = self.backlog.lock();
            // Before what came after it: nothing of that can be older.
            if is_old { self.give_up(&mut backlog, batch) + backlog.drop_older(age, now) } else { 0 }
        };
        self.count_dropped(dropped, "they could not be delivered in time");
        is_old
    }

    fn give_up(&self, backlog: &mut Backlog, batch: &Batch) -> u64 {
        backlog.gave_up(batch);
        self.sending.store(0, Ordering::Relaxed);
        batch.events.len() as u64
    }

    /// Takes nothing any more, and drops what waits or is being sent; how many.
    pub(crate) fn close(&self) -> u64 {
        let dropped = {
            let mut backlog = self.backlog.lock();
            self.closed.store(true, Ordering::Relaxed);
            backlog.drop_all() + self.sending.swap(0, Ordering::Relaxed)
        };
        self.dropped.fetch_add(dropped, Ordering::Relaxed);
        dropped
    }

    fn count_dropped(&self, dropped: u64, why: &str) {
        if dropped == 0 {
            return;
        }
        self.dropped.fetch_add(dropped, Ordering::Relaxed);
        // Once an outage, however many follow.
        if !self.told.swap(true, Ordering::Relaxed) {
            tracing::error!(
                endpoint = %self.endpoint,
                "events are dropped: {why}. GET /v1/messages/ID still tells what became of a message"
            );
        }
    }

    pub(crate) fn add_to(&self, figures: &mut WebhookFigures) {
        figures.waiting += self.backlog.lock().len() as u64 + self.sending.load(Ordering::Relaxed);
        figures.delivered += self.delivered.load(Ordering::Relaxed);
        figures.failed += self.failed.load(Ordering::Relaxed);
        figures.dropped += self.dropped.load(Ordering::Relaxed);
    }
}
