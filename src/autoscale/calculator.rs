//! How many replicas one metric calls for.
//!
//! `replica_calculator.go` and `metrics/utilization.go`, whose steps, order of errors and rounding
//! these are. Values and targets are in thousandths.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use super::numbers::{Tolerances, ceil, ceil_wide};
use super::pods::{Groups, group, ready_count, requests};
use super::{PodValue, Settings};

const NO_PODS: &str = "no pods returned by selector while calculating replica count";

/// What is the same for all metrics of a round.
pub(super) struct Calculator<'a> {
    /// Those that the target's selector selects.
    pub(super) pods: Vec<&'a Pod>,
    /// What the target is set to.
    pub(super) spec_replicas: i32,
    /// What the target has.
    pub(super) status_replicas: i32,
    pub(super) tolerances: Tolerances,
    pub(super) now: Timestamp,
    pub(super) settings: &'a Settings,
}

/// What one metric calls for, and what it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Proposal {
    pub(super) replicas: i32,
    /// In thousandths, per replica where the target is.
    pub(super) usage: i64,
    /// In percent of the requests, where the target is.
    pub(super) utilization: Option<i32>,
}

/// What the values of pods are compared with.
#[derive(Debug)]
pub(super) enum Measure<'a> {
    /// So much on average.
    Plain(i64),
    /// So many percent of what the pods ask for.
    Requests(i32, BTreeMap<&'a str, i64>),
}

/// Now, over the target.
#[derive(Debug, PartialEq)]
pub(super) struct Ratio {
    pub(super) ratio: f64,
    pub(super) usage: i64,
    pub(super) utilization: Option<i32>,
}

impl Measure<'_> {
    /// `GetMetricUsageRatio`, `GetResourceUtilizationRatio`. There must be a value.
    pub(super) fn ratio(&self, values: &BTreeMap<&str, i64>) -> Result<Ratio, String> {
        let sum = |values: &[i64]| {
            values
                .iter()
                .fold(0, |sum: i64, it| sum.saturating_add(*it))
        };
        let average = |values: &[i64]| {
            let count = i64::try_from(values.len()).unwrap_or(i64::MAX);
            sum(values) / count.max(1)
        };
        match self {
            Measure::Plain(target) => {
                let all: Vec<i64> = values.values().copied().collect();
                let usage = average(&all);
                Ok(Ratio {
                    ratio: usage as f64 / *target as f64,
                    usage,
                    utilization: None,
                })
            }
            Measure::Requests(target, requests) => {
                // What belongs to no pod of ours is not counted.
                let known = values
                    .iter()
                    .filter_map(|(pod, value)| Some((*value, *requests.get(pod)?)));
                let (known, requested): (Vec<i64>, Vec<i64>) = known.unzip();
                let requested = sum(&requested);
                if requested == 0 {
                    return Err("no metrics returned matched known pods".to_owned());
                }
                let percent = sum(&known).saturating_mul(100).saturating_div(requested);
                let percent =
                    i32::try_from(percent).unwrap_or(if percent < 0 { i32::MIN } else { i32::MAX });
                Ok(Ratio {
                    ratio: f64::from(percent) / f64::from(*target),
                    usage: average(&known),
                    utilization: Some(percent),
                })
            }
        }
    }

    /// What a pod without a value is taken to use when the others call for fewer: the target, and
    /// of its request all, or more where the target is more.
    fn fallback(&self, pod: &str) -> i64 {
        match self {
            Measure::Plain(target) => *target,
            Measure::Requests(target, requests) => {
                let request = requests.get(pod).copied().unwrap_or(0);
                let percent = i64::from((*target).max(100));
                request.saturating_mul(percent) / 100
            }
        }
    }
}

impl Calculator<'_> {
    /// `GetResourceReplicas`: `target` percent of what the pods ask for.
    pub(super) fn utilization(
        &self,
        values: &BTreeMap<String, PodValue>,
        target: i32,
        resource: &str,
        container: Option<&str>,
    ) -> Result<Proposal, String> {
        self.by_pod(values, resource, || {
            let requests = requests(&self.pods, container, resource)?;
            Ok(Measure::Requests(target, requests))
        })
    }

    /// `calcPlainMetricReplicas`: `target` on average. `resource` is empty for a metric that is
    /// none.
    pub(super) fn average(
        &self,
        values: &BTreeMap<String, PodValue>,
        target: i64,
        resource: &str,
    ) -> Result<Proposal, String> {
        self.by_pod(values, resource, || Ok(Measure::Plain(target)))
    }

    fn by_pod<'b>(
        &'b self,
        values: &BTreeMap<String, PodValue>,
        resource: &str,
        measure: impl FnOnce() -> Result<Measure<'b>, String>,
    ) -> Result<Proposal, String> {
        if self.pods.is_empty() {
            return Err(NO_PODS.to_owned());
        }
        let groups = group(&self.pods, values, resource, self.now, self.settings);
        let mut counted: BTreeMap<&str, i64> = values
            .iter()
            .map(|(pod, value)| (pod.as_str(), value.value))
            .filter(|(pod, _)| !groups.ignored.contains(pod) && !groups.unready.contains(pod))
            .collect();
        if counted.is_empty() {
            let why = "did not receive metrics for targeted pods (pods might be unready)";
            return Err(why.to_owned());
        }
        let measure = measure()?;
        let seen = measure.ratio(&counted)?;
        let replicas = if groups.missing.is_empty() && !is_up_with_unready(&groups, seen.ratio) {
            self.of_ready(seen.ratio, groups.ready)
        } else {
            fill_in(&groups, seen.ratio, &measure, &mut counted);
            let filled = measure.ratio(&counted)?.ratio;
            self.of_all(seen.ratio, filled, counted.len())
        };
        Ok(Proposal {
            replicas,
            usage: seen.usage,
            utilization: seen.utilization,
        })
    }

    fn of_ready(&self, ratio: f64, ready: usize) -> i32 {
        if self.tolerances.holds(ratio) {
            self.spec_replicas
        } else {
            ceil(ratio * ready as f64)
        }
    }

    /// With what is not known filled in, the direction must still be the one that was seen.
    fn of_all(&self, seen: f64, filled: f64, count: usize) -> i32 {
        let current = self.spec_replicas;
        let turns = (seen < 1.0 && filled > 1.0) || (seen > 1.0 && filled < 1.0);
        if self.tolerances.holds(filled) || turns {
            return current;
        }
        let replicas = ceil(filled * count as f64);
        let turns = (filled < 1.0 && replicas > current) || (filled > 1.0 && replicas < current);
        if turns { current } else { replicas }
    }

    /// `getUsageRatioReplicaCount` with `usage` over `target`: for what is not per pod, but grows
    /// smaller with more of them. From zero there is no tolerance.
    pub(super) fn by_value(&self, usage: i64, target: i64) -> Result<Proposal, String> {
        let ratio = usage as f64 / target as f64;
        let replicas = if self.spec_replicas == 0 {
            ceil(ratio)
        } else if self.tolerances.holds(ratio) {
            self.spec_replicas
        } else if self.pods.is_empty() {
            return Err(format!("unable to calculate ready pods: {NO_PODS}"));
        } else {
            ceil(ratio * ready_count(&self.pods) as f64)
        };
        Ok(Proposal {
            replicas,
            usage,
            utilization: None,
        })
    }

    /// `GetObjectPerPodMetricReplicas`, `GetExternalPerPodMetricReplicas`: what is to be shared
    /// out, `target` for each replica.
    pub(super) fn by_share(&self, usage: i64, target: i64) -> Proposal {
        let replicas = f64::from(self.status_replicas);
        let (all, each) = (usage as f64, target as f64);
        let replicas_wanted = if self.tolerances.holds(all / (each * replicas)) {
            self.status_replicas
        } else {
            ceil(all / each)
        };
        Proposal {
            replicas: replicas_wanted,
            usage: ceil_wide(all / replicas),
            utilization: None,
        }
    }
}

fn is_up_with_unready(groups: &Groups<'_>, ratio: f64) -> bool {
    !groups.unready.is_empty() && ratio > 1.0
}

/// Pods without a value dampen: on the way down they use their part, on the way up nothing, and
/// there pods that are not ready use nothing, too.
fn fill_in<'a>(
    groups: &Groups<'a>,
    ratio: f64,
    measure: &Measure<'_>,
    counted: &mut BTreeMap<&'a str, i64>,
) {
    for pod in &groups.missing {
        if ratio < 1.0 {
            counted.insert(pod, measure.fallback(pod));
        } else if ratio > 1.0 {
            counted.insert(pod, 0);
        }
    }
    if is_up_with_unready(groups, ratio) {
        counted.extend(groups.unready.iter().map(|pod| (*pod, 0)));
    }
}
