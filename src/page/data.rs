//! What the page shows, as plain values: gathered in one place, rendered in another.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::health::Health;
use crate::journal::{Ask, Failing, Faults, Minute, Summary, Trouble};
use crate::kubernetes::Watched;

/// All of it.
#[derive(Debug)]
pub(super) struct Data {
    pub(super) now: Timestamp,
    /// When the process began.
    pub(super) began: Timestamp,
    pub(super) version: &'static str,
    pub(super) view: View,
    pub(super) health: Health,
    pub(super) failing: FailingAsks,
    pub(super) files: Vec<File>,
    pub(super) rules: Rules,
    pub(super) metrics: Metrics,
    pub(super) backends: Vec<Backend>,
    pub(super) memory: Memory,
    pub(super) watches: Vec<Watched>,
    /// The latest first.
    pub(super) errors: Vec<Trouble>,
}

/// What the reader wants to see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct View {
    /// Metrics with each of these words in their name or kind, or in who asks for what; empty: all.
    pub(super) filter: String,
    /// Which hundred of them, from 1.
    pub(super) page: usize,
    /// Which hundred of the rules, from 1.
    pub(super) rules_page: usize,
    /// How often the page is to come anew, in seconds.
    pub(super) refresh: Option<u32>,
}

/// The rules that are in force, by their file.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub(super) path: String,
    /// What tells its content from another one.
    pub(super) hash: Option<String>,
    /// When it was read.
    pub(super) loaded: Option<Timestamp>,
    /// Why its newest content is not in force.
    pub(super) error: Option<String>,
}

/// Some of the rules.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    /// All there are.
    pub(super) total: usize,
    /// Those of them that fail or are off; they stand first.
    pub(super) troubled: usize,
    /// Those whose series are there, and make no metric.
    pub(super) empty: usize,
    /// The first of those that fail or are off, each with how long it has been failing, where that
    /// is known.
    pub(super) worst: Vec<(String, Option<Duration>)>,
    /// From 1; 0 where there is none.
    pub(super) pages: usize,
    pub(super) shown: Vec<Rule>,
}

/// One rule.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    /// `rules[2]`
    pub(super) id: String,
    pub(super) line: usize,
    /// Its series, or its query where it has none.
    pub(super) selector: String,
    pub(super) backend: String,
    pub(super) state: RuleState,
    /// How many metrics it makes.
    pub(super) count: usize,
    /// The first of their names.
    pub(super) names: Vec<String>,
    /// What else is to be said about it.
    pub(super) remarks: Vec<String>,
}

/// How a rule is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RuleState {
    /// It makes metrics, or could.
    Well,
    /// Prometheus holds no series for it now.
    Quiet,
    /// Its series are there, and no metric comes of them.
    Empty,
    /// Prometheus has not answered yet.
    Waiting,
    /// It could not be listed the last time, and how long that has been so.
    Failing(String, Option<Duration>),
    /// The cluster lacks what it names.
    Off(String),
}

/// Some of the metrics.
#[derive(Clone, Debug, Default)]
pub(super) struct Metrics {
    /// All there are.
    pub(super) total: usize,
    /// Those that the filter lets through, by their names or by who asks for them.
    pub(super) found: usize,
    /// Whether more is asked for than is remembered, so that asks are missing.
    pub(super) crowded: bool,
    /// Those of them that somebody asks for.
    pub(super) asked: usize,
    /// From 1; 0 where there is none.
    pub(super) pages: usize,
    pub(super) shown: Vec<Metric>,
}

/// One metric of one kind of object.
#[derive(Clone, Debug)]
pub(super) struct Metric {
    pub(super) name: String,
    /// `pods`; `None` for an external metric.
    pub(super) kind: Option<String>,
    /// The path that `explain` is asked about.
    pub(super) path: String,
    /// Those that fail first, then by how often they are asked.
    pub(super) asks: Vec<Asks>,
}

/// Asks of one caller for one thing.
#[derive(Clone, Debug)]
pub(super) struct Asks {
    pub(super) ask: Arc<Ask<String>>,
    pub(super) last: Timestamp,
    pub(super) per_minute: f64,
    pub(super) served: Option<(Timestamp, Summary)>,
    pub(super) failing: Option<Failing>,
}

/// Asks that fail time after time.
#[derive(Clone, Debug, Default)]
pub(super) struct FailingAsks {
    /// All there are.
    pub(super) total: usize,
    /// Those that have failed longest, the longest first.
    pub(super) shown: Vec<(Arc<Ask<String>>, Failing)>,
}

/// One backend.
#[derive(Clone, Debug)]
pub(super) struct Backend {
    pub(super) name: String,
    /// The oldest first.
    pub(super) minutes: Vec<Minute>,
    pub(super) open: i64,
    pub(super) waiting: i64,
    pub(super) faults: Faults,
}

/// What is remembered of the backends' answers.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    pub(super) entries: u64,
    /// How rows came, and how often, since the start.
    pub(super) results: Vec<(&'static str, u64)>,
}

impl Backend {
    /// Of the last so many minutes.
    pub(super) fn sum(&self, minutes: usize) -> Minute {
        let last = self.minutes.iter().rev().take(minutes);
        last.fold(Minute::default(), |sum, minute| Minute {
            requests: sum.requests.saturating_add(minute.requests),
            failed: sum.failed.saturating_add(minute.failed),
            refused: sum.refused.saturating_add(minute.refused),
            took: sum.took.saturating_add(minute.took),
            longest: sum.longest.max(minute.longest),
        })
    }
}

/// What one of these requests took, on average.
pub(super) fn mean(minute: &Minute) -> Option<Duration> {
    (minute.requests > 0).then(|| minute.took / minute.requests)
}
