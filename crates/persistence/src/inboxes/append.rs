//! Putting messages into inboxes.

use std::sync::Arc;

use msgserver_message::{Message, Seq, Stage, UserId};

use super::rows::{MessageRow, ScheduleRow, UserRow};
use super::tables::{self, Table, Tables};
use super::{Inboxes, less_urgent_waits, rows, seq_of};
use crate::fingerprint::fingerprint;
use crate::{Append, Appended, IfFull, Recipients, StoreError};

impl<T: Tables> Inboxes<'_, T> {
    /// Keeps one message in all of its inboxes, or in none.
    pub(crate) fn append(&mut self, append: &Append) -> Result<Appended, StoreError> {
        let message = &append.message;
        let print = fingerprint(message, &append.recipients);
        if append.check_id
            && let Some(known) = self.tables.get(Table::Messages, &message.id.to_bytes())?
        {
            let known: MessageRow = rows::read(&known)?;
            return if known.print == print {
                Ok(Appended::Duplicate)
            } else {
                Err(StoreError::Conflict(message.id))
            };
        }
        let deliver_at = append.deliver_at.filter(|&at| at > self.now);
        let places = match deliver_at {
            Some(at) => {
                let row = rows::write_named(&ScheduleRow::new(append));
                self.tables.put(Table::Schedule, tables::moment(at, message.id), row)?;
                Vec::new()
            }
            None => self.place_all(append)?,
        };
        if append.check_id || deliver_at.is_some() || !self.limits.receipts.is_zero() {
            let row = MessageRow { print, at: self.now, deliver_at, places: places.clone() };
            self.tables.put(Table::Messages, message.id.to_bytes().to_vec(), rows::write(&row))?;
            self.tables.put(Table::Aging, tables::moment(self.now, message.id), Vec::new())?;
        }
        Ok(if deliver_at.is_some() { Appended::Scheduled } else { Appended::New(places) })
    }

    /// Puts a message into its inboxes; gives its number in each.
    pub(super) fn place_all(&mut self, append: &Append) -> Result<Vec<(UserId, Seq)>, StoreError> {
        let users: Arc<[UserId]> = match &append.recipients {
            Recipients::Users(users) => Arc::clone(users),
            Recipients::Nobody => Arc::new([]),
            Recipients::Known => self.known_users()?.into(),
        };
        if users.is_empty() {
            return Ok(Vec::new());
        }
        let entry = rows::write_entry(&append.message)?;
        if append.if_full == IfFull::Refuse {
            // All of them before any: a message is in all of its inboxes or in none.
            for user in &*users {
                let row = self.user(user)?;
                if let Some(limit) = self.full(&row, entry.len()) {
                    return Err(StoreError::Full { user: user.clone(), limit });
                }
            }
        }
        users.iter().map(|user| Ok((user.clone(), self.place(user, &append.message, &entry)?))).collect()
    }

    fn known_users(&self) -> Result<Vec<UserId>, StoreError> {
        let mut users = Vec::new();
        for (key, value) in self.tables.range(Table::Users, &[], &[u8::MAX; 4], usize::MAX)? {
            let row: UserRow = rows::read(&value)?;
            if row.devices > 0 {
                users.extend(tables::split_user(&key).map(|(user, _)| user));
            }
        }
        Ok(users)
    }

    /// Which limit one more entry would be over. An empty inbox takes whatever comes: else what is larger than
    /// the limit could never be sent.
    fn full(&self, row: &UserRow, bytes: usize) -> Option<&'static str> {
        if row.count() == 0 {
            None
        } else if row.count() >= self.limits.messages {
            Some("it holds as many messages as it may")
        } else if row.bytes + bytes as u64 > self.limits.bytes as u64 {
            Some("it holds as many bytes as it may")
        } else {
            None
        }
    }

    fn place(&mut self, user: &UserId, message: &Message, entry: &[u8]) -> Result<Seq, StoreError> {
        let mut row = self.user(user)?;
        if message.collapse_key.is_some() {
            self.collapse(user, &mut row, message)?;
        }
        while self.full(&row, entry.len()).is_some() {
            let Some((_, oldest)) = self.entries(user, 0, 1)?.pop() else { break };
            let head = self.take_out(user, &mut row, &oldest)?;
            self.step_of(head.id, user, Stage::Expired, "the inbox was full")?;
        }
        row.last += 1;
        let mut seq = row.last;
        if row.connected == 0 && less_urgent_waits(&row, message.priority) {
            seq = self.make_room(user, message, row.last)?;
        }
        let seq = Seq::new(seq);
        self.tables.put(Table::Log, tables::entry(user, seq), entry.to_vec())?;
        if let Some(about) = &message.collapse_key {
            let at = tables::collapse(user, about);
            self.tables.put(Table::Collapse, at, seq.get().to_be_bytes().to_vec())?;
        }
        if let Some(end) = message.expires_at {
            self.tables.put(Table::Expiring, tables::expiring(end, user, message.id), Vec::new())?;
        }
        row.waiting[message.priority as usize] += 1;
        row.bytes += entry.len() as u64;
        self.put_user(user, &row)?;
        self.count(1)?;
        Ok(seq)
    }

    /// Takes out what has the same collapse key and was not sent to any device.
    fn collapse(&mut self, user: &UserId, row: &mut UserRow, message: &Message) -> Result<(), StoreError> {
        let Some(about) = &message.collapse_key else { return Ok(()) };
        let Some(at) = self.tables.get(Table::Collapse, &tables::collapse(user, about))? else {
            return Ok(());
        };
        let Ok(at) = at.try_into().map(u64::from_be_bytes) else { return Ok(()) };
        // To a connected device it may have gone a moment ago.
        if row.connected > 0 || at <= self.sent_to_any(user)? {
            return Ok(());
        }
        let key = tables::entry(user, Seq::new(at));
        if let Some(value) = self.tables.get(Table::Log, &key)? {
            let head = self.take_out(user, row, &(key, value))?;
            self.step_of(
                head.id,
                user,
                Stage::Cancelled,
                "a newer one with its collapse key took its place",
            )?;
        }
        Ok(())
    }

    /// Moves what is less urgent and was not sent yet one number on, up to the free number `last`; gives the
    /// number that is free then.
    fn make_room(&mut self, user: &UserId, message: &Message, last: u64) -> Result<u64, StoreError> {
        let sent = self.sent_to_any(user)?;
        let unsent = self.entries(user, sent, usize::MAX)?;
        // Behind the last that is at least as urgent: what came while a device was connected stands in no order of
        // urgency, and nothing may overtake its own priority.
        let mut first = 0;
        for (n, (_, (_, value))) in unsent.iter().enumerate() {
            if rows::head(value)?.priority >= message.priority {
                first = n + 1;
            }
        }
        let mut free = last;
        for (seq, (_, value)) in unsent[first..].iter().rev() {
            let key = tables::entry(user, Seq::new(free));
            if rows::head(value)?.collapses
                && let Ok(Message { collapse_key: Some(about), .. }) = rows::message(value)
            {
                let at = tables::collapse(user, &about);
                if self.tables.get(Table::Collapse, &at)?.is_some_and(|at| seq_of(&at) == *seq) {
                    self.tables.put(Table::Collapse, at, free.to_be_bytes().to_vec())?;
                }
            }
            self.tables.put(Table::Log, key, value.clone())?;
            free = *seq;
        }
        Ok(free)
    }
}
