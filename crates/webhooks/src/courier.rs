//! Brings an endpoint what waits for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use msgserver_message::{MessageId, Timestamp};
use serde::Serialize;
use tokio::sync::watch;

use crate::backlog::Batch;
use crate::backoff::Backoff;
use crate::event::Event;
use crate::outbox::Outbox;
use crate::post::{Answer, Post};

/// The longest wait after a failure once the server ends: the time that is left is short.
const LAST_TRIES: Duration = Duration::from_millis(500);

/// Brings one endpoint its events: one request at a time, so that they arrive in their order.
pub(crate) struct Courier {
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) post: Post,
    /// When the server began: it knows of nothing that was not sent before.
    pub(crate) since: Timestamp,
    pub(crate) ending: watch::Receiver<bool>,
}

/// The body of a request.
#[derive(Serialize)]
struct Body<'b> {
    r#type: &'static str,
    timestamp: Timestamp,
    data: Data<'b>,
}

#[derive(Serialize)]
struct Data<'b> {
    since: Timestamp,
    missed: u64,
    steps: &'b [Arc<Event>],
}

impl Courier {
    /// Works until the server ends and nothing waits any more, or the endpoint is gone, or nobody can tell any more.
    pub(crate) async fn work(mut self) {
        let mut backoff = Backoff::default();
        while let Some(batch) = self.next().await {
            // Kept for all tries: an endpoint knows by the id that it has seen the same before.
            let (id, body) = (format!("msg_{}", MessageId::generate()), self.body(&batch));
            loop {
                match self.post.send(&self.outbox.endpoint, &id, &body).await {
                    Answer::Taken => {
                        self.outbox.arrived(&batch);
                        if backoff.failures() > 0 {
                            tracing::info!(endpoint = %self.outbox.endpoint, "the webhook is taken again");
                        }
                        backoff.reset();
                        break;
                    }
                    Answer::Gone => {
                        let dropped = self.outbox.close();
                        tracing::error!(
                            endpoint = %self.outbox.endpoint, dropped,
                            "the webhook is gone (410); it is told of nothing until the next start"
                        );
                        return;
                    }
                    Answer::Failed { why, retry_after } => {
                        self.outbox.failed();
                        if backoff.failures() == 0 {
                            tracing::warn!(
                                endpoint = %self.outbox.endpoint, why,
                                "the webhook is not taken; it is tried again"
                            );
                        }
                        let retry = &self.outbox.endpoint.retry;
                        let wait = backoff.next(retry, rand::random(), retry_after);
                        let is_over = self.outbox.drop_old(&batch, Instant::now());
                        if self.pause(wait).await.is_err() {
                            return;
                        }
                        if is_over {
                            break;
                        }
                    }
                }
            }
        }
    }

    /// The next events; nothing once the server ends and none waits.
    async fn next(&mut self) -> Option<Batch> {
        tokio::select! {
            biased;
            batch = self.outbox.next() => Some(batch),
            // Who would end it is gone, or wants the end.
            _ = self.ending.wait_for(|ending| *ending) => self.outbox.take(),
        }
    }

    /// Waits, but not for long once the server ends.
    ///
    /// # Errors
    /// All handles of the webhooks are gone: nobody would wait for one more try.
    async fn pause(&mut self, wait: Duration) -> Result<(), watch::error::RecvError> {
        if *self.ending.borrow() {
            tokio::time::sleep(wait.min(LAST_TRIES)).await;
            return self.ending.has_changed().map(drop);
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => Ok(()),
            ended = self.ending.wait_for(|ending| *ending) => ended.map(drop),
        }
    }

    fn body(&self, batch: &Batch) -> Bytes {
        let data = Data { since: self.since, missed: batch.missed, steps: &batch.events };
        let body = Body { r#type: "message.steps", timestamp: Timestamp::now(), data };
        serde_json::to_vec(&body).expect("names and times have a form in JSON").into()
    }
}
