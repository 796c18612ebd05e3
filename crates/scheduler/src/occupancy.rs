//! How many connections a door has, and the server, and how many they may have.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// How full a door is, or the whole server. Connections that are still opening count as well: else a crowd
/// that says nothing would not count at all.
#[derive(Debug)]
pub(crate) struct Occupancy {
    connections: AtomicUsize,
    limit: usize,
    /// Set by the first connection that is turned away, until a tenth of the places is free: a door at its
    /// limit, where one goes and one comes, is no news each time.
    overrun: AtomicBool,
    /// What a door is a part of.
    whole: Option<Arc<Self>>,
}

impl Occupancy {
    pub(crate) fn of_server(limit: usize) -> Self {
        Self { connections: AtomicUsize::new(0), limit, overrun: AtomicBool::new(false), whole: None }
    }

    pub(crate) fn of_door(limit: Option<usize>, server: &Arc<Self>) -> Self {
        Self { whole: Some(Arc::clone(server)), ..Self::of_server(limit.unwrap_or(usize::MAX)) }
    }

    pub(crate) fn is_server(&self) -> bool {
        self.whole.is_none()
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// A place for one more connection, or which of door and server is full.
    pub(crate) fn take(self: &Arc<Self>) -> Result<Place, &Self> {
        let below = |connections| (connections < self.limit).then_some(connections + 1);
        if self.connections.fetch_update(Ordering::Relaxed, Ordering::Relaxed, below).is_err() {
            return Err(self);
        }
        if let Some(Err(full)) = self.whole.as_ref().map(|whole| whole.take().map(Place::keep)) {
            self.connections.fetch_sub(1, Ordering::Relaxed);
            return Err(full);
        }
        Ok(Place(Some(Arc::clone(self))))
    }

    /// A place in the server for a connection for which its door has none.
    pub(crate) fn take_from_whole(&self) -> Option<Place> {
        self.whole.as_ref()?.take().ok()
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
        if let Some(whole) = &self.whole {
            whole.leave();
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
        let occupancy = Arc::new(Occupancy::of_server(2));
        let opening = occupancy.take().unwrap();
        occupancy.take().unwrap().keep();
        assert!(occupancy.take().is_err());
        assert!(occupancy.is_news() && !occupancy.is_news());
        drop(opening);
        let again = occupancy.take().unwrap();
        assert!(occupancy.take().is_err() && occupancy.is_news());
        occupancy.leave();
        assert!(occupancy.take().is_ok());
        drop(again);
    }

    #[test]
    fn a_door_that_stays_at_its_limit_is_news_once() {
        let occupancy = Arc::new(Occupancy::of_server(100));
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
        let server = Arc::new(Occupancy::of_server(usize::MAX));
        let occupancy = Arc::new(Occupancy::of_door(None, &server));
        let places: Vec<_> = (0..1000).map(|_| occupancy.take().unwrap()).collect();
        assert_eq!(places.len(), 1000);
    }

    #[test]
    fn a_full_server_turns_away_at_each_door_and_a_full_door_leaves_room_at_the_others() {
        let server = Arc::new(Occupancy::of_server(3));
        let [narrow, wide] = [Some(1), None].map(|limit| Arc::new(Occupancy::of_door(limit, &server)));
        let first = narrow.take().unwrap();
        assert!(!narrow.take().unwrap_err().is_server());
        let rest = [wide.take().unwrap(), wide.take().unwrap()];
        assert!(wide.take().unwrap_err().is_server());
        drop(first);
        let again = narrow.take().unwrap();
        assert!(narrow.take_from_whole().is_none() && server.take_from_whole().is_none());
        drop(rest);
        let told = narrow.take_from_whole().unwrap();
        assert!(!narrow.take().unwrap_err().is_server());
        drop((told, again));
        assert_eq!(server.connections.load(Ordering::Relaxed), 0);
    }
}
