//! Servers that hold the same, asked one after the other until one answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::{Client, Error, Settings, SetupError};

/// With a replica beside it, connecting to one takes at most this much, and at most a third of the
/// time of a request: a host that is gone answers nothing at all.
const CONNECT_MAX: Duration = Duration::from_secs(2);

/// The budget of a request is its limit here: rules may give their queries more time than the
/// backend gives the others.
const NO_LIMIT: Duration = Duration::from_secs(24 * 3600);

pub(super) struct Replicas {
    /// In the order of the file.
    clients: Vec<Arc<Client>>,
    of_flags: bool,
    /// The one to ask first: that which answered last.
    first: AtomicUsize,
}

impl Replicas {
    pub(super) fn new(replicas: &[Settings]) -> Result<Replicas, SetupError> {
        let several = replicas.len() > 1;
        let client = |settings: &Settings| {
            let connect = several.then(|| CONNECT_MAX.min(settings.timeout / 3));
            let settings = Settings {
                connect_timeout: settings.connect_timeout.or(connect),
                timeout: NO_LIMIT,
                ..settings.clone()
            };
            Client::new(&settings).map(Arc::new)
        };
        Ok(Replicas {
            clients: replicas.iter().map(client).collect::<Result<_, _>>()?,
            of_flags: replicas.iter().all(|it| it.backend.is_none()),
            first: AtomicUsize::new(0),
        })
    }

    /// Whether the flags define them.
    pub(super) fn is_of_flags(&self) -> bool {
        self.of_flags
    }

    /// Asks one after the other, all within `budget`. `ask` is told which and how much time is
    /// left.
    pub(super) async fn ask<T, A, F>(&self, budget: Duration, ask: A) -> Result<T, Error>
    where
        A: Fn(Arc<Client>, Duration) -> F,
        F: Future<Output = Result<T, Error>>,
    {
        let count = self.clients.len();
        let first = self.first.load(Ordering::Relaxed);
        let began = Instant::now();
        let mut failures: Vec<(usize, Error)> = Vec::new();
        for place in (first..first + count).map(|place| place % count) {
            let left = budget.saturating_sub(began.elapsed());
            if left.is_zero() && !failures.is_empty() {
                break;
            }
            match ask(Arc::clone(&self.clients[place]), left).await {
                Err(error) if error.may_be_better_elsewhere() && count > 1 => {
                    tracing::debug!(
                        server = self.clients[place].server(), %error, "asking another replica"
                    );
                    failures.push((place, error));
                }
                outcome => {
                    // One that hangs is not asked first the next time.
                    let hung = matches!(outcome, Err(Error::Timeout(_) | Error::Deadline));
                    let next = if hung { place + 1 } else { place };
                    self.first.store(next % count, Ordering::Relaxed);
                    return outcome;
                }
            }
        }
        failures.sort_by_key(|(place, _)| *place);
        Err(Error::Replicas(
            failures.into_iter().map(|(_, error)| error).collect(),
        ))
    }
}
