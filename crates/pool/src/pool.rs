//! Where a user's sessions are found.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
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

/// The sessions of a user who has one. The name of the user stands in them, and not once more beside them; and one
/// device's one session, which is by far the most frequent case, takes no list.
#[derive(Debug)]
enum OfUser {
    One(Arc<Session>),
    #[allow(clippy::box_collection, reason = "8 bytes and not 24 for each user who has one session")]
    Several(Box<Vec<Arc<Session>>>),
}

impl OfUser {
    fn sessions(&self) -> &[Arc<Session>] {
        match self {
            Self::One(session) => std::slice::from_ref(session),
            Self::Several(sessions) => sessions,
        }
    }

    fn with(self, session: Arc<Session>) -> Self {
        Self::Several(match self {
            Self::One(first) => Box::new(vec![first, session]),
            Self::Several(mut sessions) => {
                sessions.push(session);
                sessions
            }
        })
    }

    /// What is left without a session.
    fn without(self, session: &Session) -> Option<Self> {
        let is_other = |other: &Arc<Session>| other.id() != session.id();
        match self {
            Self::One(one) => is_other(&one).then_some(Self::One(one)),
            Self::Several(mut sessions) => {
                sessions.retain(is_other);
                match sessions.len() {
                    0 | 1 => sessions.pop().map(Self::One),
                    _ => Some(Self::Several(sessions)),
                }
            }
        }
    }
}

impl Borrow<UserId> for OfUser {
    fn borrow(&self) -> &UserId {
        self.sessions()[0].user()
    }
}

impl PartialEq for OfUser {
    fn eq(&self, other: &Self) -> bool {
        let [own, other]: [&UserId; 2] = [self.borrow(), other.borrow()];
        own == other
    }
}

impl Eq for OfUser {}

impl Hash for OfUser {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let user: &UserId = self.borrow();
        user.hash(state);
    }
}

/// The default pool: a table of users in shards, each under a lock of its own.
#[derive(Debug)]
pub struct ShardedPool {
    shards: Box<[RwLock<HashSet<OfUser>>]>,
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
    fn shard(&self, user: &UserId) -> &RwLock<HashSet<OfUser>> {
        &self.shards[self.hash.hash_one(user) as usize % SHARDS]
    }
}

impl Pool for ShardedPool {
    fn name(&self) -> &str {
        "default"
    }

    fn insert(&self, session: Arc<Session>) -> Vec<Arc<Session>> {
        let mut shard = self.shard(session.user()).write();
        self.sessions.fetch_add(1, Ordering::Relaxed);
        let Some(others) = shard.take(session.user()) else {
            self.users.fetch_add(1, Ordering::Relaxed);
            shard.insert(OfUser::One(session));
            return Vec::new();
        };
        let is_earlier = |other: &&Arc<Session>| other.device() == session.device();
        let earlier = others.sessions().iter().filter(is_earlier).cloned().collect();
        shard.insert(others.with(session));
        earlier
    }

    fn remove(&self, session: &Session) {
        let mut shard = self.shard(session.user()).write();
        let Some(sessions) = shard.take(session.user()) else { return };
        let before = sessions.sessions().len();
        let left = sessions.without(session);
        let after = left.as_ref().map_or(0, |left| left.sessions().len());
        self.sessions.fetch_sub(before - after, Ordering::Relaxed);
        match left {
            Some(left) => drop(shard.insert(left)),
            None => {
                self.users.fetch_sub(1, Ordering::Relaxed);
                if shard.len() * 4 < shard.capacity() {
                    shard.shrink_to_fit();
                }
            }
        }
    }

    fn sessions_of(&self, user: &UserId) -> Sessions {
        let shard = self.shard(user).read();
        shard.get(user).map(|of_user| of_user.sessions().iter().cloned().collect()).unwrap_or_default()
    }

    fn for_each(&self, each: &mut dyn FnMut(&Arc<Session>)) {
        for shard in &self.shards {
            shard.read().iter().flat_map(OfUser::sessions).for_each(&mut *each);
        }
    }

    fn sessions(&self) -> usize {
        self.sessions.load(Ordering::Relaxed)
    }

    fn users(&self) -> usize {
        self.users.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use msgserver_protocol::{Bar, Encoder, Json};

    use super::*;
    use crate::SessionSetup;

    fn sessions(users: &[&str]) -> Vec<Arc<Session>> {
        let encoders: Arc<[Encoder]> = [Encoder::new(Bar, Json).unwrap()].into();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let session = |(number, user): (usize, &&str)| {
            let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let setup = SessionSetup::plain(number as u64, user, &encoders);
            Arc::new(Session::new(setup, socket.into()).unwrap())
        };
        users.iter().enumerate().map(session).collect()
    }

    fn ids(sessions: impl IntoIterator<Item = Arc<Session>>) -> Vec<u64> {
        sessions.into_iter().map(|session| session.id().get()).collect()
    }

    #[test]
    fn a_user_is_found_until_the_last_of_its_sessions_has_gone() {
        let all = sessions(&["ada", "ada", "bob", "ada"]);
        let pool = ShardedPool::default();
        let earlier: Vec<_> = all.iter().map(|session| ids(pool.insert(Arc::clone(session)))).collect();
        assert_eq!(earlier, [vec![], vec![0], vec![], vec![0, 1]]);
        let (ada, bob) = (all[0].user(), all[2].user());
        let found = |pool: &ShardedPool| (ids(pool.sessions_of(ada)), ids(pool.sessions_of(bob)));
        assert_eq!(found(&pool), (vec![0, 1, 3], vec![2]));
        assert_eq!((pool.sessions(), pool.users()), (4, 2));
        for (gone, left) in [(1, vec![0, 3]), (0, vec![3]), (0, vec![3]), (3, vec![])] {
            pool.remove(&all[gone]);
            assert_eq!(found(&pool), (left, vec![2]), "{gone} has gone");
        }
        assert_eq!((pool.sessions(), pool.users()), (1, 1));
        let mut each = Vec::new();
        pool.for_each(&mut |session| each.push(session.id().get()));
        assert_eq!(each, [2]);
    }

    #[test]
    fn a_user_with_one_session_takes_two_words() {
        assert_eq!(size_of::<OfUser>(), 2 * size_of::<usize>());
    }
}
