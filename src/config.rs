//! The command line, and what it means once checked.
//!
//! Two stages. `flags` says which flags exist and how each is written: Go's pflag forms, because
//! the flags are those of prometheus-adapter 0.12 and its charts and manifests must work unchanged.
//! `check` looks across flags and yields a `Config`. Nothing else reads the environment.
//!
//! Promises: each flag has a default and a unit; a message names the flag it is about; flags that
//! are accepted and do nothing are listed in `Config::ignored`, so that the log can say so.

/// How a person asks for a metric.
pub mod ask;
/// What `tidegauge autoscale` was told.
pub mod autoscale;
mod check;
mod command;
/// What `tidegauge demo` is told.
pub mod demo;
/// What `tidegauge explain` was told.
pub mod explain;
mod flags;
/// What `tidegauge check` and `tidegauge test` were told.
pub mod rules;
#[cfg(test)]
mod tests;
mod tls;
mod values;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};

pub use rules::UpstreamFlags;
pub use values::LogFormat;

use crate::api::route::ApiGroup;
use crate::kubernetes::WatchLimits;
use crate::prometheus::Verb;
use crate::rules::Widen;
use crate::serve::tls::Version;

/// Everything the process was told.
#[derive(Debug)]
pub struct Config {
    /// `--config`: files with rules, and directories of them.
    pub rules: Vec<PathBuf>,
    /// What of the API is served.
    pub api: ApiFlags,
    /// How to reach Prometheus.
    pub prometheus: PrometheusFlags,
    /// How long and how much of its answers to remember.
    pub samples: SamplesFlags,
    /// How to keep the list of metrics.
    pub relist: RelistFlags,
    /// How to reach the API server.
    pub kubernetes: KubernetesFlags,
    /// Whom to believe.
    pub authentication: AuthenticationFlags,
    /// Who may.
    pub authorization: AuthorizationFlags,
    /// Where and how to serve.
    pub serving: ServingFlags,
    /// `--standalone`: objects from a file, no cluster.
    pub standalone: Option<PathBuf>,
    /// `--metrics-address`: where our own metrics are in plain; `None`: nowhere.
    pub metrics_address: Option<SocketAddr>,
    /// `--status-address`: where the status page is; `None`: nowhere.
    pub status_address: Option<SocketAddr>,
    /// What to log.
    pub log: LogFlags,
    /// Flags that were given and do nothing here, as written: `--audit-log-path`.
    pub ignored: Vec<String>,
    /// Arguments that are no flags, as far as the log may name them: `false`. They do nothing.
    pub strays: Vec<String>,
}

/// What of the API is served.
#[derive(Debug)]
pub struct ApiFlags {
    /// The groups that are not switched off.
    pub groups: Vec<ApiGroup>,
    /// Metrics of one group in discovery documents, at most.
    pub discovery_max_metrics: usize,
}

/// How to reach Prometheus. Its URL and headers may hold secrets, so `Debug` shows nothing.
pub struct PrometheusFlags {
    /// Base URL; may carry a path prefix and user information.
    pub url: String,
    /// Use the pod's service account.
    pub auth_incluster: bool,
    /// A kubeconfig whose credentials are used.
    pub auth_config: Option<PathBuf>,
    /// PEM bundle of the only roots to trust.
    pub ca_file: Option<PathBuf>,
    /// Client certificate and key.
    pub client_tls: Option<(PathBuf, PathBuf)>,
    /// Bearer token.
    pub token_file: Option<PathBuf>,
    /// Headers to add to each request, in order.
    pub headers: Vec<(String, String)>,
    /// GET or POST.
    pub verb: Verb,
    /// Deadline of one query.
    pub timeout: Duration,
    /// Largest answer to one query, in bytes.
    pub max_response_bytes: u64,
    /// Most requests that are open at one time.
    pub concurrency: usize,
}

/// How long and how much of Prometheus' answers to remember.
#[derive(Debug)]
pub struct SamplesFlags {
    /// How old an answer may be and count as now; zero: each ask is a query of its own.
    pub query_ttl: Duration,
    /// For how much longer it is given while Prometheus fails; zero: not at all.
    pub stale_grace: Duration,
    /// Queries whose answers are remembered, at most.
    pub entries: u64,
    /// What they take, in bytes.
    pub bytes: u64,
    /// Rows of one answer.
    pub rows_max: usize,
    /// Bytes of one query's text.
    pub query_bytes_max: usize,
    /// For how many objects one query may be asked, where a rule does not say.
    pub widening: Widen,
}

/// How to keep the list of metrics.
#[derive(Debug)]
pub struct RelistFlags {
    /// From the end of one relist to the start of the next.
    pub interval: Duration,
    /// How far back a series counts as existing; never below `interval`.
    pub max_age: Duration,
    /// Deadline of a whole relist.
    pub timeout: Duration,
    /// Largest answer to one listing, in bytes. It is streamed, not held.
    pub max_response_bytes: u64,
}

/// How to reach the API server.
#[derive(Debug)]
pub struct KubernetesFlags {
    /// `--lister-kubeconfig`; `None`: the pod's service account.
    pub kubeconfig: Option<PathBuf>,
    /// Where the pod's service account is mounted.
    pub service_account: PathBuf,
    /// How long objects of a kind are watched after the last ask for one, and of how many kinds.
    pub watched: WatchLimits,
    /// `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT`; `None` outside of a cluster.
    pub service: Option<(String, u16)>,
}

/// Whom to believe.
#[derive(Debug)]
pub struct AuthenticationFlags {
    /// `--authentication-kubeconfig`; `None`: as the rest.
    pub kubeconfig: Option<PathBuf>,
    /// Do not read the cluster's authentication ConfigMap.
    pub skip_lookup: bool,
    /// Be ready even if that ConfigMap cannot be read.
    pub tolerate_lookup_failure: bool,
    /// How long a token review's answer holds.
    pub token_cache_ttl: Duration,
    /// Roots of client certificates; `None`: from the ConfigMap.
    pub client_ca_file: Option<PathBuf>,
    /// Roots of front proxies; `None`: from the ConfigMap, and so are the headers.
    pub requestheader_client_ca_file: Option<PathBuf>,
    /// Headers that name the user.
    pub username_headers: Vec<String>,
    /// Headers that name the user's UID; empty: none.
    pub uid_headers: Vec<String>,
    /// Headers that name the groups.
    pub group_headers: Vec<String>,
    /// Prefixes of headers with extra attributes.
    pub extra_headers_prefix: Vec<String>,
    /// Common names of front proxies; empty: any.
    pub allowed_names: Vec<String>,
    /// Flags about front proxies that were given without the bundle they go with, and so have no
    /// effect: `--requestheader-allowed-names`.
    pub useless_proxy_flags: Vec<&'static str>,
}

/// Who may.
#[derive(Debug)]
pub struct AuthorizationFlags {
    /// `--authorization-kubeconfig`; `None`: as the rest.
    pub kubeconfig: Option<PathBuf>,
    /// Paths that need no permission; a trailing `*` stands for anything.
    pub always_allow_paths: Vec<String>,
    /// How long a yes holds.
    pub allowed_ttl: Duration,
    /// How long a no holds.
    pub denied_ttl: Duration,
    /// Ask for a whole API group first.
    pub broad_checks: bool,
}

/// Where and how to serve.
#[derive(Debug)]
pub struct ServingFlags {
    /// Address to listen on; an unspecified one of either family: all, of both.
    pub bind_address: IpAddr,
    /// Port; 0 takes any free one.
    pub secure_port: u16,
    /// `SO_REUSEPORT`.
    pub permit_port_sharing: bool,
    /// Where the self-signed pair is kept.
    pub cert_dir: PathBuf,
    /// Certificate and key files; `None`: self-signed.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Further certificates, for clients that ask for a name.
    pub sni: Vec<SniFlag>,
    /// The service in front of us; good for names in the self-signed certificate.
    pub service: String,
    /// Its namespace; `None`: that of the pod's service account.
    pub service_namespace: Option<String>,
    /// Keep the self-signed certificate's authority in our APIServices?
    pub manage_apiservice: bool,
    /// Oldest TLS version.
    pub min_version: Version,
    /// Cipher suites by Go's names; empty: all.
    pub cipher_suites: Vec<String>,
    /// Key exchanges by their number in TLS; empty: all.
    pub curves: Vec<u16>,
    /// Is HTTP/2 offered?
    pub http2: bool,
    /// Streams of one HTTP/2 connection.
    pub http2_max_streams: u32,
    /// Deadline of a request.
    pub request_timeout: Duration,
    /// Requests for metrics at a time; the next is answered 429.
    pub max_requests_inflight: usize,
    /// Connections at a time; the next waits.
    pub max_connections: usize,
    /// How long to serve on, not ready, once told to stop.
    pub shutdown_delay: Duration,
    /// How long a shutdown then waits for requests.
    pub drain_timeout: Duration,
}

/// A certificate for clients that ask for a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SniFlag {
    /// PEM file.
    pub certificate: PathBuf,
    /// PEM file.
    pub key: PathBuf,
    /// DNS names in lower case, perhaps with `*` for the first label; empty: those in the
    /// certificate.
    pub names: Vec<String>,
}

impl SniFlag {
    /// Whether one of the names is an IP address, which no client asks for (RFC 6066, 3).
    fn has_address(&self) -> bool {
        self.names.iter().any(|it| it.parse::<IpAddr>().is_ok())
    }
}

/// What to log.
#[derive(Debug)]
pub struct LogFlags {
    /// klog's verbosity.
    pub verbosity: u8,
    /// Shape of a line.
    pub format: LogFormat,
}

/// Why no [`Config`] came of the command line.
#[derive(Debug, PartialEq, Eq)]
pub enum Stop {
    /// `--help` or `--version`: print the text on standard output and exit 0.
    Asked(String),
    /// A wrong command line: print the text on standard error and exit 2.
    Wrong(String),
}

impl Config {
    /// Reads the process's own arguments and environment.
    pub fn from_process() -> Result<Config, Stop> {
        Config::parse(&process_arguments()?, environment)
    }

    /// Reads arguments (the program's name first) and environment variables.
    pub fn parse<S: AsRef<str>>(
        args: &[S],
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Config, Stop> {
        let mut args: Vec<&str> = args.iter().map(AsRef::as_ref).collect();
        match args.get_mut(1) {
            Some(first) if *first == "help" => *first = "--help",
            Some(first) if *first == "version" => *first = "--version",
            _ => {}
        }
        if let Some(stop) = command::mistyped(&args) {
            return Err(stop);
        }
        let read = flags::parse(&args).map_err(|error| Stop::of(&error, "tidegauge --help"));
        let config = read
            .and_then(|(args, ignored)| check::check(args, ignored, env).map_err(Stop::complain));
        config.map_err(|stop| command::told_of_unknown(&args, stop))
    }
}

fn process_arguments() -> Result<Vec<String>, Stop> {
    let args = std::env::args_os().map(|arg| arg.into_string());
    args.collect::<Result<_, _>>()
        .map_err(|arg| Stop::Wrong(format!("argument {arg:?} is not UTF-8\n")))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

impl Stop {
    /// All complaints, one line each.
    fn complain(complaints: Vec<String>) -> Stop {
        Stop::Wrong(complaints.iter().map(|it| format!("{it}\n")).collect())
    }

    /// The exit code: 0 if it was asked for, else 2.
    pub fn code(&self) -> u8 {
        match self {
            Stop::Asked(_) => 0,
            Stop::Wrong(_) => 2,
        }
    }

    /// In pflag's words, where it has some; `help` is the command that shows all flags.
    fn of(error: &clap::Error, help: &str) -> Stop {
        let context = |kind| match error.get(kind) {
            Some(ContextValue::String(text)) => text.clone(),
            Some(ContextValue::Strings(texts)) => texts.join(" or "),
            _ => String::new(),
        };
        // "--flag <VALUE>"
        let flag = context(ContextKind::InvalidArg);
        let flag = flag.split([' ', '[', '=']).next().unwrap_or_default();
        let value = context(ContextKind::InvalidValue);
        let text = match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                return Stop::Asked(error.render().to_string());
            }
            ErrorKind::UnknownArgument => {
                let near = context(ContextKind::SuggestedArg);
                let near = match near.as_str() {
                    "" if flag == "-c" => "--config".to_owned(),
                    _ => near,
                };
                let hint = match near.as_str() {
                    "" => String::new(),
                    near => format!("\nDid you mean {near}?"),
                };
                let what = match flag.as_bytes() {
                    [b'-', b'-', ..] => "unknown flag",
                    [b'-', ..] => "unknown shorthand flag",
                    _ => "unexpected argument",
                };
                format!("{what}: {flag}{hint}")
            }
            ErrorKind::InvalidValue if value.is_empty() => {
                format!("flag needs an argument: {flag}")
            }
            ErrorKind::ValueValidation => {
                let cause = std::error::Error::source(error);
                let cause = cause.map(ToString::to_string).unwrap_or_default();
                format!("invalid argument {value:?} for {flag:?} flag: {cause}")
            }
            _ => error.render().to_string(),
        };
        Stop::Wrong(format!("{text}\nRun '{help}' for all flags.\n"))
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stop::Asked(text) | Stop::Wrong(text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for PrometheusFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrometheusFlags").finish_non_exhaustive()
    }
}
