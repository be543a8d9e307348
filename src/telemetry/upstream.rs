//! What is asked of Prometheus, by our names and by that of the Go adapter.

use std::time::Duration;

use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::{BackendLabel, Metrics, UpstreamLabels};

/// For what takes from a millisecond to the longest that anybody waits.
pub(super) fn seconds() -> Histogram {
    Histogram::new([
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    ])
}

/// `DefBuckets` of Go's client library, which the Go adapter uses.
pub(super) fn go_seconds() -> Histogram {
    Histogram::new([
        0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
    ])
}

impl Metrics {
    pub(super) fn register_upstream(&self, own: &mut Registry) {
        own.register(
            "upstream_requests",
            "Requests to Prometheus",
            self.upstream_requests.clone(),
        );
        own.register(
            "upstream_request_duration_seconds",
            "How long requests to Prometheus took, waiting for a place and all replicas included",
            self.upstream_took.clone(),
        );
        own.register(
            "upstream_open",
            "Requests to Prometheus that are open",
            self.upstream_open.clone(),
        );
        own.register(
            "upstream_waiting",
            "Requests to Prometheus that wait until others have ended",
            self.upstream_waiting.clone(),
        );
        own.register(
            "upstream_warnings",
            "Warnings in answers of Prometheus",
            self.upstream_warnings.clone(),
        );
        own.register(
            "upstream_partial_responses",
            "Answers that Prometheus called partial",
            self.upstream_partial.clone(),
        );
    }

    /// The Go adapter's own metric, and what else has a name of Go's: the registry has no prefix.
    pub(super) fn register_go(&self, registry: &mut Registry) {
        self.answers.register_go(registry);
        registry.register(
            "prometheus_adapter_prometheus_client_request_duration_seconds",
            "Prometheus client query latency in seconds.  Broken down by target prometheus \
             endpoint and target server",
            self.server_took.clone(),
        );
        let in_flight =
            registry.sub_registry_with_label(("request_kind".into(), "readOnly".into()));
        in_flight.register(
            "apiserver_current_inflight_requests",
            "Requests for metrics that are served at this moment",
            self.in_flight.clone(),
        );
    }

    /// Counts a request to Prometheus by its outcome: the class of the error, if there is one.
    pub fn count_upstream(
        &self,
        backend: &str,
        kind: &'static str,
        error_class: Option<&'static str>,
    ) {
        let labels = UpstreamLabels {
            backend: backend.to_owned(),
            kind,
            outcome: error_class.unwrap_or("ok"),
        };
        self.upstream_requests.get_or_create(&labels).inc();
    }

    /// Counts a request that took so long.
    pub fn observe_upstream(
        &self,
        backend: &str,
        kind: &'static str,
        error_class: Option<&'static str>,
        took: Duration,
    ) {
        self.count_upstream(backend, kind, error_class);
        let labels = UpstreamLabels {
            backend: backend.to_owned(),
            kind,
            outcome: error_class.unwrap_or("ok"),
        };
        let histogram = self.upstream_took.get_or_create(&labels);
        histogram.observe(took.as_secs_f64());
    }

    /// Counts the warnings of an answer, and whether it was partial.
    pub fn count_notes(&self, backend: &str, warnings: u64, partial: bool) {
        let backend = backend.to_owned();
        let label = BackendLabel { backend };
        let count = self.upstream_warnings.get_or_create(&label);
        count.inc_by(warnings);
        let count = self.upstream_partial.get_or_create(&label);
        count.inc_by(u64::from(partial));
    }

    /// No rule can ask this backend any more: its state ends. Its counters stay, for they tell of
    /// what has been asked.
    pub fn forget_backend(&self, backend: &str) {
        let backend = backend.to_owned();
        let label = BackendLabel { backend };
        self.upstream_open.remove(&label);
        self.upstream_waiting.remove(&label);
    }
}
