//! What is asked of Prometheus.

use prometheus_client::registry::Registry;

use super::{BackendLabel, Metrics, UpstreamLabels};

impl Metrics {
    pub(super) fn register_upstream(&self, own: &mut Registry) {
        own.register(
            "upstream_requests",
            "Requests to Prometheus",
            self.upstream_requests.clone(),
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

    /// Counts the warnings of an answer, and whether it was partial.
    pub fn count_notes(&self, backend: &str, warnings: u64, partial: bool) {
        let backend = backend.to_owned();
        let label = BackendLabel { backend };
        let count = self.upstream_warnings.get_or_create(&label);
        count.inc_by(warnings);
        let count = self.upstream_partial.get_or_create(&label);
        count.inc_by(u64::from(partial));
    }
}
