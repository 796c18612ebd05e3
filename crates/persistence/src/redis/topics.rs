//! The logs of topics, and who follows them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use ::redis::Script;
use futures_util::future::try_join_all;
use msgserver_message::{Seq, Timestamp, Topic, TopicFilter, UserId};
use serde::Serialize;

use super::append::Item;
use super::inboxes::{Placing, in_millis};
use super::keys::{self, SHARDS};
use super::link::{Ask, Link, unavailable};
use super::{DAY, LONGEST, MAX_NUMBER, NAME, TOGETHER, millis, number, together};
use crate::{Append, Entry, Limits, Recipients, StoreError, TopicLog, codec};

/// Bytes of a page of a topic's log, from which on no further message is added.
const PAGE_BYTES: usize = 1024 * 1024;

/// How long the index of topics is not told again of a topic in which something is published, in milliseconds.
const TOLD_FOR: u64 = 60 * 60 * 1000;

/// How many topics of a shard are looked at in one sweep.
const SWEPT: usize = 64;

/// When a message came and when its time is over, before what it is.
const HEAD_BYTES: usize = 16;

/// Who may follow one topic: by each filter, the users and since when. Users who have stopped may be among them; their
/// own keys know.
#[derive(Debug)]
pub(super) struct Followed {
    by: Vec<(TopicFilter, HashMap<UserId, String>)>,
    /// Each once, in the order of their names.
    pub(super) users: Vec<UserId>,
}

impl Followed {
    pub(super) fn filters(&self) -> Vec<TopicFilter> {
        self.by.iter().map(|(filter, _)| filter.clone()).collect()
    }
}

/// Who may follow some topics.
#[derive(Debug, Default)]
pub(super) struct FollowedTopics(HashMap<Topic, Followed>);

impl FollowedTopics {
    pub(super) fn of(&self, append: &Append) -> Option<&Followed> {
        self.0.get(topic(append)?)
    }
}

fn topic(append: &Append) -> Option<&Topic> {
    append.message.topic.as_ref().filter(|_| append.recipients == Recipients::Followers)
}

#[derive(Serialize)]
struct Publishing<'a> {
    mark: &'a str,
    remember: u64,
}

#[derive(Serialize)]
struct Publish<'a> {
    now: u64,
    age: u64,
    history: u64,
    keep: u64,
    messages: Vec<Publishing<'a>>,
}

#[derive(Serialize)]
struct Page {
    now: u64,
    age: u64,
    after: u64,
    limit: u64,
    bytes: usize,
    newest: bool,
    counting: bool,
}

/// The logs of topics, and who follows them. The keys of a topic lie in one hash slot, and not in those of its
/// followers.
pub(super) struct Topics {
    link: Arc<Link>,
    limits: Limits,
    /// How long it is known who follows, in seconds: longer than a user's own keys are kept.
    keep: u64,
    publish: Script,
    published: Script,
    remove: Script,
}

impl Topics {
    /// `keep` is how long the keys of users are kept, in seconds.
    pub(super) fn new(link: Arc<Link>, limits: Limits, keep: u64) -> Self {
        Self {
            link,
            limits,
            keep: keep.saturating_add(3 * DAY),
            publish: Script::new(include_str!("publish.lua")),
            published: Script::new(include_str!("published.lua")),
            remove: Script::new(include_str!("remove.lua")),
        }
    }

    /// Notes that a user follows these.
    pub(super) async fn follow(&self, user: &UserId, filters: &[TopicFilter]) -> Result<(), StoreError> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let since = u64::try_from(since.as_micros()).unwrap_or(MAX_NUMBER);
        for filters in filters.chunks(TOGETHER) {
            try_join_all(filters.iter().map(async |filter| {
                // What is published from now on has to look for it.
                if filter.is_wildcard() {
                    let now = millis(Timestamp::now());
                    self.note(&keys::wildcards(), filter.as_str(), now).await?;
                }
                self.note(&keys::followers(filter), user.as_str(), since).await
            }))
            .await?;
        }
        Ok(())
    }

    async fn note(&self, key: &str, member: &str, score: u64) -> Result<(), StoreError> {
        self.link.ask::<u64>(Ask::Command(::redis::cmd("ZADD").arg(key).arg(score).arg(member))).await?;
        let expire = &mut ::redis::cmd("EXPIRE");
        self.link.ask::<u64>(Ask::Command(expire.arg(key).arg(self.keep.min(LONGEST)))).await.map(drop)
    }

    /// Since when a user is known to follow.
    pub(super) async fn follows_since(
        &self,
        user: &UserId,
        filter: &TopicFilter,
    ) -> Result<Option<String>, StoreError> {
        let mut score = ::redis::cmd("ZSCORE");
        self.link.ask(Ask::Command(score.arg(keys::followers(filter)).arg(user.as_str()))).await
    }

    /// Notes that a user follows no more, unless it has begun to again.
    pub(super) async fn stop(
        &self,
        user: &UserId,
        filter: &TopicFilter,
        since: &str,
    ) -> Result<(), StoreError> {
        self.remove(&keys::followers(filter), user.as_str(), since).await
    }

    /// Takes a member out of a sorted set, unless it has another score by now.
    async fn remove(&self, key: &str, member: &str, score: &str) -> Result<(), StoreError> {
        let mut script = self.remove.prepare_invoke();
        script.key(key).arg(member).arg(score);
        self.link.ask::<u64>(Ask::Again(&script)).await.map(drop)
    }

    /// Forgets users whose own keys have said that they do not follow a topic.
    pub(super) async fn forget(&self, followed: &Followed, users: impl Iterator<Item = &UserId>) {
        for user in users {
            for (filter, since) in &followed.by {
                let Some(since) = since.get(user) else { continue };
                if let Err(fault) = self.stop(user, filter, since).await {
                    // The next message finds it again.
                    tracing::debug!(%user, %filter, %fault, "a follower of old is still listed");
                }
            }
        }
    }

    /// Who may follow the topics of what is for followers.
    pub(super) async fn followed(
        &self,
        appends: impl Iterator<Item = &Append>,
    ) -> Result<FollowedTopics, StoreError> {
        let topics: BTreeSet<&Topic> = appends.filter_map(topic).collect();
        let asked = topics
            .into_iter()
            .map(async |topic| Ok::<_, StoreError>((topic.clone(), self.followed_by(topic).await?)));
        Ok(FollowedTopics(try_join_all(asked).await?.into_iter().collect()))
    }

    async fn followed_by(&self, topic: &Topic) -> Result<Followed, StoreError> {
        let filters: Vec<_> = topic.filters().collect();
        let mut scores = ::redis::cmd("ZMSCORE");
        scores.arg(keys::wildcards());
        for filter in &filters[1..] {
            scores.arg(filter.as_str());
        }
        let known: Vec<Option<f64>> = self.link.ask(Ask::Command(&scores)).await?;
        let wildcards = filters[1..].iter().zip(known).filter(|(_, known)| known.is_some());
        let asked = filters[..1].iter().chain(wildcards.map(|(filter, _)| filter)).map(async |filter| {
            let mut range = ::redis::cmd("ZRANGE");
            range.arg(keys::followers(filter)).arg(0).arg(-1).arg("WITHSCORES");
            let found: Vec<(String, String)> = self.link.ask(Ask::Command(&range)).await?;
            let user = |(name, since): (String, String)| Ok((UserId::new(name).map_err(corrupt)?, since));
            let users = found.into_iter().map(user).collect::<Result<HashMap<_, _>, StoreError>>()?;
            Ok::<_, StoreError>((filter.clone(), users))
        });
        let by = try_join_all(asked).await?;
        let by: Vec<_> = by.into_iter().filter(|(_, users)| !users.is_empty()).collect();
        let users: BTreeSet<_> = by.iter().flat_map(|(_, users)| users.keys().cloned()).collect();
        Ok(Followed { by, users: users.into_iter().collect() })
    }

    /// Puts what is in its inboxes into the logs of its topics. What fails there has failed.
    pub(super) async fn publish<T>(&self, items: &[Item<'_>], answers: &mut [Result<T, StoreError>]) {
        let mut topics = BTreeMap::<&Topic, Vec<usize>>::new();
        for (at, item) in items.iter().enumerate() {
            if let Some(topic) = item.topic().filter(|_| answers[at].is_ok()) {
                topics.entry(topic).or_default().push(at);
            }
        }
        if self.limits.history == 0 || topics.is_empty() {
            return;
        }
        let mut asked = Vec::with_capacity(topics.len());
        for (topic, which) in &topics {
            let placings = which.iter().map(|at| &items[*at].placing).collect::<Vec<_>>();
            asked.push(self.publish_in(topic, placings, Timestamp::now()));
        }
        for (which, published) in topics.values().zip(together(asked).await) {
            if let Err(fault) = published {
                which.iter().for_each(|at| answers[*at] = Err(fault.clone()));
            }
        }
    }

    /// Takes out what topics have kept long enough, of those in which nothing was published since; whether there may be
    /// more to do.
    pub(super) async fn sweep(&self, now: Timestamp) -> Result<bool, StoreError> {
        let Some(end) = millis(now).checked_sub(in_millis(self.limits.history_age)) else { return Ok(false) };
        let shards = (0..SHARDS).map(async |shard| {
            let key = keys::of_shard(shard, "topics");
            let mut range = ::redis::cmd("ZRANGEBYSCORE");
            range.arg(&key).arg("-inf").arg(end).arg("WITHSCORES").arg("LIMIT").arg(0).arg(SWEPT);
            let found: Vec<(String, String)> = self.link.ask(Ask::Command(&range)).await?;
            for (name, since) in &found {
                let topic = Topic::new(name).map_err(corrupt)?;
                self.publish_in(&topic, Vec::new(), now).await?;
                let [_, log, ..] = keys::of_topic(&topic);
                if self.link.ask::<u64>(Ask::Command(::redis::cmd("ZCARD").arg(log))).await? == 0 {
                    self.remove(&key, name, since).await?;
                }
            }
            Ok::<_, StoreError>(found.len() == SWEPT)
        });
        Ok(try_join_all(shards).await?.contains(&true))
    }

    async fn publish_in(
        &self,
        topic: &Topic,
        placings: Vec<&Placing>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let is_news = !placings.is_empty();
        let messages = placings.iter();
        let messages =
            messages.map(|placing| Publishing { mark: placing.mark(), remember: placing.remember() });
        let publish = Publish {
            now: millis(now),
            age: in_millis(self.limits.history_age),
            history: self.limits.history.min(MAX_NUMBER),
            keep: self.keep.saturating_add(self.limits.history_age.as_secs()).min(LONGEST),
            messages: messages.collect(),
        };
        let mut script = self.publish.prepare_invoke();
        script.key(&keys::of_topic(topic)[..]);
        script.arg(rmp_serde::to_vec_named(&publish).map_err(unavailable)?);
        for placing in placings {
            script.arg([placing.times(), placing.body()].concat());
        }
        if self.link.ask::<u64>(Ask::Again(&script)).await? == 1 && is_news {
            self.note(&keys::of_shard(keys::shard_of_topic(topic), "topics"), topic.as_str(), publish.now)
                .await?;
            let [about, ..] = keys::of_topic(topic);
            let mut set = ::redis::cmd("HSET");
            set.arg(about).arg("indexed").arg(publish.now + TOLD_FOR);
            self.link.ask::<u64>(Ask::Command(&set)).await?;
        }
        Ok(())
    }

    /// Takes a message out of the log of its topic; whether it was there.
    pub(super) async fn take_out(&self, topic: &Topic, mark: &str) -> Result<bool, StoreError> {
        let [_, log, messages, _] = keys::of_topic(topic);
        let taken: u64 = self.link.ask(Ask::Command(::redis::cmd("ZREM").arg(log).arg(mark))).await?;
        self.link.ask::<u64>(Ask::Command(::redis::cmd("HDEL").arg(messages).arg(mark))).await?;
        Ok(taken == 1)
    }

    pub(super) async fn topic(&self, topic: &Topic) -> Result<TopicLog, StoreError> {
        let [about, ..] = keys::of_topic(topic);
        let last: Option<u64> =
            self.link.ask(Ask::Command(::redis::cmd("HGET").arg(about).arg("last"))).await?;
        let followers = self.followed_by(topic).await?.users.len() as u64;
        let page = Page { limit: MAX_NUMBER, counting: true, ..self.page() };
        let kept = self.found(topic, &page).await?.len() as u64;
        Ok(TopicLog { followers, kept, last: Seq::new(last.unwrap_or(0)) })
    }

    pub(super) async fn published(
        &self,
        topic: &Topic,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let page = Page { after: number(after), limit: limit as u64, ..self.page() };
        if limit == 0 { Ok(Vec::new()) } else { self.page_of(topic, &page).await }
    }

    pub(super) async fn history(
        &self,
        filter: &TopicFilter,
        of_each: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let topics = match filter.topic() {
            Some(topic) => vec![topic],
            None => self.topics_that_fit(filter).await?,
        };
        let page = Page { limit: of_each as u64, newest: true, ..self.page() };
        let (mut all, mut bytes) = (Vec::new(), 0);
        for topic in topics.into_iter().filter(|_| of_each > 0) {
            let mut entries = self.page_of(&topic, &page).await?;
            entries.reverse();
            bytes += entries.iter().map(|entry| entry.message.bytes()).sum::<usize>();
            all.append(&mut entries);
            if bytes >= PAGE_BYTES {
                break;
            }
        }
        Ok(all)
    }

    fn page(&self) -> Page {
        Page {
            now: millis(Timestamp::now()),
            age: in_millis(self.limits.history_age),
            after: 0,
            limit: 0,
            bytes: PAGE_BYTES,
            newest: false,
            counting: false,
        }
    }

    async fn found(&self, topic: &Topic, page: &Page) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        let mut script = self.published.prepare_invoke();
        script.key(&keys::of_topic(topic)[..]);
        script.arg(rmp_serde::to_vec_named(page).map_err(unavailable)?);
        self.link.ask(Ask::Again(&script)).await
    }

    async fn page_of(&self, topic: &Topic, page: &Page) -> Result<Vec<Entry>, StoreError> {
        let found = self.found(topic, page).await?;
        let mut entries = Vec::with_capacity(found.len());
        for (seq, message) in found {
            match codec::decode(message.get(HEAD_BYTES..).unwrap_or_default()) {
                Ok(message) => entries.push(Entry { seq: Seq::new(seq), message: Arc::new(message) }),
                Err(fault) => tracing::error!(%topic, seq, %fault, "a message of a topic cannot be read"),
            }
        }
        Ok(entries)
    }

    /// The topics with a log that a filter fits.
    async fn topics_that_fit(&self, filter: &TopicFilter) -> Result<Vec<Topic>, StoreError> {
        let shards = try_join_all((0..SHARDS).map(async |shard| {
            let mut range = ::redis::cmd("ZRANGE");
            range.arg(keys::of_shard(shard, "topics")).arg(0).arg(-1);
            self.link.ask::<Vec<String>>(Ask::Command(&range)).await
        }));
        let topics = shards.await?.into_iter().flatten().map(|name| Topic::new(name).map_err(corrupt));
        let mut topics = topics.collect::<Result<Vec<_>, _>>()?;
        topics.retain(|topic| filter.fits(topic));
        topics.sort_unstable();
        Ok(topics)
    }
}

fn corrupt(detail: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt { store: NAME, detail: format!("what is known of a topic: {detail}") }
}
