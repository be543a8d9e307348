//! What the shoppers count.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

/// Rates and latencies are those of this last while.
const WHILE: Duration = Duration::from_secs(2);

/// How many reasons of failed requests are kept.
const REASONS: usize = 5;

/// How many of lost sessions are, before them.
const LOSSES: u64 = 5;

/// Shared by all shoppers.
#[derive(Clone, Default)]
pub(super) struct Tally(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    counts: Counts,
    /// When each of the last requests was answered, and after how long.
    recent: VecDeque<(Instant, Duration)>,
}

/// All since the start.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    /// Answered, well or not.
    pub(super) requests: u64,
    /// Answered by an error, or not at all.
    pub(super) failed: u64,
    /// Told to come back later (503 with `Retry-After`). Whoever is not served then has failed.
    pub(super) put_off: u64,
    pub(super) sessions: u64,
    /// Unknown to a replica, or with another cart than it should be.
    pub(super) lost: u64,
    /// Carts that were read and compared.
    pub(super) compared: u64,
    /// The first reasons for `failed` and `lost`.
    pub(super) reasons: Vec<String>,
}

/// The requests of the last two seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Recent {
    /// A second.
    pub(super) rate: f64,
    /// In milliseconds.
    pub(super) p50: f64,
    /// In milliseconds.
    pub(super) p99: f64,
}

impl Tally {
    /// A request was answered as it should be, after so long.
    pub(super) fn answered(&self, took: Duration) {
        let mut state = self.lock();
        state.counts.requests += 1;
        state.recent.push_back((Instant::now(), took));
    }

    pub(super) fn failed(&self, reason: String) {
        let counts = &mut self.lock().counts;
        counts.requests += 1;
        counts.failed += 1;
        if counts.reasons.len() < REASONS {
            counts.reasons.push(reason);
        }
    }

    /// A replica does not know a session: whether that is one more lost is for the shopper to say.
    pub(super) fn unknown(&self) {
        self.lock().counts.requests += 1;
    }

    pub(super) fn put_off(&self) {
        let counts = &mut self.lock().counts;
        counts.requests += 1;
        counts.put_off += 1;
    }

    pub(super) fn began(&self) {
        self.lock().counts.sessions += 1;
    }

    pub(super) fn compared(&self) {
        self.lock().counts.compared += 1;
    }

    pub(super) fn lost(&self, reason: String) {
        let counts = &mut self.lock().counts;
        counts.lost += 1;
        // A lost session is the worst that can be: requests that failed never take its place.
        if counts.lost <= LOSSES {
            counts.reasons.insert(0, reason);
        }
    }

    pub(super) fn counts(&self) -> Counts {
        self.lock().counts.clone()
    }

    /// Rate and latencies of the last two seconds.
    pub(super) fn recent(&self) -> Recent {
        let recent = &mut self.lock().recent;
        let old = |(at, _): &(Instant, Duration)| at.elapsed() > WHILE;
        while recent.front().is_some_and(old) {
            recent.pop_front();
        }
        let mut took: Vec<Duration> = recent.iter().map(|(_, took)| *took).collect();
        took.sort();
        // The smallest that so many of a hundred do not exceed.
        let percentile = |percent: usize| {
            let rank = (took.len() * percent).div_ceil(100);
            let found = rank.checked_sub(1).and_then(|at| took.get(at));
            found.map_or(0.0, |took| took.as_secs_f64() * 1000.0)
        };
        let count = u32::try_from(took.len()).map_or(f64::MAX, f64::from);
        Recent {
            rate: count / WHILE.as_secs_f64(),
            p50: percentile(50),
            p99: percentile(99),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // What is in there is whole after each step.
        self.0.lock().unwrap_or_else(|broken| broken.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn rates_and_latencies_are_those_of_the_last_two_seconds() {
        let tally = Tally::default();
        assert_eq!(tally.recent(), Recent::default());
        tally.answered(Duration::from_secs(60));
        tokio::time::advance(Duration::from_secs(3)).await;
        for milliseconds in 1..=200 {
            tally.answered(Duration::from_millis(milliseconds));
        }
        let expected = Recent {
            rate: 100.0,
            p50: 100.0,
            p99: 198.0,
        };
        assert_eq!(tally.recent(), expected);
        assert_eq!(tally.counts().requests, 201);
    }

    #[test]
    fn the_first_reasons_are_kept() {
        let tally = Tally::default();
        for number in 0..100 {
            tally.failed(format!("reason {number}"));
        }
        let counts = tally.counts();
        assert_eq!((counts.requests, counts.failed), (100, 100));
        assert_eq!(counts.reasons.len(), REASONS);
        assert_eq!(counts.reasons[0], "reason 0");
        tally.lost("the cart is empty".to_owned());
        assert_eq!(tally.counts().reasons[0], "the cart is empty");
    }
}
