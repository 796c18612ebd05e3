//! The way of a message: from an accepted publication to the sessions of its users.
//!
//! [`Scheduler::publish`] takes a [`Publication`]. A notice goes straight to the reactor, which writes it to
//! every session. A message to users is first put into their inboxes, if there is a store, and only then
//! answered; its lane in the queue keeps one user's order while several workers serve many users. Without
//! a store a message that finds nobody is tried again after [`Settings::resend_interval`], and given up
//! after [`Settings::resend_times`].
//!
//! [`Scheduler::serve`] opens connections: filter, handshake, authentication, online.

mod acceptor;
mod admission;
mod agreement;
mod core;
mod error;
mod figures;
mod occupancy;
mod opening;
mod seldom;
mod settings;

pub use acceptor::Acceptor;
pub use admission::{Authenticate, Filter, Networks, SharedSecret};
pub use core::{Job, Publication, Published, Scheduler, State};
pub use error::PublishError;
pub use figures::Figures;
pub use settings::{Door, FailedCallback, FailedDelivery, FailureReason, Parts, Settings};
