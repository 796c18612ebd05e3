//! A store without threads, on a disk that somebody else makes: for simulations.

use std::path::Path;
use std::sync::{Arc, mpsc};

use parking_lot::{Mutex, RwLock};

pub use super::filesystem::{Filesystem, Growing};

use super::checkpoint::{self, Frozen};
use super::engine::Sorted;
use super::recovery;
use super::shared::Shared;
use super::writer::{Work, Writer};
use super::{DiskStore, Ground, Open, Started, unavailable};
use crate::inboxes::Changed;
use crate::inboxes::tables::{Row, Rows, Table, Visit};
use crate::memory::InMemory;
use crate::{Limits, StoreError};

/// Rows that change no more, safe as soon as they are taken; clones are the same rows.
///
/// Stands for the sorted files, whose engine is not simulated: it is asked, whole or not at all.
#[derive(Debug, Clone)]
pub struct SafeRows {
    rows: Arc<RwLock<InMemory>>,
    /// A file stands for the engine's: writing it is where a lot can fail.
    files: Arc<dyn Filesystem>,
}

impl SafeRows {
    /// No rows yet.
    #[must_use]
    pub fn new(files: Arc<dyn Filesystem>) -> Self {
        Self { rows: Arc::default(), files }
    }
}

impl Rows for SafeRows {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.rows.read().get(table, key)
    }

    fn walk(&self, table: Table, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.rows.read().walk(table, from, to, visit)
    }

    fn last(&self, table: Table, from: &[u8], to: &[u8]) -> Result<Option<Row>, StoreError> {
        self.rows.read().last(table, from, to)
    }
}

impl Sorted for SafeRows {
    fn take(&self, changed: &Changed) -> Result<(), StoreError> {
        let lot = Path::new("rows/lot");
        self.files.create(lot).and_then(|file| file.sync()).map_err(unavailable)?;
        self.rows.write().apply(changed.clone().into_rows());
        // It may be done, and nobody be told of it.
        self.files.remove(lot).map_err(unavailable)
    }

    fn compact(&self) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn bytes(&self) -> u64 {
        0
    }
}

/// The steps that a store's threads would take.
pub struct Steps {
    shared: Arc<Shared>,
    writer: Writer,
    waiting: mpsc::Receiver<Box<dyn Work>>,
    frozen: mpsc::Receiver<Frozen>,
    next: Option<Frozen>,
}

impl Steps {
    /// Commits all that waits, as one; whether anything did.
    pub fn commit(&mut self) -> bool {
        let Ok(first) = self.waiting.try_recv() else { return false };
        if self.writer.lacks_room() {
            // The writer would wait for it.
            self.checkpoint();
        }
        self.writer.commit(first, &self.waiting);
        self.writer.freeze();
        true
    }

    /// Makes safe what could wait.
    pub fn sync(&mut self) {
        self.writer.sync();
    }

    /// Writes what waits, and ends as a store that is closed does.
    pub fn end(mut self) {
        while self.commit() {}
        self.writer.end();
    }

    /// Has the engine take over what is frozen; whether it has something left to do.
    pub fn checkpoint(&mut self) -> bool {
        if self.next.is_none() {
            self.next = self.frozen.try_recv().ok();
        }
        if self.next.as_ref().is_some_and(|frozen| checkpoint::take_once(&self.shared, frozen)) {
            self.next = None;
        }
        self.next.is_some()
    }
}

impl DiskStore {
    /// A store on files and rows that somebody else makes, and the steps that its threads would take: nothing is
    /// written before they are taken. The engine takes over about `freeze` bytes at a time.
    ///
    /// # Errors
    /// As [`DiskStore::open`].
    pub fn in_steps(
        files: Arc<dyn Filesystem>,
        rows: SafeRows,
        limits: Limits,
        freeze: usize,
    ) -> Result<(Self, Steps), StoreError> {
        let directory = Path::new("");
        recovery::check_format(&*files, directory)?;
        let ground = Ground {
            directory,
            files,
            engine: Box::new(rows),
            mended: Vec::new(),
            lock: None,
            limits,
            freeze,
        };
        let Started { shared, work, writer, waiting, frozen } = ground.start(false)?;
        let steps = Steps { shared: Arc::clone(&shared), writer, waiting, frozen, next: None };
        Ok((Self { open: Mutex::new(Some(Open { shared, work, threads: None })) }, steps))
    }
}
