//! How many connections a door has, and how many it may have.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// How full a door is. Connections that are still opening count as well: else a crowd that says nothing
/// would not count at all.
#[derive(Debug)]
pub(crate) struct Occupancy {
    connections: AtomicUsize,
    limit: usize,
    /// Set by the first connection that is turned away, until a tenth of the places is free: a door at its
    /// limit, where one goes and one comes, is no news each time.
    overrun: AtomicBool,
}

impl Occupancy {
    pub(crate) fn new(limit: Option<usize>) -> Self {
        let limit = limit.unwrap_or(usize::MAX);
        Self { connections: AtomicUsize::new(0), limit, overrun: AtomicBool::new(false) }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// A place for one more connection, if there is one.
    pub(crate) fn take(self: &Arc<Self>) -> Option<Place> {
        let below = |connections| (connections < self.limit).then_some(connections + 1);
        self.connections.fetch_update(Ordering::Relaxed, Ordering::Relaxed, below).ok()?;
        Some(Place(Some(Arc::clone(self))))
    }

    /// Whether this is the first connection that is turned away since the door had room.
    pub(crate) fn is_news(&self) -> bool {
        !self.overrun.swap(true, Ordering::Relaxed)
    }

    /// A session has ended.
    pub(crate) fn leave(&self) {
        let before = self.connections.fetch_sub(1, Ordering::Relaxed);
        if before <= self.limit - self.limit / 10 {
            self.overrun.store(false, Ordering::Relaxed);
        }
    }
}

/// A place that a connection has while it opens.
#[derive(Debug)]
pub(crate) struct Place(Option<Arc<Occupancy>>);

impl Place {
    /// Leaves the place to the session that the connection has become; its end gives it back. A session
    /// knows its door anyway, so that it need not carry this.
    pub(crate) fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(occupancy) = &self.0 {
            occupancy.leave();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_as_many_as_the_limit_and_come_back() {
        let occupancy = Arc::new(Occupancy::new(Some(2)));
        let opening = occupancy.take().unwrap();
        occupancy.take().unwrap().keep();
        assert!(occupancy.take().is_none());
        assert!(occupancy.is_news() && !occupancy.is_news());
        drop(opening);
        let again = occupancy.take().unwrap();
        assert!(occupancy.take().is_none() && occupancy.is_news());
        occupancy.leave();
        assert!(occupancy.take().is_some());
        drop(again);
    }

    #[test]
    fn a_door_that_stays_at_its_limit_is_news_once() {
        let occupancy = Arc::new(Occupancy::new(Some(100)));
        let mut places: Vec<_> = (0..100).map(|_| occupancy.take().unwrap()).collect();
        assert!(occupancy.is_news());
        for _ in 0..5 {
            places.pop();
            places.push(occupancy.take().unwrap());
            assert!(!occupancy.is_news());
        }
        places.truncate(80);
        assert!(occupancy.is_news());
    }

    #[test]
    fn a_door_without_a_limit_is_never_full() {
        let occupancy = Arc::new(Occupancy::new(None));
        let places: Vec<_> = (0..1000).map(|_| occupancy.take().unwrap()).collect();
        assert_eq!(places.len(), 1000);
    }
}
