//! Lanes: many users served in parallel, one user's messages in order.
//!
//! Jobs wait in a lane for each user. A worker takes a whole lane, and nobody else gets it until the
//! worker gives it back; so workers may be many and a user's messages still go out one after the other.
//! A lane whose user cannot be reached is parked until an instant: it waits in a heap, costs no worker
//! anything, and is woken early when the user comes online.
//!
//! The queue holds no clock, no threads and no retries of its own: instants are handed in, and what a job is
//! and when it has failed too often are for its caller to say. It lives in memory; what has to outlive the
//! process belongs into a store first.
//!
//! ```
//! use msgserver_message::UserId;
//! use msgserver_queue::{LaneQueue, Queue};
//!
//! let queue = LaneQueue::default();
//! let ada = UserId::new("ada")?;
//! queue.push(&ada, 1);
//! queue.push(&ada, 2);
//! let lane = queue.take().expect("a lane is ready");
//! queue.push(&ada, 3);
//! assert!(queue.take().is_none(), "the lane is taken");
//! assert_eq!(lane.jobs, [1, 2]);
//! queue.give_back(&ada, Default::default(), None);
//! assert_eq!(queue.take().expect("ready again").jobs, [3]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod lanes;

pub use lanes::{Lane, LaneQueue, Queue};
