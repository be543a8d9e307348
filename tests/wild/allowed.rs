//! Where ours may answer other than the Go adapter did, each reason by name and checked for itself.

use crate::Query;
use crate::support::prometheus::Prometheus;

/// Why an answer differs on purpose.
#[derive(PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
pub enum Allowed {
    /// The file names a kind that the cluster has not: that rule is off, with a warning.
    UnknownKind,
    /// Prometheus refused: its own error class and text instead of a bare 500.
    PrometheusRefuses,
    /// The sample is NaN or infinite: no value, instead of a wrong one.
    NotANumber,
}

impl Allowed {
    /// The reason in words.
    pub fn why(self) -> &'static str {
        match self {
            Allowed::UnknownKind => "file names a kind that the cluster lacks: that rule is off",
            Allowed::PrometheusRefuses => "Prometheus refused the query: 503 with its words",
            Allowed::NotANumber => "sample is not a number: 404 that says so",
        }
    }
}

/// The end of Go's error when its cluster has no such kind.
const NO_KIND: &str = "no matches for ";

/// Must a file that Go refused with this error load here?
pub fn loads_here(error: &str) -> bool {
    error.contains(NO_KIND)
}

/// Does the log warn of the resource that Go's error names (`no matches for GROUP/, Resource=NAME`)?
pub fn warns_of_kind(error: &str, log: &str) -> bool {
    error
        .rsplit_once("Resource=")
        .is_some_and(|(_, resource)| log.contains(resource.trim()))
}

/// What a request must answer here: a status, and what its message must contain.
pub struct Expected {
    /// HTTP status.
    pub status: u16,
    /// A part of the message of a failure; empty where any will do.
    pub message: String,
    /// Set where this is not what the Go adapter answered.
    pub reason: Option<Allowed>,
}

/// What ours must answer where the Go adapter answered what `query` says.
pub async fn expected(query: &Query, prometheus: &Prometheus) -> Expected {
    let ours = |status, message: &str, reason| Expected {
        status,
        message: message.to_owned(),
        reason: Some(reason),
    };
    if query.prometheus_status.is_some() {
        return ours(503, "", Allowed::PrometheusRefuses);
    }
    let by_name = query.path.starts_with("/apis/custom.metrics.k8s.io/");
    if query.status == 200 && by_name && is_not_a_number(query, prometheus).await {
        return ours(404, "not a number", Allowed::NotANumber);
    }
    // Go's failures of its own say nothing ("unable to fetch metrics"): only what is not found has a text.
    let message = match (query.status, &query.message) {
        (404, Some(message)) => message.clone(),
        _ => String::new(),
    };
    Expected {
        status: query.status,
        message,
        reason: None,
    }
}

/// Does Prometheus answer the PromQL of this request with rows that are all NaN or infinite?
async fn is_not_a_number(query: &Query, prometheus: &Prometheus) -> bool {
    let mut rows = Vec::new();
    for promql in &query.promql {
        rows.extend(prometheus.query(promql).await.unwrap_or_default());
    }
    !rows.is_empty() && rows.iter().all(|row| !is_finite(&row["value"][1]))
}

/// Is the text of a sample a finite number?
fn is_finite(sample: &serde_json::Value) -> bool {
    let number = sample.as_str().and_then(|text| text.parse::<f64>().ok());
    number.is_some_and(f64::is_finite)
}
