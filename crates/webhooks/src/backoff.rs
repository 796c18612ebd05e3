//! How long to wait after a failure.

use std::time::Duration;

/// How often, and for how long, it is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// The wait after the first failure; each further one doubles it.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
    /// How long an event is worth it, counted from when it happened. It is tried once in any case.
    pub give_up_after: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(5 * 60),
            give_up_after: Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// The failures since something last went well.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// How long to wait after one more failure, where `chance` is from 0 to 1: half of the wait is left to it, so that
    /// many servers do not come back to an endpoint at one moment. Not less than the endpoint has asked for.
    pub(crate) fn next(&mut self, retry: &Retry, chance: f64, asked_for: Option<Duration>) -> Duration {
        let doubled = 2_u32.checked_pow(self.failures).and_then(|factor| retry.first.checked_mul(factor));
        self.failures = self.failures.saturating_add(1);
        let whole = doubled.map_or(retry.longest, |wait| wait.min(retry.longest));
        let wait = whole / 2 + (whole / 2).mul_f64(chance.clamp(0.0, 1.0));
        // An endpoint that asks for a year gets what it would get by failing.
        wait.max(asked_for.unwrap_or_default().min(retry.give_up_after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_leave_half_to_chance() {
        let secs = Duration::from_secs;
        let retry = Retry { first: secs(2), longest: secs(60), give_up_after: secs(1000) };
        let waits = |chance| {
            let mut backoff = Backoff::default();
            (0..8).map(|_| backoff.next(&retry, chance, None).as_secs()).collect::<Vec<_>>()
        };
        assert_eq!(waits(1.0), [2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(waits(0.0), [1, 2, 4, 8, 16, 30, 30, 30]);
        let mut long = Backoff { failures: u32::MAX };
        assert_eq!(long.next(&retry, 1.0, None), secs(60));
        long.reset();
        assert_eq!(long.next(&retry, 1.0, Some(secs(100))), secs(100));
        assert_eq!(long.next(&retry, 1.0, Some(secs(1))), secs(4));
        assert_eq!(long.next(&retry, 1.0, Some(Duration::MAX)), secs(1000));
        assert_eq!(long.failures(), 3);
    }
}
