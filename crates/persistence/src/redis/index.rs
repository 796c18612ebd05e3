//! Which users have something in Redis, and how much.

use std::collections::HashMap;
use std::sync::Arc;

use ::redis::Script;
use futures_util::future::try_join_all;
use msgserver_message::UserId;
use parking_lot::Mutex;

use super::keys::{self, SHARDS};
use super::link::{Ask, Link};
use super::{NAME, TOGETHER};
use crate::StoreError;

/// From so many users on, whose counts have changed, Redis is told at once.
const TOLD_AT: usize = 1024;

/// What the index knows of an inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) messages: u64,
    /// Later versions are larger.
    pub(super) version: u64,
    /// When there is something to clear up, in milliseconds.
    pub(super) due: u64,
}

/// The users who have something in Redis, with how many messages.
///
/// It lies on other nodes than the inboxes, so it follows them: a user stands in it before the first message or
/// device is answered for, and counts come a little later. Each look at an inbox sets right what was lost.
pub(super) struct Index {
    link: Arc<Link>,
    /// How long a shard is kept, in seconds.
    keep: u64,
    count: Script,
    forget: Script,
    changed: Mutex<HashMap<UserId, Count>>,
}

impl Index {
    pub(super) fn new(link: Arc<Link>, keep: u64) -> Self {
        Self {
            link,
            keep,
            count: Script::new(include_str!("count.lua")),
            forget: Script::new(include_str!("forget.lua")),
            changed: Mutex::default(),
        }
    }

    /// Notes a count, to be written soon.
    pub(super) async fn note(&self, user: &UserId, count: Count) {
        let many = {
            let mut changed = self.changed.lock();
            let newest = changed.entry(user.clone()).or_insert(count);
            if newest.version < count.version {
                *newest = count;
            }
            changed.len() >= TOLD_AT
        };
        if many {
            // What this does not write stays noted.
            let _ = self.write_noted().await;
        }
    }

    /// Writes what was noted.
    pub(super) async fn write_noted(&self) -> Result<(), StoreError> {
        let changed: Vec<_> = std::mem::take(&mut *self.changed.lock()).into_iter().collect();
        let written = self.write(&changed).await;
        if written.is_err() {
            let mut newer = self.changed.lock();
            for (user, count) in changed {
                newer.entry(user).or_insert(count);
            }
        }
        written
    }

    /// Writes counts. A user without one comes into the index by this.
    pub(super) async fn write(&self, counts: &[(UserId, Count)]) -> Result<(), StoreError> {
        let mut shards: [Vec<(&UserId, &Count)>; SHARDS] = Default::default();
        for (user, count) in counts {
            shards[keys::shard_of_user(user)].push((user, count));
        }
        let shards = shards.into_iter().enumerate().filter(|(_, counts)| !counts.is_empty());
        try_join_all(shards.map(|(shard, counts)| self.write_shard(shard, counts))).await.map(drop)
    }

    async fn write_shard(&self, shard: usize, counts: Vec<(&UserId, &Count)>) -> Result<(), StoreError> {
        for counts in counts.chunks(TOLD_AT) {
            let mut script = self.count.prepare_invoke();
            script.key(&keys(shard)[..]);
            script.arg(self.keep);
            for (user, count) in counts {
                script.arg(user.as_str()).arg(count.messages).arg(count.version).arg(count.due);
            }
            self.link.ask::<u64>(Ask::Again(&script)).await?;
        }
        Ok(())
    }

    /// How many messages all users have.
    pub(super) async fn stored(&self) -> Result<u64, StoreError> {
        self.write_noted().await?;
        let sum = async |shard| {
            let mut get = ::redis::cmd("GET");
            get.arg(keys::of_shard(shard, "stored"));
            self.link.ask::<Option<i64>>(Ask::Command(&get)).await
        };
        let sums = try_join_all((0..SHARDS).map(sum)).await?;
        Ok(sums.into_iter().flatten().map(|sum| u64::try_from(sum).unwrap_or(0)).sum())
    }

    /// At most `limit` users of a shard who have something to clear up, and since when.
    pub(super) async fn due(
        &self,
        shard: usize,
        now: u64,
        limit: usize,
    ) -> Result<Vec<(UserId, u64)>, StoreError> {
        let mut range = ::redis::cmd("ZRANGEBYSCORE");
        range.arg(keys::of_shard(shard, "due")).arg("-inf").arg(now).arg("WITHSCORES");
        range.arg("LIMIT").arg(0).arg(limit);
        let found: Vec<(String, f64)> = self.link.ask(Ask::Command(&range)).await?;
        found.into_iter().map(|(name, at)| Ok((user(&name)?, at as u64))).collect()
    }

    /// Takes a user out who has nothing any more, if nothing has come since it was found `due`.
    pub(super) async fn forget(&self, user: &UserId, due: u64) -> Result<(), StoreError> {
        let mut script = self.forget.prepare_invoke();
        script.key(&keys(keys::shard_of_user(user))[..]);
        script.arg(user.as_str()).arg(due);
        self.link.ask::<u64>(Ask::Again(&script)).await.map(drop)
    }
}

/// A walk over all users. Whoever is in the index all the time is met, perhaps twice.
pub(super) struct Walk {
    shard: usize,
    /// Where the next page of the shard begins.
    from: u64,
}

impl Walk {
    pub(super) fn new() -> Self {
        Self { shard: 0, from: 0 }
    }

    /// Some more users; nothing after the last.
    pub(super) async fn next(&mut self, index: &Index) -> Result<Option<Vec<UserId>>, StoreError> {
        if self.shard == SHARDS {
            return Ok(None);
        }
        let mut scan = ::redis::cmd("HSCAN");
        scan.arg(keys::of_shard(self.shard, "index")).arg(self.from).arg("COUNT").arg(TOGETHER);
        let (next, found): (u64, Vec<(String, String)>) = index.link.ask(Ask::Command(&scan)).await?;
        self.from = next;
        if next == 0 {
            self.shard += 1;
        }
        found.into_iter().map(|(name, _)| user(&name)).collect::<Result<_, _>>().map(Some)
    }
}

fn keys(shard: usize) -> [String; 3] {
    ["index", "stored", "due"].map(|key| keys::of_shard(shard, key))
}

fn user(name: &str) -> Result<UserId, StoreError> {
    let corrupt =
        |fault| StoreError::Corrupt { store: NAME, detail: format!("a user of the index: {fault}") };
    UserId::new(name).map_err(corrupt)
}
