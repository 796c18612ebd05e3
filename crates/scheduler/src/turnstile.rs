//! Letting in a herd at a pace that those inside do not notice.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use msgserver_message::SessionId;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How fast clients are let in for whom messages wait.
///
/// To read what waits in an inbox is the dear part of a connection. After a restart all clients want it at once, and
/// whatever is for those who are inside already would stand in line behind them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admission {
    /// Clients a second for whom messages wait; none are spared up beyond `burst`.
    pub rate: u32,
    /// How many of them may come at once after a quiet time. As many may wait inside for their turn; the rest waits
    /// in the kernel, where it costs nothing.
    pub burst: u32,
    /// How many inboxes in which messages wait may be read for the first time, side by side.
    pub parallel: usize,
}

impl Default for Admission {
    fn default() -> Self {
        Self { rate: 5000, burst: 1000, parallel: 16 }
    }
}

/// When the next one may go, if only so many may in a second: instants in, instants out.
#[derive(Debug)]
struct Pace {
    interval: Duration,
    slack: Duration,
    /// When the next one would be due if all had come evenly.
    due: Instant,
}

impl Pace {
    fn new(admission: Admission, now: Instant) -> Self {
        let interval = Duration::from_secs(1) / admission.rate.max(1);
        let slack = interval * (admission.burst.max(1) - 1);
        Self { interval, slack, due: now }
    }

    /// When the next one may go.
    fn next(&self, now: Instant) -> Instant {
        self.due.checked_sub(self.slack).map_or(now, |at| at.max(now))
    }

    /// One goes now.
    fn go(&mut self, now: Instant) {
        self.due = self.due.max(now) + self.interval;
    }
}

/// A place among those who wait inside, while it is found out whether anything waits for them, and for their turn.
pub(crate) struct Inside {
    _waiting: OwnedSemaphorePermit,
}

/// The right to read what waits in an inbox.
pub(crate) struct Turn {
    /// Given back once the session is there: from then on it waits for nothing but its messages.
    _inside: Inside,
    reading: OwnedSemaphorePermit,
}

/// Where clients with an inbox wait for their turn.
#[derive(Debug)]
pub(crate) struct Turnstile {
    waiting: Arc<Semaphore>,
    /// Held by the one who is next, until it goes: who gives up while it waits has not used up a turn.
    pace: tokio::sync::Mutex<Pace>,
    reading: Arc<Semaphore>,
    /// Who reads its inbox for the first time, and holds up one more until that is done.
    first_reads: Mutex<HashMap<SessionId, OwnedSemaphorePermit>>,
    /// As many: so that a delivery to anybody else costs one look and no lock.
    readers: AtomicUsize,
}

const NEVER_CLOSED: &str = "its semaphores are never closed";

impl Turnstile {
    pub(crate) fn new(admission: Admission) -> Self {
        Self {
            waiting: Arc::new(Semaphore::new(admission.burst.max(1) as usize)),
            pace: tokio::sync::Mutex::new(Pace::new(admission, Instant::now())),
            reading: Arc::new(Semaphore::new(admission.parallel.clamp(1, Semaphore::MAX_PERMITS))),
            first_reads: Mutex::default(),
            readers: AtomicUsize::new(0),
        }
    }

    /// Waits until one more may wait inside: before that, nobody is to be accepted.
    pub(crate) async fn room(&self) {
        drop(self.waiting.acquire().await.expect(NEVER_CLOSED));
    }

    /// Waits for a place inside. As many as there are may open their inboxes together, and share what that costs.
    pub(crate) async fn inside(&self) -> Inside {
        let waiting = Arc::clone(&self.waiting).acquire_owned().await.expect(NEVER_CLOSED);
        Inside { _waiting: waiting }
    }

    /// Waits until one more may read what waits for it. Whom nothing waits for needs no turn.
    pub(crate) async fn turn(&self, inside: Inside) -> Turn {
        let reading = Arc::clone(&self.reading).acquire_owned().await.expect(NEVER_CLOSED);
        let mut pace = self.pace.lock().await;
        let now = Instant::now();
        let at = pace.next(now);
        if at > now {
            tokio::time::sleep_until(at.into()).await;
        }
        pace.go(Instant::now());
        Turn { _inside: inside, reading }
    }

    /// The turn lasts until [`Turnstile::has_read`].
    pub(crate) fn reads(&self, session: SessionId, turn: Turn) {
        self.first_reads.lock().insert(session, turn.reading);
        self.readers.fetch_add(1, Ordering::Relaxed);
    }

    /// Ends the turn of a session, if it still has one: it has read its inbox, could not, or is over.
    pub(crate) fn has_read(&self, session: SessionId) {
        if self.readers.load(Ordering::Relaxed) > 0 && self.first_reads.lock().remove(&session).is_some() {
            self.readers.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether it is not done at once.
    async fn waits<T>(turn: impl Future<Output = T>) -> bool {
        tokio::select! {
            biased;
            _ = turn => false,
            () = std::future::ready(()) => true,
        }
    }

    #[test]
    fn a_burst_goes_at_once_and_the_rest_evenly() {
        let mut pace = Pace::new(Admission { rate: 10, burst: 3, parallel: 1 }, Instant::now());
        let mut waits = |now: Instant| {
            let waits: Vec<_> = (0..5)
                .scan(now, |now, _| {
                    let at = pace.next(*now);
                    assert_eq!(pace.next(*now), at, "to ask is not to go");
                    pace.go(at);
                    Some((at - std::mem::replace(now, at)).as_millis())
                })
                .collect();
            waits
        };
        let start = Instant::now();
        assert_eq!(waits(start), [0, 0, 0, 100, 100]);
        // A quiet time saves up a burst, and no more.
        assert_eq!(waits(start + Duration::from_secs(60)), [0, 0, 0, 100, 100]);
    }

    #[tokio::test]
    async fn a_turn_lasts_until_the_inbox_was_read() {
        let turnstile = Turnstile::new(Admission { rate: 1_000_000, burst: 2, parallel: 1 });
        let session = SessionId::new(1);
        turnstile.reads(session, turnstile.turn(turnstile.inside().await).await);
        let mut second = std::pin::pin!(turnstile.turn(turnstile.inside().await));
        assert!(waits(&mut second).await);
        turnstile.has_read(SessionId::new(2));
        assert!(waits(&mut second).await);
        turnstile.has_read(session);
        turnstile.has_read(session);
        second.await;
        assert_eq!(turnstile.readers.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn nobody_is_accepted_while_a_burst_waits() {
        let turnstile = Turnstile::new(Admission { rate: 1_000_000, burst: 2, parallel: 1 });
        let first = turnstile.turn(turnstile.inside().await).await;
        turnstile.room().await;
        let second = turnstile.inside().await;
        let mut room = std::pin::pin!(turnstile.room());
        assert!(waits(&mut room).await);
        turnstile.reads(SessionId::new(1), first);
        room.await;
        let mut second = std::pin::pin!(turnstile.turn(second));
        assert!(waits(&mut second).await, "there is room to wait, and no turn yet");
    }
}
