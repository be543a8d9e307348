//! Prometheus-compatible servers: the HTTP client of one, and backends made of them.
//!
//! Speaks the instant query and the three look-ups of names (Prometheus documentation, "HTTP
//! API"), and is the only place that knows this JSON. It promises:
//!
//! - every request ends within its budget and `--prometheus-timeout`, whatever the server does,
//!   and the server is told the time it has left (`timeout=`);
//! - samples are handed on one at a time; memory does not grow with the answer, and an answer over
//!   its limit is an error;
//! - each way to fail has one variant and one stable text in `Error`, without secrets;
//! - nothing has to be restarted: certificates and tokens are followed, connections that broke or
//!   hung are not used again.
//!
//! Redirects are not followed. A dropped future cancels its request.

mod answer;
/// One server or several replicas of one, and how much may be asked of them at a time.
pub mod backend;
/// One sample at a time out of an answer.
pub mod decode;
mod error;
mod partial;
mod settings;

use std::time::Duration;

use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{Method, Response, StatusCode, Url};
use tokio::time::Instant;

pub use backend::{Backend, Backends};
pub use decode::{Kind, Notes, Refusal, Sample};
pub use error::{Error, Setting};
pub use partial::Partial;
pub use settings::{
    Auth, Settings, SetupError, Verb, check_header, check_url, has_user, is_own_param,
    is_server_name,
};

use crate::kubernetes::transport::{Live, Transport};
use crate::telemetry::{RequestId, ServerLabels, X_REQUEST_ID};
use answer::Limits;
use decode::Body;
use settings::Target;

/// A longer request line goes by POST. Apache refuses 8190 bytes and nginx 8 KiB by default
/// (`LimitRequestLine`, `large_client_header_buffers`); the method and version need some of them.
const URL_BYTES_MAX: usize = 8_000;

/// The client. Share it: connections are pooled in it.
pub struct Client {
    transport: Transport,
    target: Target,
    verb: Verb,
    timeout: Duration,
    response_bytes_max: u64,
    took: Family<ServerLabels, Histogram>,
}

/// What a query gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    /// What the samples were folded into.
    pub value: T,
    /// Vector or scalar.
    pub kind: Kind,
    /// How many samples were folded.
    pub samples: u64,
    /// How many rows were native histograms. They have no single value and were passed over.
    pub histograms: u64,
    /// Warnings, infos, and whether the server calls its answer partial.
    pub notes: Notes,
}

/// One request, before the time it has left is known.
struct Call {
    path: String,
    /// Sorted by name, as Go sends them.
    params: Vec<(&'static str, String)>,
    /// Whether the server takes it by POST too. `/label/<name>/values` is GET only.
    post: bool,
    /// Whether `timeout=` means something there.
    timed: bool,
}

impl Client {
    /// Checks the settings and reads the files they name. Nothing is dialled.
    pub fn new(settings: &Settings) -> Result<Self, SetupError> {
        let (target, connection) = settings.resolve()?;
        // As Go: no proxy stands between us and this very host.
        let proxied = !is_loopback(&target.base);
        Ok(Self {
            transport: Transport::with_connect_timeout(
                connection,
                settings.recheck,
                proxied,
                settings.connect_timeout,
            )?,
            target,
            verb: settings.verb,
            timeout: settings.timeout,
            response_bytes_max: settings.response_bytes_max,
            took: Family::new_with_constructor(|| Histogram::new([])),
        })
    }

    /// The same, which tells how long its exchanges take.
    #[must_use]
    pub fn observed(self, took: &Family<ServerLabels, Histogram>) -> Client {
        let took = took.clone();
        Client { took, ..self }
    }

    /// Scheme, host and port: fit for logs and metric labels.
    pub fn server(&self) -> &str {
        &self.target.server
    }

    /// Evaluates `promql` at `at`. `fold` gets each sample in the server's order and may refuse to
    /// go on ([`Error::Declined`]). Only an `Ok` means that the value is whole.
    pub async fn query<T, F>(
        &self,
        promql: &str,
        at: Timestamp,
        budget: Duration,
        init: T,
        mut fold: F,
    ) -> Result<Answer<T>, Error>
    where
        T: Send + 'static,
        F: FnMut(&mut T, Sample) -> Result<(), Refusal> + Send + 'static,
    {
        let params = vec![("query", promql.to_owned()), ("time", unix_seconds(at))];
        let call = Call {
            path: "/api/v1/query".to_owned(),
            params,
            post: true,
            timed: true,
        };
        self.exchange(call, budget, move |body| {
            let mut value = init;
            let summary = decode::query(body, &mut |sample| fold(&mut value, sample))?;
            let decode::Summary {
                kind,
                samples,
                histograms,
                notes,
            } = summary;
            Ok(Answer {
                value,
                kind,
                samples,
                histograms,
                notes,
            })
        })
        .await
    }

    /// The values that the label `name` has on series that match `matcher` and have samples since
    /// `start`. Always by GET, the only way servers offer.
    pub async fn label_values(
        &self,
        name: &str,
        matcher: &str,
        start: Timestamp,
        budget: Duration,
    ) -> Result<(Vec<String>, Notes), Error> {
        let name = utf8_percent_encode(name, PATH_SEGMENT);
        let call = Call::matching(
            format!("/api/v1/label/{name}/values"),
            matcher,
            start,
            false,
        );
        self.exchange(call, budget, decode::names).await
    }

    /// The names of the labels on series that match `matcher` and have samples since `start`.
    pub async fn labels(
        &self,
        matcher: &str,
        start: Timestamp,
        budget: Duration,
    ) -> Result<(Vec<String>, Notes), Error> {
        let call = Call::matching("/api/v1/labels".to_owned(), matcher, start, true);
        self.exchange(call, budget, decode::names).await
    }

    /// The series that match `matcher` and have samples since `start`, one label set at a time.
    pub async fn series<T, F>(
        &self,
        matcher: &str,
        start: Timestamp,
        budget: Duration,
        init: T,
        mut fold: F,
    ) -> Result<(T, Notes), Error>
    where
        T: Send + 'static,
        F: FnMut(&mut T, Vec<(String, String)>) -> Result<(), Refusal> + Send + 'static,
    {
        let call = Call::matching("/api/v1/series".to_owned(), matcher, start, true);
        self.exchange(call, budget, move |body| {
            let mut value = init;
            let notes = decode::series(body, &mut |labels| fold(&mut value, labels))?;
            Ok((value, notes))
        })
        .await
    }

    /// Sends a call and decodes its answer, all within the time there is.
    async fn exchange<T, D>(&self, call: Call, budget: Duration, decode: D) -> Result<T, Error>
    where
        T: Send + 'static,
        D: FnOnce(Body) -> Result<T, Error> + Send + 'static,
    {
        let began = Instant::now();
        let deadline = began + budget.min(self.timeout);
        let path = call.path.clone();
        let attempt = async {
            let response = self.send(&call, deadline).await?;
            let status = response.status();
            let limits = Limits {
                bytes: self.response_bytes_max,
                server: &self.target.server,
            };
            if status.is_success() {
                answer::read(response, &limits, decode).await
            } else {
                Err(self.failure(response, &limits).await)
            }
        };
        match tokio::time::timeout_at(deadline, attempt).await {
            Ok(outcome) => {
                if outcome.as_ref().err().is_none_or(Error::is_of_server) {
                    let server = self.target.server.clone();
                    let labels = ServerLabels { path, server };
                    let took = began.elapsed().as_secs_f64();
                    self.took.get_or_create(&labels).observe(took);
                }
                outcome
            }
            Err(_) if budget < self.timeout => Err(Error::Deadline),
            Err(_) => Err(Error::Timeout(self.timeout)),
        }
    }

    /// Sends a call; once more if its credentials are refused and there are newer ones.
    async fn send(&self, call: &Call, deadline: Instant) -> Result<Response, Error> {
        let credentials = |error| Error::Credentials(Box::new(error));
        let live = self.transport.current().await.map_err(credentials)?;
        let response = self.send_once(call, deadline, &live).await?;
        if response.status() == StatusCode::UNAUTHORIZED
            && self.transport.renew(&live).await.map_err(credentials)?
        {
            let live = self.transport.current().await.map_err(credentials)?;
            return self.send_once(call, deadline, &live).await;
        }
        Ok(response)
    }

    async fn send_once(
        &self,
        call: &Call,
        deadline: Instant,
        live: &Live,
    ) -> Result<Response, Error> {
        let form = call.form(&self.target.base, deadline.duration_since(Instant::now()));
        let mut url = self.target.base.clone();
        let path = format!("{}{}", url.path().trim_end_matches('/'), call.path);
        url.set_path(&path);
        url.set_query(self.target.query.as_deref());
        let room = URL_BYTES_MAX.saturating_sub(url.as_str().len() + 1);
        let post = call.post && (self.verb == Verb::Post || form.len() > room);
        let request = if post {
            live.client
                .request(Method::POST, url)
                .headers(self.target.headers.clone())
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form)
        } else {
            let query = match &self.target.query {
                Some(own) => format!("{own}&{form}"),
                None => form,
            };
            url.set_query(Some(&query));
            live.client
                .request(Method::GET, url)
                .headers(self.target.headers.clone())
        };
        let id = RequestId::current();
        let request = match id.filter(|_| !self.target.headers.contains_key(X_REQUEST_ID)) {
            Some(id) => request.header(X_REQUEST_ID, id.header()),
            None => request,
        };
        live.authorize(request)
            .send()
            .await
            .map_err(|error| Error::from_http(error, &self.target.server))
    }

    /// What an answer that is not 2xx means.
    async fn failure(&self, response: Response, limits: &Limits<'_>) -> Error {
        let status = response.status();
        let location = response
            .headers()
            .get(LOCATION)
            .and_then(|value| value.to_str().ok());
        if status.is_redirection()
            && let Some(location) = location
        {
            return Error::Redirect(redirect_target(response.url(), location));
        }
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Error::Auth(status);
        }
        match answer::head(response, limits).await {
            Ok(body) => match decode::refusal(&body) {
                Some((kind, text)) => Error::Refused { kind, text, status },
                None => Error::BadStatus(status),
            },
            Err(_) => Error::BadStatus(status),
        }
    }
}

/// What Go's url.PathEscape leaves alone matters little; a label name is made of these.
const PATH_SEGMENT: &percent_encoding::AsciiSet = &NON_ALPHANUMERIC.remove(b'_');

impl Call {
    fn matching(path: String, matcher: &str, start: Timestamp, post: bool) -> Self {
        let params = vec![
            ("match[]", matcher.to_owned()),
            ("start", unix_seconds(start)),
        ];
        Self {
            path,
            params,
            post,
            timed: false,
        }
    }

    /// `application/x-www-form-urlencoded`, fit for a URL and for a body. `any` is any URL.
    fn form(&self, any: &Url, left: Duration) -> String {
        let mut url = any.clone();
        url.set_query(None);
        let mut pairs = url.query_pairs_mut();
        pairs.extend_pairs(&self.params);
        if self.timed {
            // Milliseconds alone are understood by every version; 0 would mean no time at all.
            pairs.append_pair("timeout", &format!("{}ms", left.as_millis().max(1)));
        }
        drop(pairs);
        url.query().unwrap_or_default().to_owned()
    }
}

/// Seconds with up to three decimals, as Go's model.Time prints them.
fn unix_seconds(at: Timestamp) -> String {
    let milliseconds = at.as_millisecond();
    let sign = if milliseconds < 0 { "-" } else { "" };
    let whole = milliseconds.unsigned_abs();
    let text = format!("{sign}{}.{:03}", whole / 1000, whole % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

/// Host and path of a redirect. The query is left out: it may hold a session's secrets.
fn redirect_target(from: &Url, location: &str) -> String {
    match from.join(location) {
        Ok(to) => format!("{}{}", to.origin().ascii_serialization(), to.path()),
        Err(_) => "an address that is not valid".to_owned(),
    }
}

#[cfg(test)]
mod tests;
