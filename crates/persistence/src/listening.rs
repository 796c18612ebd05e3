//! Who hears of the steps that a store makes.

use std::fmt;
use std::sync::{Arc, OnceLock};

use msgserver_message::{MessageId, Step, Topic};

use crate::Recipients;

/// A step that a message has come to in a store, as its receipt has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepMade {
    /// The message.
    pub id: MessageId,
    /// The step.
    pub step: Step,
    /// Of a step of the message as a whole: whom it is for, if that is at hand.
    pub recipients: Option<Recipients>,
    /// The topic that it was published to, if that is at hand.
    pub topic: Option<Topic>,
}

/// Is told of steps. Called where the store changes: must not wait.
pub type StepListener = Arc<dyn Fn(Vec<StepMade>) + Send + Sync>;

/// The listener of a store, once there is one.
#[derive(Default)]
pub(crate) struct Listening(OnceLock<StepListener>);

impl Listening {
    pub(crate) fn begin(&self, listener: StepListener) {
        if self.0.set(listener).is_err() {
            tracing::warn!("a store has one listener, and the first one stays");
        }
    }

    pub(crate) fn is_heard(&self) -> bool {
        self.0.get().is_some()
    }

    pub(crate) fn tell(&self, steps: Vec<StepMade>) {
        if let Some(listener) = self.0.get().filter(|_| !steps.is_empty()) {
            listener(steps);
        }
    }
}

impl fmt::Debug for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Listening({})", self.is_heard())
    }
}
