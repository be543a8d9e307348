//! How many objects one query is about: those of the ask, all of its namespace, or all of the
//! cluster. A thousand autoscalers then cost Prometheus one query.
//!
//! How far a query *may* go is proven ([`separable`](crate::registry::separable)). How far it goes
//! is decided by demand, for each family of asks, which differ in nothing but their objects: exact
//! first; all of a namespace when two different asks meet there; all namespaces when three ask. It
//! goes back when the asks have not met for minutes, and when the wide query does not do what it is
//! for:
//!
//! - it gives too many rows or bytes: the next narrower query is asked for the same ask, and the
//!   wide one not for minutes;
//! - the server refuses it: the same, if a narrower one is answered;
//! - it is slow twice in a row, is not answered in time, or fails in a way that may be its own (and
//!   for a while, where a server that goes away fails so too): one ask at a time tries its exact
//!   query, and where that is answered, and the wide one then fails again, it is given up. Nobody
//!   who can have rows waits for that;
//! - it gives more rows than its asks are worth: it is not asked for minutes;
//! - the server cannot be reached, or is ill: nothing is changed, for thousands of exact queries
//!   would not make it well. The last rows are given, while they may, of whichever scope, if they
//!   know all objects that are asked about: what is newer than the rows is not nothing.
//!
//! External metrics are of no objects, and are asked exactly.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::notification::RemovalCause;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::time::Instant;

use crate::prometheus::{self, Backend};
use crate::registry::separable::Scope;
use crate::rules::{Identity, Widen};
use crate::samples::{Freshness, Query, Rows, Samples};
use crate::telemetry::{Limit, Metrics};
use asking::Asking;
use level::Level;

mod asking;
mod level;
mod probe;
mod remedy;
#[cfg(test)]
mod tests;

/// Steps that are remembered, each of some kilobytes at most. One that is forgotten is taken anew.
const LEVELS_MAX: u64 = 10_000;

/// When one that nobody asks about is forgotten: after the longest time that it is held back for.
const IDLE: Duration = Duration::from_secs(60 * 60);

/// Different asks that make it worth to ask for all objects of their namespace.
const ASKS_FOR_NAMESPACE: usize = 2;

/// Namespaces whose asks make it worth to ask for all of them.
const NAMESPACES_FOR_CLUSTER: usize = 3;

/// The names of one query, in bytes: some five hundred pods. Beyond it all of their namespace are
/// asked for, where they may. (Go lists tens of thousands, in a URL that Prometheus refuses from
/// one megabyte.)
pub const NAMES_BYTES_MAX: usize = 16 * 1024;

/// The part of the time its rows hold that a wide query may take is one in so many.
const SLOW: u32 = 2;

/// Asks that differ only in their objects.
#[derive(Clone, Copy, Debug, Hash)]
pub struct Family<'a> {
    /// Whom they are asked of.
    pub backend: &'a Backend,
    /// What their rule says. Not where it stands: its steps outlast a reload.
    pub rule: &'a Identity,
    /// The name of the series.
    pub series: &'a str,
    /// The label that names the objects.
    pub object: &'a str,
    /// Which of the series: the metric selector as the client wrote it.
    pub selector: &'a str,
}

/// Where the objects of an ask are.
#[derive(Clone, Copy, Debug, Hash)]
pub enum Place<'a> {
    /// In this namespace.
    Namespace(&'a str),
    /// At the root, without a namespace.
    Root,
    /// In several namespaces.
    Namespaces,
}

/// One ask.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    /// Its like.
    pub family: Family<'a>,
    /// Where its rule stands, as `rules[2]`, for logs.
    pub rule: &'a str,
    /// Where its objects are.
    pub place: Place<'a>,
    /// Their names.
    pub names: Vec<&'a str>,
    /// The widest scope in which its query gives the same.
    pub proven: Scope,
    /// How far the rule lets it go, if it says so.
    pub widen: Option<Widen>,
    /// How long rows hold. Those that hold for no time are shared by nobody.
    pub ttl: Duration,
}

/// What an ask is answered from.
#[derive(Debug)]
pub struct Given<T> {
    /// What was planned for the query that gave the rows.
    pub planned: T,
    /// The rows.
    pub rows: Arc<Rows>,
    /// How they came.
    pub freshness: Freshness,
}

/// Why an ask has no rows.
#[derive(Debug)]
pub enum Error<P> {
    /// Its query cannot be made.
    Plan(P),
    /// Prometheus gives none.
    Prometheus(Arc<prometheus::Error>),
}

/// Which scope each family is asked in.
pub struct Widening {
    levels: Cache<u64, Arc<Mutex<Level>>>,
    hasher: RandomState,
    default: Widen,
    metrics: Arc<Metrics>,
}

/// The steps that one ask may take.
struct Ladder<'a> {
    ask: &'a Ask<'a>,
    /// Family, place and names.
    whole: u64,
    /// Family and place.
    place: u64,
    namespace: Option<Arc<Mutex<Level>>>,
    cluster: Option<Arc<Mutex<Level>>>,
}

impl Widening {
    /// Goes as far as `default` lets it, where a rule does not say how far.
    pub fn new(default: Widen, metrics: Arc<Metrics>) -> Widening {
        let reached = metrics.reached.clone();
        let levels = Cache::builder()
            .max_capacity(LEVELS_MAX)
            .eviction_listener(move |_, _, cause| {
                if cause == RemovalCause::Size {
                    reached.count(Limit::WideningSteps);
                }
            })
            // The latest ask is the likeliest to come again: what is new is never turned away.
            .eviction_policy(EvictionPolicy::lru())
            .time_to_idle(IDLE)
            .build();
        Widening {
            levels,
            hasher: RandomState::new(),
            default,
            metrics,
        }
    }

    /// The rows that answer `ask`, by the query that `plan` makes for the scope they are asked in.
    /// Older rows, where newer ones cannot be had, are given if `holds` says that they can speak of
    /// all objects of the ask.
    ///
    /// # Errors
    /// Where no query can be made, or Prometheus gives no rows and none are remembered that may
    /// still be given.
    pub async fn rows<T, P>(
        &self,
        samples: &Arc<Samples>,
        ask: &Ask<'_>,
        plan: impl Fn(Scope) -> Result<(T, Query), P>,
        holds: impl Fn(Scope, &T, &Rows) -> bool,
        deadline: Instant,
    ) -> Result<Given<T>, Error<P>> {
        let asking = Asking {
            widening: self,
            samples,
            ladder: self.ladder(ask),
            plan,
            holds,
            deadline,
        };
        let (scope, given) = asking.rows().await?;
        self.metrics.count_scope(word(scope));
        Ok(given)
    }

    /// In which scope `ask` would be asked now, by what is known of those like it. No ask is noted.
    pub fn look(&self, ask: &Ask<'_>) -> Scope {
        let now = Instant::now();
        let place = self.hasher.hash_one((ask.family, ask.place));
        let widest = self.widest(ask.proven, ask.widen);
        let is_taken = |key| {
            let level = self.levels.get(&key);
            !ask.ttl.is_zero() && level.is_some_and(|level| lock(&level).is_taken(now))
        };
        match widest {
            Scope::Cluster if is_taken(self.hasher.hash_one(ask.family)) => Scope::Cluster,
            Scope::Cluster | Scope::Namespace if is_taken(place) => Scope::Namespace,
            _ => Scope::Exact,
        }
    }

    fn ladder<'a>(&self, ask: &'a Ask<'a>) -> Ladder<'a> {
        let place = self.hasher.hash_one((ask.family, ask.place));
        let level = |key| self.levels.get_with(key, Arc::default);
        let widest = self.widest(ask.proven, ask.widen);
        let may = |scope| widest >= scope;
        let is_one_place = !matches!(ask.place, Place::Namespaces);
        Ladder {
            ask,
            whole: self.hasher.hash_one((place, &ask.names)),
            place,
            namespace: (may(Scope::Namespace) && is_one_place).then(|| level(place)),
            cluster: may(Scope::Cluster).then(|| level(self.hasher.hash_one(ask.family))),
        }
    }

    /// How far a query may go for which so much is proven, and its rule says this.
    pub fn widest(&self, proven: Scope, rule: Option<Widen>) -> Scope {
        proven.min(match rule.unwrap_or(self.default) {
            Widen::Auto => Scope::Cluster,
            Widen::Namespace => Scope::Namespace,
            Widen::Off => Scope::Exact,
        })
    }
}

impl Ladder<'_> {
    /// Takes note of the ask, and says in which scope it is asked, up to `widest`.
    fn scope(&self, now: Instant, widest: Scope) -> Scope {
        let is_shared = !self.ask.ttl.is_zero();
        let step = |level: &Option<Arc<Mutex<Level>>>, group, groups| {
            let level = level.as_ref().filter(|_| is_shared);
            level.is_some_and(|level| lock(level).ask(self.whole, group, groups, now))
        };
        // Both, so that the narrower step is known when it is needed.
        let namespace = step(&self.namespace, self.whole, ASKS_FOR_NAMESPACE);
        let cluster = step(&self.cluster, self.place, NAMESPACES_FOR_CLUSTER);
        match (cluster, namespace || self.is_long(now)) {
            (true, _) if widest >= Scope::Cluster => Scope::Cluster,
            (_, true) if widest >= Scope::Namespace => Scope::Namespace,
            _ => Scope::Exact,
        }
    }

    /// Whether its names are too many for one query, and need not be listed.
    fn is_long(&self, now: Instant) -> bool {
        let bytes = self.ask.names.iter().map(|name| name.len() + 1);
        let is_long = bytes.sum::<usize>() > NAMES_BYTES_MAX;
        let level = self.namespace.as_ref().filter(|_| is_long);
        level.is_some_and(|level| !lock(level).is_held(now))
    }

    fn level(&self, scope: Scope) -> Option<MutexGuard<'_, Level>> {
        self.shared(scope).map(|level| lock(level))
    }

    fn shared(&self, scope: Scope) -> Option<&Arc<Mutex<Level>>> {
        match scope {
            Scope::Exact => None,
            Scope::Namespace => self.namespace.as_ref(),
            Scope::Cluster => self.cluster.as_ref(),
        }
    }

    /// The scopes that may be asked in.
    fn scopes(&self) -> impl Iterator<Item = Scope> {
        let namespace = self.namespace.as_ref().map(|_| Scope::Namespace);
        let cluster = self.cluster.as_ref().map(|_| Scope::Cluster);
        [Scope::Exact].into_iter().chain(namespace).chain(cluster)
    }
}

/// For logs, and for a metric's label.
fn word(scope: Scope) -> &'static str {
    match scope {
        Scope::Exact => "exact",
        Scope::Namespace => "namespace",
        Scope::Cluster => "cluster",
    }
}

fn lock(level: &Mutex<Level>) -> MutexGuard<'_, Level> {
    // Nothing that holds this lock can panic and leave half a change behind.
    level.lock().unwrap_or_else(PoisonError::into_inner)
}
