//! What is behind the door in these tests.
#![allow(clippy::unwrap_used, unreachable_pub, reason = "a test that meets an error has to end")]

use std::sync::Arc;

use msgserver_persistence::MemoryStore;
use msgserver_pool::ShardedPool;
use msgserver_protocol::{Encoder, EventStream, FrameFormat, Json, Poll, WebSocket};
use msgserver_queue::LaneQueue;
use msgserver_scheduler::{Door, Parts, Scheduler, Settings};

fn door(encoder: Encoder) -> Door {
    Door { encoder, encryption: None, max_connections: None }
}

/// A scheduler with inboxes in memory, and with no door but that of HTTP.
pub fn scheduler() -> Scheduler {
    let parts = Parts {
        pool: Arc::new(ShardedPool::default()),
        queue: Arc::new(LaneQueue::default()),
        store: Some(Arc::new(MemoryStore::new())),
        doors: vec![
            door(Encoder::new(WebSocket::new(FrameFormat::Json), Json).unwrap()),
            door(Encoder::new(EventStream, Json).unwrap()),
            door(Encoder::new(Poll, Json).unwrap()),
        ],
        filter: None,
        authentication: None,
        failed_callback: None,
        witness: None,
    };
    Scheduler::start(parts, Settings::default()).unwrap()
}
