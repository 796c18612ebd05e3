//! The one thread that writes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};

use msgserver_message::Timestamp;
use parking_lot::Mutex;
use redb::{Database, StorageError};
use tokio::sync::oneshot;

use super::tables::Tables;
use super::{stopped, unavailable};
use crate::StoreError;

/// How many pieces of work share a transaction at most: enough to make the sync's share small, few enough
/// to keep the last one's wait short.
const BATCH: usize = 4096;

/// How often old ids are looked for.
const FORGET_EVERY_MILLIS: u64 = 60 * 1000;

/// Something to write, and somebody who waits for it.
pub(super) trait Work: Send {
    fn run(&mut self, tables: &mut Tables<'_>) -> Result<(), StorageError>;
    /// Tells how the transaction went.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

pub(super) struct Job<T, F> {
    work: F,
    done: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job<T, F> {
    pub(super) fn new(work: F, reply: oneshot::Sender<Result<T, StoreError>>) -> Self {
        Self { work, done: None, reply }
    }
}

impl<T, F> Work for Job<T, F>
where
    T: Send,
    F: FnMut(&mut Tables<'_>) -> Result<Result<T, StoreError>, StorageError> + Send,
{
    fn run(&mut self, tables: &mut Tables<'_>) -> Result<(), StorageError> {
        self.done = Some((self.work)(tables)?);
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let Self { done, reply, .. } = *self;
        let done = committed.and_then(|()| done.unwrap_or_else(|| Err(stopped())));
        // Whoever asked may have gone; what was asked is done nevertheless.
        let _ = reply.send(done);
    }
}

pub(super) struct Writer {
    database: Arc<Database>,
    stored: Arc<AtomicU64>,
    fault: Arc<Mutex<Option<StoreError>>>,
    /// When old ids are looked for next.
    forget_at: u64,
}

impl Writer {
    pub(super) fn new(
        database: Arc<Database>,
        stored: Arc<AtomicU64>,
        fault: Arc<Mutex<Option<StoreError>>>,
    ) -> Self {
        Self { database, stored, fault, forget_at: 0 }
    }

    /// Writes until nobody can send any more, and what was sent is written.
    pub(super) fn run(mut self, waiting: &mpsc::Receiver<Box<dyn Work>>) {
        while let Ok(first) = waiting.recv() {
            let mut batch: Vec<_> =
                std::iter::once(first).chain(waiting.try_iter().take(BATCH - 1)).collect();
            let committed = self.write(&mut batch).map_err(unavailable);
            if let Err(fault) = &committed {
                tracing::error!(%fault, "nothing was written");
            }
            *self.fault.lock() = committed.clone().err();
            for work in batch {
                work.answer(committed.clone());
            }
        }
    }

    fn write(&mut self, batch: &mut [Box<dyn Work>]) -> Result<(), redb::Error> {
        // A transaction's durability is Immediate unless told otherwise: its commit syncs the file.
        let transaction = self.database.begin_write()?;
        let stored = {
            let mut tables = Tables::open(&transaction)?;
            for work in batch {
                work.run(&mut tables)?;
            }
            let now = Timestamp::now().as_millis();
            if now >= self.forget_at {
                let more = tables.forget_ids(now)?;
                self.forget_at = if more { now } else { now + FORGET_EVERY_MILLIS };
            }
            tables.stored()?
        };
        transaction.commit()?;
        self.stored.store(stored, Ordering::Relaxed);
        Ok(())
    }
}
