//! A histogram of how long something took, that any number of threads observe without a lock.
//!
//! It is kept in finer steps than anybody is shown: each view takes those that it wants, so that
//! one observation serves our own histogram and that of Go's API servers, whose bounds differ.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{MetricEncoder, NoLabelSet};

/// The steps, in microseconds.
const STEPS: [u64; 30] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 200_000, 250_000, 400_000,
    500_000, 600_000, 800_000, 1_000_000, 1_250_000, 1_500_000, 2_000_000, 2_500_000, 3_000_000,
    4_000_000, 5_000_000, 6_000_000, 8_000_000, 10_000_000, 15_000_000, 20_000_000, 30_000_000,
];

/// Bounds of a histogram that is shown, in microseconds, each one of [`STEPS`]. More than 30 s no
/// answer takes: `--request-timeout` ends it.
pub(super) type View = &'static [u64];

/// Ours.
pub(super) const OWN: View = &[
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000,
];

/// Those of `apiserver_request_duration_seconds` (`endpoints/metrics/metrics.go`), up to 30 s.
pub(super) const GO: View = &[
    5_000, 25_000, 50_000, 100_000, 200_000, 400_000, 600_000, 800_000, 1_000_000, 1_250_000,
    1_500_000, 2_000_000, 3_000_000, 4_000_000, 5_000_000, 6_000_000, 8_000_000, 10_000_000,
    15_000_000, 20_000_000, 30_000_000,
];

/// How long something took, and how often.
#[derive(Debug, Default)]
pub(super) struct Latency {
    /// One for each step, and one for what took longer.
    counts: [AtomicU64; STEPS.len() + 1],
    nanoseconds: AtomicU64,
}

/// What was observed so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Observed {
    counts: [u64; STEPS.len() + 1],
    nanoseconds: u64,
}

impl Latency {
    /// It took so long.
    pub(super) fn observe(&self, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let step = STEPS.partition_point(|step| step * 1_000 < nanoseconds);
        if let Some(count) = self.counts.get(step) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// What was observed so far.
    pub(super) fn observed(&self) -> Observed {
        let mut observed = Observed::default();
        for (to, from) in observed.counts.iter_mut().zip(&self.counts) {
            *to = from.load(Ordering::Relaxed);
        }
        observed.nanoseconds = self.nanoseconds.load(Ordering::Relaxed);
        observed
    }
}

impl Observed {
    /// Both together.
    pub(super) fn add(&mut self, other: &Observed) {
        for (to, from) in self.counts.iter_mut().zip(&other.counts) {
            *to += from;
        }
        self.nanoseconds += other.nanoseconds;
    }

    /// How often.
    pub(super) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Writes it with the bounds of `view`, in seconds.
    pub(super) fn encode(
        &self,
        view: View,
        mut encoder: MetricEncoder<'_>,
    ) -> Result<(), std::fmt::Error> {
        let sum = Duration::from_nanos(self.nanoseconds).as_secs_f64();
        let buckets = self.buckets(view);
        encoder.encode_histogram::<NoLabelSet>(sum, self.count(), &buckets, None)
    }

    /// Bounds in seconds, and how many lie between each and the one before.
    fn buckets(&self, view: View) -> Vec<(f64, u64)> {
        let mut buckets = Vec::with_capacity(view.len() + 1);
        let mut counts = STEPS.iter().zip(&self.counts).peekable();
        for bound in view {
            let mut count = 0;
            while let Some((_, more)) = counts.next_if(|(step, _)| *step <= bound) {
                count += more;
            }
            buckets.push((Duration::from_micros(*bound).as_secs_f64(), count));
        }
        let below: u64 = buckets.iter().map(|(_, count)| count).sum();
        buckets.push((f64::INFINITY, self.count() - below));
        buckets
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_view_is_of_steps_that_are_kept() {
        assert!(STEPS.is_sorted());
        for view in [OWN, GO] {
            assert!(view.is_sorted());
            assert!(view.iter().all(|bound| STEPS.contains(bound)), "{view:?}");
        }
    }

    proptest! {
        #[test]
        fn a_bucket_holds_what_took_at_most_its_bound(
            took in prop::collection::vec(0_u64..60_000_000_000, 0..50),
        ) {
            let latency = Latency::default();
            for nanoseconds in &took {
                latency.observe(Duration::from_nanos(*nanoseconds));
            }
            let observed = latency.observed();
            prop_assert_eq!(observed.count(), u64::try_from(took.len()).unwrap());
            prop_assert_eq!(observed.nanoseconds, took.iter().sum::<u64>());
            for view in [OWN, GO] {
                let mut below = 0;
                for (bound, (_, count)) in view.iter().zip(observed.buckets(view)) {
                    below += count;
                    let wanted = took.iter().filter(|it| **it <= bound * 1_000).count();
                    prop_assert_eq!(below, u64::try_from(wanted).unwrap());
                }
            }
        }
    }
}
