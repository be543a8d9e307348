//! Keeps the registry true: asks Prometheus, rule by rule, which names there are, and publishes
//! snapshots.
//!
//! Promises: a rule that fails never touches another, keeps its last names and is counted; a relist
//! ends by its deadline; a rule that failed is asked again sooner (with back-off and jitter), the
//! others are not; each backend has rounds of its own, so that one that hangs delays no other; an
//! ask for an unknown name wakes it early, at most every ten seconds; and when the rules change,
//! those that stay keep what is known of them, and the others are asked about at once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::kinds::Kinds;
use crate::kubernetes::Kubernetes;
use crate::prometheus::{self, Backend, Backends};
use crate::registry::{
    Answers, Binding, Known, Listing, Registry, ResourceMetrics, Snapshot, Survey,
};
use crate::rules::{Rule, Rules};
use crate::telemetry::{Metrics, RuleLabel};

mod asking;
mod labels;
mod lane;
mod ledger;
mod news;
mod once;
mod rounds;

use asking::{Asking, Queue};
use labels::Labels;
use lane::Lane;
use ledger::{Entry, Key, Ledger};
use news::News;
pub use once::once;
use rounds::{Rounds, Surveyed};

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

/// Rules, and the backends that they know by number.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// The rules.
    pub rules: Arc<Rules>,
    /// That of the flags, and then those of the rules files.
    pub backends: Arc<Backends>,
}

impl Configuration {
    fn backend(&self, rule: &Rule) -> &Arc<Backend> {
        let backend = self.backends.get(rule.backend);
        backend.expect("the backends of the rules must all have been made")
    }

    fn key(&self, rule: &Rule) -> Key {
        Key {
            identity: rule.identity.clone(),
            backend: Arc::clone(self.backend(rule)),
        }
    }
}

/// Puts other rules into force.
#[derive(Debug)]
pub struct Changes(mpsc::Sender<Change>);

#[derive(Debug)]
struct Change {
    configuration: Configuration,
    applied: oneshot::Sender<()>,
}

impl Changes {
    /// Completes when all requests that come are answered by `configuration`. Those under way are
    /// answered by what was in force when they came.
    pub async fn apply(&self, configuration: Configuration) {
        let (applied, done) = oneshot::channel();
        let change = Change {
            configuration,
            applied,
        };
        // Without the relist the process is ending.
        if self.0.send(change).await.is_ok() {
            let _applied = done.await;
        }
    }
}

/// The background task that writes the registry.
pub struct Relist {
    configuration: Configuration,
    changes: mpsc::Receiver<Change>,
    kubernetes: Arc<Kubernetes>,
    registry: Arc<Registry>,
    metrics: Arc<Metrics>,
    wake: Arc<Wake>,
    settings: Settings,
    ledger: Ledger,
    labels: Labels,
    news: News,
    /// What was logged about rules that collide, are off, or cost much: each thing is said once.
    said: BTreeSet<String>,
}

/// What asking about one rule gave.
enum Outcome {
    /// Its series.
    Listed(Listing),
    /// There are none now, and its literal name stays as it is.
    Quiet,
    /// The cluster lacks a kind that it names; nothing was asked.
    Off,
}

impl Relist {
    /// A relist that publishes to `registry`, and the way to give it other rules.
    pub fn new(
        configuration: Configuration,
        kubernetes: Arc<Kubernetes>,
        registry: Arc<Registry>,
        metrics: Arc<Metrics>,
        wake: Arc<Wake>,
        settings: Settings,
    ) -> (Relist, Changes) {
        let (sender, changes) = mpsc::channel(1);
        let relist = Relist {
            ledger: Ledger::new(&configuration),
            labels: Labels::new(&configuration),
            configuration,
            changes,
            kubernetes,
            registry,
            metrics,
            wake,
            settings,
            news: News::default(),
            said: BTreeSet::new(),
        };
        (relist, Changes(sender))
    }

    /// Relists for ever: the rules of each backend every interval or when woken, and in between
    /// those that failed or are new.
    pub async fn run(mut self) {
        let started = Instant::now();
        let mut rounds = Rounds::new(&self.configuration, self.settings);
        self.stamp(rounds.lanes_mut());
        let mut tick = interval(PUBLISH_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut dirty = false;
        let mut listed = false;
        loop {
            let kinds = self.kubernetes.kinds();
            let (begun, ended) = rounds.begin(&self.configuration, &self.ledger, &kinds);
            self.metrics.relists.begun.inc_by(begun);
            if ended {
                dirty = true;
                self.stamp(rounds.lanes_mut());
            }
            let patience = started + FIRST_TURN;
            let all_ended = rounds.lanes().iter().all(Lane::has_ended);
            if !listed && (Instant::now() >= patience || all_ended) {
                self.publish().await;
                self.registry.set_listed();
                (dirty, listed) = (false, true);
            }
            let next = rounds.next().into_iter();
            let next = next.chain((!listed).then_some(patience)).min();
            tokio::select! {
                (surveyed, ended) = rounds.surveyed() => {
                    if !dirty {
                        tick.reset();
                    }
                    dirty = true;
                    self.note(surveyed);
                    if ended {
                        self.publish().await;
                        dirty = false;
                        self.stamp(rounds.lanes_mut());
                        self.news.tell();
                    }
                }
                _ = tick.tick(), if dirty => {
                    self.publish().await;
                    dirty = false;
                }
                Some(change) = self.changes.recv() => {
                    self.replace(change.configuration, &mut rounds);
                    self.publish().await;
                    dirty = false;
                    // Whoever waited for it may have gone.
                    let _told = change.applied.send(());
                }
                () = self.wake.asked.notified(), if !rounds.lanes().iter().all(Lane::is_woken) => {
                    rounds.wake();
                }
                () = sleep_until(next.unwrap_or(patience)), if next.is_some() => {}
            }
        }
    }

    /// Takes other rules for those there were.
    fn replace(&mut self, configuration: Configuration, rounds: &mut Rounds) {
        let fresh = self.ledger.replace(&configuration);
        let kinds = self.kubernetes.kinds();
        let gone = rounds.replace(&configuration, &self.ledger, fresh, &kinds);
        for backend in gone {
            self.metrics.relists.forget(&backend);
        }
        self.stamp(rounds.lanes_mut());
        self.labels.replace(&configuration, &self.metrics);
        self.configuration = configuration;
        for rule in self.configuration.rules.series_rules() {
            let entry = self.ledger.get(&self.configuration.key(rule));
            if let Some(known) = entry.map(|it| &it.known)
                && (known.answered || known.failure.is_some())
            {
                let up = known.answered && known.failure.is_none();
                self.metrics
                    .rule_up
                    .get_or_create(&label(rule))
                    .set(i64::from(up));
            }
        }
    }

    /// Shows how long rounds took, and when all rules of each backend were last listed.
    fn stamp(&self, lanes: &mut [Lane]) {
        let relists = &self.metrics.relists;
        for lane in lanes {
            if let Some(took) = lane.took() {
                relists.ended(lane.backend.name(), took);
            }
            relists.listed(lane.backend.name(), lane.whole_at());
        }
    }

    fn note(&mut self, surveyed: Surveyed) {
        let Some(Entry { rules, known, told }) = self.ledger.get_mut(&surveyed.key) else {
            // The rule is gone.
            return;
        };
        let outcome = surveyed.outcome;
        let up = matches!(outcome, Ok(Outcome::Listed(_) | Outcome::Quiet));
        for rule in &*rules {
            let gauge = self.metrics.rule_up.get_or_create(&label(rule));
            gauge.set(i64::from(up));
        }
        let Some(rule) = rules.first() else { return };
        match outcome {
            // Nothing was asked: once the kind is there, the rule is as new.
            Ok(Outcome::Off) => *known = Known::default(),
            Ok(outcome) => {
                known.answered = true;
                known.live = matches!(outcome, Outcome::Listed(_));
                if let Outcome::Listed(listing) = outcome {
                    known.listing = Some(Arc::new(listing));
                }
                known.failing_since = None;
                known.failure = None;
                self.news.listed(rule, told);
            }
            Err(error) => {
                for rule in &*rules {
                    self.metrics.rule_failures.get_or_create(&label(rule)).inc();
                }
                // An answer, too: the selector is wrong, and the rule makes nothing.
                known.answered |= error.is_bad_data();
                known.failing_since.get_or_insert_with(Timestamp::now);
                let text = error.to_string();
                self.news.failed(rule, told, &text);
                known.failure = Some(text);
            }
        }
    }

    async fn publish(&mut self) {
        let kinds = self.kubernetes.kinds();
        let listings = self.ledger.listings(&self.configuration);
        // Tens of thousands of names take their time: not on a thread that answers requests.
        let Configuration { rules, backends } = self.configuration.clone();
        let build = move || Snapshot::build(rules, kinds, &listings).over(backends);
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
        // Not before: until now somebody may have been shown what the rules that are gone make.
        self.labels.sweep(&self.metrics);
    }
}

fn label(rule: &Rule) -> RuleLabel {
    RuleLabel {
        rule: rule.id.to_string(),
    }
}

/// Asks about one rule: its questions, and what the answers say.
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
