//! The texts of errors. What to change is named as the user knows it: a flag for the backend of the
//! flags, a field for one of the rules file.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use reqwest::StatusCode;

use super::Error;

/// What an error may have to do with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Where the server is.
    Url,
    /// How queries are sent.
    Verb,
    /// Who we are there.
    Credentials,
    /// Whom we trust there.
    CaFile,
    /// Our own certificate.
    ClientCertificate,
    /// The largest answer.
    ResponseBytes,
    /// How many requests may be open at one time.
    Concurrency,
}

/// Where the settings are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Flags,
    File,
}

impl Setting {
    fn name(self, place: Place) -> &'static str {
        let (flag, field) = match self {
            Self::Url => ("--prometheus-url", "its `url`"),
            Self::Verb => ("--prometheus-verb", "`verb`"),
            Self::Credentials => (
                "--prometheus-token-file, --prometheus-header, the user in --prometheus-url, or \
                 the auth flags",
                "its `auth`, `headers`, `headersFrom` and `tenant`",
            ),
            Self::CaFile => ("--prometheus-ca-file", "`tls.caFile`"),
            Self::ClientCertificate => ("--prometheus-client-tls-cert-file", "`tls.certFile`"),
            Self::ResponseBytes => ("--prometheus-max-response-bytes", "its `maxResponseBytes`"),
            Self::Concurrency => ("--prometheus-concurrency", "its `concurrency`"),
        };
        match place {
            Place::Flags => flag,
            Place::File => field,
        }
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.write(f, Place::Flags)
    }
}

impl Error {
    fn write(&self, f: &mut Formatter<'_>, place: Place) -> fmt::Result {
        match self {
            Self::Partial(warning) => {
                f.write_str("the backend says its answer is partial")?;
                warning.iter().try_for_each(|text| write!(f, ": {text}"))
            }
            Self::Replicas(all) => {
                write!(f, "none of {} replicas answers", all.len())?;
                for (at, error) in all.iter().enumerate() {
                    f.write_str(if at == 0 { ": " } else { "; " })?;
                    error.write(f, place)?;
                }
                Ok(())
            }
            Self::Backend { name, error } => {
                write!(f, "backend {name}: ")?;
                error.write(f, Place::File)
            }
            Self::Declined(text) => f.write_str(text),
            Self::NotEnforced(cause) => write!(f, "{cause}"),
            Self::Internal => f.write_str("a fault of tidegauge itself: its log says more"),
            Self::Refused { kind, text, .. } => write!(f, "{kind}: {text}"),
            Self::UnexpectedType(kind) => write!(
                f,
                "unexpected value type {kind:?}: the query must give an instant vector or a scalar"
            ),
            Self::Timeout(limit) => {
                write!(f, "Prometheus did not answer within {}", shown(*limit))
            }
            Self::Deadline => {
                f.write_str("Prometheus did not answer in the time the request had left")
            }
            Self::Truncated(_) => f.write_str("the answer of Prometheus ended too early"),
            Self::Credentials(_) => f.write_str("cannot obtain the credentials for Prometheus"),
            Self::Unreachable { server, reason, .. } => {
                write!(f, "cannot reach Prometheus at {server}: {reason}")
            }
            _ => self.advise(f, |setting| setting.name(place)),
        }
    }

    /// The texts that say what to look at.
    fn advise(
        &self,
        f: &mut Formatter<'_>,
        named: impl Fn(Setting) -> &'static str,
    ) -> fmt::Result {
        let url = named(Setting::Url);
        match self {
            Self::Tls {
                server,
                reason,
                setting,
                ..
            } => {
                write!(f, "no TLS connection to Prometheus at {server}: {reason}")?;
                setting.map_or(Ok(()), |setting| write!(f, " ({})", named(setting)))
            }
            Self::Busy { open, waited } => write!(
                f,
                "{open} queries are open at Prometheus and no place came free within {}: they are \
                 slow, or {} is too low",
                shown(*waited),
                named(Setting::Concurrency)
            ),
            Self::Auth(status) => {
                let settings = named(Setting::Credentials);
                write!(f, "Prometheus answered {status}: check {settings}")
            }
            Self::Redirect(to) => {
                write!(
                    f,
                    "Prometheus redirects to {to}: set {url} to the Prometheus API itself"
                )
            }
            Self::BadStatus(status) => {
                write!(f, "Prometheus answered {status}")?;
                match *status {
                    StatusCode::BAD_REQUEST => {
                        f.write_str(" without a reason: is it http:// or https://?")
                    }
                    StatusCode::NOT_FOUND => write!(f, ": is the path in {url} right?"),
                    StatusCode::METHOD_NOT_ALLOWED => {
                        write!(f, ": try the other {}", named(Setting::Verb))
                    }
                    _ => Ok(()),
                }
            }
            Self::Html => write!(
                f,
                "Prometheus answered HTML, not JSON: is {url} a Prometheus API, or a login page?"
            ),
            Self::NotJson(_) => write!(
                f,
                "Prometheus answered text that is not JSON: is {url} a Prometheus API?"
            ),
            Self::Malformed(_) => write!(
                f,
                "Prometheus answered JSON that is not its API's: is {url} right?"
            ),
            Self::TooLarge(limit) => write!(
                f,
                "the answer of Prometheus is larger than {limit} bytes: ask for fewer series, or \
                 raise {}",
                named(Setting::ResponseBytes)
            ),
            _ => Ok(()),
        }
    }
}

/// A duration in seconds, as in the flag.
fn shown(duration: Duration) -> String {
    format!("{}s", duration.as_secs_f64())
}
