//! One autoscaler and its rounds: look, decide, act. All that changes nothing on a doubt is in here
//! and in `crate::autoscale`: what was not read is an error there, never a number.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use tokio::sync::Barrier;

use super::command::{self, Words};
use super::decision::{Act, Told};
use super::manifests::key;
use super::remembered::Remembered;
use super::report::Reports;
use super::target::Target;
use super::world::World;
use crate::autoscale::{self, Decision, NoValues, Observed, Other, Scale, Settings};
use crate::config::autoscale::Acting;
use crate::selector::Selector;
use crate::telemetry::with_causes;

/// What all autoscalers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) world: World,
    pub(super) settings: Settings,
    /// `--current`
    pub(super) current: Option<String>,
    pub(super) acting: Acting,
    /// Of one command.
    pub(super) limit: Duration,
    /// The selectors of all targets, by the key of their autoscaler, as they were last seen.
    pub(super) selectors: Mutex<BTreeMap<String, Selector>>,
}

/// One autoscaler.
#[derive(Debug)]
pub(super) struct Autoscaler {
    /// With the status of its last round.
    pub(super) hpa: HorizontalPodAutoscaler,
    pub(super) memory: autoscale::Memory,
    /// What its pods are like, where no cluster tells.
    pub(super) target: Option<Target>,
    /// Of all autoscalers of a cluster, before any decides for the first time.
    pub(super) meeting: Option<Arc<Barrier>>,
    pub(super) shared: Arc<Shared>,
}

impl Autoscaler {
    /// One round.
    pub(super) async fn round(&mut self, reports: &Reports) -> Told {
        let scale = self.scale().await;
        if let Some(selector) = scale.as_ref().ok().and_then(selector) {
            let selectors = self.shared.selectors.lock();
            let mut selectors = selectors.unwrap_or_else(PoisonError::into_inner);
            selectors.insert(key(&self.hpa), selector);
        }
        // Who is the first would not know of the others. A scale has a deadline, as a command has.
        if let Some(meeting) = self.meeting.take() {
            meeting.wait().await;
        }
        let seen = match &scale {
            Ok(scale) => self.look(scale).await,
            Err(_) => Observed {
                now: Timestamp::now(),
                scale,
                pods: Vec::new(),
                metrics: Vec::new(),
                others: Vec::new(),
            },
        };
        let settings = &self.shared.settings;
        let mut memory = self.memory.clone();
        let redated = memory.redate(seen.now);
        if redated > 0 {
            let autoscaler = key(&self.hpa);
            tracing::warn!(
                autoscaler,
                entries = redated,
                "what is remembered is of a time to come (was a clock set back?): it counts as of \
                 now"
            );
        }
        let decision = autoscale::decide(&self.hpa, &seen, memory, settings);
        let (decision, act) = self.act(decision, reports).await;
        self.hpa.status = Some(decision.status.clone());
        self.memory = decision.memory.clone();
        Told::of(&self.hpa, seen.now, decision, act)
    }

    /// What is to be known after the end of this process.
    pub(super) fn remembered(&self) -> Remembered {
        Remembered {
            memory: self.memory.clone(),
            status: self.hpa.status.clone(),
        }
    }

    /// How many replicas there are.
    async fn scale(&self) -> Result<Scale, String> {
        let shared = &self.shared;
        let told = match &shared.current {
            None => None,
            Some(command) => {
                let words = Words::of(&self.hpa);
                let current = command::current(command, &words, shared.limit).await;
                Some(current.map_err(|error| with_causes(&error))?)
            }
        };
        let mut scale = match &self.target {
            Some(target) => Scale {
                spec_replicas: 0,
                status_replicas: 0,
                selector: target.selector.to_string(),
            },
            None => shared.world.scale(&self.hpa).await?,
        };
        if let Some(current) = told {
            (scale.spec_replicas, scale.status_replicas) = (current, current);
        }
        Ok(scale)
    }

    /// The pods and metrics of a target.
    async fn look(&self, scale: &Scale) -> Observed {
        let (world, hpa) = (&self.shared.world, &self.hpa);
        let selector = selector(scale);
        let (mut pods, mut metrics) = (Vec::new(), Vec::new());
        match (&selector, &self.target) {
            (None, _) => {}
            (Some(selector), Some(target)) => {
                metrics = world.values(hpa, selector).await;
                let values = metrics.iter().filter_map(|it| it.as_ref().ok());
                pods = target.pods(values, scale.spec_replicas);
            }
            (Some(selector), None) => {
                let (listed, values) =
                    tokio::join!(world.pods(hpa, selector), world.values(hpa, selector));
                metrics = values;
                match listed {
                    Ok(listed) => pods = listed,
                    // Without the pods no value means anything.
                    Err(why) => {
                        let why =
                            format!("unable to get pods while calculating replica count: {why}");
                        metrics.fill(Err(NoValues(why)));
                    }
                }
            }
        }
        Observed {
            now: Timestamp::now(),
            scale: Ok(scale.clone()),
            pods,
            metrics,
            others: self.others(),
        }
    }

    /// The other autoscalers of the same namespace.
    fn others(&self) -> Vec<Other> {
        let own = key(&self.hpa);
        let namespace = own.split('/').next().unwrap_or_default();
        let selectors = self.shared.selectors.lock();
        let selectors = selectors.unwrap_or_else(PoisonError::into_inner);
        let others = selectors.iter().filter(|(key, _)| {
            **key != own && key.split('/').next().unwrap_or_default() == namespace
        });
        let other = |(key, selector): (&String, &Selector)| Other {
            key: key.clone(),
            selector: selector.clone(),
        };
        others.map(other).collect()
    }

    /// Does what was decided, if there is something to do.
    async fn act(&self, decision: Decision, reports: &Reports) -> (Decision, Act) {
        let Some(rescale) = decision.rescale.clone() else {
            return (decision, Act::Nothing);
        };
        let shared = &self.shared;
        if shared.acting == Acting::DryRun {
            return (decision, Act::DryRun);
        }
        let decision = decision.begun(Timestamp::now());
        let written = Remembered {
            memory: decision.memory.clone(),
            status: Some(decision.status.clone()),
        };
        let outcome = match reports.ahead(key(&self.hpa), written).await {
            // Nobody would know after a restart who scaled it to zero, and it would stay there.
            Err(why) if rescale.to == 0 => Err(format!("not to zero: {why}")),
            // The log tells; too few replicas are worse than a policy that is forgotten.
            Ok(()) | Err(_) => self.set(rescale.from, rescale.to).await,
        };
        let act = match &outcome {
            Ok(()) => Act::Done,
            Err(why) => Act::Failed(why.clone()),
        };
        let settings = &shared.settings;
        let now = Timestamp::now();
        (decision.carried_out(&self.hpa, outcome, now, settings), act)
    }

    /// Sets the replicas.
    async fn set(&self, from: i32, to: i32) -> Result<(), String> {
        let shared = &self.shared;
        match &shared.acting {
            Acting::DryRun => Ok(()),
            Acting::Exec(command) => {
                let words = Words::of(&self.hpa);
                let set = command::set(command, &words, from, to, shared.limit).await;
                set.map_err(|error| with_causes(&error))
            }
            Acting::Scale => shared.world.set(&self.hpa, from, to).await,
        }
    }
}

/// The selector of the pods. One that is empty or cannot be read is found fault with when it is
/// decided.
fn selector(scale: &Scale) -> Option<Selector> {
    let selector = Selector::parse(&scale.selector).ok();
    selector.filter(|it| !it.is_empty())
}
