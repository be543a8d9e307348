//! What is remembered of one query, and what an ask for it should do now. Time comes in as a value.
//!
//! ```text
//!            ttl                    stale grace
//! fetched ├────────┤ asks fetch, and wait ├───────────┤ an error, with its cause
//!            fresh       failing: the last rows, at once
//! ```
//!
//! Whoever asks regularly never waits: the next fetch is made shortly before the next ask is due.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Outcome;
use super::demand::Demand;
use super::rows::Rows;
use crate::prometheus::Error;

/// The shortest time before rows end that newer ones are fetched ahead.
const LEAD_MIN: Duration = Duration::from_millis(200);

/// How long rows hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Policy {
    /// How old rows may be and count as now (`--query-ttl`).
    pub ttl: Duration,
    /// For how much longer they are given while newer ones cannot be had (`--stale-grace`).
    pub stale_grace: Duration,
}

/// How the rows of an answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Fetched for this ask.
    Fetched,
    /// Fetched for another ask that came a moment earlier.
    Shared,
    /// Fetched for another ask, or ahead, within the time they hold.
    Fresh,
    /// Older than that: newer ones cannot be had.
    Stale,
}

impl Freshness {
    /// For a metric's label.
    pub fn word(self) -> &'static str {
        match self {
            Freshness::Fetched => "fetched",
            Freshness::Shared => "shared",
            Freshness::Fresh => "fresh",
            Freshness::Stale => "stale",
        }
    }
}

/// Rows and how they came, or why there are none.
pub type Answer = Result<(Arc<Rows>, Freshness), Arc<Error>>;

/// What is remembered of one query.
#[derive(Clone, Debug)]
pub struct Remembered {
    /// The last rows that may still be given, and how old they are.
    pub rows: Option<(Arc<Rows>, Duration)>,
    /// Whether they count as now.
    pub is_fresh: bool,
    /// Why the last fetch failed, if it did.
    pub failure: Option<Arc<Error>>,
}

/// What to do about an ask.
#[derive(Debug)]
pub(super) enum Step {
    /// These rows answer it.
    Serve(Arc<Rows>, Freshness),
    /// These rows answer it, and somebody should look whether newer ones can be had by now.
    ServeAndFetch(Arc<Rows>),
    /// Wait for the fetch under way.
    Wait,
    /// Begin a fetch and wait for it.
    Fetch,
    /// There is no answer now, and it is too early to try again.
    Fail(Arc<Error>),
}

/// All that is known of one query.
#[derive(Debug, Default)]
pub(super) struct State {
    held: Option<(Arc<Rows>, Instant)>,
    failure: Option<Failure>,
    /// A fetch is wanted or under way.
    fetching: bool,
    /// Somebody makes the fetches.
    driven: bool,
    last: Option<Outcome>,
    demand: Demand,
}

#[derive(Debug)]
struct Failure {
    error: Arc<Error>,
    count: u32,
    retry: Instant,
}

impl State {
    /// Takes note of an ask, and says what to do about it. Where the answer is a fetch, the caller
    /// begins one.
    pub(super) fn ask(&mut self, policy: Policy, now: Instant) -> Step {
        self.demand.note(policy.ttl, now);
        if let Some((rows, fetched)) = &self.held
            && now.duration_since(*fetched) < policy.ttl
        {
            return Step::Serve(Arc::clone(rows), Freshness::Fresh);
        }
        let stale = self.stale(policy, now);
        let Some(failure) = &self.failure else {
            return if self.fetching {
                Step::Wait
            } else {
                self.begin(Step::Fetch)
            };
        };
        // It failed the last time: nobody waits long for that again who can have something.
        let due = !self.fetching && now >= failure.retry;
        match stale {
            Some(rows) if due && self.driven => self.begin(Step::ServeAndFetch(rows)),
            Some(_) if due => self.begin(Step::Fetch),
            Some(rows) => Step::Serve(rows, Freshness::Stale),
            None if self.fetching => Step::Wait,
            None if due => self.begin(Step::Fetch),
            None => Step::Fail(Arc::clone(&failure.error)),
        }
    }

    fn begin(&mut self, step: Step) -> Step {
        self.fetching = true;
        step
    }

    /// Whether a fetch should begin ahead of the next ask; if so it counts as begun.
    pub(super) fn refresh(&mut self, policy: Policy, now: Instant) -> bool {
        let due = !self.fetching && self.due(policy, now).is_some_and(|due| due <= now);
        self.fetching |= due;
        due
    }

    /// When to look again whether a fetch is due; `None`: nobody is expected to ask again.
    pub(super) fn next(&self, policy: Policy, now: Instant) -> Option<Instant> {
        let due = self.due(policy, now)?;
        Some(due.min(self.demand.given_up()?))
    }

    /// When the next fetch ahead is due.
    fn due(&self, policy: Policy, now: Instant) -> Option<Instant> {
        if policy.ttl.is_zero() {
            // Nothing that is fetched ahead would still hold.
            return None;
        }
        let expected = self.demand.expected(policy.ttl, now)?;
        match (&self.failure, &self.held) {
            // Not more often than somebody asks: what fails may be overloaded.
            (Some(failure), _) => Some(failure.retry.max(expected)),
            (None, Some((rows, began))) => {
                // A little before they end, so that there is no moment without.
                let lead = (rows.head().took * 2).max(LEAD_MIN).min(policy.ttl / 5);
                Some((*began + policy.ttl - lead).max(expected))
            }
            (None, None) => None,
        }
    }

    /// Takes what a fetch gave that was begun at `began`: rows are as old as that. After a failure
    /// the next try waits for `pause`.
    pub(super) fn fetched(
        &mut self,
        outcome: Outcome,
        pause: impl Fn(u32) -> Duration,
        began: Instant,
        now: Instant,
    ) {
        self.fetching = false;
        match &outcome {
            Ok(rows) => {
                self.held = Some((Arc::clone(rows), began));
                self.failure = None;
            }
            Err(error) => {
                let count = self
                    .failure
                    .as_ref()
                    .map_or(1, |failure| failure.count.saturating_add(1));
                self.failure = Some(Failure {
                    error: Arc::clone(error),
                    count,
                    retry: now + pause(count),
                });
            }
        }
        self.last = Some(outcome);
    }

    /// Nobody is expected to ask any more.
    pub(super) fn abandon(&mut self) {
        self.demand = Demand::default();
    }

    /// Why the last fetch failed, if it did.
    pub(super) fn failure(&self) -> Option<Arc<Error>> {
        let failure = self.failure.as_ref();
        failure.map(|failure| Arc::clone(&failure.error))
    }

    /// The last rows, while they may be given, whether they still hold or not.
    pub(super) fn kept(&self, policy: Policy, now: Instant) -> Option<Arc<Rows>> {
        let (rows, fetched) = self.held.as_ref()?;
        let age = now.duration_since(*fetched);
        (age < policy.ttl + policy.stale_grace).then(|| Arc::clone(rows))
    }

    /// What there is, as an ask would find it.
    pub(super) fn look(&self, policy: Policy, now: Instant) -> Remembered {
        let held = self.held.as_ref();
        let age = held.map(|(_, fetched)| now.duration_since(*fetched));
        let kept = self.kept(policy, now);
        Remembered {
            rows: kept.zip(age),
            is_fresh: age.is_some_and(|age| age < policy.ttl),
            failure: self.failure(),
        }
    }

    /// Whether the last fetch failed, and older rows may stand in.
    pub(super) fn is_failing(&self, policy: Policy, now: Instant) -> bool {
        self.failure.is_some() && self.stale(policy, now).is_some()
    }

    /// Whether a fetch is wanted or under way.
    pub(super) fn is_fetching(&self) -> bool {
        self.fetching
    }

    /// Whether the caller must make the fetches from now on, because nobody does.
    pub(super) fn drive(&mut self) -> bool {
        !std::mem::replace(&mut self.driven, true)
    }

    /// Nobody makes the fetches any more.
    pub(super) fn undrive(&mut self) {
        self.driven = false;
    }

    /// What the rows take, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.held.as_ref().map_or(0, |(rows, _)| rows.bytes())
    }

    /// The answer for somebody who waited for the fetch that ended last.
    pub(super) fn outcome(&self, policy: Policy, now: Instant) -> Option<Answer> {
        match self.last.as_ref()? {
            Ok(rows) => Some(Ok((Arc::clone(rows), Freshness::Fetched))),
            Err(error) => Some(match self.stale(policy, now) {
                Some(rows) => Ok((rows, Freshness::Stale)),
                None => Err(Arc::clone(error)),
            }),
        }
    }

    /// The last rows, while they may still be given.
    pub(super) fn stale(&self, policy: Policy, now: Instant) -> Option<Arc<Rows>> {
        let kept = self.kept(policy, now);
        kept.filter(|_| !policy.stale_grace.is_zero())
    }
}

#[cfg(test)]
mod tests;
