//! Orders: in PostgreSQL, and acknowledged only when they are committed there.
//!
//! A customer who was told "ordered" must find the order whatever is killed afterwards. A customer
//! who was told nothing asks again with the same `Idempotency-Key`, and gets the same order.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_postgres::types::{ToSql, Type};

use crate::dependency::Unavailable;
use crate::id;
use crate::metrics::OrdersWaiting;
use crate::postgres::Postgres;
use crate::sessions::{Cart, Items};

/// How many orders this process keeps itself.
const MOST_HERE: usize = 100_000;

/// Often enough for a scrape every 15 seconds, and nothing to a database whatever the replicas.
const COUNT_EVERY: Duration = Duration::from_secs(2);

/// Made by whoever connects first. Where schemas change over time, that is the work of a job of its
/// own that runs before a new version; here it is one table.
pub(crate) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS orders (
        id text PRIMARY KEY,
        customer text NOT NULL,
        idempotency_key text,
        items jsonb NOT NULL,
        placed_at timestamptz NOT NULL DEFAULT now(),
        shipped_at timestamptz,
        UNIQUE (customer, idempotency_key)
    );
    CREATE INDEX IF NOT EXISTS orders_waiting ON orders (placed_at) WHERE shipped_at IS NULL;";

const PLACE: &str = "
    INSERT INTO orders (id, customer, idempotency_key, items) VALUES ($1, $2, $3, $4::text::jsonb)
    ON CONFLICT DO NOTHING";
/// What a key, or else a cart, has become.
const PLACED: &str = "
    SELECT id, items::text, idempotency_key FROM orders
    WHERE customer = $1 AND (idempotency_key = $2 OR id = $3)
    ORDER BY idempotency_key = $2 DESC NULLS LAST LIMIT 1";
const BY_ID: &str = "SELECT items::text, shipped_at IS NOT NULL FROM orders WHERE id = $1";
/// Up to what no number of workers is for: to count a backlog that grows, every two seconds and for
/// each replica, makes it grow faster.
const WAITING: &str = "
    SELECT count(*) FROM (SELECT 1 FROM orders WHERE shipped_at IS NULL LIMIT 10000) AS waiting";

/// An order as its customer sees it.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub items: Items,
    pub shipped: bool,
}

/// The cart that an order was made of, and the client's key of it.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub key: Option<String>,
    pub cart: Cart,
}

/// Whose order it is: a digest of the session, for a session's name is as good as a password and
/// has no business in a database.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Customer(String);

impl Customer {
    pub(crate) fn of_session(session: &str) -> Customer {
        Customer(id::digest(session))
    }
}

/// Where they are.
pub(crate) enum Orders {
    /// In this process, which also ships them: nobody else could.
    Here(Here),
    /// In PostgreSQL.
    Postgres(InPostgres),
}

impl Orders {
    /// In PostgreSQL, if there is one.
    pub(crate) fn new(postgres: Option<Arc<Postgres>>) -> Orders {
        match postgres {
            None => Orders::Here(Here::default()),
            Some(postgres) => Orders::Postgres(InPostgres(postgres)),
        }
    }

    /// Whether they are in this process.
    pub(crate) fn are_here(&self) -> bool {
        matches!(self, Orders::Here(_))
    }

    /// Counts those that wait, for ever. Each replica says the same number.
    pub(crate) async fn count_waiting(&self, known: &OrdersWaiting) {
        let mut ticks = tokio::time::interval(COUNT_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Ok(waiting) = self.waiting().await {
                known.set(waiting);
            }
        }
    }

    /// Stores an order durably, once for each key and once for each cart: gives the one that `key`
    /// or this cart had become before, if there is one. That may be by another key.
    pub(crate) async fn place(
        &self,
        customer: &Customer,
        key: Option<&str>,
        cart: &Cart,
    ) -> Result<Placed, Unavailable> {
        match self {
            Orders::Here(here) => here.place(customer, key, cart),
            Orders::Postgres(postgres) => postgres.place(customer, key, cart).await,
        }
    }

    /// The order that `key` has placed before, if it has.
    pub(crate) async fn placed(
        &self,
        customer: &Customer,
        key: &str,
    ) -> Result<Option<Placed>, Unavailable> {
        match self {
            Orders::Here(here) => Ok(here.placed(customer, key)),
            Orders::Postgres(postgres) => postgres.placed(customer, Some(key), "").await,
        }
    }

    pub(crate) async fn find(&self, id: &str) -> Result<Option<Order>, Unavailable> {
        match self {
            Orders::Here(here) => Ok(here.stored().orders.get(id).cloned()),
            Orders::Postgres(postgres) => postgres.find(id).await,
        }
    }

    /// How many are not shipped, in the whole shop.
    async fn waiting(&self) -> Result<u64, Unavailable> {
        match self {
            Orders::Here(here) => {
                let stored = here.stored();
                let waiting = stored.orders.values().filter(|order| !order.shipped);
                Ok(u64::try_from(waiting.count()).unwrap_or(u64::MAX))
            }
            Orders::Postgres(postgres) => postgres.waiting().await,
        }
    }
}

/// In this process.
#[derive(Default)]
pub(crate) struct Here(Mutex<Stored>);

#[derive(Default)]
struct Stored {
    orders: HashMap<String, Order>,
    by_key: HashMap<(Customer, String), String>,
}

impl Stored {
    /// An order that is here, which the client calls `key`.
    fn placed(&self, id: &str, key: Option<&str>) -> Option<Placed> {
        let order = self.orders.get(id)?;
        let cart = Cart {
            order: id.to_owned(),
            items: order.items.clone(),
        };
        Some(Placed {
            key: key.map(ToOwned::to_owned),
            cart,
        })
    }
}

impl Here {
    fn stored(&self) -> MutexGuard<'_, Stored> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn placed(&self, customer: &Customer, key: &str) -> Option<Placed> {
        let stored = self.stored();
        let id = stored.by_key.get(&(customer.clone(), key.to_owned()))?;
        stored.placed(id, Some(key))
    }

    fn place(
        &self,
        customer: &Customer,
        key: Option<&str>,
        cart: &Cart,
    ) -> Result<Placed, Unavailable> {
        let mut stored = self.stored();
        let by_key = key.map(|key| (customer.clone(), key.to_owned()));
        let before = by_key.as_ref().and_then(|key| stored.by_key.get(key));
        if let Some(placed) = before.and_then(|id| stored.placed(id, key)) {
            return Ok(placed);
        }
        // By whichever key that was, it was another one.
        if let Some(placed) = stored.placed(&cart.order, None) {
            return Ok(placed);
        }
        if stored.orders.len() >= MOST_HERE {
            return Err(Unavailable {
                dependency: "memory",
                reason: format!("{MOST_HERE} orders are all that this process keeps"),
            });
        }
        let order = Order {
            items: cart.items.clone(),
            shipped: false,
        };
        stored.orders.insert(cart.order.clone(), order);
        if let Some(key) = by_key {
            stored.by_key.insert(key, cart.order.clone());
        }
        Ok(Placed {
            key: key.map(ToOwned::to_owned),
            cart: cart.clone(),
        })
    }

    /// Ships one that waits, if there is one.
    pub(crate) fn ship(&self) -> bool {
        let mut stored = self.stored();
        match stored.orders.values_mut().find(|order| !order.shipped) {
            Some(order) => {
                order.shipped = true;
                true
            }
            None => false,
        }
    }
}

/// In PostgreSQL.
pub(crate) struct InPostgres(pub Arc<Postgres>);

impl InPostgres {
    async fn place(
        &self,
        customer: &Customer,
        key: Option<&str>,
        cart: &Cart,
    ) -> Result<Placed, Unavailable> {
        let (id, customer_name) = (cart.order.clone(), customer.0.clone());
        let key = key.map(ToOwned::to_owned);
        let (own_key, items) = (key.clone(), serde_json::json!(cart.items).to_string());
        // One statement is one transaction: when it is answered, it is committed.
        let stored = self.0.ask("place", |client| async move {
            let values = texts(&[&id, &customer_name, &own_key, &items]);
            client.execute_typed(PLACE, &values).await
        });
        if stored.await? == 1 {
            let cart = cart.clone();
            return Ok(Placed { key, cart });
        }
        let placed = self.placed(customer, key.as_deref(), &cart.order).await?;
        placed.ok_or_else(|| self.0.unavailable("an order has vanished"))
    }

    async fn placed(
        &self,
        customer: &Customer,
        key: Option<&str>,
        id: &str,
    ) -> Result<Option<Placed>, Unavailable> {
        let (customer, id) = (customer.0.clone(), id.to_owned());
        let key = key.map(ToOwned::to_owned);
        let found = self.0.ask("find_placed", |client| async move {
            let values = texts(&[&customer, &key, &id]);
            let row = client.query_typed_opt(PLACED, &values).await?;
            row.map(|row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)))
                .transpose()
        });
        let found: Option<(String, String, Option<String>)> = found.await?;
        let placed = found.map(|(order, items, key)| {
            let items = serde_json::from_str(&items)?;
            let cart = Cart { order, items };
            Ok(Placed { key, cart })
        });
        let unread = |error: serde_json::Error| self.0.unavailable(error);
        placed.transpose().map_err(unread)
    }

    async fn find(&self, id: &str) -> Result<Option<Order>, Unavailable> {
        let id = id.to_owned();
        let found = self.0.ask("find", |client| async move {
            let row = client.query_typed_opt(BY_ID, &texts(&[&id])).await?;
            row.map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
                .transpose()
        });
        let found: Option<(String, bool)> = found.await?;
        let order = found.map(|(items, shipped)| {
            let items = serde_json::from_str(&items);
            items.map(|items| Order { items, shipped })
        });
        order.transpose().map_err(|e| self.0.unavailable(e))
    }

    async fn waiting(&self) -> Result<u64, Unavailable> {
        let count = self.0.ask("count_waiting", |client| async move {
            client.query_typed_one(WAITING, &[]).await?.try_get(0)
        });
        let count: i64 = count.await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }
}

/// Values that all are text. With their types said, a statement needs one round trip, and none is
/// left behind in the connection: a pooler (PgBouncer) between may give each another one.
fn texts<'a>(values: &[&'a (dyn ToSql + Sync)]) -> Vec<(&'a (dyn ToSql + Sync), Type)> {
    values.iter().map(|value| (*value, Type::TEXT)).collect()
}
