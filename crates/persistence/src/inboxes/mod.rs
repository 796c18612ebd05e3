//! The rules of inboxes, written once for every store that has ordered tables.
//!
//! Plain functions of tables and an instant: no I/O of their own, no clock. [`MemoryStore`](crate::MemoryStore)
//! and `DiskStore` are these rules on a map and on a file.

mod append;
mod cursors;
mod receipts;
mod rows;
mod schedule;
mod sweep;
mod tables;

use std::sync::atomic::{AtomicU32, Ordering};

use msgserver_message::{MessageId, Priority, Seq, Stage, Step, Timestamp, UserId};

pub(crate) use self::cursors::{devices, inbox, read};
pub(crate) use self::receipts::receipt;
use self::rows::{DeviceRow, Head, UserRow};
#[cfg(feature = "disk")]
pub(crate) use self::schedule::next_due;
pub(crate) use self::sweep::Sweeper;
#[cfg(feature = "disk")]
pub(crate) use self::sweep::is_tidy;
pub(crate) use self::tables::{Row, Rows, Table, Tables};
use crate::{Limits, StoreError};

/// The key of the sum of all messages in [`Table::Sums`].
const STORED: &[u8] = b"stored";

/// The rules on some tables, at an instant.
pub(crate) struct Inboxes<'t, T> {
    tables: &'t mut T,
    limits: &'t Limits,
    /// Which process this is: devices that another one had connected are not connected any more.
    process: u64,
    now: Timestamp,
}

impl<'t, T: Tables> Inboxes<'t, T> {
    pub(crate) fn new(tables: &'t mut T, limits: &'t Limits, process: u64, now: Timestamp) -> Self {
        Self { tables, limits, process, now }
    }

    /// The same at another instant.
    #[cfg(feature = "disk")]
    pub(crate) fn at(&mut self, now: Timestamp) -> Inboxes<'_, T> {
        Inboxes { tables: self.tables, limits: self.limits, process: self.process, now }
    }

    /// What is known of an inbox. Devices that were connected when a process ended without a word count as sent
    /// everything that there was.
    fn user(&mut self, user: &UserId) -> Result<UserRow, StoreError> {
        let mut row = user_row(self.tables, user)?;
        if row.connected > 0 && row.process != self.process {
            for (key, value) in device_rows(self.tables, user)? {
                let device: DeviceRow = rows::read(&value)?;
                if device.sessions > 0 {
                    let device = DeviceRow { sent: row.last, sessions: 0, ..device };
                    self.tables.put(Table::Devices, key, rows::write(&device))?;
                }
            }
            row.connected = 0;
        }
        row.process = self.process;
        Ok(row)
    }

    fn put_user(&mut self, user: &UserId, row: &UserRow) -> Result<(), StoreError> {
        self.tables.put(Table::Users, tables::user(user), rows::write(row))
    }

    /// The last number that may have been sent to any device.
    fn sent_to_any(&self, user: &UserId) -> Result<u64, StoreError> {
        let mut sent = 0;
        for (_, value) in device_rows(self.tables, user)? {
            let device: DeviceRow = rows::read(&value)?;
            sent = sent.max(device.sent).max(device.acknowledged);
        }
        Ok(sent)
    }

    /// The entries of a user behind a number.
    fn entries(&self, user: &UserId, after: u64, limit: usize) -> Result<Vec<(u64, Row)>, StoreError> {
        let Some(first) = after.checked_add(1) else { return Ok(Vec::new()) };
        let end = tables::end_of(&tables::user(user));
        let rows = self.tables.range(Table::Log, &tables::entry(user, Seq::new(first)), &end, limit)?;
        Ok(rows.into_iter().map(|row| (seq_of(&row.0), row)).collect())
    }

    /// Takes an entry out, and counts it out of the user's row.
    fn take_out(&mut self, user: &UserId, row: &mut UserRow, (key, value): &Row) -> Result<Head, StoreError> {
        let head = rows::head(value)?;
        self.tables.delete(Table::Log, key)?;
        if head.collapses
            && let Ok(message) = rows::message(value)
            && let Some(about) = &message.collapse_key
        {
            let at = tables::collapse(user, about);
            if self.tables.get(Table::Collapse, &at)?.is_some_and(|seq| seq == seq_of(key).to_be_bytes()) {
                self.tables.delete(Table::Collapse, &at)?;
            }
        }
        let waiting = &mut row.waiting[head.priority as usize];
        *waiting = waiting.saturating_sub(1);
        row.bytes = row.bytes.saturating_sub(value.len() as u64);
        self.count(-1)?;
        Ok(head)
    }

    fn count(&mut self, by: i64) -> Result<(), StoreError> {
        let stored = stored(self.tables)?.saturating_add_signed(by);
        self.tables.put(Table::Sums, STORED.to_vec(), stored.to_be_bytes().to_vec())
    }

    /// Notes a step of a message that is known.
    fn step(&mut self, id: MessageId, step: Step) -> Result<(), StoreError> {
        self.steps(id, vec![step])
    }

    fn steps(&mut self, id: MessageId, steps: Vec<Step>) -> Result<(), StoreError> {
        /// Tells steps of one millisecond apart.
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        if self.limits.receipts.is_zero() || self.tables.get(Table::Messages, &id.to_bytes())?.is_none() {
            return Ok(());
        }
        let key = tables::step(id, self.now, COUNTER.fetch_add(1, Ordering::Relaxed));
        self.tables.put(Table::Steps, key, rows::write_named(&steps))
    }

    /// A step of one user's copy.
    fn step_of(
        &mut self,
        id: MessageId,
        user: &UserId,
        stage: Stage,
        why: &'static str,
    ) -> Result<(), StoreError> {
        let step = Step { reason: Some(why.into()), ..Step::of(user, stage, self.now) };
        self.step(id, step)
    }
}

fn seq_of(key: &[u8]) -> u64 {
    tables::tail::<8>(key).map_or(0, u64::from_be_bytes)
}

fn user_row(tables: &impl Rows, user: &UserId) -> Result<UserRow, StoreError> {
    let row = tables.get(Table::Users, &tables::user(user))?;
    row.map_or_else(|| Ok(UserRow::default()), |row| rows::read(&row))
}

fn device_rows(tables: &impl Rows, user: &UserId) -> Result<Vec<Row>, StoreError> {
    let from = tables::user(user);
    tables.range(Table::Devices, &from, &tables::end_of(&from), usize::MAX)
}

/// How many messages are kept.
pub(crate) fn stored(tables: &impl Rows) -> Result<u64, StoreError> {
    let sum = tables.get(Table::Sums, STORED)?;
    Ok(sum.and_then(|sum| sum.try_into().ok()).map_or(0, u64::from_be_bytes))
}

/// Whether something that waits is less urgent.
fn less_urgent_waits(row: &UserRow, priority: Priority) -> bool {
    row.waiting[..priority as usize].iter().any(|&waiting| waiting > 0)
}
