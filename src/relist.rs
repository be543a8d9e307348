//! Keeps the registry true: asks Prometheus, rule by rule, which names there are, and publishes
//! snapshots.
//!
//! Promises: a rule that fails never touches another, keeps its last names and is counted; a relist
//! ends by its deadline; a rule that failed is asked again sooner (with back-off and jitter), the
//! others are not; each backend has rounds of its own, so that one that hangs delays no other; and
//! an ask for an unknown name wakes it early, at most every ten seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::kinds::Kinds;
use crate::kubernetes::Kubernetes;
use crate::prometheus::{self, Backends};
use crate::registry::{
    Answers, Binding, Known, Listing, Listings, Registry, ResourceMetrics, Snapshot, Survey,
};
use crate::rules::{Rule, RuleId, Rules};
use crate::telemetry::{Metrics, RuleLabel};

mod asking;
mod lane;
mod once;

use asking::{Asking, Queue};
use lane::{Lane, Round};
pub use once::once;

/// How long readiness waits for the first relist. Longer, and a Prometheus that hangs would keep
/// every new replica out of service.
const FIRST_TURN: Duration = Duration::from_secs(10);

/// How often what is known so far is published while slow rules are still being asked.
const PUBLISH_EVERY: Duration = Duration::from_millis(500);

/// How relisting goes.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// From the end of one relist to the start of the next (`--metrics-relist-interval`).
    pub interval: Duration,
    /// How old a series may be and still be listed (`--metrics-max-age`).
    pub max_age: Duration,
    /// When a relist is given up (`--relist-timeout`).
    pub deadline: Duration,
}

/// Asks for a relist before its time.
#[derive(Debug, Default)]
pub struct Wake {
    asked: Notify,
}

impl Wake {
    /// Something is not known that may exist by now. Cheap; many calls make one relist.
    pub fn ask(&self) {
        self.asked.notify_one();
    }
}

/// The background task that writes the registry.
pub struct Relist {
    rules: Arc<Rules>,
    backends: Arc<Backends>,
    kubernetes: Arc<Kubernetes>,
    registry: Arc<Registry>,
    metrics: Arc<Metrics>,
    wake: Arc<Wake>,
    settings: Settings,
    known: BTreeMap<RuleId, Known>,
    /// What was logged about rules that collide, are off, or cost much: each thing is said once.
    said: BTreeSet<String>,
}

/// What a round over one rule gave.
enum Outcome {
    /// Its series.
    Listed(Listing),
    /// There are none now, and its literal name stays as it is.
    Quiet,
    /// The cluster lacks a kind that it names; nothing was asked.
    Off,
}

/// What a rule's round gave, and the lane it ran in.
type Surveyed = (usize, Arc<Rule>, Result<Outcome, Arc<prometheus::Error>>);

impl Relist {
    /// A relist of `rules` that publishes to `registry`.
    pub fn new(
        rules: Arc<Rules>,
        backends: Arc<Backends>,
        kubernetes: Arc<Kubernetes>,
        registry: Arc<Registry>,
        metrics: Arc<Metrics>,
        wake: Arc<Wake>,
        settings: Settings,
    ) -> Relist {
        Relist {
            rules,
            backends,
            kubernetes,
            registry,
            metrics,
            wake,
            settings,
            known: BTreeMap::new(),
            said: BTreeSet::new(),
        }
    }

    /// Relists for ever: the rules of each backend every interval or when woken, and in between
    /// those that failed.
    pub async fn run(mut self) {
        let started = Instant::now();
        let mut lanes = self.lanes(started);
        let mut surveys: FuturesUnordered<BoxFuture<'static, Surveyed>> = FuturesUnordered::new();
        let mut tick = interval(PUBLISH_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut dirty = false;
        let mut listed = false;
        loop {
            for (number, lane) in lanes.iter_mut().enumerate() {
                if let Some(round) = lane.due(Instant::now()) {
                    surveys.extend(self.begin(number, lane, round));
                    dirty |= lane.is_idle();
                }
            }
            let patience = started + FIRST_TURN;
            if !listed && (Instant::now() >= patience || lanes.iter().all(Lane::has_ended)) {
                self.publish().await;
                self.registry.set_listed();
                (dirty, listed) = (false, true);
            }
            let next = lanes.iter().filter_map(Lane::next);
            let next = next.chain((!listed).then_some(patience)).min();
            tokio::select! {
                Some((number, rule, outcome)) = surveys.next() => {
                    if !dirty {
                        tick.reset();
                    }
                    dirty = true;
                    let failed = outcome.is_err();
                    self.note(&rule, outcome);
                    if lanes[number].surveyed(failed, Instant::now()) {
                        self.publish().await;
                        dirty = false;
                        self.stamp(&lanes);
                    }
                }
                _ = tick.tick(), if dirty => {
                    self.publish().await;
                    dirty = false;
                }
                () = self.wake.asked.notified(), if !lanes.iter().all(Lane::is_woken) => {
                    lanes.iter_mut().for_each(Lane::wake);
                }
                () = sleep_until(next.unwrap_or(patience)), if next.is_some() => {}
            }
        }
    }

    /// One for each backend that a rule asks. The one of the flags has one in any case: kinds of
    /// the cluster change, too.
    fn lanes(&self, now: Instant) -> Vec<Lane> {
        let rules = self.rules.custom.iter().chain(&self.rules.external);
        let mut backends: BTreeSet<usize> = rules.map(|rule| rule.backend).collect();
        backends.insert(0);
        let lane = |backend| Lane::new(backend, self.settings.interval, now);
        backends.into_iter().map(lane).collect()
    }

    /// Begins a round: what it waits for.
    fn begin(
        &self,
        number: usize,
        lane: &mut Lane,
        round: Round,
    ) -> Vec<BoxFuture<'static, Surveyed>> {
        self.metrics.relists.inc();
        let backend = self
            .backends
            .get(lane.backend)
            .expect("the backends of the rules must all have been made");
        let asking = Arc::new(Asking::new(Arc::clone(backend), self.settings));
        let kinds = self.kubernetes.kinds();
        let surveys: Vec<_> = self
            .rules_of(lane.backend, round)
            .into_iter()
            .map(|(rule, queue)| {
                let (kinds, asking) = (Arc::clone(&kinds), Arc::clone(&asking));
                async move {
                    let outcome = survey(&rule, queue, &kinds, &asking).await;
                    (number, rule, outcome)
                }
                .boxed()
            })
            .collect();
        lane.begin(round, surveys.len(), Instant::now());
        surveys
    }

    /// The rules of a round. Those that failed the last time stand in a queue of their own: what
    /// hangs must not keep others waiting.
    fn rules_of(&self, backend: usize, round: Round) -> Vec<(Arc<Rule>, Queue)> {
        let rules = self.rules.custom.iter().chain(&self.rules.external);
        let failed = |rule: &Arc<Rule>| {
            let known = self.known.get(&rule.id);
            known.is_some_and(|known| known.failure.is_some())
        };
        let queued = |rule: &Arc<Rule>| match failed(rule) {
            true => (Arc::clone(rule), Queue::Doubtful),
            false => (Arc::clone(rule), Queue::Well),
        };
        let wanted = |(_, queue): &(_, Queue)| round == Round::All || *queue == Queue::Doubtful;
        let its = rules.filter(|rule| rule.backend == backend);
        its.map(queued).filter(wanted).collect()
    }

    /// Says when the list that is oldest was made, once all have been.
    fn stamp(&self, lanes: &[Lane]) {
        let whole: Option<Vec<i64>> = lanes.iter().map(Lane::whole_at).collect();
        if let Some(oldest) = whole.and_then(|whole| whole.into_iter().min()) {
            self.metrics.relist_timestamp.set(oldest as f64);
        }
    }

    fn note(&mut self, rule: &Rule, outcome: Result<Outcome, Arc<prometheus::Error>>) {
        let known = self.known.entry(rule.id).or_default();
        let label = RuleLabel {
            rule: rule.id.to_string(),
        };
        let up = matches!(outcome, Ok(Outcome::Listed(_) | Outcome::Quiet));
        let gauge = self.metrics.rule_up.get_or_create(&label);
        gauge.set(i64::from(up));
        match outcome {
            // Nothing was asked: once the kind is there, the rule is as new.
            Ok(Outcome::Off) => *known = Known::default(),
            Ok(outcome) => {
                known.answered = true;
                known.live = matches!(outcome, Outcome::Listed(_));
                if let Outcome::Listed(listing) = outcome {
                    known.listing = Some(Arc::new(listing));
                }
                if known.failure.take().is_some() {
                    tracing::info!(rule = %rule.id, line = rule.line, "the rule is listed again");
                }
            }
            Err(error) => {
                self.metrics.rule_failures.get_or_create(&label).inc();
                // An answer, too: the selector is wrong, and the rule makes nothing.
                known.answered |= error.is_bad_data();
                let text = error.to_string();
                if known.failure.as_ref() != Some(&text) {
                    tracing::warn!(
                        rule = %rule.id, line = rule.line, error = %text,
                        "the rule cannot be listed; names it had stay"
                    );
                    known.failure = Some(text);
                }
            }
        }
    }

    async fn publish(&mut self) {
        let kinds = self.kubernetes.kinds();
        let of = |rules: &[Arc<Rule>]| {
            let known = |rule: &Arc<Rule>| self.known.get(&rule.id).cloned().unwrap_or_default();
            rules.iter().map(known).collect()
        };
        let listings = Listings {
            custom: of(&self.rules.custom),
            external: of(&self.rules.external),
        };
        // Tens of thousands of names take their time: not on a thread that answers requests.
        let rules = Arc::clone(&self.rules);
        let build = move || Snapshot::build(rules, kinds, &listings);
        let snapshot = match tokio::task::spawn_blocking(build).await {
            Ok(snapshot) => snapshot,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The process is ending.
                Err(_) => return,
            },
        };
        let listed = snapshot.custom_metrics().count() + snapshot.external_metrics().count();
        let listed = i64::try_from(listed).unwrap_or(i64::MAX);
        self.metrics.metrics_listed.set(listed);
        let shadowed = snapshot.shadowed().iter().map(ToString::to_string);
        let disabled = snapshot.disabled().iter().map(ToString::to_string);
        let remarks: BTreeSet<String> = shadowed.chain(disabled).collect();
        for remark in remarks.difference(&self.said) {
            tracing::warn!("{remark}");
        }
        let resource = snapshot.resource().into_iter();
        let costs: BTreeSet<String> = resource.flat_map(ResourceMetrics::costs).collect();
        for cost in costs.difference(&self.said) {
            tracing::info!("{cost}");
        }
        self.said = &remarks | &costs;
        self.registry.publish(snapshot);
    }
}

/// One rule's round: its questions, and what the answers say.
async fn survey(
    rule: &Rule,
    queue: Queue,
    kinds: &Kinds,
    asking: &Asking,
) -> Result<Outcome, Arc<prometheus::Error>> {
    let survey = Survey::new(rule);
    let Ok(binding) = Binding::new(rule, kinds) else {
        return Ok(Outcome::Off);
    };
    let mut answers = Answers::default();
    let ask = (queue, rule.partial);
    asking.ask(ask, survey.questions(), &mut answers).await?;
    let further = survey.further_questions(&binding, &answers);
    asking.ask(ask, further, &mut answers).await?;
    let listing = survey.listing(&binding, &answers);
    Ok(listing.map_or(Outcome::Quiet, Outcome::Listed))
}
