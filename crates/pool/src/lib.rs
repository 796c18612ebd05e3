//! Live sessions: who is connected, and writing to their sockets.
//!
//! A [`Session`] is one connection that is online. Whoever has a message for it writes to its socket there
//! and then, from whatever thread it is on ([`Session::send`]); only what the socket would not take waits,
//! in the session's outbox, for the [`Reactor`] to find the socket writable. So a message wakes no task for
//! a client that keeps up, and an idle session owns no buffer, no timer and no task: an entry in a table, a
//! few hundred bytes.
//!
//! The reactor's threads also read (what a client says, and that it has gone), fan notices out to their
//! sessions in bursts (one write a socket, however many notices wait), and watch for what the peers' TCP
//! has acknowledged. What happens is told upward through [`Events`].
//!
//! A [`Pool`] is where a user's sessions are found; [`ShardedPool`] is the default.

mod events;
mod notice;
mod outbox;
mod pool;
mod reactor;
mod session;
mod shard;
mod unacknowledged;

pub use events::{CloseReason, Events};
pub use notice::Notice;
pub use pool::{Pool, Replacement, Sessions, ShardedPool};
pub use reactor::{Reactor, ReactorOptions};
pub use session::{Sent, Session, SessionSetup};
