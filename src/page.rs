//! The status page: what a person sees of the server (`--status-address`).
//!
//! One page, rendered here, whole without script and without anything from elsewhere; a script of
//! its own brings it anew in place, for who wants that. Who may see it is decided by who reaches
//! its address: nobody is asked who they are.
//!
//! Promises: it only reads, and asks nobody outside but for `explain`, a few at a time; text from
//! outside never becomes markup; a browser loads nothing for it but itself, and for nobody else but
//! who follows a link. On loopback it answers no other name than this machine's own, so that a
//! stranger's page cannot read it (DNS rebinding). Pages are made one at a time, beside the threads
//! that answer autoscalers, and are bounded in bytes.
//!
//! ```text
//! gather (registry, journal, metrics, watches) ─▶ data ─▶ health, render (pure) ─▶ HTML
//! ```

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderMap,
    HeaderName, HeaderValue, REFERRER_POLICY, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
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

/// Text of a filter, in characters.
const FILTER: usize = 200;

/// Seconds until another explanation may find a place.
const EXPLAIN_AGAIN: HeaderValue = HeaderValue::from_static("1");

/// Whose page has a browser send the request, how, and for what (Fetch Metadata).
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const DESTINATION: HeaderName = HeaderName::from_static("sec-fetch-dest");

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
    /// Whose turn it is to be shown a page.
    rendering: Semaphore,
}

/// An answer on its way to HTTP.
struct Answer {
    code: StatusCode,
    content_type: &'static str,
    /// Whether its script may run.
    renews: bool,
    body: String,
}

impl Page {
    /// The page of this API.
    pub fn new(api: Arc<Api>, journal: Arc<Journal>, settings: Settings) -> Page {
        Page {
            api,
            journal,
            settings,
            rendering: Semaphore::new(1),
        }
    }

    /// Answers one request.
    pub async fn answer(&self, request: &Parts) -> Response<Full<Bytes>> {
        let mut response = self.route(request).await.into_response();
        let allowed = HeaderValue::from_static("GET, HEAD");
        let more = match response.status() {
            StatusCode::METHOD_NOT_ALLOWED => Some((ALLOW, allowed)),
            StatusCode::TOO_MANY_REQUESTS => Some((RETRY_AFTER, EXPLAIN_AGAIN)),
            _ => None,
        };
        response.headers_mut().extend(more);
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
            let text = "this page answers to localhost and to addresses of loopback only";
            return Answer::text(StatusCode::MISDIRECTED_REQUEST, text);
        }
        if is_from_elsewhere(&request.headers) {
            let text = "this page is not for pages of others";
            return Answer::text(StatusCode::FORBIDDEN, text);
        }
        let query = request.uri.query().unwrap_or_default();
        match request.uri.path() {
            "/" => self.show(View::of(query)).await,
            "/explain" => self.explain(query, takes_json(&request.headers)).await,
            "/livez" => Answer::text(StatusCode::OK, "ok"),
            _ => Answer::html(StatusCode::NOT_FOUND, nothing_here()),
        }
    }
}

impl Page {
    /// All there is, as of now. It takes some thousandths of a second of a thread of its own.
    async fn show(&self, view: View) -> Answer {
        // The semaphore is never closed: a turn always comes.
        let _turn = self.rendering.acquire().await;
        let (api, journal) = (Arc::clone(&self.api), Arc::clone(&self.journal));
        let settings = self.settings.clone();
        let renews = view.refresh.is_some();
        let rendered = tokio::task::spawn_blocking(move || {
            render::page(&gather::gather(&api, &journal, &settings, view))
        });
        match rendered.await {
            Ok(body) => Answer {
                renews,
                ..Answer::html(StatusCode::OK, body)
            },
            // As if it had been here, where a panic is told and answered.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

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
        let explanation = match self.api.explain(path).await {
            Ok(explanation) => explanation,
            Err(busy) => {
                return Answer::text(StatusCode::TOO_MANY_REQUESTS, &busy.to_string());
            }
        };
        match serde_json::to_string_pretty(&explanation) {
            Ok(body) if json => Answer {
                content_type: "application/json",
                ..Answer::text(StatusCode::OK, &body)
            },
            _ => Answer::html(StatusCode::OK, explain::page(path, Some(&explanation))),
        }
    }
}

impl View {
    /// What the query string wants to see; what cannot be read is not said.
    fn of(query: &str) -> View {
        let number = |name| parameter(query, name).and_then(|text| text.parse::<u32>().ok());
        let page = |name| number(name).and_then(|it| usize::try_from(it).ok());
        let filter = parameter(query, "q").unwrap_or_default();
        View {
            filter: filter.trim().chars().take(FILTER).collect(),
            page: page("page").unwrap_or(1),
            rules_page: page("rules").unwrap_or(1),
            refresh: number("refresh").filter(|it| REFRESH.contains(it)),
        }
    }
}

impl Answer {
    fn text(code: StatusCode, text: &str) -> Answer {
        Answer {
            code,
            content_type: "text/plain; charset=utf-8",
            renews: false,
            body: format!("{text}\n"),
        }
    }

    fn html(code: StatusCode, body: String) -> Answer {
        Answer {
            code,
            content_type: "text/html; charset=utf-8",
            renews: false,
            body,
        }
    }

    fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.body.into()));
        *response.status_mut() = self.code;
        let headers = response.headers_mut();
        let policy = HeaderValue::from_static(shell::policy(self.renews));
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
    let address = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let address = address.unwrap_or(host).parse::<IpAddr>();
    // Nobody can give an address of his own to an address.
    host == "localhost" || address.is_ok_and(|it| it.to_canonical().is_loopback())
}

/// Whether a page of somebody else has a browser load this, other than by a link that its reader
/// follows: as a picture, a script, or in a frame. What an explanation asks is asked also where
/// nobody may look at it.
fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    let is = |name: &HeaderName, value: &str| headers.get(name).is_some_and(|it| it == value);
    let is_ours = is(&SITE, "same-origin") || is(&SITE, "none");
    let is_followed = is(&MODE, "navigate") && is(&DESTINATION, "document");
    headers.contains_key(&SITE) && !is_ours && !is_followed
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
