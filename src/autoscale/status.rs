//! The status that a round leaves: `setStatus` and `setCondition` of `horizontal.go`.

use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v2::{
    HorizontalPodAutoscaler, HorizontalPodAutoscalerCondition, HorizontalPodAutoscalerStatus,
    MetricStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::condition;

/// A status under change.
pub(super) struct Status(pub(super) HorizontalPodAutoscalerStatus);

impl Status {
    /// What there is now: the replicas that the target is set to, and one entry for each metric,
    /// an empty one where it failed.
    pub(super) fn observe(
        &mut self,
        hpa: &HorizontalPodAutoscaler,
        current: i32,
        metrics: Vec<MetricStatus>,
    ) {
        self.0.current_replicas = Some(current);
        self.0.current_metrics = Some(metrics).filter(|metrics| !metrics.is_empty());
        self.0.observed_generation = hpa.metadata.generation.or(self.0.observed_generation);
    }

    /// What the target is set to in the end.
    pub(super) fn desire(&mut self, replicas: i32) {
        self.0.desired_replicas = replicas;
    }

    /// Whether a condition is there and true.
    pub(super) fn holds(&self, kind: &str) -> bool {
        condition(&self.0, kind).is_some_and(|it| it.status == "True")
    }

    /// Sets a condition; its transition is now if its status is another than before.
    pub(super) fn set(
        &mut self,
        kind: &str,
        holds: bool,
        reason: &str,
        message: &str,
        now: Timestamp,
    ) {
        let conditions = self.0.conditions.get_or_insert_default();
        let at = conditions.iter().position(|it| it.type_ == kind);
        let old = at.map(|at| conditions.remove(at));
        let status = if holds { "True" } else { "False" };
        let since = old
            .filter(|old| old.status == status)
            .and_then(|old| old.last_transition_time);
        let new = HorizontalPodAutoscalerCondition {
            last_transition_time: Some(since.unwrap_or(Time(now))),
            message: Some(message.to_owned()),
            reason: Some(reason.to_owned()),
            status: status.to_owned(),
            type_: kind.to_owned(),
        };
        conditions.insert(at.unwrap_or(conditions.len()), new);
    }

    /// Takes a condition away.
    pub(super) fn remove(&mut self, kind: &str) {
        if let Some(conditions) = &mut self.0.conditions {
            conditions.retain(|condition| condition.type_ != kind);
        }
    }
}
