//! Inboxes in a Redis server.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::streams::StreamRangeReply;
use ::redis::{
    Client, Cmd, FromRedisValue, IntoConnectionInfo, ProtocolVersion, RedisError, RedisResult, Script,
    ScriptInvocation,
};
use async_trait::async_trait;
use msgserver_message::{DeviceId, MessageId, Receipt, Seq, Step, Timestamp, UserId};
use parking_lot::Mutex;

use crate::fingerprint::fingerprint;
use crate::{
    Append, Appended, Cancelled, Cursor, Device, Due, Entry, Inbox, Recipients, Store, StoreError, Swept,
    codec,
};

pub(crate) const NAME: &str = "redis";

/// How long an operation may take before it is given up.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a connection that Redis refuses for other reasons than being away is left alone.
const RENEW_AFTER: Duration = Duration::from_secs(1);

/// Inboxes in a Redis server, version 6.2 or newer: for servers that share them, or a host without a disk
/// worth trusting.
///
/// Every change is one Lua script, so several servers may use one Redis. All keys begin with `msgserver:`
/// and expire 30 days after their user's inbox was last used. Redis Cluster is not supported: an append to
/// several users is atomic, which needs their keys in one place. How much survives a crash of Redis itself
/// is for its `appendfsync` to say.
///
/// While Redis is away, operations fail within 5 s with [`StoreError::Unavailable`]; they work again when it
/// is back.
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
    client: Client,
    connection: Mutex<(ConnectionManager, Instant)>,
    closed: AtomicBool,
    scripts: Scripts,
}

struct Scripts {
    append: Script,
    open: Script,
    leave: Script,
    acknowledge: Script,
    inbox: Script,
    stored: Script,
    take_over: Script,
}

impl Scripts {
    fn new() -> Self {
        let script = |code| Script::new(&format!("{}\n{code}", include_str!("redis/prelude.lua")));
        Self {
            append: script(include_str!("redis/append.lua")),
            open: script(include_str!("redis/open.lua")),
            leave: script(include_str!("redis/leave.lua")),
            acknowledge: script(include_str!("redis/acknowledge.lua")),
            inbox: script(include_str!("redis/inbox.lua")),
            stored: script(include_str!("redis/stored.lua")),
            take_over: script(include_str!("redis/take_over.lua")),
        }
    }
}

/// Something to ask Redis.
#[derive(Clone, Copy)]
pub(crate) enum Ask<'a> {
    /// Something that may be done twice.
    Again(&'a ScriptInvocation<'a>),
    /// Something that may be done once.
    Once(&'a ScriptInvocation<'a>),
    /// A command that may be sent twice.
    Command(&'a Cmd),
}

impl Ask<'_> {
    async fn send<T: FromRedisValue>(self, mut connection: ConnectionManager) -> RedisResult<T> {
        match self {
            Self::Again(script) | Self::Once(script) => script.invoke_async(&mut connection).await,
            Self::Command(command) => command.query_async(&mut connection).await,
        }
    }

    /// Whether to try once more on a new connection.
    fn may_repeat(self, fault: &RedisError) -> bool {
        // A connection that was refused has carried nothing.
        fault.is_connection_refusal()
            || fault.is_connection_dropped() && matches!(self, Self::Again(_) | Self::Command(_))
    }
}

pub(crate) fn unavailable(detail: impl fmt::Display) -> StoreError {
    StoreError::Unavailable { store: NAME, detail: detail.to_string() }
}

fn unsupported(what: &'static str) -> StoreError {
    StoreError::Unsupported { store: NAME, what }
}

fn corrupt(user: &UserId, detail: impl fmt::Display) -> StoreError {
    StoreError::Corrupt { store: NAME, detail: format!("of user {user}: {detail}") }
}

/// Where it stands what each device of a user was sent when it left.
fn sent_key(user: &UserId) -> String {
    format!("msgserver:{{{user}}}:sent")
}

fn lazy(client: &Client) -> RedisResult<ConnectionManager> {
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(Duration::from_millis(1500)))
        .set_response_timeout(Some(Duration::from_secs(4)))
        .set_number_of_retries(1);
    ConnectionManager::new_lazy_with_config(client.clone(), config)
}

impl RedisStore {
    /// The inboxes in the Redis server at a URL such as `redis://:password@host:6379/0` or
    /// `redis+unix:///run/redis.sock`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the URL is not one or Redis does not answer.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        let info = url.into_connection_info().map_err(unavailable)?;
        // With the third version of the protocol a lost connection is noticed when it is lost, and not only
        // by the next operation, which would have to fail.
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let client = Client::open(info.set_redis_settings(settings)).map_err(unavailable)?;
        let connection = Mutex::new((lazy(&client).map_err(unavailable)?, Instant::now()));
        let store = Self { client, connection, closed: AtomicBool::new(false), scripts: Scripts::new() };
        store.ready().await?;
        Ok(store)
    }

    pub(crate) async fn ask<T: FromRedisValue>(&self, ask: Ask<'_>) -> Result<T, StoreError> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(StoreError::Closed { store: NAME });
        }
        let answer = async {
            match ask.send(self.connection()).await {
                Err(fault) if ask.may_repeat(&fault) => ask.send(self.connection()).await,
                answer => answer,
            }
        };
        let answer = tokio::time::timeout(PATIENCE, answer)
            .await
            .map_err(|_| unavailable(format_args!("no answer within {} s", PATIENCE.as_secs())))?;
        answer.map_err(|fault| {
            self.renew(&fault);
            unavailable(fault)
        })
    }

    fn connection(&self) -> ConnectionManager {
        self.connection.lock().0.clone()
    }

    /// The manager connects again after an I/O error only: after any other, such as too many clients or a
    /// password that was changed, it would repeat that error for ever.
    fn renew(&self, fault: &RedisError) {
        let mut connection = self.connection.lock();
        if !fault.is_io_error() && connection.1.elapsed() > RENEW_AFTER {
            match lazy(&self.client) {
                Ok(new) => *connection = (new, Instant::now()),
                Err(fault) => tracing::error!(%fault, "no new connection to Redis"),
            }
        }
    }

    fn script<'a>(script: &'a Script, users: &[&UserId]) -> ScriptInvocation<'a> {
        let mut invocation = script.prepare_invoke();
        invocation.key("msgserver:stored").key("msgserver:kept").key("msgserver:used");
        for user in users {
            Self::user_keys(&mut invocation, user);
        }
        invocation
    }

    fn user_keys(invocation: &mut ScriptInvocation<'_>, user: &UserId) {
        for what in ["log", "last", "devices"] {
            invocation.key(format!("msgserver:{{{user}}}:{what}"));
        }
    }

    async fn append_one(&self, append: &Append) -> Result<Appended, StoreError> {
        let message = &append.message;
        if append.deliver_at.is_some_and(|at| at > Timestamp::now()) {
            return Err(unsupported("delivering at a given time"));
        }
        if message.collapse_key.is_some() {
            return Err(unsupported("a collapse key"));
        }
        let users: &[UserId] = match &append.recipients {
            Recipients::Users(users) => users,
            Recipients::Nobody => &[],
            Recipients::Known => return Err(unsupported("a notice that is kept")),
        };
        let print = match append.check_id {
            true => format!("{:032x}", fingerprint(message, &append.recipients)),
            false => String::new(),
        };
        let mut script = Self::script(&self.scripts.append, &[]);
        script.key(format!("msgserver:id:{}", message.id));
        script.arg(print).arg(codec::encode(message).map_err(unavailable)?);
        for user in users {
            Self::user_keys(&mut script, user);
            script.arg(user.as_str());
        }
        let seqs: Vec<i64> = self.ask(Ask::Once(&script)).await?;
        match seqs[..] {
            [-1] => Ok(Appended::Duplicate),
            [-2] => Err(StoreError::Conflict(message.id)),
            _ => {
                let seqs = seqs.into_iter().map(|seq| Seq::new(seq.unsigned_abs()));
                Ok(Appended::New(users.iter().cloned().zip(seqs).collect()))
            }
        }
    }

    /// Moves messages from an old set to a user's inbox; how many were still there.
    pub(crate) async fn take<'a>(
        &self,
        user: &UserId,
        set: &[u8],
        messages: impl Iterator<Item = (&'a [u8], &'a [u8], bool)>,
    ) -> Result<u64, StoreError> {
        let mut script = Self::script(&self.scripts.take_over, &[user]);
        script.key(set).arg(user.as_str());
        for (old_id, message, last_use) in messages {
            script.key(old_id).arg(old_id).arg(message).arg(u8::from(last_use));
        }
        self.ask(Ask::Once(&script)).await
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the URL: there may be a password in it.
        f.debug_struct("RedisStore").field("closed", &self.closed).finish_non_exhaustive()
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

    async fn append(&self, batch: Vec<Append>) -> Vec<Result<Appended, StoreError>> {
        let mut outcomes = Vec::with_capacity(batch.len());
        // One after the other: what is for one user has to keep its order.
        for append in &batch {
            outcomes.push(self.append_one(append).await);
        }
        outcomes
    }

    async fn open(&self, user: &UserId, device: &DeviceId) -> Result<Cursor, StoreError> {
        let mut script = Self::script(&self.scripts.open, &[user]);
        script.key(sent_key(user)).arg(user.as_str()).arg(device.as_str());
        let (acknowledged, sent, last, known): (u64, u64, u64, bool) = self.ask(Ask::Once(&script)).await?;
        Ok(Cursor {
            acknowledged: Seq::new(acknowledged),
            sent: Seq::new(sent.max(acknowledged)),
            last: Seq::new(last),
            known,
        })
    }

    async fn leave(&self, user: &UserId, device: &DeviceId, sent: Seq) -> Result<(), StoreError> {
        let mut script = Self::script(&self.scripts.leave, &[user]);
        script.key(sent_key(user)).arg(user.as_str()).arg(device.as_str()).arg(sent.get());
        self.ask::<u64>(Ask::Again(&script)).await.map(drop)
    }

    async fn read(&self, user: &UserId, after: Seq, limit: usize) -> Result<Vec<Entry>, StoreError> {
        if limit == 0 || after.get() == u64::MAX {
            return Ok(Vec::new());
        }
        let mut command = ::redis::cmd("XRANGE");
        command.arg(format!("msgserver:{{{user}}}:log")).arg(after.next().get()).arg("+");
        command.arg("COUNT").arg(limit);
        let found: StreamRangeReply = self.ask(Ask::Command(&command)).await?;
        let entry = |id: &::redis::streams::StreamId| {
            let seq = id.id.split('-').next().and_then(|seq| seq.parse().ok());
            let seq = Seq::new(seq.ok_or("its number is none")?);
            let bytes: Vec<u8> = id.get("m").ok_or("it has no field m")?;
            Ok(Entry { seq, message: Arc::new(codec::decode(&bytes)?) })
        };
        let corrupt = |id: &str, e: String| StoreError::Corrupt {
            store: NAME,
            detail: format!("message {id} of {user}: {e}"),
        };
        found.ids.iter().map(|id| entry(id).map_err(|e: String| corrupt(&id.id, e))).collect()
    }

    async fn acknowledge(&self, user: &UserId, device: &DeviceId, upto: Seq) -> Result<(), StoreError> {
        let mut script = Self::script(&self.scripts.acknowledge, &[user]);
        script.arg(user.as_str()).arg(device.as_str()).arg(upto.get());
        self.ask::<u64>(Ask::Again(&script)).await.map(drop)
    }

    async fn cancel(&self, _: MessageId) -> Result<Cancelled, StoreError> {
        Err(unsupported("taking messages back"))
    }

    async fn release_due(&self, _: Timestamp, _: usize) -> Result<Due, StoreError> {
        Ok(Due::default())
    }

    async fn record(&self, _: Vec<(MessageId, Vec<Step>)>) -> Result<(), StoreError> {
        Ok(())
    }

    async fn receipt(&self, _: MessageId) -> Result<Option<Receipt>, StoreError> {
        Err(unsupported("telling what became of a message"))
    }

    async fn inbox(&self, user: &UserId) -> Result<Inbox, StoreError> {
        let script = Self::script(&self.scripts.inbox, &[user]);
        let (waiting, last) = self.ask(Ask::Again(&script)).await?;
        Ok(Inbox { waiting, bytes: None, last: Seq::new(last) })
    }

    async fn devices(&self, user: &UserId) -> Result<Vec<Device>, StoreError> {
        let hash = |key: String| {
            let mut command = ::redis::cmd("HGETALL");
            command.arg(key);
            command
        };
        let devices: BTreeMap<String, u64> =
            self.ask(Ask::Command(&hash(format!("msgserver:{{{user}}}:devices")))).await?;
        let sent: BTreeMap<String, String> = self.ask(Ask::Command(&hash(sent_key(user)))).await?;
        let device = |(name, acknowledged): (String, u64)| {
            let connected = sent.get(&name).is_some_and(|sent| sent == "connected");
            let device = DeviceId::new(name).map_err(|e| corrupt(user, e))?;
            Ok(Device { device, acknowledged: Seq::new(acknowledged), last_seen: None, connected })
        };
        devices.into_iter().map(device).collect()
    }

    async fn sweep(&self, _: Timestamp) -> Result<Swept, StoreError> {
        // Redis forgets what is old by itself.
        Ok(Swept::default())
    }

    async fn stored(&self) -> Result<u64, StoreError> {
        self.ask(Ask::Again(&Self::script(&self.scripts.stored, &[]))).await
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.ask::<String>(Ask::Command(&::redis::cmd("PING"))).await.map(drop)
    }

    async fn close(&self) -> Result<(), StoreError> {
        // Nothing waits here: Redis has answered for everything that was promised.
        self.closed.store(true, Ordering::Relaxed);
        Ok(())
    }
}
