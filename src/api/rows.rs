//! The rows of an ask: remembered, or asked of Prometheus.

use std::sync::Arc;
use std::time::Duration;

use super::status::Failure;
use super::{Api, Deadline};
use crate::plan::Dropped;
use crate::prometheus::{self, Backend, Kind, Partial};
use crate::registry::Snapshot;
use crate::registry::separable::Scope;
use crate::rules::{Origin, ResourceRule, Rule, Terms};
use crate::samples::{Labels, Policy, Query, Rows};
use crate::telemetry::RuleLabel;
use crate::widening::{self, Ask};

/// How queries are wanted.
#[derive(Clone, Debug)]
pub struct Asking {
    /// How long their rows hold, and for how much longer they may stand in for newer ones
    /// (`--query-ttl`, `--stale-grace`).
    pub policy: Policy,
    /// The rows that one may give (`--max-rows`).
    pub rows_max: usize,
    /// How long the text of one may be (`--max-query-bytes`).
    pub bytes_max: usize,
    /// How old a series may be and still be listed (`--metrics-max-age`).
    pub max_age: Duration,
}

/// Rows that are wanted, on a rule's terms.
pub(super) struct Wanted<'a> {
    promql: String,
    further: Vec<String>,
    /// Which labels of the rows matter.
    labels: Labels,
    backend: &'a Arc<Backend>,
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

    /// The same, and the rows of these texts.
    pub(super) fn with(self, further: Vec<String>) -> Wanted<'a> {
        Wanted { further, ..self }
    }

    pub(super) fn by(
        snapshot: &'a Snapshot,
        rule: &'a Rule,
        promql: String,
        labels: Labels,
    ) -> Wanted<'a> {
        Wanted {
            promql,
            further: Vec::new(),
            labels,
            backend: snapshot.backend(rule.backend),
            partial: rule.partial,
            terms: &rule.terms,
            rows_max: usize::MAX,
        }
    }

    pub(super) fn by_resource(
        snapshot: &'a Snapshot,
        rule: &'a ResourceRule,
        promql: String,
        labels: Labels,
    ) -> Wanted<'a> {
        Wanted {
            promql,
            further: Vec::new(),
            labels,
            backend: snapshot.backend(rule.backend),
            partial: rule.partial,
            terms: &rule.terms,
            rows_max: usize::MAX,
        }
    }
}

impl Api {
    /// How long rows hold on these terms.
    pub(super) fn policy(&self, terms: &Terms) -> Policy {
        let Policy { ttl, stale_grace } = self.asking.policy;
        Policy {
            ttl: terms.ttl.unwrap_or(ttl),
            stale_grace: terms.stale_grace.unwrap_or(stale_grace),
        }
    }

    /// The query for what is wanted.
    pub(super) fn query(&self, wanted: Wanted<'_>) -> Query {
        let terms = wanted.terms;
        let backend = wanted.backend;
        Query {
            backend: Arc::clone(backend),
            promql: wanted.promql,
            further: wanted.further,
            labels: wanted.labels,
            rows_max: wanted.rows_max.min(self.asking.rows_max),
            timeout: terms.timeout.unwrap_or(backend.timeout()),
            offset: terms.offset,
            partial: wanted.partial,
            policy: self.policy(terms),
        }
    }

    /// `--max-rows`, where it is what limits the rows of a query.
    pub(super) fn max_rows(&self, query: &Query) -> Option<usize> {
        Some(self.asking.rows_max).filter(|max| *max == query.rows_max)
    }

    /// The rows of what a rule wants.
    pub(super) async fn rows(
        &self,
        wanted: Query,
        rule: &Origin,
        deadline: Deadline,
    ) -> Result<Arc<Rows>, Failure> {
        match self.rooms.samples.rows(&wanted, deadline.0).await {
            Ok((rows, freshness)) => {
                self.rooms.metrics.count_answer(freshness.word());
                Ok(rows)
            }
            Err(error) => Err(self.failed(&error, rule, self.max_rows(&wanted))),
        }
    }

    /// The rows that answer `ask`, and what was planned for the query that gave them: the one that
    /// `plan` makes for as many objects as are asked for at once. Older rows are given where they
    /// `hold` what is asked for.
    pub(super) async fn rows_of_objects<T>(
        &self,
        (ask, rule): (&Ask<'_>, &Origin),
        plan: impl Fn(Scope) -> Result<(T, Query), Failure>,
        holds: impl Fn(Scope, &T, &Rows) -> bool,
        deadline: Deadline,
    ) -> Result<(T, Arc<Rows>), Failure> {
        let (widening, samples) = (&self.rooms.widening, &self.rooms.samples);
        match widening.rows(samples, ask, plan, holds, deadline.0).await {
            Ok(given) if given.rows.head().kind == Kind::Scalar => Err(Failure::scalar()),
            Ok(given) => {
                self.rooms.metrics.count_answer(given.freshness.word());
                Ok((given.planned, given.rows))
            }
            Err(widening::Error::Plan(failure)) => Err(failure),
            Err(widening::Error::Prometheus(error)) => {
                let max_rows = Some(self.asking.rows_max);
                Err(self.failed(&error, rule, max_rows))
            }
        }
    }

    fn failed(&self, error: &prometheus::Error, rule: &Origin, max_rows: Option<usize>) -> Failure {
        self.rooms.metrics.count_answer("failed");
        Failure::upstream(error, rule, max_rows)
    }

    /// Counts what an answer lacks: some rows, or all values that were asked for.
    pub(super) fn count_dropped(&self, rule: &Origin, dropped: Dropped, is_empty: bool) {
        if !is_empty && dropped == Dropped::default() {
            return;
        }
        let label = RuleLabel {
            rule: rule.rule.clone(),
        };
        let metrics = &self.rooms.metrics;
        if is_empty {
            metrics.rule_empty.get_or_create(&label).inc();
        }
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
