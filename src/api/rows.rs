//! The rows of an ask: remembered, or asked of Prometheus.

use std::sync::Arc;
use std::time::Duration;

use super::status::Failure;
use super::{Api, Deadline};
use crate::plan::Dropped;
use crate::rules::Origin;
use crate::samples::{Labels, Policy, Query, Rows};
use crate::telemetry::RuleLabel;

/// How queries are asked.
#[derive(Clone, Copy, Debug)]
pub struct Asking {
    /// How long their rows hold, and for how much longer they may stand in for newer ones
    /// (`--query-ttl`, `--stale-grace`).
    pub policy: Policy,
    /// When one is given up (`--prometheus-timeout`).
    pub timeout: Duration,
    /// The rows that one may give (`--max-rows`).
    pub rows_max: usize,
}

impl Api {
    /// The rows of `promql`, of whose labels `labels` matter.
    pub(super) async fn rows(
        &self,
        promql: String,
        labels: Labels,
        deadline: Deadline,
    ) -> Result<Arc<Rows>, Failure> {
        let Asking {
            policy,
            timeout,
            rows_max,
        } = self.asking;
        let query = Query {
            backend: 0,
            promql,
            labels,
            rows_max,
            timeout,
            offset: Duration::ZERO,
            policy,
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
