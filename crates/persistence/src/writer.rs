//! The one thread that writes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};

use msgserver_message::{DeviceId, Message, Seq, UserId};
use redb::{Database, ReadableTable, ReadableTableMetadata, Table, TableDefinition, WriteTransaction};
use tokio::sync::oneshot;

use crate::embedded::unavailable;
use crate::{Appended, Cursor, StoreError};

/// (user, seq) → message.
pub(crate) const LOG: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("log");
/// user → the last number given. Stays when the inbox is empty: numbers are never given twice.
const LAST: TableDefinition<'_, &str, u64> = TableDefinition::new("last");
/// (user, device) → the last number acknowledged.
const CURSORS: TableDefinition<'_, (&str, &str), u64> = TableDefinition::new("cursors");
/// id → what it was used for.
const IDS: TableDefinition<'_, [u8; 16], &str> = TableDefinition::new("ids");

/// How many commands share a transaction at most: enough to make the sync's share small, few enough to
/// keep the last one's wait short.
const BATCH: usize = 4096;

/// How long an id is remembered.
const REMEMBERED_MILLIS: u64 = 24 * 60 * 60 * 1000;

pub(crate) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

pub(crate) enum Command {
    Append { message: Message, users: Vec<UserId>, check_id: bool, reply: Reply<Appended> },
    OpenDevice { user: UserId, device: DeviceId, reply: Reply<Cursor> },
    Acknowledge { user: UserId, device: DeviceId, upto: Seq, reply: Reply<()> },
}

pub(crate) fn decode(bytes: &[u8]) -> Result<Message, rmp_serde::decode::Error> {
    rmp_serde::from_slice(bytes)
}

pub(crate) struct Writer {
    name: &'static str,
    database: Arc<Database>,
    stored: Arc<AtomicU64>,
    /// When ids were last forgotten.
    forgot_at: u64,
}

/// An answer that is given once the transaction is safe.
type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

fn answer<T: Send + 'static>(reply: Reply<T>, value: Result<T, StoreError>) -> Answer {
    Box::new(move |committed| {
        let _ = reply.send(committed.and(value));
    })
}

struct Tables<'t> {
    log: Table<'t, (&'static str, u64), &'static [u8]>,
    last: Table<'t, &'static str, u64>,
    cursors: Table<'t, (&'static str, &'static str), u64>,
    ids: Table<'t, [u8; 16], &'static str>,
}

impl<'t> Tables<'t> {
    fn open(transaction: &'t WriteTransaction) -> Result<Self, redb::TableError> {
        Ok(Self {
            log: transaction.open_table(LOG)?,
            last: transaction.open_table(LAST)?,
            cursors: transaction.open_table(CURSORS)?,
            ids: transaction.open_table(IDS)?,
        })
    }

    fn last(&self, user: &str) -> Result<u64, redb::StorageError> {
        Ok(self.last.get(user)?.map_or(0, |last| last.value()))
    }

    fn cursors(&self, user: &str) -> Result<HashMap<String, u64>, redb::StorageError> {
        let mut found = HashMap::new();
        for item in self.cursors.range((user, "")..)? {
            let (key, value) = item?;
            let (of, device) = key.value();
            if of != user {
                break;
            }
            found.insert(device.to_owned(), value.value());
        }
        Ok(found)
    }

    fn append(
        &mut self,
        message: &Message,
        users: &[UserId],
        check_id: bool,
    ) -> Result<Option<Appended>, redb::StorageError> {
        if check_id {
            let names: Vec<&str> = users.iter().map(UserId::as_str).collect();
            // Names hold no control characters, so the line end cannot stand inside one.
            let use_ = format!("{}\n{}", names.join("\n"), message.content);
            let id = message.id.to_bytes();
            let known = self.ids.get(id)?.map(|known| known.value() == use_);
            match known {
                Some(true) => return Ok(Some(Appended::Duplicate)),
                Some(false) => return Ok(None),
                None => self.ids.insert(id, use_.as_str())?,
            };
        }
        let bytes = rmp_serde::to_vec_named(message).expect("a message has a form in MessagePack");
        let mut seqs = Vec::with_capacity(users.len());
        for user in users {
            let seq = self.last(user.as_str())? + 1;
            self.last.insert(user.as_str(), seq)?;
            self.log.insert((user.as_str(), seq), &bytes[..])?;
            seqs.push(Seq::new(seq));
        }
        Ok(Some(Appended::New(seqs)))
    }

    fn open_device(&mut self, user: &str, device: &str) -> Result<Cursor, redb::StorageError> {
        if let Some(at) = self.cursors.get((user, device))? {
            return Ok(Cursor { acknowledged: Seq::new(at.value()), known: true });
        }
        let last = self.last(user)?;
        let at = if self.cursors(user)?.is_empty() {
            let first = self.log.range((user, 0)..=(user, u64::MAX))?.next().transpose()?;
            first.map_or(last, |(key, _)| key.value().1 - 1)
        } else {
            last
        };
        self.cursors.insert((user, device), at)?;
        Ok(Cursor { acknowledged: Seq::new(at), known: false })
    }

    fn acknowledge(&mut self, user: &str, device: &str, upto: u64) -> Result<(), redb::StorageError> {
        let mut cursors = self.cursors(user)?;
        let Some(at) = cursors.get_mut(device) else { return Ok(()) };
        let upto = upto.min(self.last(user)?);
        if upto <= *at {
            return Ok(());
        }
        *at = upto;
        self.cursors.insert((user, device), upto)?;
        let passed_by_all = cursors.values().copied().min().unwrap_or(0);
        self.log.retain_in((user, 0)..=(user, passed_by_all), |_, _| false)
    }

    fn forget_ids(&mut self, before_millis: u64) -> Result<(), redb::StorageError> {
        // An id begins with the millisecond in which it was made: 48 bits, big-endian.
        let mut end = [0; 16];
        end[..6].copy_from_slice(&before_millis.to_be_bytes()[2..]);
        self.ids.retain_in(..end, |_, _| false)
    }
}

impl Writer {
    pub(crate) fn new(name: &'static str, database: Arc<Database>, stored: Arc<AtomicU64>) -> Self {
        Self { name, database, stored, forgot_at: 0 }
    }

    /// Makes the tables, so that readers find them.
    pub(crate) fn prepare(database: &Database) -> Result<(), redb::Error> {
        let transaction = database.begin_write()?;
        Tables::open(&transaction)?;
        transaction.commit()?;
        Ok(())
    }

    pub(crate) fn run(mut self, waiting: &mpsc::Receiver<Command>) {
        while let Ok(first) = waiting.recv() {
            let batch: Vec<Command> =
                std::iter::once(first).chain(waiting.try_iter().take(BATCH - 1)).collect();
            let mut answers = Vec::with_capacity(batch.len());
            let outcome = self.write(batch, &mut answers);
            if let Err(fault) = &outcome {
                tracing::error!(store = self.name, %fault, "nothing was written");
            }
            for answer in answers {
                answer(outcome.clone());
            }
        }
    }

    /// Commands that were not reached when a fault ended the batch are dropped, which their callers see
    /// as a closed channel: an error as well.
    fn write(&mut self, batch: Vec<Command>, answers: &mut Vec<Answer>) -> Result<(), StoreError> {
        let fault = unavailable(self.name);
        let transaction = self.database.begin_write().map_err(unavailable(self.name))?;
        let kept = {
            let mut tables = Tables::open(&transaction).map_err(unavailable(self.name))?;
            for command in batch {
                answers.push(match command {
                    Command::Append { message, users, check_id, reply } => {
                        let appended = tables.append(&message, &users, check_id).map_err(&fault)?;
                        answer(reply, appended.ok_or(StoreError::Conflict(message.id)))
                    }
                    Command::OpenDevice { user, device, reply } => {
                        let cursor = tables.open_device(user.as_str(), device.as_str()).map_err(&fault)?;
                        answer(reply, Ok(cursor))
                    }
                    Command::Acknowledge { user, device, upto, reply } => {
                        tables.acknowledge(user.as_str(), device.as_str(), upto.get()).map_err(&fault)?;
                        answer(reply, Ok(()))
                    }
                });
            }
            let now = msgserver_message::Timestamp::now().as_millis();
            if now.saturating_sub(self.forgot_at) > REMEMBERED_MILLIS / 24 {
                self.forgot_at = now;
                tables.forget_ids(now.saturating_sub(REMEMBERED_MILLIS)).map_err(&fault)?;
            }
            tables.log.len().map_err(&fault)?
        };
        transaction.commit().map_err(unavailable(self.name))?;
        self.stored.store(kept, Ordering::Relaxed);
        Ok(())
    }
}
