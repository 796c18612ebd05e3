//! A store that takes its time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use msgserver_message::{DeviceId, MessageId, Receipt, Seq, Step, Timestamp, Topic, TopicFilter, UserId};
use msgserver_persistence::{
    Acknowledge, Append, Appended, Cancelled, Cursor, Device, DiskStore, Due, Entry, Inbox, Store,
    StoreError, Swept, TopicLog,
};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::chance::Chance;
use crate::stop::Noted;
use crate::trace::Trace;

/// The real store, reached after a while, and answering after a while: so that what asks meets what others do.
#[derive(Debug)]
pub(crate) struct Timed {
    pub(crate) store: DiskStore,
    pub(crate) chance: Chance,
    pub(crate) trace: Trace,
    pub(crate) longest: Duration,
    /// Reading and acknowledging fail once in so many times; never if it is 0.
    pub(crate) faults: AtomicU64,
    /// Told when there may be something to write.
    pub(crate) came: Arc<Notify>,
    /// Up to where each device is known to have acknowledged.
    pub(crate) noted: Mutex<Noted>,
    pub(crate) closing: Closing,
}

/// The end of a store, which takes the last steps of its threads. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Closing {
    asked: Arc<AtomicBool>,
    done: Arc<Notify>,
}

impl Closing {
    pub(crate) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    pub(crate) fn tell(&self) {
        self.done.notify_one();
    }
}

impl Timed {
    /// From now on everything succeeds that can.
    pub(crate) fn heal(&self) {
        self.faults.store(0, Ordering::Relaxed);
    }

    /// Up to where each device is known to have acknowledged.
    pub(crate) fn noted(&self) -> Noted {
        self.noted.lock().clone()
    }

    fn may_fail(&self) -> Result<(), StoreError> {
        if self.chance.one_in(self.faults.load(Ordering::Relaxed)) {
            let detail = "a fault of the disk".to_owned();
            return Err(StoreError::Unavailable { store: self.store.name(), detail });
        }
        Ok(())
    }

    async fn later<T>(&self, call: impl Future<Output = T>) -> T {
        tokio::time::sleep(self.chance.pause(self.longest)).await;
        // The call puts its work down before it waits.
        let (done, ()) = tokio::join!(biased; call, async { self.came.notify_one() });
        tokio::time::sleep(self.chance.pause(self.longest)).await;
        done
    }
}

fn outcome<T>(of: &Result<T, StoreError>) -> String {
    of.as_ref().err().map_or_else(|| "done".to_owned(), ToString::to_string)
}

#[async_trait]
impl Store for Timed {
    fn name(&self) -> &'static str {
        self.store.name()
    }

    fn is_durable(&self) -> bool {
        self.store.is_durable()
    }

    async fn append(&self, batch: Vec<Append>) -> Vec<Result<Appended, StoreError>> {
        self.later(self.store.append(batch)).await
    }

    async fn open(&self, user: &UserId, device: &DeviceId) -> Result<Cursor, StoreError> {
        let opened = self.later(self.store.open(user, device)).await;
        if let Ok(Cursor { acknowledged, sent, last, .. }) = opened {
            self.trace
                .note(format_args!("opened {user}/{device} at {acknowledged}, sent {sent}, last {last}"));
        }
        opened
    }

    async fn leave(&self, user: &UserId, device: &DeviceId, sent: Seq) -> Result<(), StoreError> {
        let left = self.later(self.store.leave(user, device, sent)).await;
        self.trace.note(format_args!("left {user}/{device}, sent up to {sent}: {}", outcome(&left)));
        left
    }

    async fn forget(&self, user: &UserId, device: &DeviceId) -> Result<(), StoreError> {
        self.later(self.store.forget(user, device)).await
    }

    async fn read(&self, user: &UserId, after: Seq, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.may_fail()?;
        self.later(self.store.read(user, after, limit)).await
    }

    async fn acknowledge_all(&self, batch: Vec<Acknowledge>) -> Vec<Result<(), StoreError>> {
        if let Err(fault) = self.may_fail() {
            return vec![Err(fault); batch.len()];
        }
        let all = self.later(self.store.acknowledge_all(batch.clone())).await;
        for (Acknowledge { user, device, upto }, noted) in batch.into_iter().zip(&all) {
            self.trace.note(format_args!("noted {user}/{device} {upto}: {}", outcome(noted)));
            if noted.is_ok() {
                self.noted.lock().insert((user, device), upto);
            }
        }
        all
    }

    async fn follow(&self, user: &UserId, device: &DeviceId, topics: &TopicFilter) -> Result<(), StoreError> {
        self.later(self.store.follow(user, device, topics)).await
    }

    async fn unfollow(
        &self,
        user: &UserId,
        device: &DeviceId,
        topics: &TopicFilter,
    ) -> Result<(), StoreError> {
        self.later(self.store.unfollow(user, device, topics)).await
    }

    async fn topic(&self, topic: &Topic) -> Result<TopicLog, StoreError> {
        self.store.topic(topic).await
    }

    async fn published(&self, topic: &Topic, after: Seq, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.later(self.store.published(topic, after, limit)).await
    }

    async fn history(&self, topics: &TopicFilter, of_each: usize) -> Result<Vec<Entry>, StoreError> {
        self.later(self.store.history(topics, of_each)).await
    }

    async fn cancel(&self, id: MessageId) -> Result<Cancelled, StoreError> {
        self.later(self.store.cancel(id)).await
    }

    async fn release_due(&self, now: Timestamp, limit: usize) -> Result<Due, StoreError> {
        self.later(self.store.release_due(now, limit)).await
    }

    async fn record(&self, steps: Vec<(MessageId, Vec<Step>)>) -> Result<(), StoreError> {
        self.later(self.store.record(steps)).await
    }

    async fn receipt(&self, id: MessageId) -> Result<Option<Receipt>, StoreError> {
        self.later(self.store.receipt(id)).await
    }

    async fn inbox(&self, user: &UserId) -> Result<Inbox, StoreError> {
        self.store.inbox(user).await
    }

    async fn devices(&self, user: &UserId) -> Result<Vec<Device>, StoreError> {
        self.store.devices(user).await
    }

    async fn sweep(&self, now: Timestamp) -> Result<Swept, StoreError> {
        self.later(self.store.sweep(now)).await
    }

    async fn stored(&self) -> Result<u64, StoreError> {
        self.store.stored().await
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.later(self.store.ready()).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        // The real one waits for its threads, whose steps are taken by somebody else here.
        self.closing.asked.store(true, Ordering::Relaxed);
        self.came.notify_one();
        self.closing.done.notified().await;
        Ok(())
    }
}
