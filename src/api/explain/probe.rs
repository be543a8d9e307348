//! Questions that only an explanation asks: about series, beside the query of the rule.

use std::sync::Arc;
use std::time::Duration;

use super::Walk;
use super::advice::shown;
use crate::api::rows::Wanted;
use crate::prometheus::Sample;
use crate::promql::label_text;
use crate::rules::Rule;
use crate::samples::{Labels, Query, Rows};

/// Rows of one such question. Which series there are is told by far fewer.
const ROWS_MAX: usize = 5_000;

/// How far back series are looked for that have come to an end.
pub(super) const LONG_AGO: Duration = Duration::from_secs(24 * 60 * 60);

/// Asks the backend of one rule.
pub(super) struct Probe<'a> {
    pub(super) walk: &'a Walk<'a>,
    pub(super) rule: &'a Rule,
}

impl Probe<'_> {
    /// The rows of a query; `None` where there is no answer, which then says nothing.
    pub(super) async fn rows(&self, promql: String) -> Option<Arc<Rows>> {
        let wanted =
            Wanted::by(self.walk.snapshot, self.rule, promql, Labels::All).at_most(ROWS_MAX);
        let query = Query {
            offset: Duration::ZERO,
            ..self.walk.api.query(wanted)
        };
        self.walk.api.rooms.samples.aside(query).await.ok()
    }

    /// The labels of some series that a selector finds, with samples no older than `age`, or now;
    /// `None` where there are no such series.
    pub(super) async fn labels(
        &self,
        selector: &str,
        age: Option<Duration>,
    ) -> Option<Vec<String>> {
        let of = match age {
            Some(age) => format!("last_over_time({selector}[{}])", shown(age)),
            None => selector.to_owned(),
        };
        let rows = self.rows(format!("topk(3, {of})")).await?;
        let all = rows.whole().iter().flat_map(|it| it.labels.iter());
        let names = all.map(|(name, _)| name.clone());
        let mut names: Vec<String> = names.filter(|it| it != "__name__").collect();
        names.sort();
        names.dedup();
        (!rows.is_empty()).then_some(names)
    }

    /// The values of these labels on the series that a selector finds now, each combination once;
    /// `None` where there is no answer.
    pub(super) async fn values(&self, selector: &str, labels: &[&str]) -> Option<Vec<Vec<String>>> {
        let by: Vec<String> = labels.iter().map(|label| label_text(label)).collect();
        let rows = self.rows(format!("count by ({}) ({selector})", by.join(",")));
        let rows = rows.await?;
        let of = |sample: &Sample| {
            let value = |label: &&str| {
                let found = sample.labels.iter().find(|(name, _)| name == label);
                found.map(|(_, value)| value.clone()).unwrap_or_default()
            };
            labels.iter().map(value).collect()
        };
        Some(rows.whole().iter().map(of).collect())
    }

    /// The one number of a query.
    pub(super) async fn number(&self, promql: String) -> Option<f64> {
        let rows = self.rows(promql).await?;
        rows.whole().first().map(|row| row.value)
    }
}
