//! From a publication to the inboxes and the lanes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::FutureExt;
use msgserver_message::{
    Content, MAX_CONTENT_BYTES, Message, MessageId, Receipt, Stage, Step, Target, Timestamp, UserId,
};
use msgserver_persistence::{Append, Appended, Cancelled, Recipients, StoreError};
use msgserver_pool::Notice;

use crate::core::Core;
use crate::delivering::Job;
use crate::{Publication, PublishError, Published, Scheduler, Taken};

impl Scheduler {
    /// Takes a message; done once it is as safe as the store promises.
    ///
    /// # Errors
    /// [`PublishError`] says why it was refused.
    pub async fn publish(&self, publication: Publication) -> Result<Published, PublishError> {
        let mut outcomes = self.publish_batch(vec![publication]).await;
        outcomes.pop().expect("an outcome for each publication")
    }

    /// Takes several messages; done once they are as safe as the store promises, for which they wait once and
    /// not once each. The outcomes are in the order of the publications. What is on its way into the store is delivered
    /// also if nobody waits for the answer any more.
    pub async fn publish_batch(&self, batch: Vec<Publication>) -> Vec<Result<Published, PublishError>> {
        self.core.publish(batch).await
    }

    /// Sends to everybody who is connected now.
    ///
    /// # Errors
    /// As [`Scheduler::publish`].
    pub async fn send_notice(&self, content: Content) -> Result<Published, PublishError> {
        self.publish(Publication::new(Target::All, content)).await
    }

    /// Sends to one user, or to several: `user` or a list of users.
    ///
    /// # Errors
    /// As [`Scheduler::publish`].
    pub async fn send_message(
        &self,
        content: Content,
        to: impl Into<Target>,
    ) -> Result<Published, PublishError> {
        self.publish(Publication::new(to, content)).await
    }

    /// What became of a message; nothing if it is not known, or not any more.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be asked.
    pub async fn receipt(&self, id: MessageId) -> Result<Option<Receipt>, StoreError> {
        let known = match &self.core.parts.store {
            Some(store) => self.core.receipt(&**store, id).await?,
            None => None,
        };
        Ok(known.or_else(|| self.core.passing.receipt(id)))
    }

    /// Takes back a message, as far as it is not delivered yet.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be asked.
    pub async fn cancel(&self, id: MessageId) -> Result<Cancelled, StoreError> {
        match &self.core.parts.store {
            Some(store) => store.cancel(id).await,
            None => Ok(Cancelled::Unknown),
        }
    }
}

/// A publication that can be.
struct Prepared {
    message: Arc<Message>,
    /// For whom it is only tried.
    passing: Vec<UserId>,
    notice: Option<Notice>,
    /// To whom of those who follow its topic it goes as a notice, if it has one.
    followers: Option<Audience>,
    /// What it is in once it is taken, unless the store has it wait for its time.
    state: Stage,
    /// Whether its publisher has named a time for it.
    has_time: bool,
    taken: Arc<Taken>,
}

/// A publication that can be, with whether the store is asked to keep something of it, or why it is refused.
type Checked = Result<(Prepared, bool), PublishError>;

/// To whom something goes as a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    Everybody,
    /// The others get it from their inboxes.
    WithoutInbox,
}

impl Core {
    async fn publish(self: &Arc<Self>, batch: Vec<Publication>) -> Vec<Result<Published, PublishError>> {
        let mut appends = Vec::new();
        let mut checked = Vec::with_capacity(batch.len());
        for publication in batch {
            checked.push(self.prepare(publication).map(|(one, append)| {
                let is_kept = append.is_some();
                appends.extend(append);
                (one, is_kept)
            }));
        }
        if appends.is_empty() {
            return self.finish(checked, Vec::new()).await;
        }
        let (core, count) = (Arc::clone(self), checked.len());
        let mut keeping = Box::pin(async move { core.keep(checked, appends).await });
        // A store in memory answers at once.
        if let Some(outcomes) = (&mut keeping).now_or_never() {
            return outcomes;
        }
        // In a task of its own: a publisher that leaves while it waits takes back nothing that the store has been
        // given, and whoever is connected has to be sent it.
        self.runtime.spawn(keeping).await.unwrap_or_else(|fault| match fault.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends, and the server with it.
            Err(_) => (0..count).map(|_| Err(PublishError::ShuttingDown)).collect(),
        })
    }

    /// Puts what is to be kept into the store, and hands on what it has taken.
    async fn keep(
        self: &Arc<Self>,
        checked: Vec<Checked>,
        appends: Vec<Append>,
    ) -> Vec<Result<Published, PublishError>> {
        let answers = match &self.parts.store {
            Some(store) => {
                let _hold = self.telling.hold(appends.iter().map(|append| append.message.id));
                store.append(appends).await
            }
            None => Vec::new(),
        };
        self.finish(checked, answers).await
    }

    /// Hands on what is taken, and counts; the answers are those of the store to what it was asked to keep.
    async fn finish(
        self: &Arc<Self>,
        checked: Vec<Checked>,
        answers: Vec<Result<Appended, StoreError>>,
    ) -> Vec<Result<Published, PublishError>> {
        let mut answers = answers.into_iter();
        let mut outcomes = Vec::with_capacity(checked.len());
        for one in checked {
            let outcome = match one {
                Err(fault) => Err(fault),
                Ok((one, is_kept)) => {
                    let answer = is_kept.then(|| answers.next().expect("an answer for each append"));
                    match answer.transpose() {
                        Ok(appended) => Ok(self.hand_on(one, appended).await),
                        Err(fault) => Err(fault.into()),
                    }
                }
            };
            outcomes.push(outcome);
        }
        self.put_to_work();
        let refused = outcomes.iter().filter(|outcome| outcome.is_err()).count() as u64;
        self.counters.refused.fetch_add(refused, Ordering::Relaxed);
        self.counters.accepted.fetch_add(outcomes.len() as u64 - refused, Ordering::Relaxed);
        outcomes
    }

    /// What a publication becomes, and what the store is to keep of it.
    fn prepare(&self, publication: Publication) -> Result<(Prepared, Option<Append>), PublishError> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(PublishError::ShuttingDown);
        }
        let bytes = publication.content.as_json().len();
        if bytes > MAX_CONTENT_BYTES {
            return Err(PublishError::TooLong { bytes, limit: MAX_CONTENT_BYTES });
        }
        let mut message = Message::new(publication.content);
        message.properties = publication.properties;
        let taken = Arc::new(self.intake.take(message.bytes())?);
        let check_id = publication.id.is_some();
        message.id = publication.id.unwrap_or(message.id);
        message.priority = publication.priority;
        message.collapse_key = publication.collapse_key;
        let starts = publication.deliver_at.unwrap_or(message.sent_at).max(message.sent_at);
        message.expires_at = publication.ttl.map(|ttl| starts.saturating_add(ttl));
        let later = publication.deliver_at.is_some_and(|at| at > message.sent_at);

        let has_store = self.parts.store.is_some();
        let (mut passing, mut followers) = (Vec::new(), None);
        let (recipients, audience) = match publication.target {
            Target::All => {
                self.admit(self.reactor().notices_waiting())?;
                let stored = publication.store == Some(true);
                if stored && !has_store {
                    return Err(PublishError::NeedsStore("a notice with \"store\": true"));
                }
                let audience = if stored { Audience::WithoutInbox } else { Audience::Everybody };
                let recipients = match stored {
                    true => Some(Recipients::Known),
                    false => (has_store && later).then_some(Recipients::Nobody),
                };
                (recipients, Some(audience))
            }
            Target::User(user) => (self.inboxes(vec![user], publication.store, &mut passing)?, None),
            Target::Users(mut users) => {
                users.sort_unstable();
                users.dedup();
                (self.inboxes(users, publication.store, &mut passing)?, None)
            }
            Target::Topic(topic) => {
                self.admit(self.parts.queue.len().max(self.reactor().notices_waiting()))?;
                message.topic = Some(topic);
                let kept = has_store && publication.store != Some(false);
                followers = Some(if kept { Audience::WithoutInbox } else { Audience::Everybody });
                let recipients = match kept {
                    true => Some(Recipients::Followers),
                    false => (has_store && later).then_some(Recipients::Nobody),
                };
                (recipients, None)
            }
            _ => return Err(PublishError::NotSupported("such a target")),
        };
        if later && (recipients.is_none() || !passing.is_empty()) {
            return Err(PublishError::NeedsStore("deliver_at"));
        }
        let state = match &recipients {
            Some(Recipients::Users(_) | Recipients::Known | Recipients::Followers) => Stage::Accepted,
            _ => Stage::Queued,
        };
        // An id counts once also where nothing is kept.
        let recipients = recipients.or((has_store && check_id).then_some(Recipients::Nobody));
        let message = Arc::new(message);
        let notice = audience.map(|audience| self.notice(&message, audience, Some(&taken))).transpose()?;
        let append = recipients.map(|recipients| Append {
            message: Arc::clone(&message),
            recipients,
            check_id,
            deliver_at: publication.deliver_at,
            if_full: publication.if_full,
            besides: passing.iter().cloned().collect(),
        });
        let has_time = publication.deliver_at.is_some();
        Ok((Prepared { message, passing, notice, followers, state, has_time, taken }, append))
    }

    /// The inboxes that a message goes into; users without one are put among `passing`.
    fn inboxes(
        &self,
        users: Vec<UserId>,
        store: Option<bool>,
        passing: &mut Vec<UserId>,
    ) -> Result<Option<Recipients>, PublishError> {
        if users.is_empty() {
            return Err(PublishError::NoUser);
        }
        self.admit(self.parts.queue.len())?;
        let has_inbox = |user: &UserId| store != Some(false) && self.store_for(user).is_some();
        let (kept, others): (Vec<_>, Vec<_>) = users.into_iter().partition(has_inbox);
        *passing = others;
        Ok((!kept.is_empty()).then(|| Recipients::Users(kept.into())))
    }

    fn admit(&self, waiting: usize) -> Result<(), PublishError> {
        let limit = self.settings.queue_limit;
        if waiting < limit { Ok(()) } else { Err(PublishError::Overloaded { waiting, limit }) }
    }

    /// What is kept is answered for; from here on nothing can be refused.
    async fn hand_on(&self, one: Prepared, appended: Option<Appended>) -> Published {
        let Prepared { message, passing, notice, followers, mut state, has_time, taken } = one;
        let id = message.id;
        match appended {
            Some(Appended::Scheduled) => {
                state = Stage::Scheduled;
                self.schedule.notify_one();
            }
            // Its time may have come since it was taken, and the answer is to be the first one's.
            Some(Appended::Duplicate) if has_time => state = self.first_state(id).await.unwrap_or(state),
            Some(Appended::Duplicate) => {}
            appended => {
                if appended.is_none() {
                    self.passing.note(id);
                }
                if appended.is_none() && self.telling.is_wanted(Stage::Queued) {
                    let target = match &message.topic {
                        Some(topic) => Target::Topic(topic.clone()),
                        None if notice.is_some() => Target::All,
                        None => Target::Users(passing.clone()),
                    };
                    self.telling.tell(id, &Step::new(state, Timestamp::now()), Some(&target));
                }
                if let Some(notice) = notice {
                    self.reactor().broadcast(&Arc::new(notice));
                }
                if let Some(audience) = followers {
                    self.notify_followers(&message, audience, Some(&taken));
                }
                if let Some(Appended::New(seqs)) = appended {
                    for (user, seq) in seqs {
                        self.parts.queue.push(&user, Job::kept(&message, seq, Some(&taken)));
                    }
                }
                for user in passing {
                    self.parts.queue.push(&user, Job::passing(&message, &taken));
                }
            }
        }
        Published { id, state }
    }

    /// Sends a message of a topic to sessions that follow it: all of them, or those that do not find it in an inbox.
    pub(crate) fn notify_followers(&self, message: &Message, audience: Audience, taken: Option<&Arc<Taken>>) {
        let sessions = message.topic.as_ref().and_then(|topic| self.topics.audience(topic));
        let wanted =
            |sessions: &msgserver_pool::Audience| audience == Audience::Everybody || sessions.has_passing();
        let Some(sessions) = sessions.filter(wanted) else { return };
        match self.notice(message, audience, taken) {
            Ok(notice) => self.reactor().broadcast(&Arc::new(notice.to(sessions))),
            Err(fault) => tracing::warn!(id = %message.id, %fault, "a message of a topic was not sent"),
        }
    }

    /// What was said of a message when it was taken.
    async fn first_state(&self, id: MessageId) -> Option<Stage> {
        let receipt = self.parts.store.as_ref()?.receipt(id).await.ok()??;
        receipt.steps.first().map(|step| step.state)
    }

    /// The message for every session, or for those whose users have no inbox. Encoded before anything is kept: what
    /// has no form at one of the doors is refused.
    pub(crate) fn notice(
        &self,
        message: &Message,
        audience: Audience,
        taken: Option<&Arc<Taken>>,
    ) -> Result<Notice, PublishError> {
        let mut notice = Notice::new(message.clone(), Arc::clone(&self.encoders))?;
        if let Some(taken) = taken {
            notice = notice.holding(taken.clone());
        }
        Ok(match audience {
            Audience::Everybody => notice,
            Audience::WithoutInbox => notice.without_inbox(),
        })
    }
}
