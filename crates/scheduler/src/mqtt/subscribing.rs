//! Subscribing over MQTT.

use std::sync::Arc;

use msgserver_message::{Content, DeviceId, TopicFilter, UserId};
use msgserver_mqtt::{Answer, Qos, Reason, Retained, Subscribe, Subscription, Unsubscribe};
use msgserver_persistence::{Store, StoreError};
use msgserver_pool::{Guarantee, Session};
use msgserver_protocol::{Delivery, INBOX, NOTICES, TOPIC_PREFIX};

use super::records;
use crate::SubscribeError;
use crate::core::Core;

/// How many filters of one packet are looked at: each may take the store a while, for which others wait.
const FILTERS_A_PACKET: usize = 256;

/// What a filter names.
enum Source {
    /// Messages to the user.
    Inbox,
    /// Notices to all.
    Notices,
    /// Messages of topics.
    Topics(TopicFilter),
}

impl Source {
    fn of(filter: &str) -> Result<Self, Reason> {
        match filter {
            INBOX => Ok(Self::Inbox),
            NOTICES => Ok(Self::Notices),
            _ if filter.starts_with("$share/") => Err(Reason::SHARED),
            _ if filter.ends_with('#') => Err(Reason::WILDCARD),
            _ => {
                let topics = filter.strip_prefix(TOPIC_PREFIX).ok_or(Reason::TOPIC_FILTER)?;
                TopicFilter::new(topics).map(Self::Topics).map_err(|_| Reason::TOPIC_FILTER)
            }
        }
    }
}

const fn granted(guarantee: Guarantee) -> Reason {
    match guarantee {
        Guarantee::AtMostOnce => Reason::SUCCESS,
        Guarantee::AtLeastOnce => Reason::GRANTED_1,
    }
}

impl Core {
    /// Has a session get what it asks for, and tells it what became of each filter.
    pub(crate) async fn subscribe_packet(self: &Arc<Self>, session: &Arc<Session>, asked: &Subscribe) {
        let mut reasons = Vec::with_capacity(asked.filters.len());
        for subscription in asked.filters.iter().take(FILTERS_A_PACKET) {
            reasons.push(self.subscribe_one(session, subscription).await.unwrap_or_else(|reason| reason));
        }
        reasons.resize(asked.filters.len(), Reason::QUOTA);
        self.answer(session, &Answer::Subscribed(asked.packet, reasons));
    }

    async fn subscribe_one(
        self: &Arc<Self>,
        session: &Arc<Session>,
        asked: &Subscription,
    ) -> Result<Reason, Reason> {
        // Who published a message, and whether it was to be retained, is not known any more when it is delivered.
        if asked.no_local || asked.retain_as_published {
            return Err(Reason::IMPLEMENTATION);
        }
        // What is kept nowhere cannot be sent again.
        let guarantee = match asked.qos {
            Qos::AtLeastOnce | Qos::ExactlyOnce if session.has_inbox() => Guarantee::AtLeastOnce,
            _ => Guarantee::AtMostOnce,
        };
        let chosen = session.choice().unwrap_or_default();
        match Source::of(&asked.filter)? {
            Source::Notices => {
                if !chosen.notices {
                    self.record(session, &records::of_notices(), true).await?;
                }
                session.choose(|choice| choice.notices = true);
                return Ok(Reason::SUCCESS);
            }
            Source::Inbox => {
                if chosen.inbox != Some(guarantee) {
                    self.record(session, &records::of_inbox(guarantee), true).await?;
                    if let Some(earlier) = chosen.inbox {
                        self.record(session, &records::of_inbox(earlier), false).await?;
                    }
                }
                session.choose_inbox(guarantee);
                if chosen.inbox.is_none() {
                    self.wake(session.user());
                }
            }
            Source::Topics(topics) => self.subscribe_topics(session, asked, &topics, guarantee).await?,
        }
        Ok(granted(guarantee))
    }

    async fn subscribe_topics(
        self: &Arc<Self>,
        session: &Arc<Session>,
        asked: &Subscription,
        topics: &TopicFilter,
        guarantee: Guarantee,
    ) -> Result<(), Reason> {
        let is_new = !session.following().contains(topics);
        let wants_retained = match asked.retained {
            Retained::Always => true,
            Retained::IfNew => is_new,
            Retained::Never => false,
        };
        let before = session.choice().unwrap_or_default().of_topics(topics);
        session.choose(|choice| choice.choose_topics(topics, guarantee));
        match self.subscribe(session, topics, 0).await {
            Ok(()) => {}
            Err(SubscribeError::Forbidden(_)) => return Err(Reason::NOT_AUTHORIZED),
            Err(SubscribeError::Store(fault)) => return Err(unkept(&fault)),
            Err(_) => return Err(Reason::QUOTA),
        }
        // Published since the store has known that it follows, and before its session did.
        if session.begin_anew() {
            self.wake(session.user());
        }
        if before != guarantee
            && let Some(record) = records::of_topics_at_most_once(topics)
        {
            self.record(session, &record, guarantee == Guarantee::AtMostOnce).await?;
        }
        if wants_retained {
            self.send_retained(session, topics).await;
        }
        Ok(())
    }

    /// Sends the last message of each topic. One that is empty stands for none.
    async fn send_retained(&self, session: &Session, topics: &TopicFilter) {
        let Some(store) = &self.parts.store else { return };
        match store.history(topics, 1).await {
            Ok(last) => {
                for entry in last.iter().filter(|entry| entry.message.content != Content::text("")) {
                    session.send(&Delivery { retained: true, ..Delivery::notice(&entry.message) });
                }
            }
            Err(fault) => tracing::warn!(%topics, %fault, "what is retained cannot be read"),
        }
    }

    /// Has a session get no more what it asked for, and tells it what became of each filter.
    pub(crate) async fn unsubscribe_packet(self: &Arc<Self>, session: &Arc<Session>, asked: &Unsubscribe) {
        let mut reasons = Vec::with_capacity(asked.filters.len());
        for filter in &asked.filters {
            reasons.push(self.unsubscribe_one(session, filter).await.unwrap_or_else(|reason| reason));
        }
        self.answer(session, &Answer::Unsubscribed(asked.packet, reasons));
    }

    async fn unsubscribe_one(&self, session: &Arc<Session>, filter: &str) -> Result<Reason, Reason> {
        let (mut had, chosen) = (false, session.choice().unwrap_or_default());
        match Source::of(filter) {
            Err(_) => {}
            Ok(Source::Notices) => {
                had = chosen.notices;
                if had {
                    self.record(session, &records::of_notices(), false).await?;
                    session.choose(|choice| choice.notices = false);
                }
            }
            Ok(Source::Inbox) => {
                if let Some(guarantee) = chosen.inbox {
                    had = true;
                    self.record(session, &records::of_inbox(guarantee), false).await?;
                    session.choose(|choice| choice.inbox = None);
                }
            }
            Ok(Source::Topics(topics)) => {
                had = session.following().contains(&topics);
                if had {
                    self.unsubscribe(session, &topics).await.map_err(|fault| unkept(&fault))?;
                    if chosen.of_topics(&topics) == Guarantee::AtMostOnce
                        && let Some(record) = records::of_topics_at_most_once(&topics)
                    {
                        self.record(session, &record, false).await?;
                    }
                    session.choose(|choice| choice.choose_topics(&topics, Guarantee::AtLeastOnce));
                }
            }
        }
        Ok(if had { Reason::SUCCESS } else { Reason::NO_SUBSCRIPTION_EXISTED })
    }

    /// Keeps a record of a subscription, or takes it away, if the session outlasts its connection.
    async fn record(&self, session: &Session, record: &TopicFilter, is_on: bool) -> Result<(), Reason> {
        let outlasts = self.talks.with(session.id(), |talk| talk.session_expiry > 0);
        let Some(store) = self.store_for(session.user()).filter(|_| outlasts) else { return Ok(()) };
        let kept = match is_on {
            true => store.follow(session.user(), session.device(), record).await,
            false => store.unfollow(session.user(), session.device(), record).await,
        };
        kept.map_err(|fault| unkept(&fault))
    }

    /// Has a device follow nothing.
    pub(super) async fn forget_topics(
        store: &dyn Store,
        user: &UserId,
        device: &DeviceId,
        topics: &[TopicFilter],
    ) -> Result<(), StoreError> {
        for topics in topics {
            store.unfollow(user, device, topics).await?;
        }
        Ok(())
    }
}

fn unkept(fault: &StoreError) -> Reason {
    match fault {
        StoreError::TooManyTopics { .. } => Reason::QUOTA,
        _ => {
            tracing::warn!(%fault, "a subscription is not kept");
            Reason::UNSPECIFIED
        }
    }
}
