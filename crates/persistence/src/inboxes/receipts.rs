//! What became of messages.

use msgserver_message::{MessageId, Stage, Step};

use super::rows;
use super::tables::{self, Table, Tables};
use super::{Inboxes, STEPS};
use crate::{Append, StepMade, StoreError};

impl<T: Tables> Inboxes<'_, T> {
    /// Notes a step that is made here and not by a session.
    pub(super) fn make_step(&mut self, id: MessageId, step: Step) -> Result<(), StoreError> {
        if self.setting.is_heard {
            self.tables.tell(StepMade { id, step: step.clone(), recipients: None, topic: None });
        }
        self.record(id, vec![step])
    }

    /// Tells of a step that the row of its message says, now.
    pub(super) fn tell(&mut self, state: Stage, append: &Append) {
        if self.setting.is_heard {
            let step = Step::new(state, self.setting.now);
            let recipients = Some(append.recipients.clone());
            self.tables.tell(StepMade {
                id: append.message.id,
                step,
                recipients,
                topic: append.message.topic.clone(),
            });
        }
    }

    /// Notes steps of a message, if it is known and receipts are wanted.
    pub(crate) fn record(&mut self, id: MessageId, steps: Vec<Step>) -> Result<(), StoreError> {
        let wanted = !steps.is_empty() && !self.setting.limits.receipts.is_zero();
        if wanted && self.tables.get(Table::Messages, &id.to_bytes())?.is_some() {
            let number = self.add(STEPS, 1)?;
            self.tables.put(Table::Steps, tables::step(id, number), rows::write_steps(&steps));
        }
        Ok(())
    }
}
