//! One query asked of its backend, and its rows gathered.

use std::sync::Arc;

use futures_util::FutureExt;
use jiff::Timestamp;
use tokio::time::Instant;

use super::rows::{Builder, Head, Rows};
use super::{Fetch, Query};
use crate::prometheus::backend::Question;
use crate::prometheus::{Error, Partial};
use crate::telemetry::RequestId;

/// Asks each query of its backend.
pub fn fetch() -> Fetch {
    fetches(Timestamp::now)
}

/// The same, as if it were always this moment.
pub fn fetch_at(at: Timestamp) -> Fetch {
    fetches(move || at)
}

fn fetches(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Fetch {
    Box::new(move |query| {
        let now = now();
        async move {
            let rows = rows(&query, now).await;
            rows.map(Arc::new).map_err(Arc::new)
        }
        .boxed()
    })
}

async fn rows(query: &Query, now: Timestamp) -> Result<Rows, Error> {
    let backend = &query.backend;
    let began = Instant::now();
    let at = now.checked_sub(query.offset).unwrap_or(now);
    let question = Question {
        promql: &query.promql,
        further: &query.further,
        at,
        budget: query.timeout,
        partial: query.partial,
    };
    let init = Builder::new(query.labels.clone(), query.rows_max);
    let answer = backend.query(question, init, Builder::add).await;
    let (promql, further) = (&query.promql, query.further.len());
    let id = RequestId::current();
    let audit_id = id.as_ref().map(tracing::field::display);
    let answer = answer.map_err(|error| error.within(query.timeout));
    let answer = answer.inspect_err(|error| {
        let backend = backend.name();
        tracing::debug!(backend, promql, further, audit_id, %error, "query failed");
    })?;
    let samples = answer.samples;
    let took = began.elapsed();
    tracing::debug!(
        backend = backend.name(),
        promql,
        further,
        samples,
        ?took,
        audit_id,
        "query"
    );
    Ok(answer.value.finish(Head {
        kind: answer.kind,
        histograms: answer.histograms,
        partial: Partial::Refuse.check(&answer.notes).is_err(),
        at,
        took,
    }))
}
