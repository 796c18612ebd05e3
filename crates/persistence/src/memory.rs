//! Inboxes that end with the process.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use async_trait::async_trait;
use msgserver_message::{DeviceId, MessageId, Receipt, Seq, Step, Timestamp, Topic, TopicFilter, UserId};
use parking_lot::Mutex;

use crate::inboxes::tables::{Key, Row, Rows, Table, Tables, Visit};
use crate::inboxes::{Changes, Inboxes, Reading, Rounds, Setting};
use crate::listening::Listening;
use crate::{
    Acknowledge, Append, Appended, Cancelled, Cursor, Device, Due, Entry, Inbox, Limits, StepListener, Store,
    StoreError, Swept, TopicLog,
};

/// Inboxes that end with the process: for tests, and for servers whose messages matter only now.
#[derive(Debug)]
pub struct MemoryStore {
    limits: Limits,
    listening: Listening,
    /// Nothing once closed.
    open: Mutex<Option<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    tables: InMemory,
    rounds: Rounds,
}

impl MemoryStore {
    /// No inboxes yet, with the limits of [`Limits::default`].
    #[must_use]
    pub fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    /// No inboxes yet.
    #[must_use]
    pub fn with_limits(limits: Limits) -> Self {
        Self { limits, listening: Listening::default(), open: Mutex::new(Some(Open::default())) }
    }

    fn setting(&self, now: Timestamp) -> Setting {
        Setting { limits: self.limits, now, process: 0, is_heard: self.listening.is_heard() }
    }

    fn read<T>(
        &self,
        work: impl FnOnce(Reading<'_, InMemory>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let open = self.open.lock();
        work(Reading::new(&open.as_ref().ok_or(CLOSED)?.tables, self.setting(Timestamp::now())))
    }

    fn write<T>(
        &self,
        now: Timestamp,
        work: impl FnOnce(&mut Inboxes<'_, Changes<'_, InMemory>>, &mut Rounds) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut open = self.open.lock();
        let Open { tables, rounds } = open.as_mut().ok_or(CLOSED)?;
        let mut changes = Changes::new(tables);
        let done = work(&mut Inboxes::new(&mut changes, self.setting(now)), rounds)?;
        let (changed, steps) = changes.into_changed();
        tables.apply(changed.into_rows());
        self.listening.tell(steps);
        Ok(done)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

const CLOSED: StoreError = StoreError::Closed { store: "memory" };

#[async_trait]
impl Store for MemoryStore {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn is_durable(&self) -> bool {
        false
    }

    fn listen(&self, listener: StepListener) {
        self.listening.begin(listener);
    }

    async fn append(&self, batch: Vec<Append>) -> Vec<Result<Appended, StoreError>> {
        let done = self.write(Timestamp::now(), |inboxes, _| Ok(inboxes.append_all(&batch)));
        done.unwrap_or_else(|fault| vec![Err(fault); batch.len()])
    }

    async fn open(&self, user: &UserId, device: &DeviceId) -> Result<Cursor, StoreError> {
        self.write(Timestamp::now(), |inboxes, _| Ok(inboxes.open(user, device)?.cursor))
    }

    async fn leave(&self, user: &UserId, device: &DeviceId, sent: Seq) -> Result<(), StoreError> {
        self.write(Timestamp::now(), |inboxes, _| inboxes.leave(user, device, sent))
    }

    async fn forget(&self, user: &UserId, device: &DeviceId) -> Result<(), StoreError> {
        self.write(Timestamp::now(), |inboxes, _| inboxes.forget(user, device))
    }

    async fn read(&self, user: &UserId, after: Seq, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.read(|inboxes| inboxes.read(user, after, limit))
    }

    async fn acknowledge_all(&self, batch: Vec<Acknowledge>) -> Vec<Result<(), StoreError>> {
        let done = self.write(Timestamp::now(), |inboxes, _| Ok(inboxes.acknowledge_all(&batch)));
        done.unwrap_or_else(|fault| vec![Err(fault); batch.len()])
    }

    async fn follow(&self, user: &UserId, device: &DeviceId, topics: &TopicFilter) -> Result<(), StoreError> {
        self.write(Timestamp::now(), |inboxes, _| inboxes.follow(user, device, topics))
    }

    async fn unfollow(
        &self,
        user: &UserId,
        device: &DeviceId,
        topics: &TopicFilter,
    ) -> Result<(), StoreError> {
        self.write(Timestamp::now(), |inboxes, _| inboxes.unfollow(user, device, topics))
    }

    async fn topic(&self, topic: &Topic) -> Result<TopicLog, StoreError> {
        self.read(|inboxes| inboxes.topic(topic))
    }

    async fn published(&self, topic: &Topic, after: Seq, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.read(|inboxes| inboxes.published(topic, after, limit))
    }

    async fn history(&self, topics: &TopicFilter, of_each: usize) -> Result<Vec<Entry>, StoreError> {
        self.read(|inboxes| inboxes.history(topics, of_each))
    }

    async fn cancel(&self, id: MessageId) -> Result<Cancelled, StoreError> {
        self.write(Timestamp::now(), |inboxes, _| inboxes.cancel(id))
    }

    async fn release_due(&self, now: Timestamp, limit: usize) -> Result<Due, StoreError> {
        self.write(now, |inboxes, _| inboxes.release_due(limit))
    }

    async fn record(&self, steps: Vec<(MessageId, Vec<Step>)>) -> Result<(), StoreError> {
        self.write(Timestamp::now(), |inboxes, _| {
            steps.into_iter().try_for_each(|(id, steps)| inboxes.record(id, steps))
        })
    }

    async fn receipt(&self, id: MessageId) -> Result<Option<Receipt>, StoreError> {
        self.read(|inboxes| inboxes.receipt(id))
    }

    async fn inbox(&self, user: &UserId) -> Result<Inbox, StoreError> {
        self.read(|inboxes| inboxes.inbox(user))
    }

    async fn devices(&self, user: &UserId) -> Result<Vec<Device>, StoreError> {
        self.read(|inboxes| inboxes.devices(user))
    }

    async fn sweep(&self, now: Timestamp) -> Result<Swept, StoreError> {
        self.write(now, |inboxes, rounds| inboxes.sweep(rounds))
    }

    async fn stored(&self) -> Result<u64, StoreError> {
        self.read(|inboxes| inboxes.stored())
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.read(|_| Ok(()))
    }

    async fn close(&self) -> Result<(), StoreError> {
        *self.open.lock() = None;
        Ok(())
    }
}

/// Tables in memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct InMemory([BTreeMap<Key, Vec<u8>>; Table::ALL.len()]);

impl InMemory {
    pub(crate) fn apply(&mut self, rows: impl IntoIterator<Item = (Table, Key, Option<Vec<u8>>)>) {
        for (table, key, value) in rows {
            match value {
                Some(value) => self.put(table, key, value),
                None => self.delete(table, key),
            }
        }
    }

    fn range<'t>(
        &'t self,
        table: Table,
        from: &[u8],
        to: &[u8],
    ) -> impl DoubleEndedIterator<Item = (&'t Key, &'t Vec<u8>)> {
        let rows = &self.0[table as usize];
        let range = (from < to).then(|| rows.range::<[u8], _>((Bound::Included(from), Bound::Excluded(to))));
        range.into_iter().flatten()
    }
}

impl Rows for InMemory {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0[table as usize].get(key).cloned())
    }

    fn walk(&self, table: Table, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        for (key, value) in self.range(table, from, to) {
            if let ControlFlow::Break(()) = visit(key, value)? {
                break;
            }
        }
        Ok(())
    }

    fn last(&self, table: Table, from: &[u8], to: &[u8]) -> Result<Option<Row>, StoreError> {
        Ok(self.range(table, from, to).next_back().map(|(key, value)| (key.clone(), value.clone())))
    }
}

impl Tables for InMemory {
    fn put(&mut self, table: Table, key: Key, value: Vec<u8>) {
        self.0[table as usize].insert(key, value);
    }

    fn delete(&mut self, table: Table, key: Key) {
        self.0[table as usize].remove(&key);
    }
}
