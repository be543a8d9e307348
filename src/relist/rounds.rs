//! Which rules are being asked about, and when the next are: the lanes, and what they wait for.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::Instant;

use super::asking::{Asking, Queue};
use super::lane::{Lane, Round};
use super::ledger::{Key, Ledger};
use super::{Configuration, Outcome, Settings, survey};
use crate::kinds::Kinds;
use crate::prometheus;
use crate::rules::Rule;

/// Asking about one rule.
struct Pending {
    key: Key,
    /// Whether it belongs to a round of its lane. New rules are asked about beside those.
    in_round: bool,
    outcome: BoxFuture<'static, Result<Outcome, Arc<prometheus::Error>>>,
}

/// What that gave.
pub(super) struct Surveyed {
    pub(super) key: Key,
    in_round: bool,
    pub(super) outcome: Result<Outcome, Arc<prometheus::Error>>,
}

impl Future for Pending {
    type Output = Surveyed;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Surveyed> {
        let outcome = self.outcome.poll_unpin(context);
        outcome.map(|outcome| Surveyed {
            key: self.key.clone(),
            in_round: self.in_round,
            outcome,
        })
    }
}

/// The lanes of all backends.
pub(super) struct Rounds {
    settings: Settings,
    lanes: Vec<Lane>,
    pending: FuturesUnordered<Pending>,
    /// How many of them are beside the rounds.
    beside: usize,
}

impl Rounds {
    /// Lanes for the backends that a rule asks, each due now. The one of the flags has one in any
    /// case: kinds of the cluster change, too.
    pub(super) fn new(configuration: &Configuration, settings: Settings) -> Rounds {
        let mut rounds = Rounds {
            settings,
            lanes: Vec::new(),
            pending: FuturesUnordered::new(),
            beside: 0,
        };
        rounds.open(configuration);
        rounds
    }

    pub(super) fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    pub(super) fn lanes_mut(&mut self) -> &mut [Lane] {
        &mut self.lanes
    }

    /// Something is not known that may exist by now.
    pub(super) fn wake(&mut self) {
        self.lanes.iter_mut().for_each(Lane::wake);
    }

    /// When the next round begins.
    pub(super) fn next(&self) -> Option<Instant> {
        self.lanes.iter().filter_map(Lane::next).min()
    }

    /// Begins the rounds that are due. How many, and whether one has ended at once.
    pub(super) fn begin(
        &mut self,
        configuration: &Configuration,
        ledger: &Ledger,
        kinds: &Arc<Kinds>,
    ) -> (u64, bool) {
        let (mut begun, mut ended) = (0, false);
        for lane in &mut self.lanes {
            let Some(round) = lane.due(Instant::now()) else {
                continue;
            };
            let rules = rules_of(configuration, ledger, lane, round);
            lane.begin(round, rules.len(), Instant::now());
            begun += 1;
            ended |= lane.is_idle();
            let asked = ask(configuration, lane, rules, kinds, self.settings, true);
            self.pending.extend(asked);
        }
        (begun, ended)
    }

    /// The next answer about a rule, and whether it was the last one of its round or of those
    /// beside the rounds; waits for ever where nothing is asked.
    pub(super) async fn surveyed(&mut self) -> (Surveyed, bool) {
        let Some(surveyed) = self.pending.next().await else {
            return std::future::pending().await;
        };
        let (failed, now) = (surveyed.outcome.is_err(), Instant::now());
        let lane = lane_of(&mut self.lanes, &surveyed.key);
        let ended = match (surveyed.in_round, lane) {
            (true, lane) => lane.is_some_and(|lane| lane.surveyed(failed, now)),
            (false, lane) => {
                self.beside -= 1;
                lane.into_iter()
                    .for_each(|it| it.surveyed_beside(failed, now));
                self.beside == 0
            }
        };
        (surveyed, ended)
    }

    /// Other rules are in force: nothing is asked about those that are gone, lanes of backends
    /// that are gone are closed, and those of new ones opened. The rules in `fresh` are asked about
    /// now, whatever is under way. The names of backends that have no lane any more.
    pub(super) fn replace(
        &mut self,
        configuration: &Configuration,
        ledger: &Ledger,
        fresh: Vec<Arc<Rule>>,
        kinds: &Arc<Kinds>,
    ) -> Vec<String> {
        let known: Vec<_> = self
            .lanes
            .iter()
            .map(|it| Arc::clone(&it.backend))
            .collect();
        let used = used(configuration);
        self.lanes
            .retain(|lane| used.iter().any(|it| **it == lane.backend));
        let (kept, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(|it| ledger.get(&it.key).is_some());
        self.pending = kept.into_iter().collect();
        for pending in gone.iter().filter(|it| it.in_round) {
            if let Some(lane) = lane_of(&mut self.lanes, &pending.key) {
                lane.surveyed(false, Instant::now());
            }
        }
        self.open(configuration);
        for lane in self.lanes.iter().filter(|it| known.contains(&it.backend)) {
            let of_lane = |rule: &&Arc<Rule>| *configuration.backend(rule) == lane.backend;
            let rules = fresh.iter().filter(of_lane).map(Arc::clone);
            let rules = rules.map(|rule| (rule, Queue::Well)).collect();
            let asked = ask(configuration, lane, rules, kinds, self.settings, false);
            self.pending.extend(asked);
        }
        self.beside = self.pending.iter().filter(|it| !it.in_round).count();
        let has_lane = |name: &String| self.lanes.iter().any(|it| it.backend.name() == name);
        let names = known.iter().map(|backend| backend.name().to_owned());
        names.filter(|name| !has_lane(name)).collect()
    }

    /// Opens the lanes that there are not.
    fn open(&mut self, configuration: &Configuration) {
        for backend in used(configuration) {
            if !self.lanes.iter().any(|lane| lane.backend == *backend) {
                let (interval, now) = (self.settings.interval, Instant::now());
                self.lanes
                    .push(Lane::new(Arc::clone(backend), interval, now));
            }
        }
    }
}

/// The backends that a rule asks, and that of the flags.
fn used(configuration: &Configuration) -> Vec<&Arc<prometheus::Backend>> {
    let rules = configuration.rules.series_rules();
    let mut numbers: BTreeSet<usize> = rules.map(|rule| rule.backend).collect();
    numbers.insert(0);
    let backend = |number: usize| configuration.backends.get(number);
    numbers.into_iter().filter_map(backend).collect()
}

fn lane_of<'l>(lanes: &'l mut [Lane], key: &Key) -> Option<&'l mut Lane> {
    lanes.iter_mut().find(|lane| lane.backend == key.backend)
}

/// The rules of a round, those that say the same once. Those that failed the last time stand in a
/// queue of their own: what hangs must not keep others waiting.
fn rules_of(
    configuration: &Configuration,
    ledger: &Ledger,
    lane: &Lane,
    round: Round,
) -> Vec<(Arc<Rule>, Queue)> {
    let rules = configuration.rules.series_rules();
    let its = rules.filter(|rule| *configuration.backend(rule) == lane.backend);
    let queued = its.filter_map(|rule| {
        let entry = ledger.get(&configuration.key(rule))?;
        let is_first = entry.rules.first().is_some_and(|it| it.id == rule.id);
        let queue = match entry.known.failure {
            Some(_) => Queue::Doubtful,
            None => Queue::Well,
        };
        is_first.then(|| (Arc::clone(rule), queue))
    });
    let wanted = |(_, queue): &(_, Queue)| round == Round::All || *queue == Queue::Doubtful;
    queued.filter(wanted).collect()
}

/// Begins to ask about these rules of a lane's backend.
fn ask(
    configuration: &Configuration,
    lane: &Lane,
    rules: Vec<(Arc<Rule>, Queue)>,
    kinds: &Arc<Kinds>,
    settings: Settings,
    in_round: bool,
) -> Vec<Pending> {
    let asking = Arc::new(Asking::new(&lane.backend, &lane.queues, settings));
    let pending = |(rule, queue): (Arc<Rule>, Queue)| {
        let key = configuration.key(&rule);
        let (kinds, asking) = (Arc::clone(kinds), Arc::clone(&asking));
        let outcome = async move { survey(&rule, queue, &kinds, &asking).await }.boxed();
        Pending {
            key,
            in_round,
            outcome,
        }
    };
    rules.into_iter().map(pending).collect()
}
