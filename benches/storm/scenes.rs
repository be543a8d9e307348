//! What happens, one after the other.

/// The first round after a start.
pub mod cold;
/// Prometheus is killed and comes back.
pub mod outage;
/// Round after round.
pub mod steady;

use std::time::Duration;

use super::ask::Ask;
use super::cost::Cost;
use super::judge::{Judge, Tally};
use super::latency::Latency;
use super::round::Round;
use super::table::nanoseconds;

/// How many work at a time: as many as an HPA controller has by default, and as many as fill a
/// machine.
pub const WORKERS: [usize; 2] = [5, 64];
/// How the control stands in the tables.
pub const CONTROL: &str = "control";
/// What a round may take; a slow server is measured by what it answers in this time.
pub const ROUND: Duration = Duration::from_secs(30);

/// One round and what it cost.
pub struct Sample {
    /// From the first request to the last answer, in nanoseconds.
    pub wall: u64,
    /// How many answers there were.
    pub answers: usize,
    /// How many a second.
    pub rate: f64,
    /// How long they took.
    pub latency: Latency,
    /// Whether they are right.
    pub tally: Tally,
    /// What was used meanwhile.
    pub cost: Cost,
}

/// All rounds of one server with so many workers.
pub struct Row {
    /// Whose they are.
    pub server: String,
    /// How many asked at a time.
    pub workers: usize,
    /// In order.
    pub samples: Vec<Sample>,
}

impl Sample {
    /// Of a round; `cost` until its end or longer.
    pub fn of(round: &Round, asks: &[Ask], judge: &mut Judge, cost: Cost) -> Sample {
        Sample {
            wall: nanoseconds(round.wall),
            answers: round.answers.len(),
            rate: round.rate(),
            latency: round.latency(),
            tally: judge.tally(asks, &round.answers),
            cost,
        }
    }

    /// Of a round of the control, which needs no judge: it gives what was judged before.
    pub fn of_control(round: &Round, cost: Cost) -> Sample {
        Sample {
            wall: nanoseconds(round.wall),
            answers: round.answers.len(),
            rate: round.rate(),
            latency: round.latency(),
            tally: Tally::default(),
            cost,
        }
    }

    /// Time on a CPU of one answer, in nanoseconds.
    pub fn cpu(&self) -> u64 {
        nanoseconds(self.cost.cpu) / self.answers.max(1) as u64
    }
}
