//! Subscribing over MQTT.

use std::sync::Arc;

use msgserver_message::TopicFilter;
use msgserver_mqtt::{Answer, Qos, Reason, Retained, Subscribe, Subscription, Unsubscribe};
use msgserver_persistence::{Store, StoreError};
use msgserver_pool::{Guarantee, Session};
use msgserver_protocol::{INBOX, NOTICES, TOPIC_PREFIX};

use super::records;
use crate::SubscribeError;
use crate::core::Core;

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
        for subscription in &asked.filters {
            reasons.push(self.subscribe_one(session, subscription).await.unwrap_or_else(|reason| reason));
        }
        self.answer(session, &Answer::Subscribed(asked.packet, reasons));
    }

    async fn subscribe_one(
        self: &Arc<Self>,
        session: &Arc<Session>,
        asked: &Subscription,
    ) -> Result<Reason, Reason> {
        // Who published a message is not known any more when it is delivered.
        if asked.no_local {
            return Err(Reason::IMPLEMENTATION);
        }
        // What is kept nowhere cannot be sent again.
        let guarantee = match asked.qos {
            Qos::AtLeastOnce | Qos::ExactlyOnce if session.has_inbox() => Guarantee::AtLeastOnce,
            _ => Guarantee::AtMostOnce,
        };
        match Source::of(&asked.filter)? {
            Source::Notices => {
                self.record(session, &records::of_notices(), true).await?;
                session.choose(|choice| choice.notices = true);
                return Ok(Reason::SUCCESS);
            }
            Source::Inbox => {
                for each in [Guarantee::AtMostOnce, Guarantee::AtLeastOnce] {
                    self.record(session, &records::of_inbox(each), each == guarantee).await?;
                }
                let mut had = false;
                session.choose(|choice| had = choice.inbox.replace(guarantee).is_some());
                if !had {
                    session.begin_anew();
                    self.wake(session.user());
                }
            }
            Source::Topics(topics) => self.subscribe_topics(session, asked, &topics, guarantee).await?,
        }
        Ok(granted(guarantee))
    }

    async fn subscribe_topics(
        &self,
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
        if let Some(record) = records::of_topics_at_most_once(topics) {
            let is_at_most_once = guarantee == Guarantee::AtMostOnce;
            if is_at_most_once || !is_new {
                self.record(session, &record, is_at_most_once).await?;
            }
        }
        session.choose(|choice| choice.choose_topics(topics, guarantee));
        match self.subscribe(session, topics, usize::from(wants_retained)).await {
            // It follows; what its connection had no room for is old.
            Ok(()) | Err(SubscribeError::HistoryCut) => Ok(()),
            Err(SubscribeError::Forbidden(_)) => Err(Reason::NOT_AUTHORIZED),
            Err(SubscribeError::TooMany { .. }) => Err(Reason::QUOTA),
            Err(SubscribeError::Store(fault)) => Err(unkept(&fault)),
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
        let mut had = false;
        match Source::of(filter) {
            Err(_) => {}
            Ok(Source::Notices) => {
                self.record(session, &records::of_notices(), false).await?;
                session.choose(|choice| had = std::mem::take(&mut choice.notices));
            }
            Ok(Source::Inbox) => {
                for each in [Guarantee::AtMostOnce, Guarantee::AtLeastOnce] {
                    self.record(session, &records::of_inbox(each), false).await?;
                }
                session.choose(|choice| had = choice.inbox.take().is_some());
            }
            Ok(Source::Topics(topics)) => {
                had = session.following().contains(&topics);
                if let Some(record) = records::of_topics_at_most_once(&topics) {
                    self.record(session, &record, false).await?;
                }
                self.unsubscribe(session, &topics).await.map_err(|fault| unkept(&fault))?;
                session.choose(|choice| choice.choose_topics(&topics, Guarantee::AtLeastOnce));
            }
        }
        Ok(if had { Reason::SUCCESS } else { Reason::NO_SUBSCRIPTION_EXISTED })
    }

    /// Keeps a record of a subscription, or takes it away, if the session outlasts its connection.
    async fn record(&self, session: &Session, record: &TopicFilter, is_on: bool) -> Result<(), Reason> {
        let outlasts = self.talks.with(session.id(), |talk| talk.session_expiry > 0).unwrap_or(false);
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
        user: &msgserver_message::UserId,
        device: &msgserver_message::DeviceId,
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
