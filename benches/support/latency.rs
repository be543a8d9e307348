//! How long answers took, as three figures.

use std::time::Duration;

use super::table::nanoseconds;

/// Of one round, in nanoseconds.
#[derive(Clone, Copy, Default)]
pub struct Latency {
    /// Half took at most so long.
    pub p50: u64,
    /// Of a hundred, all but one.
    pub p99: u64,
    /// All.
    pub max: u64,
}

impl Latency {
    /// Of at least one time.
    pub fn of(mut times: Vec<Duration>) -> Latency {
        times.sort_unstable();
        let at =
            |percent: usize| nanoseconds(times[(times.len() * percent / 100).min(times.len() - 1)]);
        Latency {
            p50: at(50),
            p99: at(99),
            max: at(100),
        }
    }
}
