//! `/metrics`, and the plain port for those who cannot be reviewed (`--metrics-address`).

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::HeaderMap;
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use tokio::time::Instant;

use super::accept;
use super::health::{self, Outcome};
use super::route::{Parsed, Route};
use super::{Api, Body};

/// What the plain port says of any other path.
const ONLY: &str =
    "here are /metrics, /livez, /readyz and /healthz; the APIs are at the secure port\n";

impl Api {
    /// Answers one request at the plain port: our own metrics and our health, which hold nothing
    /// that a stranger may not see, and nothing else.
    pub async fn answer_plain(&self, request: &Parts) -> Response<Full<Bytes>> {
        let (began, uri) = (Instant::now(), &request.uri);
        let parsed = Parsed::new(request.method.as_str(), uri.path(), uri.query());
        let reads = matches!(request.method, Method::GET | Method::HEAD);
        let body = match &parsed.route {
            _ if !reads => Body::text(StatusCode::METHOD_NOT_ALLOWED, ONLY.to_owned()),
            Route::Metrics => self.exposition(&request.headers),
            Route::Health(ask) => match health::answer(ask, self.health()) {
                Outcome::Healthy(text) => Body::text(StatusCode::OK, text),
                Outcome::Failed(text) => Body::text(StatusCode::INTERNAL_SERVER_ERROR, text),
                Outcome::NoSuchCheck => Body::text(StatusCode::NOT_FOUND, ONLY.to_owned()),
            },
            _ => Body::text(StatusCode::NOT_FOUND, ONLY.to_owned()),
        };
        let body = self.compressor.compressed(body, &request.headers).await;
        let response = body.into_response();
        let (code, took) = (response.status().as_u16(), began.elapsed());
        let answers = &self.rooms.metrics.answers;
        answers.count(parsed.route.sort(), code, took);
        response
    }

    /// Our own metrics in the format that the client likes best.
    pub(super) fn exposition(&self, headers: &HeaderMap) -> Body {
        let metrics = &self.rooms.metrics;
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let free = self.in_flight.available_permits();
        let taken = self.limits.in_flight.saturating_sub(free);
        metrics
            .in_flight
            .set(i64::try_from(taken).unwrap_or(i64::MAX));
        metrics.ready.set(i64::from(self.health().is_ready()));
        metrics.show_made(&self.snapshot().made());
        let samples = &self.rooms.samples;
        metrics.cache.entries.set(whole(samples.len()));
        metrics.cache.bytes.set(whole(samples.weight()));
        let format = accept::exposition(&accept::header(headers));
        Body::made(format.media_type(), metrics.exposition(format).into())
    }
}
