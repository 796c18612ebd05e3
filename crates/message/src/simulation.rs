//! A clock and ids that a simulation gives instead of the machine.
//!
//! They hold for one thread: simulations run beside each other and beside what is not simulated.

use std::cell::RefCell;

use crate::{MessageId, Timestamp};

/// What a simulation gives instead of the machine.
pub trait Edge {
    /// The present, by the simulated wall clock.
    fn now(&self) -> Timestamp;
    /// An id that was never given before.
    fn fresh_id(&self) -> MessageId;
}

thread_local! {
    static EDGE: RefCell<Option<Box<dyn Edge>>> = const { RefCell::new(None) };
}

/// From now on this thread asks `edge`, or the machine again if there is none.
pub fn set_edge(edge: Option<Box<dyn Edge>>) {
    EDGE.with(|of_thread| *of_thread.borrow_mut() = edge);
}

pub(crate) fn asked<T>(ask: impl FnOnce(&dyn Edge) -> T) -> Option<T> {
    EDGE.with(|of_thread| of_thread.borrow().as_deref().map(ask))
}
