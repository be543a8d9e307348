//! The rows of an ask: remembered, or asked of Prometheus.

use std::sync::Arc;
use std::time::Duration;

use super::status::Failure;
use super::{Api, Deadline};
use crate::plan::Dropped;
use crate::prometheus::Partial;
use crate::rules::{Origin, ResourceRule, Rule};
use crate::samples::{Labels, Policy, Query, Rows};
use crate::telemetry::RuleLabel;

/// How queries are asked.
#[derive(Clone, Debug)]
pub struct Asking {
    /// How long their rows hold, and for how much longer they may stand in for newer ones
    /// (`--query-ttl`, `--stale-grace`).
    pub policy: Policy,
    /// When one is given up, for each backend by its number (`--prometheus-timeout`).
    pub timeouts: Vec<Duration>,
    /// The rows that one may give (`--max-rows`).
    pub rows_max: usize,
}

/// Where the samples of a rule come from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    backend: usize,
    partial: Partial,
}

impl From<&Rule> for Source {
    fn from(rule: &Rule) -> Source {
        Source {
            backend: rule.backend,
            partial: rule.partial,
        }
    }
}

impl From<&ResourceRule> for Source {
    fn from(rule: &ResourceRule) -> Source {
        Source {
            backend: rule.backend,
            partial: rule.partial,
        }
    }
}

impl Api {
    /// The rows of `promql`, of whose labels `labels` matter.
    pub(super) async fn rows(
        &self,
        source: Source,
        promql: String,
        labels: Labels,
        deadline: Deadline,
    ) -> Result<Arc<Rows>, Failure> {
        let asking = &self.asking;
        let timeout = asking.timeouts.get(source.backend);
        let query = Query {
            backend: source.backend,
            promql,
            labels,
            rows_max: asking.rows_max,
            timeout: *timeout.expect("the backends of the rules must all have been made"),
            offset: Duration::ZERO,
            partial: source.partial,
            policy: asking.policy,
        };
        match self.rooms.samples.rows(query, deadline.0).await {
            Ok((rows, freshness)) => {
                self.rooms.metrics.count_answer(freshness.word());
                Ok(rows)
            }
            Err(error) => {
                self.rooms.metrics.count_answer("failed");
                Err(Failure::upstream(&error))
            }
        }
    }

    /// Counts what an answer lacks.
    pub(super) fn count_dropped(&self, rule: &Origin, dropped: Dropped) {
        let label = RuleLabel {
            rule: rule.rule.clone(),
        };
        let metrics = &self.rooms.metrics;
        if dropped.not_a_number > 0 {
            let count = metrics.samples_not_a_number.get_or_create(&label);
            count.inc_by(dropped.not_a_number);
        }
        if dropped.ambiguous > 0 {
            let count = metrics.samples_ambiguous.get_or_create(&label);
            if count.inc_by(dropped.ambiguous) == 0 {
                tracing::warn!(
                    rule = rule.rule,
                    line = rule.line,
                    "the query answers several rows for one object and only one of them counts: \
                     aggregate by (<<.GroupBy>>)"
                );
            }
        }
    }
}
