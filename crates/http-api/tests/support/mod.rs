//! What is behind the door in these tests.
#![allow(clippy::unwrap_used, unreachable_pub, reason = "a test that meets an error has to end")]

use std::sync::Arc;

use msgserver_persistence::MemoryStore;
use msgserver_pool::ShardedPool;
use msgserver_queue::LaneQueue;
use msgserver_scheduler::{Parts, Scheduler, Settings};

/// A scheduler with inboxes in memory, and with no other door.
pub fn scheduler() -> Scheduler {
    let parts = Parts {
        pool: Arc::new(ShardedPool::default()),
        queue: Arc::new(LaneQueue::default()),
        store: Some(Arc::new(MemoryStore::new())),
        doors: Vec::new(),
        filter: None,
        authentication: None,
        failed_callback: None,
    };
    Scheduler::start(parts, Settings::default()).unwrap()
}
