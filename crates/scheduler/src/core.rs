//! What everything meets in.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use msgserver_message::{
    Content, MAX_CONTENT_BYTES, Message, MessageId, Seq, SessionId, Target, Timestamp, UserId,
};
use msgserver_persistence::{Appended, Store, StoreError};
use msgserver_pool::{CloseReason, Events, Notice, Reactor, Sent, Session};
use msgserver_protocol::{ByeCode, ClientFrame, Delivery, Encoder, ErrorCode, ServerFrame};
use msgserver_queue::Lane;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};

use crate::occupancy::Occupancy;
use crate::{Door, FailedDelivery, FailureReason, Figures, Parts, PublishError, Settings};

/// How many messages are read from an inbox at a time.
const PAGE: usize = 256;

/// How long the store may take to say how it is.
const STORE_PATIENCE: Duration = Duration::from_secs(1);

/// How long a store that failed is left alone before it is asked the same again.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// How often an acknowledgement is offered to a store that fails, once its session is over: without it the device
/// is sent the message again, and an old client cannot tell. Not for ever, since nobody counts such sessions.
const TRIES_FOR_WHO_LEFT: u32 = 30;

/// A message that waits in a user's lane.
#[derive(Debug, Clone)]
pub struct Job {
    message: Arc<Message>,
    seq: Option<Seq>,
    attempts: u32,
}

/// What a publisher hands over.
#[derive(Debug, Clone)]
pub struct Publication {
    /// Who it is for.
    pub target: Target,
    /// What it says.
    pub content: Content,
    /// Its id, if the publisher chose one: the same again is accepted once.
    pub id: Option<MessageId>,
    /// How long it is worth delivering.
    pub ttl: Option<Duration>,
    /// Whether it is to be kept for who is not connected; messages are and notices are not unless said.
    pub store: Option<bool>,
}

impl Publication {
    /// A publication with nothing unusual.
    #[must_use]
    pub fn new(target: impl Into<Target>, content: Content) -> Self {
        Self { target: target.into(), content, id: None, ttl: None, store: None }
    }
}

/// What a publisher is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// The message's id.
    pub id: MessageId,
    /// What has become of it.
    pub state: State,
}

/// What has become of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// It is as safe as the store promises.
    Accepted,
    /// It is on its way, and in no store.
    Queued,
}

impl State {
    /// Its name for publishers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Queued => "queued",
        }
    }
}

#[derive(Default)]
pub(crate) struct Counters {
    accepted: AtomicU64,
    refused: AtomicU64,
    given_up: AtomicU64,
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
    reactor: OnceLock<Reactor>,
    runtime: Handle,
    work: Notify,
    parked: Notify,
    workers: AtomicUsize,
    next_session: AtomicU64,
    closed: AtomicBool,
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
        let encoders = parts.doors.iter().map(|door| door.encoder.clone()).collect();
        let whole = Arc::new(Occupancy::of_server(settings.max_connections));
        let of_door = |door: &Door| Arc::new(Occupancy::of_door(door.max_connections, &whole));
        let occupancies = parts.doors.iter().map(of_door).collect();
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
            workers: AtomicUsize::new(0),
            next_session: AtomicU64::new(1),
            closed: AtomicBool::new(false),
            settings,
        });
        let events: Arc<dyn Events> = Arc::new(FromReactor(Arc::clone(&core)));
        let _ = core.reactor.set(Reactor::start(&core.settings.reactor, &events)?);
        for _ in 0..core.settings.min_parallel.max(1) {
            core.add_worker(false);
        }
        tokio::spawn(Arc::clone(&core).keep_time());
        Ok(Self { core })
    }

    /// Takes a message; done once it is as safe as the store promises.
    ///
    /// # Errors
    /// [`PublishError`] says why it was refused.
    pub async fn publish(&self, publication: Publication) -> Result<Published, PublishError> {
        let outcome = self.core.publish(publication).await;
        let counters = &self.core.counters;
        let counter = if outcome.is_ok() { &counters.accepted } else { &counters.refused };
        counter.fetch_add(1, Ordering::Relaxed);
        outcome
    }

    /// Sends to everybody who is connected now.
    ///
    /// # Errors
    /// As [`Scheduler::publish`].
    pub async fn send_notice(&self, content: Content) -> Result<Published, PublishError> {
        self.publish(Publication::new(Target::All, content)).await
    }

    /// Sends to one user, or to several: `user` or a list of users.
    ///
    /// # Errors
    /// As [`Scheduler::publish`].
    pub async fn send_message(
        &self,
        content: Content,
        to: impl Into<Target>,
    ) -> Result<Published, PublishError> {
        self.publish(Publication::new(to, content)).await
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
            queued: core.parts.queue.len(),
            stored,
            accepted: counters.accepted.load(Ordering::Relaxed),
            refused: counters.refused.load(Ordering::Relaxed),
            given_up: counters.given_up.load(Ordering::Relaxed),
            connections_refused: counters.connections_refused.load(Ordering::Relaxed),
        }
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

    /// Stops: no more connections and publications, `bye` to who understands it, what waits is written as
    /// far as clients take it within `patience`, the store is closed.
    pub async fn stop(&self, patience: Duration) {
        let core = &self.core;
        core.closed.store(true, Ordering::Relaxed);
        core.stopping.send_replace(true);
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            let mut settled = core.parts.queue.is_empty() && core.reactor().notices_waiting() == 0;
            core.parts.pool.for_each(&mut |session| settled = settled && session.is_settled());
            if settled {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let mut sessions = Vec::new();
        core.parts.pool.for_each(&mut |session| sessions.push(Arc::clone(session)));
        for session in sessions {
            core.dismiss(&session, CloseReason::ShuttingDown);
        }
        let stopping = Arc::clone(core);
        let _ = tokio::task::spawn_blocking(move || stopping.reactor().stop()).await;
        if let Some(store) = &core.parts.store
            && let Err(fault) = store.close().await
        {
            tracing::error!(%fault, "the store was not closed");
        }
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

    async fn publish(self: &Arc<Self>, publication: Publication) -> Result<Published, PublishError> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(PublishError::ShuttingDown);
        }
        let bytes = publication.content.as_json().len();
        if bytes > MAX_CONTENT_BYTES {
            return Err(PublishError::TooLong { bytes, limit: MAX_CONTENT_BYTES });
        }
        let mut message = Message::new(publication.content);
        let given_id = publication.id.is_some();
        message.id = publication.id.unwrap_or(message.id);
        message.expires_at = publication.ttl.map(|ttl| message.sent_at.saturating_add(ttl));
        let users = match publication.target {
            Target::All => return self.broadcast(message, publication.store),
            Target::User(user) => vec![user],
            Target::Users(mut users) => {
                users.sort_unstable();
                users.dedup();
                users
            }
            _ => return Err(PublishError::NotSupported("publishing to a topic")),
        };
        if users.is_empty() {
            return Err(PublishError::NoUser);
        }
        self.admit(self.parts.queue.len())?;
        let (kept, passing): (Vec<UserId>, Vec<UserId>) = users
            .into_iter()
            .partition(|user| publication.store != Some(false) && self.store_for(user).is_some());
        let (id, message) = (message.id, Arc::new(message));
        let mut state = State::Queued;
        if let Some(store) = self.parts.store.as_ref().filter(|_| !kept.is_empty()) {
            state = State::Accepted;
            let appended = store.append(&message, &kept, given_id).await?;
            if let Appended::New(seqs) = appended {
                for (user, seq) in kept.iter().zip(seqs) {
                    let job = Job { message: Arc::clone(&message), seq: Some(seq), attempts: 0 };
                    self.parts.queue.push(user, job);
                }
            }
        }
        for user in &passing {
            self.parts.queue.push(user, Job { message: Arc::clone(&message), seq: None, attempts: 0 });
        }
        self.put_to_work();
        Ok(Published { id, state })
    }

    fn admit(&self, waiting: usize) -> Result<(), PublishError> {
        let limit = self.settings.queue_limit;
        if waiting < limit { Ok(()) } else { Err(PublishError::Overloaded { waiting, limit }) }
    }

    fn broadcast(&self, message: Message, store: Option<bool>) -> Result<Published, PublishError> {
        if store == Some(true) {
            return Err(PublishError::NotSupported("a notice with \"store\": true"));
        }
        self.admit(self.reactor().notices_waiting())?;
        let id = message.id;
        self.reactor().broadcast(&Arc::new(Notice::new(message, Arc::clone(&self.encoders))?));
        Ok(Published { id, state: State::Queued })
    }

    fn put_to_work(self: &Arc<Self>) {
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
            let next = self.parts.queue.wake_due(Instant::now());
            self.work.notify_one();
            match next {
                None => self.parked.notified().await,
                Some(next) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(next.into()) => {}
                        () = self.parked.notified() => {}
                    }
                }
            }
        }
    }

    fn wake(self: &Arc<Self>, user: &UserId) {
        self.parts.queue.wake(user);
        self.put_to_work();
    }

    async fn deliver(self: &Arc<Self>, lane: Lane<Job>) {
        let Lane { user, jobs } = lane;
        let sessions = self.parts.pool.sessions_of(&user);
        let mut again = None;
        if let Some(store) = self.store_for(&user) {
            for session in &sessions {
                if let Err(fault) = self.bring_up(&**store, session, &jobs).await {
                    tracing::warn!(%user, %fault, "an inbox cannot be read");
                    again = Some(STORE_RETRY);
                }
            }
        }
        let mut rest = VecDeque::new();
        for mut job in jobs {
            if job.seq.is_some() {
                if sessions.is_empty() {
                    self.failed(&job, &user, FailureReason::Kept);
                }
                continue;
            }
            let mut took = false;
            if !job.message.is_expired(Timestamp::now()) && rest.is_empty() {
                for session in &sessions {
                    took |= session.send(&Delivery::notice(&job.message)) == Sent::Taken;
                }
            }
            if !took {
                job.attempts += 1;
                if job.attempts > self.settings.resend_times {
                    self.counters.given_up.fetch_add(1, Ordering::Relaxed);
                    self.failed(&job, &user, FailureReason::GivenUp);
                } else {
                    self.failed(&job, &user, FailureReason::TriedAgain);
                    rest.push_back(job);
                }
            }
        }
        if !rest.is_empty() {
            again = Some(again.unwrap_or(self.settings.resend_interval));
        }
        self.parts.queue.give_back(&user, rest, again.map(|wait| Instant::now() + wait));
        if again.is_some() {
            self.parked.notify_one();
        }
    }

    fn failed(&self, job: &Job, user: &UserId, reason: FailureReason) {
        if let Some(callback) = &self.parts.failed_callback {
            let (message, attempt) = (job.message.id, job.attempts.max(1));
            callback(&FailedDelivery { message, user: user.clone(), attempt, reason });
        }
    }

    /// Sends a session what its inbox has and it has not: straight from the jobs as long as they are the
    /// next ones, else from the store.
    async fn bring_up(
        &self,
        store: &dyn Store,
        session: &Arc<Session>,
        jobs: &VecDeque<Job>,
    ) -> Result<(), StoreError> {
        if session.is_full() {
            return Ok(());
        }
        let newest = jobs.iter().filter_map(|job| job.seq).max();
        for job in jobs {
            let next = session.tail().next();
            if job.seq == Some(next) && !self.hand_over(session, &job.message, next) {
                return Ok(());
            }
        }
        // Without jobs it was woken because it is new or has room again: then only the store knows.
        while newest.is_none_or(|newest| session.tail() < newest) {
            let entries = store.read(session.user(), session.tail(), PAGE).await?;
            if entries.is_empty() {
                break;
            }
            for entry in entries {
                if !self.hand_over(session, &entry.message, entry.seq) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn hand_over(&self, session: &Arc<Session>, message: &Message, seq: Seq) -> bool {
        if message.is_expired(Timestamp::now()) {
            session.start_at(seq);
            return true;
        }
        let taken = session.send(&Delivery::kept(message, seq)) == Sent::Taken;
        if taken && !session.acknowledges() {
            self.reactor().confirm(session);
        }
        taken
    }

    /// Puts a session among those that are online.
    pub(crate) fn bring_online(self: &Arc<Self>, session: Session) {
        let session = Arc::new(session);
        let earlier = self.parts.pool.insert(Arc::clone(&session));
        if self.settings.replacement == msgserver_pool::Replacement::Replace {
            for other in earlier {
                // A client that was fast may have gone and come again before its first session was here.
                let older = if other.id() < session.id() { &other } else { &session };
                self.dismiss(older, CloseReason::Replaced);
            }
        }
        self.reactor().watch(&session);
        if self.store_for(session.user()).is_some() || !self.parts.queue.is_empty() {
            self.wake(session.user());
        }
    }

    /// The frame that says why a session is closed.
    fn bye(&self, session: &Session, reason: &CloseReason) -> Option<bytes::Bytes> {
        self.encoders[session.encoding()].inbound()?;
        let code = match reason {
            CloseReason::BadFrame(_) => ByeCode::BadFrame,
            CloseReason::HeartbeatMissed => ByeCode::HeartbeatMissed,
            CloseReason::Replaced => ByeCode::Replaced,
            CloseReason::ShuttingDown => ByeCode::ShuttingDown,
            CloseReason::SlowConsumer => ByeCode::SlowConsumer,
            // There is nobody left to tell.
            _ => return None,
        };
        let bye = ServerFrame::Bye { code, detail: reason.to_string(), retry_after_ms: None };
        Some(self.frame(session.encoding(), &bye))
    }

    fn dismiss(&self, session: &Session, reason: CloseReason) {
        match self.bye(session, &reason) {
            Some(bye) => session.close_with(bye, reason),
            None => session.close(reason),
        }
    }

    /// The bytes of a frame on the door of an encoding.
    pub(crate) fn frame(&self, encoding: usize, frame: &ServerFrame) -> bytes::Bytes {
        let encoder = &self.encoders[encoding];
        let mut payload = Vec::new();
        if let Some(format) = encoder.inbound() {
            format
                .write(frame, &mut payload)
                .expect("the frames of a conversation have a form in both formats");
        }
        let mut out = Vec::with_capacity(payload.len() + 4);
        encoder.protocol().frame(&payload, &mut out);
        out.into()
    }

    /// Moves a device's cursor. A client may acknowledge faster than a store can note it, so at most one note
    /// a session is under way, and the next one is about the newest acknowledgement.
    fn acknowledged(self: &Arc<Self>, session: &Arc<Session>, seq: Seq) {
        let Some(store) = self.store_for(session.user()).cloned() else { return };
        if !session.acknowledge(seq) {
            return;
        }
        let session = Arc::clone(session);
        self.runtime.spawn(async move {
            let (mut noted, mut left) = (Seq::ZERO, TRIES_FOR_WHO_LEFT);
            while let Some(upto) = session.to_note(noted) {
                match store.acknowledge(session.user(), session.device(), upto).await {
                    Ok(()) => noted = upto,
                    Err(fault) => {
                        tracing::warn!(user = %session.user(), %fault, "an acknowledgement is not kept yet");
                        left -= u32::from(session.is_over());
                        if left == 0 {
                            break;
                        }
                        tokio::time::sleep(STORE_RETRY).await;
                    }
                }
            }
        });
    }
}

/// What the reactor tells.
struct FromReactor(Arc<Core>);

impl Events for FromReactor {
    fn on_frame(&self, session: &Arc<Session>, frame: ClientFrame) {
        let answer = match frame {
            ClientFrame::Ack { seq } => {
                if seq <= session.tail() {
                    self.0.acknowledged(session, seq);
                    return;
                }
                let detail = format!("{seq} was not sent yet; the last one is {}", session.tail());
                ServerFrame::Error { code: ErrorCode::UnexpectedFrame, detail, reference: None }
            }
            ClientFrame::Ping => ServerFrame::Pong,
            ClientFrame::Hello(_) => {
                let detail = "hello is the first frame and comes once".to_owned();
                ServerFrame::Error { code: ErrorCode::UnexpectedFrame, detail, reference: None }
            }
            ClientFrame::Publish { reference, .. } => ServerFrame::Error {
                code: ErrorCode::NotSupported,
                detail: "publish through the HTTP API".to_owned(),
                reference: Some(reference),
            },
            _ => ServerFrame::Error {
                code: ErrorCode::NotSupported,
                detail: "topics are not supported".to_owned(),
                reference: None,
            },
        };
        session.say(self.0.frame(session.encoding(), &answer));
    }

    fn on_delivered(&self, session: &Arc<Session>, seq: Seq) {
        self.0.acknowledged(session, seq);
    }

    fn on_room(&self, session: &Arc<Session>) {
        self.0.wake(session.user());
    }

    fn last_words(&self, session: &Session, reason: &CloseReason) -> Option<bytes::Bytes> {
        self.0.bye(session, reason)
    }

    fn on_closed(&self, session: &Arc<Session>, reason: &CloseReason) {
        self.0.parts.pool.remove(session);
        self.0.occupancies[session.encoding()].leave();
        if !matches!(reason, CloseReason::ClosedByPeer | CloseReason::ShuttingDown) {
            tracing::info!(session = %session.id(), user = %session.user(), %reason, "session closed");
        }
    }
}
