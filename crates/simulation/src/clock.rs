//! A wall clock that somebody sets, over tokio's paused one.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use msgserver_message::simulation::Edge;
use msgserver_message::{MessageId, Timestamp};
use tokio::time::Instant;

/// Where simulated time begins: 2026-01-01, in milliseconds.
const BEGIN: u64 = 1_767_225_600_000;

/// The wall clock of a simulated machine. Clones are the same clock.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clock(Arc<Face>);

#[derive(Debug, Default)]
struct Face {
    /// What has passed in earlier lives, in microseconds.
    passed: AtomicU64,
    /// By how much it was set forward, in milliseconds.
    set: AtomicI64,
    latest: AtomicU64,
    ids: AtomicU64,
    begun: parking_lot::Mutex<Option<Instant>>,
}

impl Clock {
    /// The runtime that runs now has begun.
    pub(crate) fn begin_life(&self) {
        *self.0.begun.lock() = Some(Instant::now());
    }

    /// It ends.
    pub(crate) fn end_life(&self) {
        self.0.passed.store(self.since_begin(), Ordering::Relaxed);
        *self.0.begun.lock() = None;
    }

    /// What has passed since the beginning, in microseconds; nobody can set this.
    pub(crate) fn since_begin(&self) -> u64 {
        let begun = *self.0.begun.lock();
        let in_life = begun.map_or(0, |begun| begun.elapsed().as_micros() as u64);
        self.0.passed.load(Ordering::Relaxed) + in_life
    }

    /// The wall clock's time.
    pub(crate) fn wall(&self) -> Timestamp {
        let millis = BEGIN + self.since_begin() / 1000;
        let wall = millis.saturating_add_signed(self.0.set.load(Ordering::Relaxed));
        self.0.latest.fetch_max(wall, Ordering::Relaxed);
        Timestamp::from_millis(wall)
    }

    /// The latest that it has ever shown.
    pub(crate) fn latest(&self) -> Timestamp {
        self.wall();
        Timestamp::from_millis(self.0.latest.load(Ordering::Relaxed))
    }

    /// Somebody sets it.
    pub(crate) fn jump(&self, millis: i64) {
        self.0.set.fetch_add(millis, Ordering::Relaxed);
    }
}

impl Edge for Clock {
    fn now(&self) -> Timestamp {
        self.wall()
    }

    fn fresh_id(&self) -> MessageId {
        let number = self.0.ids.fetch_add(1, Ordering::Relaxed);
        let millis = self.wall().as_millis();
        MessageId::from_bytes((u128::from(millis) << 80 | u128::from(number)).to_be_bytes())
    }
}
