//! One autoscaler and its rounds: look, decide, act. All that changes nothing on a doubt is in here
//! and in `crate::autoscale`: what was not read is an error there, never a number.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;

use super::command::{self, Words};
use super::decision::{Act, Told};
use super::manifests::key;
use super::remembered::Remembered;
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
    pub(super) shared: Arc<Shared>,
}

impl Autoscaler {
    /// One round.
    pub(super) async fn round(&mut self) -> Told {
        let scale = self.scale().await;
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
        let memory = self.memory.clone();
        let decision = autoscale::decide(&self.hpa, &seen, memory, settings);
        let (decision, act) = self.act(decision).await;
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
        // One that is empty or cannot be read is found fault with when it is decided.
        let selector = Selector::parse(&scale.selector).ok();
        let selector = selector.filter(|it| !it.is_empty());
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
            others: selector.map(|it| self.others(it)).unwrap_or_default(),
        }
    }

    /// The other autoscalers of the same namespace; and tells them of this one.
    fn others(&self, selector: Selector) -> Vec<Other> {
        let own = key(&self.hpa);
        let namespace = own.split('/').next().unwrap_or_default();
        let selectors = self.shared.selectors.lock();
        let mut selectors = selectors.unwrap_or_else(PoisonError::into_inner);
        selectors.insert(own.clone(), selector);
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
    async fn act(&self, decision: Decision) -> (Decision, Act) {
        let Some(rescale) = decision.rescale.clone() else {
            return (decision, Act::Nothing);
        };
        let shared = &self.shared;
        let (from, to) = (rescale.from, rescale.to);
        let outcome = match &shared.acting {
            Acting::DryRun => return (decision, Act::DryRun),
            Acting::Exec(command) => {
                let words = Words::of(&self.hpa);
                let set = command::set(command, &words, from, to, shared.limit).await;
                set.map_err(|error| with_causes(&error))
            }
            Acting::Scale => shared.world.set(&self.hpa, from, to).await,
        };
        let act = match &outcome {
            Ok(()) => Act::Done,
            Err(why) => Act::Failed(why.clone()),
        };
        let settings = &shared.settings;
        let now = Timestamp::now();
        (decision.carried_out(&self.hpa, outcome, now, settings), act)
    }
}
