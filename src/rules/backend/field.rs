//! The fields of a backend, each checked for what can be known without asking anybody.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{AuthSpec, TENANT_HEADER, TlsSpec};
use crate::go;
use crate::kubernetes::kubeconfig::Secret;
use crate::prometheus::backend::CONCURRENCY_MAX;
use crate::prometheus::{self, Verb};
use crate::promql;
use crate::quantity;
use crate::rules::Code;
use crate::rules::file::{Pair, RawAuth, RawBackend, shown};
use crate::rules::located::Located;
use crate::rules::report::{Report, quoted};

/// The fields of one backend.
pub(super) struct Field<'a, 'r, 't> {
    pub(super) raw: &'a RawBackend,
    pub(super) path: &'a str,
    pub(super) report: &'r mut Report<'t>,
}

impl Field<'_, '_, '_> {
    fn error(&mut self, span: &Range<usize>, field: &str, message: impl Into<String>, help: &str) {
        let field = format!("{}.{field}", self.path);
        let message: String = message.into();
        self.report.error(
            Code::Backend,
            span.clone(),
            &field,
            message,
            help.to_owned(),
        );
    }

    fn warning(&mut self, span: &Range<usize>, field: &str, message: &str, help: &str) {
        let field = format!("{}.{field}", self.path);
        self.report.warning(
            Code::Backend,
            span.clone(),
            &field,
            message,
            help.to_owned(),
        );
    }

    /// Texts of errors leave the URL out: it may hold a password.
    pub(super) fn urls(&mut self) -> Vec<Secret> {
        let raw = self.raw;
        let name = raw.name.span.clone();
        let both = "`url` is for one server, `urls` for the replicas of one";
        match (&raw.url, &raw.urls) {
            (Some(url), Some(_)) => {
                self.error(&url.span, "url", "both `url` and `urls` are given", both)
            }
            (None, None) if !raw.malformed => {
                let help =
                    "add `url: https://HOST:PORT`, or `urls` for replicas that hold the same";
                self.error(&name, "url", "there is no `url`", help);
            }
            (None, Some(urls)) if urls.is_empty() && !raw.malformed => {
                self.error(&name, "urls", "`urls` is empty", both);
            }
            _ => {}
        }
        let listed = raw.urls.iter().flatten().enumerate();
        let listed = listed.map(|(index, url)| (format!("urls[{index}]"), url));
        let one = raw.url.iter().map(|url| ("url".to_owned(), url));
        let all: Vec<(String, &Located)> = one.chain(listed).collect();
        for (at, (field, url)) in all.iter().enumerate() {
            if let Err(cause) = prometheus::check_url(&url.text) {
                let help = "write it as `https://HOST:PORT`, with a path if the API has one";
                self.error(&url.span, field, cause.to_string(), help);
            } else if all[..at].iter().any(|(_, other)| other.text == url.text) {
                let help = "replicas are asked in turn: name each once";
                self.error(&url.span, field, "this URL is given twice", help);
            }
        }
        let secret = |(_, url): &(String, &Located)| Secret(url.text.clone());
        all.iter().map(secret).collect()
    }

    pub(super) fn headers(&mut self) -> Vec<(String, Secret)> {
        let raw = self.raw;
        let mut headers: Vec<(String, Secret)> = Vec::new();
        for pair in &raw.headers {
            let (name, value) = pair;
            let field = format!("headers.{}", shown(pair));
            let text = value.clone().unwrap_or_default().text;
            self.check_header(name, &text, &field);
            if headers
                .iter()
                .any(|(other, _)| other.eq_ignore_ascii_case(&name.text))
            {
                let message = format!("the header {} is given twice", quoted(shown(pair)));
                self.error(&name.span, &field, message, "capitals make no difference");
            }
            headers.push((name.text.clone(), Secret(text)));
        }
        if let Some(tenant) = &raw.tenant {
            self.check_header(tenant, &tenant.text, "tenant");
            let mut given = raw.headers.iter().chain(&raw.headers_from);
            if given.any(|(name, _)| name.text.eq_ignore_ascii_case(TENANT_HEADER)) {
                let message = format!("both `tenant` and the header `{TENANT_HEADER}` are given");
                let help = format!("keep one of them: `tenant` is sent as `{TENANT_HEADER}`");
                self.error(&tenant.span, "tenant", message, &help);
            }
            if tenant.text.is_empty() {
                let help = "leave it out to send no tenant";
                self.error(&tenant.span, "tenant", "the tenant is empty", help);
            }
            let value = Secret(tenant.text.clone());
            headers.push((TENANT_HEADER.to_owned(), value));
        }
        headers
    }

    fn check_header(&mut self, at: &Located, value: &str, field: &str) {
        let name = if field == "tenant" {
            TENANT_HEADER
        } else {
            &at.text
        };
        if let Err(cause) = prometheus::check_header(name, value) {
            let help = "a header's name is made of letters, digits and `-`, and its value is one \
                        line";
            self.error(&at.span, field, cause, help);
        }
    }

    pub(super) fn headers_from(&mut self) -> Vec<(String, PathBuf)> {
        let raw = self.raw;
        let mut headers: Vec<(String, PathBuf)> = Vec::new();
        for pair in &raw.headers_from {
            let (name, file) = pair;
            let field = format!("headersFrom.{}", shown(pair));
            self.check_header(name, "", &field);
            let given = |(other, _): &&Pair| other.text.eq_ignore_ascii_case(&name.text);
            let twice = headers
                .iter()
                .any(|(other, _)| other.eq_ignore_ascii_case(&name.text));
            if twice || raw.headers.iter().any(|pair| given(&pair)) {
                let message = format!("the header {} is given twice", quoted(shown(pair)));
                self.error(&name.span, &field, message, "keep one of them");
            }
            let path = self.path_of(file.as_ref(), &name.span, &format!("{field}.file"));
            headers.extend(path.map(|path| (name.text.clone(), path)));
        }
        headers
    }

    /// A file's name, which must be there; `missing` is where it is not. What it is relative to
    /// nobody could tell, and a secret that stands here by mistake would be in each error.
    fn path_of(
        &mut self,
        file: Option<&Located>,
        missing: &Range<usize>,
        field: &str,
    ) -> Option<PathBuf> {
        match file {
            Some(file) if Path::new(&file.text).is_absolute() => Some(PathBuf::from(&file.text)),
            Some(file) if !file.text.is_empty() => {
                let help = "write the whole path, as `/etc/NAME`; a secret itself stands in a file";
                self.error(&file.span, field, "this is no absolute path", help);
                None
            }
            _ if self.raw.malformed => None,
            _ => {
                let span = file.map_or(missing, |file| &file.span).clone();
                let last = field.rsplit('.').next().unwrap_or(field);
                let message = format!("there is no `{last}`");
                self.error(
                    &span,
                    field,
                    message,
                    "name a file that the process can read",
                );
                None
            }
        }
    }

    fn optional_path(&mut self, file: Option<&Located>, field: &str) -> Option<PathBuf> {
        let file = file?;
        self.path_of(Some(file), &file.span, field)
    }

    pub(super) fn query_params(&mut self) -> Vec<(String, Secret)> {
        let raw = self.raw;
        let mut params = Vec::new();
        for pair in &raw.query_params {
            let (name, value) = pair;
            if name.text.is_empty() || prometheus::is_own_param(&name.text) {
                let message = format!("{} cannot be set here", quoted(&name.text));
                let field = format!("queryParams.{}", shown(pair));
                self.error(&name.span, &field, message, "each request sets it itself");
            }
            let value = value.clone().unwrap_or_default().text;
            params.push((name.text.clone(), Secret(value)));
        }
        params
    }

    pub(super) fn tls(&mut self, urls: &[Secret]) -> TlsSpec {
        let raw = &self.raw.tls;
        if let Some(span) = &raw.span
            && !urls.is_empty()
            && urls.iter().all(|url| url.0.starts_with("http://"))
        {
            let help = "write the URL with https://, or leave `tls` out";
            self.warning(
                span,
                "tls",
                "without https:// these settings have no effect",
                help,
            );
        }
        let ca_file = self.optional_path(raw.ca_file.as_ref(), "tls.caFile");
        let certificate = self.optional_path(raw.cert_file.as_ref(), "tls.certFile");
        let key = self.optional_path(raw.key_file.as_ref(), "tls.keyFile");
        if raw.cert_file.is_some() != raw.key_file.is_some() && !self.raw.malformed {
            let there = raw.cert_file.as_ref().or(raw.key_file.as_ref());
            let span = there.map(|there| there.span.clone()).unwrap_or_default();
            let message = "`certFile` and `keyFile` must be given together";
            self.error(&span, "tls", message, "add the other one");
        }
        let server_name = raw.server_name.as_ref();
        if let Some(name) = server_name.filter(|name| !prometheus::is_server_name(&name.text)) {
            let message = format!("{} is no host name", quoted(&name.text));
            let help = "write the name that the server's certificate is for, without port";
            self.error(&name.span, "tls.serverName", message, help);
        }
        TlsSpec {
            ca_file,
            certificate: certificate.zip(key),
            server_name: server_name.map(|name| name.text.clone()),
        }
    }

    pub(super) fn auth(&mut self, urls: &[Secret]) -> AuthSpec {
        let raw = &self.raw.auth;
        let Some(span) = raw.span.clone() else {
            return AuthSpec::None;
        };
        let ways = ways(raw);
        if ways.len() > 1 {
            let message = format!("both {} are given", ways.join(" and "));
            self.error(&span, "auth", message, "keep one of them");
        }
        let named = |(name, _): &Pair| name.text.eq_ignore_ascii_case("authorization");
        let mut headers = self.raw.headers.iter().chain(&self.raw.headers_from);
        let other = if headers.any(named) {
            Some("the header `Authorization`")
        } else if urls.iter().any(|url| prometheus::has_user(&url.0)) {
            Some("a user in the URL")
        } else {
            None
        };
        if let (Some(other), false) = (other, ways.is_empty()) {
            let message = format!("both `auth` and {other} are given");
            self.error(&span, "auth", message, "keep one of them");
        }
        if let Some(basic) = &raw.basic {
            let name = basic.username.clone().unwrap_or_default();
            if name.text.is_empty() && !self.raw.malformed {
                let span = basic
                    .username
                    .as_ref()
                    .map_or(&basic.span, |name| &name.span);
                let help = "add the user's name";
                self.error(span, "auth.basic.username", "there is no `username`", help);
            }
            let file = basic.password_file.as_ref();
            let file = self.path_of(file, &basic.span, "auth.basic.passwordFile");
            return file.map_or(AuthSpec::None, |password_file| AuthSpec::Basic {
                username: name.text,
                password_file,
            });
        }
        let token = self.optional_path(raw.token_file.as_ref(), "auth.tokenFile");
        let kubeconfig = self.optional_path(raw.kubeconfig.as_ref(), "auth.kubeconfig");
        match (token, kubeconfig) {
            (Some(path), _) => AuthSpec::TokenFile(path),
            (None, Some(path)) => AuthSpec::Kubeconfig(path),
            (None, None) if raw.in_cluster == Some(true) => AuthSpec::InCluster,
            (None, None) => AuthSpec::None,
        }
    }

    pub(super) fn verb(&mut self) -> Option<Verb> {
        let verb = self.raw.verb.as_ref()?;
        let parsed = verb.text.parse();
        if parsed.is_err() {
            let message = format!("{} is no way to send a query", quoted(&verb.text));
            self.error(&verb.span, "verb", message, "write `GET` or `POST`");
        }
        parsed.ok()
    }

    pub(super) fn timeout(&mut self) -> Option<Duration> {
        let timeout = self.raw.timeout.as_ref()?;
        let help = "write a number with its unit, as `5s` or `500ms`";
        match go::duration::parse_prometheus(&timeout.text) {
            Ok(Duration::ZERO) => {
                let message = "the time-out must be above zero";
                self.error(&timeout.span, "timeout", message, help);
                None
            }
            Ok(duration) => Some(duration),
            Err(cause) => {
                self.error(&timeout.span, "timeout", cause.to_string(), help);
                None
            }
        }
    }

    pub(super) fn concurrency(&mut self) -> Option<usize> {
        let number = self.raw.concurrency.as_ref()?;
        let parsed = number.text.parse().ok();
        let parsed = parsed.filter(|number| (1..=CONCURRENCY_MAX).contains(number));
        if parsed.is_none() {
            let message = format!("{} is no number of requests", quoted(&number.text));
            let help = format!("write a number from 1 to {CONCURRENCY_MAX}");
            self.error(&number.span, "concurrency", message, &help);
        }
        parsed
    }

    pub(super) fn bytes(&mut self) -> Option<u64> {
        let size = self.raw.max_response_bytes.as_ref()?;
        let parsed = quantity::parse_bytes(&size.text);
        if let Err(cause) = parsed {
            let message = format!("{} is no size", quoted(&size.text));
            self.error(&size.span, "maxResponseBytes", message, cause);
        }
        parsed.ok()
    }

    pub(super) fn enforced(&mut self) -> Vec<(String, String)> {
        let raw = self.raw;
        let mut enforced = Vec::new();
        for pair in &raw.enforce_matchers {
            let (label, value) = pair;
            let field = format!("enforceMatchers.{}", shown(pair));
            let text = value.clone().unwrap_or_default().text;
            if !promql::is_label_name(&label.text) || label.text == "__name__" {
                let message = format!("{} cannot be enforced", quoted(shown(pair)));
                let help = "name a label that all series of this backend carry, as `cluster`";
                self.error(&label.span, &field, message, help);
            } else if text.is_empty() {
                let span = value.as_ref().map_or(&label.span, |value| &value.span);
                let message = "an empty value would match series without this label";
                self.error(
                    span,
                    &field,
                    message,
                    "write the value that series must have",
                );
            }
            enforced.push((label.text.clone(), text));
        }
        enforced
    }
}

/// The ways to authenticate that are given.
fn ways(raw: &RawAuth) -> Vec<&'static str> {
    let given = [
        (raw.basic.is_some(), "`basic`"),
        (raw.token_file.is_some(), "`tokenFile`"),
        (raw.in_cluster == Some(true), "`inCluster`"),
        (raw.kubeconfig.is_some(), "`kubeconfig`"),
    ];
    let given = given.into_iter().filter(|(given, _)| *given);
    given.map(|(_, name)| name).collect()
}
