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
use crate::promql::NotEnforced;
use crate::telemetry::Limit;

mod text;

pub use text::Setting;

/// Why Prometheus gave no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection, or none that speaks HTTP.
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
    Tls {
        /// Scheme, host and port.
        server: String,
        /// Why, in a few words.
        reason: &'static str,
        /// What has to do with it.
        setting: Option<Setting>,
        /// The TLS library's own words.
        #[source]
        source: BoxError,
    },
    /// The client's own limit was reached. A server's `timeout` is [`Error::Refused`].
    Timeout(Duration),
    /// The request's own deadline came before the client's.
    Deadline,
    /// All requests that may be open at one time were, for as long as this one could wait.
    Busy {
        /// How many that are.
        open: usize,
        /// How long it could.
        waited: Duration,
    },
    /// 401 or 403.
    Auth(StatusCode),
    /// The credentials could not be had.
    Credentials(#[source] Box<transport::Error>),
    /// A redirect, which is not followed: it mostly leads to a login page.
    Redirect(String),
    /// `"status":"error"`, whatever the HTTP status was.
    Refused {
        /// Prometheus' `errorType`: `bad_data`, `execution`, `timeout`, ...
        kind: String,
        /// Prometheus' `error`, shortened.
        text: String,
        /// The HTTP status.
        status: StatusCode,
    },
    /// Another HTTP status, without a reason in JSON.
    BadStatus(StatusCode),
    /// 2xx with a web page.
    Html,
    /// 2xx with text that is no JSON.
    NotJson(#[source] BoxError),
    /// JSON of another shape than the API's.
    Malformed(#[source] BoxError),
    /// The answer ended before its end.
    Truncated(#[source] Option<BoxError>),
    /// More than `response_bytes_max`, after decompression.
    TooLarge(u64),
    /// The server says that its answer is incomplete, and the rule wants none such. Its first
    /// warning, if it gives one.
    Partial(Option<String>),
    /// A result no metric can be made of. The text is Go's for `string`.
    UnexpectedType(String),
    /// Whoever folds the samples wanted no more; its text.
    Declined(String),
    /// The matchers of the backend cannot be put into the query, which is not sent then.
    NotEnforced(NotEnforced),
    /// A fault of ours.
    Internal,
    /// No replica gave an answer; what each said, in the order of the file.
    Replicas(Vec<Error>),
    /// What went wrong at a backend of the rules file.
    Backend {
        /// Its name.
        name: String,
        /// What it was.
        error: Box<Error>,
    },
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
            Self::Busy { .. } => "busy",
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
            Self::NotEnforced(_) => "not_enforced",
            Self::Internal => "internal",
            Self::Replicas(all) => all.first().map_or("unreachable", Self::class),
            Self::Backend { error, .. } => error.class(),
        }
    }

    /// The limit of ours that was its end, if one was. What is `listed` for a relist has its own.
    pub(super) fn limit(&self, listed: bool) -> Option<Limit> {
        match self {
            Self::Deadline if listed => Some(Limit::RelistTimeout),
            Self::Timeout(_) | Self::Deadline => Some(Limit::PrometheusTimeout),
            Self::Busy { .. } => Some(Limit::PrometheusConcurrency),
            Self::TooLarge(_) => Some(Limit::MaxResponseBytes),
            Self::Declined(_) if listed => Some(Limit::ListedNames),
            Self::Declined(_) => Some(Limit::MaxRows),
            Self::Replicas(all) => all.iter().find_map(|error| error.limit(listed)),
            Self::Backend { error, .. } => error.limit(listed),
            _ => None,
        }
    }

    /// Of a request that had `limit` in all, waiting and all replicas included.
    #[must_use]
    pub fn within(self, limit: Duration) -> Error {
        match self {
            Self::Deadline | Self::Timeout(_) => Self::Timeout(limit),
            Self::Replicas(all) => {
                let all = all.into_iter().map(|error| error.within(limit));
                Self::Replicas(all.collect())
            }
            Self::Backend { name, error } => Self::Backend {
                name,
                error: Box::new(error.within(limit)),
            },
            other => other,
        }
    }

    /// Whether time ran out, here or in Prometheus.
    pub fn is_timeout(&self) -> bool {
        match self {
            Self::Timeout(_) | Self::Deadline => true,
            Self::Refused { kind, .. } => kind == "timeout",
            Self::Replicas(all) => all.iter().any(Self::is_timeout),
            Self::Backend { error, .. } => error.is_timeout(),
            _ => false,
        }
    }

    /// Whether the server has understood the request and calls it wrong (`bad_data`), or it was not
    /// sent because of what it says: asking again gives the same answer.
    pub fn is_bad_data(&self) -> bool {
        match self {
            Self::Refused { kind, .. } => kind == "bad_data",
            Self::NotEnforced(_) => true,
            Self::Backend { error, .. } => error.is_bad_data(),
            _ => false,
        }
    }

    /// Whether the request asked for something that this backend is kept from giving.
    pub fn is_contradiction(&self) -> bool {
        match self {
            Self::NotEnforced(cause) => matches!(cause, NotEnforced::Contradiction { .. }),
            Self::Backend { error, .. } => error.is_contradiction(),
            _ => false,
        }
    }

    /// Whether what was asked decides this, or who asks: no replica of the same server would do
    /// better. What a replica says in another way than the API's may be its own trouble, and so may
    /// it be that it does not let us in.
    pub(super) fn is_about_the_query(&self) -> bool {
        match self {
            Self::TooLarge(_)
            | Self::UnexpectedType(_)
            | Self::Declined(_)
            | Self::NotEnforced(_)
            | Self::Credentials(_)
            | Self::Internal => true,
            _ => self.is_stated(),
        }
    }

    /// Whether the server answered, whatever it said, and the answer came whole. (The Go adapter
    /// measures no others.)
    pub(super) fn is_of_server(&self) -> bool {
        !matches!(
            self,
            Self::Unreachable { .. }
                | Self::Tls { .. }
                | Self::Timeout(_)
                | Self::Deadline
                | Self::Busy { .. }
                | Self::Credentials(_)
                | Self::Truncated(_)
                | Self::NotEnforced(_)
                | Self::Internal
        )
    }

    /// Whether it is the server that fails, rather than what was asked of it.
    pub(super) fn is_trouble(&self) -> bool {
        match self {
            Self::Backend { error, .. } => error.is_trouble(),
            Self::Partial(_) => false,
            _ => !self.is_about_the_query(),
        }
    }

    /// Whether the server has read the query and says what is wrong with it. VictoriaMetrics gives
    /// the status for the kind of error.
    pub(super) fn is_stated(&self) -> bool {
        match self {
            Self::Refused { kind, status, .. } => {
                let is_of_query = matches!(kind.as_str(), "bad_data" | "execution")
                    || matches!(
                        *status,
                        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY
                    );
                is_of_query && !status.is_server_error()
            }
            _ => false,
        }
    }

    /// What the HTTP library says, as one of ours. `server` is scheme, host and port.
    pub(super) fn from_http(error: reqwest::Error, server: &str) -> Self {
        // A URL may hold a password.
        let error = error.without_url();
        let server = server.to_owned();
        if let Some(tls) = cause::<rustls::Error>(&error) {
            let (reason, setting) = tls_reason(tls);
            return Self::Tls {
                server,
                reason,
                setting,
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

/// Why, and what has to do with it.
fn tls_reason(error: &rustls::Error) -> (&'static str, Option<Setting>) {
    use CertificateError as Bad;
    let reason = match error {
        rustls::Error::InvalidCertificate(bad) => match bad {
            // A signature that does not fit: an authority of the same name with another key.
            Bad::UnknownIssuer | Bad::BadSignature => {
                let reason = "its certificate is signed by an unknown authority";
                return (reason, Some(Setting::CaFile));
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
                let reason = "it wants a client certificate";
                return (reason, Some(Setting::ClientCertificate));
            }
            AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::DecryptError => "it refuses our client certificate",
            _ => "it broke off the handshake",
        },
        _ => "the handshake failed",
    };
    (reason, None)
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
