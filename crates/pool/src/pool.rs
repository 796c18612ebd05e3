//! Where a user's sessions are found.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use msgserver_message::UserId;
use parking_lot::RwLock;
use smallvec::SmallVec;

use crate::Session;

/// What happens to a device's earlier session when it connects again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Replacement {
    /// It is closed.
    #[default]
    Replace,
    /// Both stay, and both get what comes.
    All,
}

/// The sessions of one user: seldom more than two.
pub type Sessions = SmallVec<[Arc<Session>; 2]>;

/// Where a user's sessions are found. [`ShardedPool`] is the default; another one may count, limit or
/// observe.
pub trait Pool: Send + Sync + 'static {
    /// The name that configurations use.
    fn name(&self) -> &str;
    /// Puts a session in; gives the earlier sessions of its device.
    fn insert(&self, session: Arc<Session>) -> Vec<Arc<Session>>;
    /// Takes a session out, if it is there.
    fn remove(&self, session: &Session);
    /// A user's sessions.
    fn sessions_of(&self, user: &UserId) -> Sessions;
    /// Calls `each` with every session.
    fn for_each(&self, each: &mut dyn FnMut(&Arc<Session>));
    /// How many sessions there are.
    fn sessions(&self) -> usize;
    /// How many users have one.
    fn users(&self) -> usize;
}

/// Enough that two threads seldom meet on one lock.
const SHARDS: usize = 64;

/// One device's one session is by far the most frequent case, and takes no list.
type Devices = SmallVec<[Arc<Session>; 1]>;

/// The default pool: a table of users in shards, each under a lock of its own.
#[derive(Debug)]
pub struct ShardedPool {
    shards: Box<[RwLock<HashMap<UserId, Devices>>]>,
    hash: RandomState,
    sessions: AtomicUsize,
    users: AtomicUsize,
}

impl Default for ShardedPool {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            hash: RandomState::new(),
            sessions: AtomicUsize::new(0),
            users: AtomicUsize::new(0),
        }
    }
}

impl ShardedPool {
    fn shard(&self, user: &UserId) -> &RwLock<HashMap<UserId, Devices>> {
        &self.shards[self.hash.hash_one(user) as usize % SHARDS]
    }
}

impl Pool for ShardedPool {
    fn name(&self) -> &str {
        "default"
    }

    fn insert(&self, session: Arc<Session>) -> Vec<Arc<Session>> {
        let mut shard = self.shard(session.user()).write();
        let sessions = shard.entry(session.user().clone()).or_default();
        if sessions.is_empty() {
            self.users.fetch_add(1, Ordering::Relaxed);
        }
        self.sessions.fetch_add(1, Ordering::Relaxed);
        let earlier = sessions.iter().filter(|other| other.device() == session.device()).cloned().collect();
        sessions.push(session);
        earlier
    }

    fn remove(&self, session: &Session) {
        let mut shard = self.shard(session.user()).write();
        let Some(sessions) = shard.get_mut(session.user()) else { return };
        let before = sessions.len();
        sessions.retain(|other| other.id() != session.id());
        self.sessions.fetch_sub(before - sessions.len(), Ordering::Relaxed);
        if sessions.is_empty() {
            shard.remove(session.user());
            self.users.fetch_sub(1, Ordering::Relaxed);
            if shard.len() * 4 < shard.capacity() {
                shard.shrink_to_fit();
            }
        }
    }

    fn sessions_of(&self, user: &UserId) -> Sessions {
        self.shard(user)
            .read()
            .get(user)
            .map(|sessions| sessions.iter().cloned().collect())
            .unwrap_or_default()
    }

    fn for_each(&self, each: &mut dyn FnMut(&Arc<Session>)) {
        for shard in &self.shards {
            shard.read().values().flatten().for_each(&mut *each);
        }
    }

    fn sessions(&self) -> usize {
        self.sessions.load(Ordering::Relaxed)
    }

    fn users(&self) -> usize {
        self.users.load(Ordering::Relaxed)
    }
}
