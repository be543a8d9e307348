//! What a round came to, in words and in JSON. Pure.

use jiff::{Timestamp, Unit};
use k8s_openapi::api::autoscaling::v2::{
    HorizontalPodAutoscaler, HorizontalPodAutoscalerCondition, HorizontalPodAutoscalerStatus,
    MetricStatus,
};
use serde::Serialize;

use crate::autoscale::{Decision, Rescale, condition};

#[cfg(test)]
mod tests;

/// What was done about a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// There was nothing to do.
    Nothing,
    /// Replicas were set.
    Done,
    /// They could not be set.
    Failed(String),
    /// They are only said to be set.
    DryRun,
}

/// What came of a round, as metrics count it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    ScaledOut,
    ScaledIn,
    WouldScale,
    /// Replicas could not be set.
    ActFailed,
    /// Something could not be read, so nothing was done.
    ReadFailed,
    /// All is as it should be, or limited, or waits.
    Held,
}

/// What could not be read or done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// How many replicas there are.
    Scale,
    /// A metric, or the pods.
    Metrics,
    /// The change of replicas.
    Act,
}

/// One round, told.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Told {
    /// To the millisecond, UTC.
    pub(super) time: Timestamp,
    pub(super) namespace: String,
    pub(super) name: String,
    /// How many replicas there were; `null` where nobody could tell.
    pub(super) current: Option<i32>,
    /// How many there are to be; `null` where nobody could tell.
    pub(super) desired: Option<i32>,
    /// Whether replicas were set.
    pub(super) acted: bool,
    /// Whether that was left out because of `--dry-run`.
    pub(super) dry_run: bool,
    /// One word of Kubernetes, such as `SuccessfulRescale`.
    pub(super) reason: String,
    /// Why, as a sentence.
    pub(super) message: String,
    /// What could not be read or done, also where it was scaled out by what could.
    pub(super) error: Option<String>,
    /// As in the object's status.
    pub(super) conditions: Vec<HorizontalPodAutoscalerCondition>,
    /// As in the object's status: `currentMetrics`.
    pub(super) metrics: Vec<MetricStatus>,
    #[serde(skip)]
    pub(super) act: Act,
}

impl Told {
    /// What the round of `hpa` at `time` came to.
    pub(super) fn of(
        hpa: &HorizontalPodAutoscaler,
        time: Timestamp,
        decision: Decision,
        act: Act,
    ) -> Told {
        let (current, desired) = (decision.current, decision.replicas());
        let error = decision.error.clone();
        let (reason, message) = why(&decision, &act);
        let status = decision.status;
        Told {
            time: time.round(Unit::Millisecond).unwrap_or(time),
            namespace: hpa.metadata.namespace.clone().unwrap_or_default(),
            name: hpa.metadata.name.clone().unwrap_or_default(),
            current,
            desired,
            acted: act == Act::Done,
            dry_run: act == Act::DryRun,
            reason,
            message,
            error,
            conditions: status.conditions.unwrap_or_default(),
            metrics: status.current_metrics.unwrap_or_default(),
            act,
        }
    }

    /// `TIME NAMESPACE/NAME 2 → 4: why`, or `TIME NAMESPACE/NAME 2: why nothing changes`.
    pub(super) fn line(&self) -> String {
        let time = self.time.round(Unit::Second).unwrap_or(self.time);
        let (namespace, name, why) = (&self.namespace, &self.name, &self.message);
        let current = self.current.map_or("?".to_owned(), |it| it.to_string());
        let change = match (self.desired, &self.act) {
            (_, Act::Nothing) | (None, _) => current,
            (Some(desired), Act::Done) => format!("{current} → {desired}"),
            (Some(desired), Act::Failed(_)) => format!("{current} → {desired} failed"),
            (Some(desired), Act::DryRun) => format!("{current} → {desired} (dry run)"),
        };
        let mut line = format!("{time} {namespace}/{name} {change}: {why}");
        // What could not be read, where it was scaled out by what could.
        if let (Some(error), Act::Done | Act::DryRun) = (&self.error, &self.act) {
            line.push_str(&format!("; {error}"));
        }
        // A line is one, whatever a server says.
        line.replace(char::is_control, " ")
    }

    /// Whether it tells anything new: each attempt does.
    pub(super) fn is_news_after(&self, last: Option<&Told>) -> bool {
        let is_attempt = matches!(self.act, Act::Done | Act::Failed(_));
        is_attempt
            || last.is_none_or(|last| {
                let told = |it: &Told| {
                    let numbers = (it.current, it.desired);
                    (
                        numbers,
                        it.reason.clone(),
                        it.message.clone(),
                        it.error.clone(),
                    )
                };
                told(self) != told(last)
            })
    }

    /// What came of it.
    pub(super) fn outcome(&self) -> Outcome {
        match &self.act {
            Act::Done if self.desired > self.current => Outcome::ScaledOut,
            Act::Done => Outcome::ScaledIn,
            Act::DryRun => Outcome::WouldScale,
            Act::Failed(_) => Outcome::ActFailed,
            Act::Nothing if self.error.is_some() => Outcome::ReadFailed,
            Act::Nothing => Outcome::Held,
        }
    }

    /// What could not be read or done, if anything.
    pub(super) fn cause(&self) -> Option<Cause> {
        self.error.as_ref()?;
        match (&self.act, self.current) {
            (Act::Failed(_), _) => Some(Cause::Act),
            (_, None) => Some(Cause::Scale),
            _ => Some(Cause::Metrics),
        }
    }
}

/// The word and the sentence.
fn why(decision: &Decision, act: &Act) -> (String, String) {
    let words = |reason: &str, message: String| (reason.to_owned(), message);
    match (&decision.rescale, act) {
        (Some(Rescale { reason, .. }), Act::Done) => words("SuccessfulRescale", reason.clone()),
        (Some(Rescale { reason, .. }), Act::Failed(why)) => {
            words("FailedRescale", format!("{why} (wanted: {reason})"))
        }
        (Some(Rescale { reason, .. }), _) => words("DryRun", reason.clone()),
        (None, _) => held(&decision.status, decision.error.as_deref()),
    }
}

/// Why nothing changes: the condition that says it.
fn held(status: &HorizontalPodAutoscalerStatus, error: Option<&str>) -> (String, String) {
    let find = |kind| condition(status, kind);
    let able = find("AbleToScale");
    let is = |it: &&HorizontalPodAutoscalerCondition, status: &str| it.status == status;
    let stabilized = ["ScaleUpStabilized", "ScaleDownStabilized"];
    let is_stabilized = |it: &&HorizontalPodAutoscalerCondition| {
        it.reason
            .as_deref()
            .is_some_and(|it| stabilized.contains(&it))
    };
    let said = able
        .filter(|it| is(it, "False"))
        .or_else(|| find("ScalingActive").filter(|it| is(it, "False")));
    let said = match (said, error) {
        (Some(said), _) => Some(said),
        // Some metrics failed, and none of the others calls for more.
        (None, Some(error)) => {
            return ("FailedComputeMetricsReplicas".to_owned(), error.to_owned());
        }
        (None, None) => able
            .filter(is_stabilized)
            .or_else(|| find("ScalingLimited").filter(|it| is(it, "True")))
            .or(able),
    };
    let text = |it: Option<&String>| it.cloned().unwrap_or_default();
    let reason = text(said.and_then(|it| it.reason.as_ref()));
    (reason, text(said.and_then(|it| it.message.as_ref())))
}
