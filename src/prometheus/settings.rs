//! What `--prometheus-*` or an entry of `backends` says, checked once, before anything is dialled.
//!
//! The texts are those of prometheus-adapter where it has one (`cmd/adapter/adapter.go`,
//! `pkg/client/api.go`). Unlike it: a client certificate counts without a CA file, half of a
//! certificate pair is refused, a CA file replaces the roots of in-cluster or kubeconfig auth but
//! not its credentials, and headers are checked here instead of failing every request.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use reqwest::Url;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::kubernetes::kubeconfig::{self, Connection, Credentials, Roots, Source};
use crate::kubernetes::transport;

mod check;

pub use check::{check_header, check_url, has_user, is_own_param, is_server_name};

/// The values of the flags, or of a backend of the rules file.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Settings {
    /// The backend's name; `None` for the one of the flags.
    pub backend: Option<String>,
    /// `--prometheus-url`: scheme, host, a path prefix, a query sent with every request, and a user
    /// and password for basic authentication.
    pub url: String,
    /// `--prometheus-verb`.
    pub verb: Verb,
    /// `--prometheus-header`, split at the first `=`.
    pub headers: Vec<(String, String)>,
    /// Headers whose values stand in files, followed as certificates are.
    pub headers_from: Vec<(String, PathBuf)>,
    /// Parameters of every request, besides those in the URL.
    pub query_params: Vec<(String, String)>,
    /// A user, and the file with the password.
    pub basic: Option<(String, PathBuf)>,
    /// `--prometheus-token-file`.
    pub token_file: Option<PathBuf>,
    /// `--prometheus-ca-file`.
    pub ca_file: Option<PathBuf>,
    /// `--prometheus-client-tls-cert-file`.
    pub client_cert_file: Option<PathBuf>,
    /// `--prometheus-client-tls-key-file`.
    pub client_key_file: Option<PathBuf>,
    /// The name that the server's certificate must be for, when it is not the host's.
    pub server_name: Option<String>,
    /// `--prometheus-auth-incluster` or `--prometheus-auth-config`.
    pub auth: Auth,
    /// `--prometheus-timeout`: the longest a request may take, whatever its budget.
    pub timeout: Duration,
    /// The longest that connecting may take; `None`: as long as the request.
    pub connect_timeout: Option<Duration>,
    /// The largest answer, in bytes after decompression.
    pub response_bytes_max: u64,
    /// How often files are looked at for changes.
    pub recheck: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            backend: None,
            url: "https://localhost".to_owned(),
            verb: Verb::Get,
            headers: Vec::new(),
            headers_from: Vec::new(),
            query_params: Vec::new(),
            basic: None,
            token_file: None,
            ca_file: None,
            client_cert_file: None,
            client_key_file: None,
            server_name: None,
            auth: Auth::None,
            timeout: Duration::from_secs(10),
            connect_timeout: None,
            response_bytes_max: 64 << 20,
            recheck: transport::RECHECK,
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL and the headers may hold passwords.
        f.debug_struct("Settings")
            .field("verb", &self.verb)
            .field("auth", &self.auth)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// How a query is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// In the URL, unless it is too long for one.
    Get,
    /// In the body.
    Post,
}

impl FromStr for Verb {
    type Err = SetupError;

    fn from_str(text: &str) -> Result<Self, SetupError> {
        match text {
            "GET" => Ok(Self::Get),
            "POST" => Ok(Self::Post),
            _ => Err(SetupError::Verb(text.to_owned())),
        }
    }
}

/// Whose cluster credentials are used.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Auth {
    /// Nobody's.
    None,
    /// The pod's service account.
    InCluster {
        /// The value of `KUBERNETES_SERVICE_HOST`.
        host: Option<String>,
        /// The value of `KUBERNETES_SERVICE_PORT`.
        port: Option<String>,
        /// Where the account is mounted.
        account: PathBuf,
    },
    /// The current user of a kubeconfig; its server is not used.
    Kubeconfig(PathBuf),
}

/// Why no client can be made of the settings.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The URL. It is not shown: it may hold a password.
    #[error("invalid Prometheus URL: {0}")]
    Url(String),
    /// The verb.
    #[error("unsupported Prometheus HTTP verb {0:?}; supported verbs: \"GET\" and \"POST\"")]
    Verb(String),
    /// A header's name, or the value of the header so named.
    #[error("invalid --prometheus-header {0:?}: not a valid HTTP header name and value")]
    Header(String),
    /// One of the pair is missing.
    #[error(
        "--prometheus-client-tls-cert-file and --prometheus-client-tls-key-file must be given \
         together"
    )]
    HalfCertificate,
    /// `--prometheus-auth-config`.
    #[error(
        "unable to construct auth configuration from {:?} for connecting to Prometheus",
        .0.display()
    )]
    Kubeconfig(PathBuf, #[source] kubeconfig::Error),
    /// `--prometheus-auth-incluster`.
    #[error("unable to construct in-cluster auth configuration for connecting to Prometheus")]
    InCluster(#[source] kubeconfig::Error),
    /// A file cannot be read or used.
    #[error(transparent)]
    Transport(#[from] transport::Error),
}

/// Where requests go and what they carry, from the settings.
pub(super) struct Target {
    /// Without user, password and query; the path has no trailing slash.
    pub(super) base: Url,
    /// The URL's own query, sent with every request.
    pub(super) query: Option<String>,
    /// Added to every request.
    pub(super) headers: HeaderMap,
    /// Scheme, host and port, for error texts.
    pub(super) server: String,
}

/// Headers that Go's client writes itself whatever the flag says (net/http,
/// `reqWriteExcludeHeader`).
const IGNORED: [HeaderName; 4] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::TRAILER,
];

impl Settings {
    /// Checks everything, and reads a kubeconfig if one is named.
    pub(super) fn resolve(&self) -> Result<(Target, Connection), SetupError> {
        let mut url = parse_url(&self.url)?;
        if let Some(parameter) = check::own_param(&url) {
            tracing::warn!(
                parameter,
                "the query of the Prometheus URL sets what each request sets itself"
            );
        }
        let headers = self.header_map()?;
        let mut connection = self.cluster_connection()?;
        connection.server = url.origin().ascii_serialization();
        if let Some(path) = &self.ca_file {
            let source = self.source("prometheus-ca-file", "tls.caFile", path);
            connection.roots = Roots::Pem(source);
        }
        if self.server_name.is_some() {
            connection.server_name.clone_from(&self.server_name);
        }
        match (&self.client_cert_file, &self.client_key_file) {
            (None, None) => {}
            (Some(certificate), Some(key)) => {
                connection.certificate = Some((
                    self.source(
                        "prometheus-client-tls-cert-file",
                        "tls.certFile",
                        certificate,
                    ),
                    self.source("prometheus-client-tls-key-file", "tls.keyFile", key),
                ));
            }
            _ => return Err(SetupError::HalfCertificate),
        }
        for (name, path) in &self.headers_from {
            let key = name.parse().map_err(|_| SetupError::Header(name.clone()))?;
            let source = self.source("prometheus-header", &format!("headersFrom.{name}"), path);
            connection.headers.push((key, source));
        }
        let named = |(name, _): &(HeaderName, Source)| *name == header::AUTHORIZATION;
        let is_authorized =
            headers.contains_key(header::AUTHORIZATION) || connection.headers.iter().any(named);
        let credentials = self.credentials(is_authorized, &url);
        connection.credentials = credentials.unwrap_or(connection.credentials);
        if !self.query_params.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query_params);
        }
        let query = url
            .query()
            .filter(|query| !query.is_empty())
            .map(str::to_owned);
        strip(&mut url);
        let server = connection.server.clone();
        Ok((
            Target {
                base: url,
                query,
                headers,
                server,
            },
            connection,
        ))
    }

    /// As whom we come, where that is not the cluster's to say. Go's order: a header, then the
    /// URL's user, then the token file.
    fn credentials(&self, is_authorized: bool, url: &Url) -> Option<Credentials> {
        if is_authorized {
            return Some(Credentials::None);
        }
        if let Some(basic) = basic(url) {
            return Some(basic);
        }
        if let Some((username, path)) = &self.basic {
            return Some(Credentials::Basic {
                username: username.clone(),
                password: self.source("password", "auth.basic.passwordFile", path),
            });
        }
        let path = self.token_file.as_ref()?;
        let source = self.source("prometheus-token-file", "auth.tokenFile", path);
        Some(Credentials::Token(source))
    }

    /// A file, by the flag or the field that names it.
    fn source(&self, flag: &str, field: &str, path: &Path) -> Source {
        let name = match &self.backend {
            None => flag.to_owned(),
            Some(backend) => format!("{field} of backend {backend}"),
        };
        Source::file(name, path.to_owned())
    }

    fn header_map(&self) -> Result<HeaderMap, SetupError> {
        let mut map = HeaderMap::new();
        for (name, value) in &self.headers {
            let bad = || SetupError::Header(name.clone());
            let key: HeaderName = name.parse().map_err(|_| bad())?;
            // Go trims a header's value when it writes it.
            let mut value = HeaderValue::from_str(value.trim()).map_err(|_| bad())?;
            if IGNORED.contains(&key) {
                tracing::warn!(header = %key, "this --prometheus-header has no effect");
                continue;
            }
            value.set_sensitive(true);
            map.append(key, value);
        }
        map.entry(header::ACCEPT)
            .or_insert(HeaderValue::from_static("application/json"));
        Ok(map)
    }

    fn cluster_connection(&self) -> Result<Connection, SetupError> {
        match &self.auth {
            Auth::None => Ok(Connection {
                server: String::new(),
                roots: Roots::System,
                server_name: None,
                certificate: None,
                credentials: Credentials::None,
                headers: Vec::new(),
            }),
            Auth::InCluster {
                host,
                port,
                account,
            } => Connection::in_cluster(host.as_deref(), port.as_deref(), account)
                .map_err(SetupError::InCluster),
            Auth::Kubeconfig(path) => Connection::from_kubeconfig(path)
                .map_err(|error| SetupError::Kubeconfig(path.clone(), error)),
        }
    }
}

fn parse_url(text: &str) -> Result<Url, SetupError> {
    let url = Url::parse(text).map_err(|error| SetupError::Url(error.to_string()))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        _ => Err(SetupError::Url(
            "it must begin with http:// or https://".to_owned(),
        )),
    }
}

fn basic(url: &Url) -> Option<Credentials> {
    let decoded = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let password = decoded(url.password().unwrap_or_default());
    let given = !url.username().is_empty() || url.password().is_some();
    given.then(|| Credentials::Basic {
        username: decoded(url.username()),
        password: Source::data("password in the URL", password.into_bytes()),
    })
}

/// Takes everything but scheme, host, port and a clean path off a URL (Go's path.Join).
fn strip(url: &mut Url) {
    let path: String = url
        .path()
        .split('/')
        .filter(|part| !part.is_empty())
        .flat_map(|part| ["/", part])
        .collect();
    url.set_path(&path);
    url.set_query(None);
    url.set_fragment(None);
    // They only fail for URLs without a host, which http and https always have.
    let _ = url.set_username("");
    let _ = url.set_password(None);
}
