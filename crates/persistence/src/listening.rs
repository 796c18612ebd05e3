//! Who hears of what a store does by itself.

use std::fmt;
use std::sync::{Arc, OnceLock};

use msgserver_message::{MessageId, Step};

/// Is told of steps of messages. Called where the store changes: must not wait.
pub type StepListener = Arc<dyn Fn(&[(MessageId, Vec<Step>)]) + Send + Sync>;

/// The listener of a store, once there is one.
#[derive(Default)]
pub(crate) struct Listening(OnceLock<StepListener>);

impl Listening {
    pub(crate) fn begin(&self, listener: StepListener) {
        if self.0.set(listener).is_err() {
            tracing::warn!("a store has one listener, and the first one stays");
        }
    }

    pub(crate) fn tell(&self, steps: &[(MessageId, Vec<Step>)]) {
        if let Some(listener) = self.0.get().filter(|_| !steps.is_empty()) {
            listener(steps);
        }
    }
}

impl fmt::Debug for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Listening({})", self.0.get().is_some())
    }
}
