//! The labels of our own metrics. Their values are bounded by the rules file, the flags, or this
//! program.

use prometheus_client::encoding::EncodeLabelSet;

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

/// One server, and what of its API was asked, by the names of the Go adapter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ServerLabels {
    /// As `/api/v1/query`.
    pub path: String,
    /// Scheme, host and port. The Go adapter has the whole URL there, passwords too.
    pub server: String,
}
