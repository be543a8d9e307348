//! One backend: a server or several replicas of one, and how much is asked of it at a time.
//!
//! This is the choke point: whatever is asked of a backend, by asks or by the relist, goes through
//! here. It promises:
//! - the backend's matchers are in every selector that is sent, or nothing is sent (`promql`);
//! - no more requests are open than its concurrency, whoever asks; waiting for a place ends with
//!   the request's own budget;
//! - replicas are asked in turn, the one that answered last first, all within one deadline; the
//!   rows of two are never mixed, not even those of a query that is asked in parts;
//! - every request is counted, and errors name the backend where it is not that of the flags;
//! - it is what its plan says: two of one plan are one, so what one has answered holds for the
//!   other, and what any other has answered does not;
//! - one that is closed has no clients and no connections any more, whoever still holds it.

mod gate;
mod identity;
mod parts;
mod plan;
mod replicas;

use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use tokio::time::Instant;

use super::{Answer, Client, Error, Notes, Partial, Refusal, Sample, Settings, SetupError};
use crate::journal::{Ended, Upstream};
use crate::telemetry::{BackendLabel, Limit, Metrics, Trouble};
use gate::Gate;
use parts::Parts;
pub use plan::Plan;
use replicas::{Clients, Replicas};

/// More requests at one time are more than any server works on (Prometheus takes 20 by default,
/// `--query.max-concurrency`).
pub const CONCURRENCY_MAX: usize = 10_000;

/// As metrics name what asks want; whatever else is asked is for a relist.
const QUERY: &str = "query";

/// Requests in a row that fail before the log says so. One may be a query that takes too long.
const FAILURES: u32 = 3;

/// All backends, by the numbers that rules know them by.
pub type Backends = Vec<Arc<Backend>>;

/// One instant query.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The text, without the backend's own matchers.
    pub promql: &'a str,
    /// The other parts of a query that would be too long as one. One replica answers all.
    pub further: &'a [String],
    /// When it is evaluated for.
    pub at: Timestamp,
    /// The longest that it may take, waiting for a place included.
    pub budget: Duration,
    /// What becomes of an answer that is incomplete.
    pub partial: Partial,
}

/// A backend. Share it: what is open is counted in it.
pub struct Backend {
    plan: Plan,
    /// The hash of the plan.
    hash: u64,
    /// Whether the flags define it.
    is_of_flags: bool,
    /// `None`: it is closed.
    clients: ArcSwapOption<Clients>,
    timeout: Duration,
    gate: Gate,
    /// What the log knows.
    trouble: Trouble,
    metrics: Arc<Metrics>,
    journal: Option<Arc<Upstream>>,
}

impl Backend {
    /// Checks the settings and reads the files they name. Nothing is dialled.
    ///
    /// # Errors
    /// The settings of a replica cannot be used.
    pub fn new(plan: &Plan, metrics: Arc<Metrics>) -> Result<Backend, SetupError> {
        let listing: Vec<Settings> = plan.replicas.iter().map(|it| plan.listing(it)).collect();
        let label = BackendLabel {
            backend: plan.name.clone(),
        };
        let timeout = plan.replicas.iter().map(|it| it.timeout).max();
        Ok(Backend {
            hash: BuildHasherDefault::<DefaultHasher>::default().hash_one(plan),
            is_of_flags: plan.replicas.iter().all(|it| it.backend.is_none()),
            clients: ArcSwapOption::from_pointee(Clients {
                queries: Replicas::new(&plan.replicas, &metrics.server_took)?,
                listing: Replicas::new(&listing, &metrics.server_took)?,
            }),
            timeout: timeout.unwrap_or_default(),
            gate: Gate::new(
                plan.concurrency,
                metrics.upstream_open.get_or_create_owned(&label),
                metrics.upstream_waiting.get_or_create_owned(&label),
            ),
            trouble: Trouble::after(FAILURES),
            metrics,
            journal: None,
            plan: plan.clone(),
        })
    }

    /// The same, with its requests told to the status page.
    #[must_use]
    pub fn noted(self, journal: Option<Arc<Upstream>>) -> Backend {
        Backend { journal, ..self }
    }

    /// Nobody asks it any more. Requests under way are answered.
    pub fn close(&self) {
        self.clients.store(None);
    }

    /// Whether that was said.
    pub fn is_closed(&self) -> bool {
        self.clients.load().is_none()
    }

    /// What it is made of.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// As rules and metrics know it.
    pub fn name(&self) -> &str {
        &self.plan.name
    }

    /// The longest that one query may take.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// How many requests may be open at one time.
    pub fn concurrency(&self) -> usize {
        self.plan.concurrency
    }

    /// Evaluates a query, and its further parts after it. `fold` gets each sample in the server's
    /// order and may refuse to go on; where another replica is asked, it begins anew with `init`
    /// and the first part.
    ///
    /// # Errors
    /// Why there is no answer; only an `Ok` is whole.
    pub async fn query<T, F>(
        &self,
        question: Question<'_>,
        init: T,
        fold: F,
    ) -> Result<Answer<T>, Error>
    where
        T: Clone + Send + Sync + 'static,
        F: FnMut(&mut T, Sample) -> Result<(), Refusal> + Clone + Send + Sync + 'static,
    {
        let Question {
            promql,
            further,
            at,
            budget,
            partial,
        } = question;
        let began = Instant::now();
        let answer = async {
            let texts = std::iter::once(promql).chain(further.iter().map(String::as_str));
            let enforced = &self.plan.enforced;
            let texts = texts.map(|text| enforced.apply(text).map_err(Error::NotEnforced));
            let texts = texts.collect::<Result<Vec<String>, Error>>()?;
            let parts = Parts { texts: &texts, at };
            let ask = |client: Arc<Client>, left: Duration| {
                let folding = (init.clone(), fold.clone());
                let see = |notes: &Notes| {
                    self.note(notes);
                    partial.check(notes)
                };
                async move { parts.ask(&client, left, folding, see).await }
            };
            let answer = self.ask(|it| &it.queries, budget, ask).await?;
            for _ in further {
                self.metrics.count_upstream(&self.plan.name, QUERY, None);
            }
            Ok(answer)
        };
        self.told(QUERY, began, answer.await)
    }

    /// The values that the label `name` has on series that match `matcher` and have samples since
    /// `start`.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn label_values(
        &self,
        name: &str,
        matcher: &str,
        start: Timestamp,
        budget: Duration,
    ) -> Result<(Vec<String>, Notes), Error> {
        let began = Instant::now();
        let answer = self.list(matcher, budget, |client, matcher, left| {
            let name = name.to_owned();
            async move { client.label_values(&name, &matcher, start, left).await }
        });
        self.told("names", began, answer.await)
    }

    /// The names of the labels on series that match `matcher` and have samples since `start`.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn labels(
        &self,
        matcher: &str,
        start: Timestamp,
        budget: Duration,
    ) -> Result<(Vec<String>, Notes), Error> {
        let began = Instant::now();
        let answer = self.list(matcher, budget, |client, matcher, left| async move {
            client.labels(&matcher, start, left).await
        });
        self.told("labels", began, answer.await)
    }

    /// The series that match `matcher` and have samples since `start`, one label set at a time.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn series<T, F>(
        &self,
        matcher: &str,
        start: Timestamp,
        budget: Duration,
        init: T,
        fold: F,
    ) -> Result<(T, Notes), Error>
    where
        T: Clone + Send + Sync + 'static,
        F: FnMut(&mut T, Vec<(String, String)>) -> Result<(), Refusal>
            + Clone
            + Send
            + Sync
            + 'static,
    {
        let began = Instant::now();
        let answer = self.list(matcher, budget, |client, matcher, left| {
            let (init, fold) = (init.clone(), fold.clone());
            async move { client.series(&matcher, start, left, init, fold).await }
        });
        self.told("series", began, answer.await)
    }

    /// Asks for a list of names.
    async fn list<T, A, F>(
        &self,
        matcher: &str,
        budget: Duration,
        ask: A,
    ) -> Result<(T, Notes), Error>
    where
        A: Fn(Arc<Client>, String, Duration) -> F,
        F: Future<Output = Result<(T, Notes), Error>>,
    {
        let enforced = &self.plan.enforced;
        let matcher = enforced.apply(matcher).map_err(Error::NotEnforced)?;
        let ask = |client, left| ask(client, matcher.clone(), left);
        let answer = self.ask(|it| &it.listing, budget, ask).await;
        let (found, notes) = answer.map_err(|error| match error {
            Error::Timeout(_) | Error::Deadline if budget == self.timeout => Error::Timeout(budget),
            // What a relist had left is another time each time.
            Error::Timeout(_) => Error::Deadline,
            error => error,
        })?;
        self.note(&notes);
        Ok((found, notes))
    }

    /// Waits for a place and asks the replicas, all within `budget`.
    async fn ask<T, A, F>(
        &self,
        replicas: impl Fn(&Clients) -> &Replicas,
        budget: Duration,
        ask: A,
    ) -> Result<T, Error>
    where
        A: Fn(Arc<Client>, Duration) -> F,
        F: Future<Output = Result<T, Error>>,
    {
        let (_place, waited) = self.gate.enter(budget).await?;
        let left = budget.saturating_sub(waited);
        let Some(clients) = self.clients.load_full() else {
            tracing::error!(backend = self.plan.name, "asked after it was closed");
            return Err(Error::Internal);
        };
        let outcome = replicas(&clients).ask(left, ask).await;
        outcome.map_err(|error| match error {
            Error::Deadline if waited.is_zero() => Error::Timeout(budget),
            error => error,
        })
    }

    fn note(&self, notes: &Notes) {
        self.metrics
            .count_notes(&self.plan.name, notes.warnings.count, notes.partial);
    }

    /// Says whether an answer with these notes may be used.
    ///
    /// # Errors
    /// It is incomplete, and that is refused.
    pub fn check(&self, partial: Partial, notes: &Notes) -> Result<(), Error> {
        partial.check(notes).map_err(|error| self.named(error))
    }

    /// Counts a request of a relist for which no time was left before it could be sent or answered,
    /// and gives its error.
    pub fn out_of_time(&self, kind: &'static str) -> Error {
        let error = Error::Deadline;
        self.metrics.reached.count(Limit::RelistTimeout);
        self.metrics
            .count_upstream(&self.plan.name, kind, Some(error.class()));
        self.named(error)
    }

    /// Counts an outcome, and says where an error happened.
    fn told<T>(
        &self,
        kind: &'static str,
        began: Instant,
        outcome: Result<T, Error>,
    ) -> Result<T, Error> {
        let class = outcome.as_ref().err().map(Error::class);
        let (took, name) = (began.elapsed(), &self.plan.name);
        self.metrics.observe_upstream(name, kind, class, took);
        let limit = outcome.as_ref().err();
        if let Some(limit) = limit.and_then(|it| it.limit(kind != QUERY)) {
            self.metrics.reached.count(limit);
        }
        self.log(outcome.as_ref().err());
        if let Some(journal) = &self.journal {
            let ended = match &outcome {
                Ok(_) => Ended::Well,
                Err(error) if error.is_of_server() && !error.is_trouble() => Ended::Refused(error),
                Err(error @ Error::NotEnforced(_)) => Ended::Refused(error),
                Err(error) => Ended::Failed(error),
            };
            journal.note(took, ended, Timestamp::now());
        }
        outcome.map_err(|error| self.named(error))
    }

    /// Says once that the backend fails, and once that it is well again.
    fn log(&self, error: Option<&Error>) {
        let (backend, now) = (&self.plan.name, Instant::now());
        match error {
            Some(error) if error.is_trouble() => {
                let error = error.to_string();
                if self.trouble.failed(&error, now) {
                    tracing::warn!(backend, error, "Prometheus fails: last values, then errors");
                }
            }
            _ => {
                if self.trouble.went_well(now) {
                    tracing::info!(backend, "Prometheus answers again");
                }
            }
        }
    }

    /// An error says where it happened, unless there is only the backend that everybody knows.
    fn named(&self, error: Error) -> Error {
        match self.is_of_flags {
            true => error,
            false => Error::Backend {
                name: self.plan.name.clone(),
                error: Box::new(error),
            },
        }
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend")
            .field("name", &self.plan.name)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests;
