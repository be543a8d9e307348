//! What one relist asks of Prometheus: each question once, a few at a time, each within its time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, Shared, join_all};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::Settings;
use crate::prometheus::decode::NAMES_MAX;
use crate::prometheus::{self, Backend, Notes, Partial, Refusal};
use crate::registry::{Answers, Listing, Question};

/// How many of a backend's places a relist takes at most, in fifths: 8 of 20. The others are for
/// asks.
const WELL_FIFTHS: usize = 2;

/// The same, for rules that failed the last time.
const DOUBTFUL_FIFTHS: usize = 1;

/// With so few places a relist takes one in all, and none for longer than a query may: the next ask
/// would wait behind it.
const FEW: usize = 2;

/// The label that holds a series' name.
const METRIC_NAME: &str = "__name__";

type Answer = Result<Arc<(Found, Notes)>, Arc<prometheus::Error>>;
type Pending = Shared<BoxFuture<'static, Answer>>;

/// The answer to one question.
enum Found {
    Set(BTreeSet<String>),
    Series(Listing),
}

/// In which queue a question waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queue {
    /// That of rules that were listed the last time, or never asked.
    Well,
    /// That of rules that failed.
    Doubtful,
}

/// The places of a backend that relists may take, whatever makes them: a round, and rules that are
/// new beside it.
#[derive(Clone, Debug)]
pub(super) struct Queues {
    well: Arc<Semaphore>,
    doubtful: Arc<Semaphore>,
}

/// The questions of one relist of a backend: each is asked once, however many rules have it.
pub(super) struct Asking {
    backend: Arc<Backend>,
    since: jiff::Timestamp,
    deadline: Instant,
    queues: Queues,
    asked: std::sync::Mutex<BTreeMap<Question, Pending>>,
}

impl Asking {
    pub(super) fn new(backend: &Arc<Backend>, queues: &Queues, settings: Settings) -> Asking {
        let now = jiff::Timestamp::now();
        let deadline = Instant::now() + settings.deadline;
        Asking {
            since: now
                .checked_sub(settings.max_age)
                .unwrap_or(jiff::Timestamp::UNIX_EPOCH),
            deadline,
            queues: queues.clone(),
            asked: std::sync::Mutex::default(),
            backend: Arc::clone(backend),
        }
    }

    /// Asks, and adds what is answered to `answers`. The first failure is told.
    pub(super) async fn ask(
        &self,
        (queue, partial): (Queue, Partial),
        questions: Vec<Question>,
        answers: &mut Answers,
    ) -> Result<(), Arc<prometheus::Error>> {
        let pending = questions.into_iter().map(|question| async {
            let answer = self.pending(queue, question.clone()).await;
            (question, answer)
        });
        for (question, answer) in join_all(pending).await {
            let answer = answer?;
            let (found, notes) = &*answer;
            self.backend.check(partial, notes).map_err(Arc::new)?;
            match found {
                Found::Set(names) => answers.sets.insert(question, names.clone()).map(drop),
                Found::Series(listing) => {
                    answers.series.insert(question, listing.clone()).map(drop)
                }
            };
        }
        Ok(())
    }

    fn pending(&self, queue: Queue, question: Question) -> Pending {
        let mut asked = self
            .asked
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(pending) = asked.get(&question) {
            return pending.clone();
        }
        let backend = Arc::clone(&self.backend);
        let slots = Arc::clone(match queue {
            Queue::Well => &self.queues.well,
            Queue::Doubtful => &self.queues.doubtful,
        });
        let (since, deadline) = (self.since, self.deadline);
        let longest = longest(&question, backend.concurrency(), backend.timeout());
        let wanted = question.clone();
        let answer = async move {
            let asked = async {
                let _slot = slots.acquire_owned().await;
                let left = deadline.saturating_duration_since(Instant::now());
                let budget = left.min(longest);
                answer(&backend, &wanted, since, budget).await
            };
            let answer = timeout_at(deadline, asked).await;
            let answer = answer.unwrap_or_else(|_| Err(backend.out_of_time(wanted.kind())));
            answer.map(Arc::new).map_err(Arc::new)
        };
        let pending = answer.boxed().shared();
        asked.insert(question, pending.clone());
        pending
    }
}

impl Queues {
    /// The places of both, of so many at the backend. One at least is left for asks, where there
    /// is more than one.
    pub(super) fn new(concurrency: usize) -> Queues {
        let places = |fifths: usize| Arc::new(Semaphore::new((concurrency * fifths / 5).max(1)));
        let well = places(WELL_FIFTHS);
        let doubtful = match concurrency <= FEW {
            true => Arc::clone(&well),
            false => places(DOUBTFUL_FIFTHS),
        };
        Queues { well, doubtful }
    }
}

/// The longest that a question may take at a backend with so many places that gives a query
/// `timeout`.
fn longest(question: &Question, concurrency: usize, timeout: Duration) -> Duration {
    match question {
        // As long as there is time: it streams.
        Question::Series(_) if concurrency > FEW => Duration::MAX,
        Question::Series(_) | Question::Names(_) | Question::Labels(_) => timeout,
    }
}

async fn answer(
    backend: &Backend,
    question: &Question,
    since: jiff::Timestamp,
    budget: Duration,
) -> Result<(Found, Notes), prometheus::Error> {
    let set =
        |(names, notes): (Vec<String>, Notes)| (Found::Set(names.into_iter().collect()), notes);
    match question {
        Question::Names(selector) => backend
            .label_values(METRIC_NAME, selector, since, budget)
            .await
            .map(set),
        Question::Labels(selector) => backend.labels(selector, since, budget).await.map(set),
        Question::Series(selector) => {
            let listing = backend
                .series(selector, since, budget, Listing::new(), add_series)
                .await;
            listing.map(|(listing, notes)| (Found::Series(listing), notes))
        }
    }
}

/// Folds one series to its name and labels; their values are nobody's business here.
fn add_series(listing: &mut Listing, series: Vec<(String, String)>) -> Result<(), Refusal> {
    let name = series.iter().find(|(label, _)| label == METRIC_NAME);
    let Some((_, name)) = name else { return Ok(()) };
    if listing.len() >= NAMES_MAX && !listing.contains_key(name) {
        return Err(Refusal(format!(
            "more than {NAMES_MAX} names: narrow the seriesQuery"
        )));
    }
    let labels = listing.entry(name.clone()).or_default();
    for (label, _) in series {
        if label != METRIC_NAME && !labels.contains(&label) {
            labels.insert(label);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relist_leaves_a_place_for_asks_and_holds_an_only_one_no_longer_than_a_query() {
        let timeout = Duration::from_secs(10);
        let series = Question::Series("up".to_owned());
        for concurrency in 1..=100 {
            let Queues { well, doubtful } = Queues::new(concurrency);
            let mut taken = Vec::new();
            for queue in [&well, &doubtful, &well] {
                while let Ok(place) = queue.try_acquire() {
                    taken.push(place);
                }
            }
            assert!(!taken.is_empty());
            assert!(taken.len() < concurrency.max(2), "{concurrency}");
            let is_held = longest(&series, concurrency, timeout) > timeout;
            assert_eq!(is_held, concurrency > 2);
        }
        let Queues { well, doubtful } = Queues::new(20);
        assert_eq!(
            (well.available_permits(), doubtful.available_permits()),
            (8, 4)
        );
        assert_eq!(longest(&series, 20, timeout), Duration::MAX);
    }
}
