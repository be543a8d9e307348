//! What a round comes to once its change was made, or could not be: the end of
//! `reconcileAutoscaler` in `horizontal.go`. And what the next one finds of a change of which
//! nobody has told: the controller forgets it.

use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{ABLE_TO_SCALE, Round, SCALED_TO_ZERO, bounds, is_zeroable, reference};
use crate::autoscale::behavior::Rules;
use crate::autoscale::status::Status;
use crate::autoscale::{Attempt, Decision, Event, Memory, Rescale, Settings};

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
        if let Some(attempt) = &mut decision.memory.attempt {
            attempt.at = now;
        }
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
    let made = Attempt { from, to, at: now };
    remember(made, hpa, settings, &mut status, &mut decision.memory);
    status.desire(to);
    decision.status = status.0;
    decision
}

impl Round<'_> {
    /// Finds out what came of a change of which nobody has told: it was made if the target is on
    /// the way from where it was to where it was to go.
    pub(super) fn settle(&mut self, current: i32) {
        let Some(attempt) = self.memory.attempt.take() else {
            return;
        };
        let (from, to) = (attempt.from, attempt.to);
        if current != from && (from.min(to)..=from.max(to)).contains(&current) {
            let made = Attempt {
                to: current,
                ..attempt
            };
            let (status, memory) = (&mut self.status, &mut self.memory);
            remember(made, self.hpa, self.settings, status, memory);
        }
    }
}

/// Remembers a change that was made.
fn remember(
    made: Attempt,
    hpa: &HorizontalPodAutoscaler,
    settings: &Settings,
    status: &mut Status,
    memory: &mut Memory,
) {
    let Attempt { from, to, at } = made;
    memory.attempt = None;
    if let Some(behavior) = &hpa.spec.behavior {
        let rules = if to > from {
            Rules::up(behavior.scale_up.as_ref())
        } else {
            Rules::down(behavior.scale_down.as_ref(), settings)
        };
        memory.store(from, to, at, &rules);
    }
    let min = bounds(hpa).map_or(1, |(min, _)| min);
    if !settings.scale_to_zero {
        status.remove(SCALED_TO_ZERO);
    } else if from > 0 && to == 0 && min == 0 && is_zeroable(hpa) {
        let message = "the HPA controller scaled the workload to zero";
        status.set(SCALED_TO_ZERO, true, "ScaledToZero", message, at);
    } else {
        let message = "the HPA controller did not scale the workload to zero";
        status.set(SCALED_TO_ZERO, false, "NotScaledToZero", message, at);
    }
    status.0.last_scale_time = Some(Time(at));
}
