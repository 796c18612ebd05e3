//! Whether what stands in the rows agrees.

use std::ops::ControlFlow;

use msgserver_message::{Seq, UserId};

use super::rows::{self, DeviceRow, Head, MessageRow, ScheduleRow, TopicRow, UserRow};
use super::tables::{self, Rows, Table};
use super::{corrupt, device_rows, log, user_row};
use crate::StoreError;

/// Inboxes to be checked.
#[derive(Debug)]
pub(crate) struct Checking<'t, T> {
    tables: &'t T,
}

impl Checking<'_, ()> {
    /// Whether a row is one of its table.
    pub(crate) fn row(table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        match table {
            Table::Log | Table::History => Head::read(value).and_then(|_| rows::message(value).map(drop)),
            Table::Users => rows::read::<UserRow>(value).map(drop),
            Table::Devices => rows::read::<DeviceRow>(value).map(drop),
            Table::Messages => rows::read::<MessageRow>(value).map(drop),
            Table::Steps => rows::read_steps(value).map(drop),
            Table::Schedule => rows::read::<ScheduleRow>(value).map(drop),
            Table::Topics => rows::read::<TopicRow>(value).map(drop),
            Table::Expiring
            | Table::Collapse
            | Table::Aging
            | Table::Sums
            | Table::Following
            | Table::Followers => Ok(()),
        }
        .map_err(|fault| {
            match tables::split_user(key).filter(|_| table == Table::Log).zip(tables::seq(key)) {
                Some(((user, _), seq)) => corrupt(format_args!("message {seq} of user {user:?}: {fault}")),
                None => corrupt(format_args!("a row of table {table:?}: {fault}")),
            }
        })
    }

    /// The user whose row has a key.
    pub(crate) fn user(key: &[u8]) -> Option<UserId> {
        tables::split_user(key).map(|(user, _)| user)
    }
}

impl<'t, T: Rows> Checking<'t, T> {
    pub(crate) fn new(tables: &'t T) -> Self {
        Self { tables }
    }

    /// How many messages of an inbox can be read; what does not agree is added to the faults.
    pub(crate) fn inbox(&self, user: &UserId, faults: &mut Vec<String>) -> Result<u64, StoreError> {
        let row = match user_row(self.tables, user) {
            Err(StoreError::Corrupt { detail, .. }) => {
                faults.push(detail);
                return Ok(0);
            }
            row => row?,
        };
        let (mut count, mut bytes) = (0, 0);
        log::walk(self.tables, user, Seq::ZERO, Seq::new(row.last), &mut |seq, entry| {
            match entry {
                Some((head, _)) if seq.get() > row.trimmed => {
                    count += 1;
                    bytes += u64::from(head.bytes);
                }
                Some(_) => faults.push(format!("message {seq} of user {user:?} should be gone")),
                None => faults.push(format!("message {seq} of user {user:?} cannot be read")),
            }
            ControlFlow::Continue(())
        })?;
        if (count, bytes) != (row.count(), row.bytes) {
            faults.push(format!(
                "the inbox of user {user:?} has {count} messages of {bytes} bytes, where {} of {} are counted",
                row.count(),
                row.bytes
            ));
        }
        match device_rows(self.tables, user) {
            Ok(devices) if devices.len() as u64 == u64::from(row.devices) => {}
            Ok(devices) => {
                let (has, counted) = (devices.len(), row.devices);
                faults.push(format!("user {user:?} has {has} devices, where {counted} are counted"));
            }
            Err(StoreError::Corrupt { detail, .. }) => faults.push(detail),
            Err(fault) => return Err(fault),
        }
        Ok(count)
    }
}
