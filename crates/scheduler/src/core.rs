//! What everything meets in.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use msgserver_access::Access;
use msgserver_message::{Seq, SessionId, UserId};
use msgserver_persistence::{Device, Entry, Inbox, Store, StoreError};
use msgserver_pool::{CloseReason, Events, Reactor, Session, Topics};
use msgserver_protocol::{ByeCode, Encoder, Inbound, ServerFrame};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::grants::Grants;
use crate::listening::FromReactor;
use crate::mqtt::Talks;
use crate::occupancy::Occupancy;
use crate::passing::Passing;
use crate::publisher::Publisher;
use crate::receipts::Receipts;
use crate::redelivery::Redelivery;
use crate::telling::Telling;
use crate::turnstile::Turnstile;
use crate::{Door, Figures, Intake, Parts, PublishError, Settings};

/// How long the store may take to say how it is.
pub(crate) const STORE_PATIENCE: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) accepted: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) given_up: AtomicU64,
    pub(crate) expired: AtomicU64,
    pub(crate) connections_refused: AtomicU64,
}

pub(crate) struct Core {
    pub(crate) parts: Parts,
    pub(crate) settings: Settings,
    pub(crate) encoders: Arc<[Encoder]>,
    /// Of each door.
    pub(crate) occupancies: Box<[Arc<Occupancy>]>,
    pub(crate) counters: Counters,
    pub(crate) stopping: watch::Sender<bool>,
    pub(crate) runtime: Handle,
    pub(crate) parked: Notify,
    /// Told when something is scheduled.
    pub(crate) schedule: Notify,
    pub(crate) topics: Topics,
    pub(crate) redelivery: Redelivery,
    pub(crate) receipts: Receipts,
    pub(crate) telling: Arc<Telling>,
    pub(crate) publisher: Publisher,
    pub(crate) grants: Grants,
    pub(crate) talks: Talks,
    pub(crate) passing: Passing,
    pub(crate) turnstile: Turnstile,
    pub(crate) intake: Intake,
    /// Sessions whose acknowledgements are to be written down.
    pub(crate) acknowledging: Mutex<Vec<Arc<Session>>>,
    /// What is on its way into the store and nobody waits for.
    pub(crate) notes: TaskTracker,
    pub(crate) closed: AtomicBool,
    reactor: OnceLock<Reactor>,
    work: Notify,
    workers: AtomicUsize,
    next_session: AtomicU64,
}

/// A user's sessions, devices and what waits.
#[derive(Debug, Clone, Default)]
pub struct Presence {
    /// The sessions.
    pub sessions: Vec<Arc<Session>>,
    /// The devices that have a cursor.
    pub devices: Vec<Device>,
    /// What waits.
    pub inbox: Inbox,
}

/// Takes publications and brings them to sessions. Cheap to clone.
#[derive(Clone)]
pub struct Scheduler {
    pub(crate) core: Arc<Core>,
}

impl Scheduler {
    /// Starts the workers and the reactor's threads, on the current runtime.
    ///
    /// # Errors
    /// What the system says if there are no more threads or descriptors.
    pub fn start(parts: Parts, settings: Settings) -> io::Result<Self> {
        let options = settings.reactor.clone();
        Self::start_on(parts, settings, |events| Reactor::start(&options, events))
    }

    /// Starts the workers, on a reactor that somebody else makes.
    pub(crate) fn start_on(
        parts: Parts,
        settings: Settings,
        reactor: impl FnOnce(&Arc<dyn Events>) -> io::Result<Reactor>,
    ) -> io::Result<Self> {
        let encoders = parts.doors.iter().map(|door| door.encoder.clone()).collect();
        let whole = Arc::new(Occupancy::of_server(settings.max_connections));
        let mut of_mqtt = None;
        let of_door = |door: &Door| {
            let occupancy = || Arc::new(Occupancy::of_door(door.max_connections, &whole));
            match door.encoder.inbound() {
                // The versions come by one door: which it is, is said later.
                Inbound::Mqtt(_) => Arc::clone(of_mqtt.get_or_insert_with(occupancy)),
                _ => occupancy(),
            }
        };
        let occupancies = parts.doors.iter().map(of_door).collect();
        let (publisher, orders) = Publisher::new();
        let telling = Arc::new(Telling::new(parts.witness.clone()));
        if let Some(store) = parts.store.as_ref().filter(|_| telling.has_witness()) {
            let telling = Arc::clone(&telling);
            store.listen(Arc::new(move |steps| telling.tell_made(steps)));
        }
        let core = Arc::new(Core {
            parts,
            encoders,
            occupancies,
            counters: Counters::default(),
            stopping: watch::Sender::new(false),
            reactor: OnceLock::new(),
            runtime: Handle::current(),
            work: Notify::new(),
            parked: Notify::new(),
            schedule: Notify::new(),
            topics: Topics::default(),
            redelivery: Redelivery::default(),
            receipts: Receipts::default(),
            telling,
            publisher,
            grants: Grants::default(),
            talks: Talks::default(),
            passing: Passing::default(),
            turnstile: Turnstile::new(settings.admission),
            intake: Intake::new(settings.publishing_limit),
            acknowledging: Mutex::default(),
            notes: TaskTracker::new(),
            workers: AtomicUsize::new(0),
            next_session: AtomicU64::new(1),
            closed: AtomicBool::new(false),
            settings,
        });
        let events: Arc<dyn Events> = Arc::new(FromReactor(Arc::clone(&core)));
        let _ = core.reactor.set(reactor(&events)?);
        for _ in 0..core.settings.min_parallel.max(1) {
            core.add_worker(false);
        }
        tokio::spawn(Arc::clone(&core).keep_time());
        tokio::spawn(Arc::clone(&core).keep_schedule());
        tokio::spawn(Arc::clone(&core).keep_tidy());
        tokio::spawn(Arc::clone(&core).keep_receipts());
        tokio::spawn(Arc::clone(&core).keep_redelivering());
        tokio::spawn(Arc::clone(&core).keep_publishing(orders));
        tokio::spawn(Arc::clone(&core).keep_access());
        core.settings.gate.start();
        Ok(Self { core })
    }

    /// Where doors count what publishers send, while it is on its way to [`Scheduler::publish`].
    #[must_use]
    pub fn intake(&self) -> &Intake {
        &self.core.intake
    }

    /// How many connections are online.
    #[must_use]
    pub fn online_count(&self) -> usize {
        self.core.parts.pool.sessions()
    }

    /// What is counted.
    #[must_use]
    pub async fn figures(&self) -> Figures {
        let (core, counters) = (&self.core, &self.core.counters);
        let stored = match &core.parts.store {
            None => Some(0),
            Some(store) => match in_time(&**store, store.stored()).await {
                Ok(stored) => Some(stored),
                Err(fault) => {
                    tracing::warn!(%fault, "what is stored cannot be counted");
                    None
                }
            },
        };
        Figures {
            connections: core.parts.pool.sessions(),
            users: core.parts.pool.users(),
            topics: core.topics.followed(),
            subscriptions: core.topics.follows(),
            queued: core.parts.queue.len(),
            stored,
            accepted: counters.accepted.load(Ordering::Relaxed),
            refused: counters.refused.load(Ordering::Relaxed),
            given_up: counters.given_up.load(Ordering::Relaxed),
            expired: counters.expired.load(Ordering::Relaxed),
            connections_refused: counters.connections_refused.load(Ordering::Relaxed),
        }
    }

    /// A user's sessions, devices and what waits.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be asked.
    pub async fn presence(&self, user: &UserId) -> Result<Presence, StoreError> {
        let sessions = self.core.parts.pool.sessions_of(user);
        let (devices, inbox) = match self.core.store_for(user) {
            Some(store) => (store.devices(user).await?, store.inbox(user).await?),
            None => Default::default(),
        };
        Ok(Presence { sessions: sessions.into_iter().collect(), devices, inbox })
    }

    /// The first messages that wait for a user after a number, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be asked.
    pub async fn inbox(&self, user: &UserId, after: Seq, limit: usize) -> Result<Vec<Entry>, StoreError> {
        match self.core.store_for(user) {
            Some(store) => store.read(user, after, limit).await,
            None => Ok(Vec::new()),
        }
    }

    /// Closes a user's sessions; how many.
    pub fn dismiss(&self, user: &UserId) -> usize {
        let sessions = self.core.parts.pool.sessions_of(user);
        sessions.iter().for_each(|session| self.core.dismiss(session, CloseReason::Dismissed));
        sessions.len()
    }

    /// Whether publications are taken now: the server does not stop, and the store answers.
    ///
    /// # Errors
    /// Why not: [`PublishError::ShuttingDown`] or [`PublishError::Store`].
    pub async fn ready(&self) -> Result<(), PublishError> {
        if self.core.closed.load(Ordering::Relaxed) {
            return Err(PublishError::ShuttingDown);
        }
        let Some(store) = &self.core.parts.store else { return Ok(()) };
        Ok(in_time(&**store, store.ready()).await?)
    }
}

/// What a store says, if it says it soon.
async fn in_time<T>(
    store: &dyn Store,
    answer: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    tokio::time::timeout(STORE_PATIENCE, answer).await.unwrap_or_else(|_| {
        let detail = format!("it has not answered within {} s", STORE_PATIENCE.as_secs());
        Err(StoreError::Unavailable { store: store.name(), detail })
    })
}

impl Core {
    pub(crate) fn reactor(&self) -> &Reactor {
        self.reactor.get().expect("set before anything else is done")
    }

    pub(crate) fn next_session(&self) -> SessionId {
        SessionId::new(self.next_session.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn store_for(&self, user: &UserId) -> Option<&Arc<dyn Store>> {
        // The name of an anonymous connection ends with it: the next to have it is somebody else.
        self.parts.store.as_ref().filter(|_| user.anonymous_peer().is_none())
    }

    pub(crate) fn put_to_work(self: &Arc<Self>) {
        self.work.notify_one();
        let workers = self.workers.load(Ordering::Relaxed);
        if workers < self.settings.max_parallel
            && self.parts.queue.len() >= self.settings.queue_buffer_len * workers
        {
            self.add_worker(true);
        }
    }

    /// A surplus worker ends when nothing is ready; the others wait.
    fn add_worker(self: &Arc<Self>, surplus: bool) {
        self.workers.fetch_add(1, Ordering::Relaxed);
        let core = Arc::clone(self);
        self.runtime.spawn(async move {
            loop {
                match core.parts.queue.take() {
                    Some(lane) => core.deliver(lane).await,
                    None if surplus => break,
                    None => core.work.notified().await,
                }
            }
            core.workers.fetch_sub(1, Ordering::Relaxed);
        });
    }

    /// Wakes parked lanes when their time has come.
    async fn keep_time(self: Arc<Self>) {
        loop {
            let next = self.parts.queue.wake_due(Instant::now().into_std());
            self.work.notify_one();
            match next {
                None => self.parked.notified().await,
                Some(next) => {
                    tokio::select! {
                        biased;
                        () = tokio::time::sleep_until(next.into()) => {}
                        () = self.parked.notified() => {}
                    }
                }
            }
        }
    }

    pub(crate) fn wake(self: &Arc<Self>, user: &UserId) {
        self.parts.queue.wake(user);
        self.put_to_work();
    }

    /// Puts a session among those that are online, and then has its client hear that it is.
    pub(crate) fn bring_online(self: &Arc<Self>, session: &Arc<Session>, access: Option<Arc<Access>>) {
        if let Some(access) = &access {
            self.grants.add(session, access);
        }
        let earlier = self.parts.pool.insert(Arc::clone(session));
        if self.settings.replacement == msgserver_pool::Replacement::Replace {
            for other in earlier {
                // A client that was fast may have gone and come again before its first session was here.
                let older = if other.id() < session.id() { &other } else { session };
                self.dismiss(older, CloseReason::Replaced);
            }
        }
        self.reactor().watch(session);
        session.flush();
        // It may have been taken back while the session was not among those that are looked through.
        if access.is_some_and(|access| self.settings.gate.has_revoked(&access)) {
            self.dismiss(session, CloseReason::Revoked);
        }
        if self.store_for(session.user()).is_some() || !self.parts.queue.is_empty() {
            self.wake(session.user());
        }
    }

    /// The frame that says why a session is closed.
    pub(crate) fn bye(&self, session: &Session, reason: &CloseReason) -> Option<bytes::Bytes> {
        let mut fault = None;
        let code = match reason {
            CloseReason::BadFrame { fault: what, .. } => {
                fault = Some(*what);
                ByeCode::BadFrame
            }
            CloseReason::HeartbeatMissed => ByeCode::HeartbeatMissed,
            CloseReason::Replaced => ByeCode::Replaced,
            CloseReason::Dismissed => ByeCode::Dismissed,
            CloseReason::TokenExpired => ByeCode::TokenExpired,
            CloseReason::Revoked => ByeCode::Revoked,
            CloseReason::ShuttingDown => ByeCode::ShuttingDown,
            CloseReason::SlowConsumer => ByeCode::SlowConsumer,
            // There is nobody left to tell.
            _ => return None,
        };
        let retry_after_ms = self.return_after(code);
        let say = |detail| {
            let bye = ServerFrame::Bye { code, detail, retry_after_ms };
            self.encoders[session.encoding()].farewell(&bye, fault)
        };
        let whole = say(reason.to_string());
        if whole.as_ref().is_none_or(|bytes| session.takes(bytes)) { whole } else { say(String::new()) }
    }

    /// When a client is to come back, if it is not its own fault that it has to go. Clients that all come back at once
    /// would be a crowd at the door of whoever serves next.
    pub(crate) fn return_after(&self, code: ByeCode) -> Option<u64> {
        let spread = u64::try_from(self.settings.return_within.as_millis()).unwrap_or(u64::MAX);
        matches!(code, ByeCode::ShuttingDown | ByeCode::Unavailable).then(|| rand::random_range(0..=spread))
    }

    pub(crate) fn dismiss(&self, session: &Session, reason: CloseReason) {
        match self.bye(session, &reason) {
            Some(bye) => session.close_with(bye, reason),
            None => session.close(reason),
        }
    }

    /// Says a frame of a session's own conversation, if its protocol has one.
    pub(crate) fn say(&self, session: &Session, frame: &ServerFrame) {
        if let Some(bytes) = self.encoders[session.encoding()].say(frame) {
            session.say(bytes);
        }
    }
}
