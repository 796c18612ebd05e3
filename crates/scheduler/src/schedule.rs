//! What is done when its time comes: messages that were scheduled, and what is old.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use msgserver_message::Timestamp;
use msgserver_persistence::{Recipients, Released};

use crate::core::Core;
use crate::delivering::{Job, STORE_RETRY};
use crate::publishing::Audience;

/// How many scheduled messages are handed on at a time.
const RELEASED_AT_ONCE: usize = 1000;

/// The schedule is looked at this often at least: another server may share it, and the clock may be set.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// How often the store is asked to forget what is old.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

impl Core {
    /// Hands on what was scheduled, each when its time has come.
    pub(crate) async fn keep_schedule(self: Arc<Self>) {
        let Some(store) = self.parts.store.clone() else { return };
        let mut stopping = self.stopping.subscribe();
        loop {
            let due = {
                // Which messages are released is only known when they are.
                let _hold = self.telling.hold_all();
                store.release_due(Timestamp::now(), RELEASED_AT_ONCE).await
            };
            let wait = match due {
                Ok(due) => {
                    due.released.into_iter().for_each(|released| self.release(released));
                    self.put_to_work();
                    due.next.map_or(LONGEST_WAIT, |next| {
                        let now = Timestamp::now().as_millis();
                        Duration::from_millis(next.as_millis().saturating_sub(now)).min(LONGEST_WAIT)
                    })
                }
                Err(fault) => {
                    tracing::warn!(%fault, "the schedule cannot be read");
                    STORE_RETRY
                }
            };
            tokio::select! {
                biased;
                () = tokio::time::sleep(wait) => {}
                () = self.schedule.notified() => {}
                _ = stopping.wait_for(|stopping| *stopping) => return,
            }
        }
    }

    fn release(&self, released: Released) {
        let Released { message, recipients, seqs } = released;
        let audience = match recipients {
            Recipients::Nobody => Some(Audience::Everybody),
            Recipients::Known | Recipients::Followers => Some(Audience::WithoutInbox),
            Recipients::Users(_) => None,
        };
        match audience {
            None => {}
            Some(audience) if message.topic.is_some() => self.notify_followers(&message, audience, None),
            Some(audience) => match self.notice(&message, audience, None) {
                Ok(notice) => self.reactor().broadcast(&Arc::new(notice)),
                Err(fault) => tracing::warn!(id = %message.id, %fault, "a scheduled notice was not sent"),
            },
        }
        for (user, seq) in seqs {
            self.parts.queue.push(&user, Job::kept(&message, seq, None));
        }
    }

    /// Has the store forget what is old.
    pub(crate) async fn keep_tidy(self: Arc<Self>) {
        let Some(store) = self.parts.store.clone() else { return };
        let mut stopping = self.stopping.subscribe();
        loop {
            let more = match store.sweep(Timestamp::now()).await {
                Ok(swept) => {
                    self.counters.expired.fetch_add(swept.expired, Ordering::Relaxed);
                    swept.more
                }
                Err(fault) => {
                    tracing::warn!(%fault, "what is old cannot be forgotten");
                    false
                }
            };
            let wait = if more { Duration::from_millis(100) } else { SWEEP_EVERY };
            tokio::select! {
                biased;
                () = tokio::time::sleep(wait) => {}
                _ = stopping.wait_for(|stopping| *stopping) => return,
            }
        }
    }
}
