//! Devices come, acknowledge and go.

use msgserver_message::{DeviceId, Seq, Timestamp, UserId};

use super::following::following;
use super::rows::{self, DeviceRow, UserRow};
use super::tables::{self, Rows, Table, Tables};
use super::{Changes, Inboxes, device_rows, log, row, user_row};
use crate::{Acknowledge, Cursor, StoreError};

/// A device that has come.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) cursor: Cursor,
    /// Whether a power cut that makes the store forget that it came would cost it something.
    #[cfg_attr(
        not(feature = "disk"),
        allow(dead_code, reason = "what is in memory is never safer than now")
    )]
    pub(crate) has_to_be_safe: bool,
}

impl<R: Rows> Inboxes<'_, Changes<'_, R>> {
    /// Moves each cursor, and takes out what every device has passed; one that fails moves nothing.
    pub(crate) fn acknowledge_all(&mut self, batch: &[Acknowledge]) -> Vec<Result<(), StoreError>> {
        let setting = self.setting;
        let one = |one| self.tables.whole(|tables| Inboxes::new(tables, setting).acknowledge(one));
        batch.iter().map(one).collect()
    }
}

impl<T: Tables> Inboxes<'_, T> {
    /// Makes a device known and connected.
    pub(crate) fn open(&mut self, user: &UserId, device: &DeviceId) -> Result<Opened, StoreError> {
        let mut row = self.repaired(user)?;
        let known = self.device(user, device)?;
        let has_to_be_safe = known.is_none_or(|at| at.acknowledged < row.last || !self.was_here_lately(&at));
        let mut at = match known {
            Some(at) => at,
            None => {
                let start = if row.devices > 0 {
                    row.last
                } else {
                    log::oldest(self.tables, user, &row)?.map_or(row.last, |oldest| oldest.seq.get() - 1)
                };
                row.devices += 1;
                DeviceRow { acknowledged: start, sent: start, ..DeviceRow::default() }
            }
        };
        if at.sessions == 0 {
            row.connected += 1;
        } else {
            // Nobody has said yet what was sent in the session that still lives.
            at.sent = row.last;
        }
        at.sessions += 1;
        row.process = self.setting.process;
        self.put_device(user, device, at);
        self.put_user(user, &row);
        let cursor = Cursor {
            acknowledged: Seq::new(at.acknowledged),
            sent: Seq::new(at.sent),
            last: Seq::new(row.last),
            known: known.is_some(),
            topics: following(self.tables, &tables::device(user, device))?,
        };
        Ok(Opened { cursor, has_to_be_safe })
    }

    /// Whether a device is known for long yet, even if nobody notes that it is here now.
    fn was_here_lately(&self, at: &DeviceRow) -> bool {
        let seen = Timestamp::from_millis(at.last_seen);
        seen.saturating_add(self.setting.limits.device_ttl / 2) > self.setting.now
    }

    /// Notes that a session has ended, and up to which number it was sent messages.
    pub(crate) fn leave(&mut self, user: &UserId, device: &DeviceId, sent: Seq) -> Result<(), StoreError> {
        let mut row = self.repaired(user)?;
        let Some(mut at) = self.device(user, device)? else { return Ok(()) };
        if at.sessions == 1 {
            row.connected = row.connected.saturating_sub(1);
            self.put_user(user, &row);
        }
        at.sessions = at.sessions.saturating_sub(1);
        at.sent = at.sent.max(sent.get().min(row.last));
        self.put_device(user, device, at);
        Ok(())
    }

    /// Moves a cursor, and takes out what every device has passed.
    fn acknowledge(&mut self, Acknowledge { user, device, upto }: &Acknowledge) -> Result<(), StoreError> {
        let Some(mut at) = self.device(user, device)? else { return Ok(()) };
        let mut row = user_row(self.tables, user)?;
        let upto = upto.get().min(row.last);
        if upto <= at.acknowledged {
            return Ok(());
        }
        at.acknowledged = upto;
        at.sent = at.sent.max(upto);
        self.put_device(user, device, at);
        self.trim_passed(user, &mut row, upto)?;
        self.put_user(user, &row);
        Ok(())
    }

    /// Takes out what every device of a user has passed, where one of them stands at `one`.
    pub(super) fn trim_passed(
        &mut self,
        user: &UserId,
        row: &mut UserRow,
        one: u64,
    ) -> Result<(), StoreError> {
        let slowest = if row.devices == 1 {
            one
        } else {
            device_rows(self.tables, user)?.iter().map(|(_, at)| at.acknowledged).min().unwrap_or(0)
        };
        self.trim(user, row, slowest)
    }

    /// What is known of a user. Devices that were connected to a process that has crashed are not any more,
    /// and may have been sent everything.
    pub(super) fn repaired(&mut self, user: &UserId) -> Result<UserRow, StoreError> {
        let mut row = user_row(self.tables, user)?;
        if row.connected > 0 && row.process != self.setting.process {
            for (key, mut at) in device_rows(self.tables, user)? {
                if at.sessions > 0 {
                    (at.sessions, at.sent) = (0, row.last);
                    self.tables.put(Table::Devices, key, rows::write(&at));
                }
            }
            row.connected = 0;
            self.put_user(user, &row);
        }
        Ok(row)
    }

    /// The last number that may have been sent to a device of a user.
    pub(super) fn offered(&self, user: &UserId, row: &UserRow) -> Result<u64, StoreError> {
        // What a device is sent while it is connected is only known when it has left.
        if row.connected > 0 {
            return Ok(row.last);
        }
        if row.devices == 0 {
            return Ok(0);
        }
        Ok(device_rows(self.tables, user)?.iter().map(|(_, at)| at.sent).max().unwrap_or(0))
    }

    pub(super) fn device(&self, user: &UserId, device: &DeviceId) -> Result<Option<DeviceRow>, StoreError> {
        let whose = format_args!("device {device:?} of user {user:?}");
        row(self.tables, Table::Devices, &tables::device(user, device), whose)
    }

    fn put_device(&mut self, user: &UserId, device: &DeviceId, mut at: DeviceRow) {
        at.last_seen = self.setting.now.as_millis();
        self.tables.put(Table::Devices, tables::device(user, device), rows::write(&at));
    }
}
