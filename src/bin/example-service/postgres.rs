//! One connection to PostgreSQL that comes back by itself.
//!
//! There is no pool, on purpose. All statements here are short transactions by themselves, and the
//! client sends them one behind the other without waiting, so that one connection carries hundreds
//! a second. A pool of twenty in each replica is the usual way in which an elastic service takes
//! its database down: fifty replicas ask for a thousand connections, and PostgreSQL has a hundred.

use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, Semaphore};
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::dependency::{Dependency, Unavailable, with_causes};
use crate::metrics::Metrics;
use crate::orders::SCHEMA;

/// For one statement, with waiting for the connection.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// Statements that have no answer yet, with those that nobody waits for any more: what is sent
/// cannot be taken back. More would wait longer than anybody waits for them, so one more is refused
/// at once; a queue without an end stays long after the load that has filled it.
const MOST_OPEN: usize = 64;

/// After a failed try the next callers hear of it at once: a thousand requests that each try for
/// themselves keep a database from getting up.
const PAUSE: Duration = Duration::from_millis(500);

/// What the server has to know of each connection. A commit waits for the disk, whatever the
/// server's own setting is; a statement that nobody waits for any more ends; and so does a
/// transaction whose worker is gone, with its lock.
const OPTIONS: &str = "-c synchronous_commit=on -c statement_timeout=2000 \
                       -c idle_in_transaction_session_timeout=70000";

/// All replicas may come at the same time to a database without tables, and `IF NOT EXISTS` alone
/// does not keep two of them apart.
const IS_THERE: &str = "SELECT to_regclass('orders_waiting') IS NOT NULL";
const LOCK: &str = "SELECT pg_advisory_xact_lock(7366213)";

/// The one connection.
pub(crate) struct Postgres {
    config: Config,
    tls: MakeRustlsConnect,
    dependency: Dependency,
    connection: Arc<Mutex<Connection>>,
    places: Arc<Semaphore>,
}

enum Connection {
    None,
    Open(Arc<Client>),
    Failed(Instant, String),
}

/// Why a statement has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Connect(String),
    #[error("no connection within {CONNECT_WITHIN:?}")]
    TooSlow,
    #[error("{MOST_OPEN} statements wait for their answers")]
    Full,
    #[error("the statement ended without an answer")]
    Broken,
    #[error(transparent)]
    Statement(#[from] tokio_postgres::Error),
}

impl Postgres {
    /// Connects when first used: a replica starts without its database as well.
    pub(crate) fn new(
        mut config: Config,
        tls: rustls::ClientConfig,
        metrics: &Arc<Metrics>,
    ) -> Arc<Postgres> {
        let own = config.get_options().unwrap_or_default();
        let options = format!("{OPTIONS} {own}");
        config
            .options(options.trim_end())
            .application_name("example-service")
            // Half-dead connections, as after a lost node, end in seconds and not in hours.
            .tcp_user_timeout(Duration::from_secs(5))
            .keepalives_idle(Duration::from_secs(10));
        Arc::new(Postgres {
            config,
            tls: MakeRustlsConnect::new(tls),
            dependency: Dependency::new("postgres", ANSWER_WITHIN, metrics),
            connection: Arc::new(Mutex::new(Connection::None)),
            places: Arc::new(Semaphore::new(MOST_OPEN)),
        })
    }

    /// The failure of it, for `reason`.
    pub(crate) fn unavailable(&self, reason: impl Display) -> Unavailable {
        self.dependency.unavailable(reason)
    }

    /// Does one thing with the connection.
    ///
    /// # Errors
    /// When too many are asked already, or there is no connection, or the statement fails, or both
    /// take too long. Then nobody knows whether it was done: a statement must be such that it can
    /// be asked again.
    pub(crate) async fn ask<T, F>(
        self: &Arc<Self>,
        operation: &'static str,
        statement: impl FnOnce(Arc<Client>) -> F + Send + 'static,
    ) -> Result<T, Unavailable>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, tokio_postgres::Error>> + Send,
    {
        self.dependency.call(operation, self.send(statement)).await
    }

    async fn send<T, F>(
        self: &Arc<Self>,
        statement: impl FnOnce(Arc<Client>) -> F + Send + 'static,
    ) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, tokio_postgres::Error>> + Send,
    {
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| Failure::Full)?;
        let this = Arc::clone(self);
        // A task of its own, for it keeps its place until the answer, whoever waits for that.
        let answer = tokio::spawn(async move {
            let answer = statement(this.client().await?).await;
            drop(place);
            Ok(answer?)
        });
        answer.await.unwrap_or(Err(Failure::Broken))
    }

    /// Asks for nothing but an answer, within `dependency`'s time.
    pub(crate) async fn ping(self: &Arc<Self>, dependency: &Dependency) -> Result<(), Unavailable> {
        let ping = |client: Arc<Client>| async move { client.batch_execute("SELECT 1").await };
        dependency.call("ping", self.send(ping)).await
    }

    /// The connection, made now if there is none. Who comes while it is made waits for it.
    async fn client(self: &Arc<Self>) -> Result<Arc<Client>, Failure> {
        let mut connection = Arc::clone(&self.connection).lock_owned().await;
        match &*connection {
            Connection::Open(client) if !client.is_closed() => return Ok(Arc::clone(client)),
            Connection::Failed(when, why) if when.elapsed() < PAUSE => {
                return Err(Failure::Connect(why.clone()));
            }
            _ => {}
        }
        // A task of its own: whoever asks may have less time than connecting takes.
        let this = Arc::clone(self);
        let made = tokio::spawn(async move {
            match this.connect().await {
                Ok(client) => {
                    let client = Arc::new(client);
                    *connection = Connection::Open(Arc::clone(&client));
                    Ok(client)
                }
                Err(error) => {
                    let why = with_causes(&error);
                    *connection = Connection::Failed(Instant::now(), why.clone());
                    Err(Failure::Connect(why))
                }
            }
        });
        made.await
            .unwrap_or_else(|error| Err(Failure::Connect(error.to_string())))
    }

    /// A connection of its own, for transactions of more than one statement.
    ///
    /// # Errors
    /// When there is none in time.
    pub(crate) async fn connect(&self) -> Result<Client, Failure> {
        let made = tokio::time::timeout(CONNECT_WITHIN, self.connect_and_prepare()).await;
        made.unwrap_or(Err(Failure::TooSlow))
    }

    async fn connect_and_prepare(&self) -> Result<Client, Failure> {
        let (mut client, driver) = self.config.connect(self.tls.clone()).await?;
        // It sends and receives, and ends with the client or with the connection.
        tokio::spawn(async move {
            if let Err(error) = driver.await {
                let error = with_causes(&error);
                tracing::warn!(error, "lost the connection to PostgreSQL");
            }
        });
        // Making what is there already waits for all that write, and holds up those behind it.
        if client.query_typed_one(IS_THERE, &[]).await?.try_get(0)? {
            return Ok(client);
        }
        let transaction = client.transaction().await?;
        transaction.batch_execute(LOCK).await?;
        transaction.batch_execute(SCHEMA).await?;
        transaction.commit().await?;
        Ok(client)
    }
}
