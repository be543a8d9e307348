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
use crate::sessions::Cart;

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
    ON CONFLICT (customer, idempotency_key) DO NOTHING";
const BY_KEY: &str = "SELECT id FROM orders WHERE customer = $1 AND idempotency_key = $2";
const BY_ID: &str = "SELECT items::text, shipped_at IS NOT NULL FROM orders WHERE id = $1";
const WAITING: &str = "SELECT count(*) FROM orders WHERE shipped_at IS NULL";

/// An order as its customer sees it.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub items: Cart,
    pub shipped: bool,
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

    /// Stores an order durably and gives its name, or that of the one that `key` had placed before;
    /// `true`: it is new.
    pub(crate) async fn place(
        &self,
        customer: &Customer,
        key: Option<&str>,
        items: &Cart,
    ) -> Result<(String, bool), Unavailable> {
        match self {
            Orders::Here(here) => here.place(customer, key, items),
            Orders::Postgres(postgres) => postgres.place(customer, key, items).await,
        }
    }

    /// The order that `key` has placed before, if it has.
    pub(crate) async fn placed(
        &self,
        customer: &Customer,
        key: &str,
    ) -> Result<Option<String>, Unavailable> {
        match self {
            Orders::Here(here) => Ok(here.placed(customer, key)),
            Orders::Postgres(postgres) => postgres.placed(customer, key).await,
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

impl Here {
    fn stored(&self) -> MutexGuard<'_, Stored> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn placed(&self, customer: &Customer, key: &str) -> Option<String> {
        let by_key = (customer.clone(), key.to_owned());
        self.stored().by_key.get(&by_key).cloned()
    }

    fn place(
        &self,
        customer: &Customer,
        key: Option<&str>,
        items: &Cart,
    ) -> Result<(String, bool), Unavailable> {
        let mut stored = self.stored();
        let by_key = key.map(|key| (customer.clone(), key.to_owned()));
        if let Some(placed) = by_key.as_ref().and_then(|key| stored.by_key.get(key)) {
            return Ok((placed.clone(), false));
        }
        if stored.orders.len() >= MOST_HERE {
            return Err(Unavailable {
                dependency: "memory",
                reason: format!("{MOST_HERE} orders are all that this process keeps"),
            });
        }
        let id = id::random();
        let order = Order {
            items: items.clone(),
            shipped: false,
        };
        stored.orders.insert(id.clone(), order);
        if let Some(key) = by_key {
            stored.by_key.insert(key, id.clone());
        }
        Ok((id, true))
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
        items: &Cart,
    ) -> Result<(String, bool), Unavailable> {
        let id = id::random();
        // One statement is one transaction: when it is answered, it is committed.
        let stored = self.0.ask("place", |client| {
            let items = serde_json::json!(items).to_string();
            let id = &id;
            async move {
                let values = texts(&[id, &customer.0, &key, &items]);
                client.execute_typed(PLACE, &values).await
            }
        });
        if stored.await? == 1 {
            return Ok((id, true));
        }
        match self.placed(customer, key.unwrap_or_default()).await? {
            Some(id) => Ok((id, false)),
            None => Err(self.0.unavailable("an order has vanished")),
        }
    }

    async fn placed(&self, customer: &Customer, key: &str) -> Result<Option<String>, Unavailable> {
        let found = self.0.ask("find_by_key", |client| async move {
            let values = texts(&[&customer.0, &key]);
            let row = client.query_typed_opt(BY_KEY, &values).await?;
            row.map(|row| row.try_get(0)).transpose()
        });
        found.await
    }

    async fn find(&self, id: &str) -> Result<Option<Order>, Unavailable> {
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
