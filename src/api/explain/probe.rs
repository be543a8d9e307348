//! Questions that only an explanation asks: about series, beside the query of the rule.
//!
//! A question that fails says nothing about series: its error is told, and no cause is concluded.

use std::sync::Arc;
use std::time::Duration;

use super::Walk;
use super::advice::shown;
use super::chain::Chain;
use super::rows::mend;
use crate::api::rows::Wanted;
use crate::prometheus::{Error, Sample};
use crate::promql::label_text;
use crate::rules::Rule;
use crate::samples::{Labels, Query, Rows, Samples};

/// Rows of one such question. Which series there are is told by far fewer.
const ROWS_MAX: usize = 5_000;

/// How far back series are looked for that have come to an end.
pub(super) const LONG_AGO: Duration = Duration::from_secs(24 * 60 * 60);

/// What a question gives, or why there is no answer.
pub(super) type Told<T> = Result<T, Arc<Error>>;

/// Asks as one query is asked: the same backend, for the same moment.
pub(super) struct Probe<'a> {
    samples: &'a Samples,
    query: Query,
}

impl<'a> Probe<'a> {
    /// Asks beside a query.
    pub(super) fn beside(walk: &'a Walk<'_>, query: &Query) -> Probe<'a> {
        let query = Query {
            further: Vec::new(),
            labels: Labels::All,
            rows_max: ROWS_MAX.min(walk.api.asking.rows_max),
            ..query.clone()
        };
        let samples = &walk.api.rooms.samples;
        Probe { samples, query }
    }

    /// Asks about the series of a rule, as they are now.
    pub(super) fn now(walk: &'a Walk<'_>, rule: &Rule) -> Probe<'a> {
        let wanted = Wanted::by(walk.snapshot, rule, String::new(), Labels::All);
        let query = Query {
            offset: Duration::ZERO,
            ..walk.api.query(wanted)
        };
        Probe::beside(walk, &query)
    }

    /// The rows of a query.
    pub(super) async fn rows(&self, promql: String) -> Told<Arc<Rows>> {
        let query = Query {
            promql,
            ..self.query.clone()
        };
        self.samples.aside(query).await
    }

    /// The labels of some series that a selector of one name finds, with samples no older than
    /// `age`, or now; `None` where there are no such series.
    pub(super) async fn labels(
        &self,
        selector: &str,
        age: Option<Duration>,
    ) -> Told<Option<Vec<String>>> {
        // Counts: native histograms have no value by which they could be chosen.
        let counted = match age {
            Some(age) => format!("count_over_time({selector}[{}])", shown(age)),
            None => format!("count without () ({selector})"),
        };
        let rows = self.rows(format!("topk(3, {counted})")).await?;
        let all = rows.whole().iter().flat_map(|it| it.labels.iter());
        let names = all.map(|(name, _)| name.clone());
        let mut names: Vec<String> = names.filter(|it| it != "__name__").collect();
        names.sort();
        names.dedup();
        Ok((!rows.is_empty()).then_some(names))
    }

    /// The values of these labels on the series that a selector finds, each combination once.
    pub(super) async fn values(&self, selector: &str, labels: &[&str]) -> Told<Vec<Vec<String>>> {
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
        Ok(rows.whole().iter().map(of).collect())
    }

    /// The values of one label, in their order.
    pub(super) async fn values_of(&self, selector: &str, label: &str) -> Told<Vec<String>> {
        let rows = self.values(selector, &[label]).await?;
        let mut values: Vec<String> = rows.into_iter().flatten().collect();
        values.sort();
        values.dedup();
        Ok(values)
    }

    /// The one number of a query; `None` where it gives none.
    pub(super) async fn number(&self, promql: String) -> Told<Option<f64>> {
        let rows = self.rows(promql).await?;
        Ok(rows.whole().first().map(|row| row.value))
    }
}

/// Prometheus does not answer what would say why.
pub(super) fn unanswered(walk: &Walk<'_>, error: &Error, chain: &mut Chain) {
    let text = format!("why there is nothing cannot be found out: {error}");
    chain.note("Further questions", &text);
    chain.advise(mend(error, walk.snapshot.rules()));
}
