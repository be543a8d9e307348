//! What `--prometheus-*` says, checked once, before anything is dialled.
//!
//! The texts are those of prometheus-adapter where it has one (`cmd/adapter/adapter.go`,
//! `pkg/client/api.go`). Unlike it: a client certificate counts without a CA file, half of a
//! certificate pair is refused, a CA file replaces the roots of in-cluster or kubeconfig auth but
//! not its credentials, and headers are checked here instead of failing every request.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use reqwest::Url;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::kubernetes::kubeconfig::{self, Connection, Credentials, Roots, Secret, Source};
use crate::kubernetes::transport;

/// The flags' values.
pub struct Settings {
    /// `--prometheus-url`: scheme, host, a path prefix, a query sent with every request, and a user
    /// and password for basic authentication.
    pub url: String,
    /// `--prometheus-verb`.
    pub verb: Verb,
    /// `--prometheus-header`, split at the first `=`.
    pub headers: Vec<(String, String)>,
    /// `--prometheus-token-file`.
    pub token_file: Option<PathBuf>,
    /// `--prometheus-ca-file`.
    pub ca_file: Option<PathBuf>,
    /// `--prometheus-client-tls-cert-file`.
    pub client_cert_file: Option<PathBuf>,
    /// `--prometheus-client-tls-key-file`.
    pub client_key_file: Option<PathBuf>,
    /// `--prometheus-auth-incluster` or `--prometheus-auth-config`.
    pub auth: Auth,
    /// `--prometheus-timeout`: the longest a request may take, whatever its budget.
    pub timeout: Duration,
    /// The largest answer, in bytes after decompression.
    pub response_bytes_max: u64,
    /// How often files are looked at for changes.
    pub recheck: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: "https://localhost".to_owned(),
            verb: Verb::Get,
            headers: Vec::new(),
            token_file: None,
            ca_file: None,
            client_cert_file: None,
            client_key_file: None,
            auth: Auth::None,
            timeout: Duration::from_secs(10),
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
#[derive(Clone, Debug, PartialEq, Eq)]
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
        let headers = self.header_map()?;
        let mut connection = self.cluster_connection()?;
        connection.server = url.origin().ascii_serialization();
        if let Some(path) = &self.ca_file {
            connection.roots = Roots::Pem(Source::file("prometheus-ca-file", path.clone()));
        }
        match (&self.client_cert_file, &self.client_key_file) {
            (None, None) => {}
            (Some(certificate), Some(key)) => {
                connection.certificate = Some((
                    Source::file("prometheus-client-tls-cert-file", certificate.clone()),
                    Source::file("prometheus-client-tls-key-file", key.clone()),
                ));
            }
            _ => return Err(SetupError::HalfCertificate),
        }
        // Go's order: a header, then the URL's user, then the token file, then the cluster's.
        if headers.contains_key(header::AUTHORIZATION) {
            connection.credentials = Credentials::None;
        } else if let Some(basic) = basic(&url) {
            connection.credentials = basic;
        } else if let Some(path) = &self.token_file {
            connection.credentials =
                Credentials::Token(Source::file("prometheus-token-file", path.clone()));
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

/// Whether `text` can be the URL of a backend.
///
/// # Errors
/// What is wrong with it, without repeating it: it may hold a password.
pub fn check_url(text: &str) -> Result<(), SetupError> {
    parse_url(text).map(drop)
}

/// Whether `text` is a URL with a user or a password in it.
pub fn has_user(text: &str) -> bool {
    parse_url(text).is_ok_and(|url| basic(&url).is_some())
}

/// Whether a header can be called `name` and say `value`, and requests would carry it.
///
/// # Errors
/// What is wrong with it, without the value: it may be a secret.
pub fn check_header(name: &str, value: &str) -> Result<(), String> {
    let key: HeaderName = name
        .parse()
        .map_err(|_| format!("{name:?} cannot be the name of a header"))?;
    if IGNORED.contains(&key) {
        return Err(format!(
            "the header {name:?} is written by the HTTP client itself"
        ));
    }
    HeaderValue::from_str(value.trim())
        .map(drop)
        .map_err(|_| format!("the value of {name:?} cannot stand in a header"))
}

/// Whether a server's certificate can be for `name`: a DNS name or an IP address.
pub fn is_server_name(name: &str) -> bool {
    rustls::pki_types::ServerName::try_from(name).is_ok()
}

fn basic(url: &Url) -> Option<Credentials> {
    let decoded = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let password = decoded(url.password().unwrap_or_default());
    let given = !url.username().is_empty() || url.password().is_some();
    given.then(|| Credentials::Basic {
        username: decoded(url.username()),
        password: Secret(password),
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
