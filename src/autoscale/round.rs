//! One round of one autoscaler, step by step: `horizontal.go`, `reconcileAutoscaler`.

mod count;
mod outcome;

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;

use super::behavior::Rules;
use super::normalize::{Wish, with_behavior, without_behavior};
use super::status::Status;
use super::{Decision, Event, Memory, Observed, Rescale, Scale, Settings};

pub(super) use outcome::carried_out;

const ABLE_TO_SCALE: &str = "AbleToScale";
const SCALING_ACTIVE: &str = "ScalingActive";
const SCALING_LIMITED: &str = "ScalingLimited";
const SCALED_TO_ZERO: &str = "ScaledToZero";

/// A round under way.
struct Round<'a> {
    hpa: &'a HorizontalPodAutoscaler,
    seen: &'a Observed,
    settings: &'a Settings,
    status: Status,
    events: Vec<Event>,
    memory: Memory,
}

/// What is to be done about the target.
struct Step {
    desired: i32,
    reason: String,
    error: Option<String>,
}

pub(super) fn decide(
    hpa: &HorizontalPodAutoscaler,
    seen: &Observed,
    memory: Memory,
    settings: &Settings,
) -> Decision {
    let mut round = Round {
        hpa,
        seen,
        settings,
        status: Status(hpa.status.clone().unwrap_or_default()),
        events: Vec::new(),
        memory,
    };
    let (min, max) = match bounds(hpa) {
        Ok(bounds) => bounds,
        Err(error) => {
            let current = seen.scale.as_ref().ok().map(|it| it.spec_replicas);
            return round.end(current, None, Some(error));
        }
    };
    let scale = match &seen.scale {
        Ok(scale) => scale,
        Err(error) => {
            let reason = "FailedGetScale";
            round.warn(reason, error.clone());
            let message =
                format!("the HPA controller was unable to get the target's current scale: {error}");
            round.condition(ABLE_TO_SCALE, false, reason, &message);
            let target = reference(hpa);
            let error = format!("failed to query scale subresource for {target}: {error}");
            return round.end(None, None, Some(error));
        }
    };
    let current = scale.spec_replicas;
    match round.step(scale, min, max) {
        Err(error) => round.end(Some(current), None, Some(error)),
        Ok(step) => {
            if step.desired == current {
                round.status.desire(current);
            }
            let rescale = (step.desired != current).then_some(Rescale {
                from: current,
                to: step.desired,
                reason: step.reason,
            });
            round.end(Some(current), rescale, step.error)
        }
    }
}

impl<'a> Round<'a> {
    /// The replicas that are called for. `Err`: nothing can be done.
    fn step(&mut self, scale: &Scale, min: i32, max: i32) -> Result<Step, String> {
        let (now, current) = (self.seen.now, scale.spec_replicas);
        let message = "the HPA controller was able to get the target's current scale";
        self.condition(ABLE_TO_SCALE, true, "SucceededGetScale", message);
        self.memory.begin(current, now);
        self.settle(current);
        let was_scaled_to_zero = self.settings.scale_to_zero && self.status.holds(SCALED_TO_ZERO);
        let step = |desired, reason: &str| Step {
            desired,
            reason: reason.to_owned(),
            error: None,
        };
        let step = if current == 0 && !(was_scaled_to_zero && (min != 0 || is_zeroable(self.hpa))) {
            let message = "scaling is disabled since the replica count of the target is zero";
            self.condition(SCALING_ACTIVE, false, "ScalingDisabled", message);
            if !self.settings.scale_to_zero {
                self.status.remove(SCALED_TO_ZERO);
            }
            step(0, "")
        } else if current > max {
            step(max, "Current number of replicas above Spec.MaxReplicas")
        } else if current != 0 && current < min {
            step(min, "Current number of replicas below Spec.MinReplicas")
        } else {
            return self.by_metrics(scale, min, max);
        };
        self.status.observe(self.hpa, current, Vec::new());
        Ok(step)
    }

    fn by_metrics(&mut self, scale: &Scale, min: i32, max: i32) -> Result<Step, String> {
        let current = scale.spec_replicas;
        let mut statuses = Vec::new();
        let counted = self.count(scale, &mut statuses);
        self.status.observe(self.hpa, current, statuses);
        let counted = counted.map_err(|error| {
            self.warn("FailedComputeMetricsReplicas", error.clone());
            let target = reference(self.hpa);
            format!(
                "failed to compute desired number of replicas based on listed metrics for \
                 {target}: {error}"
            )
        })?;
        let wanted = counted.replicas.max(0);
        let mut reason = if wanted > current {
            format!("{} above target", counted.metric)
        } else if wanted < current {
            "All metrics below target".to_owned()
        } else {
            String::new()
        };
        let wish = Wish {
            current,
            desired: wanted,
            min,
            max,
            now: self.seen.now,
        };
        let mut desired = self.normalize(wish);
        // From zero the rate is that of the policies alone.
        if current == 0 && desired < min {
            desired = min;
            if reason.is_empty() {
                "Current number of replicas below Spec.MinReplicas".clone_into(&mut reason);
            }
        }
        Ok(Step {
            desired,
            reason,
            error: counted.error,
        })
    }

    /// `normalizeDesiredReplicas`, `normalizeDesiredReplicasWithBehaviors`
    fn normalize(&mut self, wish: Wish) -> i32 {
        let normalized = match &self.hpa.spec.behavior {
            None => {
                let window = self.settings.downscale_stabilization;
                without_behavior(wish, window, &mut self.memory)
            }
            Some(behavior) => {
                let up = Rules::up(behavior.scale_up.as_ref());
                let down = Rules::down(behavior.scale_down.as_ref(), self.settings);
                with_behavior(wish, &up, &down, &mut self.memory)
            }
        };
        let (reason, message) = normalized.stabilized;
        self.condition(ABLE_TO_SCALE, true, reason, message);
        let (reason, message) = normalized.limit;
        self.condition(SCALING_LIMITED, normalized.is_limited, reason, message);
        normalized.replicas
    }

    fn condition(&mut self, kind: &str, holds: bool, reason: &str, message: &str) {
        self.status.set(kind, holds, reason, message, self.seen.now);
    }

    fn warn(&mut self, reason: &'static str, message: String) {
        self.events.push(Event {
            is_warning: true,
            reason,
            message,
        });
    }

    fn end(
        self,
        current: Option<i32>,
        rescale: Option<Rescale>,
        error: Option<String>,
    ) -> Decision {
        Decision {
            current,
            rescale,
            error,
            events: self.events,
            status: self.status.0,
            memory: self.memory,
        }
    }
}

/// `minReplicas` and `maxReplicas`, which must make sense: replicas are set to them whatever the
/// metrics say.
fn bounds(hpa: &HorizontalPodAutoscaler) -> Result<(i32, i32), String> {
    let (min, max) = (hpa.spec.min_replicas.unwrap_or(1), hpa.spec.max_replicas);
    if min < 0 || max < 1 || min > max {
        return Err(format!(
            "minReplicas {min} and maxReplicas {max} are no bounds: they must be from 0, from 1, \
             and in order"
        ));
    }
    Ok((min, max))
}

/// Whether a metric tells that there is work while nothing runs (`hasObjectOrExternalMetrics`).
fn is_zeroable(hpa: &HorizontalPodAutoscaler) -> bool {
    let mut metrics = hpa.spec.metrics.iter().flatten();
    metrics.any(|metric| matches!(metric.type_.as_str(), "Object" | "External"))
}

/// `NAMESPACE/NAME`
fn key(hpa: &HorizontalPodAutoscaler) -> String {
    let namespace = hpa.metadata.namespace.as_deref().unwrap_or_default();
    let name = hpa.metadata.name.as_deref().unwrap_or_default();
    format!("{namespace}/{name}")
}

/// `KIND/NAMESPACE/NAME` of the target.
fn reference(hpa: &HorizontalPodAutoscaler) -> String {
    let namespace = hpa.metadata.namespace.as_deref().unwrap_or_default();
    let target = &hpa.spec.scale_target_ref;
    let (kind, name) = (&target.kind, &target.name);
    format!("{kind}/{namespace}/{name}")
}
