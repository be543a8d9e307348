//! One query asked of its backend, and its rows gathered.

use std::sync::Arc;

use futures_util::FutureExt;
use jiff::Timestamp;
use tokio::time::Instant;

use super::rows::{Builder, Head, Rows};
use super::{Fetch, Query};
use crate::prometheus::backend::Question;
use crate::prometheus::{Backends, Error, Partial};

/// Asks `backends`, each query the one that it names.
pub fn from_backends(backends: Arc<Backends>) -> Fetch {
    Box::new(move |query| {
        let backends = Arc::clone(&backends);
        async move {
            let rows = fetch(&backends, &query).await;
            rows.map(Arc::new).map_err(Arc::new)
        }
        .boxed()
    })
}

async fn fetch(backends: &Backends, query: &Query) -> Result<Rows, Error> {
    let promql = query.promql.as_str();
    let backend = backends
        .get(query.backend)
        .expect("the backends of the rules must all have been made");
    let began = Instant::now();
    let at = Timestamp::now();
    let at = at.checked_sub(query.offset).unwrap_or(at);
    let question = Question {
        promql,
        at,
        budget: query.timeout,
        partial: query.partial,
    };
    let rows = Builder::new(query.labels.clone(), query.rows_max);
    match backend.query(question, rows, Builder::add).await {
        Ok(answer) => {
            let samples = answer.samples;
            tracing::debug!(backend = backend.name(), promql, samples, "query");
            Ok(answer.value.finish(Head {
                kind: answer.kind,
                histograms: answer.histograms,
                partial: Partial::Refuse.check(&answer.notes).is_err(),
                at,
                took: began.elapsed(),
            }))
        }
        Err(error) => {
            tracing::debug!(backend = backend.name(), promql, %error, "query failed");
            Err(error)
        }
    }
}
