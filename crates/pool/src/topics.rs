//! Which sessions follow which topics.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use msgserver_message::{SessionId, Topic, TopicFilter};
use parking_lot::RwLock;

use crate::Session;

/// Which sessions follow which topics. Who publishes asks for the [`Audience`] of a topic; nothing is done for a session
/// whose topics nobody publishes to.
#[derive(Debug, Default)]
pub struct Topics {
    filters: RwLock<HashMap<TopicFilter, Followers>>,
    /// How many of the filters may fit several topics: without any, only a topic's name is looked up.
    wildcards: AtomicUsize,
    /// How often a session follows a filter, all together.
    follows: AtomicUsize,
}

#[derive(Debug, Default)]
struct Followers {
    sessions: BTreeMap<SessionId, Arc<Session>>,
    /// Made when something is published and kept until somebody comes or goes, so that a message costs a large topic
    /// no list of its own.
    audience: OnceLock<Audience>,
}

/// The sessions that follow a topic at a moment, each once. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Audience {
    sessions: Arc<[Arc<Session>]>,
    /// Whether there is one for which nothing is kept.
    has_passing: bool,
}

impl Audience {
    fn of(sessions: &BTreeMap<SessionId, Arc<Session>>) -> Self {
        let has_passing = sessions.values().any(|session| !session.has_inbox());
        Self { sessions: sessions.values().cloned().collect(), has_passing }
    }

    /// The sessions, in the order in which they came online.
    #[must_use]
    pub fn sessions(&self) -> &[Arc<Session>] {
        &self.sessions
    }

    /// Whether there is a session for which nothing is kept.
    #[must_use]
    pub const fn has_passing(&self) -> bool {
        self.has_passing
    }

    /// Whether it is the same list, and not only one with the same sessions.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.sessions, &other.sessions)
    }
}

impl Topics {
    /// Has a session follow topics. One that is over follows nothing.
    pub fn follow(&self, session: &Arc<Session>, topics: &TopicFilter) {
        let mut filters = self.filters.write();
        // Looked at under the lock: whoever ends the session takes it out after it is over.
        if session.is_over() || !session.note_followed(topics) {
            return;
        }
        let followers = filters.entry(topics.clone()).or_insert_with(|| {
            self.wildcards.fetch_add(usize::from(topics.is_wildcard()), Ordering::Relaxed);
            Followers::default()
        });
        followers.sessions.insert(session.id(), Arc::clone(session));
        followers.audience = OnceLock::new();
        self.follows.fetch_add(1, Ordering::Relaxed);
    }

    /// Has a session follow no more what it followed under this very filter.
    pub fn unfollow(&self, session: &Session, topics: &TopicFilter) {
        let mut filters = self.filters.write();
        session.note_unfollowed(topics);
        self.take_out(&mut filters, session, topics);
    }

    /// Takes out a session that is over.
    pub fn leave(&self, session: &Session) {
        // Most sessions follow nothing, and need not wait for others. Nothing is added to one that is over.
        let followed = session.following();
        if !followed.is_empty() {
            let mut filters = self.filters.write();
            followed.iter().for_each(|topics| self.take_out(&mut filters, session, topics));
        }
    }

    fn take_out(
        &self,
        filters: &mut HashMap<TopicFilter, Followers>,
        session: &Session,
        topics: &TopicFilter,
    ) {
        let Some(followers) = filters.get_mut(topics) else { return };
        if followers.sessions.remove(&session.id()).is_none() {
            return;
        }
        self.follows.fetch_sub(1, Ordering::Relaxed);
        followers.audience = OnceLock::new();
        if followers.sessions.is_empty() {
            filters.remove(topics);
            self.wildcards.fetch_sub(usize::from(topics.is_wildcard()), Ordering::Relaxed);
            if filters.len() * 4 < filters.capacity() {
                filters.shrink_to_fit();
            }
        }
    }

    /// The sessions that follow a topic; nothing if there is none.
    #[must_use]
    pub fn audience(&self, topic: &Topic) -> Option<Audience> {
        let filters = self.filters.read();
        if filters.is_empty() {
            return None;
        }
        let looked_up = if self.wildcards.load(Ordering::Relaxed) == 0 { 1 } else { usize::MAX };
        let mut found = topic.filters().take(looked_up).filter_map(|filter| filters.get(&filter));
        let first = found.next()?;
        let Some(second) = found.next() else {
            return Some(first.audience.get_or_init(|| Audience::of(&first.sessions)).clone());
        };
        // Who follows it twice gets it once.
        let mut all = first.sessions.clone();
        for more in std::iter::once(second).chain(found) {
            all.extend(more.sessions.iter().map(|(id, session)| (*id, Arc::clone(session))));
        }
        Some(Audience::of(&all))
    }

    /// How many topics, or filters for several, are followed by a session.
    #[must_use]
    pub fn followed(&self) -> usize {
        self.filters.read().len()
    }

    /// How often a session follows a topic, all together.
    #[must_use]
    pub fn follows(&self) -> usize {
        self.follows.load(Ordering::Relaxed)
    }
}
