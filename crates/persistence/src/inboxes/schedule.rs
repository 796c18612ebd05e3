//! Messages whose time comes later, and messages that are taken back.

use std::ops::ControlFlow;

use msgserver_message::{MessageId, Stage, Step, Timestamp};

use super::reading::PAGE_BYTES;
use super::rows::{self, ScheduleRow, Scheduled};
use super::sweep::passed_over;
use super::tables::{self, Key, Table, Tables};
use super::{Inboxes, device_rows, log, message_row};
use crate::store::reason;
use crate::{Cancelled, Due, Recipients, Released, StoreError};

impl<T: Tables> Inboxes<'_, T> {
    /// Puts what is due into its inboxes, at most `limit` messages, and fewer if they are large.
    pub(crate) fn release_due(&mut self, limit: usize) -> Result<Due, StoreError> {
        let moment = |key: &[u8]| tables::split_moment(key).map(|(moment, _)| moment);
        let now = self.setting.now;
        let (mut due, mut bytes, mut next) = (Vec::new(), 0, None);
        // All that is read here is read before anything changes.
        self.tables.walk_around(Table::Schedule, &[], &tables::end_of(&[]), &mut |key, row| {
            let is_due = moment(key).is_none_or(|moment| moment <= now);
            if !is_due || due.len() >= limit || bytes >= PAGE_BYTES {
                next = moment(key);
                return Ok(ControlFlow::Break(()));
            }
            bytes += row.len();
            due.push((Key::from_slice(key), row.to_vec()));
            Ok(ControlFlow::Continue(()))
        })?;
        let mut released = Vec::new();
        for (key, row) in due {
            let scheduled = rows::read::<ScheduleRow>(&row);
            let id = tables::id(&key);
            self.tables.delete(Table::Schedule, key);
            match scheduled {
                Ok(row) => released.push(self.release(row)?),
                // It must not stand in the way of what comes after it.
                Err(fault) => {
                    let id = id.map(|id| id.to_string());
                    tracing::error!(id, %fault, "a scheduled message cannot be read, and is dropped");
                }
            }
        }
        Ok(Due { released, next })
    }

    fn release(&mut self, row: ScheduleRow) -> Result<Released, StoreError> {
        let mut append = row.into_append();
        let id = append.message.id;
        if let Recipients::Users(users) = &append.recipients {
            // A damaged inbox keeps none of the others from their message.
            let mut readable = Vec::with_capacity(users.len());
            for user in &users[..] {
                readable.extend(passed_over(user, self.repaired(user))?.map(|_| user.clone()));
            }
            append.recipients = Recipients::Users(readable.into());
        }
        let seqs = match self.place_all(&append) {
            Ok(placed) => {
                if let Some(mut known) = message_row(self.tables, id)? {
                    known.released = Some(self.setting.now.as_millis());
                    known.places.clone_from(&placed.places);
                    known.published = placed.published;
                    self.put_message(id, &known);
                }
                self.tell(Stage::Accepted, &append);
                placed.places
            }
            // There is nobody left to refuse it to. Nothing was changed before it was refused.
            Err(StoreError::Full { user, .. }) => {
                let step = Step::of(&user, Stage::Expired, self.setting.now);
                self.make_step(id, Step { reason: Some(reason::FULL.into()), ..step })?;
                Vec::new()
            }
            Err(fault @ StoreError::Corrupt { .. }) => {
                tracing::error!(%id, %fault, "a scheduled message is in none of the inboxes behind a damaged one");
                Vec::new()
            }
            Err(fault) => return Err(fault),
        };
        Ok(Released { message: append.message, recipients: append.recipients, seqs })
    }

    /// Takes a message back where it has not gone yet.
    pub(crate) fn cancel(&mut self, id: MessageId) -> Result<Cancelled, StoreError> {
        let Some(known) = message_row(self.tables, id)? else { return Ok(Cancelled::Unknown) };
        if let (Some(Scheduled { at, number }), None) = (known.scheduled, known.released) {
            let key = tables::scheduled(Timestamp::from_millis(at), number, id);
            if self.tables.get(Table::Schedule, &key)?.is_some() {
                self.tables.delete(Table::Schedule, key);
                self.make_step(id, Step::new(Stage::Cancelled, self.setting.now))?;
                return Ok(Cancelled::TakenBack(1));
            }
        }
        let mut taken_back = 0;
        if let Some((topic, number)) = &known.published {
            taken_back += u64::from(self.take_out_published(topic, *number, id)?);
        }
        for (user, seq) in known.places {
            let mut row = self.repaired(&user)?;
            let Some(kept) = log::find(self.tables, &user, &row, id, seq)? else { continue };
            let devices = device_rows(self.tables, &user)?;
            let has_still_to_go = |sent: u64| sent < kept.seq.get();
            if devices.is_empty()
                || devices.iter().any(|(_, at)| at.sessions == 0 && has_still_to_go(at.sent))
            {
                self.lose(&user, &mut row, &kept, Stage::Cancelled, None)?;
                self.put_user(&user, &row);
                taken_back += 1;
            }
        }
        Ok(if taken_back > 0 { Cancelled::TakenBack(taken_back) } else { Cancelled::TooLate })
    }
}
