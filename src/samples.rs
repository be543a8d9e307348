//! Query to rows: fresh, shared, stale within a limit, or an error. Knows queries, not metrics.
//!
//! Promises:
//! - rows younger than the query's TTL answer at once; equal asks share one fetch, and a fetch goes
//!   on when those who wait for it hang up;
//! - whoever asks regularly does not wait: the next fetch is made ahead of the next ask;
//! - while newer rows cannot be had, the last ones are given for a limited time, with their own
//!   timestamps, and then an error with its cause; never an empty answer for a failed one;
//! - a query that fails is tried again with back-off and jitter, not at every ask;
//! - what is kept is bounded, in number and in bytes, and so are the requests that are open at one
//!   backend; a backend that hangs delays neither what is remembered nor another backend;
//! - rows belong to one backend and one text: nothing answers for another.

mod aside;
mod demand;
mod driving;
mod entry;
mod fetch;
mod forget;
mod rows;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use moka::notification::RemovalCause;
use moka::ops::compute::Op;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout_at};

pub use entry::{Answer, Freshness, Policy, Remembered};
pub use fetch::{fetch, fetch_at};
pub use rows::{Builder, Head, Labels, Point, Rows, Values};

use crate::pace;
use crate::prometheus::{Backend, Error, Partial};
use crate::telemetry::{self, Evicted, RequestId};
use driving::Driving;
use entry::{State, Step};

/// The first pause after a failure; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest pause after a failure: a backend that is back is seen within this time.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// How long an ask that has rows waits for newer ones after a failure.
const GLANCE: Duration = Duration::from_secs(1);

/// Rows that nobody has asked for so long are forgotten. Each roll-out makes new names, and so new
/// queries.
const IDLE: Duration = Duration::from_secs(3600);

/// What an entry takes besides its rows and its query's text: state, channels, the cache's own.
const ENTRY_BYTES: usize = 1024;

/// What is asked of which backend, and how long its rows hold. All of it is the identity of what is
/// remembered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Query {
    /// Whom it is asked of, with all that it is asked with: rows of one that has become another by
    /// a reload are not found any more.
    pub backend: Arc<Backend>,
    /// The text.
    pub promql: String,
    /// Texts that are asked as well, where one would be too long; the rows are put together.
    pub further: Vec<String>,
    /// Which labels of the rows matter.
    pub labels: Labels,
    /// More rows are an error.
    pub rows_max: usize,
    /// A fetch that takes longer is an error.
    pub timeout: Duration,
    /// How long before now it is evaluated for.
    pub offset: Duration,
    /// What becomes of it if the backend calls it incomplete.
    pub partial: Partial,
    /// How long they hold.
    pub policy: Policy,
}

impl Query {
    /// All that is asked.
    fn texts(&self) -> impl Iterator<Item = &str> {
        let further = self.further.iter().map(String::as_str);
        std::iter::once(self.promql.as_str()).chain(further)
    }
}

/// What is kept.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Queries that are remembered.
    pub entries: u64,
    /// What they and their rows take, in bytes.
    pub bytes: u64,
}

/// What a fetch gives: rows, or why there are none.
pub type Outcome = Result<Arc<Rows>, Arc<Error>>;

/// Asks a backend. It must end by itself, and soon.
pub type Fetch = Box<dyn Fn(Arc<Query>) -> BoxFuture<'static, Outcome> + Send + Sync>;

/// Remembers rows, and has them fetched. Its tasks end by themselves when nobody asks any more.
pub struct Samples {
    shared: Arc<Shared>,
}

struct Shared {
    fetch: Fetch,
    metrics: telemetry::Cache,
    entries: Cache<Arc<Query>, Arc<Entry>>,
    /// No entry may take more than all of it.
    bytes_max: u64,
}

/// One remembered query.
struct Entry {
    query: Arc<Query>,
    state: Mutex<State>,
    /// Wakes those who wait when a fetch has ended.
    ended: watch::Sender<()>,
    /// Wakes the driver: a fetch is wanted now.
    wanted: Notify,
    /// The request for which it is.
    asker: Mutex<Option<RequestId>>,
}

impl Samples {
    /// Remembers within `limits` what `fetch` gives; `metrics` tell what is forgotten.
    pub fn new(limits: Limits, fetch: Fetch, metrics: telemetry::Cache) -> Samples {
        metrics
            .bytes_max
            .set(i64::try_from(limits.bytes).unwrap_or(i64::MAX));
        let forgotten = metrics.clone();
        // One bound holds both: nothing counts for less than its share of the bytes.
        let least = limits.bytes / limits.entries.max(1);
        let weigher = move |_: &Arc<Query>, entry: &Arc<Entry>| {
            u32::try_from(entry.bytes().max(least)).unwrap_or(u32::MAX)
        };
        let entries = Cache::builder()
            .max_capacity(limits.bytes)
            .weigher(weigher)
            // The latest ask is the likeliest to come again: what is new is never turned away.
            .eviction_policy(EvictionPolicy::lru())
            .time_to_idle(IDLE)
            .eviction_listener(move |_, entry: Arc<Entry>, cause| {
                match cause {
                    RemovalCause::Size => forgotten.evicted(Evicted::Size),
                    RemovalCause::Expired => forgotten.evicted(Evicted::Idle),
                    RemovalCause::Explicit | RemovalCause::Replaced => {}
                }
                if cause != RemovalCause::Replaced {
                    // Its driver looks, and ends.
                    entry.wanted.notify_one();
                }
            })
            .build();
        Samples {
            shared: Arc::new(Shared {
                fetch,
                metrics,
                entries,
                bytes_max: limits.bytes,
            }),
        }
    }

    /// The rows of `query`, and how they came. After `deadline` the last rows, where they may
    /// still be given.
    ///
    /// # Errors
    /// The backend gives none, and there are no older ones that may still be given.
    pub async fn rows(&self, query: &Query, deadline: Instant) -> Answer {
        let policy = query.policy;
        let entry = self.entry(query);
        let (step, undriven, is_failing, mut ended) = {
            let (mut state, now) = (entry.lock(), Instant::now());
            let is_failing = state.is_failing(policy, now);
            let step = state.ask(policy, now);
            if let Step::Serve(rows, freshness) = step {
                return Ok((rows, freshness));
            }
            let undriven = matches!(step, Step::Fetch | Step::ServeAndFetch(_)) && state.drive();
            // Under the lock: no fetch ends unseen from now on.
            (step, undriven, is_failing, entry.ended.subscribe())
        };
        if matches!(step, Step::Fetch | Step::ServeAndFetch(_)) {
            entry.is_for(RequestId::current());
            match undriven {
                true => self.spawn_driver(Arc::clone(&entry)),
                false => entry.wanted.notify_one(),
            }
        }
        let shares = matches!(step, Step::Wait);
        // After a failure it may be well again, or hang: who has old rows looks for a moment only.
        let deadline = match is_failing {
            true => deadline.min(Instant::now() + GLANCE),
            false => deadline,
        };
        match step {
            Step::ServeAndFetch(rows) => return Ok((rows, Freshness::Stale)),
            Step::Fail(error) => return Err(error),
            Step::Serve(..) | Step::Wait | Step::Fetch => {}
        }
        // The sender lives as long as the entry does.
        let waited = timeout_at(deadline, ended.changed()).await;
        let state = entry.lock();
        let outcome = waited
            .is_ok()
            .then(|| state.outcome(policy, Instant::now()))
            .flatten();
        let outcome = match outcome {
            Some(Ok((rows, Freshness::Fetched))) if shares => Some(Ok((rows, Freshness::Shared))),
            outcome => outcome,
        };
        outcome.unwrap_or_else(|| match state.stale(policy, Instant::now()) {
            Some(rows) => Ok((rows, Freshness::Stale)),
            None => Err(Arc::new(Error::Deadline)),
        })
    }

    /// What is remembered of `query`, from now on.
    fn entry(&self, query: &Query) -> Arc<Entry> {
        let entries = &self.shared.entries;
        // Nearly always: a query of a thousand asks is not copied for each.
        if let Some(entry) = entries.get(query) {
            return entry;
        }
        let query = Arc::new(query.clone());
        entries.get_with_by_ref(&query, || Arc::new(Entry::new(Arc::clone(&query))))
    }

    /// The rows of `query` that may be given without asking for newer ones.
    pub fn remembered(&self, query: &Query) -> Option<Arc<Rows>> {
        let entry = self.shared.entries.get(query)?;
        let state = entry.lock();
        state.kept(query.policy, Instant::now())
    }

    /// Why the last fetch of `query` failed, if it did.
    pub fn failure(&self, query: &Query) -> Option<Arc<Error>> {
        let entry = self.shared.entries.get(query)?;
        let state = entry.lock();
        state.failure()
    }

    /// How many queries are remembered, about.
    pub fn len(&self) -> u64 {
        self.shared.entries.entry_count()
    }

    /// What they count for in bytes, about.
    pub fn weight(&self) -> u64 {
        self.shared.entries.weighted_size()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn spawn_driver(&self, entry: Arc<Entry>) {
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move { shared.drive(&entry).await });
    }
}

impl Shared {
    /// Makes the fetches of one entry, now and as long as somebody asks for it regularly.
    async fn drive(&self, entry: &Arc<Entry>) {
        let policy = entry.query.policy;
        let mut driving = Driving::new(entry);
        loop {
            driving.began = Instant::now();
            let fetch = (self.fetch)(Arc::clone(&entry.query));
            let outcome = RequestId::scope(entry.asker(), fetch).await;
            driving.ended(outcome);
            let is_kept = self.keep(entry);
            loop {
                let next = {
                    let mut state = entry.lock();
                    if state.is_fetching() {
                        break;
                    }
                    let next = state.next(policy, Instant::now()).filter(|_| is_kept);
                    let Some(next) = next else {
                        return state.undrive();
                    };
                    next
                };
                tokio::select! {
                    () = entry.wanted.notified() => {}
                    () = sleep_until(next) => {}
                }
                // Forgotten, and perhaps asked for anew: then another one drives.
                let is_kept = self.holds(entry);
                let mut state = entry.lock();
                if !is_kept && !state.is_fetching() {
                    return state.undrive();
                }
                if state.refresh(policy, Instant::now()) {
                    break;
                }
            }
        }
    }

    /// Whether this very entry is the one that is remembered.
    fn holds(&self, entry: &Arc<Entry>) -> bool {
        let held = self.entries.get(&entry.query);
        held.is_some_and(|held| Arc::ptr_eq(&held, entry))
    }

    /// Weighs an entry anew after a fetch; whether it goes on being remembered.
    fn keep(&self, entry: &Arc<Entry>) -> bool {
        let fits = entry.bytes() <= self.bytes_max;
        let mut is_kept = false;
        let selected = self.entries.entry_by_ref(&entry.query);
        selected.and_compute_with(|held| {
            let is_this = held.is_some_and(|held| Arc::ptr_eq(held.value(), entry));
            is_kept = is_this && fits;
            match (is_this, fits) {
                (true, true) => Op::Put(Arc::clone(entry)),
                // All others would have to go for it.
                (true, false) => Op::Remove,
                (false, _) => Op::Nop,
            }
        });
        if !fits {
            self.metrics.evicted(Evicted::Size);
        }
        is_kept
    }
}

impl Entry {
    fn new(query: Arc<Query>) -> Entry {
        Entry {
            query,
            state: Mutex::default(),
            ended: watch::Sender::new(()),
            wanted: Notify::new(),
            asker: Mutex::default(),
        }
    }

    /// The next fetch is made for this request. Those who share it have other names.
    fn is_for(&self, id: Option<RequestId>) {
        *self.asker.lock().unwrap_or_else(PoisonError::into_inner) = id;
    }

    /// The request that a fetch is made for; of one that is made ahead, none.
    fn asker(&self) -> Option<RequestId> {
        let mut asker = self.asker.lock().unwrap_or_else(PoisonError::into_inner);
        asker.take()
    }

    fn bytes(&self) -> u64 {
        let texts = self.query.texts().map(str::len).sum::<usize>();
        let bytes = ENTRY_BYTES + texts + self.lock().bytes();
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that holds this lock can panic and leave half a change behind.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Samples")
            .field("entries", &self.len())
            .finish_non_exhaustive()
    }
}

/// The pause after so many failures: doubled each time, and somewhat less at random. None where
/// nothing is to be remembered, failures neither.
fn pause(policy: Policy, failures: u32) -> Duration {
    if policy.ttl.is_zero() {
        return Duration::ZERO;
    }
    let nominal = FIRST_PAUSE
        .saturating_mul(1 << (failures - 1).min(16))
        .min(LONGEST_PAUSE);
    pace::jittered(nominal)
}

#[cfg(test)]
mod tests;
