//! One ask on its way down the ladder.

use std::sync::Arc;

use tokio::time::Instant;

use super::remedy::{Cause, Remedy};
use super::{Error, Given, Ladder, SLOW, Widening, word};
use crate::pace;
use crate::prometheus;
use crate::registry::separable::Scope;
use crate::samples::{Freshness, Query, Rows, Samples};

/// What an answer that took its time asks for.
const SLOW_ANSWER: Remedy = Remedy::Probe(Cause::TooSlow);

/// One ask on its way.
pub(super) struct Asking<'a, F> {
    pub(super) widening: &'a Widening,
    pub(super) samples: &'a Samples,
    pub(super) ladder: Ladder<'a>,
    pub(super) plan: F,
    pub(super) deadline: Instant,
}

impl<T, P, F: Fn(Scope) -> Result<(T, Query), P>> Asking<'_, F> {
    /// Its rows, and in which scope they were asked for.
    pub(super) async fn rows(&self) -> Result<(Scope, Given<T>), Error<P>> {
        let mut scope = self.ladder.scope(Instant::now());
        // Given where a narrower query fails as well.
        let mut spare = None;
        loop {
            let (planned, query) = self.plan(scope)?;
            let answer = self.samples.rows(query.clone(), self.deadline).await;
            let (failure, stale) = match answer {
                Ok((rows, freshness)) => {
                    let given = Given {
                        planned,
                        rows,
                        freshness,
                    };
                    if freshness != Freshness::Stale {
                        self.judge(scope, &query, &given.rows).await?;
                        return Ok((scope, given));
                    }
                    (self.samples.failure(&query), Some((scope, given)))
                }
                Err(error) => (Some(error), None),
            };
            spare = stale.or(spare);
            let remedy = failure.as_deref().map_or(Remedy::Wait, Remedy::of);
            let is_wide = scope != Scope::Exact;
            match remedy {
                Remedy::Narrow(cause) if is_wide => {
                    self.hold(scope, &query, cause);
                    scope = self.narrower(scope);
                    continue;
                }
                Remedy::Probe(cause) | Remedy::Doubt(cause)
                    if is_wide && self.may_probe(scope, remedy) =>
                {
                    if let Some(given) = self.probe().await? {
                        self.hold(scope, &query, cause);
                        return Ok((Scope::Exact, given));
                    }
                }
                _ => {}
            }
            let remembered = self.remembered(scope)?;
            let at = |given: &(Scope, Given<T>)| given.1.rows.head().at;
            return match (spare.into_iter().chain(remembered).max_by_key(at), failure) {
                (Some(latest), _) => Ok(latest),
                (None, Some(failure)) => Err(Error::Prometheus(failure)),
                (None, None) => Err(Error::Prometheus(Arc::new(prometheus::Error::Deadline))),
            };
        }
    }

    fn plan(&self, scope: Scope) -> Result<(T, Query), Error<P>> {
        (self.plan)(scope).map_err(Error::Plan)
    }

    fn narrower(&self, scope: Scope) -> Scope {
        let below = self.ladder.scopes().filter(|it| *it < scope).max();
        let next = self.ladder.scope(Instant::now());
        next.min(below.unwrap_or(Scope::Exact))
    }

    /// Looks at an answer whether its query is worth to be asked again.
    async fn judge(&self, scope: Scope, query: &Query, rows: &Rows) -> Result<(), Error<P>> {
        let now = Instant::now();
        let wasteful = self.ladder.level(scope).map(|mut level| {
            level.answered();
            level.is_wasteful(rows.len(), now)
        });
        if wasteful == Some(true) {
            self.hold(scope, query, Cause::Wasteful);
            return Ok(());
        }
        let ttl = self.ladder.ask.ttl;
        let is_slow = |rows: &Rows| rows.head().took * SLOW > ttl;
        if scope != Scope::Exact && is_slow(rows) && self.may_probe(scope, SLOW_ANSWER) {
            let exact = self.probe().await?;
            if exact.is_some_and(|exact| !is_slow(&exact.rows)) {
                self.hold(scope, query, Cause::TooSlow);
            }
        }
        Ok(())
    }

    fn may_probe(&self, scope: Scope, remedy: Remedy) -> bool {
        let now = Instant::now();
        let mut level = self.ladder.level(scope);
        now < self.deadline
            && level.as_mut().is_some_and(|level| match remedy {
                Remedy::Doubt(_) => level.doubt(now),
                _ => level.probe(now),
            })
    }

    /// What the exact query gives now.
    async fn probe(&self) -> Result<Option<Given<T>>, Error<P>> {
        let (planned, query) = self.plan(Scope::Exact)?;
        let answer = self.samples.rows(query, self.deadline).await;
        let now = answer
            .ok()
            .filter(|(_, freshness)| *freshness != Freshness::Stale);
        Ok(now.map(|(rows, freshness)| Given {
            planned,
            rows,
            freshness,
        }))
    }

    /// The rows of other scopes that may still be given.
    fn remembered(&self, scope: Scope) -> Result<Vec<(Scope, Given<T>)>, Error<P>> {
        let mut found = Vec::new();
        for other in self.ladder.scopes().filter(|it| *it != scope) {
            let (planned, query) = self.plan(other)?;
            if let Some(rows) = self.samples.remembered(&query) {
                let given = Given {
                    planned,
                    rows,
                    freshness: Freshness::Stale,
                };
                found.push((other, given));
            }
        }
        Ok(found)
    }

    /// Gives up `query`, which is that of this scope, for a while.
    fn hold(&self, scope: Scope, query: &Query, cause: Cause) {
        let Some(mut level) = self.ladder.level(scope) else {
            return;
        };
        if level.hold(pace::jittered, Instant::now()) {
            self.samples.abandon(query);
            self.widening.metrics.count_narrowed(cause.word());
            let family = &self.ladder.ask.family;
            tracing::info!(
                rule = family.rule,
                series = family.series,
                object = family.object,
                scope = word(scope),
                cause = cause.word(),
                "one query for all is given up for a while: objects are asked for in smaller groups"
            );
        }
    }
}
