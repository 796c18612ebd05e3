//! From the lanes to the sessions of their users.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use msgserver_message::{Message, Seq, Stage, Timestamp, UserId};
use msgserver_persistence::{Store, StoreError};
use msgserver_pool::{Guarantee, Sent, Session};
use msgserver_protocol::{Acknowledgement, Delivery};
use msgserver_queue::Lane;
use tokio::time::Instant;

use crate::core::Core;
use crate::{FailedDelivery, FailureReason, Taken};

/// How many messages are read from an inbox at a time.
const PAGE: usize = 256;

/// How long a store that failed is left alone before it is asked the same again.
pub(crate) const STORE_RETRY: Duration = Duration::from_secs(1);

/// A message that waits in a user's lane.
#[derive(Debug, Clone)]
pub struct Job {
    message: Arc<Message>,
    seq: Option<Seq>,
    attempts: u32,
    /// Its bytes count while it waits.
    _taken: Option<Arc<Taken>>,
}

impl Job {
    pub(crate) fn kept(message: &Arc<Message>, seq: Seq, taken: Option<&Arc<Taken>>) -> Self {
        Self { message: Arc::clone(message), seq: Some(seq), attempts: 0, _taken: taken.cloned() }
    }

    pub(crate) fn passing(message: &Arc<Message>, taken: &Arc<Taken>) -> Self {
        Self { message: Arc::clone(message), seq: None, attempts: 0, _taken: Some(Arc::clone(taken)) }
    }
}

impl Core {
    pub(crate) async fn deliver(self: &Arc<Self>, lane: Lane<Job>) {
        let Lane { user, jobs, woken } = lane;
        let sessions = self.parts.pool.sessions_of(&user);
        let mut again = None;
        if let Some(store) = self.store_for(&user) {
            for session in &sessions {
                if let Err(fault) = self.bring_up(&**store, session, &jobs, woken).await {
                    tracing::warn!(%user, %fault, "an inbox cannot be read");
                    again = Some(STORE_RETRY);
                }
                // What was acknowledged before what is sent only now.
                if session.acknowledgement() == Acknowledgement::ByPacket
                    && let Some(seq) = session.safe()
                {
                    self.acknowledged(session, seq);
                }
                self.turnstile.has_read(session.id());
            }
        }
        let mut rest = VecDeque::new();
        for mut job in jobs {
            if job.seq.is_some() {
                if sessions.is_empty() {
                    self.failed(&job, &user, FailureReason::Kept);
                }
                continue;
            }
            let mut took = false;
            if !job.message.is_expired(Timestamp::now()) && rest.is_empty() {
                for session in &sessions {
                    took |= session.guarantee(&job.message).is_some()
                        && session.send(&Delivery::passing(&job.message)) == Sent::Taken;
                }
            }
            if !took {
                job.attempts += 1;
                if job.attempts > self.settings.resend_times || job.message.is_expired(Timestamp::now()) {
                    self.counters.given_up.fetch_add(1, Ordering::Relaxed);
                    self.failed(&job, &user, FailureReason::GivenUp);
                } else {
                    self.failed(&job, &user, FailureReason::TriedAgain);
                    rest.push_back(job);
                }
            }
        }
        sessions.iter().for_each(|session| session.complete());
        if !rest.is_empty() {
            again = Some(again.unwrap_or(self.settings.resend_interval));
        }
        self.parts.queue.give_back(&user, rest, again.map(|wait| (Instant::now() + wait).into_std()));
        if again.is_some() {
            self.parked.notify_one();
        }
    }

    fn failed(&self, job: &Job, user: &UserId, reason: FailureReason) {
        if let Some(callback) = &self.parts.failed_callback {
            let (message, attempt) = (job.message.id, job.attempts.max(1));
            callback(&FailedDelivery { message, user: user.clone(), attempt, reason });
        }
    }

    /// Sends a session what its inbox has and it has not: straight from the jobs as long as they are the
    /// next ones, else from the store.
    async fn bring_up(
        self: &Arc<Self>,
        store: &dyn Store,
        session: &Arc<Session>,
        jobs: &VecDeque<Job>,
        woken: bool,
    ) -> Result<(), StoreError> {
        // Here and not when it was found to be due: this lane is the only one that moves the session.
        session.rewind();
        if session.is_full() {
            return Ok(());
        }
        let settled = session.settled();
        for job in jobs {
            let next = session.tail().next();
            if job.seq == Some(next) && next > settled && !self.hand_over(session, &job.message, next) {
                return Ok(());
            }
        }
        let goal = jobs.iter().filter_map(|job| job.seq).max().map(|newest| newest.max(settled));
        // It is woken when it is new or has room again: then only the store knows what there is.
        if goal.is_none() && !woken {
            return Ok(());
        }
        while goal.is_none_or(|goal| session.tail() < goal) {
            // A backlog is safe where it is, and a server that stops would never be done with it.
            if self.closed.load(Ordering::Relaxed) {
                break;
            }
            let entries = store.read(session.user(), session.tail(), PAGE).await?;
            if entries.is_empty() {
                break;
            }
            for entry in entries {
                if !self.hand_over(session, &entry.message, entry.seq) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn hand_over(self: &Arc<Self>, session: &Arc<Session>, message: &Message, seq: Seq) -> bool {
        if message.is_expired(Timestamp::now()) {
            session.pass_over(seq);
            return true;
        }
        let guarantee = session.guarantee(message);
        // A device may choose later to get it, until it has acknowledged what is behind it.
        if guarantee.is_none() && !session.wants_inbox() {
            session.hold(seq);
            return true;
        }
        // It is in the inbox for another device of the same user.
        if message.topic.as_ref().is_some_and(|topic| !session.follows(topic)) {
            if session.skip(seq) {
                self.write_down(session);
            }
            return true;
        }
        let delivery = Delivery {
            redelivered: session.may_have_seen(seq),
            at_most_once: guarantee == Some(Guarantee::AtMostOnce),
            ..Delivery::kept(message, seq)
        };
        let taken = session.send(&delivery) == Sent::Taken;
        if taken {
            if self.telling.is_wanted(Stage::Sent) {
                session.tell_in_flight(seq, |sent| self.tell_sent(session, sent));
            }
            if session.watch_unconfirmed() {
                self.reactor().confirm(session);
            }
            if session.acknowledgement() != Acknowledgement::ByTcp {
                self.redelivery.watch(session, self.settings.ack_timeout);
            }
        }
        taken
    }
}
