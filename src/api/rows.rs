//! The rows of an ask: remembered, or asked of Prometheus.

use std::sync::Arc;
use std::time::Duration;

use super::status::Failure;
use super::{Api, Deadline};
use crate::plan::Dropped;
use crate::prometheus::Partial;
use crate::rules::{Origin, ResourceRule, Rule, Terms};
use crate::samples::{Labels, Policy, Query, Rows};
use crate::telemetry::RuleLabel;

/// How queries are wanted.
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

/// Rows that are wanted, on a rule's terms.
pub(super) struct Wanted<'a> {
    promql: String,
    /// Which labels of the rows matter.
    labels: Labels,
    backend: usize,
    partial: Partial,
    terms: &'a Terms,
    /// The rows that it may give; never more than `--max-rows`.
    rows_max: usize,
}

impl<'a> Wanted<'a> {
    /// The same with another limit of rows.
    pub(super) fn at_most(self, rows_max: usize) -> Wanted<'a> {
        Wanted { rows_max, ..self }
    }

    pub(super) fn by(rule: &'a Rule, promql: String, labels: Labels) -> Wanted<'a> {
        Wanted {
            promql,
            labels,
            backend: rule.backend,
            partial: rule.partial,
            terms: &rule.terms,
            rows_max: usize::MAX,
        }
    }

    pub(super) fn by_resource(
        rule: &'a ResourceRule,
        promql: String,
        labels: Labels,
    ) -> Wanted<'a> {
        Wanted {
            promql,
            labels,
            backend: rule.backend,
            partial: rule.partial,
            terms: &rule.terms,
            rows_max: usize::MAX,
        }
    }
}

impl Api {
    /// The rows of what is wanted.
    pub(super) async fn rows(
        &self,
        wanted: Wanted<'_>,
        deadline: Deadline,
    ) -> Result<Arc<Rows>, Failure> {
        let Policy { ttl, stale_grace } = self.asking.policy;
        let terms = wanted.terms;
        let timeout = self.asking.timeouts.get(wanted.backend);
        let timeout = timeout.expect("the backends of the rules must all have been made");
        let query = Query {
            backend: wanted.backend,
            promql: wanted.promql,
            labels: wanted.labels,
            rows_max: wanted.rows_max.min(self.asking.rows_max),
            timeout: terms.timeout.unwrap_or(*timeout),
            offset: terms.offset,
            partial: wanted.partial,
            policy: Policy {
                ttl: terms.ttl.unwrap_or(ttl),
                stale_grace: terms.stale_grace.unwrap_or(stale_grace),
            },
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
