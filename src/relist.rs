//! Keeps the registry true: asks Prometheus, rule by rule, which names there are, and publishes
//! snapshots.
//!
//! Promises: a rule that fails never touches another, keeps its last names and is counted; a relist
//! ends by its deadline; a rule that failed is asked again sooner (with back-off and jitter), the
//! others are not; and an ask for an unknown name wakes it early, at most every ten seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::kinds::Kinds;
use crate::kubernetes::Kubernetes;
use crate::pace::Pace;
use crate::prometheus::{self, Client};
use crate::registry::{
    Answers, Binding, Known, Listing, Listings, Registry, ResourceMetrics, Snapshot, Survey,
};
use crate::rules::{Rule, RuleId, Rules};
use crate::telemetry::{Metrics, RuleLabel};

mod asking;

use asking::{Asking, Queue};

/// The least time from the start of a relist to one that an unknown name wakes.
const WAKE_PAUSE: Duration = Duration::from_secs(10);

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
    /// When one of its questions for names is given up (`--prometheus-timeout`).
    pub question: Duration,
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
    prometheus: Arc<Client>,
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

/// Which rules a round is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Round {
    All,
    /// Those that failed the last time.
    Failed,
}

impl Relist {
    /// A relist of `rules` that publishes to `registry`.
    pub fn new(
        rules: Arc<Rules>,
        prometheus: Arc<Client>,
        kubernetes: Arc<Kubernetes>,
        registry: Arc<Registry>,
        metrics: Arc<Metrics>,
        wake: Arc<Wake>,
        settings: Settings,
    ) -> Relist {
        Relist {
            rules,
            prometheus,
            kubernetes,
            registry,
            metrics,
            wake,
            settings,
            known: BTreeMap::new(),
            said: BTreeSet::new(),
        }
    }

    /// Relists for ever: all rules every interval or when woken, and in between those that failed.
    pub async fn run(mut self) {
        let mut pace = Pace::new(self.settings.interval);
        let mut round = Round::All;
        let mut all_at = Instant::now();
        let mut all_began = all_at;
        let mut woken = false;
        loop {
            if round == Round::All {
                all_began = Instant::now();
                woken = false;
            }
            let failed = self.relist(round).await;
            self.registry.set_listed();
            if round == Round::All {
                all_at = Instant::now() + pace.interval();
            }
            let retry_at = Instant::now() + pace.pause(failed);
            round = loop {
                tokio::select! {
                    () = sleep_until(all_at) => break Round::All,
                    () = self.wake.asked.notified(), if !woken => woken = true,
                    () = sleep_until(all_began + WAKE_PAUSE), if woken => break Round::All,
                    () = sleep_until(retry_at), if failed => break Round::Failed,
                }
            };
        }
    }

    /// One round. Returns whether any rule failed.
    async fn relist(&mut self, round: Round) -> bool {
        let started = Instant::now();
        self.metrics.relists.inc();
        let kinds = self.kubernetes.kinds();
        let (prometheus, metrics) = (Arc::clone(&self.prometheus), Arc::clone(&self.metrics));
        let asking = Arc::new(Asking::new(prometheus, metrics, self.settings));
        let mut surveys: FuturesUnordered<_> = self
            .rules_of(round)
            .into_iter()
            .map(|(rule, queue)| survey(rule, queue, Arc::clone(&kinds), Arc::clone(&asking)))
            .collect();
        let mut tick = interval(PUBLISH_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tick.reset();
        let mut failed = false;
        let mut dirty = false;
        loop {
            tokio::select! {
                surveyed = surveys.next() => match surveyed {
                    Some((rule, outcome)) => {
                        failed |= outcome.is_err();
                        self.note(&rule, outcome);
                        dirty = true;
                    }
                    None => break,
                },
                _ = tick.tick() => {
                    if dirty {
                        self.publish(&kinds).await;
                        dirty = false;
                    }
                    if started.elapsed() > FIRST_TURN {
                        self.registry.set_listed();
                    }
                }
            }
        }
        self.publish(&kinds).await;
        if !failed && round == Round::All {
            let now = jiff::Timestamp::now().as_second();
            self.metrics.relist_timestamp.set(now as f64);
        }
        failed
    }

    /// The rules of a round. Those that failed the last time stand in a queue of their own: what
    /// hangs must not keep others waiting.
    fn rules_of(&self, round: Round) -> Vec<(Arc<Rule>, Queue)> {
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
        rules.map(queued).filter(wanted).collect()
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

    async fn publish(&mut self, kinds: &Arc<Kinds>) {
        let of = |rules: &[Arc<Rule>]| {
            let known = |rule: &Arc<Rule>| self.known.get(&rule.id).cloned().unwrap_or_default();
            rules.iter().map(known).collect()
        };
        let listings = Listings {
            custom: of(&self.rules.custom),
            external: of(&self.rules.external),
        };
        // Tens of thousands of names take their time: not on a thread that answers requests.
        let (rules, kinds) = (Arc::clone(&self.rules), Arc::clone(kinds));
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
    rule: Arc<Rule>,
    queue: Queue,
    kinds: Arc<Kinds>,
    asking: Arc<Asking>,
) -> (Arc<Rule>, Result<Outcome, Arc<prometheus::Error>>) {
    let outcome = async {
        let survey = Survey::new(&rule);
        let Ok(binding) = Binding::new(&rule, &kinds) else {
            return Ok(Outcome::Off);
        };
        let mut answers = Answers::default();
        asking.ask(queue, survey.questions(), &mut answers).await?;
        let further = survey.further_questions(&binding, &answers);
        asking.ask(queue, further, &mut answers).await?;
        let listing = survey.listing(&binding, &answers);
        Ok(listing.map_or(Outcome::Quiet, Outcome::Listed))
    };
    let outcome = outcome.await;
    (rule, outcome)
}
