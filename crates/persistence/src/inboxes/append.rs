//! Messages come.

use std::ops::ControlFlow;

use msgserver_message::{CollapseKey, Message, Seq, Stage, Topic, UserId};

use super::following::followers;
use super::log::{self, Kept};
use super::rows::{self, Head, MessageRow, ScheduleRow, Scheduled, UserRow};
use super::tables::{self, Rows, Table, Tables};
use super::{Changes, Inboxes, SCHEDULED, STORED, corrupt, message_row};
use crate::fingerprint::fingerprint;
use crate::store::reason;
use crate::{Append, Appended, IfFull, InboxLimit, Limits, Recipients, StoreError};

/// Where a message is.
#[derive(Debug, Default)]
pub(super) struct Placed {
    pub(super) places: Vec<(UserId, Seq)>,
    /// The topic that has it in its log, and the number there.
    pub(super) published: Option<(Topic, u64)>,
}

impl<R: Rows> Inboxes<'_, Changes<'_, R>> {
    /// Puts each message into its inboxes, or into the schedule; one that fails leaves nothing behind.
    pub(crate) fn append_all(&mut self, batch: &[Append]) -> Vec<Result<Appended, StoreError>> {
        let setting = self.setting;
        let one = |append| self.tables.whole(|tables| Inboxes::new(tables, setting).append(append));
        batch.iter().map(one).collect()
    }
}

impl<T: Tables> Inboxes<'_, T> {
    fn append(&mut self, append: &Append) -> Result<Appended, StoreError> {
        let Append { message, check_id, deliver_at, .. } = append;
        // Only an id that may come again needs one.
        let print = if *check_id { fingerprint(append) } else { 0 };
        if *check_id && let Some(known) = message_row(self.tables, message.id)? {
            let same = known.print == print;
            return if same { Ok(Appended::Duplicate) } else { Err(StoreError::Conflict(message.id)) };
        }
        let later = deliver_at.filter(|at| *at > self.setting.now);
        let (mut scheduled, mut placed) = (None, Placed::default());
        if let Some(at) = later {
            let number = self.add(SCHEDULED, 1)?;
            let row = rows::write_named(&ScheduleRow::new(append));
            self.tables.put(Table::Schedule, tables::scheduled(at, number, message.id), row);
            scheduled = Some(Scheduled { at: at.as_millis(), number });
        } else {
            placed = self.place_all(append)?;
        }
        if *check_id || !self.setting.limits.receipts.is_zero() {
            let row = MessageRow {
                print,
                at: self.setting.now.as_millis(),
                scheduled,
                released: None,
                places: placed.places.clone(),
                published: placed.published,
            };
            self.put_message(message.id, &row);
            // What is known of a scheduled message is needed until it is released.
            self.tables.put(Table::Aging, tables::moment(row.since(), message.id), Vec::new());
        }
        self.tell(if later.is_some() { Stage::Scheduled } else { Stage::Accepted }, append);
        Ok(if later.is_some() { Appended::Scheduled } else { Appended::New(placed.places) })
    }

    /// Puts a message into all of its inboxes, and into the log of its topic.
    pub(super) fn place_all(&mut self, append: &Append) -> Result<Placed, StoreError> {
        let mut topic = None;
        let users = match &append.recipients {
            Recipients::Users(users) => users.to_vec(),
            Recipients::Known => known_users(self.tables)?,
            Recipients::Followers => {
                topic = append.message.topic.as_ref();
                topic.map_or_else(|| Ok(Vec::new()), |topic| followers(self.tables, topic))?
            }
            Recipients::Nobody => Vec::new(),
        };
        if append.if_full == IfFull::Refuse {
            for user in &users {
                self.check_room(user, &append.message)?;
            }
        }
        let place = |user: UserId| self.place(&user, &append.message).map(|seq| (user, seq));
        let places = users.into_iter().map(place).collect::<Result<_, StoreError>>()?;
        let published = match topic {
            Some(topic) => self.keep_published(topic, &append.message)?.map(|number| (topic.clone(), number)),
            None => None,
        };
        Ok(Placed { places, published })
    }

    fn check_room(&mut self, user: &UserId, message: &Message) -> Result<(), StoreError> {
        let mut row = self.repaired(user)?;
        // The one that it takes the place of makes room.
        if let Some(Kept { head: Some(head), .. }) = self.collapsing(user, &row, message)? {
            row.subtract(&head);
        }
        let head = Head::new(message, self.setting.now);
        let full = exceeded(&self.setting.limits, &row, &head);
        full.map_or(Ok(()), |limit| Err(StoreError::Full { user: user.clone(), limit }))
    }

    /// Puts a message into an inbox.
    fn place(&mut self, user: &UserId, message: &Message) -> Result<Seq, StoreError> {
        let mut row = self.repaired(user)?;
        let head = Head::new(message, self.setting.now);
        if let Some(kept) = self.collapsing(user, &row, message)? {
            self.lose(user, &mut row, &kept, Stage::Cancelled, Some(reason::COLLAPSED))?;
        }
        while exceeded(&self.setting.limits, &row, &head).is_some() {
            match log::oldest(self.tables, user, &row)? {
                Some(kept) => {
                    self.lose(user, &mut row, &kept, Stage::Expired, Some(reason::FULL))?;
                    row.trimmed = kept.seq.get();
                }
                None => row.trimmed = row.last,
            }
            self.mend(&mut row)?;
        }
        let seq = self.make_way(user, &row, &head)?;
        self.put_entry(user, seq, &head, head.write(message)?, message.collapse_key.as_ref());
        row.last += 1;
        row.add(&head);
        self.put_user(user, &row);
        self.add(STORED, 1)?;
        Ok(seq)
    }

    fn put_entry(
        &mut self,
        user: &UserId,
        seq: Seq,
        head: &Head,
        entry: Vec<u8>,
        about: Option<&CollapseKey>,
    ) {
        let number = || seq.get().to_be_bytes().to_vec();
        if let Some(end) = head.expires_at {
            self.tables.put(Table::Expiring, tables::expiring(end, user, head.id), number());
        }
        if let Some(about) = about {
            self.tables.put(Table::Collapse, tables::collapse(user, about), number());
        }
        self.tables.put(Table::Log, tables::entry(user, seq), entry);
    }

    /// The entry that a message takes the place of: one with the same collapse key that was sent to nobody.
    fn collapsing(
        &self,
        user: &UserId,
        row: &UserRow,
        message: &Message,
    ) -> Result<Option<Kept>, StoreError> {
        let Some(about) = &message.collapse_key else { return Ok(None) };
        let number = self.tables.get(Table::Collapse, &tables::collapse(user, about))?;
        let Some(seq) = number.as_deref().and_then(tables::seq) else { return Ok(None) };
        if seq.get() <= self.offered(user, row)? {
            return Ok(None);
        }
        let kept = log::at(self.tables, user, seq)?;
        Ok(kept.filter(|kept| kept.collapse_key.as_ref() == Some(about)))
    }

    /// The number for a message. What is less urgent at the end of the inbox, and was sent to nobody, moves
    /// behind it. It moves by one place, and no further than to a number that was never given: whoever keeps
    /// the last number that it saw misses nothing and sees nothing twice.
    fn make_way(&mut self, user: &UserId, row: &UserRow, head: &Head) -> Result<Seq, StoreError> {
        let mut free = Seq::new(row.last + 1);
        if row.waiting[..head.priority as usize].iter().all(|waiting| *waiting == 0) {
            return Ok(free);
        }
        let from = tables::entry(user, Seq::new(self.offered(user, row)?.max(row.trimmed) + 1));
        let mut to = tables::entry(user, free);
        loop {
            let (key, entry) = match self.tables.last(Table::Log, &from, &to) {
                Ok(Some(row)) => row,
                // What cannot be read stays where it is.
                Ok(None) | Err(StoreError::Corrupt { .. }) => return Ok(free),
                Err(fault) => return Err(fault),
            };
            let (Some(seq), Ok(before)) = (tables::seq(&key), Head::read(&entry)) else { return Ok(free) };
            if before.priority >= head.priority {
                return Ok(free);
            }
            let about = self.collapse_key_in_force(user, seq, &before, &entry)?;
            self.put_entry(user, free, &before, entry, about.as_ref());
            (free, to) = (seq, key);
        }
    }

    /// The collapse key of an entry, if no newer one has the same.
    fn collapse_key_in_force(
        &self,
        user: &UserId,
        seq: Seq,
        head: &Head,
        entry: &[u8],
    ) -> Result<Option<CollapseKey>, StoreError> {
        let message = head.collapses.then(|| rows::message(entry).ok()).flatten();
        let Some(about) = message.and_then(|message| message.collapse_key) else { return Ok(None) };
        let newest = self.tables.get(Table::Collapse, &tables::collapse(user, &about))?;
        Ok((newest.as_deref().and_then(tables::seq) == Some(seq)).then_some(about))
    }
}

/// What an inbox would have too much of with one more message. A message alone is not too much.
fn exceeded(limits: &Limits, row: &UserRow, more: &Head) -> Option<InboxLimit> {
    if row.count() == 0 {
        None
    } else if row.count() >= limits.messages {
        Some(InboxLimit::Messages(limits.messages))
    } else if row.bytes + u64::from(more.bytes) > limits.bytes as u64 {
        Some(InboxLimit::Bytes(limits.bytes))
    } else {
        None
    }
}

/// Every user who has a device.
fn known_users(tables: &impl Rows) -> Result<Vec<UserId>, StoreError> {
    let mut users = Vec::new();
    tables.walk_around(Table::Users, &[], &tables::end_of(&[]), &mut |key, row| {
        let (user, _) = tables::split_user(key).ok_or_else(|| corrupt("the name of a user"))?;
        let row: UserRow = rows::read(row)?;
        if row.devices > 0 {
            users.push(user);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(users)
}
