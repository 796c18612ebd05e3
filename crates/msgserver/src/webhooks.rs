//! What the scheduler tells, to webhooks.

use msgserver_message::{MessageId, Stage, Step, Target};
use msgserver_scheduler::Witness;
use msgserver_webhooks::Webhooks;

/// Has webhooks told what a scheduler tells: the two crates do not know each other.
pub(crate) struct ToWebhooks(pub(crate) Webhooks);

impl Witness for ToWebhooks {
    fn wants(&self, stage: Stage) -> bool {
        self.0.wants(stage)
    }

    fn tell(&self, id: MessageId, step: &Step, target: Option<&Target>) {
        self.0.tell(id, step, target);
    }
}
