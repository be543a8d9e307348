//! What is wrong with rules over one cluster and one Prometheus, in words for who wrote them.

use std::fmt;

use super::Snapshot;
use crate::kinds::NoMatch;
use crate::rules::RuleId;

impl Snapshot {
    /// Rules that make the same metrics, each pair once.
    pub fn shadowed(&self) -> &[Shadowed] {
        &self.shadowed
    }

    /// Rules that cannot serve on this cluster.
    pub fn disabled(&self) -> &[Disabled] {
        &self.disabled
    }
}

/// Two rules that make the same metrics: the later one answers, as in the Go adapter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shadowed {
    /// The rule that loses, with its line.
    pub loser: (RuleId, usize),
    /// The rule that answers, with its line.
    pub winner: (RuleId, usize),
    /// One of the metrics, as discovery lists it.
    pub metric: String,
    /// How many there are.
    pub count: usize,
}

impl fmt::Display for Shadowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((loser, loser_line), (winner, winner_line)) = (&self.loser, &self.winner);
        let metric = &self.metric;
        write!(
            f,
            "{winner} (line {winner_line}) and {loser} (line {loser_line}) both make {metric:?}"
        )?;
        if self.count > 1 {
            write!(f, " and {} more", self.count - 1)?;
        }
        write!(
            f,
            ": {winner} answers, as the later one; give one of them another name.as"
        )
    }
}

/// A rule that was never listed, so that what it would make is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unlisted {
    /// The rule.
    pub rule: RuleId,
    /// Its line.
    pub line: usize,
    /// The one metric that it can make, where that can be told.
    pub makes: Option<String>,
    /// Whether Prometheus has answered, and called its selector wrong.
    pub answered: bool,
    /// Why, once that is known.
    pub cause: Option<String>,
}

/// A rule that cannot serve because the cluster lacks a kind that one of its overrides names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disabled {
    /// The rule, as `rules[2]`.
    pub rule: String,
    /// The line of the override.
    pub line: usize,
    /// What is missing.
    pub cause: NoMatch,
}

impl fmt::Display for Disabled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is off: line {}: {}",
            self.rule, self.line, self.cause
        )
    }
}
