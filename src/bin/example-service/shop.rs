//! The shop: its routes, and what is done for every request.

mod burn;
mod cart;
mod observe;
mod orders;
mod reply;

use std::num::NonZero;
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::Parts;
use crate::configuration::Live;
use crate::metrics::Metrics;
use crate::orders::Orders;
use crate::sessions::Sessions;
use crate::settings::Settings;

/// The largest body that any route has use for is a hundred bytes long.
const MOST_BODY: usize = 4096;

/// What the routes share. There is nothing of a customer in it: any replica answers any request.
pub(crate) struct Shop {
    sessions: Arc<Sessions>,
    orders: Arc<Orders>,
    configuration: Live,
    metrics: Arc<Metrics>,
    /// Orders that are being placed, also those whose client has hung up.
    open_orders: TaskTracker,
    max_in_flight: usize,
    cookie_secure: bool,
    /// One place for each core: more work at a time is not done any sooner.
    cores: Arc<Semaphore>,
}

impl Shop {
    pub(crate) fn new(parts: Parts, settings: &Settings, open_orders: TaskTracker) -> Shop {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Shop {
            sessions: parts.sessions,
            orders: parts.orders,
            configuration: parts.configuration,
            metrics: parts.metrics,
            open_orders,
            max_in_flight: settings.max_in_flight,
            cookie_secure: settings.cookie_secure,
            cores: Arc::new(Semaphore::new(cores)),
        }
    }
}

pub(crate) fn router(shop: Arc<Shop>) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/session", post(cart::begin))
        .route("/cart", get(cart::show))
        .route("/cart/items", post(cart::add))
        .route("/orders", post(orders::place))
        .route("/orders/{id}", get(orders::show))
        .route("/burn", get(burn::burn))
        .fallback(reply::not_found)
        .method_not_allowed_fallback(reply::method_not_allowed)
        .layer(DefaultBodyLimit::max(MOST_BODY))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&shop),
            observe::observe,
        ))
        .with_state(shop)
}

async fn index(State(shop): State<Arc<Shop>>) -> Json<Value> {
    let configuration = shop.configuration.load();
    Json(json!({
        "service": "example-service",
        "version": env!("CARGO_PKG_VERSION"),
        "banner": configuration.banner,
        "burn_limit": format!("{:?}", configuration.burn_limit),
        "routes": [
            "POST /session",
            "GET /cart",
            "POST /cart/items {\"sku\":\"tea\",\"quantity\":2} (as Content-Type: application/json)",
            "POST /orders (with an Idempotency-Key, so that it can be sent again)",
            "GET /orders/{id}",
            "GET /burn?cpu=20ms&time=100ms",
        ],
    }))
}
