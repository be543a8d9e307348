//! Flags of the way to Prometheus, and of the list of metrics that is made of it.

use std::time::Duration;

use crate::config::values;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Prometheus")]
pub(in crate::config) struct Prometheus {
    /// Where Prometheus, or anything with its HTTP API, answers. The rules file can name more under
    /// `backends`, and a rule with `backend` is asked of one of those. A path is kept as a prefix
    /// (http://thanos:9090/tenant-a), user information becomes basic authentication.
    #[arg(long, value_name = "URL", default_value = "https://localhost")]
    pub(in crate::config) prometheus_url: String,
    /// Authenticate to Prometheus as the pod's service account, trusting the cluster's CA. Not
    /// used when --prometheus-ca-file is given.
    #[arg(long)]
    pub(in crate::config) prometheus_auth_incluster: bool,
    /// Take credentials and TLS settings for Prometheus from this kubeconfig (the server in it is
    /// not used). Not used when --prometheus-ca-file is given.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "",
        hide_default_value = true
    )]
    pub(in crate::config) prometheus_auth_config: String,
    /// Trust only the certificates in this PEM file when talking to Prometheus.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "",
        hide_default_value = true
    )]
    pub(in crate::config) prometheus_ca_file: String,
    /// Client certificate for Prometheus, together with --prometheus-client-tls-key-file. Read
    /// again when it changes.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "",
        hide_default_value = true
    )]
    pub(in crate::config) prometheus_client_tls_cert_file: String,
    /// Key of the client certificate for Prometheus.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "",
        hide_default_value = true
    )]
    pub(in crate::config) prometheus_client_tls_key_file: String,
    /// File with a bearer token for Prometheus.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "",
        hide_default_value = true
    )]
    pub(in crate::config) prometheus_token_file: String,
    /// A header to send with each request to Prometheus, such as X-Scope-OrgID=team-a. May be
    /// given several times.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(in crate::config) prometheus_header: Vec<String>,
    /// GET or POST. POST lets queries be longer than a URL may be.
    #[arg(long, value_name = "VERB", default_value = "GET")]
    pub(in crate::config) prometheus_verb: String,
    /// Deadline of one query. A query that takes longer is an error, never an empty answer.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = values::above_zero)]
    pub(in crate::config) prometheus_timeout: Duration,
    /// Largest answer to one query. A larger one is an error that says so.
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = values::bytes)]
    pub(in crate::config) prometheus_max_response_bytes: u64,
    /// Most requests that are open at one Prometheus at a time, whoever asks; more wait until one
    /// has ended, and are an error when their own time is over. Lists of names for a relist take
    /// about half of them at most. Each entry of the rules file's `backends` has as many of its
    /// own, unless it says otherwise.
    #[arg(long, value_name = "COUNT", default_value = "20", value_parser = values::concurrency)]
    pub(in crate::config) prometheus_concurrency: usize,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Relist")]
pub(in crate::config) struct Relist {
    /// How often the list of metrics is renewed from Prometheus. A metric whose name is asked for
    /// and not known is looked for earlier.
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = values::above_zero)]
    pub(in crate::config) metrics_relist_interval: Duration,
    /// How far back a series counts as existing. 0s means as long as --metrics-relist-interval,
    /// and it must not be less.
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = values::duration)]
    pub(in crate::config) metrics_max_age: Duration,
    /// Deadline of one relist. The last good list stays in use when it is missed.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = values::above_zero)]
    pub(in crate::config) relist_timeout: Duration,
    /// Largest answer to one request of a relist. It is read as a stream and not held in memory.
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = values::bytes)]
    pub(in crate::config) relist_max_response_bytes: u64,
}
