//! One query asked of Prometheus, and its rows gathered.

use std::sync::Arc;

use futures_util::FutureExt;
use jiff::Timestamp;
use tokio::time::Instant;

use super::rows::{Builder, Head, Rows};
use super::{Fetch, Query};
use crate::prometheus::{Client, Error, Partial};
use crate::telemetry::Metrics;

/// Asks `client`, and counts in `metrics`.
pub fn from_prometheus(client: Arc<Client>, metrics: Arc<Metrics>) -> Fetch {
    Box::new(move |query| {
        let (client, metrics) = (Arc::clone(&client), Arc::clone(&metrics));
        async move {
            let rows = fetch(&client, &metrics, &query).await;
            rows.map(Arc::new).map_err(Arc::new)
        }
        .boxed()
    })
}

async fn fetch(client: &Client, metrics: &Metrics, query: &Query) -> Result<Rows, Error> {
    let promql = query.promql.as_str();
    let began = Instant::now();
    let at = Timestamp::now();
    let at = at.checked_sub(query.offset).unwrap_or(at);
    let rows = Builder::new(query.labels.clone(), query.rows_max);
    let answer = client
        .query(promql, at, query.timeout, rows, Builder::add)
        .await;
    metrics.count_upstream("query", answer.as_ref().err().map(Error::class));
    let answer = answer.and_then(|answer| {
        let notes = &answer.notes;
        metrics.count_notes(notes.warnings.count, notes.partial);
        query.partial.check(notes)?;
        Ok(answer)
    });
    match answer {
        Ok(answer) => {
            tracing::debug!(promql, samples = answer.samples, "query");
            Ok(answer.value.finish(Head {
                kind: answer.kind,
                histograms: answer.histograms,
                partial: Partial::Refuse.check(&answer.notes).is_err(),
                at,
                took: began.elapsed(),
            }))
        }
        Err(error) => {
            tracing::debug!(promql, %error, "query failed");
            Err(error)
        }
    }
}
