//! Inboxes that end with the process.

use std::collections::BTreeMap;
use std::ops::Bound;

use async_trait::async_trait;
use msgserver_message::{DeviceId, MessageId, Receipt, Seq, Step, Timestamp, UserId};
use parking_lot::{Mutex, MutexGuard};

use crate::inboxes::{self, Inboxes, Row, Rows, Sweeper, Table, Tables};
use crate::{
    Append, Appended, Cancelled, Cursor, Device, Due, Entry, Inbox, Limits, Store, StoreError, Swept,
};

/// Inboxes that end with the process: for tests, and for servers whose messages matter only now.
#[derive(Debug, Default)]
pub struct MemoryStore {
    limits: Limits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    closed: bool,
    maps: Maps,
    sweeper: Sweeper,
}

/// There is one process, and it is always this one.
const PROCESS: u64 = 1;

#[derive(Debug, Default)]
struct Maps([BTreeMap<Vec<u8>, Vec<u8>>; Table::ALL.len()]);

impl Rows for Maps {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0[table as usize].get(key).cloned())
    }

    fn range(&self, table: Table, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, StoreError> {
        if from >= to {
            return Ok(Vec::new());
        }
        let range = (Bound::Included(from), Bound::Excluded(to));
        let rows = self.0[table as usize].range::<[u8], _>(range).take(limit);
        Ok(rows.map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}

impl Tables for Maps {
    fn put(&mut self, table: Table, key: Vec<u8>, value: Vec<u8>) -> Result<(), StoreError> {
        self.0[table as usize].insert(key, value);
        Ok(())
    }

    fn delete(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        self.0[table as usize].remove(key);
        Ok(())
    }
}

impl MemoryStore {
    /// No inboxes yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// No inboxes yet, and other limits for those to come.
    #[must_use]
    pub fn with_limits(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    fn state(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let state = self.state.lock();
        if state.closed { Err(StoreError::Closed { store: "memory" }) } else { Ok(state) }
    }

    fn change<R>(
        &self,
        now: Timestamp,
        change: impl FnOnce(&mut Inboxes<'_, Maps>, &mut Sweeper) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        let state = &mut *self.state()?;
        change(&mut Inboxes::new(&mut state.maps, &self.limits, PROCESS, now), &mut state.sweeper)
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn is_durable(&self) -> bool {
        false
    }

    async fn append(&self, batch: Vec<Append>) -> Vec<Result<Appended, StoreError>> {
        let now = Timestamp::now();
        batch.iter().map(|append| self.change(now, |inboxes, _| inboxes.append(append))).collect()
    }

    async fn open(&self, user: &UserId, device: &DeviceId) -> Result<Cursor, StoreError> {
        self.change(Timestamp::now(), |inboxes, _| inboxes.open(user, device))
    }

    async fn leave(&self, user: &UserId, device: &DeviceId, sent: Seq) -> Result<(), StoreError> {
        self.change(Timestamp::now(), |inboxes, _| inboxes.leave(user, device, sent))
    }

    async fn read(&self, user: &UserId, after: Seq, limit: usize) -> Result<Vec<Entry>, StoreError> {
        inboxes::read(&self.state()?.maps, user, after, limit, Timestamp::now())
    }

    async fn acknowledge(&self, user: &UserId, device: &DeviceId, upto: Seq) -> Result<(), StoreError> {
        self.change(Timestamp::now(), |inboxes, _| inboxes.acknowledge(user, device, upto))
    }

    async fn cancel(&self, id: MessageId) -> Result<Cancelled, StoreError> {
        self.change(Timestamp::now(), |inboxes, _| inboxes.cancel(id))
    }

    async fn release_due(&self, now: Timestamp, limit: usize) -> Result<Due, StoreError> {
        self.change(now, |inboxes, _| inboxes.release_due(limit))
    }

    async fn record(&self, steps: Vec<(MessageId, Vec<Step>)>) -> Result<(), StoreError> {
        self.change(Timestamp::now(), |inboxes, _| inboxes.record(&steps))
    }

    async fn receipt(&self, id: MessageId) -> Result<Option<Receipt>, StoreError> {
        inboxes::receipt(&self.state()?.maps, id)
    }

    async fn inbox(&self, user: &UserId) -> Result<Inbox, StoreError> {
        inboxes::inbox(&self.state()?.maps, user)
    }

    async fn devices(&self, user: &UserId) -> Result<Vec<Device>, StoreError> {
        inboxes::devices(&self.state()?.maps, user, PROCESS)
    }

    async fn sweep(&self, now: Timestamp) -> Result<Swept, StoreError> {
        self.change(now, |inboxes, sweeper| inboxes.sweep(sweeper))
    }

    async fn stored(&self) -> Result<u64, StoreError> {
        inboxes::stored(&self.state()?.maps)
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.state().map(drop)
    }

    async fn close(&self) -> Result<(), StoreError> {
        *self.state.lock() = State { closed: true, ..State::default() };
        Ok(())
    }
}
