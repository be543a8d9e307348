//! What can go wrong between us and Prometheus, one variant and one stable text for each.
//!
//! These texts end up in `kubectl describe hpa`: they are short, say what to do next, hold no
//! secret, and do not change from one attempt to the next (no ephemeral ports, no elapsed times).
//! What varies is in `source()`, for the log.

use std::error::Error as StdError;
use std::time::Duration;

use reqwest::StatusCode;
use rustls::{AlertDescription, CertificateError};

use crate::kubernetes::transport;

/// Why Prometheus gave no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection, or none that speaks HTTP.
    #[error("cannot reach Prometheus at {server}: {reason}")]
    Unreachable {
        /// Scheme, host and port.
        server: String,
        /// Why, in a few words.
        reason: &'static str,
        /// The HTTP library's own words.
        #[source]
        source: Option<BoxError>,
    },
    /// The TLS handshake failed.
    #[error("no TLS connection to Prometheus at {server}: {reason}")]
    Tls {
        /// Scheme, host and port.
        server: String,
        /// Why, and which flag has to do with it.
        reason: &'static str,
        /// The TLS library's own words.
        #[source]
        source: BoxError,
    },
    /// The client's own limit was reached. A server's `timeout` is [`Error::Refused`].
    #[error("Prometheus did not answer within {}", shown(*.0))]
    Timeout(Duration),
    /// The request's own deadline came before the client's.
    #[error("Prometheus did not answer in the time the request had left")]
    Deadline,
    /// 401 or 403.
    #[error(
        "Prometheus answered {0}: check --prometheus-token-file, --prometheus-header, the user in \
         --prometheus-url, or the auth flags"
    )]
    Auth(StatusCode),
    /// The credentials could not be had.
    #[error("cannot obtain the credentials for Prometheus")]
    Credentials(#[source] Box<transport::Error>),
    /// A redirect, which is not followed: it mostly leads to a login page.
    #[error("Prometheus redirects to {0}: set --prometheus-url to the Prometheus API itself")]
    Redirect(String),
    /// `"status":"error"`, whatever the HTTP status was.
    #[error("{kind}: {text}")]
    Refused {
        /// Prometheus' `errorType`: `bad_data`, `execution`, `timeout`, ...
        kind: String,
        /// Prometheus' `error`, shortened.
        text: String,
    },
    /// Another HTTP status, without a reason in JSON.
    #[error("Prometheus answered {}{}", .0, advice(*.0))]
    BadStatus(StatusCode),
    /// 2xx with a web page.
    #[error(
        "Prometheus answered HTML, not JSON: is --prometheus-url a Prometheus API, or a login page?"
    )]
    Html,
    /// 2xx with text that is no JSON.
    #[error("Prometheus answered text that is not JSON: is --prometheus-url a Prometheus API?")]
    NotJson(#[source] BoxError),
    /// JSON of another shape than the API's.
    #[error("Prometheus answered JSON that is not its API's: is --prometheus-url right?")]
    Malformed(#[source] BoxError),
    /// The answer ended before its end.
    #[error("the answer of Prometheus ended too early")]
    Truncated(#[source] Option<BoxError>),
    /// More than `response_bytes_max`, after decompression.
    #[error(
        "the answer of Prometheus is larger than {0} bytes: ask for fewer series, or raise \
         --prometheus-max-response-bytes"
    )]
    TooLarge(u64),
    /// The server says that its answer is incomplete, and the rule wants none such. Its first
    /// warning, if it gives one.
    #[error("the backend says its answer is partial{}", after_colon(.0.as_deref()))]
    Partial(Option<String>),
    /// A result no metric can be made of. The text is Go's for `string`.
    #[error("unexpected value type {0:?}: the query must give an instant vector or a scalar")]
    UnexpectedType(String),
    /// Whoever folds the samples wanted no more; its text.
    #[error("{0}")]
    Declined(String),
}

/// A cause, for the log.
pub(super) type BoxError = Box<dyn StdError + Send + Sync>;

impl Error {
    /// A short name of the variant, for a metric's label.
    pub fn class(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::Tls { .. } => "tls",
            Self::Timeout(_) | Self::Deadline => "timeout",
            Self::Auth(_) => "auth",
            Self::Credentials(_) => "credentials",
            Self::Redirect(_) => "redirect",
            Self::Refused { .. } => "refused",
            Self::BadStatus(_) => "bad_status",
            Self::Html => "html",
            Self::NotJson(_) => "not_json",
            Self::Malformed(_) => "malformed",
            Self::Truncated(_) => "truncated",
            Self::TooLarge(_) => "too_large",
            Self::Partial(_) => "partial",
            Self::UnexpectedType(_) => "unexpected_type",
            Self::Declined(_) => "declined",
        }
    }

    /// Whether time ran out, here or in Prometheus.
    pub fn is_timeout(&self) -> bool {
        match self {
            Self::Timeout(_) | Self::Deadline => true,
            Self::Refused { kind, .. } => kind == "timeout",
            _ => false,
        }
    }

    /// Whether the server has understood the request and calls it wrong (`bad_data`): asking again
    /// gives the same answer.
    pub fn is_bad_data(&self) -> bool {
        matches!(self, Self::Refused { kind, .. } if kind == "bad_data")
    }

    /// What the HTTP library says, as one of ours. `server` is scheme, host and port.
    pub(super) fn from_http(error: reqwest::Error, server: &str) -> Self {
        // A URL may hold a password.
        let error = error.without_url();
        let server = server.to_owned();
        if let Some(tls) = cause::<rustls::Error>(&error) {
            let reason = tls_reason(tls);
            return Self::Tls {
                server,
                reason,
                source: error.into(),
            };
        }
        let connecting = error.is_connect();
        let reason = if error.is_dns() {
            "its host name does not resolve"
        } else if cause::<hyper::Error>(&error).is_some_and(hyper::Error::is_parse) {
            "it does not speak HTTP there (http:// instead of https://?)"
        } else if connecting {
            cause::<std::io::Error>(&error).map_or("connecting failed", io_reason)
        } else if error.is_builder() {
            "the request cannot be written as HTTP"
        } else {
            return Self::Truncated(Some(error.into()));
        };
        Self::Unreachable {
            server,
            reason,
            source: Some(error.into()),
        }
    }
}

/// A duration in seconds, as in the flag.
fn shown(duration: Duration) -> String {
    format!("{}s", duration.as_secs_f64())
}

fn after_colon(text: Option<&str>) -> String {
    text.map(|text| format!(": {text}")).unwrap_or_default()
}

fn advice(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => " without a reason: is it http:// or https://?",
        StatusCode::NOT_FOUND => ": is the path in --prometheus-url right?",
        StatusCode::METHOD_NOT_ALLOWED => ": try the other --prometheus-verb",
        _ => "",
    }
}

fn io_reason(error: &std::io::Error) -> &'static str {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused",
        ErrorKind::ConnectionReset => "connection reset",
        ErrorKind::HostUnreachable => "no route to the host",
        ErrorKind::NetworkUnreachable => "no route to its network",
        ErrorKind::TimedOut => "connecting timed out",
        ErrorKind::UnexpectedEof => "it closed the connection",
        _ => "connecting failed",
    }
}

fn tls_reason(error: &rustls::Error) -> &'static str {
    use CertificateError as Bad;
    match error {
        rustls::Error::InvalidCertificate(bad) => match bad {
            // A signature that does not fit: an authority of the same name with another key.
            Bad::UnknownIssuer | Bad::BadSignature => {
                "its certificate is signed by an unknown authority (--prometheus-ca-file)"
            }
            Bad::Expired | Bad::ExpiredContext { .. } => "its certificate has expired",
            Bad::NotValidYet | Bad::NotValidYetContext { .. } => "its certificate is not valid yet",
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
                "its certificate is for another host name"
            }
            _ => "its certificate is not valid",
        },
        rustls::Error::InvalidMessage(_) => "it does not speak TLS (https:// instead of http://?)",
        rustls::Error::AlertReceived(alert) => match alert {
            AlertDescription::CertificateRequired => {
                "it wants a client certificate (--prometheus-client-tls-cert-file)"
            }
            AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::DecryptError => "it refuses our client certificate",
            _ => "it broke off the handshake",
        },
        _ => "the handshake failed",
    }
}

/// The first cause of this type. An `io::Error` hides what it wraps from `source()`.
fn cause<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        let inner = error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        if let Some(found) = inner.and_then(|inner| cause::<E>(inner)) {
            return Some(found);
        }
        next = error.source();
    }
    None
}
