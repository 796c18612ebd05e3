//! What becomes of a client of MQTT when its connection is over.

use std::sync::Arc;
use std::time::Duration;

use msgserver_message::{Timestamp, TopicFilter};
use msgserver_pool::{CloseReason, Session};

use super::records;
use crate::core::Core;
use crate::{Publication, Scheduler};

/// What is to be known of a device whose session is over.
pub(crate) enum Remains {
    /// As of every device.
    Device,
    /// And when its subscriptions end.
    Until(TopicFilter),
    /// Nothing.
    Nothing,
}

impl Core {
    /// Publishes the will of a client that has gone without saying so. Gives what is to be known of its device.
    pub(crate) fn talk_is_over(self: &Arc<Self>, session: &Arc<Session>, reason: &CloseReason) -> Remains {
        if self.version_of(session).is_none() {
            return Remains::Device;
        }
        let mut talk = self.talks.end(session.id());
        let is_replaced = *reason == CloseReason::Replaced;
        // A will that waits is not published if its client comes back, and this one is back.
        if let Some(will) = talk.will.take().filter(|will| will.delay == 0 || !is_replaced) {
            let delay = will.delay.min(talk.session_expiry);
            self.publish_will(session, will.publication, Duration::from_secs(delay.into()));
        }
        if talk.session_expiry > 0 {
            self.talks.keep_received(session.user(), session.device(), &mut talk);
        }
        let others = self.parts.pool.sessions_of(session.user());
        match talk.session_expiry {
            _ if others.iter().any(|other| other.device() == session.device()) => Remains::Device,
            0 => Remains::Nothing,
            u32::MAX => Remains::Device,
            seconds => {
                let end = Timestamp::now().saturating_add(Duration::from_secs(seconds.into()));
                Remains::Until(records::of_end(end))
            }
        }
    }

    fn publish_will(self: &Arc<Self>, session: &Session, will: Publication, delay: Duration) {
        let (user, device) = (session.user().clone(), session.device().clone());
        let waits = (!delay.is_zero()).then(|| self.talks.await_return(user.clone(), device.clone()));
        let core = Arc::clone(self);
        self.runtime.spawn(async move {
            if let Some(waits) = waits {
                let is_wanted = tokio::time::timeout(delay, waits).await;
                core.talks.has_waited(&user, &device);
                if let Ok(Ok(false)) = is_wanted {
                    return;
                }
            }
            if let Err(fault) = (Scheduler { core }).publish(will).await {
                tracing::warn!(%user, %fault, "a will is not published");
            }
        });
    }
}
