//! Inboxes in a Redis server.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use msgserver_message::{
    DeviceId, MessageId, Receipt, Seq, Stage, Step, Timestamp, Topic, TopicFilter, UserId,
};

use self::append::UnderWay;
use self::inboxes::Inboxes;
use self::link::Link;
pub(crate) use self::link::{Ask, unavailable};
use self::messages::Messages;
use self::topics::Topics;
use crate::listening::Listening;
use crate::{
    Acknowledge, Append, Appended, Cancelled, Cursor, Device, Due, Entry, Inbox, Limits, StepListener,
    StepMade, Store, StoreError, Swept, TopicLog,
};

mod append;
mod inboxes;
mod index;
mod keys;
mod link;
mod messages;
mod schedule;
mod server;
mod sessions;
mod sweep;
mod topics;

pub(crate) const NAME: &str = "redis";

/// How many users' scripts travel to Redis together.
const TOGETHER: usize = 256;

/// The largest whole number that Lua counts to.
const MAX_NUMBER: u64 = 1 << 53;

/// In seconds.
const DAY: u64 = 24 * 60 * 60;

/// The longest that anything is kept, in seconds: a hundred years.
const LONGEST: u64 = 100 * 365 * DAY;

/// Inboxes in a Redis server, version 6.2 or newer: for servers that share them, or a host without a disk worth
/// trusting.
///
/// Every change of an inbox is one Lua script. All keys of a user lie in one hash slot, and so does each shard of
/// what is not a user's, so no script needs two nodes of a Redis Cluster. A message for several users is therefore
/// not placed in one step: once it is answered for, it is in all of its inboxes; one that was not answered for may
/// be in some. Publishing it again under the same id completes it, and puts it into none twice.
///
/// **How safe it is** is for Redis to say. With `appendonly yes` and `appendfsync always` an answer means that the
/// disk has it; with `everysec` a crash of the host loses up to two seconds of answered messages, and without
/// an append-only file all since the last snapshot. A replica that takes over may lack the last ones. Redis must
/// not evict keys: `maxmemory-policy noeviction`.
///
/// Every key expires: those of a user some days after [`Limits::age`] and [`Limits::device_ttl`] have passed without
/// any use, all at one moment. So the numbers of a user begin anew only when no device is known that could
/// mistake them for old ones.
///
/// **Several servers** may use one Redis. Each holds a lease; one that dies loses it within 10 seconds, and its
/// devices then count as gone, with everything sent.
///
/// While Redis is away, operations fail within some seconds with [`StoreError::Unavailable`]; they work again when
/// it is back.
///
/// ```no_run
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// use msgserver_persistence::RedisStore;
///
/// let store = RedisStore::connect("redis://127.0.0.1/0").await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RedisStore {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    link: Arc<Link>,
    inboxes: Inboxes,
    messages: Messages,
    topics: Arc<Topics>,
    under_way: UnderWay,
    listening: Listening,
    closed: AtomicBool,
}

fn millis(at: Timestamp) -> u64 {
    at.as_millis()
}

/// What all of these give, in their order. Not too many at once run together.
async fn together<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    stream::iter(futures).buffered(TOGETHER).collect().await
}

/// A number that Lua can count to.
fn number(seq: Seq) -> u64 {
    seq.get().min(MAX_NUMBER)
}

impl RedisStore {
    /// The inboxes in the Redis server at a URL such as `redis://:password@host:6379/0` or
    /// `redis+unix:///run/redis.sock`, or in the cluster that it is a node of, with the limits of
    /// [`Limits::default`].
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the URL is not one or Redis does not answer.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::connect_with_limits(url, Limits::default()).await
    }

    /// The inboxes in a Redis server.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the URL is not one or Redis does not answer.
    pub async fn connect_with_limits(url: &str, limits: Limits) -> Result<Self, StoreError> {
        let keep = limits.age.max(limits.device_ttl).as_secs().saturating_add(DAY).min(LONGEST);
        let link = Arc::new(Link::new(url).await?);
        let topics = Arc::new(Topics::new(Arc::clone(&link), limits, keep));
        let shared = Arc::new(Shared {
            inboxes: Inboxes::new(Arc::clone(&link), Arc::clone(&topics), limits, keep),
            topics,
            messages: Messages::new(Arc::clone(&link), limits),
            under_way: UnderWay::default(),
            listening: Listening::default(),
            closed: AtomicBool::new(false),
            link,
        });
        shared.inboxes.renew().await?;
        let weak = Arc::downgrade(&shared);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(server::RENEWAL).await;
                let Some(shared) = weak.upgrade().filter(|shared| shared.is_open().is_ok()) else { return };
                shared.keep_up().await;
            }
        });
        Ok(Self { shared })
    }

    fn open(&self) -> Result<&Shared, StoreError> {
        self.shared.is_open()?;
        Ok(&self.shared)
    }
}

impl Shared {
    pub(crate) fn is_open(&self) -> Result<(), StoreError> {
        if self.closed.load(Ordering::Relaxed) { Err(StoreError::Closed { store: NAME }) } else { Ok(()) }
    }

    pub(crate) async fn ask<T: ::redis::FromRedisValue>(&self, ask: Ask<'_>) -> Result<T, StoreError> {
        self.is_open()?;
        self.link.ask(ask).await
    }

    /// Notes steps that are made here and not by a session.
    async fn make_steps(&self, steps: Vec<(MessageId, Vec<Step>)>) -> Result<(), StoreError> {
        if self.listening.is_heard() {
            let each = steps.iter().flat_map(|(id, steps)| steps.iter().map(|step| (*id, step.clone())));
            let made = each.map(|(id, step)| StepMade { id, step, recipients: None, topic: None });
            // First of all: whatever becomes of the note, the message is gone.
            self.listening.tell(made.collect());
        }
        self.messages.record(steps).await
    }

    /// Tells of steps that the rows of messages say.
    fn tell<'a>(&self, state: Stage, appends: impl Iterator<Item = &'a Append>, now: Timestamp) {
        if self.listening.is_heard() {
            let made = appends.map(|append| StepMade {
                id: append.message.id,
                step: Step::new(state, now),
                recipients: Some(append.recipients.clone()),
                topic: append.message.topic.clone(),
            });
            self.listening.tell(made.collect());
        }
    }

    pub(crate) fn is_cluster(&self) -> bool {
        self.link.is_cluster()
    }

    /// What has to be done every now and then while this server lives.
    async fn keep_up(&self) {
        let done = async {
            self.inboxes.renew().await?;
            self.inboxes.catch_up().await
        };
        if let Err(fault) = done.await {
            tracing::warn!(%fault, "the lease of this server could not be extended");
        }
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the URL: there may be a password in it.
        f.debug_struct("RedisStore").field("closed", &self.shared.closed).finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for RedisStore {
    fn name(&self) -> &'static str {
        NAME
    }

    fn is_durable(&self) -> bool {
        true
    }

    fn listen(&self, listener: StepListener) {
        self.shared.listening.begin(listener);
    }

    async fn append(&self, batch: Vec<Append>) -> Vec<Result<Appended, StoreError>> {
        match self.open() {
            Ok(shared) => shared.append(&batch).await,
            Err(fault) => vec![Err(fault); batch.len()],
        }
    }

    async fn open(&self, user: &UserId, device: &DeviceId) -> Result<Cursor, StoreError> {
        self.open()?.inboxes.open(user, device).await
    }

    async fn leave(&self, user: &UserId, device: &DeviceId, sent: Seq) -> Result<(), StoreError> {
        self.open()?.inboxes.leave(user, device, sent).await
    }

    async fn forget(&self, user: &UserId, device: &DeviceId) -> Result<(), StoreError> {
        self.open()?.forget(user, device).await
    }

    async fn read(&self, user: &UserId, after: Seq, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.open()?.inboxes.read(user, after, limit).await
    }

    async fn acknowledge_all(&self, batch: Vec<Acknowledge>) -> Vec<Result<(), StoreError>> {
        let open = match self.open() {
            Ok(open) => open,
            Err(fault) => return vec![Err(fault); batch.len()],
        };
        let one = |Acknowledge { user, device, upto }| async move {
            open.inboxes.acknowledge(&user, &device, upto).await
        };
        together(batch.into_iter().map(one).collect()).await
    }

    async fn follow(&self, user: &UserId, device: &DeviceId, topics: &TopicFilter) -> Result<(), StoreError> {
        self.open()?.inboxes.follow(user, device, topics).await
    }

    async fn unfollow(
        &self,
        user: &UserId,
        device: &DeviceId,
        topics: &TopicFilter,
    ) -> Result<(), StoreError> {
        self.open()?.inboxes.unfollow(user, device, topics).await
    }

    async fn topic(&self, topic: &Topic) -> Result<TopicLog, StoreError> {
        self.open()?.topics.topic(topic).await
    }

    async fn published(&self, topic: &Topic, after: Seq, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.open()?.topics.published(topic, after, limit).await
    }

    async fn history(&self, topics: &TopicFilter, of_each: usize) -> Result<Vec<Entry>, StoreError> {
        self.open()?.topics.history(topics, of_each).await
    }

    async fn cancel(&self, id: MessageId) -> Result<Cancelled, StoreError> {
        self.open()?.cancel(id).await
    }

    async fn release_due(&self, now: Timestamp, limit: usize) -> Result<Due, StoreError> {
        self.open()?.release_due(now, limit).await
    }

    async fn record(&self, steps: Vec<(MessageId, Vec<Step>)>) -> Result<(), StoreError> {
        self.open()?.messages.record(steps).await
    }

    async fn receipt(&self, id: MessageId) -> Result<Option<Receipt>, StoreError> {
        self.open()?.messages.receipt(id).await
    }

    async fn inbox(&self, user: &UserId) -> Result<Inbox, StoreError> {
        self.open()?.inboxes.inbox(user).await
    }

    async fn devices(&self, user: &UserId) -> Result<Vec<Device>, StoreError> {
        self.open()?.inboxes.devices(user).await
    }

    async fn sweep(&self, now: Timestamp) -> Result<Swept, StoreError> {
        self.open()?.sweep(now).await
    }

    async fn stored(&self) -> Result<u64, StoreError> {
        self.open()?.inboxes.index.stored().await
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.open()?.ask::<String>(Ask::Command(&::redis::cmd("PING"))).await.map(drop)
    }

    async fn close(&self) -> Result<(), StoreError> {
        if self.shared.closed.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        // Redis has answered for everything that was promised. If it is away, what is told here comes to light
        // by itself: the lease runs out, and a look at an inbox counts it.
        let done = async {
            self.shared.inboxes.catch_up().await?;
            self.shared.inboxes.server.end().await
        };
        if let Ok(Err(fault)) | Err(fault) = tokio::time::timeout(CLOSING, done).await.map_err(unavailable) {
            tracing::warn!(%fault, "Redis was not told that this server ends");
        }
        Ok(())
    }
}

/// How long the end waits for a Redis that does not answer.
const CLOSING: Duration = Duration::from_secs(5);
