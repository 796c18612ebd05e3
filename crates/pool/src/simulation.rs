//! A reactor without threads, and connections that somebody else makes: for simulations.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::reactor::Mailbox;
use crate::shard::Shard;
use crate::{Events, Reactor, ReactorOptions};

/// A connection that somebody else makes. Nothing of it waits.
pub trait Wire: Send + Sync {
    /// Reads what has come; nothing at the end.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if nothing has come, or what happened to the connection.
    fn read(&self, into: &mut [u8]) -> io::Result<usize>;

    /// Writes as much as there is room for.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if there is no room, or what happened to the connection.
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Bytes that were written and that the peer has not acknowledged.
    fn unacknowledged(&self) -> u64;

    /// Ends both directions.
    fn shutdown(&self);

    /// From now on it is this one in [`Turns::turn`], or none any more.
    fn watch(&self, index: Option<usize>);
}

/// The turns that a thread of the reactor would take.
pub struct Turns(Shard);

impl Turns {
    /// Serves connections that can be read or written, and whatever else is to do; whether there will be another
    /// turn.
    pub fn turn(&mut self, ready: &[(usize, bool, bool)], now: Instant) -> bool {
        self.0.turn(ready.iter().copied(), now)
    }

    /// When the next turn is to be at the latest.
    #[must_use]
    pub fn patience(&self, now: Instant) -> Duration {
        self.0.patience(now)
    }
}

impl Reactor {
    /// A reactor with one thread whose turns somebody else takes; `wake` is called when there is to be one.
    ///
    /// # Errors
    /// What the system says if it has no more descriptors.
    pub fn in_turns(
        options: &ReactorOptions,
        events: &Arc<dyn Events>,
        now: Instant,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> io::Result<(Self, Turns)> {
        let inbox = Arc::default();
        let shard = Shard::new(mio::Poll::new()?, Arc::clone(&inbox), Arc::clone(events), options, now);
        let wake = Box::new(move || {
            wake();
            Ok(())
        });
        Ok((Self::of(vec![Mailbox { inbox, wake }], Vec::new()), Turns(shard)))
    }
}
