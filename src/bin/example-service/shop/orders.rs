//! Orders: a cart becomes one, once.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::Shop;
use super::cart::session;
use super::reply::Refusal;
use crate::orders::Customer;

const LONGEST_KEY: usize = 128;

/// 201 when the order is stored, whenever that was.
pub(super) async fn place(
    State(shop): State<Arc<Shop>>,
    headers: HeaderMap,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let session = session(&headers)?.to_owned();
    let key = idempotency_key(&headers)?;
    // A task of its own: a client that hangs up must not end it between the order and the cart.
    let placed = tokio::spawn(async move { order(&shop, &session, key.as_deref()).await });
    let placed = placed
        .await
        .unwrap_or_else(|_| Err(Refusal::later("the order was not placed")));
    Ok((StatusCode::CREATED, Json(json!({"order": placed?}))))
}

async fn order(shop: &Shop, session: &str, key: Option<&str>) -> Result<String, Refusal> {
    let customer = Customer::of_session(session);
    // Sent again: the cart may be empty by now, and Redis away.
    if let Some(key) = key
        && let Some(placed) = shop.orders.placed(&customer, key).await?
    {
        return Ok(placed);
    }
    let cart = shop.sessions.cart(session).await?;
    if cart.is_empty() {
        return Err(Refusal::new(StatusCode::CONFLICT, "the cart is empty"));
    }
    let (id, new) = shop.orders.place(&customer, key, &cart).await?;
    // From here on the order is there, and the customer is told so whatever becomes of the cart.
    if new && let Err(error) = shop.sessions.take(session, &cart).await {
        tracing::warn!(%error, order = id, "an order is placed; its items are still in the cart");
    }
    Ok(id)
}

/// Whoever knows the name of an order may see it: it cannot be guessed. So orders can be seen while
/// Redis is away.
pub(super) async fn show(
    State(shop): State<Arc<Shop>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let Some(order) = shop.orders.find(&id).await? else {
        return Err(Refusal::new(StatusCode::NOT_FOUND, "no such order"));
    };
    let status = match order.shipped {
        true => "shipped",
        false => "waiting",
    };
    Ok(Json(
        json!({"order": id, "status": status, "items": order.items}),
    ))
}

/// The client's own name of this order, by which it can send it again.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let Some(key) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    match key.to_str() {
        Ok(key) if (1..=LONGEST_KEY).contains(&key.len()) => Ok(Some(key.to_owned())),
        _ => {
            let why = format!("an Idempotency-Key has 1 to {LONGEST_KEY} visible characters");
            Err(Refusal::new(StatusCode::BAD_REQUEST, why))
        }
    }
}
