//! Servers that hold the same, asked one after the other until one answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use tokio::time::Instant;

use super::{Client, Error, Settings, SetupError};
use crate::telemetry::ServerLabels;

/// With a replica beside it, connecting to one takes at most this much, and at most a third of the
/// time of a request: a host that is gone answers nothing at all.
const CONNECT_MAX: Duration = Duration::from_secs(2);

/// The budget of a request is its limit here: rules may give their queries more time than the
/// backend gives the others.
const NO_LIMIT: Duration = Duration::from_secs(24 * 3600);

/// All clients of a backend.
pub(super) struct Clients {
    pub(super) queries: Replicas,
    /// Of their own: their answers may be larger and take longer, and a connection that hangs on
    /// one never holds up a query.
    pub(super) listing: Replicas,
}

pub(super) struct Replicas {
    /// In the order of the file.
    all: Vec<Replica>,
    /// The one to ask first: that which answered last.
    first: AtomicUsize,
}

struct Replica {
    client: Arc<Client>,
    /// How many requests it has answered, well or with a reason against what was asked.
    answered: AtomicU64,
}

impl Replicas {
    /// How long their answers take is observed in `took`.
    pub(super) fn new(
        replicas: &[Settings],
        took: &Family<ServerLabels, Histogram>,
    ) -> Result<Replicas, SetupError> {
        let several = replicas.len() > 1;
        let replica = |settings: &Settings| -> Result<Replica, SetupError> {
            let connect = several.then(|| CONNECT_MAX.min(settings.timeout / 3));
            let settings = Settings {
                connect_timeout: settings.connect_timeout.or(connect),
                timeout: NO_LIMIT,
                ..settings.clone()
            };
            Ok(Replica {
                client: Arc::new(Client::new(&settings)?.observed(took)),
                answered: AtomicU64::new(0),
            })
        };
        Ok(Replicas {
            all: replicas.iter().map(replica).collect::<Result<_, _>>()?,
            first: AtomicUsize::new(0),
        })
    }

    /// Asks one after the other, all within `budget`. `ask` is told which and how much time is
    /// left.
    pub(super) async fn ask<T, A, F>(&self, budget: Duration, ask: A) -> Result<T, Error>
    where
        A: Fn(Arc<Client>, Duration) -> F,
        F: Future<Output = Result<T, Error>>,
    {
        let count = self.all.len();
        let first = self.first.load(Ordering::Relaxed);
        let began = Instant::now();
        let mut failures: Vec<(usize, Error)> = Vec::new();
        for place in (first..first + count).map(|place| place % count) {
            let left = budget.saturating_sub(began.elapsed());
            if left.is_zero() && !failures.is_empty() {
                break;
            }
            let replica = &self.all[place];
            let answered = replica.answered.load(Ordering::Relaxed);
            let outcome = ask(Arc::clone(&replica.client), left).await;
            match outcome {
                Ok(found) => {
                    self.answered(place);
                    return Ok(found);
                }
                Err(error) if error.is_about_the_query() => {
                    if error.is_stated() {
                        self.answered(place);
                    }
                    return Err(error);
                }
                Err(error @ (Error::Timeout(_) | Error::Deadline)) => {
                    self.hung(place, answered);
                    failures.push((place, error));
                    break;
                }
                Err(error) => {
                    tracing::debug!(
                        server = replica.client.server(), %error, "asking another replica"
                    );
                    failures.push((place, error));
                }
            }
        }
        failures.sort_by_key(|(place, _)| *place);
        let mut failures: Vec<Error> = failures.into_iter().map(|(_, error)| error).collect();
        match (failures.pop(), failures.is_empty()) {
            (Some(only), true) => Err(only),
            (last, _) => {
                failures.extend(last);
                Err(Error::Replicas(failures))
            }
        }
    }

    fn answered(&self, place: usize) {
        self.all[place].answered.fetch_add(1, Ordering::Relaxed);
        self.first.store(place, Ordering::Relaxed);
    }

    /// One that hangs is not asked first the next time. A query that takes too long is no sign of
    /// that, where others have been answered since it began.
    fn hung(&self, place: usize, answered: u64) {
        if self.all[place].answered.load(Ordering::Relaxed) == answered {
            let next = (place + 1) % self.all.len();
            // Where others have moved on already there is nothing to do.
            let _ = self
                .first
                .compare_exchange(place, next, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}
