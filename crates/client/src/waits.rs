//! How long to wait after a failure.

use std::time::Duration;

/// The first wait after a failure, and the longest; each further failure doubles it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waits {
    next: Duration,
}

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(30);

impl Waits {
    pub(crate) const fn new() -> Self {
        Self { next: FIRST }
    }

    /// Something went well.
    pub(crate) const fn reset(&mut self) {
        self.next = FIRST;
    }

    /// The wait after one more failure. A time that the server has named is spread over its clients already; any
    /// other is spread here, with a `fraction` from 0 to 1, so that they do not all come back at once.
    pub(crate) fn after_failure(&mut self, named: Option<Duration>, fraction: f64) -> Duration {
        let wait = named.unwrap_or_else(|| self.next.mul_f64(0.5 + fraction / 2.0));
        self.next = (self.next * 2).min(LONGEST);
        wait
    }

    /// As [`Waits::after_failure`], with chance for the fraction.
    pub(crate) fn spread(&mut self, named: Option<Duration>) -> Duration {
        self.after_failure(named, rand::random_range(0.0..1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_begin_anew() {
        let mut waits = Waits::new();
        let longest: Vec<_> = (0..9).map(|_| waits.after_failure(None, 1.0).as_millis()).collect();
        assert_eq!(longest, [200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000]);
        assert_eq!(waits.after_failure(None, 0.0), LONGEST / 2);
        waits.reset();
        assert_eq!(waits.after_failure(None, 0.5), Duration::from_millis(150));
    }

    #[test]
    fn a_time_that_the_server_names_is_kept_to() {
        let named = Duration::from_secs(77);
        assert_eq!(Waits::new().after_failure(Some(named), 0.3), named);
    }
}
