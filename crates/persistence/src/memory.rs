//! Inboxes that end with the process.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use msgserver_message::{DeviceId, Message, MessageId, Seq, Timestamp, UserId};
use parking_lot::{Mutex, MutexGuard};

use crate::fingerprint::fingerprint;
use crate::{Appended, Cursor, Entry, ID_KEPT_MILLIS, Inbox, Store, StoreError};

/// Inboxes that end with the process: for tests, and for servers whose messages matter only now.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    closed: bool,
    stored: u64,
    logs: HashMap<UserId, Log>,
    ids: HashMap<MessageId, u128>,
    /// Ids in the order in which they came, with the millisecond.
    ids_by_age: VecDeque<(u64, MessageId)>,
}

#[derive(Debug, Default)]
struct Log {
    last: u64,
    /// The newest messages: the number of the last one is `last`.
    messages: VecDeque<Arc<Message>>,
    devices: HashMap<DeviceId, u64>,
}

impl Log {
    /// The number before the oldest message that is kept.
    fn trimmed(&self) -> u64 {
        self.last - self.messages.len() as u64
    }
}

impl State {
    fn forget_ids(&mut self, now: u64) {
        while let Some(&(at, id)) = self.ids_by_age.front()
            && now.saturating_sub(at) > ID_KEPT_MILLIS
        {
            self.ids_by_age.pop_front();
            self.ids.remove(&id);
        }
    }
}

impl MemoryStore {
    /// No inboxes yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let state = self.state.lock();
        if state.closed { Err(StoreError::Closed { store: "memory" }) } else { Ok(state) }
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

    async fn append(
        &self,
        message: &Arc<Message>,
        users: &[UserId],
        check_id: bool,
    ) -> Result<Appended, StoreError> {
        let print = check_id.then(|| fingerprint(message, users));
        let mut state = self.state()?;
        if let Some(print) = print {
            let now = Timestamp::now().as_millis();
            state.forget_ids(now);
            match state.ids.get(&message.id) {
                Some(known) if *known == print => return Ok(Appended::Duplicate),
                Some(_) => return Err(StoreError::Conflict(message.id)),
                None => {}
            }
            state.ids.insert(message.id, print);
            state.ids_by_age.push_back((now, message.id));
        }
        let mut seqs = Vec::with_capacity(users.len());
        for user in users {
            let log = state.logs.entry(user.clone()).or_default();
            log.last += 1;
            log.messages.push_back(Arc::clone(message));
            seqs.push(Seq::new(log.last));
        }
        state.stored += users.len() as u64;
        Ok(Appended::New(seqs))
    }

    async fn open(&self, user: &UserId, device: &DeviceId) -> Result<Cursor, StoreError> {
        let mut state = self.state()?;
        let log = state.logs.entry(user.clone()).or_default();
        let start = if log.devices.is_empty() { log.trimmed() } else { log.last };
        let known = log.devices.contains_key(device);
        let at = *log.devices.entry(device.clone()).or_insert(start);
        Ok(Cursor { acknowledged: Seq::new(at), known })
    }

    async fn read(&self, user: &UserId, after: Seq, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let state = self.state()?;
        let Some(log) = state.logs.get(user) else { return Ok(Vec::new()) };
        let trimmed = log.trimmed();
        let skipped = usize::try_from(after.get().saturating_sub(trimmed)).unwrap_or(usize::MAX);
        let entries = log.messages.iter().zip(trimmed + 1..).skip(skipped).take(limit);
        Ok(entries.map(|(message, seq)| Entry { seq: Seq::new(seq), message: Arc::clone(message) }).collect())
    }

    async fn acknowledge(&self, user: &UserId, device: &DeviceId, upto: Seq) -> Result<(), StoreError> {
        let mut state = self.state()?;
        let Some(log) = state.logs.get_mut(user) else { return Ok(()) };
        let last = log.last;
        let Some(at) = log.devices.get_mut(device) else { return Ok(()) };
        *at = upto.get().min(last).max(*at);
        let passed_by_all = log.devices.values().copied().min().unwrap_or(0);
        let mut gone = 0;
        while log.trimmed() < passed_by_all {
            log.messages.pop_front();
            gone += 1;
        }
        state.stored -= gone;
        Ok(())
    }

    async fn inbox(&self, user: &UserId) -> Result<Inbox, StoreError> {
        let state = self.state()?;
        let log = state.logs.get(user);
        Ok(log.map_or_else(Inbox::default, |log| Inbox {
            waiting: log.messages.len() as u64,
            last: Seq::new(log.last),
        }))
    }

    async fn stored(&self) -> Result<u64, StoreError> {
        Ok(self.state()?.stored)
    }

    async fn ready(&self) -> Result<(), StoreError> {
        self.state().map(drop)
    }

    async fn close(&self) -> Result<(), StoreError> {
        *self.state.lock() = State { closed: true, ..State::default() };
        Ok(())
    }
}
