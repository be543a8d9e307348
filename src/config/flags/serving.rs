//! Flags of the HTTPS server.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use crate::config::values;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Serving")]
pub(in crate::config) struct Serving {
    /// Address to listen on [default: 0.0.0.0, and 127.0.0.1 with --standalone].
    #[arg(long, value_name = "IP")]
    pub(in crate::config) bind_address: Option<IpAddr>,
    /// Port to listen on. 0 takes any free one; the log names it.
    #[arg(long, value_name = "PORT", default_value_t = 443)]
    pub(in crate::config) secure_port: i64,
    /// Serve with this certificate (PEM, the chain after it) and --tls-private-key-file. Both are
    /// read again when they change.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "",
        hide_default_value = true
    )]
    pub(in crate::config) tls_cert_file: String,
    /// Key of the certificate in --tls-cert-file (PEM).
    #[arg(
        long,
        value_name = "FILE",
        default_value = "",
        hide_default_value = true
    )]
    pub(in crate::config) tls_private_key_file: String,
    /// Where a self-signed certificate is kept (apiserver.crt, apiserver.key) when no certificate
    /// is given. If it cannot be written there, it lives in memory.
    #[arg(
        long,
        value_name = "DIR",
        default_value = "apiserver.local.config/certificates"
    )]
    pub(in crate::config) cert_dir: String,
    /// Oldest TLS version to speak: VersionTLS12 or VersionTLS13. VersionTLS10 and VersionTLS11 are
    /// accepted and mean VersionTLS12.
    #[arg(
        long,
        value_name = "VERSION",
        default_value = "",
        hide_default_value = true
    )]
    pub(in crate::config) tls_min_version: String,
    /// Cipher suites of TLS 1.2 to offer, separated by commas, such as
    /// TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256. All of Go's names are accepted; CBC, RC4, 3DES and
    /// static RSA ones are never served. Without it, all that are safe.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(in crate::config) tls_cipher_suites: Vec<String>,
    /// Offer HTTP/1.1 only.
    #[arg(long)]
    pub(in crate::config) disable_http2: bool,
    /// Streams at a time on one HTTP/2 connection. 0 means 100. An API server sends all of its
    /// requests over one connection.
    #[arg(long, value_name = "COUNT", default_value_t = 250)]
    pub(in crate::config) http2_max_streams_per_connection: u32,
    /// Share the port with other processes (SO_REUSEPORT).
    #[arg(long)]
    pub(in crate::config) permit_port_sharing: bool,
    /// Deadline of one request, which ?timeout= may shorten. Keep it below the 60s after which the
    /// API server gives up.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = values::above_zero)]
    pub(in crate::config) request_timeout: Duration,
    /// Requests at a time. The next one is answered 429.
    #[arg(long, value_name = "COUNT", default_value = "400")]
    pub(in crate::config) max_requests_inflight: NonZeroUsize,
    /// Connections at a time. The next one waits until another closes.
    #[arg(long, value_name = "COUNT", default_value = "4096")]
    pub(in crate::config) max_connections: NonZeroUsize,
    /// How long a shutdown waits for requests under way before it cuts them.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = values::duration)]
    pub(in crate::config) shutdown_drain_timeout: Duration,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Standalone")]
pub(in crate::config) struct Standalone {
    /// Work without a cluster: take the objects from this YAML file instead of the API server, and
    /// authenticate nobody. Serves on 127.0.0.1 only. For trying out rules.
    #[arg(
        long,
        value_name = "OBJECTS.yaml",
        default_value = "",
        hide_default_value = true
    )]
    pub(in crate::config) standalone: String,
}
