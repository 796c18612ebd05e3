//! What operators ask of a store.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::Path;

use super::filesystem::Filesystem;
use super::shared::{AllRows, Shared};
use super::{DiskStore, journal, unavailable};
use crate::StoreError;
use crate::inboxes::Checking;
use crate::inboxes::tables::{self, Table};

/// What stands in a store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Users that ever had a message or a device.
    pub users: u64,
    /// Devices that are known.
    pub devices: u64,
    /// Messages in all inboxes together.
    pub messages: u64,
    /// Messages that wait for their time.
    pub scheduled: u64,
    /// Messages of which it is known what became of them.
    pub receipts: u64,
    /// Bytes of the journals.
    pub journal_bytes: u64,
    /// Bytes of the sorted files.
    pub row_bytes: u64,
}

/// What a check has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checked {
    /// Messages that can be read.
    pub messages: u64,
    /// What cannot be read, or does not agree, each in words. Nothing if all is well.
    pub faults: Vec<String>,
}

/// What a start has found in the journals.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// Bytes of commits that were cut short, of which nobody was told that they were done.
    pub dropped_bytes: u64,
    /// What was damaged and is lost, each in words.
    pub lost: Vec<String>,
    /// What was damaged and is mended from a copy, each in words.
    pub mended: Vec<String>,
}

impl DiskStore {
    /// What the start of this store has found.
    ///
    /// # Errors
    /// [`StoreError::Closed`].
    pub fn recovery(&self) -> Result<Recovery, StoreError> {
        Ok(self.shared()?.recovery.clone())
    }

    /// Counts what can be read in the store. Reads all of it.
    ///
    /// # Errors
    /// [`StoreError::Closed`], [`StoreError::Unavailable`].
    pub fn stats(&self) -> Result<Stats, StoreError> {
        let shared = self.shared()?;
        let count = |table| -> Result<u64, StoreError> {
            let mut rows = 0;
            walk_in_parts(&shared, table, &mut BTreeSet::new(), &mut |_, _, _| {
                rows += 1;
                Ok(())
            })?;
            Ok(rows)
        };
        Ok(Stats {
            users: count(Table::Users)?,
            devices: count(Table::Devices)?,
            messages: count(Table::Log)?,
            scheduled: count(Table::Schedule)?,
            receipts: count(Table::Messages)?,
            journal_bytes: journal_bytes(&*shared.files, &shared.journals()).map_err(unavailable)?,
            row_bytes: shared.engine.bytes(),
        })
    }

    /// Reads everything, and tells what cannot be read and what does not agree. Best done while nobody else uses
    /// the store, as what changes meanwhile may not agree.
    ///
    /// # Errors
    /// [`StoreError::Closed`], [`StoreError::Unavailable`].
    pub fn check(&self) -> Result<Checked, StoreError> {
        let shared = self.shared()?;
        let Recovery { mended, lost, .. } = &shared.recovery;
        let mut checked = Checked { faults: [&mended[..], lost].concat(), ..Checked::default() };
        let mut users = BTreeSet::new();
        for table in Table::ALL {
            let mut lost = BTreeSet::new();
            walk_in_parts(&shared, table, &mut lost, &mut |_, key, value| {
                checked.faults.extend(Checking::row(table, key, value).err().map(|fault| fault.to_string()));
                // What is known of an inbox may be what is damaged.
                if matches!(table, Table::Users | Table::Devices | Table::Log) {
                    users.extend(Checking::user(key));
                }
                Ok(())
            })?;
            checked.faults.extend(lost);
        }
        for user in users {
            checked.messages += Checking::new(&shared.rows()).inbox(&user, &mut checked.faults)?;
        }
        Ok(checked)
    }
}

/// What is done with a row of a walk, beside all others.
type VisitIn<'v> = dyn FnMut(&AllRows<'_>, &[u8], &[u8]) -> Result<(), StoreError> + 'v;

/// Walks over what can be read of a table, without keeping commits from being made for long.
pub(super) fn walk_in_parts(
    shared: &Shared,
    table: Table,
    lost: &mut BTreeSet<String>,
    visit: &mut VisitIn<'_>,
) -> Result<(), StoreError> {
    const PART: usize = 1000;
    let (mut from, to) = (Vec::new(), tables::end_of(&[]));
    loop {
        let (mut count, mut last) = (0, Vec::new());
        let rows = shared.rows();
        rows.walk_readable((table, &from, &to), lost, &mut |key, value| {
            visit(&rows, key, value)?;
            count += 1;
            last.clear();
            last.extend_from_slice(key);
            Ok(if count < PART { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        if count < PART {
            return Ok(());
        }
        last.push(0);
        from = last;
    }
}

fn journal_bytes(files: &dyn Filesystem, directory: &Path) -> std::io::Result<u64> {
    let numbers = journal::numbers(files, directory)?.into_iter();
    numbers.map(|number| Ok(std::fs::metadata(journal::path(directory, number))?.len())).sum()
}
