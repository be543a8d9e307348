//! Ships the orders that wait, one after the other; any number of workers at the same time.
//!
//! The order is locked while it is shipped and marked in the same transaction: `SKIP LOCKED` lets
//! the next worker take the next order, and a worker that is killed loses its lock, so that another
//! one ships the order. What is done for an order may then be done twice, so it must not matter.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::dependency::with_causes;
use crate::metrics::Metrics;
use crate::orders::{Here, Orders};
use crate::postgres::Postgres;
use crate::stop::{Phase, Stop};

const NEXT: &str = "SELECT id FROM orders WHERE shipped_at IS NULL ORDER BY placed_at LIMIT 1 \
                    FOR UPDATE SKIP LOCKED";
const SHIPPED: &str = "UPDATE orders SET shipped_at = now() WHERE id = $1";

/// When no order waits.
const IDLE: Duration = Duration::from_millis(250);
/// After a failure.
const PAUSE: Duration = Duration::from_secs(1);
/// For one statement.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// What a worker needs.
pub(crate) struct Worker {
    pub metrics: Arc<Metrics>,
    /// For one order.
    pub ship_duration: Duration,
    /// Takes no further order when it is reached.
    pub stop: Stop,
}

impl Worker {
    /// Ships orders until it is to stop, and ends the one that it has.
    pub(crate) async fn ship(&self, orders: &Orders) {
        match orders {
            Orders::Here(here) => self.ship_here(here).await,
            Orders::Postgres(there) => self.ship_from_postgres(&there.0).await,
        }
    }

    async fn ship_from_postgres(&self, postgres: &Postgres) {
        let mut connection = None;
        while self.stop.phase() == Phase::Serving {
            let mut client = match connection.take() {
                Some(client) => client,
                None => match within(postgres.connect()).await {
                    Ok(client) => client,
                    Err(error) => {
                        tracing::warn!(error, "no connection to ship orders by");
                        self.pause(PAUSE).await;
                        continue;
                    }
                },
            };
            match self.ship_next(&mut client).await {
                Ok(shipped) => {
                    connection = Some(client);
                    if !shipped {
                        self.pause(IDLE).await;
                    }
                }
                Err(error) => {
                    tracing::warn!(error, "an order was not shipped, and will be");
                    self.pause(PAUSE).await;
                }
            }
        }
    }

    /// `false`: none waits.
    async fn ship_next(&self, client: &mut Client) -> Result<bool, String> {
        let transaction = within(client.transaction()).await?;
        let Some(row) = within(transaction.query_typed_opt(NEXT, &[])).await? else {
            return Ok(false);
        };
        let id: String = row.try_get(0).map_err(|error| with_causes(&error))?;
        tokio::time::sleep(self.ship_duration).await;
        within(transaction.execute_typed(SHIPPED, &[(&id, Type::TEXT)])).await?;
        within(transaction.commit()).await?;
        self.metrics.orders_shipped.inc();
        tracing::debug!(order = id, "shipped");
        Ok(true)
    }

    async fn ship_here(&self, orders: &Here) {
        while self.stop.phase() == Phase::Serving {
            self.pause(self.ship_duration.max(Duration::from_millis(1)))
                .await;
            if orders.ship() {
                self.metrics.orders_shipped.inc();
            } else {
                self.pause(IDLE).await;
            }
        }
    }

    /// Waits, unless there is an end.
    async fn pause(&self, long: Duration) {
        // Time-out or end: the caller looks which.
        let _ = tokio::time::timeout(long, self.stop.reached(Phase::Leaving)).await;
    }
}

async fn within<T, E: Error>(work: impl Future<Output = Result<T, E>>) -> Result<T, String> {
    match tokio::time::timeout(ANSWER_WITHIN, work).await {
        Ok(done) => done.map_err(|error| with_causes(&error)),
        Err(_) => Err(format!("no answer within {ANSWER_WITHIN:?}")),
    }
}
