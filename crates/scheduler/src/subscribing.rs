//! Who follows which topics.

use std::sync::Arc;

use msgserver_message::{Seq, Topic, TopicFilter};
use msgserver_mqtt::{Subscribe, Unsubscribe};
use msgserver_persistence::{Entry, StoreError, TopicLog};
use msgserver_pool::{Sent, Session};
use msgserver_protocol::{Delivery, ErrorCode, ServerFrame};

use crate::core::Core;
use crate::guest::Guest;
use crate::{Scheduler, SubscribeError};

/// What is known of a topic.
#[derive(Debug, Clone, Default)]
pub struct TopicPresence {
    /// The sessions that follow it now, in the order in which they came.
    pub sessions: Vec<Arc<Session>>,
    /// How many users have a device that follows it, connected or not; of a server without a store, and of
    /// connections without a name, only sessions follow.
    pub log: TopicLog,
}

impl Scheduler {
    /// Has a session follow a topic, or all topics that fit. If the device has an inbox, what is published there comes
    /// into it from now on, also while the device is away, until it follows no more; else it follows as long as it is
    /// connected. The last `history` messages of each topic are sent first, without a number.
    ///
    /// # Errors
    /// [`SubscribeError`] says why not.
    pub async fn subscribe(
        &self,
        session: &Arc<Session>,
        topics: &TopicFilter,
        history: usize,
    ) -> Result<(), SubscribeError> {
        self.core.subscribe(session, topics, history).await
    }

    /// Has a session follow no more what it followed under this very filter.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be asked.
    pub async fn unsubscribe(&self, session: &Arc<Session>, topics: &TopicFilter) -> Result<(), StoreError> {
        self.core.unsubscribe(session, topics).await
    }

    /// Who follows a topic, and what its log holds.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be asked.
    pub async fn topic(&self, topic: &Topic) -> Result<TopicPresence, StoreError> {
        let audience = self.core.topics.audience(topic);
        let log = match &self.core.parts.store {
            Some(store) => store.topic(topic).await?,
            None => TopicLog::default(),
        };
        Ok(TopicPresence { sessions: audience.map_or_else(Vec::new, |all| all.sessions().to_vec()), log })
    }

    /// The first messages of a topic's log after a number, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be asked.
    pub async fn published(&self, topic: &Topic, after: Seq, limit: usize) -> Result<Vec<Entry>, StoreError> {
        match &self.core.parts.store {
            Some(store) => store.published(topic, after, limit).await,
            None => Ok(Vec::new()),
        }
    }
}

impl Core {
    pub(crate) async fn subscribe(
        &self,
        session: &Arc<Session>,
        topics: &TopicFilter,
        history: usize,
    ) -> Result<(), SubscribeError> {
        if !self.may_follow(session, topics) {
            return Err(SubscribeError::Forbidden(topics.clone()));
        }
        match self.store_for(session.user()) {
            Some(store) => store.follow(session.user(), session.device(), topics).await?,
            None => self.has_room_for(&session.following(), topics)?,
        }
        self.topics.follow(session, topics);
        if history > 0
            && let Some(store) = &self.parts.store
        {
            for entry in store.history(topics, history).await? {
                if session.send(&Delivery::notice(&entry.message)) == Sent::Full {
                    return Err(SubscribeError::HistoryCut);
                }
            }
        }
        Ok(())
    }

    /// Whether its token lets a session follow these topics: all of them. To be asked while it is certainly not over.
    pub(crate) fn may_follow(&self, session: &Session, topics: &TopicFilter) -> bool {
        self.grants.of(session).is_none_or(|access| access.may_follow(topics.as_str()))
    }

    /// Has a guest follow what it asks for, beside what its device follows already.
    pub(crate) async fn follow_from_hello(
        &self,
        guest: &Guest,
        mut following: Vec<TopicFilter>,
    ) -> Beginning {
        let may_follow = |topics: &TopicFilter| {
            guest.access.as_ref().is_none_or(|access| access.may_follow(topics.as_str()))
        };
        // A device may have lost the right to what it followed.
        following.retain(may_follow);
        let mut refusals = Vec::new();
        for topics in &guest.topics {
            let done = if !may_follow(topics) {
                Err(SubscribeError::Forbidden(topics.clone()))
            } else if let Some(store) = self.store_for(&guest.user) {
                store.follow(&guest.user, &guest.device, topics).await.map_err(SubscribeError::from)
            } else {
                self.has_room_for(&following, topics)
            };
            match done {
                Ok(()) => following.push(topics.clone()),
                Err(fault) => refusals.push(refusal(&fault)),
            }
        }
        Beginning { following, refusals }
    }

    /// Whether a session for which nothing is kept may follow one topic more.
    pub(crate) fn has_room_for(
        &self,
        following: &[TopicFilter],
        topics: &TopicFilter,
    ) -> Result<(), SubscribeError> {
        let limit = self.settings.topics;
        if following.len() < limit || following.contains(topics) {
            Ok(())
        } else {
            Err(SubscribeError::TooMany { limit })
        }
    }

    pub(crate) async fn unsubscribe(
        &self,
        session: &Arc<Session>,
        topics: &TopicFilter,
    ) -> Result<(), StoreError> {
        if let Some(store) = self.store_for(session.user()) {
            store.unfollow(session.user(), session.device(), topics).await?;
        }
        self.topics.unfollow(session, topics);
        Ok(())
    }

    /// Does what a session asked for in a frame, and says so if it could not be.
    pub(crate) async fn subscribe_as_asked(self: &Arc<Self>, session: &Arc<Session>, asked: &Asked) {
        let done = match asked {
            Asked::Subscribe(topics, history) => self.subscribe(session, topics, *history).await,
            Asked::Unsubscribe(topics) => {
                self.unsubscribe(session, topics).await.map_err(SubscribeError::from)
            }
            Asked::Packet(asked) => {
                self.subscribe_packet(session, asked).await;
                Ok(())
            }
            Asked::UnsubscribePacket(asked) => {
                self.unsubscribe_packet(session, asked).await;
                Ok(())
            }
            Asked::Pong => {
                self.say(session, &ServerFrame::Pong);
                Ok(())
            }
        };
        if let Err(fault) = done {
            self.say(session, &refusal(&fault));
        }
    }
}

/// What a session follows when it begins, and why not all that it has asked for.
#[derive(Default)]
pub(crate) struct Beginning {
    pub(crate) following: Vec<TopicFilter>,
    pub(crate) refusals: Vec<ServerFrame>,
}

/// What a session asks for about topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    Subscribe(TopicFilter, usize),
    Unsubscribe(TopicFilter),
    Packet(Subscribe),
    UnsubscribePacket(Unsubscribe),
    /// To be told when what was asked for before is done.
    Pong,
}

/// What a client is told that may not follow, or cannot now.
pub(crate) fn refusal(fault: &SubscribeError) -> ServerFrame {
    let code = match fault {
        SubscribeError::Forbidden(_) => ErrorCode::Forbidden,
        SubscribeError::TooMany { .. } | SubscribeError::Store(StoreError::TooManyTopics { .. }) => {
            ErrorCode::TooManyTopics
        }
        SubscribeError::HistoryCut => ErrorCode::Overloaded,
        SubscribeError::Store(_) => ErrorCode::Unavailable,
    };
    ServerFrame::Error { code, detail: fault.to_string(), reference: None }
}
