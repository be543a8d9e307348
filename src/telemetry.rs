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
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

mod answers;
mod cache;
mod certificates;
mod config;
mod exposition;
mod labels;
mod latency;
mod logging;
mod objects;
mod process;
mod queries;
mod reached;
mod relists;
mod request;
mod reviews;
mod rules;
mod trouble;
mod upstream;
mod words;

pub use answers::{Answers, Sort};
pub use cache::{Cache, Evicted};
pub use certificates::Certificates;
pub use config::ConfigMetrics;
pub use exposition::Format;
pub use labels::{
    ApiServiceLabel, BackendLabel, ListLabels, ObjectsLabel, RuleLabel, ServerLabels,
    UpstreamLabels,
};
pub use logging::{panic_text, start_logging, with_causes};
pub use reached::{Limit, Reached};
pub use relists::Relists;
pub use request::{AUDIT_ID, RequestId, X_REQUEST_ID};
pub use reviews::{Review, Reviews};
pub use trouble::Trouble;
pub use words::Words;

/// What the names of our own metrics begin with.
const PREFIX: &str = "tidegauge";

/// Seconds since the epoch.
pub type Time = Gauge<f64, AtomicU64>;

/// The server's own metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Answers, by what was asked for.
    pub answers: Answers,
    /// Requests for metrics that are served at this moment.
    pub in_flight: Gauge,
    /// Whether readiness is green.
    pub ready: Gauge,
    /// How often each limit was reached.
    pub reached: Reached,
    /// What the cluster is asked about callers.
    pub reviews: Reviews,
    /// What is remembered of Prometheus' answers.
    pub cache: Cache,
    /// Requests to Prometheus.
    pub upstream_requests: Family<UpstreamLabels, Counter>,
    /// How long they took, waiting for a place and all replicas included.
    pub upstream_took: Family<UpstreamLabels, Histogram>,
    /// The same of each exchange with one server, as the Go adapter measures it.
    pub server_took: Family<ServerLabels, Histogram>,
    /// Requests that are open.
    pub upstream_open: Family<BackendLabel, Gauge>,
    /// Requests that wait until others have ended.
    pub upstream_waiting: Family<BackendLabel, Gauge>,
    /// Warnings in answers of Prometheus.
    pub upstream_warnings: Family<BackendLabel, Counter>,
    /// Answers that Prometheus called partial.
    pub upstream_partial: Family<BackendLabel, Counter>,
    /// Queries of asks, by how their rows came.
    pub query_results: Words,
    /// Asks for objects, by how many objects the query was about that answered them.
    pub widened: Words,
    /// Queries for many objects that were given up for a while.
    pub narrowed: Words,
    /// Relists.
    pub relists: Relists,
    /// Failed listings of a rule.
    pub rule_failures: Family<RuleLabel, Counter>,
    /// Whether a rule's last listing succeeded.
    pub rule_up: Family<RuleLabel, Gauge>,
    /// Metrics that a rule makes.
    pub rule_metrics: Family<RuleLabel, Gauge>,
    /// Answers without a value, by the rule that was asked.
    pub rule_empty: Family<RuleLabel, Counter>,
    /// Metrics that can be asked for.
    pub metrics_listed: Gauge,
    /// Metrics that discovery documents leave out.
    pub discovery_omitted: Gauge,
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
    /// Whether a watch says what changes.
    pub objects_watched: Family<ObjectsLabel, Gauge>,
    /// When a watch began, or last said something.
    pub objects_heard: Family<ObjectsLabel, Time>,
    /// Times that our authority was put back into a `caBundle` that had held it.
    pub authority_restored: Family<ApiServiceLabel, Counter>,
    /// When certificates end.
    pub certificates: Certificates,
    /// The rules files.
    pub config: ConfigMetrics,
}

impl Metrics {
    /// All of them, at zero.
    pub fn new() -> Arc<Metrics> {
        let mut metrics = Metrics::counting_nothing();
        let mut registry = Registry::default();
        process::register(&mut registry);
        metrics.register_go(&mut registry);
        let own = registry.sub_registry_with_prefix(PREFIX);
        process::register_build(own);
        metrics.register_answers(own);
        metrics.reviews.register(own);
        metrics.cache.register(own);
        metrics.register_upstream(own);
        metrics.register_queries(own);
        metrics.relists.register(own);
        metrics.register_rules(own);
        metrics.register_objects(own);
        metrics.certificates.register(own);
        metrics.config.register(own);
        metrics.registry = registry;
        Arc::new(metrics)
    }

    fn counting_nothing() -> Metrics {
        let reached = Reached::default();
        Metrics {
            registry: Registry::default(),
            answers: Answers::default(),
            in_flight: Gauge::default(),
            ready: Gauge::default(),
            reviews: Reviews::new(&reached),
            cache: Cache::new(&reached),
            reached,
            upstream_requests: Family::default(),
            upstream_took: Family::new_with_constructor(upstream::seconds),
            server_took: Family::new_with_constructor(upstream::go_seconds),
            upstream_open: Family::default(),
            upstream_waiting: Family::default(),
            upstream_warnings: Family::default(),
            upstream_partial: Family::default(),
            query_results: Words::new("freshness", queries::FRESHNESS),
            widened: Words::new("scope", queries::SCOPES),
            narrowed: Words::new("cause", queries::CAUSES),
            relists: Relists::default(),
            rule_failures: Family::default(),
            rule_up: Family::default(),
            rule_metrics: Family::default(),
            rule_empty: Family::default(),
            metrics_listed: Gauge::default(),
            discovery_omitted: Gauge::default(),
            samples_not_a_number: Family::default(),
            samples_ambiguous: Family::default(),
            object_lists: Family::default(),
            object_watches: Family::default(),
            objects_held: Family::default(),
            objects_watched: Family::default(),
            objects_heard: Family::default(),
            authority_restored: Family::default(),
            certificates: Certificates::default(),
            config: ConfigMetrics::default(),
        }
    }

    /// All of them, as somebody who scrapes them wants them written.
    pub fn exposition(&self, format: Format) -> String {
        let mut text = String::new();
        // Writing to a String does not fail, and no metric here refuses to be encoded.
        if let Err(error) = prometheus_client::encoding::text::encode(&mut text, &self.registry) {
            tracing::error!(%error, "the server's own metrics cannot be encoded");
        }
        match format {
            Format::Text => exposition::to_text(&text),
            Format::OpenMetrics => text,
        }
    }

    /// In Prometheus' text format.
    pub fn text(&self) -> String {
        self.exposition(Format::Text)
    }
}
