//! One connection to PostgreSQL that comes back by itself.
//!
//! There is no pool, on purpose. All statements here are short transactions by themselves, and the
//! client sends them one behind the other without waiting, so that one connection carries hundreds
//! a second. A pool of twenty in each replica is the usual way in which an elastic service takes
//! its database down: fifty replicas ask for a thousand connections, and PostgreSQL has a hundred.

use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::dependency::{Dependency, Unavailable, with_causes};
use crate::metrics::Metrics;
use crate::orders::SCHEMA;

/// For one statement, with waiting for the connection.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

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
const LOCK: &str = "SELECT pg_advisory_xact_lock(7366213)";

/// The one connection.
pub(crate) struct Postgres {
    config: Config,
    tls: MakeRustlsConnect,
    dependency: Dependency,
    connection: Arc<Mutex<Connection>>,
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
        })
    }

    /// The failure of it, for `reason`.
    pub(crate) fn unavailable(&self, reason: impl Display) -> Unavailable {
        self.dependency.unavailable(reason)
    }

    /// Does one thing with the connection.
    ///
    /// # Errors
    /// When there is no connection, or the statement fails, or both take too long. Then nobody
    /// knows whether it was done: a statement must be such that it can be asked again.
    pub(crate) async fn ask<T, F>(
        self: &Arc<Self>,
        operation: &'static str,
        statement: impl FnOnce(Arc<Client>) -> F,
    ) -> Result<T, Unavailable>
    where
        F: Future<Output = Result<T, tokio_postgres::Error>>,
    {
        let answer = async { Ok::<_, Failure>(statement(self.client().await?).await?) };
        self.dependency.call(operation, answer).await
    }

    /// Asks for nothing but an answer, within `dependency`'s time.
    pub(crate) async fn ping(self: &Arc<Self>, dependency: &Dependency) -> Result<(), Unavailable> {
        let answer =
            async { Ok::<_, Failure>(self.client().await?.batch_execute("SELECT 1").await?) };
        dependency.call("ping", answer).await
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
        let transaction = client.transaction().await?;
        transaction.batch_execute(LOCK).await?;
        transaction.batch_execute(SCHEMA).await?;
        transaction.commit().await?;
        Ok(client)
    }
}
