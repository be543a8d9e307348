//! The flag of the status page.

use std::net::SocketAddr;

use crate::config::values;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Status page")]
pub(in crate::config) struct Status {
    /// Serve a page there that says whether all is well: rules and their errors, metrics with their
    /// values and who asks for them, backends, recent errors, and why a metric has no value. It is
    /// plain HTTP and asks nobody who they are, so keep it on loopback, as 127.0.0.1:8080, and look
    /// at it with kubectl port-forward. Port 0 takes any free one; the log names it. Without this
    /// flag there is no page, and nothing is kept for it.
    #[arg(long, value_name = "HOST:PORT", value_parser = values::address)]
    pub(in crate::config) status_address: Option<SocketAddr>,
}
