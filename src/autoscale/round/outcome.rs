//! What a round comes to once its change was made, or could not be: the end of
//! `reconcileAutoscaler` in `horizontal.go`.

use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{ABLE_TO_SCALE, SCALED_TO_ZERO, bounds, is_zeroable, reference};
use crate::autoscale::behavior::Rules;
use crate::autoscale::status::Status;
use crate::autoscale::{Decision, Event, Rescale, Settings};

pub(in crate::autoscale) fn carried_out(
    decision: Decision,
    hpa: &HorizontalPodAutoscaler,
    outcome: Result<(), String>,
    now: Timestamp,
    settings: &Settings,
) -> Decision {
    let mut decision = decision;
    let Some(Rescale { from, to, reason }) = decision.rescale.clone() else {
        return decision;
    };
    let mut status = Status(std::mem::take(&mut decision.status));
    if let Err(error) = outcome {
        decision.events.push(Event {
            is_warning: true,
            reason: "FailedRescale",
            message: format!("New size: {to}; reason: {reason}; error: {error}"),
        });
        let message = format!("the HPA controller was unable to update the target scale: {error}");
        status.set(ABLE_TO_SCALE, false, "FailedUpdateScale", &message, now);
        decision.error = Some(format!("failed to rescale {}: {error}", reference(hpa)));
        decision.status = status.0;
        return decision;
    }
    let message = format!("the HPA controller was able to update the target scale to {to}");
    status.set(ABLE_TO_SCALE, true, "SucceededRescale", &message, now);
    decision.events.push(Event {
        is_warning: false,
        reason: "SuccessfulRescale",
        message: format!("New size: {to}; reason: {reason}"),
    });
    if let Some(behavior) = &hpa.spec.behavior {
        let rules = if to > from {
            Rules::up(behavior.scale_up.as_ref())
        } else {
            Rules::down(behavior.scale_down.as_ref(), settings)
        };
        decision.memory.store(from, to, now, &rules);
    }
    let min = bounds(hpa).map_or(1, |(min, _)| min);
    if !settings.scale_to_zero {
        status.remove(SCALED_TO_ZERO);
    } else if from > 0 && to == 0 && min == 0 && is_zeroable(hpa) {
        let message = "the HPA controller scaled the workload to zero";
        status.set(SCALED_TO_ZERO, true, "ScaledToZero", message, now);
    } else {
        let message = "the HPA controller did not scale the workload to zero";
        status.set(SCALED_TO_ZERO, false, "NotScaledToZero", message, now);
    }
    status.desire(to);
    status.0.last_scale_time = Some(Time(now));
    decision.status = status.0;
    decision
}
