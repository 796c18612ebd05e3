//! What has happened, line by line.

use std::fmt::Display;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::clock::Clock;

/// What has happened, in order. Clones write the same trace.
#[derive(Debug, Clone)]
pub(crate) struct Trace {
    clock: Clock,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Trace {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, lines: Arc::default() }
    }

    pub(crate) fn note(&self, what: impl Display) {
        let micros = self.clock.since_begin();
        self.lines.lock().push(format!("{:>4}.{:06} {what}", micros / 1_000_000, micros % 1_000_000));
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        std::mem::take(&mut self.lines.lock())
    }
}
