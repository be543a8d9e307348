//! Whether it is a wide query that cannot be answered, or the server that cannot answer.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use super::asking::is_fetched;
use super::level::Level;
use super::remedy::Cause;
use super::{SLOW, lock, word};
use crate::pace;
use crate::registry::separable::Scope;
use crate::samples::{Freshness, Query, Rows, Samples};
use crate::telemetry::Metrics;

/// How often one looks what has become of the wide query.
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

/// Its failures, of which the last one surely began after the narrower query was answered.
const FAILURES: usize = 2;

/// Its pauses between them, at most.
const PAUSES: Duration = Duration::from_secs(5);

/// A wide query, and where it stands.
pub(super) struct Wide {
    pub(super) level: Arc<Mutex<Level>>,
    pub(super) scope: Scope,
    pub(super) query: Query,
    pub(super) rule: String,
    pub(super) series: String,
    pub(super) object: String,
    pub(super) samples: Arc<Samples>,
    pub(super) metrics: Arc<Metrics>,
}

/// What is the matter with it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Suspicion {
    /// It fails.
    Fails(Cause),
    /// It is answered late for rows that hold for this time.
    Late(Duration),
}

/// The rows of the exact query and how they came, if they can be had now.
pub(super) type Told = Option<(Arc<Rows>, Freshness)>;

/// A look at it. Nobody needs to wait for its end, and no other one begins at this level before the
/// exact query has come to one.
pub(super) struct Probe {
    pub(super) wide: Wide,
    pub(super) exact: Query,
    pub(super) suspicion: Suspicion,
    pub(super) deadline: Instant,
    pub(super) turn: Arc<()>,
}

impl Probe {
    /// Tells the rows of the exact query, if they can be had now, and comes to a verdict.
    pub(super) async fn run(self, tell: oneshot::Sender<Told>) {
        let samples = &self.wide.samples;
        let answer = samples.rows(&self.exact, self.deadline).await;
        drop(self.turn);
        // One look at it is no reason to fetch it ahead from now on.
        samples.abandon(&self.exact);
        let answer = answer.ok().filter(|(_, it)| *it != Freshness::Stale);
        // Rows from before the trouble say nothing about it.
        let fetched = answer.clone().filter(|(_, it)| is_fetched(*it));
        // Nobody may wait for it.
        let _ = tell.send(answer);
        let Some((rows, _)) = fetched else { return };
        match self.suspicion {
            Suspicion::Late(ttl) if !is_late(&rows, ttl) => self.wide.give_up(Cause::TooSlow),
            Suspicion::Fails(cause) if self.wide.goes_on_failing().await => {
                self.wide.give_up(cause);
            }
            _ => {}
        }
    }
}

impl Wide {
    /// Whether it still fails, now that another query is answered: the server may just have come
    /// back.
    async fn goes_on_failing(&self) -> bool {
        let (samples, query) = (&self.samples, &self.query);
        let end = Instant::now() + 2 * query.timeout + PAUSES;
        let mut known = samples.failure(query);
        let mut failures = 0;
        while failures < FAILURES && Instant::now() < end {
            sleep(BETWEEN_LOOKS).await;
            let answer = samples.rows(query, end).await;
            if answer.is_ok_and(|(_, freshness)| freshness != Freshness::Stale) {
                return false;
            }
            let failure = samples.failure(query);
            if failure.as_ref().map(Arc::as_ptr) != known.as_ref().map(Arc::as_ptr) {
                failures += 1;
            }
            known = failure;
        }
        true
    }

    /// It is not asked for a while.
    pub(super) fn give_up(&self, cause: Cause) {
        let (held, again) = {
            let mut level = lock(&self.level);
            let held = level.hold(pace::jittered, Instant::now());
            (held, level.is_held_again())
        };
        if !held {
            return;
        }
        self.samples.abandon(&self.query);
        self.metrics.count_narrowed(cause.word());
        let (rule, series, object) = (&self.rule, &self.series, &self.object);
        let (scope, cause) = (word(self.scope), cause.word());
        let what = "one query for all is given up for a while: objects are asked for in smaller \
                    groups";
        // It is tried again each hour at most, and may be given up each time.
        match again {
            false => tracing::info!(rule, series, object, scope, cause, "{what}"),
            true => tracing::debug!(rule, series, object, scope, cause, "{what}"),
        }
    }
}

/// Whether these rows came too late to hold for long.
pub(super) fn is_late(rows: &Rows, ttl: Duration) -> bool {
    rows.head().took * SLOW > ttl
}
