//! The rules of inboxes, written once: plain functions of tables, a moment and what is asked. They read no
//! clock, draw no numbers and know no engine; a store gives them tables and makes their changes safe.

use std::fmt;

use msgserver_message::{MessageId, Timestamp, UserId};
use serde::de::DeserializeOwned;

use self::rows::{DeviceRow, MessageRow, UserRow};
use self::tables::{Key, Row, Rows, Table, Tables};
use crate::{Limits, StoreError};

mod append;
mod changes;
#[cfg(feature = "disk")]
mod checking;
mod cursors;
mod following;
mod history;
#[cfg(feature = "disk")]
pub(crate) mod lines;
mod log;
mod reading;
mod receipts;
mod rows;
mod schedule;
mod sweep;
pub(crate) mod tables;

pub(crate) use changes::Changes;
#[cfg(feature = "disk")]
pub(crate) use changes::{Changed, Over};
#[cfg(feature = "disk")]
pub(crate) use checking::Checking;
#[cfg(feature = "disk")]
pub(crate) use cursors::Opened;
pub(crate) use reading::Reading;
pub(crate) use rows::corrupt;
#[cfg(feature = "redis")]
pub(crate) use rows::{ScheduleRow, read as read_row, write_named as write_row};
pub(crate) use sweep::Rounds;

/// Inboxes at a moment, to be changed.
#[derive(Debug)]
pub(crate) struct Inboxes<'t, T> {
    tables: &'t mut T,
    setting: Setting,
}

/// What the rules are told beside what is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) limits: Limits,
    pub(crate) now: Timestamp,
    /// The number of this process. A device that is connected to another one is not: that one has crashed.
    pub(crate) process: u64,
    /// Whether anybody listens to the steps that are made.
    pub(crate) is_heard: bool,
}

impl<'t, T: Tables> Inboxes<'t, T> {
    pub(crate) fn new(tables: &'t mut T, setting: Setting) -> Self {
        Self { tables, setting }
    }

    fn put_user(&mut self, user: &UserId, row: &UserRow) {
        self.tables.put(Table::Users, tables::user(user), rows::write(row));
    }

    fn put_message(&mut self, id: MessageId, row: &MessageRow) {
        self.tables.put(Table::Messages, Key::from_slice(&id.to_bytes()), rows::write(row));
    }

    /// Adds to a sum, and gives what it was.
    fn add(&mut self, name: &str, difference: i64) -> Result<u64, StoreError> {
        let before = sum(self.tables, name)?;
        let after = before.saturating_add_signed(difference);
        self.tables.put(Table::Sums, Key::from_slice(name.as_bytes()), after.to_be_bytes().to_vec());
        Ok(before)
    }
}

/// The sum of messages in all inboxes.
const STORED: &str = "stored";
/// How many rows of steps there ever were.
const STEPS: &str = "steps";
/// How many messages were ever scheduled.
const SCHEDULED: &str = "scheduled";
/// One while rows are imported: what is there then is not all.
#[cfg(feature = "disk")]
const IMPORTING: &str = "importing";
/// How many devices follow topics by filters that may fit several.
const WILDCARDS: &str = "wildcards";
/// How many processes have had the store.
#[cfg(feature = "disk")]
const PROCESSES: &str = "processes";

fn sum(tables: &impl Rows, name: &str) -> Result<u64, StoreError> {
    let Some(bytes) = tables.get(Table::Sums, name.as_bytes())? else { return Ok(0) };
    let number = bytes.as_slice().try_into().map_err(|_| corrupt(format_args!("the sum {name:?}")))?;
    Ok(u64::from_be_bytes(number))
}

/// The number of a process that begins now.
#[cfg(feature = "disk")]
pub(crate) fn begin_process(tables: &mut impl Tables) -> Result<u64, StoreError> {
    let number = sum(tables, PROCESSES)? + 1;
    tables.put(Table::Sums, Key::from_slice(PROCESSES.as_bytes()), number.to_be_bytes().to_vec());
    Ok(number)
}

/// Whether rows are being imported, or were when it was cut short.
#[cfg(feature = "disk")]
pub(crate) fn is_importing(tables: &impl Rows) -> Result<bool, StoreError> {
    Ok(sum(tables, IMPORTING)? > 0)
}

/// Notes whether rows are being imported.
#[cfg(feature = "disk")]
pub(crate) fn set_importing(tables: &mut impl Tables, importing: bool) {
    tables.put(
        Table::Sums,
        Key::from_slice(IMPORTING.as_bytes()),
        u64::from(importing).to_be_bytes().to_vec(),
    );
}

/// A row, if it is there; `whose` names it where it cannot be read.
fn row<R: DeserializeOwned>(
    tables: &impl Rows,
    table: Table,
    key: &[u8],
    whose: impl fmt::Display,
) -> Result<Option<R>, StoreError> {
    let named = |fault| match fault {
        StoreError::Corrupt { detail, .. } => corrupt(format_args!("{whose}: {detail}")),
        fault => fault,
    };
    tables.get(table, key).and_then(|bytes| bytes.as_deref().map(rows::read).transpose()).map_err(named)
}

fn user_row(tables: &impl Rows, user: &UserId) -> Result<UserRow, StoreError> {
    let whose = format_args!("the inbox of user {user:?}");
    Ok(row(tables, Table::Users, &tables::user(user), whose)?.unwrap_or_default())
}

fn message_row(tables: &impl Rows, id: MessageId) -> Result<Option<MessageRow>, StoreError> {
    row(tables, Table::Messages, &id.to_bytes(), format_args!("what was accepted under the id {id}"))
}

/// The devices of a user with the keys of their rows, in the order of their names.
fn device_rows(tables: &impl Rows, user: &UserId) -> Result<Vec<(Key, DeviceRow)>, StoreError> {
    let from = tables::user(user);
    let rows = tables.first(Table::Devices, &from, &tables::end_of(&from), usize::MAX)?;
    let read = |(key, value): Row| match rows::read(&value) {
        Ok(row) => Ok((key, row)),
        Err(fault) => Err(corrupt(format_args!("a device of user {user:?}: {fault}"))),
    };
    rows.into_iter().map(read).collect()
}
