//! The one thread that writes.

use std::sync::{Arc, mpsc};

use msgserver_message::Timestamp;
use parking_lot::Mutex;
use redb::Database;
use tokio::sync::oneshot;

use super::tables::Written;
use super::{stopped, unavailable};
use crate::inboxes::{Inboxes, Sweeper};
use crate::{Limits, StoreError};

/// How many pieces of work share a transaction at most: enough to make the sync's share small, few enough
/// to keep the last one's wait short.
const BATCH: usize = 4096;

/// The rules on the tables of a transaction.
pub(super) type Change<'a, 't> = Inboxes<'a, Written<'t>>;

/// Something to write, and somebody who waits for it.
pub(super) trait Work: Send {
    /// A fault of the store itself ends the whole transaction; what is wrong with the work alone is its answer.
    fn run(&mut self, inboxes: &mut Change<'_, '_>, sweeper: &mut Sweeper) -> Result<(), StoreError>;
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
    F: FnMut(&mut Change<'_, '_>, &mut Sweeper) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, inboxes: &mut Change<'_, '_>, sweeper: &mut Sweeper) -> Result<(), StoreError> {
        self.done = Some(Ok((self.work)(inboxes, sweeper)?));
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
    pub(super) database: Arc<Database>,
    pub(super) limits: Limits,
    pub(super) process: u64,
    /// Why the last transaction failed, if it did.
    pub(super) fault: Arc<Mutex<Option<StoreError>>>,
    pub(super) sweeper: Sweeper,
}

impl Writer {
    /// Writes until nobody can send any more, and what was sent is written.
    pub(super) fn run(mut self, waiting: &mpsc::Receiver<Box<dyn Work>>) {
        while let Ok(first) = waiting.recv() {
            let mut batch: Vec<_> =
                std::iter::once(first).chain(waiting.try_iter().take(BATCH - 1)).collect();
            let committed = self.write(&mut batch);
            if let Err(fault) = &committed {
                tracing::error!(%fault, "nothing was written");
            }
            *self.fault.lock() = committed.clone().err();
            for work in batch {
                work.answer(committed.clone());
            }
        }
    }

    fn write(&mut self, batch: &mut [Box<dyn Work>]) -> Result<(), StoreError> {
        // A transaction's durability is Immediate unless told otherwise: its commit syncs the file.
        let transaction = self.database.begin_write().map_err(unavailable)?;
        {
            let mut tables = Written::open(&transaction).map_err(unavailable)?;
            let mut inboxes = Inboxes::new(&mut tables, &self.limits, self.process, Timestamp::now());
            for work in batch {
                work.run(&mut inboxes, &mut self.sweeper)?;
            }
        }
        transaction.commit().map_err(unavailable)
    }
}
