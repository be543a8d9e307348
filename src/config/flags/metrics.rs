//! The flag of our own metrics.

use std::net::SocketAddr;

use crate::config::values;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Own metrics")]
pub(in crate::config) struct OwnMetrics {
    /// Serve /metrics, /livez, /readyz and /healthz there too, as plain HTTP and to anybody, for a
    /// Prometheus that has no permission at the secure port. Nothing that a client asked for is
    /// shown there, but names of rules, backends and kinds are: let only Prometheus reach it. As
    /// 0.0.0.0:8080 or :8080; port 0 takes any free one, and the log names it. Without this flag
    /// they are at the secure port alone, for those who may get the path /metrics.
    #[arg(long, value_name = "HOST:PORT", value_parser = values::address)]
    pub(in crate::config) metrics_address: Option<SocketAddr>,
}
