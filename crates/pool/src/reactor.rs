//! The threads that watch sockets.

use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{io, thread};

use mio::{Poll, Waker};
use msgserver_message::SessionId;
use parking_lot::Mutex;

use crate::shard::{Inbox, Shard, WAKE};
use crate::{Connection, Events, Notice, Session, SessionSetup};

/// How a reactor works.
#[derive(Debug, Clone)]
pub struct ReactorOptions {
    /// Threads; each has its own sessions.
    pub threads: usize,
    /// How long a connection may be silent: a keepalive is sent, or a frame is expected, this often.
    pub heartbeat: Duration,
    /// The longest frame that a client may send, in bytes.
    pub max_frame_bytes: usize,
}

impl Default for ReactorOptions {
    fn default() -> Self {
        Self {
            threads: thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2)),
            heartbeat: Duration::from_secs(60),
            max_frame_bytes: msgserver_protocol::MAX_FRAME_BYTES,
        }
    }
}

/// The threads that watch the sockets of all sessions.
pub struct Reactor {
    shards: Vec<Mailbox>,
    threads: Mutex<Vec<thread::JoinHandle<()>>>,
}

/// Where something is put down for a thread, and how it is woken.
pub(crate) struct Mailbox {
    pub(crate) inbox: Arc<Mutex<Inbox>>,
    pub(crate) wake: Box<dyn Fn() -> io::Result<()> + Send + Sync>,
}

impl Mailbox {
    fn put(&self, change: impl FnOnce(&mut Inbox)) {
        let mut inbox = self.inbox.lock();
        change(&mut inbox);
        // One wake-up is enough until the thread has looked.
        let wake = !std::mem::replace(&mut inbox.woken, true);
        drop(inbox);
        if wake && let Err(fault) = (self.wake)() {
            tracing::error!(%fault, "a reactor thread cannot be woken");
        }
    }
}

impl Reactor {
    /// Starts the threads.
    ///
    /// # Errors
    /// What the system says if it has no more descriptors or threads.
    pub fn start(options: &ReactorOptions, events: &Arc<dyn Events>) -> io::Result<Self> {
        let mut shards = Vec::new();
        let mut threads = Vec::new();
        let count = options.threads.max(1);
        for number in 0..count {
            let poll = Poll::new()?;
            let waker = Waker::new(poll.registry(), WAKE)?;
            let inbox = Arc::new(Mutex::new(Inbox::default()));
            let shard = Shard::new(
                (number, count),
                poll,
                Arc::clone(&inbox),
                Arc::clone(events),
                options,
                Instant::now(),
            );
            shards.push(Mailbox { inbox, wake: Box::new(move || waker.wake()) });
            threads
                .push(thread::Builder::new().name(format!("reactor-{number}")).spawn(move || shard.run())?);
        }
        Ok(Self::of(shards, threads))
    }

    pub(crate) fn of(shards: Vec<Mailbox>, threads: Vec<thread::JoinHandle<()>>) -> Self {
        Self { shards, threads: Mutex::new(threads) }
    }

    /// Makes a session of a connection, without watching it yet: [`Reactor::watch`] does.
    ///
    /// # Errors
    /// What the system says of the socket.
    pub fn session(&self, connection: impl Into<Connection>, setup: SessionSetup) -> io::Result<Session> {
        Session::new(setup, connection.into())
    }

    /// Begins to read from a session's socket and to write what it would not take.
    pub fn watch(&self, session: &Arc<Session>) {
        let session = Arc::clone(session);
        self.shard_of(&session).put(|inbox| inbox.arrivals.push(session));
    }

    /// Has the thread of a session look whether the peer's TCP has acknowledged what was sent.
    pub fn confirm(&self, session: &Arc<Session>) {
        let session = Arc::clone(session);
        self.shard_of(&session).put(|inbox| inbox.confirming.push(session));
    }

    fn shard_of(&self, session: &Session) -> &Mailbox {
        &self.shards[shard_of(session.id(), self.shards.len())]
    }

    /// Sends a notice to every session that is watched, or to its audience.
    pub fn broadcast(&self, notice: &Arc<Notice>) {
        for shard in &self.shards {
            shard.put(|inbox| inbox.notices.push_back(Arc::clone(notice)));
        }
    }

    /// How many notices have not been written to every session yet.
    #[must_use]
    pub fn notices_waiting(&self) -> usize {
        let waiting = |shard: &Mailbox| {
            let inbox = shard.inbox.lock();
            inbox.notices.len() + inbox.under_way
        };
        self.shards.iter().map(waiting).max().unwrap_or(0)
    }

    /// Has every session closed and the threads end, without waiting for it.
    pub fn begin_to_stop(&self) {
        for shard in &self.shards {
            shard.put(|inbox| inbox.stop = true);
        }
    }

    /// Whether it was told to stop, and every session is closed.
    #[must_use]
    pub fn has_stopped(&self) -> bool {
        self.shards.iter().all(|shard| shard.inbox.lock().stopped)
    }

    /// Closes every session and ends the threads.
    pub fn stop(&self) {
        self.begin_to_stop();
        for thread in std::mem::take(&mut *self.threads.lock()) {
            let _ = thread.join();
        }
    }
}

/// Which of so many threads looks after a session.
pub(crate) fn shard_of(session: SessionId, shards: usize) -> usize {
    session.get() as usize % shards
}

impl Drop for Reactor {
    fn drop(&mut self) {
        self.stop();
    }
}

impl std::fmt::Debug for Reactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reactor({} threads)", self.shards.len())
    }
}
