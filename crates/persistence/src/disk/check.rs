//! What operators ask of a store.

use std::ops::ControlFlow;
use std::path::Path;

use super::filesystem::Local;
use super::shared::Shared;
use super::{DiskStore, journal, unavailable};
use crate::StoreError;
use crate::inboxes::Checking;
use crate::inboxes::tables::{Rows, Table};

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
}

impl DiskStore {
    /// What the start of this store has found.
    ///
    /// # Errors
    /// [`StoreError::Closed`].
    pub fn recovery(&self) -> Result<Recovery, StoreError> {
        Ok(self.shared()?.recovery.clone())
    }

    /// Counts what stands in the store. Reads all of it.
    ///
    /// # Errors
    /// [`StoreError::Closed`], [`StoreError::Corrupt`] if something cannot be read.
    pub fn stats(&self) -> Result<Stats, StoreError> {
        let shared = self.shared()?;
        let count = |table| -> Result<u64, StoreError> {
            let mut rows = 0;
            walk_in_parts(&shared, table, &mut |_, _| rows += 1)?;
            Ok(rows)
        };
        Ok(Stats {
            users: count(Table::Users)?,
            devices: count(Table::Devices)?,
            messages: count(Table::Log)?,
            scheduled: count(Table::Schedule)?,
            receipts: count(Table::Messages)?,
            journal_bytes: journal_bytes(&shared.journals()).map_err(unavailable)?,
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
        let mut checked = Checked { faults: shared.recovery.lost.clone(), ..Checked::default() };
        let mut users = Vec::new();
        for table in Table::ALL {
            let mut faults = Vec::new();
            let walked = walk_in_parts(&shared, table, &mut |key, value| {
                faults.extend(Checking::row(table, key, value).err().map(|fault| fault.to_string()));
                if table == Table::Users {
                    users.extend(Checking::user(key));
                }
            });
            checked.faults.append(&mut faults);
            match walked {
                Err(StoreError::Corrupt { detail, .. }) => {
                    checked.faults.push(format!("table {table:?}: {detail}"));
                }
                walked => walked?,
            }
        }
        for user in users {
            checked.messages += Checking::new(&shared.rows()).inbox(&user, &mut checked.faults)?;
        }
        Ok(checked)
    }
}

/// Walks over a table without keeping commits from being made for long.
fn walk_in_parts(
    shared: &Shared,
    table: Table,
    visit: &mut dyn FnMut(&[u8], &[u8]),
) -> Result<(), StoreError> {
    const PART: usize = 1000;
    let (mut from, to) = (Vec::new(), vec![u8::MAX; 1024]);
    loop {
        let mut rows = 0;
        let mut last = Vec::new();
        shared.rows().walk(table, &from, &to, &mut |key, value| {
            visit(key, value);
            rows += 1;
            last.clear();
            last.extend_from_slice(key);
            Ok(if rows < PART { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        if rows < PART {
            return Ok(());
        }
        last.push(0);
        from = last;
    }
}

fn journal_bytes(directory: &Path) -> std::io::Result<u64> {
    let numbers = journal::numbers(&Local, directory)?.into_iter();
    numbers.map(|number| Ok(std::fs::metadata(journal::path(directory, number))?.len())).sum()
}
