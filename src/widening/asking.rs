//! One ask on its way down the ladder.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::probe::{Probe, Suspicion, Told, Wide, is_late};
use super::remedy::{Cause, Remedy};
use super::{Error, Given, Ladder, Widening};
use crate::prometheus;
use crate::registry::separable::Scope;
use crate::samples::{Freshness, Query, Rows, Samples};

/// One ask on its way.
pub(super) struct Asking<'a, F, H> {
    pub(super) widening: &'a Widening,
    pub(super) samples: &'a Arc<Samples>,
    pub(super) ladder: Ladder<'a>,
    pub(super) plan: F,
    pub(super) holds: H,
    pub(super) deadline: Instant,
}

impl<T, P, F, H> Asking<'_, F, H>
where
    F: Fn(Scope) -> Result<(T, Query), P>,
    H: Fn(Scope, &T, &Rows) -> bool,
{
    /// Its rows, and in which scope they were asked for.
    pub(super) async fn rows(&self) -> Result<(Scope, Given<T>), Error<P>> {
        let mut scope = self.ladder.scope(Instant::now(), Scope::Cluster);
        let (mut planned, mut query) = (self.plan)(scope).map_err(Error::Plan)?;
        // Given up if a narrower one is answered.
        let mut refused = Vec::new();
        loop {
            let answer = self.samples.rows(&query, self.deadline).await;
            let failure = match answer {
                Ok((_, Freshness::Stale)) => self.samples.failure(&query),
                Ok((rows, freshness)) => {
                    if is_fetched(freshness) {
                        self.give_up(&refused);
                    }
                    self.judge(scope, &query, &rows);
                    let given = Given {
                        planned,
                        rows,
                        freshness,
                    };
                    return Ok((scope, given));
                }
                Err(error) => Some(error),
            };
            let remedy = failure.as_deref().map_or(Remedy::Wait, Remedy::of);
            if !matches!(remedy, Remedy::Doubt(_))
                && let Some(mut level) = self.ladder.level(scope)
            {
                level.forget_doubt();
            }
            match remedy {
                Remedy::Narrow(cause) | Remedy::Try(cause) => {
                    if let Some(next) = self.narrower(scope, &query) {
                        refused.extend(self.wide(scope, &query).map(|it| (it, cause)));
                        if matches!(remedy, Remedy::Narrow(_)) {
                            self.give_up(&refused);
                        }
                        (scope, planned, query) = next;
                        continue;
                    }
                }
                Remedy::Probe(cause) | Remedy::Doubt(cause) => {
                    let suspicion = Suspicion::Fails(cause);
                    if let Some((planned, answer)) = self.probe(scope, &query, remedy, suspicion)
                        && self.remembered().is_none()
                        && let Ok(Some((rows, freshness))) = answer.await
                    {
                        let given = Given {
                            planned,
                            rows,
                            freshness,
                        };
                        return Ok((Scope::Exact, given));
                    }
                }
                Remedy::Wait => {}
            }
            return match (self.remembered(), failure) {
                (Some(latest), _) => Ok(latest),
                (None, Some(failure)) => Err(Error::Prometheus(failure)),
                (None, None) => Err(Error::Prometheus(Arc::new(prometheus::Error::Deadline))),
            };
        }
    }

    /// The next narrower query that may be asked and is another one.
    fn narrower(&self, scope: Scope, query: &Query) -> Option<(Scope, T, Query)> {
        let mut scope = scope;
        loop {
            let below = self.ladder.scopes().filter(|it| *it < scope).max()?;
            scope = self.ladder.scope(Instant::now(), below);
            if let Some((planned, narrower)) = (self.plan)(scope).ok()
                && narrower != *query
            {
                return Some((scope, planned, narrower));
            }
        }
    }

    /// Looks at an answer whether its query is worth to be asked again.
    fn judge(&self, scope: Scope, query: &Query, rows: &Rows) {
        let late = is_late(rows, self.ladder.ask.ttl);
        let looked = self.ladder.level(scope).and_then(|mut level| {
            level.forget_doubt();
            let at = rows.head().at;
            level.is_news(at).then(|| {
                let again = level.is_late_again(late, at);
                (level.is_wasteful(rows.len(), Instant::now()), again)
            })
        });
        match looked {
            Some((true, _)) => {
                let wide = self.wide(scope, query);
                self.give_up(
                    &wide
                        .map(|it| (it, Cause::Wasteful))
                        .into_iter()
                        .collect::<Vec<_>>(),
                );
            }
            Some((false, true)) => {
                let suspicion = Suspicion::Late(self.ladder.ask.ttl);
                self.probe(scope, query, Remedy::Probe(Cause::TooSlow), suspicion);
            }
            _ => {}
        }
    }

    /// Has somebody look whether the exact query is answered where `query` is not, if it is time.
    /// What was planned for it, and its answer.
    fn probe(
        &self,
        scope: Scope,
        query: &Query,
        remedy: Remedy,
        suspicion: Suspicion,
    ) -> Option<(T, oneshot::Receiver<Told>)> {
        let now = Instant::now();
        let wide = self.wide(scope, query).filter(|_| now < self.deadline)?;
        let (planned, exact) = (self.plan)(Scope::Exact).ok()?;
        let turn = {
            let mut level = self.ladder.level(scope)?;
            match remedy {
                _ if exact == *query => None,
                Remedy::Doubt(_) => level.doubt(now),
                _ => level.probe(now),
            }
        };
        let probe = Probe {
            wide,
            exact,
            suspicion,
            deadline: self.deadline,
            turn: turn?,
        };
        let (tell, answer) = oneshot::channel();
        tokio::spawn(probe.run(tell));
        Some((planned, answer))
    }

    /// The latest rows that may still be given, of whichever scope. Rows of more objects than those
    /// of the ask only where they know all of these: of one that is newer they say nothing.
    fn remembered(&self) -> Option<(Scope, Given<T>)> {
        let remembered = self.ladder.scopes().filter_map(|scope| {
            let (planned, query) = (self.plan)(scope).ok()?;
            let rows = self.samples.remembered(&query)?;
            let freshness = Freshness::Stale;
            (self.holds)(scope, &planned, &rows).then_some((
                scope,
                Given {
                    planned,
                    rows,
                    freshness,
                },
            ))
        });
        remembered.max_by_key(|(_, given)| given.rows.head().at)
    }

    /// The query of a scope that is wide.
    fn wide(&self, scope: Scope, query: &Query) -> Option<Wide> {
        let family = &self.ladder.ask.family;
        Some(Wide {
            level: self.ladder.shared(scope).map(Arc::clone)?,
            scope,
            query: query.clone(),
            rule: self.ladder.ask.rule.to_owned(),
            series: family.series.to_owned(),
            object: family.object.to_owned(),
            samples: Arc::clone(self.samples),
            metrics: Arc::clone(&self.widening.metrics),
        })
    }

    fn give_up(&self, all: &[(Wide, Cause)]) {
        for (wide, cause) in all {
            wide.give_up(*cause);
        }
    }
}

/// Whether an answer tells how the server is now.
pub(super) fn is_fetched(freshness: Freshness) -> bool {
    matches!(freshness, Freshness::Fetched | Freshness::Shared)
}
