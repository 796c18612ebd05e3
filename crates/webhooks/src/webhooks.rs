//! All endpoints.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use msgserver_message::{MessageId, Stage, Step, Target, Timestamp};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::courier::Courier;
use crate::event::Event;
use crate::outbox::{Outbox, WebhookFigures};
use crate::post::Post;
use crate::{Endpoint, WebhookError};

/// Endpoints that are told of steps. Cheap to clone.
#[derive(Clone)]
pub struct Webhooks {
    running: Arc<Running>,
}

struct Running {
    outboxes: Vec<Arc<Outbox>>,
    couriers: Mutex<Vec<JoinHandle<()>>>,
    ending: watch::Sender<bool>,
}

impl Webhooks {
    /// Begins to serve endpoints, on the current tokio runtime.
    ///
    /// # Errors
    /// [`WebhookError::NoSecret`], or [`WebhookError::Certificates`] if one of them is `https` and the system has no
    /// certificates.
    pub fn start(endpoints: Vec<Endpoint>) -> Result<Self, WebhookError> {
        if let Some(endpoint) = endpoints.iter().find(|endpoint| endpoint.secrets.is_empty()) {
            return Err(WebhookError::NoSecret(endpoint.to_string()));
        }
        let (post, since) = (Post::new(&endpoints)?, Timestamp::now());
        let ending = watch::Sender::new(false);
        let outboxes: Vec<_> =
            endpoints.into_iter().map(|endpoint| Arc::new(Outbox::new(endpoint))).collect();
        let couriers = outboxes.iter().map(|outbox| {
            let (outbox, post, ending) = (Arc::clone(outbox), post.clone(), ending.subscribe());
            tokio::spawn(Courier { outbox, post, since, ending }.work())
        });
        let couriers = Mutex::new(couriers.collect());
        Ok(Self { running: Arc::new(Running { outboxes, couriers, ending }) })
    }

    /// Whether any endpoint is told of this stage: who tells can spare the work otherwise.
    #[must_use]
    pub fn wants(&self, stage: Stage) -> bool {
        self.running.outboxes.iter().any(|outbox| outbox.endpoint.selection.stages.contains(&stage))
    }

    /// Tells of a step that a message has come to; of one of the message as a whole, whom the message is for, if that
    /// is known. Does not wait: what cannot be sent at once waits in memory.
    pub fn tell(&self, id: MessageId, step: &Step, target: Option<&Target>) {
        let mut event = None;
        for outbox in &self.running.outboxes {
            if outbox.endpoint.selection.takes(step, target) {
                outbox.push(event.get_or_insert_with(|| Arc::new(Event::new(id, step, target))));
            }
        }
    }

    /// What is counted.
    #[must_use]
    pub fn figures(&self) -> WebhookFigures {
        let mut figures = WebhookFigures::default();
        self.running.outboxes.iter().for_each(|outbox| outbox.add_to(&mut figures));
        figures
    }

    /// Ends: what waits is sent as far as endpoints take it within `patience`; the rest is dropped, and the log says
    /// how much.
    pub async fn stop(&self, patience: Duration) {
        self.running.ending.send_replace(true);
        let couriers = std::mem::take(&mut *self.running.couriers.lock());
        let deadline = tokio::time::Instant::now() + patience;
        for (mut courier, outbox) in couriers.into_iter().zip(&self.running.outboxes) {
            if tokio::time::timeout_at(deadline, &mut courier).await.is_err() {
                courier.abort();
                // Until it has ended, it may still be told that something has arrived.
                let _ = courier.await;
            }
            let dropped = outbox.close();
            if dropped > 0 {
                tracing::error!(
                    endpoint = %outbox.endpoint, dropped,
                    "the webhook has not taken everything before the end"
                );
            }
        }
    }
}

impl fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endpoints = self.running.outboxes.iter().map(|outbox| outbox.endpoint.to_string());
        f.debug_list().entries(endpoints).finish()
    }
}
