//! What became of messages, and taking them back.

use msgserver_message::{MessageId, Receipt, Seq, Stage, Step, UserId};

use super::rows::{DeviceRow, MessageRow, StepRow};
use super::tables::{self, Table};
use super::{Inboxes, Row, Rows, Tables, device_rows, rows};
use crate::{Cancelled, StoreError};

impl<T: Tables> Inboxes<'_, T> {
    pub(crate) fn record(&mut self, steps: &[(MessageId, Vec<Step>)]) -> Result<(), StoreError> {
        steps.iter().try_for_each(|(id, steps)| self.steps(*id, steps.clone()))
    }

    pub(crate) fn cancel(&mut self, id: MessageId) -> Result<Cancelled, StoreError> {
        let Some(known) = self.tables.get(Table::Messages, &id.to_bytes())? else {
            return Ok(Cancelled::Unknown);
        };
        let known: MessageRow = rows::read(&known)?;
        if let Some(at) = known.deliver_at {
            let key = tables::moment(at, id);
            if self.tables.get(Table::Schedule, &key)?.is_some() {
                self.tables.delete(Table::Schedule, &key)?;
                self.step(id, Step::new(Stage::Cancelled, self.now))?;
                return Ok(Cancelled::TakenBack(1));
            }
        }
        let mut taken_back = 0;
        for (user, seq) in &known.places {
            let Some((seq, entry)) = self.find(user, *seq, id)? else { continue };
            if self.is_unsent_somewhere(user, seq)? {
                let mut row = self.user(user)?;
                self.take_out(user, &mut row, &entry)?;
                self.put_user(user, &row)?;
                self.step(id, Step::of(user, Stage::Cancelled, self.now))?;
                taken_back += 1;
            }
        }
        Ok(if taken_back > 0 { Cancelled::TakenBack(taken_back) } else { Cancelled::TooLate })
    }

    /// The entry of a message that was put at `seq`, and may have moved since.
    pub(super) fn find(
        &self,
        user: &UserId,
        seq: Seq,
        id: MessageId,
    ) -> Result<Option<(u64, Row)>, StoreError> {
        let is_it = |value: &[u8]| rows::head(value).is_ok_and(|head| head.id == id);
        let key = tables::entry(user, seq);
        if let Some(value) = self.tables.get(Table::Log, &key)?
            && is_it(&value)
        {
            return Ok(Some((seq.get(), (key, value))));
        }
        let behind = self.entries(user, seq.get(), usize::MAX)?;
        Ok(behind.into_iter().find(|(_, (_, value))| is_it(value)))
    }

    /// Whether there is a device that the message has not gone to. One that is connected has been sent it.
    fn is_unsent_somewhere(&mut self, user: &UserId, seq: u64) -> Result<bool, StoreError> {
        // Sets right what a process left that ended without a word.
        let row = self.user(user)?;
        self.put_user(user, &row)?;
        let devices = device_rows(self.tables, user)?;
        if devices.is_empty() {
            return Ok(true);
        }
        for (_, value) in devices {
            let at: DeviceRow = rows::read(&value)?;
            if at.sessions == 0 && at.sent.max(at.acknowledged) < seq {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

pub(crate) fn receipt(tables: &impl Rows, id: MessageId) -> Result<Option<Receipt>, StoreError> {
    let Some(known) = tables.get(Table::Messages, &id.to_bytes())? else { return Ok(None) };
    let known: MessageRow = rows::read(&known)?;
    let first = if known.deliver_at.is_some() { Stage::Scheduled } else { Stage::Accepted };
    let mut steps = vec![Step::new(first, known.at)];
    let from = id.to_bytes();
    for (_, value) in tables.range(Table::Steps, &from, &tables::end_of(&from), usize::MAX)? {
        steps.extend(rows::read::<StepRow>(&value)?);
    }
    Ok(Receipt::of(id, steps))
}
