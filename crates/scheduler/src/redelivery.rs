//! Sending again what is not acknowledged in time.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::Duration;

use msgserver_message::Timestamp;
use msgserver_pool::Session;
use msgserver_protocol::Acknowledgement;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::core::Core;

/// The sessions that have something in flight, each with the moment at which it is looked at.
///
/// Each is in the list once, however much it has in flight, and what it waits for is told by the session itself:
/// so a message costs the list nothing. A session is looked at between one and two deadlines after its oldest
/// message was sent.
#[derive(Debug, Default)]
pub(crate) struct Redelivery {
    sessions: Mutex<VecDeque<(Instant, Weak<Session>)>>,
    came: Notify,
}

impl Redelivery {
    /// Looks after what is in flight, if nobody does.
    pub(crate) fn watch(&self, session: &Arc<Session>, deadline: Duration) {
        if session.watch_in_flight() {
            self.put(Arc::downgrade(session), deadline);
        }
    }

    fn put(&self, session: Weak<Session>, after: Duration) {
        let mut sessions = self.sessions.lock();
        sessions.push_back((Instant::now() + after, session));
        if sessions.len() == 1 {
            self.came.notify_one();
        }
    }

    /// The sessions that may have something in flight.
    pub(crate) fn sessions(&self) -> Vec<Arc<Session>> {
        // Copied first: who delivers must not wait until the last of them has been looked at.
        let sessions: Vec<_> = self.sessions.lock().iter().map(|(_, session)| Weak::clone(session)).collect();
        sessions.iter().filter_map(Weak::upgrade).collect()
    }

    async fn next(&self) -> Weak<Session> {
        loop {
            let first = self.sessions.lock().front().map(|(due, _)| *due);
            match first {
                None => self.came.notified().await,
                Some(due) => {
                    tokio::time::sleep_until(due).await;
                    if let Some((_, session)) = self.sessions.lock().pop_front() {
                        return session;
                    }
                }
            }
        }
    }
}

impl Core {
    /// Sends again what was not acknowledged in time, to sessions that are connected.
    pub(crate) async fn keep_redelivering(self: Arc<Self>) {
        let deadline = self.settings.ack_timeout;
        loop {
            let session = self.redelivery.next().await;
            let Some(alive) = session.upgrade() else { continue };
            let Some(since) = alive.waits_since() else { continue };
            let waited = Timestamp::now().as_millis().saturating_sub(since.as_millis());
            let left = deadline.saturating_sub(Duration::from_millis(waited));
            // A connection that lives has lost nothing: who acknowledges by request is only looked at, so that it is
            // known what was sent.
            if left.is_zero() && alive.acknowledgement() == Acknowledgement::ByFrame {
                alive.ask_again();
                self.wake(alive.user());
            }
            self.redelivery.put(session, if left.is_zero() { deadline } else { left });
        }
    }
}
