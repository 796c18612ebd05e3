//! Where devices stand.

use std::sync::Arc;

use msgserver_message::{DeviceId, Seq, Timestamp, UserId};

use super::rows::{DeviceRow, UserRow};
use super::tables::{self, Table};
use super::{Inboxes, Row, Rows, Tables, device_rows, rows, seq_of, user_row};
use crate::{Cursor, Device, Entry, Inbox, StoreError};

/// A page of an inbox is at most about so large, so that a backlog of large messages is never in memory as a whole.
const PAGE_BYTES: usize = 1024 * 1024;

/// How many rows are looked at together when an inbox is trimmed.
const TRIMMED_AT_ONCE: usize = 256;

impl<T: Tables> Inboxes<'_, T> {
    fn device(&self, user: &UserId, device: &DeviceId) -> Result<Option<DeviceRow>, StoreError> {
        let row = self.tables.get(Table::Devices, &tables::device(user, device))?;
        row.map(|row| rows::read(&row)).transpose()
    }

    fn put_device(&mut self, user: &UserId, device: &DeviceId, row: &DeviceRow) -> Result<(), StoreError> {
        self.tables.put(Table::Devices, tables::device(user, device), rows::write(row))
    }

    pub(crate) fn open(&mut self, user: &UserId, device: &DeviceId) -> Result<Cursor, StoreError> {
        let mut row = self.user(user)?;
        let found = self.device(user, device)?;
        let known = found.is_some();
        let mut at = match found {
            Some(at) => at,
            None => {
                let oldest = if row.devices == 0 { self.entries(user, 0, 1)?.pop() } else { None };
                let start = oldest.map_or(row.last, |(seq, _)| seq - 1);
                row.devices += 1;
                DeviceRow { acknowledged: start, sent: start, ..DeviceRow::default() }
            }
        };
        if at.sessions == 0 {
            row.connected += 1;
        } else {
            // What its other session has been sent is not known here.
            at.sent = row.last;
        }
        at.sessions += 1;
        at.last_seen = self.now.as_millis();
        self.put_device(user, device, &at)?;
        self.put_user(user, &row)?;
        Ok(Cursor {
            acknowledged: Seq::new(at.acknowledged),
            sent: Seq::new(at.sent.max(at.acknowledged)),
            last: Seq::new(row.last),
            known,
        })
    }

    pub(crate) fn leave(&mut self, user: &UserId, device: &DeviceId, sent: Seq) -> Result<(), StoreError> {
        let mut row = self.user(user)?;
        let Some(mut at) = self.device(user, device)? else { return Ok(()) };
        if at.sessions == 0 {
            return Ok(());
        }
        at.sessions -= 1;
        at.sent = at.sent.max(sent.get().min(row.last));
        at.last_seen = self.now.as_millis();
        if at.sessions == 0 {
            row.connected = row.connected.saturating_sub(1);
        }
        self.put_device(user, device, &at)?;
        self.put_user(user, &row)
    }

    pub(crate) fn acknowledge(
        &mut self,
        user: &UserId,
        device: &DeviceId,
        upto: Seq,
    ) -> Result<(), StoreError> {
        let mut row = self.user(user)?;
        let Some(mut at) = self.device(user, device)? else { return Ok(()) };
        let upto = upto.get().min(row.last);
        if upto <= at.acknowledged {
            return Ok(());
        }
        at.acknowledged = upto;
        at.sent = at.sent.max(upto);
        at.last_seen = self.now.as_millis();
        self.put_device(user, device, &at)?;
        self.trim(user, &mut row)?;
        self.put_user(user, &row)
    }

    /// Deletes what every device has passed.
    pub(super) fn trim(&mut self, user: &UserId, row: &mut UserRow) -> Result<(), StoreError> {
        let mut slowest = None;
        for (_, value) in device_rows(self.tables, user)? {
            let at: DeviceRow = rows::read(&value)?;
            slowest = Some(slowest.map_or(at.acknowledged, |slowest: u64| slowest.min(at.acknowledged)));
        }
        let Some(slowest) = slowest else { return Ok(()) };
        loop {
            let mut passed = self.entries(user, 0, TRIMMED_AT_ONCE)?;
            let more = passed.len() == TRIMMED_AT_ONCE;
            passed.retain(|(seq, _)| *seq <= slowest);
            let all = passed.len() == TRIMMED_AT_ONCE;
            for (_, entry) in &passed {
                self.take_out(user, row, entry)?;
            }
            if !(more && all) {
                return Ok(());
            }
        }
    }

    /// Forgets a device.
    pub(super) fn forget(
        &mut self,
        user: &UserId,
        row: &mut UserRow,
        device: &Row,
    ) -> Result<(), StoreError> {
        self.tables.delete(Table::Devices, &device.0)?;
        row.devices = row.devices.saturating_sub(1);
        self.trim(user, row)
    }
}

/// The first messages after a number that have not expired.
pub(crate) fn read(
    tables: &impl Rows,
    user: &UserId,
    after: Seq,
    limit: usize,
    now: Timestamp,
) -> Result<Vec<Entry>, StoreError> {
    let mut entries: Vec<Entry> = Vec::new();
    let (mut after, mut bytes) = (after.get(), 0);
    let end = tables::end_of(&tables::user(user));
    while entries.len() < limit && bytes < PAGE_BYTES {
        let Some(first) = after.checked_add(1) else { break };
        let wanted = (limit - entries.len()).min(TRIMMED_AT_ONCE);
        let rows = tables.range(Table::Log, &tables::entry(user, Seq::new(first)), &end, wanted)?;
        let last = rows.len() < wanted;
        for (key, value) in rows {
            after = seq_of(&key);
            match rows::message(&value) {
                Ok(message) if message.is_expired(now) => continue,
                Ok(message) => {
                    entries.push(Entry { seq: Seq::new(after), message: Arc::new(message) });
                }
                // One message that cannot be read must not keep back all that come after it.
                Err(fault) => {
                    tracing::error!(%user, seq = after, %fault, "a message cannot be read, and is passed over");
                }
            }
            bytes += value.len();
            if bytes >= PAGE_BYTES {
                break;
            }
        }
        if last {
            break;
        }
    }
    Ok(entries)
}

pub(crate) fn inbox(tables: &impl Rows, user: &UserId) -> Result<Inbox, StoreError> {
    let row = user_row(tables, user)?;
    Ok(Inbox { waiting: row.count(), bytes: Some(row.bytes), last: Seq::new(row.last) })
}

pub(crate) fn devices(tables: &impl Rows, user: &UserId, process: u64) -> Result<Vec<Device>, StoreError> {
    let alive = user_row(tables, user)?.process == process;
    let from = tables::user(user).len() + 2;
    let device = |(key, value): Row| {
        let at: DeviceRow = rows::read(&value)?;
        let name = key.get(from..).and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default();
        let device = DeviceId::new(name).map_err(|fault| StoreError::Corrupt {
            store: "row",
            detail: format!("a device of {user}: {fault}"),
        })?;
        Ok(Device {
            device,
            acknowledged: Seq::new(at.acknowledged),
            last_seen: Some(Timestamp::from_millis(at.last_seen)),
            connected: alive && at.sessions > 0,
        })
    };
    let mut devices = device_rows(tables, user)?.into_iter().map(device).collect::<Result<Vec<_>, _>>()?;
    devices.sort_by(|a, b| a.device.cmp(&b.device));
    Ok(devices)
}
