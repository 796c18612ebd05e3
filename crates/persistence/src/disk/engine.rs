//! Rows in sorted files.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, ControlFlow};
use std::path::Path;
use std::sync::Arc;

use lsm_tree::compaction::Leveled;
use lsm_tree::{
    AbstractTree, AnyTree, Cache, Config, DescriptorTable, Guard, SequenceNumberCounter, UserKey,
};

use super::copies::Copies;
use super::filesystem::Local;
use super::{files, recovery, unavailable};
use crate::StoreError;
use crate::inboxes::tables::{Row, Rows, Table, Visit};
use crate::inboxes::{Changed, corrupt};

/// Bytes of blocks that are kept in memory.
const CACHE: u64 = 16 * 1024 * 1024;
/// Files that are kept open.
const OPEN_FILES: usize = 64;

/// Where rows are that change no more.
pub(super) trait Sorted: Rows + Debug + Send + Sync {
    /// Takes rows over; done once they are safe.
    fn take(&self, changed: &Changed) -> Result<(), StoreError>;
    /// Merges files where there are many; whether there was anything to do.
    fn compact(&self) -> Result<bool, StoreError>;
    /// How many bytes the files take.
    fn bytes(&self) -> u64;

    /// Walks over the keys that can be read with `from <= key < to`, in order, and what is damaged between them. A
    /// key may be one of a row that is deleted, or that itself cannot be read.
    fn walk_keys(
        &self,
        table: Table,
        from: &[u8],
        to: &[u8],
        visit: &mut VisitKey<'_>,
    ) -> Result<(), StoreError> {
        self.walk(table, from, to, &mut |key, _| visit(Key::Readable(key)))
    }
}

/// A step of a walk over keys.
pub(super) enum Key<'k> {
    /// This key is in a file that can be read here.
    Readable(&'k [u8]),
    /// A stretch of a file that cannot be read, between two keys of it that can.
    Lost { file: String, before: Option<&'k [u8]>, behind: Option<&'k [u8]> },
}

/// What is done with each key, and whether the walk goes on.
pub(super) type VisitKey<'v> = dyn FnMut(Key<'_>) -> Result<ControlFlow<()>, StoreError> + 'v;

/// The tables as one tree of sorted, immutable files. Rows come in large, sorted lots and never one by one, and
/// each lot is safe when it is in. Every block that is read is checked against its checksum.
pub(super) struct Engine {
    tree: AnyTree,
    /// What is older than this can be read.
    visible: SequenceNumberCounter,
    copies: Copies,
}

impl Engine {
    /// The rows in a data directory of the format that is known, and what was mended there.
    pub(super) fn open(directory: &Path) -> Result<(Self, Vec<String>), StoreError> {
        let copies = Copies::new(directory);
        let of_format = copies.mend_format().map_err(unavailable)?;
        recovery::check_format(&Local, directory)?;
        let directory = directory.join("rows");
        let mut mended = copies.mend().map_err(unavailable)?;
        mended.extend(of_format);
        for what in &mended {
            tracing::error!("{what}");
        }
        files::check(&directory)?;
        let (next, visible) = (SequenceNumberCounter::default(), SequenceNumberCounter::default());
        let tree = Config::new(directory, next.clone(), visible.clone())
            .use_cache(Arc::new(Cache::with_capacity_bytes(CACHE)))
            .use_descriptor_table(Some(Arc::new(DescriptorTable::new(OPEN_FILES))))
            .open()
            .map_err(fault_at_start)?;
        let after = tree.get_highest_seqno().map_or(1, |highest| highest + 1);
        next.fetch_max(after);
        visible.fetch_max(after);
        let engine = Self { tree, visible, copies };
        engine.copy();
        Ok((engine, mended))
    }

    /// Copies what tells where the rows are. Nothing is lost if it fails, unless something else is damaged.
    fn copy(&self) {
        if let Err(fault) = self.copies.update() {
            tracing::warn!(%fault, "the list of the sorted files could not be copied; it is tried again later");
        }
    }
}

impl Sorted for Engine {
    fn take(&self, changed: &Changed) -> Result<(), StoreError> {
        self.copies.forget_list().map_err(unavailable)?;
        let mut lot = self.tree.ingestion().map_err(fault)?;
        for (table, key, value) in changed.iter() {
            let key = in_tree(table, key);
            match value {
                Some(value) => lot.write(key, value),
                None => lot.write_tombstone(key),
            }
            .map_err(fault)?;
        }
        lot.finish().map_err(fault)?;
        self.copy();
        Ok(())
    }

    fn compact(&self) -> Result<bool, StoreError> {
        self.copies.forget_list().map_err(unavailable)?;
        let before = self.tree.current_version().id();
        let compacted = self.tree.compact(Arc::new(Leveled::default()), self.visible.get()).map_err(fault);
        self.copy();
        compacted.map(|_| self.tree.current_version().id() != before)
    }

    fn bytes(&self) -> u64 {
        self.tree.disk_space()
    }

    fn walk_keys(
        &self,
        table: Table,
        from: &[u8],
        to: &[u8],
        visit: &mut VisitKey<'_>,
    ) -> Result<(), StoreError> {
        let Some((from, to)) = range(table, from, to) else { return Ok(()) };
        let (from, to) = (from.map(UserKey::from), to.map(UserKey::from));
        let version = self.tree.current_version();
        let mut files: Vec<_> = version
            .iter_tables()
            .map(|file| {
                let keys = file.range((from.clone(), to.clone()));
                let keys = keys.map(|row| row.map(|row| row.key.user_key).map_err(fault));
                Keys { file: file.id(), keys: Box::new(keys), next: None, before: None }
            })
            .collect();
        for keys in &mut files {
            keys.step(visit)?;
        }
        while let Some(next) = files.iter().filter_map(|keys| keys.next.clone()).min() {
            if let ControlFlow::Break(()) = visit(Key::Readable(&next[1..]))? {
                break;
            }
            for keys in files.iter_mut().filter(|keys| keys.next.as_ref() == Some(&next)) {
                keys.step(visit)?;
            }
        }
        Ok(())
    }
}

/// The keys of one file, in order.
struct Keys<'e> {
    file: u64,
    keys: Box<dyn Iterator<Item = Result<UserKey, StoreError>> + 'e>,
    next: Option<UserKey>,
    before: Option<UserKey>,
}

impl Keys<'_> {
    /// Goes on to the next key that can be read.
    fn step(&mut self, visit: &mut VisitKey<'_>) -> Result<(), StoreError> {
        /// Blocks one after the other that cannot be read, from which on the file is given up: where its index
        /// is damaged, there is no end of them.
        const DAMAGED: usize = 100_000;

        self.before = self.next.take();
        let mut damaged = 0;
        for key in self.keys.by_ref() {
            match key {
                Ok(key) => {
                    self.next = Some(key);
                    break;
                }
                Err(StoreError::Corrupt { .. }) if damaged < DAMAGED => damaged += 1,
                Err(StoreError::Corrupt { .. }) => break,
                Err(fault) => return Err(fault),
            }
        }
        if damaged > 0 {
            let edge = |key: &'_ Option<UserKey>| key.as_ref().map(|key| key[1..].to_vec());
            let (before, behind) = (edge(&self.before), edge(&self.next));
            let file = format!("rows/tables/{}", self.file);
            // What is damaged ends no walk.
            let _ = visit(Key::Lost { file, before: before.as_deref(), behind: behind.as_deref() })?;
        }
        Ok(())
    }
}

impl Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("files", &self.tree.table_count()).finish_non_exhaustive()
    }
}

impl Rows for Engine {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let value = self.tree.get(in_tree(table, key), self.visible.get()).map_err(fault)?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn walk(&self, table: Table, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        let Some(range) = range(table, from, to) else { return Ok(()) };
        for row in self.tree.range(range, self.visible.get(), None) {
            let (key, value) = row.into_inner().map_err(fault)?;
            if let ControlFlow::Break(()) = visit(&key[1..], &value)? {
                break;
            }
        }
        Ok(())
    }

    fn last(&self, table: Table, from: &[u8], to: &[u8]) -> Result<Option<Row>, StoreError> {
        let Some(range) = range(table, from, to) else { return Ok(None) };
        let Some(row) = self.tree.range(range, self.visible.get(), None).next_back() else { return Ok(None) };
        let (key, value) = row.into_inner().map_err(fault)?;
        Ok(Some((key[1..].into(), value.to_vec())))
    }
}

/// A key in the tree: the number of its table stands before it.
fn in_tree(table: Table, key: &[u8]) -> Vec<u8> {
    let mut whole = Vec::with_capacity(key.len() + 1);
    whole.push(table as u8);
    whole.extend_from_slice(key);
    whole
}

/// From where to where in the tree.
type InTree = (Bound<Vec<u8>>, Bound<Vec<u8>>);

fn range(table: Table, from: &[u8], to: &[u8]) -> Option<InTree> {
    let bounds = || (Bound::Included(in_tree(table, from)), Bound::Excluded(in_tree(table, to)));
    (from < to).then(bounds)
}

/// Where a file names another one that is not there, or is cut short, nothing is wrong with the disk.
fn fault_at_start(at_start: lsm_tree::Error) -> StoreError {
    match at_start {
        lsm_tree::Error::Io(cause)
            if matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof) =>
        {
            corrupt(format_args!("the sorted files do not agree with each other: {cause}"))
        }
        other => fault(other),
    }
}

fn fault(fault: lsm_tree::Error) -> StoreError {
    match fault {
        lsm_tree::Error::Io(fault) => unavailable(fault),
        fault => corrupt(format_args!("a file of rows: {fault}")),
    }
}
