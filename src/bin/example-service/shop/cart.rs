//! Sessions and carts. The session comes in a cookie and is looked up where all replicas have it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shop;
use super::reply::Refusal;
use crate::id;
use crate::sessions::{MOST_OF_ONE, Trouble};

const LONGEST_SKU: usize = 64;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Item {
    sku: String,
    quantity: u32,
}

/// A new session, in the answer and as a cookie that no script can read. The browser keeps it while
/// it runs: how long a session lives begins anew with each use, and is known to the server alone.
pub(super) async fn begin(
    State(shop): State<Arc<Shop>>,
) -> Result<(StatusCode, [(header::HeaderName, String); 1], Json<Value>), Refusal> {
    let session = shop.sessions.begin().await?;
    let secure = match shop.cookie_secure {
        true => "; Secure",
        false => "",
    };
    let cookie = format!("session={session}; Path=/; HttpOnly; SameSite=Lax{secure}");
    let body = Json(json!({"session": session}));
    Ok((StatusCode::CREATED, [(header::SET_COOKIE, cookie)], body))
}

pub(super) async fn show(
    State(shop): State<Arc<Shop>>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    let cart = shop.sessions.cart(session(&headers)?).await?;
    Ok(Json(json!({"items": cart.items})))
}

/// Puts so many more into the cart, and shows it.
pub(super) async fn add(
    State(shop): State<Arc<Shop>>,
    headers: HeaderMap,
    item: Result<Json<Item>, JsonRejection>,
) -> Result<Json<Value>, Refusal> {
    let session = session(&headers)?;
    let Json(item) = item.map_err(|error| Refusal::new(error.status(), error.body_text()))?;
    let known = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if item.sku.is_empty() || item.sku.len() > LONGEST_SKU || !item.sku.chars().all(known) {
        let why = format!("a SKU has 1 to {LONGEST_SKU} letters, digits, '-', '_' and '.'");
        return Err(Refusal::new(StatusCode::BAD_REQUEST, why));
    }
    if item.quantity == 0 || item.quantity > MOST_OF_ONE {
        let why = format!("a quantity is from 1 to {MOST_OF_ONE}");
        return Err(Refusal::new(StatusCode::BAD_REQUEST, why));
    }
    let items = shop.sessions.add(session, &item.sku, item.quantity);
    Ok(Json(json!({"items": items.await?})))
}

/// The session that the cookie names. Names are ours: anything else is not even looked up.
pub(super) fn session(headers: &HeaderMap) -> Result<&str, Trouble> {
    let cookies = headers.get_all(header::COOKIE).into_iter();
    let pairs = cookies
        .filter_map(|cookies| cookies.to_str().ok())
        .flat_map(|cookies| cookies.split(';'));
    pairs
        .filter_map(|pair| pair.trim().strip_prefix("session="))
        .find(|session| id::is_ours(session))
        .ok_or(Trouble::UnknownSession)
}
