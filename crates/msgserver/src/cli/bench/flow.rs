//! How far a run is: what readers have counted, and who waits for it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use mio::Waker;

/// Shared by the publisher, the readers and who shows the progress. Readers wake the publisher once for each time it
/// waits, not once for each delivery.
#[derive(Debug)]
pub(super) struct Flow {
    done: AtomicU64,
    /// How much has to be done before the publisher is to be woken.
    wanted: AtomicU64,
    published: AtomicU64,
    stopped: AtomicBool,
    publisher: Waker,
}

impl Flow {
    pub(super) const fn new(publisher: Waker) -> Self {
        Self {
            done: AtomicU64::new(0),
            wanted: AtomicU64::new(u64::MAX),
            published: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            publisher,
        }
    }

    /// So many more deliveries were made, or will never be.
    pub(super) fn add(&self, count: u64) {
        let done = self.done.fetch_add(count, Ordering::SeqCst) + count;
        if done >= self.wanted.load(Ordering::SeqCst) {
            self.wanted.store(u64::MAX, Ordering::SeqCst);
            self.wake();
        }
    }

    pub(super) fn done(&self) -> u64 {
        self.done.load(Ordering::SeqCst)
    }

    /// Asks to be woken when so much is done; false if it is already.
    pub(super) fn want(&self, done: u64) -> bool {
        self.wanted.store(done, Ordering::SeqCst);
        // Looked at behind the store: either this sees what was added, or who adds sees the wish.
        self.done() < done
    }

    pub(super) fn note_published(&self, count: u64) {
        self.published.store(count, Ordering::Release);
    }

    pub(super) fn published(&self) -> u64 {
        self.published.load(Ordering::Acquire)
    }

    /// Nothing more is to be published.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.wake();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    fn wake(&self) {
        // It fails only if the system has no memory for a counter; then the publisher looks by itself.
        let _ = self.publisher.wake();
    }
}

/// How long anybody waits for a wake-up before looking by itself.
pub(super) const LOOK: Duration = Duration::from_millis(50);
