//! Steps of messages on their way into the store.

use std::borrow::Cow;
use std::sync::Arc;

use msgserver_message::{DeviceId, MessageId, Receipt, Stage, Step, Timestamp, UserId};
use msgserver_persistence::{Store, StoreError};
use msgserver_pool::{InFlight, Session};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::core::Core;
use crate::delivering::STORE_RETRY;

/// How many messages' steps may wait: a store that is away must not cost memory without end.
const WAITING: usize = 100_000;

type Noted = (MessageId, Vec<Step>);

fn step(session: &Session, state: Stage, at: Timestamp) -> Step {
    Step {
        device: Some(session.device().clone()),
        door: Some(Cow::Owned(session.door().to_owned())),
        ..Step::of(session.user(), state, at)
    }
}

/// Steps that wait to be written, many at a time: delivery never waits for them.
#[derive(Debug, Default)]
pub(crate) struct Receipts {
    waiting: Mutex<Vec<Noted>>,
    /// Held while steps are written, so that who asks for a receipt gets all that was noted before.
    writing: tokio::sync::Mutex<()>,
    came: Notify,
}

impl Receipts {
    fn add(&self, noted: Vec<Noted>) {
        let mut waiting = self.waiting.lock();
        if waiting.len() + noted.len() > WAITING {
            return;
        }
        waiting.extend(noted);
        drop(waiting);
        self.came.notify_one();
    }

    /// Notes that messages are safe with a device whose session has ended since it was sent them.
    pub(crate) fn note_late(
        &self,
        user: &UserId,
        device: &DeviceId,
        messages: impl Iterator<Item = MessageId>,
    ) {
        let now = Timestamp::now();
        let mut waiting = self.waiting.lock();
        let room = WAITING.saturating_sub(waiting.len());
        waiting.extend(messages.take(room).map(|id| {
            let step = Step::of(user, Stage::Acknowledged, now);
            (id, vec![Step { device: Some(device.clone()), ..step }])
        }));
        drop(waiting);
        self.came.notify_one();
    }

    /// Writes what waits.
    pub(crate) async fn write(&self, store: &dyn Store) -> Result<(), StoreError> {
        let _writing = self.writing.lock().await;
        let steps = std::mem::take(&mut *self.waiting.lock());
        if steps.is_empty() { Ok(()) } else { store.record(steps).await }
    }
}

impl Core {
    /// Notes that messages were sent to a session, and acknowledged by it if `acknowledged`.
    pub(crate) fn note(&self, session: &Session, messages: Vec<InFlight>, acknowledged: bool) {
        if messages.is_empty() {
            return;
        }
        let now = Timestamp::now();
        let noted = messages.into_iter().map(|message| {
            let mut steps = vec![step(session, Stage::Sent, message.sent_at)];
            if acknowledged {
                steps.push(step(session, Stage::Acknowledged, now));
            }
            let untold = &steps[usize::from(message.is_told)..];
            untold.iter().for_each(|step| self.telling.tell(message.id, step, None));
            (message.id, steps)
        });
        self.receipts.add(noted.collect());
    }

    /// Tells that a message was sent to a session, before anything else becomes of it.
    pub(crate) fn tell_sent(&self, session: &Session, message: &InFlight) {
        self.telling.tell(message.id, &step(session, Stage::Sent, message.sent_at), None);
    }

    /// What became of a message, if the store knows.
    pub(crate) async fn receipt(
        &self,
        store: &dyn Store,
        id: MessageId,
    ) -> Result<Option<Receipt>, StoreError> {
        // That it was sent is written down together with what follows: a message costs one note and not two.
        // Until then its session knows.
        let sent = |session: Arc<Session>| Some(step(&session, Stage::Sent, session.in_flight_since(id)?));
        let in_flight: Vec<_> = self.redelivery.sessions().into_iter().filter_map(sent).collect();
        // What was noted a moment ago counts.
        self.receipts.write(store).await?;
        let Some(Receipt { mut steps, .. }) = store.receipt(id).await? else { return Ok(None) };
        // It may have been written down meanwhile.
        steps.extend(in_flight.into_iter().filter(|step| !steps.contains(step)).collect::<Vec<_>>());
        Ok(Receipt::of(id, steps))
    }

    /// Writes steps down, as many at a time as have come meanwhile.
    pub(crate) async fn keep_receipts(self: Arc<Self>) {
        let Some(store) = self.parts.store.clone() else { return };
        loop {
            self.receipts.came.notified().await;
            if let Err(fault) = self.receipts.write(&*store).await {
                tracing::warn!(%fault, "steps of messages are lost for their receipts");
                tokio::time::sleep(STORE_RETRY).await;
            }
        }
    }
}
