//! What can be asked without a change.

use std::ops::ControlFlow;
use std::sync::Arc;

use msgserver_message::{DeviceId, MessageId, Receipt, Seq, Stage, Step, Timestamp, UserId};

use super::following::following;
use super::rows;
use super::tables::{self, Rows, Table};
use super::{STORED, Setting, corrupt, device_rows, log, message_row, sum, user_row};
use crate::{Device, Entry, Inbox, StoreError};

/// Bytes of a page of entries, from which on no further entry is added.
pub(super) const PAGE_BYTES: usize = 1024 * 1024;

/// Inboxes at a moment, to be read.
#[derive(Debug)]
pub(crate) struct Reading<'t, T> {
    pub(super) tables: &'t T,
    pub(super) setting: Setting,
}

impl<'t, T: Rows> Reading<'t, T> {
    pub(crate) fn new(tables: &'t T, setting: Setting) -> Self {
        Self { tables, setting }
    }

    /// The first entries after a number. What is over, and what cannot be read, is passed over.
    pub(crate) fn read(&self, user: &UserId, after: Seq, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let Setting { limits, now, .. } = self.setting;
        let row = user_row(self.tables, user)?;
        let (mut entries, mut bytes) = (Vec::new(), 0);
        if limit == 0 {
            return Ok(entries);
        }
        log::walk(
            self.tables,
            user,
            after.max(Seq::new(row.trimmed)),
            Seq::new(row.last),
            &mut |seq, entry| {
                let entry = entry.filter(|(head, _)| !head.is_over(now, limits.age));
                if let Some((_, entry)) = entry {
                    match rows::message(entry) {
                        Ok(message) => entries.push(Entry { seq, message: Arc::new(message) }),
                        Err(fault) => log::report(user, seq, &fault),
                    }
                    bytes += entry.len();
                }
                let full = entries.len() >= limit || bytes >= PAGE_BYTES && !entries.is_empty();
                if full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            },
        )?;
        Ok(entries)
    }

    /// What waits for a user.
    pub(crate) fn inbox(&self, user: &UserId) -> Result<Inbox, StoreError> {
        let row = user_row(self.tables, user)?;
        Ok(Inbox { waiting: row.count(), bytes: row.bytes, last: Seq::new(row.last) })
    }

    /// The devices of a user.
    pub(crate) fn devices(&self, user: &UserId) -> Result<Vec<Device>, StoreError> {
        let lives = user_row(self.tables, user)?.process == self.setting.process;
        let prefix = tables::user(user).len();
        let rows = device_rows(self.tables, user)?.into_iter();
        let devices = rows.map(|(key, at)| {
            // Behind the name of the user, and behind its own length.
            let name = key.get(prefix + 2..).and_then(|name| std::str::from_utf8(name).ok());
            let device = name.and_then(|name| DeviceId::new(name).ok());
            Ok(Device {
                device: device
                    .ok_or_else(|| corrupt(format_args!("the name of a device of user {user:?}")))?,
                acknowledged: Seq::new(at.acknowledged),
                last_seen: Timestamp::from_millis(at.last_seen),
                connected: lives && at.sessions > 0,
                topics: following(self.tables, &key)?,
            })
        });
        // The keys have the length before the name.
        let mut devices = devices.collect::<Result<Vec<_>, StoreError>>()?;
        devices.sort_unstable_by(|a: &Device, b| a.device.cmp(&b.device));
        Ok(devices)
    }

    /// What became of a message.
    pub(crate) fn receipt(&self, id: MessageId) -> Result<Option<Receipt>, StoreError> {
        let Setting { limits, now, .. } = self.setting;
        let Some(known) = message_row(self.tables, id)? else { return Ok(None) };
        if limits.receipts.is_zero() || known.since().saturating_add(limits.receipts) <= now {
            return Ok(None);
        }
        let first = if known.scheduled.is_some() { Stage::Scheduled } else { Stage::Accepted };
        let mut steps = vec![Step::new(first, Timestamp::from_millis(known.at))];
        steps.extend(known.released.map(|at| Step::new(Stage::Accepted, Timestamp::from_millis(at))));
        let from = id.to_bytes();
        self.tables.walk(Table::Steps, &from, &tables::end_of(&from), &mut |_, row| {
            steps.append(&mut rows::read_steps(row)?);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(Receipt::of(id, steps))
    }

    /// How many messages are kept.
    pub(crate) fn stored(&self) -> Result<u64, StoreError> {
        sum(self.tables, STORED)
    }
}
