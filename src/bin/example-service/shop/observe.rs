//! Around every request: a place, a time limit, and a measurement whatever happens.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Shop;
use super::reply::Refusal;
use crate::metrics::{Metrics, RequestLabels, RouteLabels};

/// More than all that a route may do one after the other.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// As nginx has it: the client hung up.
const HUNG_UP: u16 = 499;

/// Counts a request when it goes, so also one whose client did not wait. Those are the requests
/// that an overload is made of; without them it would look as if nobody came.
struct Observed<'a> {
    metrics: &'a Metrics,
    labels: RouteLabels,
    began: Instant,
    code: u16,
}

impl Drop for Observed<'_> {
    fn drop(&mut self) {
        self.metrics.in_flight.dec();
        let code = match std::thread::panicking() {
            true => 500,
            false => self.code,
        };
        let labels = RequestLabels {
            method: self.labels.method,
            route: self.labels.route.clone(),
            code,
        };
        self.metrics.requests.get_or_create(&labels).inc();
        let duration = self.metrics.request_duration.get_or_create(&self.labels);
        duration.observe(self.began.elapsed().as_secs_f64());
    }
}

pub(super) async fn observe(
    State(shop): State<Arc<Shop>>,
    request: Request,
    next: Next,
) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("other", MatchedPath::as_str).to_owned();
    let before = shop.metrics.in_flight.inc();
    let mut observed = Observed {
        metrics: &shop.metrics,
        labels: RouteLabels {
            method: method(request.method()),
            route,
        },
        began: Instant::now(),
        code: HUNG_UP,
    };
    // A queue without an end makes all late and saves none. Who is told at once can go elsewhere.
    let full = usize::try_from(before).is_ok_and(|before| before >= shop.max_in_flight);
    let answer = match full {
        true => Refusal::later("too many requests at one time").into_response(),
        false => match tokio::time::timeout(ANSWER_WITHIN, next.run(request)).await {
            Ok(answer) => answer,
            Err(_) => Refusal::later("this takes too long").into_response(),
        },
    };
    observed.code = answer.status().as_u16();
    answer
}

/// A client may send any word as a method.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
