//! One query asked of its backend, and its rows gathered.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use jiff::Timestamp;
use tokio::time::Instant;

use super::rows::{Builder, Head, Rows};
use super::{Fetch, Query};
use crate::prometheus::backend::Question;
use crate::prometheus::{Backends, Error, Kind, Partial};

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
    let backend = backends
        .get(query.backend)
        .expect("the backends of the rules must all have been made");
    let began = Instant::now();
    let at = Timestamp::now();
    let at = at.checked_sub(query.offset).unwrap_or(at);
    let mut head = Head {
        kind: Kind::Vector,
        histograms: 0,
        partial: false,
        at,
        took: Duration::ZERO,
    };
    let mut rows = Builder::new(query.labels.clone(), query.rows_max);
    for promql in query.texts() {
        let question = Question {
            promql,
            at,
            budget: query.timeout.saturating_sub(head.took),
            partial: query.partial,
        };
        let answer = backend.query(question, rows, Builder::add).await;
        let answer = answer.map_err(|error| error.within(query.timeout));
        let answer = answer.inspect_err(|error| {
            tracing::debug!(backend = backend.name(), promql, %error, "query failed");
        })?;
        let samples = answer.samples;
        tracing::debug!(backend = backend.name(), promql, samples, "query");
        rows = answer.value;
        head.kind = answer.kind;
        head.histograms += answer.histograms;
        head.partial |= Partial::Refuse.check(&answer.notes).is_err();
        head.took = began.elapsed();
    }
    Ok(rows.finish(head))
}
