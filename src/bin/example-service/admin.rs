//! The port for Kubernetes and Prometheus: `/metrics`, `/livez`, `/readyz`, `/healthz`.
//!
//! It is not the shop's: what is here is nothing for customers, and it answers while the shop's
//! connections are all taken.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};

use crate::health::{Health, Status};
use crate::metrics::Metrics;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(crate) fn router(metrics: Arc<Metrics>, health: Arc<Health>) -> Router {
    let health = Router::new()
        .route("/readyz", get(ready))
        .route("/healthz", get(details))
        .with_state(health);
    Router::new()
        .route("/metrics", get(text))
        .with_state(metrics)
        .route("/livez", get("ok"))
        .merge(health)
}

async fn text(State(metrics): State<Arc<Metrics>>) -> Response {
    match metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn ready(State(health): State<Arc<Health>>) -> (StatusCode, String) {
    let (status, text) = health.ready();
    (code(status), text)
}

async fn details(State(health): State<Arc<Health>>) -> (StatusCode, Json<serde_json::Value>) {
    let (status, details) = health.details();
    (code(status), Json(details))
}

fn code(status: Status) -> StatusCode {
    match status {
        Status::Ok | Status::Degraded => StatusCode::OK,
        Status::Failed => StatusCode::SERVICE_UNAVAILABLE,
    }
}
