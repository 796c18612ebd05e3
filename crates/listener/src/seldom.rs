//! Saying once what happens a thousand times.

use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_secs(60);

/// Lets something be said once a minute, however often it happens.
#[derive(Debug, Default)]
pub(crate) struct Seldom(Option<Instant>);

impl Seldom {
    /// Whether to say it, now that it has happened at `now`.
    pub(crate) fn is_due(&mut self, now: Instant) -> bool {
        let due = self.0.is_none_or(|last| now.duration_since(last) >= EVERY);
        if due {
            self.0 = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_once_a_minute() {
        let (mut seldom, start) = (Seldom::default(), Instant::now());
        let due: Vec<_> =
            [0, 1, 59, 60, 61, 119, 121].map(|s| seldom.is_due(start + Duration::from_secs(s))).into();
        assert_eq!(due, [true, false, false, true, false, false, true]);
    }
}
