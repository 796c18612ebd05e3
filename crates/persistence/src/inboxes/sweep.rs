//! What is old goes.

use std::time::Duration;

use msgserver_message::{DeviceId, MessageId, Seq, Stage, Timestamp, Topic, UserId};

use super::rows::{Head, UserRow};
use super::tables::{self, Key, Table, Tables};
use super::{Inboxes, corrupt, device_rows, log, message_row, user_row};
use crate::store::{ID_KEPT, reason};
use crate::{StoreError, Swept};

/// How many rows one sweep looks at in each of its walks.
const ROWS: usize = 2048;

/// Where the walks of the next sweep go on. Kept between sweeps and not with the rows: an engine may have to
/// walk over what was deleted, and should not do so from the beginning each time.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    expiring: Vec<u8>,
    aging: Vec<u8>,
    users: Vec<u8>,
    /// When the last walk over the users has begun.
    users_since: Option<Timestamp>,
    topics: Vec<u8>,
    topics_since: Option<Timestamp>,
}

impl<T: Tables> Inboxes<'_, T> {
    /// Forgets what is old, a bounded part of it.
    pub(crate) fn sweep(&mut self, rounds: &mut Rounds) -> Result<Swept, StoreError> {
        let mut swept = Swept::default();
        self.sweep_expiring(rounds, &mut swept)?;
        self.sweep_aging(rounds, &mut swept)?;
        self.sweep_users(rounds, &mut swept)?;
        self.sweep_topics(rounds, &mut swept)?;
        Ok(swept)
    }

    /// The next rows of a walk up to `to`; when it has come to its end, the next one begins anew.
    fn next_rows(
        &self,
        table: Table,
        from: &mut Vec<u8>,
        to: &[u8],
        swept: &mut Swept,
    ) -> Result<Vec<tables::Row>, StoreError> {
        let rows = self.tables.first_readable(table, from, to, ROWS)?;
        from.clear();
        if rows.len() == ROWS
            && let Some((key, _)) = rows.last()
        {
            from.extend_from_slice(key);
            from.push(0);
            swept.more = true;
        }
        Ok(rows)
    }

    fn sweep_expiring(&mut self, rounds: &mut Rounds, swept: &mut Swept) -> Result<(), StoreError> {
        let end = tables::end_of(&self.setting.now.as_millis().to_be_bytes());
        for (key, put_at) in self.next_rows(Table::Expiring, &mut rounds.expiring, &end, swept)? {
            let named = tables::split_moment(&key).and_then(|(_, rest)| tables::split_user(rest));
            let (Some((user, _)), Some(id)) = (named, tables::id(&key)) else {
                return Err(corrupt("the key of a message that expires"));
            };
            let put_at = tables::seq(&put_at).unwrap_or(Seq::ZERO);
            // A damaged inbox keeps nobody else's messages from going.
            let expired = passed_over(&user, self.expire(&user, id, put_at))?;
            swept.expired += u64::from(expired == Some(true));
            self.tables.delete(Table::Expiring, key);
        }
        Ok(())
    }

    /// Takes out a message whose time is over, if it is still there.
    fn expire(&mut self, user: &UserId, id: MessageId, put_at: Seq) -> Result<bool, StoreError> {
        let mut row = user_row(self.tables, user)?;
        let Some(kept) = log::find(self.tables, user, &row, id, put_at)? else { return Ok(false) };
        self.lose(user, &mut row, &kept, Stage::Expired, None)?;
        self.put_user(user, &row);
        Ok(true)
    }

    fn sweep_aging(&mut self, rounds: &mut Rounds, swept: &mut Swept) -> Result<(), StoreError> {
        let kept = self.setting.limits.receipts.max(ID_KEPT);
        let end = before(self.setting.now, kept);
        for (key, _) in self.next_rows(Table::Aging, &mut rounds.aging, &end, swept)? {
            let (Some((at, _)), Some(id)) = (tables::split_moment(&key), tables::id(&key)) else {
                return Err(corrupt("the key of an id"));
            };
            // The id may have come again since.
            let known = message_row(self.tables, id)?;
            if known.is_some_and(|known| known.since() == at) {
                self.forget_message(id)?;
                swept.receipts += 1;
            }
            self.tables.delete(Table::Aging, key);
        }
        Ok(())
    }

    fn forget_message(&mut self, id: MessageId) -> Result<(), StoreError> {
        let from = id.to_bytes();
        for (key, _) in self.tables.first(Table::Steps, &from, &tables::end_of(&from), usize::MAX)? {
            self.tables.delete(Table::Steps, key);
        }
        self.tables.delete(Table::Messages, Key::from_slice(&from));
        Ok(())
    }

    /// Days matter here, so a walk over all users begins only when a hundredth of the shortest time has passed.
    fn sweep_users(&mut self, rounds: &mut Rounds, swept: &mut Swept) -> Result<(), StoreError> {
        let now = self.setting.now;
        let limits = &self.setting.limits;
        let pause = limits.age.min(limits.device_ttl) / 100;
        if rounds.users.is_empty() && !begins(&mut rounds.users_since, now, pause) {
            return Ok(());
        }
        for (key, _) in self.next_rows(Table::Users, &mut rounds.users, &tables::end_of(&[]), swept)? {
            let (user, _) = tables::split_user(&key).ok_or_else(|| corrupt("the name of a user"))?;
            passed_over(&user, self.sweep_user(&user, swept))?;
        }
        Ok(())
    }

    fn sweep_user(&mut self, user: &UserId, swept: &mut Swept) -> Result<(), StoreError> {
        let before = user_row(self.tables, user)?;
        let mut row = self.repaired(user)?;
        self.sweep_entries(user, &mut row, swept)?;
        self.sweep_devices(user, &mut row, swept)?;
        if row != before {
            self.put_user(user, &row);
        }
        Ok(())
    }

    /// A walk over all topics, as seldom.
    fn sweep_topics(&mut self, rounds: &mut Rounds, swept: &mut Swept) -> Result<(), StoreError> {
        let pause = self.setting.limits.history_age / 100;
        if rounds.topics.is_empty() && !begins(&mut rounds.topics_since, self.setting.now, pause) {
            return Ok(());
        }
        for (key, _) in self.next_rows(Table::Topics, &mut rounds.topics, &tables::end_of(&[]), swept)? {
            let topic = tables::split_name(&key).and_then(|(name, _)| Topic::new(name).ok());
            self.forget_published(&topic.ok_or_else(|| corrupt("the name of a topic"))?)?;
        }
        Ok(())
    }

    /// Takes out what was kept long enough, from the oldest on.
    fn sweep_entries(
        &mut self,
        user: &UserId,
        row: &mut UserRow,
        swept: &mut Swept,
    ) -> Result<(), StoreError> {
        let (now, age) = (self.setting.now, self.setting.limits.age);
        let is_old = |head: Head| head.placed.saturating_add(age) <= now;
        while row.count() > 0 {
            let Some(oldest) = log::oldest(self.tables, user, row)? else { break };
            if !oldest.head.is_none_or(is_old) {
                break;
            }
            self.lose(user, row, &oldest, Stage::Expired, Some(reason::OLD))?;
            row.trimmed = oldest.seq.get();
            swept.expired += 1;
        }
        Ok(())
    }

    /// Forgets a device that has no session.
    pub(crate) fn forget(&mut self, user: &UserId, device: &DeviceId) -> Result<(), StoreError> {
        let mut row = self.repaired(user)?;
        if self.device(user, device)?.is_some_and(|at| at.sessions == 0) {
            self.forget_device(&mut row, &tables::device(user, device))?;
            let left = device_rows(self.tables, user)?;
            if let Some(slowest) = left.into_iter().map(|(_, at)| at.acknowledged).min() {
                self.trim(user, &mut row, slowest)?;
            }
            self.put_user(user, &row);
        }
        Ok(())
    }

    /// Forgets a device by its key.
    fn forget_device(&mut self, row: &mut UserRow, key: &[u8]) -> Result<(), StoreError> {
        self.forget_following(key)?;
        self.tables.delete(Table::Devices, Key::from_slice(key));
        row.devices = row.devices.saturating_sub(1);
        Ok(())
    }

    /// Forgets devices that were not seen for long.
    fn sweep_devices(
        &mut self,
        user: &UserId,
        row: &mut UserRow,
        swept: &mut Swept,
    ) -> Result<(), StoreError> {
        if row.devices == 0 {
            return Ok(());
        }
        let ttl = self.setting.limits.device_ttl;
        let mut left = Vec::new();
        for (key, at) in device_rows(self.tables, user)? {
            let seen = Timestamp::from_millis(at.last_seen);
            if at.sessions == 0 && seen.saturating_add(ttl) <= self.setting.now {
                self.forget_device(row, &key)?;
                swept.devices += 1;
            } else {
                left.push(at.acknowledged);
            }
        }
        // With no device left, what is kept waits for the first that comes.
        match left.into_iter().min() {
            Some(slowest) => self.trim(user, row, slowest),
            None => Ok(()),
        }
    }
}

/// Whether a walk over everything is to begin: one that began less than `pause` ago is enough.
fn begins(since: &mut Option<Timestamp>, now: Timestamp, pause: Duration) -> bool {
    let begins = !since.is_some_and(|since| since <= now && now < since.saturating_add(pause));
    if begins {
        *since = Some(now);
    }
    begins
}

/// What was done with an inbox, or nothing if it is damaged.
pub(super) fn passed_over<T>(user: &UserId, done: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match done {
        Err(fault @ StoreError::Corrupt { .. }) => {
            tracing::error!(%user, %fault, "an inbox is damaged, and is passed over");
            Ok(None)
        }
        done => done.map(Some),
    }
}

/// The end of all keys that begin with a moment up to `ago` before `now`.
fn before(now: Timestamp, ago: Duration) -> Vec<u8> {
    let ago = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
    match now.as_millis().checked_sub(ago) {
        Some(end) => tables::end_of(&end.to_be_bytes()),
        None => Vec::new(),
    }
}
