//! Orders: a cart becomes one, once.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::Shop;
use super::cart::session;
use super::reply::Refusal;
use crate::id;
use crate::orders::Customer;
use crate::sessions::Cart;

const LONGEST_KEY: usize = 128;

/// How often a cart may have become another's order while it was read.
const TRIES: usize = 3;

/// 201 when the order is stored, whenever that was.
pub(super) async fn place(
    State(shop): State<Arc<Shop>>,
    headers: HeaderMap,
) -> Result<(StatusCode, Json<Value>), Refusal> {
    let session = session(&headers)?.to_owned();
    let key = idempotency_key(&headers)?;
    // A task of its own: a client that hangs up must not end it between the order and the cart.
    let work = shop.open_orders.clone();
    let placed = work.spawn(async move { order(&shop, &session, key.as_deref()).await });
    let placed = placed
        .await
        .unwrap_or_else(|_| Err(Refusal::later("the order was not placed")));
    Ok((StatusCode::CREATED, Json(json!({"order": placed?}))))
}

async fn order(shop: &Shop, session: &str, key: Option<&str>) -> Result<String, Refusal> {
    let customer = Customer::of_session(session);
    // Sent again: the cart may be empty by now, and Redis away. Whoever placed the order may not
    // have come to take its items out of the cart.
    if let Some(key) = key
        && let Some(placed) = shop.orders.placed(&customer, key).await?
    {
        take(shop, session, &placed.cart).await;
        return Ok(placed.cart.order);
    }
    for _ in 0..TRIES {
        let cart = shop.sessions.cart(session).await?;
        if cart.items.is_empty() {
            return Err(Refusal::new(StatusCode::CONFLICT, "the cart is empty"));
        }
        let placed = shop.orders.place(&customer, key, &cart).await?;
        take(shop, session, &placed.cart).await;
        let is_it = match key {
            Some(key) => placed.key.as_deref() == Some(key),
            None => placed.cart.items == cart.items,
        };
        if is_it {
            return Ok(placed.cart.order);
        }
        // This cart has become an order by another request. What is left in it is ours.
    }
    Err(Refusal::later("the cart is being ordered"))
}

/// The order is there, and the customer is told so whatever becomes of the cart.
async fn take(shop: &Shop, session: &str, ordered: &Cart) {
    if let Err(error) = shop.sessions.take(session, ordered).await {
        let order = &ordered.order;
        tracing::warn!(%error, order, "an order is placed; its items are still in the cart");
    }
}

/// Whoever knows the name of an order may see it: it cannot be guessed. So orders can be seen while
/// Redis is away.
pub(super) async fn show(
    State(shop): State<Arc<Shop>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let found = match id::is_ours(&id) {
        true => shop.orders.find(&id).await?,
        false => None,
    };
    let Some(order) = found else {
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
