//! The API: one request in, one answer out. Nothing else decides the order of things.
//!
//! ```text
//! request ─▶ route ─▶ identify ─▶ allow ─▶ limits ─▶ registry (which rule?)
//!         ─▶ kubernetes (which names?) ─▶ widening (how many objects at once?)
//!         ─▶ plan (which PromQL?) ─▶ samples (rows, remembered or asked of Prometheus)
//!         ─▶ plan (rows → values) ─▶ wire ─▶ answer
//! ```
//!
//! A failure anywhere becomes a full `metav1.Status` in one place. This is the only room that
//! writes Kubernetes JSON.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONNECTION, HeaderMap, HeaderValue, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode, Version};
use rustls::pki_types::CertificateDer;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use crate::auth::{Auth, User};
use crate::journal::Journal;
use crate::kubernetes::Kubernetes;
use crate::kubernetes::apiservices::Trusted;
use crate::registry::{Registry, Snapshot};
use crate::relist::Wake;
use crate::reload::config::ConfigState;
use crate::samples::Samples;
use crate::telemetry::{AUDIT_ID, Limit, Metrics, RequestId};
use crate::widening::Widening;

mod accept;
mod answered;
mod body;
mod cause;
mod custom;
mod discovery;
mod etag;
/// Why an ask is answered as it is.
pub mod explain;
mod external;
mod gzip;
mod health;
mod openapi;
mod own_metrics;
mod resource;
mod rows;
/// Method, path and query: what is asked.
pub mod route;
mod seen;
mod status;
mod version;
mod wire;

use accept::Encoding;
use body::Body;
pub use cause::Cause;
pub use discovery::Shown;
pub use explain::Explanation;
use gzip::Compressor;
use health::Outcome;
use route::{Parsed, Route};
pub use rows::Asking;
use status::Failure;
use wire::Form;

/// What a request may need, each made by `app`.
#[derive(Clone)]
pub struct Rooms {
    /// What can be asked for.
    pub registry: Arc<Registry>,
    /// Who asks, and whether they may.
    pub auth: Arc<Auth>,
    /// Names of objects.
    pub kubernetes: Arc<Kubernetes>,
    /// Whether the aggregator trusts our certificate.
    pub trusted: Trusted,
    /// How many objects one query is about.
    pub widening: Arc<Widening>,
    /// What Prometheus answered lately, and the way to it.
    pub samples: Arc<Samples>,
    /// Told of asks for unknown metrics.
    pub wake: Arc<Wake>,
    /// Which rules files are in force, and what is wrong with newer ones.
    pub config: Arc<ArcSwap<ConfigState>>,
    /// Our own metrics.
    pub metrics: Arc<Metrics>,
    /// What was asked lately; only where somebody can look at it.
    pub journal: Option<Arc<Journal>>,
}

/// Answers requests.
pub struct Api {
    rooms: Rooms,
    limits: Limits,
    asking: Asking,
    shown: Shown,
    documents: discovery::Documents,
    openapi: openapi::Documents,
    compressor: Compressor,
    in_flight: Semaphore,
    explaining: Semaphore,
    stopping: AtomicBool,
}

/// What one request may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Asks for metrics at one time (`--max-requests-inflight`), of those who may ask; one more is
    /// answered 429.
    pub in_flight: usize,
    /// The longest a request may take (`--request-timeout`); `?timeout=` may shorten it.
    pub timeout: Duration,
}

/// When a request must have its answer.
#[derive(Clone, Copy, Debug)]
struct Deadline(Instant);

/// For documents that only people read.
const PEOPLE: Form = Form {
    encoding: Encoding::Json,
    pretty: true,
    conversion: None,
};

impl Api {
    /// An API over these rooms.
    pub fn new(rooms: Rooms, limits: Limits, asking: Asking, shown: Shown) -> Api {
        let in_flight = Semaphore::new(limits.in_flight);
        Api {
            rooms,
            limits,
            asking,
            shown,
            documents: discovery::Documents::default(),
            openapi: openapi::Documents::default(),
            compressor: Compressor::default(),
            in_flight,
            explaining: Semaphore::new(explain::AT_ONCE),
            stopping: AtomicBool::new(false),
        }
    }

    /// What it answers from.
    pub fn rooms(&self) -> &Rooms {
        &self.rooms
    }

    /// What readiness waits for, in the order of a start; nothing where it is green.
    pub fn awaits(&self) -> Vec<&'static str> {
        let rooms = &self.rooms;
        let checks = [
            (
                !rooms.kubernetes.is_known(),
                "the cluster has not told its kinds yet",
            ),
            (!rooms.auth.is_ready(), "whom to believe is not known yet"),
            (
                !rooms.trusted.is_known(),
                "the aggregator does not trust our certificate yet",
            ),
            (
                !rooms.registry.is_listed(),
                "metrics are being listed for the first time",
            ),
            (
                self.stopping.load(Ordering::Relaxed),
                "the process is stopping",
            ),
        ];
        let awaited = checks.into_iter().filter(|(awaited, _)| *awaited);
        awaited.map(|(_, text)| text).collect()
    }

    /// From now on readiness is red: no new requests should be sent here.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Answers one request of a client that showed `certificates`, its own first.
    pub async fn answer(
        &self,
        request: &Parts,
        certificates: &[CertificateDer<'static>],
    ) -> Response<Full<Bytes>> {
        let began = Instant::now();
        let uri = &request.uri;
        let parsed = Parsed::new(request.method.as_str(), uri.path(), uri.query());
        let (sort, id) = (parsed.route.sort(), RequestId::of(&request.headers));
        let accept = accept::header(&request.headers);
        let pretty = parsed
            .pretty
            .unwrap_or_else(|| accept::is_person(&request.headers));
        let form = accept::form(&parsed, &request.headers, &accept);
        let form = form.map(|form| form.prettier(pretty));
        let dispatched = self.dispatch(parsed, request, certificates, form, began);
        let mut response = match RequestId::scope(id.clone(), dispatched).await {
            Ok(body) => body.into_response(),
            Err(failure) => {
                if let Some(limit) = failure.limit() {
                    self.rooms.metrics.reached.count(limit);
                }
                let form = accept::negotiate_error(&accept).prettier(pretty);
                refused(&failure, form)
            }
        };
        // As Go's servers: the one name of a request in the logs of everybody on its way.
        if let Some(id) = request.headers.get(AUDIT_ID) {
            response.headers_mut().insert(AUDIT_ID, id.clone());
        }
        let unauthorized = response.status() == StatusCode::UNAUTHORIZED;
        if request.version == Version::HTTP_2
            && self
                .rooms
                .auth
                .is_stranger(&request.headers, certificates, unauthorized)
        {
            // HTTP/2 is cheap to abuse: who is not known gets one answer a connection, as in Go.
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        let (code, took) = (response.status().as_u16(), began.elapsed());
        self.rooms.metrics.answers.count(sort, code, took);
        tracing::debug!(
            method = %request.method,
            path = uri.path(),
            code,
            ?took,
            audit_id = id.as_ref().map(tracing::field::display),
            "answered"
        );
        response
    }

    /// The answer to a request whose handler panicked.
    pub fn panicked() -> Response<Full<Bytes>> {
        refused(&Failure::panicked(), Form::default())
    }

    /// The steps are the architecture; they stand in this order.
    async fn dispatch(
        &self,
        parsed: Parsed,
        request: &Parts,
        certificates: &[CertificateDer<'static>],
        form: Result<Form, Failure>,
        began: Instant,
    ) -> Result<Body, Failure> {
        let own_timeout = parsed.timeout?;
        let longest = self.limits.timeout;
        let timeout = own_timeout.map_or(longest, |own| own.min(longest));
        let deadline = Deadline(began + timeout);
        let (route, headers, auth) = (&parsed.route, &request.headers, &self.rooms.auth);
        let known = OnceLock::new();
        let answer = async {
            let refused = |refusal| Failure::refused(&refusal, &request.uri.to_string());
            let user = auth.identify(headers, certificates).await;
            let user = user.map_err(refused)?;
            let user = known.get_or_init(|| user);
            let allowed = auth.allow(user, &parsed.attributes).await;
            allowed.map_err(refused)?;
            if let Route::Explain(asked) = route {
                // An explanation tells values: it is for those who may ask for them.
                let asked = explain::parsed(asked).attributes;
                auth.allow(user, &asked).await.map_err(refused)?;
            }
            // Not before: strangers whose reviews are slow take nobody's place.
            let _place = self.place(route, user)?;
            if accept::asks_to_upgrade(headers) {
                return Err(Failure::bad_request("no protocol but HTTP is served here"));
            }
            let body = self.route(route, headers, form?, deadline).await?;
            Ok(self.compressor.compressed(body, headers).await)
        };
        let answer = timeout_at(deadline.0, answer)
            .await
            .unwrap_or_else(|_| Err(Failure::timed_out()));
        if let Some(journal) = &self.rooms.journal {
            seen::note(journal, route, known.get(), request, &answer);
        }
        answer
    }

    /// A place among the requests that are served at one time. Asks that hang keep nothing else
    /// away: discovery and health are from memory and need none, explanations have their own.
    fn place(&self, route: &Route, user: &User) -> Result<Option<SemaphorePermit<'_>>, Failure> {
        match route {
            Route::Custom(_) | Route::External(_) | Route::Resource(_) => {}
            Route::Explain(_) => return Ok(Some(self.place_to_explain()?)),
            _ => return Ok(None),
        }
        match self.in_flight.try_acquire() {
            Ok(place) => Ok(Some(place)),
            Err(_) if user.is_master() => Ok(None),
            Err(_) => {
                Err(Failure::too_many_requests().because_of_limit(Limit::MaxRequestsInflight))
            }
        }
    }

    async fn route(
        &self,
        route: &Route,
        headers: &HeaderMap,
        form: Form,
        deadline: Deadline,
    ) -> Result<Body, Failure> {
        let snapshot = self.snapshot();
        if !self.is_installed(&snapshot, route) {
            return discovery::no_such_path(self, &snapshot);
        }
        match route {
            Route::Custom(ask) => custom::answer(self, &snapshot, ask, form, deadline).await,
            Route::External(ask) => external::answer(self, &snapshot, ask, form, deadline).await,
            Route::Discovery(ask) => discovery::answer(self, &snapshot, *ask, headers, form),
            Route::Health(ask) => match health::answer(ask, self.health()) {
                Outcome::Healthy(text) => Ok(Body::text(StatusCode::OK, text)),
                Outcome::Failed(text) => Ok(Body::text(StatusCode::INTERNAL_SERVER_ERROR, text)),
                Outcome::NoSuchCheck => discovery::no_such_path(self, &snapshot),
            },
            Route::Index => Body::json(PEOPLE.json(&self.shown.index(&snapshot))),
            Route::Version => Body::json(PEOPLE.json(&version::info())),
            Route::Metrics => Ok(self.exposition(headers)),
            Route::Refused { refusal, .. } => Err(refusal.clone().into()),
            Route::Resource(ask) => resource::answer(self, &snapshot, ask, form, deadline).await,
            Route::OpenApiV2 => self.describe(&snapshot, openapi::Ask::V2, headers),
            Route::OpenApiV3 { document, hash } => {
                let hash = hash.as_deref();
                self.describe(&snapshot, openapi::Ask::V3 { document, hash }, headers)
            }
            Route::Explain(asked) => {
                Body::json(PEOPLE.json(&self.explained(&snapshot, asked, deadline).await))
            }
            Route::Unknown => discovery::no_such_path(self, &snapshot),
        }
    }

    /// What one request is answered from: read once.
    fn snapshot(&self) -> Arc<Snapshot> {
        self.rooms.registry.snapshot()
    }

    /// Whether the group of a route is served.
    fn is_installed(&self, snapshot: &Snapshot, route: &Route) -> bool {
        let served = |group| self.shown.groups(snapshot).any(|served| served == group);
        route.group().is_none_or(served)
    }

    fn describe(
        &self,
        snapshot: &Snapshot,
        ask: openapi::Ask<'_>,
        headers: &HeaderMap,
    ) -> Result<Body, Failure> {
        let groups: Vec<_> = self.shown.groups(snapshot).collect();
        let now = jiff::Timestamp::now();
        let described = self.openapi.answer(&groups, ask, headers, now)?;
        described.map_or_else(|| discovery::no_such_path(self, snapshot), Ok)
    }

    fn health(&self) -> health::State {
        health::State {
            names_known: self.rooms.kubernetes.is_known()
                && self.rooms.auth.is_ready()
                && self.rooms.trusted.is_known()
                && self.rooms.registry.is_listed(),
            stopping: self.stopping.load(Ordering::Relaxed),
        }
    }
}

fn refused(failure: &Failure, form: Form) -> Response<Full<Bytes>> {
    let code = StatusCode::from_u16(failure.code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let bytes = form.write(&failure.status()).unwrap_or_default();
    let mut response = Body {
        code,
        ..Body::made(form.encoding.media_type(), bytes.into())
    }
    .into_response();
    if code == StatusCode::FORBIDDEN {
        // The text holds what the client wrote.
        let nosniff = HeaderValue::from_static("nosniff");
        response
            .headers_mut()
            .insert(X_CONTENT_TYPE_OPTIONS, nosniff);
    }
    if let Some(seconds) = failure.retry_after() {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
