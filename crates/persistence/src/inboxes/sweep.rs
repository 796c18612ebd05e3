//! Forgetting what is old.

use std::time::Duration;

use msgserver_message::{MessageId, Seq, Stage, Timestamp, UserId};

use super::rows::{DeviceRow, MessageRow};
use super::tables::{self, Table};
use super::{Inboxes, Row, Tables, device_rows, rows, user_row};
use crate::{StoreError, Swept};

/// How many rows of each kind one sweep looks at, so that nobody waits for it for long.
const ROWS: usize = 1000;

/// How long an id that a publisher chose is known at least.
const ID_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// How far the walk over all users is.
#[derive(Debug, Default)]
pub(crate) struct Sweeper {
    after: Vec<u8>,
}

fn before(now: Timestamp, ago: Duration) -> Timestamp {
    Timestamp::from_millis(now.as_millis().saturating_sub(u64::try_from(ago.as_millis()).unwrap_or(u64::MAX)))
}

/// Whether nothing has ended by now that has an end of its own.
#[cfg(feature = "disk")]
pub(crate) fn is_tidy(
    tables: &impl super::Rows,
    limits: &crate::Limits,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let ended = (now.as_millis() + 1).to_be_bytes();
    let old = before(now, limits.receipts.max(ID_KEPT)).as_millis().to_be_bytes();
    Ok(tables.range(Table::Expiring, &[], &ended, 1)?.is_empty()
        && tables.range(Table::Aging, &[], &old, 1)?.is_empty())
}

impl<T: Tables> Inboxes<'_, T> {
    pub(crate) fn sweep(&mut self, sweeper: &mut Sweeper) -> Result<Swept, StoreError> {
        let mut swept = Swept::default();
        self.expire(&mut swept)?;
        self.forget_messages(&mut swept)?;
        self.walk(sweeper, &mut swept)?;
        Ok(swept)
    }

    /// Takes out the messages whose own time is over.
    fn expire(&mut self, swept: &mut Swept) -> Result<(), StoreError> {
        let end = (self.now.as_millis() + 1).to_be_bytes();
        let due = self.tables.range(Table::Expiring, &[], &end, ROWS)?;
        swept.more |= due.len() == ROWS;
        for (key, _) in due {
            self.tables.delete(Table::Expiring, &key)?;
            let Some(id) = tables::tail(&key).map(MessageId::from_bytes) else { continue };
            let Some((user, _)) = key.get(8..).and_then(tables::split_user) else { continue };
            let at = match self.tables.get(Table::Messages, &id.to_bytes())? {
                Some(known) => {
                    let known: MessageRow = rows::read(&known)?;
                    known.places.into_iter().find(|(of, _)| *of == user).map_or(Seq::ZERO, |(_, seq)| seq)
                }
                None => Seq::ZERO,
            };
            if let Some((_, entry)) = self.find(&user, at, id)? {
                self.expire_entry(&user, &entry, "its time was over", swept)?;
            }
        }
        Ok(())
    }

    fn expire_entry(
        &mut self,
        user: &UserId,
        entry: &Row,
        why: &'static str,
        swept: &mut Swept,
    ) -> Result<(), StoreError> {
        let mut row = self.user(user)?;
        let head = self.take_out(user, &mut row, entry)?;
        self.put_user(user, &row)?;
        swept.expired += 1;
        self.step_of(head.id, user, Stage::Expired, why)
    }

    /// Forgets what was accepted long ago, with its steps. Whether it is still in an inbox does not matter there.
    fn forget_messages(&mut self, swept: &mut Swept) -> Result<(), StoreError> {
        let end = before(self.now, self.limits.receipts.max(ID_KEPT)).as_millis().to_be_bytes();
        let old = self.tables.range(Table::Aging, &[], &end, ROWS)?;
        swept.more |= old.len() == ROWS;
        for (key, _) in old {
            self.tables.delete(Table::Aging, &key)?;
            let Some(id) = tables::tail::<16>(&key) else { continue };
            let known = self.tables.get(Table::Messages, &id)?;
            let known: Option<MessageRow> = known.map(|known| rows::read(&known)).transpose()?;
            if let Some(at) = known.and_then(|known| known.deliver_at) {
                // It waits for its time still: it is looked at again when that has come.
                let at = tables::moment(at, MessageId::from_bytes(id));
                if self.tables.get(Table::Schedule, &at)?.is_some() {
                    self.tables.put(Table::Aging, at, Vec::new())?;
                    continue;
                }
            }
            self.tables.delete(Table::Messages, &id)?;
            for (key, _) in self.tables.range(Table::Steps, &id, &tables::end_of(&id), usize::MAX)? {
                self.tables.delete(Table::Steps, &key)?;
            }
            swept.receipts += 1;
        }
        Ok(())
    }

    /// Looks at some users: messages that are too old, devices that have not been seen for too long.
    fn walk(&mut self, sweeper: &mut Sweeper, swept: &mut Swept) -> Result<(), StoreError> {
        let users = self.tables.range(Table::Users, &sweeper.after, &[u8::MAX; 4], ROWS)?;
        let oldest = before(self.now, self.limits.age);
        let unseen = before(self.now, self.limits.device_ttl).as_millis();
        for (key, _) in &users {
            let Some((user, _)) = tables::split_user(key) else { continue };
            // In order of their age but for what was more urgent: good enough to stop at the first young one.
            while let Some((_, entry)) = self.entries(&user, 0, 1)?.pop() {
                if rows::message(&entry.1).is_ok_and(|message| message.sent_at >= oldest) {
                    break;
                }
                self.expire_entry(&user, &entry, "it was kept as long as it may be", swept)?;
            }
            if user_row(self.tables, &user)?.devices == 0 {
                continue;
            }
            for device in device_rows(self.tables, &user)? {
                let at: DeviceRow = rows::read(&device.1)?;
                if at.last_seen < unseen {
                    let mut row = self.user(&user)?;
                    // Read again: it may have been connected to a process that has ended.
                    let at: DeviceRow =
                        self.tables.get(Table::Devices, &device.0)?.map_or(Ok(at), |at| rows::read(&at))?;
                    if at.sessions == 0 {
                        self.forget(&user, &mut row, &device)?;
                        swept.devices += 1;
                    }
                    self.put_user(&user, &row)?;
                }
            }
        }
        sweeper.after = match users.last() {
            Some((last, _)) if users.len() == ROWS => {
                let mut after = last.clone();
                after.push(0);
                after
            }
            _ => Vec::new(),
        };
        Ok(())
    }
}
