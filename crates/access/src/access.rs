//! What somebody may do.

use std::time::Duration;

use msgserver_message::{DeviceId, Target, Timestamp, UserId};

use crate::{Claims, PublishRight, TopicPattern};

/// What somebody may do: the outcome of a proof.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Access {
    /// As which user. Without one, as nobody who could be sent a message: a publisher.
    pub user: Option<UserId>,
    /// On this device alone.
    pub device: Option<DeviceId>,
    /// Which topics may be followed.
    pub topics: Vec<TopicPattern>,
    /// To whom one may publish.
    pub publish: Vec<PublishRight>,
    /// The name of the token, by which it can be revoked.
    pub jti: Option<String>,
    /// When it was given.
    pub issued_at: Option<Timestamp>,
    /// When it ends, leeway included.
    pub expires_at: Option<Timestamp>,
}

impl Access {
    /// What claims give, which end as much later as clocks may differ.
    #[must_use]
    pub fn of(claims: Claims, leeway: Duration) -> Self {
        Self {
            user: claims.sub,
            device: claims.device,
            topics: claims.topics,
            publish: claims.publish,
            jti: claims.jti,
            issued_at: claims.iat,
            expires_at: claims.exp.map(|exp| exp.saturating_add(leeway)),
        }
    }

    /// Whether a topic, or all topics of a pattern, may be followed.
    #[must_use]
    pub fn may_follow(&self, topic: &str) -> bool {
        self.topics.iter().any(|pattern| pattern.covers(topic))
    }

    /// Whether anything may be published at all.
    #[must_use]
    pub fn is_publisher(&self) -> bool {
        !self.publish.is_empty()
    }

    /// Whether one may publish to a target.
    #[must_use]
    pub fn may_publish(&self, target: &Target) -> bool {
        PublishRight::allow(&self.publish, target)
    }
}
