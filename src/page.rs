//! The status page: what a person sees of the server (`--status-address`).
//!
//! One page, rendered here, whole without script and without anything from elsewhere. Who may see
//! it is decided by who reaches its address: nobody is asked who they are.
//!
//! Promises: it only reads, and asks nobody outside but for `explain`, a few at a time; text from
//! outside never becomes markup; a browser loads nothing for it but itself, and on loopback answers
//! no other name than this machine's own, so that a stranger's page cannot read it
//! (DNS rebinding).
//!
//! ```text
//! gather (registry, journal, metrics, watches) ─▶ data ─▶ health, render (pure) ─▶ HTML
//! ```

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderMap,
    HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;
use hyper::{Method, Response, StatusCode};
use percent_encoding::percent_decode_str;
use tokio::sync::Semaphore;

use crate::api::Api;
use crate::journal::Journal;
use data::View;
use html::Html;
use paths::encoded;
use shell::Shell;

mod callers;
mod data;
mod explain;
mod gather;
mod health;
mod html;
mod paths;
mod render;
mod shell;
mod spark;
#[cfg(test)]
mod tests;
mod words;

/// How often a browser may load it anew, in seconds.
const REFRESH: std::ops::RangeInclusive<u32> = 5..=3600;

/// Explanations at one time: each asks Prometheus a few questions.
const EXPLANATIONS: usize = 4;

/// Text of a filter, in characters.
const FILTER: usize = 200;

/// Whether the request comes from a page of somebody else (Fetch Metadata).
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// What the page says that nobody publishes.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it is served.
    pub address: SocketAddr,
    /// How old a list of metrics may be before that is told as a fault.
    pub relist_limit: Duration,
}

/// Serves the page.
pub struct Page {
    api: Arc<Api>,
    journal: Arc<Journal>,
    settings: Settings,
    explaining: Semaphore,
}

/// An answer on its way to HTTP.
struct Answer {
    code: StatusCode,
    content_type: &'static str,
    body: String,
}

impl Page {
    /// The page of this API.
    pub fn new(api: Arc<Api>, journal: Arc<Journal>, settings: Settings) -> Page {
        Page {
            api,
            journal,
            settings,
            explaining: Semaphore::new(EXPLANATIONS),
        }
    }

    /// Answers one request.
    pub async fn answer(&self, request: &Parts) -> Response<Full<Bytes>> {
        let mut response = self.route(request).await.into_response();
        if response.status() == StatusCode::METHOD_NOT_ALLOWED {
            let allowed = HeaderValue::from_static("GET, HEAD");
            response.headers_mut().insert(ALLOW, allowed);
        }
        response
    }

    /// The answer to a request whose handler panicked.
    pub fn panicked() -> Response<Full<Bytes>> {
        let text = "tidegauge panicked over this page; the log says more";
        Answer::text(StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
    }

    async fn route(&self, request: &Parts) -> Answer {
        if !matches!(request.method, Method::GET | Method::HEAD) {
            return Answer::text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD");
        }
        if self.settings.address.ip().is_loopback() && !is_local(request) {
            let text = "this page answers to localhost, 127.0.0.1 and [::1] only";
            return Answer::text(StatusCode::MISDIRECTED_REQUEST, text);
        }
        if is_from_elsewhere(&request.headers) {
            let text = "this page is not for pages of others";
            return Answer::text(StatusCode::FORBIDDEN, text);
        }
        let query = request.uri.query().unwrap_or_default();
        match request.uri.path() {
            "/" => {
                let data =
                    gather::gather(&self.api, &self.journal, &self.settings, View::of(query));
                Answer::html(StatusCode::OK, render::page(&data))
            }
            "/explain" => self.explain(query, takes_json(&request.headers)).await,
            "/livez" => Answer::text(StatusCode::OK, "ok"),
            _ => Answer::html(StatusCode::NOT_FOUND, nothing_here()),
        }
    }
}

impl Page {
    /// Why an ask is answered as it is; without one, a form.
    async fn explain(&self, query: &str, json: bool) -> Answer {
        let path = parameter(query, "path").unwrap_or_default();
        let path = path.trim();
        if path.is_empty() {
            return Answer::html(StatusCode::OK, explain::page("", None));
        }
        if path.len() > explain::PATH {
            return Answer::text(StatusCode::URI_TOO_LONG, "the path is too long");
        }
        let Ok(_place) = self.explaining.try_acquire() else {
            let text = "too many explanations at one time; load this again";
            return Answer::text(StatusCode::TOO_MANY_REQUESTS, text);
        };
        let explanation = self.api.explain(path).await;
        match serde_json::to_string_pretty(&explanation) {
            Ok(body) if json => Answer {
                content_type: "application/json",
                body: format!("{body}\n"),
                code: StatusCode::OK,
            },
            _ => Answer::html(StatusCode::OK, explain::page(path, Some(&explanation))),
        }
    }
}

impl View {
    /// What the query string wants to see; what cannot be read is not said.
    fn of(query: &str) -> View {
        let number = |name| parameter(query, name).and_then(|text| text.parse::<u32>().ok());
        let filter = parameter(query, "q").unwrap_or_default();
        View {
            filter: filter.trim().chars().take(FILTER).collect(),
            page: number("page")
                .and_then(|it| usize::try_from(it).ok())
                .unwrap_or(1),
            refresh: number("refresh").filter(|it| REFRESH.contains(it)),
        }
    }
}

impl Answer {
    fn text(code: StatusCode, text: &str) -> Answer {
        Answer {
            code,
            content_type: "text/plain; charset=utf-8",
            body: format!("{text}\n"),
        }
    }

    fn html(code: StatusCode, body: String) -> Answer {
        Answer {
            code,
            content_type: "text/html; charset=utf-8",
            body,
        }
    }

    fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.body.into()));
        *response.status_mut() = self.code;
        let headers = response.headers_mut();
        let policy = HeaderValue::from_static(shell::policy());
        for (name, value) in [
            (CONTENT_TYPE, HeaderValue::from_static(self.content_type)),
            (CONTENT_SECURITY_POLICY, policy),
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
            (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            // Paths name namespaces and workloads.
            (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
            (
                HeaderName::from_static("cross-origin-resource-policy"),
                HeaderValue::from_static("same-origin"),
            ),
            (
                HeaderName::from_static("cross-origin-opener-policy"),
                HeaderValue::from_static("same-origin"),
            ),
        ] {
            headers.insert(name, value);
        }
        response
    }
}

/// Whether a client that means this machine has sent it: a name of somebody else may point here.
fn is_local(request: &Parts) -> bool {
    let host = match request.uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => {
            let mut hosts = request.headers.get_all(HOST).iter();
            let host = hosts.next().and_then(|host| host.to_str().ok());
            host.filter(|_| hosts.next().is_none())
        }
    };
    // The port may be another one: `kubectl port-forward` has its own.
    let host = host.and_then(|host| host.parse::<Authority>().ok());
    let host = host.as_ref().map_or("", Authority::host);
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

/// Whether a page of another site has its browser load this, other than by a link to follow.
fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    let is = |name: &HeaderName, value: &str| headers.get(name).is_some_and(|it| it == value);
    is(&SITE, "cross-site") && !is(&MODE, "navigate")
}

/// Whether a program asks: a browser takes HTML as well.
fn takes_json(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|it| it.contains("application/json") && !it.contains("text/html"))
}

/// The first value of a parameter.
fn parameter(query: &str, name: &str) -> Option<String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let value = pairs
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value)
        .next()?;
    let value = value.replace('+', " ");
    Some(percent_decode_str(&value).decode_utf8_lossy().into_owned())
}

fn nothing_here() -> String {
    let shell = Shell {
        title: "Nothing here",
        state: None,
        refresh: None,
        version: env!("CARGO_PKG_VERSION"),
    };
    let main = |h: &mut Html| {
        h.raw("<section aria-labelledby=\"title\"><h1 id=\"title\">There is nothing here</h1>");
        h.raw("<p><a href=\"/\">The status page</a></p></section>\n");
    };
    shell.document(|_| {}, main, |_| {})
}
