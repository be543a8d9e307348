//! One line when something begins to fail and one when it is well again, however often it is tried
//! meanwhile. Time comes in as a value.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// What fails by turns counts as failing until it has not failed for so long.
const SETTLED: Duration = Duration::from_secs(30);

/// Causes that are told of one time of trouble. A server that fails in so many ways is told enough
/// about.
const CAUSES_MAX: usize = 8;

/// Whether something is failing, as the log knows it.
#[derive(Debug)]
pub struct Trouble {
    /// Failures in a row that make it trouble.
    least: u32,
    /// Something has failed since it was well. Read at each success, and most are after another.
    touched: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    in_a_row: u32,
    failed_at: Option<Instant>,
    /// Causes that were told of this time; empty: it is well.
    told: BTreeSet<String>,
}

impl Trouble {
    /// All is well; so many failures in a row make it trouble.
    pub fn after(least: u32) -> Trouble {
        Trouble {
            least,
            touched: AtomicBool::new(false),
            state: Mutex::default(),
        }
    }

    /// It failed. Whether that is news which the log should have.
    pub fn failed(&self, cause: &str, now: Instant) -> bool {
        let mut state = self.lock();
        self.touched.store(true, Ordering::Relaxed);
        state.in_a_row = state.in_a_row.saturating_add(1);
        state.failed_at = Some(now);
        let is_trouble = !state.told.is_empty() || state.in_a_row >= self.least;
        is_trouble && state.told.len() < CAUSES_MAX && state.told.insert(cause.to_owned())
    }

    /// It went well. Whether that is news, after trouble that the log knows of.
    pub fn went_well(&self, now: Instant) -> bool {
        if !self.touched.load(Ordering::Relaxed) {
            return false;
        }
        let mut state = self.lock();
        state.in_a_row = 0;
        let failed_at = state.failed_at.unwrap_or(now);
        if !state.told.is_empty() && now.saturating_duration_since(failed_at) < SETTLED {
            return false;
        }
        self.touched.store(false, Ordering::Relaxed);
        !std::mem::take(&mut state.told).is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that holds this lock can panic and leave half a change behind.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn each_cause_is_told_once_and_the_end_once() {
        let (trouble, now) = (Trouble::after(1), Instant::now());
        assert!(!trouble.went_well(now));
        assert!(trouble.failed("refused", now));
        for second in 0..100 {
            assert!(!trouble.failed("refused", now + second * SECOND));
        }
        assert!(trouble.failed("timeout", now + 100 * SECOND));
        assert!(!trouble.went_well(now + 101 * SECOND));
        assert!(trouble.went_well(now + 131 * SECOND));
        assert!(!trouble.went_well(now + 132 * SECOND));
        assert!(trouble.failed("refused", now + 133 * SECOND));
    }

    #[test]
    fn what_fails_now_and_then_is_no_trouble_and_what_flaps_is_one() {
        let (trouble, now) = (Trouble::after(3), Instant::now());
        for second in 0..100 {
            assert!(!trouble.failed("timeout", now + second * SECOND));
            assert!(!trouble.failed("timeout", now + second * SECOND));
            assert!(!trouble.went_well(now + second * SECOND));
        }
        let lines: Vec<bool> = (100..200)
            .flat_map(|second| {
                let now = now + second * SECOND;
                let failed = (0..3)
                    .map(|_| trouble.failed("timeout", now))
                    .collect::<Vec<_>>();
                [failed, vec![trouble.went_well(now)]].concat()
            })
            .collect();
        assert_eq!(lines.iter().filter(|told| **told).count(), 1);
    }

    #[test]
    fn causes_without_end_are_not_all_told() {
        let (trouble, now) = (Trouble::after(1), Instant::now());
        let told = (0..1000).filter(|number| trouble.failed(&number.to_string(), now));
        assert_eq!(told.count(), CAUSES_MAX);
    }
}
