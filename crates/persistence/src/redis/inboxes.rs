//! The scripts of one user's inbox.

use std::sync::Arc;
use std::time::Duration;

use ::redis::Script;
use futures_util::future::try_join_all;
use msgserver_message::{DeviceId, Message, MessageId, Seq, Stage, Step, Timestamp, TopicFilter, UserId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::index::{Count, Index};
use super::keys;
use super::link::{Ask, Link, Refusal, in_time, unavailable};
use super::server::Server;
use super::sessions::Sessions;
use super::topics::Topics;
use super::{DAY, MAX_NUMBER, NAME, TOGETHER, millis, number};
use crate::store::reason;
use crate::{Cursor, Device, Entry, Inbox, InboxLimit, Limits, StoreError, codec};

/// Bytes of a page of entries, from which on no further entry is added.
pub(super) const PAGE_BYTES: usize = 1024 * 1024;

/// What a script is asked. Each takes what it needs.
#[derive(Debug, Clone, Default, Serialize)]
struct Question<'a> {
    now: u64,
    keep: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<&'a DeviceId>,
    server: String,
    alive: Vec<String>,
    dead: Vec<String>,
    messages: &'a [Placing],
    messages_limit: u64,
    bytes_limit: usize,
    look: bool,
    again: bool,
    gone: bool,
    always: bool,
    sent: u64,
    upto: u64,
    age: u64,
    device_ttl: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    mark: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<&'a TopicFilter>,
    topics_limit: usize,
}

/// A message to place.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Placing {
    mark: String,
    /// 0 for the least urgent.
    priority: u8,
    /// Of the content.
    bytes: u64,
    /// The collapse key, or nothing.
    key: String,
    /// When its own time is over; zero for never.
    ends: u64,
    /// Until when it is known that it was here.
    remember: u64,
    /// Whether to refuse it rather than let others go.
    pub(super) refuse: bool,
    /// Whether it is only for a user with a device.
    pub(super) known: bool,
    /// Whether there is room for it in any case.
    pub(super) beyond_limits: bool,
    /// If any, it is only for a user who follows one of these.
    pub(super) follow: Vec<TopicFilter>,
    #[serde(skip)]
    head: Vec<u8>,
    #[serde(skip)]
    body: Arc<[u8]>,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Placed {
    /// It has this number.
    New(u64),
    /// It had this number already.
    Old(u64),
    /// It was there before.
    Gone,
    /// The user has no device.
    Unknown,
    /// The user does not follow the topic any more.
    Unfollowed,
    /// There is no room: 0 for too many messages, 1 for too many bytes.
    Full(u8),
}

/// What a script answers beside what was asked: how many messages there are now, in which version of the inbox,
/// when there is something to clear up, and whether the index has to know that at once; why which messages went; and
/// what the user follows, if that has to be said beside the topics again.
#[derive(Debug, Deserialize)]
struct Answer<T> {
    count: (u64, u64, u64, bool),
    steps: Vec<(String, Why)>,
    follows: Vec<TopicFilter>,
    #[serde(flatten)]
    what: T,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Why {
    Collapsed,
    Full,
    Ended,
    Age,
}

impl Why {
    fn step(self, user: &UserId, at: Timestamp) -> Step {
        let (stage, reason) = match self {
            Self::Collapsed => (Stage::Cancelled, Some(reason::COLLAPSED)),
            Self::Full => (Stage::Expired, Some(reason::FULL)),
            Self::Ended => (Stage::Expired, None),
            Self::Age => (Stage::Expired, Some(reason::OLD)),
        };
        Step { reason: reason.map(Into::into), ..Step::of(user, stage, at) }
    }
}

#[derive(Deserialize)]
struct Nothing {}

/// What a sweep of one inbox did.
#[derive(Debug, Deserialize)]
pub(super) struct Cleared {
    /// Whether there is nothing of the user.
    #[serde(default)]
    pub(super) gone: bool,
    pub(super) expired: u64,
    pub(super) forgotten: u64,
    pub(super) more: bool,
}

/// Steps of messages.
pub(super) type Steps = Vec<(MessageId, Vec<Step>)>;

/// The inboxes of users, each of which one script changes at a time.
pub(super) struct Inboxes {
    link: Arc<Link>,
    limits: Limits,
    /// How long the keys of a user are kept at least after they were last used, in seconds.
    pub(super) keep: u64,
    pub(super) index: Index,
    pub(super) server: Server,
    topics: Arc<Topics>,
    sessions: Sessions,
    renewing: tokio::sync::Mutex<()>,
    scripts: Scripts,
}

struct Scripts {
    place: Script,
    open: Script,
    leave: Script,
    acknowledge: Script,
    read: Script,
    inbox: Script,
    devices: Script,
    cancel: Script,
    sweep: Script,
    indexed: Script,
    follow: Script,
    unfollow: Script,
}

impl Scripts {
    fn new() -> Self {
        let user = |code: &str| Script::new(&format!("{}\n{code}", include_str!("user.lua")));
        let connected = |code| user(&format!("{}\n{code}", include_str!("connected.lua")));
        Self {
            place: connected(include_str!("place.lua")),
            open: connected(include_str!("open.lua")),
            leave: user(include_str!("leave.lua")),
            acknowledge: user(include_str!("acknowledge.lua")),
            read: user(include_str!("read.lua")),
            inbox: user(include_str!("inbox.lua")),
            devices: connected(include_str!("devices.lua")),
            cancel: connected(include_str!("cancel.lua")),
            sweep: connected(include_str!("sweep.lua")),
            indexed: Script::new(include_str!("indexed.lua")),
            follow: user(include_str!("follow.lua")),
            unfollow: user(include_str!("unfollow.lua")),
        }
    }
}

impl Placing {
    /// A message that comes now. The nonce tells it from others with its id.
    pub(super) fn new(message: &Message, nonce: &str, now: Timestamp) -> Result<Self, StoreError> {
        let key = message.collapse_key.as_ref().map_or("", |key| key.as_str());
        let bytes = u32::try_from(message.bytes()).unwrap_or(u32::MAX);
        // No message ends at the first moment of 1970 and is worth keeping.
        let ends = message.expires_at.map_or(0, |end| millis(end).max(1));
        let mut head = Vec::new();
        head.extend_from_slice(&millis(now).to_be_bytes());
        head.extend_from_slice(&ends.to_be_bytes());
        head.extend_from_slice(&bytes.to_be_bytes());
        head.extend_from_slice(&u16::try_from(key.len()).expect("a name is short").to_be_bytes());
        head.extend_from_slice(key.as_bytes());
        Ok(Self {
            mark: mark(message.id, nonce),
            priority: message.priority as u8,
            bytes: bytes.into(),
            key: key.to_owned(),
            ends,
            remember: 0,
            refuse: false,
            known: false,
            beyond_limits: false,
            follow: Vec::new(),
            head,
            body: codec::encode(message).map_err(unavailable)?.into(),
        })
    }

    pub(super) fn mark(&self) -> &str {
        &self.mark
    }

    /// Of the content.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// When it came and when its time is over, as bytes.
    pub(super) fn times(&self) -> &[u8] {
        &self.head[..16]
    }

    /// What it is.
    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Until when it is known that it was here.
    pub(super) fn remember(&self) -> u64 {
        self.remember
    }

    /// Lets it be known until then that the message was here, so that it does not come twice.
    pub(super) fn remembered_until(self, until: u64) -> Self {
        Self { remember: until, ..self }
    }
}

/// What a message is called in inboxes.
pub(super) fn mark(id: MessageId, nonce: &str) -> String {
    format!("{id}{nonce}")
}

/// The id of a mark.
fn id(mark: &str) -> Option<MessageId> {
    mark.get(..26)?.parse().ok()
}

impl Inboxes {
    pub(super) fn new(link: Arc<Link>, topics: Arc<Topics>, limits: Limits, keep: u64) -> Self {
        Self {
            limits,
            keep,
            index: Index::new(Arc::clone(&link), keep.saturating_add(2 * DAY)),
            server: Server::new(Arc::clone(&link)),
            topics,
            sessions: Sessions::new(),
            renewing: tokio::sync::Mutex::default(),
            scripts: Scripts::new(),
            link,
        }
    }

    fn question(&self) -> Question<'static> {
        Question {
            now: millis(Timestamp::now()),
            keep: self.keep,
            age: in_millis(self.limits.age),
            device_ttl: in_millis(self.limits.device_ttl),
            messages_limit: self.limits.messages,
            bytes_limit: self.limits.bytes,
            topics_limit: self.limits.topics,
            ..Question::default()
        }
    }

    /// The name of this server, under a lease that holds.
    async fn name(&self) -> Result<String, StoreError> {
        match self.server.name() {
            Some(name) => Ok(name),
            None => {
                in_time(self.renew()).await??;
                self.server.name().ok_or_else(|| unavailable("the lease of this server has run out again"))
            }
        }
    }

    /// Extends the lease of this server. If others may have taken it for dead, its sessions begin again
    /// before anything else is done.
    pub(super) async fn renew(&self) -> Result<(), StoreError> {
        let _one = self.renewing.lock().await;
        let Some(name) = self.server.renew().await? else { return Ok(()) };
        let live = self.sessions.live();
        if !live.is_empty() {
            tracing::warn!(
                sessions = live.len(),
                "the lease of this server had run out; its sessions begin again"
            );
        }
        for some in live.chunks(TOGETHER) {
            self.server.set_lease(&name, None).await?;
            try_join_all(some.iter().map(|(user, device)| self.open_again(&name, user, device))).await?;
        }
        self.server.begin(name).await
    }

    async fn open_again(&self, name: &str, user: &UserId, device: &DeviceId) -> Result<(), StoreError> {
        let server = name.to_owned();
        let question = Question { device: Some(device), again: true, server, ..self.question() };
        self.call::<Opened>(&self.scripts.open, user, &question, &[], Repeat::Yes).await.map(drop)
    }

    /// Tells Redis what it could not be told before.
    pub(super) async fn catch_up(&self) -> Result<(), StoreError> {
        for ((user, device), sent) in self.sessions.to_tell() {
            let _turn = self.sessions.turn(&user).await;
            if !self.sessions.is_live(&user, &device) {
                self.tell_left(&user, &device, sent, true).await?;
            }
            self.sessions.told(&user, &device);
        }
        self.index.write_noted().await
    }

    /// Runs a script of an inbox, and keeps the index true.
    async fn call<T: DeserializeOwned>(
        &self,
        script: &Script,
        user: &UserId,
        question: &Question<'_>,
        placings: &[Placing],
        repeat: Repeat,
    ) -> Result<(T, Steps), StoreError> {
        let at = Timestamp::from_millis(question.now);
        let answer: Answer<T> = self.run(script, user, question, placings, repeat).await?;
        let (messages, version, due, is_urgent) = answer.count;
        // Of a user of whom nothing is kept there is nothing to count.
        if version > 0 {
            let count = Count { messages, version, due };
            if is_urgent {
                self.index.write(&[(user.clone(), count)]).await?;
                let mut mark = self.scripts.indexed.prepare_invoke();
                mark.key(&keys::of_user(user)[0]);
                mark.arg(due);
                self.link.ask::<u64>(Ask::Again(&mark)).await?;
            } else {
                self.index.note(user, count).await;
            }
        }
        self.topics.follow(user, &answer.follows).await?;
        let step = |(mark, why): (String, Why)| Some((id(&mark)?, vec![why.step(user, at)]));
        Ok((answer.what, answer.steps.into_iter().filter_map(step).collect()))
    }

    async fn run<T: DeserializeOwned>(
        &self,
        script: &Script,
        user: &UserId,
        question: &Question<'_>,
        placings: &[Placing],
        repeat: Repeat,
    ) -> Result<Answer<T>, StoreError> {
        // Each doubt is settled by one look. A server that dies between may raise another.
        for _ in 0..4 {
            let (mut alive, dead) = self.server.others();
            alive.push(question.server.clone());
            let question = Question { alive, dead, ..question.clone() };
            let mut invocation = script.prepare_invoke();
            invocation.key(&keys::of_user(user)[..]);
            invocation.arg(rmp_serde::to_vec_named(&question).map_err(unavailable)?);
            for placing in placings {
                invocation.arg(&placing.head).arg(&placing.body[..]);
            }
            let ask = if repeat == Repeat::Yes { Ask::Again(&invocation) } else { Ask::Once(&invocation) };
            match self.link.try_ask::<Vec<u8>>(ask).await {
                Ok(answer) => return rmp_serde::from_slice(&answer).map_err(|e| corrupt(user, e)),
                Err(Refusal::Doubt(servers)) => self.server.look_at(servers).await?,
                Err(refusal) => return Err(refusal.into()),
            }
        }
        Err(unavailable(format_args!("the servers where user {user:?} is connected come and go")))
    }

    /// Puts messages into an inbox, in their order.
    pub(super) async fn place(
        &self,
        user: &UserId,
        messages: &[Placing],
        look: bool,
    ) -> Result<(Vec<Placed>, Steps), StoreError> {
        #[derive(Deserialize)]
        struct Results {
            results: Vec<Placed>,
        }
        let server = self.name().await?;
        let question = Question { messages, look, server, ..self.question() };
        let (Results { results }, steps) =
            self.call(&self.scripts.place, user, &question, messages, Repeat::Yes).await?;
        if results.len() != messages.len() {
            return Err(corrupt(
                user,
                format_args!("{} answers to {} messages", results.len(), messages.len()),
            ));
        }
        Ok((results, steps))
    }

    /// The limit behind [`Placed::Full`].
    pub(super) fn limit(&self, which: u8) -> InboxLimit {
        match which {
            0 => InboxLimit::Messages(self.limits.messages),
            _ => InboxLimit::Bytes(self.limits.bytes),
        }
    }

    pub(super) async fn open(&self, user: &UserId, device: &DeviceId) -> Result<Cursor, StoreError> {
        let server = self.name().await?;
        let _turn = in_time(self.sessions.turn(user)).await?;
        let question = Question { device: Some(device), server: server.clone(), ..self.question() };
        // Before Redis knows of it: if this server loses its lease meanwhile, the session begins again.
        self.sessions.begin(user, device);
        match self.call::<Opened>(&self.scripts.open, user, &question, &[], Repeat::No).await {
            Ok((opened, _)) => {
                if let Some(name) = self.server.name().filter(|name| *name != server) {
                    self.open_again(&name, user, device).await?;
                }
                Ok(opened.cursor())
            }
            Err(fault) => {
                // Redis may count it nevertheless.
                if self.sessions.end(user, device) {
                    self.sessions.tell_later(user, device, Seq::ZERO);
                }
                Err(fault)
            }
        }
    }

    pub(super) async fn leave(&self, user: &UserId, device: &DeviceId, sent: Seq) -> Result<(), StoreError> {
        let turn = in_time(self.sessions.turn(user)).await;
        let gone = self.sessions.end(user, device);
        let told = match &turn {
            Ok(_turn) => self.tell_left(user, device, sent, gone).await,
            Err(late) => Err(late.clone()),
        };
        told.inspect_err(|_| {
            if gone {
                self.sessions.tell_later(user, device, sent);
            }
        })
    }

    async fn tell_left(
        &self,
        user: &UserId,
        device: &DeviceId,
        sent: Seq,
        gone: bool,
    ) -> Result<(), StoreError> {
        let server = self.name().await?;
        let question = Question { device: Some(device), server, gone, sent: number(sent), ..self.question() };
        self.call::<Nothing>(&self.scripts.leave, user, &question, &[], Repeat::Yes).await.map(drop)
    }

    pub(super) async fn acknowledge(
        &self,
        user: &UserId,
        device: &DeviceId,
        upto: Seq,
    ) -> Result<(), StoreError> {
        let question = Question { device: Some(device), upto: number(upto), ..self.question() };
        self.call::<Nothing>(&self.scripts.acknowledge, user, &question, &[], Repeat::Yes).await.map(drop)
    }

    pub(super) async fn read(
        &self,
        user: &UserId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        #[derive(Serialize)]
        struct Page {
            after: u64,
            limit: u64,
            bytes: usize,
            now: u64,
            age: u64,
        }
        let mut page = Page {
            after: number(after),
            limit: u64::try_from(limit).map_or(MAX_NUMBER, |limit| limit.min(MAX_NUMBER)),
            bytes: PAGE_BYTES,
            now: millis(Timestamp::now()),
            age: in_millis(self.limits.age),
        };
        let mut entries = Vec::new();
        while limit > 0 && page.after < MAX_NUMBER && entries.is_empty() {
            let mut script = self.scripts.read.prepare_invoke();
            script.key(&keys::of_user(user)[..]);
            script.arg(rmp_serde::to_vec_named(&page).map_err(unavailable)?);
            let found: Vec<(u64, Vec<u8>)> = self.link.ask(Ask::Again(&script)).await?;
            let Some((last, _)) = found.last() else { break };
            page.after = *last;
            for (seq, message) in found {
                match codec::decode(&message) {
                    Ok(message) => entries.push(Entry { seq: Seq::new(seq), message: Arc::new(message) }),
                    Err(fault) => {
                        tracing::error!(%user, seq, %fault, "a message cannot be read, and is passed over");
                    }
                }
            }
        }
        Ok(entries)
    }

    pub(super) async fn inbox(&self, user: &UserId) -> Result<Inbox, StoreError> {
        let question = self.question();
        let script = &self.scripts.inbox;
        let (found, _) = self.call::<Found>(script, user, &question, &[], Repeat::Yes).await?;
        Ok(Inbox { waiting: found.waiting, bytes: found.bytes, last: Seq::new(found.last) })
    }

    pub(super) async fn devices(&self, user: &UserId) -> Result<Vec<Device>, StoreError> {
        #[derive(Deserialize)]
        struct Devices {
            devices: Vec<(DeviceId, u64, u64, bool, Vec<TopicFilter>)>,
        }
        let question = Question { server: self.name().await?, ..self.question() };
        let (Devices { devices }, _) =
            self.call(&self.scripts.devices, user, &question, &[], Repeat::Yes).await?;
        let device = |(device, acknowledged, seen, connected, topics)| Device {
            device,
            acknowledged: Seq::new(acknowledged),
            last_seen: Timestamp::from_millis(seen),
            connected,
            topics,
        };
        let mut devices: Vec<_> = devices.into_iter().map(device).collect();
        devices.sort_by(|a, b| a.device.cmp(&b.device));
        Ok(devices)
    }

    /// Has a device follow topics. First the user's own keys say so, then those of the topics, and then it is answered:
    /// a topic may know of a user who does not follow it, which comes to light when something is published, and
    /// not the other way round.
    pub(super) async fn follow(
        &self,
        user: &UserId,
        device: &DeviceId,
        filter: &TopicFilter,
    ) -> Result<(), StoreError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "lowercase")]
        enum Did {
            Done,
            Unknown,
            Full,
        }
        #[derive(Deserialize)]
        struct Outcome {
            did: Did,
        }
        let question = Question { device: Some(device), filter: Some(filter), ..self.question() };
        let (Outcome { did }, _) = self.call(&self.scripts.follow, user, &question, &[], Repeat::Yes).await?;
        let (user_, device) = (user.clone(), device.clone());
        match did {
            Did::Done => self.topics.follow(user, std::slice::from_ref(filter)).await,
            Did::Unknown => Err(StoreError::NoDevice { user: user_, device }),
            Did::Full => Err(StoreError::TooManyTopics { user: user_, device, limit: self.limits.topics }),
        }
    }

    /// Has a device follow topics no more.
    pub(super) async fn unfollow(
        &self,
        user: &UserId,
        device: &DeviceId,
        filter: &TopicFilter,
    ) -> Result<(), StoreError> {
        #[derive(Deserialize)]
        struct Outcome {
            gone: bool,
        }
        // Before the user's own keys: if another device begins to follow meanwhile, this is not the moment any more.
        let since = self.topics.follows_since(user, filter).await?;
        let question = Question { device: Some(device), filter: Some(filter), ..self.question() };
        let script = &self.scripts.unfollow;
        let (Outcome { gone }, _) = self.call(script, user, &question, &[], Repeat::Yes).await?;
        match since.filter(|_| gone) {
            Some(since) => self.topics.stop(user, filter, &since).await,
            None => Ok(()),
        }
    }

    /// Takes a message out of an inbox: if somebody has not been sent it, or `always`.
    pub(super) async fn cancel(&self, user: &UserId, mark: &str, always: bool) -> Result<bool, StoreError> {
        #[derive(Deserialize)]
        struct Taken {
            taken: bool,
        }
        let question = Question { mark: Some(mark), always, server: self.name().await?, ..self.question() };
        let (Taken { taken }, _) = self.call(&self.scripts.cancel, user, &question, &[], Repeat::No).await?;
        Ok(taken)
    }

    /// Clears up in an inbox, and forgets a device that is not connected.
    pub(super) async fn sweep(
        &self,
        user: &UserId,
        now: Timestamp,
        device: Option<&DeviceId>,
    ) -> Result<(Cleared, Steps), StoreError> {
        let server = self.name().await?;
        let question = Question { now: millis(now), server, device, ..self.question() };
        self.call(&self.scripts.sweep, user, &question, &[], Repeat::Yes).await
    }
}

pub(super) fn in_millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(MAX_NUMBER).min(MAX_NUMBER)
}

/// Whether a script may be run twice.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeat {
    Yes,
    No,
}

#[derive(Deserialize)]
struct Opened {
    acknowledged: u64,
    sent: u64,
    last: u64,
    known: bool,
    topics: Vec<TopicFilter>,
}

impl Opened {
    fn cursor(mut self) -> Cursor {
        self.topics.sort_unstable();
        Cursor {
            acknowledged: Seq::new(self.acknowledged),
            sent: Seq::new(self.sent),
            last: Seq::new(self.last),
            known: self.known,
            topics: self.topics,
        }
    }
}

#[derive(Deserialize)]
struct Found {
    waiting: u64,
    bytes: u64,
    last: u64,
}

fn corrupt(user: &UserId, detail: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt { store: NAME, detail: format!("the inbox of user {user:?}: {detail}") }
}
