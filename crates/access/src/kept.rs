//! What was read last from somewhere that may fail.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};

/// How often a file is looked at.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What was read last from somewhere. What cannot be read leaves in force what was read before.
pub(crate) struct Kept<T> {
    /// What it is, for logs.
    what: &'static str,
    now: RwLock<Arc<[T]>>,
    /// What was wrong the last time: said once, and not each time.
    fault: Mutex<Option<String>>,
}

impl<T> Kept<T> {
    pub(crate) fn new(what: &'static str, first: Vec<T>) -> Self {
        Self { what, now: RwLock::new(first.into()), fault: Mutex::new(None) }
    }

    pub(crate) fn now(&self) -> Arc<[T]> {
        Arc::clone(&self.now.read())
    }

    /// Takes what was read; whether it could be.
    pub(crate) fn take<E: Display>(&self, read: Result<Vec<T>, E>) -> bool {
        let fault = read.as_ref().err().map(ToString::to_string);
        let news = std::mem::replace(&mut *self.fault.lock(), fault.clone()) != fault;
        let what = self.what;
        match (read, fault) {
            (Ok(read), _) => {
                if news {
                    tracing::info!(keys = read.len(), "{what} can be read again");
                }
                *self.now.write() = read.into();
                true
            }
            (Err(_), fault) => {
                if news {
                    let fault = fault.unwrap_or_default();
                    tracing::warn!(%fault, "{what} cannot be read; those that were stay in force");
                }
                false
            }
        }
    }
}
