//! What one run has measured.

use hdrhistogram::Histogram;
use serde::Serialize;

use super::tally::INTERVAL;

/// How many points the distribution and the course of a run have at most.
const POINTS: usize = 200;

/// The least processor time of which a share is told. The system counts in hundredths of a second.
const LEAST_CPU: f64 = 0.05;

/// Microseconds of processor time each; nothing if there was too little to be told.
pub(super) fn cpu_us_each(seconds: Option<f64>, count: u64) -> Option<f64> {
    seconds.filter(|seconds| *seconds >= LEAST_CPU && count > 0).map(|seconds| seconds * 1e6 / count as f64)
}

/// What a run has measured. What is not known is left out.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Figures {
    /// How long it took, from the first message to the last delivery.
    pub(super) seconds: f64,
    /// What was done, in the work's unit, and how much of it a second.
    pub(super) count: u64,
    pub(super) per_second: f64,
    /// Processor time of the server, and of the load.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cpu_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cpu_us_each: Option<f64>,
    pub(super) load_cpu_seconds: f64,
    /// Memory of the server in bytes: before the clients came, with them, and without them again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) memory: Option<Memory>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) messages: Option<Messages>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) latency_us: Option<Latency>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) over_time: Option<OverTime>,
    /// How often the disk was asked to keep what was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) syncs: Option<u64>,
    /// What went wrong first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fault: Option<String>,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Memory {
    pub(super) before: u64,
    pub(super) with_clients: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) after: Option<u64>,
    /// Of each client.
    pub(super) each: f64,
}

/// What became of the messages.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Messages {
    pub(super) published: u64,
    pub(super) accepted: u64,
    pub(super) refused: u64,
    /// Deliveries that there should be of what was not refused, and that there were.
    pub(super) expected: u64,
    pub(super) delivered: u64,
    pub(super) lost: u64,
    pub(super) doubled: u64,
    pub(super) out_of_order: u64,
    /// Sent again and marked so, as clients that acknowledge are told to expect.
    pub(super) redelivered: u64,
    /// Clients that read, and that the server has closed.
    pub(super) closed: u64,
    /// The same of those that do not read as they should.
    pub(super) slow_closed: u64,
}

impl Messages {
    /// Whether a promise was broken.
    pub(super) const fn is_faulty(&self) -> bool {
        self.refused + self.lost + self.doubled + self.out_of_order + self.closed > 0
    }
}

/// Latencies in microseconds.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Latency {
    pub(super) count: u64,
    pub(super) mean: f64,
    pub(super) p50: u64,
    pub(super) p90: u64,
    pub(super) p99: u64,
    pub(super) p999: u64,
    pub(super) max: u64,
    /// Percentiles, and the latency that so many of a hundred do not exceed.
    pub(super) distribution: Vec<(f64, u64)>,
}

impl Latency {
    /// Nothing if nothing was recorded.
    pub(super) fn of(histogram: &Histogram<u64>) -> Option<Self> {
        let at = |quantile| histogram.value_at_quantile(quantile);
        let distribution =
            histogram.iter_quantiles(10).map(|step| (step.quantile() * 100.0, step.value_iterated_to()));
        (!histogram.is_empty()).then(|| Self {
            count: histogram.len(),
            mean: histogram.mean(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: histogram.max(),
            distribution: distribution.take(POINTS).collect(),
        })
    }
}

/// How many in each interval, from the first message on.
#[derive(Debug, Clone, Serialize)]
pub(super) struct OverTime {
    pub(super) interval_ms: u64,
    pub(super) counts: Vec<u64>,
}

impl OverTime {
    /// From counts of each [`INTERVAL`] since the start of the clock, of which so many nanoseconds were before the run.
    pub(super) fn of(counts: &[u64], first: u64) -> Self {
        let skipped = usize::try_from(first / INTERVAL).unwrap_or(usize::MAX);
        let counts = counts.get(skipped..).unwrap_or_default();
        let together = counts.len().div_ceil(POINTS).max(1);
        let counts = counts.chunks(together).map(|chunk| chunk.iter().sum()).collect();
        Self { interval_ms: together as u64 * INTERVAL / 1_000_000, counts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::bench::tally::histogram;

    #[test]
    fn a_long_run_is_shown_in_as_few_points_and_nothing_of_it_is_left_out() {
        let over_time = OverTime::of(&vec![1; 10_010], 10 * INTERVAL);
        assert_eq!((over_time.interval_ms, over_time.counts.len()), (500, 200));
        assert_eq!(over_time.counts.iter().sum::<u64>(), 10_000);
        assert_eq!(OverTime::of(&[], 5).counts, [0; 0]);
    }

    #[test]
    fn percentiles_are_of_what_was_recorded() {
        let mut latencies = histogram();
        assert!(Latency::of(&latencies).is_none());
        for latency in 1..=1000 {
            latencies.record(latency).unwrap();
        }
        let latency = Latency::of(&latencies).unwrap();
        assert_eq!((latency.p50, latency.p90, latency.p99, latency.max), (500, 900, 990, 1000));
        assert!(latency.distribution.windows(2).all(|pair| pair[0].0 <= pair[1].0 && pair[0].1 <= pair[1].1));
    }
}
