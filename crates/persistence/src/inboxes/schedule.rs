//! Messages that wait for their time.

use msgserver_message::{MessageId, Stage, Step, Timestamp};

use super::rows::{MessageRow, ScheduleRow};
use super::tables::{self, Table};
use super::{Inboxes, Rows, Tables, rows};
use crate::{Due, IfFull, Released, StoreError};

impl<T: Tables> Inboxes<'_, T> {
    pub(crate) fn release_due(&mut self, limit: usize) -> Result<Due, StoreError> {
        let end =
            tables::moment(Timestamp::from_millis(self.now.as_millis() + 1), MessageId::from_bytes([0; 16]));
        let mut due = Due::default();
        for (key, value) in self.tables.range(Table::Schedule, &[], &end, limit)? {
            let mut append = rows::read::<ScheduleRow>(&value)?.into_append();
            self.tables.delete(Table::Schedule, &key)?;
            let id = append.message.id;
            if append.message.is_expired(self.now) {
                self.step(id, Step::new(Stage::Expired, self.now))?;
                continue;
            }
            let seqs = match self.place_all(&append) {
                // Its publisher has gone: all that is left is to say so.
                Err(StoreError::Full { .. }) if append.if_full == IfFull::Refuse => {
                    let reason = Some("the inbox was full".into());
                    self.step(id, Step { reason, ..Step::new(Stage::Expired, self.now) })?;
                    continue;
                }
                seqs => seqs?,
            };
            let at = id.to_bytes().to_vec();
            if let Some(known) = self.tables.get(Table::Messages, &at)? {
                let known = MessageRow { places: seqs.clone(), ..rows::read(&known)? };
                self.tables.put(Table::Messages, at, rows::write(&known))?;
            }
            self.step(id, Step::new(Stage::Accepted, self.now))?;
            append.deliver_at = None;
            due.released.push(Released { message: append.message, recipients: append.recipients, seqs });
        }
        due.next = next_due(self.tables)?;
        Ok(due)
    }
}

/// When the next one is due.
pub(crate) fn next_due(tables: &impl Rows) -> Result<Option<Timestamp>, StoreError> {
    let next = tables.range(Table::Schedule, &[], &[u8::MAX; 25], 1)?.pop();
    Ok(next.and_then(|(key, _)| Some(Timestamp::from_millis(u64::from_be_bytes(*key.first_chunk()?)))))
}
