//! The algorithm of Kubernetes' HorizontalPodAutoscaler as a function.
//!
//! An `autoscaling/v2` object, what is known now and what was remembered go in; what the target
//! should be set to, the object's new status and what is to be remembered come out. Nothing is
//! fetched, nothing waits, and the time is a value. It is the controller of Kubernetes 1.36
//! (`pkg/controller/podautoscaler`: `horizontal.go`, `replica_calculator.go`) in its rounding, its
//! order of steps and its words; each function here names the one it follows. Where the controller
//! is at the mercy of overflowing numbers this is not (`numbers`).
//!
//! A caller that scales something other than Kubernetes workloads describes each replica as a `Pod`
//! with a name, labels that the selector selects, a phase and a `Ready` condition.
//!
//! ```ignore
//! let problems = autoscale::validate(&hpa, &settings); // once, as the API server does
//! let mut memory = Memory::default();
//! loop {
//!     let now = Timestamp::now();
//!     let (scale, pods) = (read_scale(&hpa), list_pods(&hpa));
//!     let metrics = autoscale::metrics(&hpa).iter().map(ask).collect();
//!     let seen = Observed { now, scale, pods, metrics, others: vec![] };
//!     let mut decision = autoscale::decide(&hpa, &seen, memory, &settings);
//!     if let Some(rescale) = decision.rescale.clone() {
//!         decision = decision.begun(Timestamp::now());
//!         write_down(&decision.memory); // before it is done: nobody may hear of its end
//!         let outcome = set_replicas(rescale.to); // Result<(), String>
//!         decision = decision.carried_out(&hpa, outcome, Timestamp::now(), &settings);
//!     }
//!     for event in &decision.events { println!("{} {}", event.reason, event.message) }
//!     hpa.status = Some(decision.status);
//!     memory = decision.memory;
//!     sleep_until_next_round();
//! }
//! ```
//!
//! And `ask`, for one metric:
//!
//! ```ignore
//! let path = request::path(&metric, &place, plural)?;
//! match client.get(&path) {
//!     Ok(body) => answer::values(&metric, &body),
//!     Err(why) => Err(answer::refused(api, &why)), // request::api(&metric)
//! }
//! ```
//!
//! The status carries `ScaledToZero` from round to round, so the caller puts it back into the
//! object; a program that ends after each round keeps [`Memory`] too, or it never scales in.

pub mod answer;
mod behavior;
mod calculator;
mod memory;
mod metric;
mod normalize;
mod numbers;
mod pods;
pub mod request;
mod round;
mod status;
mod text;
mod validation;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::autoscaling::v2::{
    HorizontalPodAutoscaler, HorizontalPodAutoscalerCondition, HorizontalPodAutoscalerStatus,
    MetricSpec, MetricTarget, ResourceMetricSource,
};
use k8s_openapi::api::core::v1::Pod;
use thiserror::Error;

use crate::selector::Selector;

pub use memory::{Attempt, Memory, Recommendation, ScaleEvent};
pub use validation::validate;

/// What the flags and feature gates of kube-controller-manager say. By default as they stand in
/// Kubernetes 1.36.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How far a metric may be from its target without effect, as a part of one; 0.1
    /// (`--horizontal-pod-autoscaler-tolerance`).
    pub tolerance: f64,
    /// For how long after its start a pod may use its processor to start up; 5 minutes
    /// (`--horizontal-pod-autoscaler-cpu-initialization-period`).
    pub cpu_initialization_period: SignedDuration,
    /// Within which time after its start a pod that turns not ready has never been ready; 30
    /// seconds (`--horizontal-pod-autoscaler-initial-readiness-delay`).
    pub initial_readiness_delay: SignedDuration,
    /// How long the highest recommendation holds, where `spec.behavior` says nothing else; 5
    /// minutes (`--horizontal-pod-autoscaler-downscale-stabilization`).
    pub downscale_stabilization: SignedDuration,
    /// `HPAScaleToZero`, off: whether `minReplicas` may be 0, with an Object or External metric.
    pub scale_to_zero: bool,
    /// `HPAConfigurableTolerance`, on: whether `tolerance` in `spec.behavior` counts. Clusters
    /// before 1.35 do not know it.
    pub configurable_tolerance: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            tolerance: 0.1,
            cpu_initialization_period: SignedDuration::from_mins(5),
            initial_readiness_delay: SignedDuration::from_secs(30),
            downscale_stabilization: SignedDuration::from_mins(5),
            scale_to_zero: false,
            configurable_tolerance: true,
        }
    }
}

/// What is known at one moment.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The moment.
    pub now: Timestamp,
    /// The target, or why it could not be read.
    pub scale: Result<Scale, String>,
    /// Pods of the object's namespace; those count that the target's selector selects.
    pub pods: Vec<Pod>,
    /// The values of each metric, in the order of [`metrics`]. One that is left out failed.
    pub metrics: Vec<Result<Values, NoValues>>,
    /// Other autoscalers of the same namespace. When one of them selects a pod that this one
    /// selects, neither scales.
    pub others: Vec<Other>,
}

/// How many replicas there are (`autoscaling/v1 Scale`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scale {
    /// How many the target is set to.
    pub spec_replicas: i32,
    /// How many it has.
    pub status_replicas: i32,
    /// The selector of its pods, such as `app=web`.
    pub selector: String,
}

/// Another autoscaler.
#[derive(Clone, Debug)]
pub struct Other {
    /// `NAMESPACE/NAME`
    pub key: String,
    /// The selector of its target.
    pub selector: Selector,
}

/// The values of one metric, in thousandths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Values {
    /// Of Pods, Resource and ContainerResource: by the name of the pod.
    Pods(BTreeMap<String, PodValue>),
    /// Of Object: the one value.
    Object(i64),
    /// Of External: those that are summed up, at least one.
    External(Vec<i64>),
}

/// The value of one pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodValue {
    /// In thousandths.
    pub value: i64,
    /// The end of the time it was measured in. Asked only of processor time while a pod starts.
    pub timestamp: Timestamp,
    /// How long that time was.
    pub window: SignedDuration,
}

/// Why a metric has no values, as it should read in the object's conditions: without anything that
/// differs from round to round.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct NoValues(pub String);

/// What one round comes to.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct Decision {
    /// What the target is set to now; `None` if that could not be read.
    pub current: Option<i32>,
    /// What the target is to be set to, if it is to be changed. Then say how that went:
    /// [`Decision::carried_out`].
    pub rescale: Option<Rescale>,
    /// Why some or all metrics did not count, or nothing could be done.
    pub error: Option<String>,
    /// What the controller would record, in its order.
    pub events: Vec<Event>,
    /// The object's new status.
    pub status: HorizontalPodAutoscalerStatus,
    /// For the next round.
    pub memory: Memory,
}

/// A change of the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rescale {
    /// What it is set to.
    pub from: i32,
    /// What it is to be set to.
    pub to: i32,
    /// Why, such as `cpu resource utilization (percentage of request) above target`.
    pub reason: String,
}

/// One event (`core/v1 Event`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Whether its type is `Warning`, else `Normal`.
    pub is_warning: bool,
    /// One word, such as `SuccessfulRescale`.
    pub reason: &'static str,
    /// A sentence.
    pub message: String,
}

/// One round: what `hpa` calls for, given what is `seen` and remembered (`reconcileAutoscaler`).
///
/// An object that [`validate`] refuses may get an error and no change, never a change that its
/// bounds do not allow.
pub fn decide(
    hpa: &HorizontalPodAutoscaler,
    seen: &Observed,
    memory: Memory,
    settings: &Settings,
) -> Decision {
    round::decide(hpa, seen, memory, settings)
}

impl Decision {
    /// How many replicas there should be; `None` if it is not known how many there are.
    pub fn replicas(&self) -> Option<i32> {
        let to = self.rescale.as_ref().map(|rescale| rescale.to);
        to.or(self.current)
    }

    /// What is to be remembered before the target is set. A process may end, and an answer be lost,
    /// after the target was set and before anybody heard of it: the next round looks whether it
    /// was.
    pub fn begun(mut self, now: Timestamp) -> Decision {
        let attempt = |it: &Rescale| Attempt {
            from: it.from,
            to: it.to,
            at: now,
        };
        self.memory.attempt = self.rescale.as_ref().map(attempt);
        self
    }

    /// What it comes to once the target was set, or could not be: `outcome`. Without `rescale`
    /// nothing changes. One that was [`begun`](Decision::begun) and failed may have been made all
    /// the same.
    pub fn carried_out(
        self,
        hpa: &HorizontalPodAutoscaler,
        outcome: Result<(), String>,
        now: Timestamp,
        settings: &Settings,
    ) -> Decision {
        round::carried_out(self, hpa, outcome, now, settings)
    }
}

/// The metrics that count: those of the object, in its order; 80 % of the processor time that is
/// asked for if it names none (`SetDefaults_HorizontalPodAutoscaler`).
pub fn metrics(hpa: &HorizontalPodAutoscaler) -> Vec<MetricSpec> {
    let written = hpa.spec.metrics.clone();
    let written = written.filter(|metrics| !metrics.is_empty());
    let default = || {
        let target = MetricTarget {
            average_utilization: Some(80),
            type_: "Utilization".to_owned(),
            ..MetricTarget::default()
        };
        let resource = ResourceMetricSource {
            name: "cpu".to_owned(),
            target,
        };
        vec![MetricSpec {
            resource: Some(resource),
            type_: "Resource".to_owned(),
            ..MetricSpec::default()
        }]
    };
    written.unwrap_or_else(default)
}

/// A condition of a status, such as `ScalingActive`.
pub fn condition<'a>(
    status: &'a HorizontalPodAutoscalerStatus,
    kind: &str,
) -> Option<&'a HorizontalPodAutoscalerCondition> {
    let mut conditions = status.conditions.iter().flatten();
    conditions.find(|condition| condition.type_ == kind)
}
