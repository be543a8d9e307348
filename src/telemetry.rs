//! Logs and the server's own metrics.
//!
//! [`Metrics`] is one typed value that is built once and passed to whoever counts; there is no
//! global registry. Each theme has a file: what it counts is registered there, and counted there
//! where that takes more than a word.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

mod labels;
mod logging;
mod objects;
mod queries;
mod rules;
mod upstream;

pub use labels::{
    ApiServiceLabel, BackendLabel, CauseLabel, FreshnessLabel, ListLabels, ObjectsLabel, RuleLabel,
    ScopeLabel, UpstreamLabels,
};
pub use logging::{start_logging, with_causes};

/// What the names of our own metrics begin with.
const PREFIX: &str = "tidegauge";

/// The server's own metrics.
#[derive(Debug, Default)]
pub struct Metrics {
    registry: Registry,
    /// Requests to Prometheus.
    pub upstream_requests: Family<UpstreamLabels, Counter>,
    /// Requests that are open.
    pub upstream_open: Family<BackendLabel, Gauge>,
    /// Requests that wait until others have ended.
    pub upstream_waiting: Family<BackendLabel, Gauge>,
    /// Warnings in answers of Prometheus.
    pub upstream_warnings: Family<BackendLabel, Counter>,
    /// Answers that Prometheus called partial.
    pub upstream_partial: Family<BackendLabel, Counter>,
    /// Queries of asks, by how their rows came.
    pub query_results: Family<FreshnessLabel, Counter>,
    /// Asks for objects, by how many objects the query was about that answered them.
    pub widened: Family<ScopeLabel, Counter>,
    /// Queries for many objects that were given up for a while.
    pub narrowed: Family<CauseLabel, Counter>,
    /// Relists begun.
    pub relists: Counter,
    /// Failed listings of a rule.
    pub rule_failures: Family<RuleLabel, Counter>,
    /// Whether a rule's last listing succeeded.
    pub rule_up: Family<RuleLabel, Gauge>,
    /// Metrics that can be asked for.
    pub metrics_listed: Gauge,
    /// Metrics that discovery documents leave out.
    pub discovery_omitted: Gauge,
    /// When the rules of the backend that is furthest behind were last all listed, in seconds since
    /// the epoch.
    pub relist_timestamp: Gauge<f64, AtomicU64>,
    /// Rows that answers lack because the sample is NaN, infinite or a native histogram.
    pub samples_not_a_number: Family<RuleLabel, Counter>,
    /// Rows that named an object a second time.
    pub samples_ambiguous: Family<RuleLabel, Counter>,
    /// Lists of objects asked of the API server.
    pub object_lists: Family<ListLabels, Counter>,
    /// Watches begun.
    pub object_watches: Family<ObjectsLabel, Counter>,
    /// Objects known by a watch.
    pub objects_held: Family<ObjectsLabel, Gauge>,
    /// Times that our authority was put back into a `caBundle` that had held it.
    pub authority_restored: Family<ApiServiceLabel, Counter>,
}

impl Metrics {
    /// All of them, at zero.
    pub fn new() -> Arc<Metrics> {
        let mut metrics = Metrics::default();
        let mut registry = Registry::default();
        let own = registry.sub_registry_with_prefix(PREFIX);
        metrics.register_upstream(own);
        metrics.register_queries(own);
        metrics.register_rules(own);
        metrics.register_objects(own);
        metrics.registry = registry;
        Arc::new(metrics)
    }

    /// In the OpenMetrics text format, which Prometheus' older text format reads as well.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail, and no metric here refuses to be encoded.
        if let Err(error) = prometheus_client::encoding::text::encode(&mut text, &self.registry) {
            tracing::error!(%error, "the server's own metrics cannot be encoded");
        }
        text
    }
}
