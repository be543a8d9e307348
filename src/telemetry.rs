//! Logs and the server's own metrics.
//!
//! [`Metrics`] is one typed value that is built once and passed to whoever counts; there is no
//! global registry.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tracing_subscriber::EnvFilter;

/// Starts logging to standard error: lines for people, or one JSON object a line. `verbosity` is
/// klog's: 0 is normal, 6 shows each upstream query.
///
/// # Errors
/// When logging was started before.
pub fn start_logging(json: bool, verbosity: u8) -> anyhow::Result<()> {
    let level = match verbosity {
        0..=5 => "tidegauge=info,warn",
        6..=9 => "tidegauge=debug,info",
        _ => "tidegauge=trace,debug",
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(level))
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let started = match json {
        true => builder.json().flatten_event(true).try_init(),
        false => builder.with_target(false).try_init(),
    };
    started.map_err(|e| anyhow::anyhow!("cannot start logging: {e}"))
}

/// An error with all its causes on one line: each level says only its own part.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// One rule of the file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RuleLabel {
    /// As `rules[2]`.
    pub rule: String,
}

/// One Prometheus-compatible server, or replicas of one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct BackendLabel {
    /// `default` for the one of the flags.
    pub backend: String,
}

/// The outcome of one request to Prometheus.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct UpstreamLabels {
    /// As in [`BackendLabel`].
    pub backend: String,
    /// `query`, `names`, `labels` or `series`.
    pub kind: &'static str,
    /// `ok` or the class of the error.
    pub outcome: &'static str,
}

/// Where the rows of an answer came from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct FreshnessLabel {
    /// `fetched`, `shared`, `fresh`, `stale` or `failed`.
    pub freshness: &'static str,
}

/// How many objects a query was about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ScopeLabel {
    /// `exact`, `namespace` or `cluster`.
    pub scope: &'static str,
}

/// Why something was given up.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CauseLabel {
    /// `too_large`, `too_slow`, `refused` or `wasteful`.
    pub cause: &'static str,
}

/// Objects of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ObjectsLabel {
    /// As `pods`, `deployments.apps` or `pods with status.phase=Running`.
    pub objects: String,
}

/// One of our APIServices.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ApiServiceLabel {
    /// As `v1beta1.custom.metrics.k8s.io`.
    pub apiservice: String,
}

/// Lists of objects, and what for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ListLabels {
    /// As in [`ObjectsLabel`].
    pub objects: String,
    /// `ask`: no watch could answer. `watch`: to begin one.
    pub reason: &'static str,
}

/// The server's own metrics.
#[derive(Debug)]
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
        let mut metrics = Metrics {
            registry: Registry::with_prefix("tidegauge"),
            upstream_requests: Family::default(),
            upstream_open: Family::default(),
            upstream_waiting: Family::default(),
            upstream_warnings: Family::default(),
            upstream_partial: Family::default(),
            query_results: Family::default(),
            widened: Family::default(),
            narrowed: Family::default(),
            relists: Counter::default(),
            rule_failures: Family::default(),
            rule_up: Family::default(),
            metrics_listed: Gauge::default(),
            discovery_omitted: Gauge::default(),
            relist_timestamp: Gauge::default(),
            samples_not_a_number: Family::default(),
            samples_ambiguous: Family::default(),
            object_lists: Family::default(),
            object_watches: Family::default(),
            objects_held: Family::default(),
            authority_restored: Family::default(),
        };
        metrics.register();
        metrics.register_widening();
        metrics.register_cluster();
        Arc::new(metrics)
    }

    fn register(&mut self) {
        let r = &mut self.registry;
        r.register(
            "upstream_requests",
            "Requests to Prometheus",
            self.upstream_requests.clone(),
        );
        r.register(
            "upstream_open",
            "Requests to Prometheus that are open",
            self.upstream_open.clone(),
        );
        r.register(
            "upstream_waiting",
            "Requests to Prometheus that wait until others have ended",
            self.upstream_waiting.clone(),
        );
        r.register(
            "upstream_warnings",
            "Warnings in answers of Prometheus",
            self.upstream_warnings.clone(),
        );
        r.register(
            "upstream_partial_responses",
            "Answers that Prometheus called partial",
            self.upstream_partial.clone(),
        );
        r.register(
            "query_results",
            "Queries of asks by how their rows came: fetched for the ask, by a fetch shared with \
             another, fresh from memory, stale for newer ones cannot be had, or failed",
            self.query_results.clone(),
        );
        r.register("relists", "Relists begun", self.relists.clone());
        r.register(
            "rule_list_failures",
            "Failed listings of a rule; it keeps its last names",
            self.rule_failures.clone(),
        );
        r.register(
            "rule_up",
            "Whether a rule's last listing succeeded",
            self.rule_up.clone(),
        );
        r.register(
            "metrics_listed",
            "Metrics that can be asked for",
            self.metrics_listed.clone(),
        );
        r.register(
            "discovery_metrics_omitted",
            "Metrics that discovery documents do not list, for there are more than their limit",
            self.discovery_omitted.clone(),
        );
        r.register(
            "relist_last_timestamp_seconds",
            "When all rules were last listed, of the backend where that is longest ago",
            self.relist_timestamp.clone(),
        );
        r.register(
            "samples_not_a_number",
            "Rows that answers lack because the sample is NaN, infinite or a native histogram",
            self.samples_not_a_number.clone(),
        );
        r.register(
            "samples_ambiguous",
            "Rows that named an object a second time; the last one counts",
            self.samples_ambiguous.clone(),
        );
    }

    fn register_widening(&mut self) {
        let r = &mut self.registry;
        r.register(
            "asks_by_scope",
            "Asks for objects by the scope of the query that answered them: these objects, all of \
             their namespace, or all of the cluster",
            self.widened.clone(),
        );
        r.register(
            "widening_given_up",
            "Queries for many objects that were given up for a while, each for many asks, by cause",
            self.narrowed.clone(),
        );
    }

    fn register_cluster(&mut self) {
        let r = &mut self.registry;
        r.register(
            "object_lists",
            "Lists of objects asked of the API server: for an ask that no watch could answer, or \
             to begin a watch",
            self.object_lists.clone(),
        );
        r.register(
            "object_watches",
            "Watches of objects begun, each for minutes",
            self.object_watches.clone(),
        );
        r.register(
            "objects_held",
            "Objects whose names and labels are known by a watch",
            self.objects_held.clone(),
        );
        r.register(
            "apiservice_authority_restored",
            "Times that our authority was put back into the caBundle of an APIService, because \
             somebody had taken it out",
            self.authority_restored.clone(),
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

    /// Counts a query of an ask by how its rows came.
    pub fn count_answer(&self, freshness: &'static str) {
        let label = FreshnessLabel { freshness };
        self.query_results.get_or_create(&label).inc();
    }

    /// Counts an ask by the scope of its query.
    pub fn count_scope(&self, scope: &'static str) {
        self.widened.get_or_create(&ScopeLabel { scope }).inc();
    }

    /// Counts a query for many objects that is given up.
    pub fn count_narrowed(&self, cause: &'static str) {
        self.narrowed.get_or_create(&CauseLabel { cause }).inc();
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
