//! What the store, its writer and its checkpoints share.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use msgserver_message::{Seq, Timestamp, UserId};
use parking_lot::{Condvar, Mutex, RwLock, RwLockReadGuard};

use super::check::Recovery;
use super::engine::Sorted;
use super::filesystem::Filesystem;
use super::salvage;
use crate::inboxes::tables::{Row, Rows, Table, Visit};
use crate::inboxes::{Changed, Over, Setting};
use crate::listening::Listening;
use crate::{Limits, StoreError};

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) directory: PathBuf,
    pub(super) limits: Limits,
    /// The number of this process among all that have had the directory.
    pub(super) process: u64,
    pub(super) recovery: Recovery,
    pub(super) engine: Box<dyn Sorted>,
    pub(super) files: Arc<dyn Filesystem>,
    /// About how many bytes change before the engine takes them over.
    pub(super) freeze: usize,
    /// Whether reading takes a thread that may wait.
    pub(super) reads_wait: bool,
    pub(super) listening: Listening,
    pub(super) recent: RwLock<Recent>,
    /// Why the last commit failed, if it did.
    pub(super) fault: Mutex<Option<StoreError>>,
    pub(super) checkpoint: Mutex<Checkpoint>,
    /// Told when a checkpoint has ended or failed.
    pub(super) checkpoint_changed: Condvar,
    /// Held as long as anything of the store is: nobody else may use the directory.
    pub(super) _lock: Option<File>,
}

/// What the engine does not have yet.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// What is changed now.
    pub(super) current: Changed,
    /// What was changed before that, and is on its way into the engine. Nothing changes here.
    pub(super) frozen: Arc<Changed>,
}

impl Recent {
    /// Whether it is certain, without asking the engine, that an inbox has nothing after a number.
    pub(super) fn has_nothing_after(&self, user: &UserId, seq: Seq) -> bool {
        let last = [&self.current, &*self.frozen].into_iter().find_map(|changed| changed.last_given(user));
        last.is_some_and(|last| last <= seq)
    }
}

/// How it goes with what is frozen.
#[derive(Debug, Default)]
pub(super) struct Checkpoint {
    /// Whether something is.
    pub(super) busy: bool,
    /// Why the engine could not take it the last time it was tried.
    pub(super) fault: Option<StoreError>,
}

impl Shared {
    pub(super) fn setting(&self, now: Timestamp) -> Setting {
        Setting { limits: self.limits, now, process: self.process, is_heard: self.listening.is_heard() }
    }

    /// All rows. While this is held nothing is committed, so it is not to be held for long.
    pub(super) fn rows(&self) -> AllRows<'_> {
        AllRows { recent: self.recent.read(), engine: &*self.engine }
    }

    pub(super) fn journals(&self) -> PathBuf {
        journals(&self.directory)
    }
}

/// Where the journals are.
pub(super) fn journals(directory: &Path) -> PathBuf {
    directory.join("journals")
}

pub(super) struct AllRows<'s> {
    recent: RwLockReadGuard<'s, Recent>,
    engine: &'s dyn Sorted,
}

impl<'s> AllRows<'s> {
    fn with<T>(&self, read: impl FnOnce(&Over<'_, Over<'_, dyn Sorted + 's>>) -> T) -> T {
        let Recent { current, frozen } = &*self.recent;
        read(&Over { changed: current, under: &Over { changed: frozen, under: self.engine } })
    }
}

impl AllRows<'_> {
    /// Walks over the rows of a table that can be read, and names what cannot.
    pub(super) fn walk_readable(
        &self,
        range: (Table, &[u8], &[u8]),
        lost: &mut BTreeSet<String>,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        salvage::walk(&self.recent, self.engine, range, lost, visit)
    }
}

impl Rows for AllRows<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.with(|rows| rows.get(table, key))
    }

    fn walk(&self, table: Table, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.with(|rows| rows.walk(table, from, to, visit))
    }

    fn walk_around(
        &self,
        table: Table,
        from: &[u8],
        to: &[u8],
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        let mut lost = BTreeSet::new();
        let walked = self.walk_readable((table, from, to), &mut lost, visit);
        for what in lost {
            tracing::error!("{what}");
        }
        walked
    }

    fn last(&self, table: Table, from: &[u8], to: &[u8]) -> Result<Option<Row>, StoreError> {
        self.with(|rows| rows.last(table, from, to))
    }
}
