//! What sessions may do that were opened with a token.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Weak};
use std::time::Duration;

use msgserver_access::{Access, Revocation, RevocationError};
use msgserver_message::{SessionId, Timestamp};
use msgserver_pool::{CloseReason, Session};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::Scheduler;
use crate::core::Core;

/// The clock may be set, so ends are looked for this often at least.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// The access of each session that was opened with a token. The others pay nothing for it.
#[derive(Default)]
pub(crate) struct Grants {
    held: Mutex<Held>,
    /// Told when there is one that may end sooner than the others.
    added: Notify,
}

#[derive(Default)]
struct Held {
    by_session: HashMap<SessionId, (Arc<Access>, Weak<Session>)>,
    ends: BTreeSet<(Timestamp, SessionId)>,
}

impl Grants {
    pub(crate) fn add(&self, session: &Arc<Session>, access: &Arc<Access>) {
        let mut held = self.held.lock();
        held.by_session.insert(session.id(), (Arc::clone(access), Arc::downgrade(session)));
        if let Some(end) = access.expires_at
            && held.ends.insert((end, session.id()))
            && held.ends.first() == Some(&(end, session.id()))
        {
            self.added.notify_one();
        }
    }

    pub(crate) fn remove(&self, session: &Session) {
        let mut held = self.held.lock();
        if let Some((access, _)) = held.by_session.remove(&session.id())
            && let Some(end) = access.expires_at
        {
            held.ends.remove(&(end, session.id()));
        }
    }

    /// What a session's token allows; nothing if it was opened without one. To be asked while the session is
    /// certainly not over.
    pub(crate) fn of(&self, session: &Session) -> Option<Arc<Access>> {
        self.held.lock().by_session.get(&session.id()).map(|(access, _)| Arc::clone(access))
    }

    /// The sessions whose time is over, and when the next one's will be.
    fn over(&self, now: Timestamp) -> (Vec<Arc<Session>>, Option<Timestamp>) {
        let mut held = self.held.lock();
        let mut over = Vec::new();
        while let Some((end, session)) = held.ends.first().copied() {
            if end > now {
                return (over, Some(end));
            }
            held.ends.pop_first();
            over.extend(held.by_session.get(&session).and_then(|(_, session)| session.upgrade()));
        }
        (over, None)
    }

    fn those(&self, ended: impl Fn(&Access) -> bool) -> Vec<Arc<Session>> {
        let held = self.held.lock();
        let ended = held.by_session.values().filter(|(access, _)| ended(access));
        ended.filter_map(|(_, session)| session.upgrade()).collect()
    }
}

impl Scheduler {
    /// Takes tokens back, and closes the sessions that were opened with them; how many. Done once the revocation is
    /// kept.
    ///
    /// # Errors
    /// [`RevocationError`]; with [`RevocationError::NotKept`] the sessions are closed all the same.
    pub async fn revoke(&self, revocation: Revocation) -> Result<usize, RevocationError> {
        let gate = Arc::clone(&self.core.settings.gate);
        let kept = tokio::task::spawn_blocking(move || gate.revoke(revocation)).await;
        let gate = &self.core.settings.gate;
        let revoked = self.core.grants.those(|access| gate.has_revoked(access));
        revoked.iter().for_each(|session| self.core.dismiss(session, CloseReason::Revoked));
        kept.expect("noting a revocation does not panic").map(|()| revoked.len())
    }
}

impl Core {
    /// Closes sessions when the time of their token is over.
    pub(crate) async fn keep_access(self: Arc<Self>) {
        let mut stopping = self.stopping.subscribe();
        loop {
            let now = Timestamp::now();
            let (over, next) = self.grants.over(now);
            over.iter().for_each(|session| self.dismiss(session, CloseReason::TokenExpired));
            let wait = next.map(|next| Duration::from_millis(next.as_millis() - now.as_millis()));
            tokio::select! {
                () = tokio::time::sleep(wait.unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT)), if wait.is_some() => {}
                () = self.grants.added.notified() => {}
                _ = stopping.wait_for(|stopping| *stopping) => return,
            }
        }
    }
}
