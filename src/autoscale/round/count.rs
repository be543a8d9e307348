//! What all metrics of an object call for: `horizontal.go`, `computeReplicasForMetrics`.

use std::collections::BTreeMap;

use k8s_openapi::api::autoscaling::v2::MetricStatus;
use k8s_openapi::api::core::v1::Pod;

use crate::autoscale::calculator::Calculator;
use crate::autoscale::metric::{Ask, Computed, Failure, compute};
use crate::autoscale::numbers::{Tolerances, ratio};
use crate::autoscale::{NoValues, Scale, metrics};
use crate::selector::Selector;

use super::{Round, SCALING_ACTIVE, key};

/// Those of a pod without labels.
static NO_LABELS: BTreeMap<String, String> = BTreeMap::new();

/// What all metrics together call for.
pub(super) struct Counted {
    pub(super) replicas: i32,
    /// The metric that calls for most.
    pub(super) metric: String,
    /// Why some did not count.
    pub(super) error: Option<String>,
}

impl<'a> Round<'a> {
    /// `computeReplicasForMetrics`: the most that any metric calls for. Fewer than there are only
    /// if no metric failed.
    pub(super) fn count(
        &mut self,
        scale: &Scale,
        statuses: &mut Vec<MetricStatus>,
    ) -> Result<Counted, String> {
        let calculator = Calculator {
            pods: self.selected(scale)?,
            spec_replicas: scale.spec_replicas,
            status_replicas: scale.status_replicas,
            tolerances: self.tolerances()?,
            now: self.seen.now,
            settings: self.settings,
        };
        let metrics = metrics(self.hpa);
        let left_out = Err(NoValues("no values were asked for".to_owned()));
        let mut most: Option<Computed> = None;
        let mut failures: Vec<Failure> = Vec::new();
        for (at, metric) in metrics.iter().enumerate() {
            let ask = Ask {
                calculator: &calculator,
                namespace: self.hpa.metadata.namespace.as_deref().unwrap_or_default(),
                values: self.seen.metrics.get(at).unwrap_or(&left_out),
            };
            match compute(metric, &ask) {
                Ok(computed) => {
                    statuses.push(computed.status.clone());
                    if most
                        .as_ref()
                        .is_none_or(|it| it.replicas == 0 || computed.replicas > it.replicas)
                    {
                        most = Some(computed);
                    }
                }
                Err(failure) => {
                    statuses.push(MetricStatus::default());
                    self.warn(failure.reason, failure.message.clone());
                    failures.push(failure);
                }
            }
        }
        let error = failures.first().map(|first| {
            let (invalid, all) = (failures.len(), metrics.len());
            let first = &first.error;
            format!("invalid metrics ({invalid} invalid out of {all}), first error is: {first}")
        });
        let most = most.filter(|it| failures.is_empty() || it.replicas >= scale.spec_replicas);
        let Some(most) = most else {
            if let Some(Failure {
                reason, message, ..
            }) = failures.first()
            {
                let message = format!("the HPA was unable to compute the replica count: {message}");
                self.condition(SCALING_ACTIVE, false, reason, &message);
            }
            return Err(error.unwrap_or_default());
        };
        let metric = most.name;
        let message =
            format!("the HPA was able to successfully calculate a replica count from {metric}");
        self.condition(SCALING_ACTIVE, true, "ValidMetricFound", &message);
        Ok(Counted {
            replicas: most.replicas,
            metric,
            error,
        })
    }

    /// `validateAndParseSelector`: the pods that are the target's, and no other autoscaler's.
    fn selected(&mut self, scale: &Scale) -> Result<Vec<&'a Pod>, String> {
        if scale.selector.is_empty() {
            let error = "selector is required";
            self.warn("SelectorRequired", error.to_owned());
            let message = "the HPA target's scale is missing a selector";
            self.condition(SCALING_ACTIVE, false, "InvalidSelector", message);
            return Err(error.to_owned());
        }
        let selector = Selector::parse(&scale.selector).map_err(|error| {
            let error = format!(
                "couldn't convert selector into a corresponding internal selector object: {error}"
            );
            self.no_selector("InvalidSelector", error)
        })?;
        let seen = self.seen;
        let labels = |pod: &'a Pod| pod.metadata.labels.as_ref().unwrap_or(&NO_LABELS);
        let pods = seen.pods.iter().filter(|pod| selector.matches(labels(pod)));
        let pods: Vec<&Pod> = pods.collect();
        let selects = |selector: &Selector| pods.iter().any(|pod| selector.matches(labels(pod)));
        let others = seen.others.iter().filter(|it| selects(&it.selector));
        let mut keys: Vec<&str> = others.map(|it| it.key.as_str()).collect();
        let own = key(self.hpa);
        keys.retain(|key| *key != own);
        if keys.is_empty() {
            return Ok(pods);
        }
        keys.push(&own);
        keys.sort_unstable();
        let (selector, keys) = (&scale.selector, keys.join(" "));
        let error =
            format!("pods by selector {selector} are controlled by multiple HPAs: [{keys}]");
        Err(self.no_selector("AmbiguousSelector", error))
    }

    fn no_selector(&mut self, reason: &'static str, error: String) -> String {
        self.warn(reason, error.clone());
        self.condition(SCALING_ACTIVE, false, reason, &error);
        error
    }

    /// `tolerancesForHpa`
    fn tolerances(&self) -> Result<Tolerances, String> {
        let all = self.settings.tolerance;
        let behavior = self
            .hpa
            .spec
            .behavior
            .as_ref()
            .filter(|_| self.settings.configurable_tolerance);
        let up = behavior.and_then(|it| it.scale_up.as_ref()?.tolerance.as_ref());
        let down = behavior.and_then(|it| it.scale_down.as_ref()?.tolerance.as_ref());
        let read = |text| {
            ratio(text).map_err(|error| format!("the tolerance {} is no quantity: {error}", text.0))
        };
        Ok(Tolerances {
            scale_down: down.map_or(Ok(all), read)?,
            scale_up: up.map_or(Ok(all), read)?,
        })
    }
}
