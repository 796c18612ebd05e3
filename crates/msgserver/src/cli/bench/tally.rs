//! What readers have counted.

use std::collections::HashMap;

use hdrhistogram::Histogram;

use super::order::Came;
use super::stamp::Stamp;

/// The shortest interval in which deliveries are counted, in nanoseconds.
pub(super) const INTERVAL: u64 = 10_000_000;

/// Times in microseconds, to three digits and up to an hour.
pub(super) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 3_600_000_000, 3).expect("a range and a precision that it has")
}

/// Counts and times of one thread's clients, or of all.
pub(super) struct Tally {
    /// From the moment for which a message was meant to the moment when it was read.
    pub(super) latency: Histogram<u64>,
    /// From the beginning of a connection to being online.
    pub(super) opening: Histogram<u64>,
    /// When the last client came online.
    pub(super) all_online: u64,
    /// Deliveries in each [`INTERVAL`] since the start of the clock.
    pub(super) over_time: Vec<u64>,
    /// How many different messages each client has got.
    pub(super) received: HashMap<usize, u64>,
    /// Deliveries after one that belongs behind them.
    pub(super) late: u64,
    /// Deliveries that had come before, and were not marked so.
    pub(super) doubled: u64,
    /// Deliveries that had come before and were marked so, as the protocol has it.
    pub(super) redelivered: u64,
    /// Of those who read slowly or not at all, how many the server has closed.
    pub(super) slow_closed: u64,
    /// When the last delivery came.
    pub(super) last: u64,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            latency: histogram(),
            opening: histogram(),
            all_online: 0,
            over_time: Vec::new(),
            received: HashMap::new(),
            late: 0,
            doubled: 0,
            redelivered: 0,
            slow_closed: 0,
            last: 0,
        }
    }

    /// A client is online that began to connect at `since`.
    pub(super) fn online(&mut self, now: u64, since: u64) {
        self.opening.saturating_record(now.saturating_sub(since) / 1000);
        self.all_online = now;
    }

    /// Notes what came together, and what each was to its receiver: nothing if it came again and said so. Gives how
    /// many came for the first time.
    pub(super) fn take(&mut self, now: u64, came: impl Iterator<Item = (Stamp, Option<Came>)>) -> u64 {
        let mut first = 0;
        for (stamp, came) in came {
            match came {
                None => self.redelivered += 1,
                Some(Came::Again) => self.doubled += 1,
                Some(came) => {
                    first += 1;
                    self.late += u64::from(came == Came::Late);
                    self.latency.saturating_record(now.saturating_sub(stamp.moment) / 1000);
                }
            }
        }
        count(&mut self.over_time, now, first);
        self.last = self.last.max(now);
        first
    }

    /// Adds what another thread has counted.
    pub(super) fn add(&mut self, other: Self) {
        self.latency.add(other.latency).expect("both have the same range");
        self.opening.add(other.opening).expect("both have the same range");
        self.all_online = self.all_online.max(other.all_online);
        self.over_time.resize(self.over_time.len().max(other.over_time.len()), 0);
        for (all, one) in self.over_time.iter_mut().zip(other.over_time) {
            *all += one;
        }
        self.received.extend(other.received);
        self.late += other.late;
        self.doubled += other.doubled;
        self.redelivered += other.redelivered;
        self.slow_closed += other.slow_closed;
        self.last = self.last.max(other.last);
    }
}

/// Counts something that happened now.
pub(super) fn count(over_time: &mut Vec<u64>, now: u64, count: u64) {
    let interval = usize::try_from(now / INTERVAL).expect("a run is not that long");
    if over_time.len() <= interval {
        over_time.resize(interval + 1, 0);
    }
    over_time[interval] += count;
}
