//! What became of messages.

use msgserver_message::{MessageId, Step};

use super::rows;
use super::tables::{self, Table, Tables};
use super::{Inboxes, STEPS};
use crate::StoreError;

impl<T: Tables> Inboxes<'_, T> {
    /// Notes steps of a message, if it is known and receipts are wanted.
    pub(crate) fn record(&mut self, id: MessageId, steps: Vec<Step>) -> Result<(), StoreError> {
        let wanted = !steps.is_empty() && !self.setting.limits.receipts.is_zero();
        if wanted && self.tables.get(Table::Messages, &id.to_bytes())?.is_some() {
            let number = self.add(STEPS, 1)?;
            self.tables.put(Table::Steps, tables::step(id, number), rows::write_named(&steps));
        }
        Ok(())
    }
}
