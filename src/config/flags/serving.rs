//! Flags of the HTTPS server.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use crate::config::{SniFlag, values};

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Serving")]
pub(in crate::config) struct Serving {
    /// Address to listen on; 0.0.0.0 and :: both mean all of this machine's, IPv4 and IPv6
    /// [default: 0.0.0.0, and 127.0.0.1 with --standalone].
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
    /// Serve clients that ask for these names (SNI) with this certificate instead. Without names,
    /// for those in the certificate; *.example.com stands for one label. May be given several
    /// times. Read again when it changes. IP addresses are accepted as names and have no effect: a
    /// client that connects to an address asks for no name.
    #[arg(long, value_name = "CERT,KEY[:NAMES]", value_parser = crate::config::tls::sni)]
    pub(in crate::config) tls_sni_cert_key: Vec<SniFlag>,
    /// Where a self-signed certificate is kept (apiserver.crt, apiserver.key) when no certificate
    /// is given. If it cannot be written there, it lives in memory. It is renewed 30 days before
    /// its end. A pair that somebody else put there is used as it is.
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
    /// Key exchanges to offer, by Go's numbers, separated by commas: 23 (P-256), 24 (P-384), 29
    /// (X25519), 4588 (X25519MLKEM768), 4587 (SecP256r1MLKEM768). 25 (P-521) and 4589 are accepted
    /// and never served. The order means nothing. Without it, all.
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',')]
    pub(in crate::config) tls_curve_preferences: Vec<u16>,
    /// The Kubernetes service in front of us. The self-signed certificate is good for its names:
    /// SVC, SVC.NS, SVC.NS.svc and SVC.NS.svc.cluster.local.
    #[arg(long, value_name = "NAME", default_value = "tidegauge")]
    pub(in crate::config) service_name: String,
    /// The namespace of that service [default: POD_NAMESPACE, or that of the pod's service account]
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    pub(in crate::config) service_namespace: String,
    /// Keep the authority of our self-signed certificate in the caBundle of our APIServices, so
    /// that they need neither insecureSkipTLSVerify nor cert-manager. Only those of our groups
    /// that point to --service-name are touched; none is created or deleted. Needs the right to get
    /// and patch them. With the first replica that has it, replicas without it are not trusted any
    /// more. Of an APIService whose caBundle something else injects (an annotation of cert-manager
    /// or OpenShift says so) nothing is touched. insecureSkipTLSVerify is taken out: to go back to
    /// an adapter whose certificate nobody vouches for, such as prometheus-adapter, take caBundle
    /// out and put insecureSkipTLSVerify: true back.
    #[arg(long)]
    pub(in crate::config) manage_apiservice: bool,
    /// Offer HTTP/1.1 only.
    #[arg(long, visible_alias = "disable-http2-serving")]
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
    /// Requests for metrics at a time, of callers that may ask for them. The next one is answered
    /// 429, unless its user is in the group system:masters. Discovery, OpenAPI, health and our own
    /// metrics are answered from memory: they are neither counted nor refused.
    #[arg(long, value_name = "COUNT", default_value = "400")]
    pub(in crate::config) max_requests_inflight: NonZeroUsize,
    /// Connections at a time. The next one waits until another closes.
    #[arg(long, value_name = "COUNT", default_value = "4096")]
    pub(in crate::config) max_connections: NonZeroUsize,
    /// How long to serve on after the signal to stop, not ready any more, while the cluster takes
    /// this replica out of its service [default: 5s, and 0s with --standalone]. A second signal
    /// ends the process at once.
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    pub(in crate::config) shutdown_delay_duration: Option<Duration>,
    /// How long a shutdown then waits for requests under way before it cuts them. Delay and drain
    /// together must be shorter than the pod's terminationGracePeriodSeconds.
    #[arg(long, value_name = "DURATION", default_value = "20s", value_parser = values::duration)]
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
