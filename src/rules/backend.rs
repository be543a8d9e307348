//! `backends`: the servers that rules may be asked of, besides the one of the flags.
//!
//! What is checked here needs no file and no network: a backend that compiles can still fail to
//! start where a file that it names cannot be read.

mod field;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::Code;
use super::enforced::Enforced;
use super::file::{RawBackend, RawSource};
use super::located::Located;
use super::reader::{is_name, nearest};
use super::report::{Report, quoted};
use crate::kubernetes::kubeconfig::Secret;
use crate::prometheus::{Partial, Verb};
use field::Field;

/// The name of the backend that the flags define. It is [`Rule::backend`](super::Rule::backend) 0.
pub const DEFAULT_BACKEND: &str = "default";

/// The header that names a tenant to Cortex, Mimir and Thanos.
const TENANT_HEADER: &str = "X-Scope-OrgID";

/// Longest name of a backend: it is a metric's label.
const NAME_CHARS_MAX: usize = 63;

/// One entry of `backends`. What is `None` is as the flags say for their own.
#[derive(Debug)]
pub struct BackendSpec {
    /// Its key.
    pub name: String,
    /// The file that it stands in, where there may be several.
    pub file: Option<Arc<str>>,
    /// The line of the file where that stands, from 1.
    pub line: usize,
    /// Where it answers; more than one for replicas that hold the same.
    pub urls: Vec<Secret>,
    /// Sent with every request, the tenant's among them.
    pub headers: Vec<(String, Secret)>,
    /// Headers whose values stand in files.
    pub headers_from: Vec<(String, PathBuf)>,
    /// Sent with every request; a name may come several times.
    pub query_params: Vec<(String, Secret)>,
    /// Whom we trust there.
    pub tls: TlsSpec,
    /// As whom we come.
    pub auth: AuthSpec,
    /// How queries are sent.
    pub verb: Option<Verb>,
    /// The longest that one request may take.
    pub timeout: Option<Duration>,
    /// How many requests may be open at one time.
    pub concurrency: Option<usize>,
    /// The largest answer to a query, in bytes.
    pub response_bytes_max: Option<u64>,
    /// Labels and the values that every series asked for must have.
    pub enforced: Vec<(String, String)>,
}

impl BackendSpec {
    /// Where one of its fields stands, such as `backends.slow.url (line 3)`, by the line of the
    /// backend; of several files with the file's name, as an [`Origin`](super::Origin).
    pub fn setting(&self, field: &str) -> String {
        let field = match field {
            "url" if self.urls.len() > 1 => "urls",
            other => other,
        };
        let file = self.file.as_ref().map(|file| format!("{file}:"));
        let (file, name, line) = (file.unwrap_or_default(), &self.name, self.line);
        format!("{file}backends.{name}.{field} (line {line})")
    }
}

/// `tls`.
#[derive(Debug, Default)]
pub struct TlsSpec {
    /// The only authorities trusted.
    pub ca_file: Option<PathBuf>,
    /// The client's certificate and its key.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// The name that the server's certificate must be valid for.
    pub server_name: Option<String>,
}

/// `auth`.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum AuthSpec {
    /// Nobody in particular.
    #[default]
    None,
    /// A user with the password in a file.
    Basic {
        /// The user's name.
        username: String,
        /// Where the password stands.
        password_file: PathBuf,
    },
    /// Who holds the token in a file.
    TokenFile(PathBuf),
    /// The pod's service account.
    InCluster,
    /// The current user of a kubeconfig.
    Kubeconfig(PathBuf),
}

impl BackendSpec {
    /// `None` where `report` has an error about it.
    pub(super) fn compile(
        raw: &RawBackend,
        file: Option<&Arc<str>>,
        report: &mut Report<'_>,
    ) -> Option<BackendSpec> {
        let path = path(&raw.name);
        let before = report.count_errors();
        check_name(&raw.name, &path, report);
        let line = report.line(&raw.name.span);
        let mut field = Field {
            raw,
            path: &path,
            report,
        };
        let urls = field.urls();
        let spec = BackendSpec {
            name: raw.name.text.clone(),
            file: file.cloned(),
            line,
            headers: field.headers(),
            headers_from: field.headers_from(),
            query_params: field.query_params(),
            tls: field.tls(&urls),
            auth: field.auth(&urls),
            verb: field.verb(),
            timeout: field.timeout(),
            concurrency: field.concurrency(),
            response_bytes_max: field.bytes(),
            enforced: field.enforced(),
            urls,
        };
        (report.count_errors() == before && !raw.malformed).then_some(spec)
    }
}

/// Where the backend of this name stands, for findings: the name may be a secret.
pub(super) fn path(name: &Located) -> String {
    match is_name(&name.text) {
        true => format!("backends.{}", name.text),
        false => "backends.*".to_owned(),
    }
}

fn check_name(name: &Located, path: &str, report: &mut Report<'_>) {
    if name.text == DEFAULT_BACKEND {
        // Every flag of it has a default, so that nobody could tell which of the two is meant.
        let message = "`default` is the backend of the flags (--prometheus-url and its like)";
        let help = "give this one another name, and name it in the rules' `backend`";
        report.error(
            Code::Backend,
            name.span.clone(),
            path,
            message,
            help.to_owned(),
        );
        return;
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let length = name.text.chars().count();
    if !(1..=NAME_CHARS_MAX).contains(&length) || !name.text.chars().all(fits) {
        let message = "this cannot name a backend";
        let help = format!(
            "take letters, digits, `-`, `_` and `.`, at most {NAME_CHARS_MAX} of them: it is a \
             label of metrics"
        );
        report.error(Code::Backend, name.span.clone(), path, message, help);
    }
}

/// The names that a rule may give, in the order of the files.
#[derive(Debug)]
pub(super) struct Names<'a>(pub(super) &'a [&'a RawBackend]);

impl Names<'_> {
    /// What the backend of this number enforces; `None` for the one of the flags.
    pub(super) fn enforced(&self, backend: usize) -> Option<Enforced<'_>> {
        let raw = self.0.get(backend.checked_sub(1)?)?;
        Some(Enforced::by(raw))
    }

    /// The backend's place, 0 for the one of the flags, and what becomes of partial answers.
    pub(super) fn source(
        &self,
        raw: &RawSource,
        path: &str,
        report: &mut Report<'_>,
    ) -> Option<(usize, Partial)> {
        let backend = match &raw.backend {
            None => Some(0),
            Some(name) => self.place(name, &format!("{path}.backend"), report),
        };
        let partial = match raw.partial.as_ref().map(|text| (text, text.text.as_str())) {
            None | Some((_, "accept")) => Some(Partial::Accept),
            Some((_, "refuse")) => Some(Partial::Refuse),
            Some((text, other)) => {
                let message = format!("expected `accept` or `refuse`, found {}", quoted(other));
                let help = "with `refuse`, an answer that the backend itself calls incomplete is \
                            an error";
                let field = format!("{path}.partial");
                let span = text.span.clone();
                report.error(Code::InvalidValue, span, &field, message, help.to_owned());
                None
            }
        };
        Some((backend?, partial?))
    }

    fn place(&self, name: &Located, path: &str, report: &mut Report<'_>) -> Option<usize> {
        if name.text == DEFAULT_BACKEND {
            return Some(0);
        }
        let found = self.0.iter().position(|raw| raw.name.text == name.text);
        if found.is_none() {
            let known = self.0.iter().map(|raw| raw.name.text.as_str());
            let known = known.filter(|name| is_name(name));
            let known: Vec<&str> = known.chain([DEFAULT_BACKEND]).collect();
            let help = match nearest(&name.text, &known) {
                Some(near) => format!("did you mean {}?", quoted(near)),
                None if self.0.is_empty() => {
                    "this file has no `backends`: add it, or leave `backend` out to ask the one of \
                     the flags"
                        .to_owned()
                }
                None => {
                    let known: Vec<String> = known.iter().map(|name| quoted(name)).collect();
                    format!("the backends are {}", known.join(", "))
                }
            };
            let message = format!("there is no backend {}", quoted(&name.text));
            report.error(Code::UnknownBackend, name.span.clone(), path, message, help);
        }
        Some(found? + 1)
    }
}

/// Says which backends of a file, with their numbers, no rule names: they were meant for something.
pub(super) fn check_use<'a>(
    numbered: impl Iterator<Item = (&'a RawBackend, usize)>,
    used: &[usize],
    report: &mut Report<'_>,
) {
    for (backend, number) in numbered {
        if !used.contains(&number) && !backend.malformed {
            let name = quoted(&backend.name.text);
            let message = format!("no rule asks the backend {name}");
            let help = format!(
                "add `backend: {}` to the rules that should",
                backend.name.text
            );
            let path = format!("backends.{}", backend.name.text);
            let span = backend.name.span.clone();
            report.warning(Code::UnusedBackend, span, &path, message, help);
        }
    }
}

#[cfg(test)]
mod tests;
