//! The promises by what they are about, each with the limits of the store that it is made of.

pub(crate) mod cancelling;
pub(crate) mod collapsing;
pub(crate) mod cursors;
pub(crate) mod ids;
pub(crate) mod limits;
pub(crate) mod logs;
pub(crate) mod model;
pub(crate) mod priorities;
pub(crate) mod receipts;
pub(crate) mod schedules;
pub(crate) mod sweeping;
pub(crate) mod topics;
pub(crate) mod without_receipts;
