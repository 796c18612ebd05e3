//! What publishers may have in the server's memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::PublishError;

/// Counts the bytes of what is being published: bodies and frames until they are answered, contents until the last
/// lane and the last reactor thread have handed them on. What would be too much is refused, and so a store or
/// clients that cannot follow cost a limited amount of memory, and publishers are told to wait.
#[derive(Debug, Clone)]
pub struct Intake(Arc<Counter>);

#[derive(Debug)]
struct Counter {
    bytes: AtomicUsize,
    limit: usize,
}

/// Bytes that count until it is dropped.
#[derive(Debug)]
pub struct Taken {
    bytes: usize,
    intake: Intake,
}

impl Intake {
    pub(crate) fn new(limit: usize) -> Self {
        Self(Arc::new(Counter { bytes: AtomicUsize::new(0), limit }))
    }

    /// Counts so many bytes.
    ///
    /// # Errors
    /// [`PublishError::TooMuch`] if there is no room for them now.
    pub fn take(&self, bytes: usize) -> Result<Taken, PublishError> {
        let mut taken = Taken { bytes: 0, intake: self.clone() };
        taken.grow(bytes)?;
        Ok(taken)
    }

    /// Whether nothing is being published.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.bytes.load(Ordering::Acquire) == 0
    }
}

impl Taken {
    /// Counts more bytes.
    ///
    /// # Errors
    /// [`PublishError::TooMuch`] if there is no room for them now; what was counted before still counts.
    pub fn grow(&mut self, bytes: usize) -> Result<(), PublishError> {
        let Counter { bytes: counted, limit } = &*self.intake.0;
        let within = |now: usize| now.checked_add(bytes).filter(|sum| sum <= limit);
        match counted.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within) {
            Ok(_) => {
                self.bytes += bytes;
                Ok(())
            }
            Err(now) => Err(PublishError::TooMuch { bytes: now, limit: *limit }),
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        // Whoever sees that nothing is left sees what was done with it as well.
        self.intake.0.bytes.fetch_sub(self.bytes, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_makes_room_again() {
        let intake = Intake::new(10);
        let mut first = intake.take(4).unwrap();
        let second = intake.take(6).unwrap();
        let fault = first.grow(1).unwrap_err();
        assert!(matches!(fault, PublishError::TooMuch { bytes: 10, limit: 10 }));
        assert!(intake.take(usize::MAX).is_err());
        drop(second);
        first.grow(6).unwrap();
        assert!(!intake.is_empty());
        drop(first);
        assert!(intake.is_empty());
    }
}
