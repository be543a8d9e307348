//! When a background task goes on: after its interval, or sooner after a failure.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// The first pause after a failure; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause after a failure, so that a server that is back is seen soon.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Pauses between rounds, with jitter so that replicas do not ask in step.
#[derive(Debug)]
pub struct Pace {
    interval: Duration,
    failures: u32,
}

impl Pace {
    /// Rounds that are `interval` apart while all goes well.
    pub fn new(interval: Duration) -> Pace {
        Pace {
            interval,
            failures: 0,
        }
    }

    /// The interval, with its jitter.
    pub fn interval(&self) -> Duration {
        jittered(self.interval)
    }

    /// All is well: the next failure waits as the first one did.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// How long to wait after a round: between 90 % and 100 % of its nominal pause.
    pub fn pause(&mut self, failed: bool) -> Duration {
        self.failures = if failed {
            self.failures.saturating_add(1)
        } else {
            0
        };
        let nominal = match self.failures {
            0 => self.interval,
            n => FIRST_PAUSE
                .saturating_mul(1 << (n - 1).min(16))
                .min(LONGEST_PAUSE)
                .min(self.interval),
        };
        jittered(nominal)
    }
}

/// A random time between the two, in whole milliseconds.
pub fn between(least: Duration, most: Duration) -> Duration {
    let range = u64::try_from(most.saturating_sub(least).as_millis()).unwrap_or(u64::MAX);
    let random = RandomState::new().hash_one(());
    least + Duration::from_millis(random % range.saturating_add(1))
}

/// Between 90 % and 100 % of `nominal`, so that many who wait do not go on in step.
pub fn jittered(nominal: Duration) -> Duration {
    // A fresh RandomState is the standard library's source of randomness; nothing here needs a
    // better one.
    let random = RandomState::new().hash_one(());
    let thousandths = u32::try_from(random % 100).unwrap_or_default();
    nominal.saturating_sub(nominal / 1000 * thousandths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(pause: Duration, nominal: Duration) -> bool {
        pause <= nominal && pause >= nominal.mul_f64(0.9)
    }

    #[test]
    fn a_success_waits_for_the_interval() {
        let mut pace = Pace::new(Duration::from_secs(600));
        assert!(about(pace.pause(false), Duration::from_secs(600)));
    }

    #[test]
    fn failures_come_sooner_and_back_off_to_a_limit() {
        let mut pace = Pace::new(Duration::from_secs(600));
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            assert!(about(pace.pause(true), Duration::from_secs(seconds)));
        }
        assert!(about(pace.pause(false), Duration::from_secs(600)));
        assert!(about(pace.pause(true), Duration::from_secs(1)));
    }

    #[test]
    fn a_success_between_failures_begins_again() {
        let mut pace = Pace::new(Duration::from_secs(600));
        pace.pause(true);
        pace.pause(true);
        pace.succeeded();
        assert!(about(pace.pause(true), Duration::from_secs(1)));
    }

    #[test]
    fn a_random_time_is_between_the_two() {
        let (least, most) = (Duration::from_secs(300), Duration::from_secs(600));
        let times: Vec<Duration> = (0..50).map(|_| between(least, most)).collect();
        assert!(times.iter().all(|time| (least..=most).contains(time)));
        assert!(times.iter().any(|time| time != &times[0]));
        assert_eq!(between(most, most), most);
    }

    #[test]
    fn a_failure_never_waits_longer_than_the_interval() {
        let mut pace = Pace::new(Duration::from_secs(3));
        for _ in 0..100 {
            assert!(pace.pause(true) <= Duration::from_secs(3));
        }
    }
}
