//! One entry of `spec.metrics`: its values to a number of replicas, in the controller's words.
//!
//! `horizontal.go`: `computeReplicasForMetric` and the `computeStatusFor…` functions.

use k8s_openapi::api::autoscaling::v2::{
    ContainerResourceMetricSource, ContainerResourceMetricStatus, ExternalMetricSource,
    ExternalMetricStatus, MetricSpec, MetricStatus, MetricTarget, MetricValueStatus,
    ObjectMetricSource, ObjectMetricStatus, PodsMetricSource, PodsMetricStatus,
    ResourceMetricSource, ResourceMetricStatus,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::go::quote;

use super::calculator::{Calculator, Proposal};
use super::numbers::{milli, quantity};
use super::text::selector;
use super::{NoValues, Values};

/// What a metric calls for.
#[derive(Debug)]
pub(super) struct Computed {
    pub(super) replicas: i32,
    /// The metric, as conditions and events name it.
    pub(super) name: String,
    pub(super) status: MetricStatus,
}

/// Why a metric calls for nothing.
#[derive(Debug)]
pub(super) struct Failure {
    /// Of the condition and the event.
    pub(super) reason: &'static str,
    /// Of the event; the condition puts `the HPA was unable to …` before it.
    pub(super) message: String,
    /// As the whole round tells it.
    pub(super) error: String,
}

/// What is asked of a round, and the values of one metric.
pub(super) struct Ask<'a> {
    pub(super) calculator: &'a Calculator<'a>,
    pub(super) namespace: &'a str,
    pub(super) values: &'a Result<Values, NoValues>,
}

/// `computeReplicasForMetric`
pub(super) fn compute(metric: &MetricSpec, ask: &Ask<'_>) -> Result<Computed, Failure> {
    let kind = metric.type_.as_str();
    let computed = match kind {
        "Object" => metric.object.as_ref().map(|it| ask.object(it)),
        "Pods" => metric.pods.as_ref().map(|it| ask.pods(it)),
        "Resource" => metric.resource.as_ref().map(|it| ask.resource(it)),
        "ContainerResource" => {
            let source = metric.container_resource.as_ref();
            source.map(|it| ask.container_resource(it))
        }
        "External" => metric.external.as_ref().map(|it| ask.external(it)),
        _ => {
            let error = format!("unknown metric source type {}", quote(kind));
            return Err(failure("InvalidMetricSourceType", error.clone(), error));
        }
    };
    computed.unwrap_or_else(|| {
        let error = format!("a metric of type {kind} must tell its source");
        Err(failure("InvalidMetricSourceType", error.clone(), error))
    })
}

impl Ask<'_> {
    /// `computeStatusForObjectMetric`
    fn object(&self, source: &ObjectMetricSource) -> Result<Computed, Failure> {
        let (metric, target) = (&source.metric.name, &source.target);
        let object = &source.described_object;
        let usage = || match self.values {
            Ok(Values::Object(usage)) => Ok(*usage),
            other => {
                // The order of the words is the controller's.
                let (why, namespace) = (unusable(other), self.namespace);
                let (kind, name) = (&object.kind, &object.name);
                Err(format!(
                    "unable to get metric {metric}: {kind} on {namespace} {name}/{why}"
                ))
            }
        };
        let (is_average, computed) = match (target.type_.as_str(), &target.value) {
            ("Value", Some(value)) => {
                let computed = usage().and_then(|it| {
                    let target = positive(value)?;
                    self.calculator.by_value(it, target)
                });
                (false, computed)
            }
            ("AverageValue", _) if target.average_value.is_some() => {
                let value = target.average_value.as_ref();
                let computed = usage().and_then(|it| {
                    let target = value.map_or(Ok(0), positive)?;
                    Ok(self.calculator.by_share(it, target))
                });
                (true, computed)
            }
            _ => (false, Err(NO_OBJECT_TARGET.to_owned())),
        };
        let proposal = computed.map_err(|error| {
            let inner = if is_average {
                format!("failed to get {metric} object metric: {error}")
            } else {
                error.clone()
            };
            let whole = format!("failed to get object metric value: {inner}");
            failure("FailedGetObjectMetric", error, whole)
        })?;
        let name = if is_average {
            let selector = selector(source.metric.selector.as_ref());
            format!("external metric {metric}({selector})")
        } else {
            format!("{} metric {metric}", object.kind)
        };
        let status = ObjectMetricStatus {
            current: value(&proposal, is_average),
            described_object: object.clone(),
            metric: source.metric.clone(),
        };
        Ok(computed_as(proposal, name, "Object", |it| {
            it.object = Some(status);
        }))
    }

    /// `computeStatusForPodsMetric`
    fn pods(&self, source: &PodsMetricSource) -> Result<Computed, Failure> {
        let metric = &source.metric.name;
        let compute = || {
            let target = source.target.average_value.as_ref();
            let target = positive(target.ok_or("an averageValue target must be set")?)?;
            match self.values {
                Ok(Values::Pods(values)) => self.calculator.average(values, target, ""),
                other => Err(format!(
                    "unable to get metric {metric}: {}",
                    unusable(other)
                )),
            }
        };
        let proposal = compute().map_err(|error: String| {
            let whole = format!("failed to get pods metric value: {error}");
            failure("FailedGetPodsMetric", error, whole)
        })?;
        let status = PodsMetricStatus {
            current: value(&proposal, true),
            metric: source.metric.clone(),
        };
        let name = format!("pods metric {metric}");
        Ok(computed_as(proposal, name, "Pods", |it| {
            it.pods = Some(status);
        }))
    }

    /// `computeStatusForResourceMetric`
    fn resource(&self, source: &ResourceMetricSource) -> Result<Computed, Failure> {
        let resource = &source.name;
        let proposal = self
            .usage(&source.target, resource, None)
            .map_err(|error| {
                let whole = format!("failed to get {resource} resource metric value: {error}");
                failure("FailedGetResourceMetric", error, whole)
            })?;
        let name = match proposal.utilization {
            Some(_) => format!("{resource} resource utilization (percentage of request)"),
            None => format!("{resource} resource"),
        };
        let status = ResourceMetricStatus {
            current: usage_of(&proposal, resource),
            name: resource.clone(),
        };
        Ok(computed_as(proposal, name, "Resource", |it| {
            it.resource = Some(status);
        }))
    }

    /// `computeStatusForContainerResourceMetric`
    fn container_resource(
        &self,
        source: &ContainerResourceMetricSource,
    ) -> Result<Computed, Failure> {
        let (resource, container) = (&source.name, &source.container);
        let computed = self.usage(&source.target, resource, Some(container));
        let proposal = computed.map_err(|error| {
            let whole = format!("failed to get {container} container metric value: {error}");
            failure("FailedGetContainerResourceMetric", error, whole)
        })?;
        let name = match proposal.utilization {
            Some(_) => {
                format!("{resource} container resource utilization (percentage of request)")
            }
            None => format!("{resource} resource"),
        };
        let status = ContainerResourceMetricStatus {
            container: container.clone(),
            current: usage_of(&proposal, resource),
            name: resource.clone(),
        };
        Ok(computed_as(proposal, name, "ContainerResource", |it| {
            it.container_resource = Some(status);
        }))
    }

    /// `computeStatusForResourceMetricGeneric`
    fn usage(
        &self,
        target: &MetricTarget,
        resource: &str,
        container: Option<&str>,
    ) -> Result<Proposal, String> {
        let values = || match self.values {
            Ok(Values::Pods(values)) => Ok(values),
            other => {
                let why = unusable(other);
                Err(format!(
                    "unable to get metrics for resource {resource}: {why}"
                ))
            }
        };
        if let Some(average) = &target.average_value {
            let target = positive(average);
            let proposal =
                target.and_then(|target| self.calculator.average(values()?, target, resource));
            return proposal.map_err(|error| format!("failed to get {resource} usage: {error}"));
        }
        let percent = target.average_utilization.ok_or(NO_RESOURCE_TARGET)?;
        let proposal = values().and_then(|values| {
            if percent < 1 {
                return Err(format!("the target {percent} % is not positive"));
            }
            let calculator = self.calculator;
            calculator.utilization(values, percent, resource, container)
        });
        proposal.map_err(|error| format!("failed to get {resource} utilization: {error}"))
    }

    /// `computeStatusForExternalMetric`
    fn external(&self, source: &ExternalMetricSource) -> Result<Computed, Failure> {
        let (metric, target) = (&source.metric.name, &source.target);
        let selector = selector(source.metric.selector.as_ref());
        let usage = || match self.values {
            Ok(Values::External(values)) if !values.is_empty() => Ok(sum(values)),
            other => {
                let (why, namespace) = (unusable(other), self.namespace);
                Err(format!(
                    "unable to get external metric {namespace}/{metric}/{selector}: {why}"
                ))
            }
        };
        let (is_average, computed) = if let Some(average) = &target.average_value {
            let computed = usage().and_then(|it| Ok(self.share(it, positive(average)?)));
            (true, computed)
        } else if let Some(value) = &target.value {
            let computed = usage().and_then(|it| {
                let target = positive(value)?;
                self.calculator.by_value(it, target)
            });
            (false, computed)
        } else {
            (false, Err(NO_EXTERNAL_TARGET.to_owned()))
        };
        let proposal = computed.map_err(|error| {
            let inner = if is_average {
                format!("failed to get {metric} external metric: {error}")
            } else if target.value.is_some() {
                format!("failed to get external metric {metric}: {error}")
            } else {
                error.clone()
            };
            let whole = format!("failed to get {metric} external metric value: {inner}");
            failure("FailedGetExternalMetric", error, whole)
        })?;
        let status = ExternalMetricStatus {
            current: value(&proposal, is_average),
            metric: source.metric.clone(),
        };
        let name = format!("external metric {metric}({selector})");
        Ok(computed_as(proposal, name, "External", |it| {
            it.external = Some(status);
        }))
    }

    /// A sum that was too large to be told is not divided.
    fn share(&self, usage: i64, target: i64) -> Proposal {
        let proposal = self.calculator.by_share(usage, target);
        match usage {
            i64::MAX => Proposal { usage, ..proposal },
            _ => proposal,
        }
    }
}

const NO_OBJECT_TARGET: &str =
    "invalid object metric source: neither a value target nor an average value target was set";
const NO_EXTERNAL_TARGET: &str =
    "invalid external metric source: neither a value target nor an average value target was set";
const NO_RESOURCE_TARGET: &str = "invalid resource metric source: neither an average utilization \
     target nor an average value (usage) target was set";

fn failure(reason: &'static str, message: String, error: String) -> Failure {
    Failure {
        reason,
        message,
        error,
    }
}

/// Why values are none for this type of metric.
fn unusable(values: &Result<Values, NoValues>) -> String {
    match values {
        Err(NoValues(why)) => why.clone(),
        Ok(Values::External(values)) if values.is_empty() => {
            "no metrics returned from external metrics API".to_owned()
        }
        Ok(_) => "the values are those of another type of metric".to_owned(),
    }
}

/// The sum of an external metric's values, as large as can be told. Go takes a sum below zero for
/// one that was too large where the target is an average, and scales out to the maximum; here it
/// is what it is.
fn sum(values: &[i64]) -> i64 {
    values
        .iter()
        .fold(0, |sum: i64, value| sum.saturating_add(*value))
}

/// A target in thousandths. Kubernetes takes no other than positive ones; what is divided by must
/// not be zero here either.
fn positive(target: &Quantity) -> Result<i64, String> {
    let text = &target.0;
    match milli(target) {
        Ok(target @ 1..) => Ok(target),
        Ok(_) => Err(format!("the target {text} is not positive")),
        Err(error) => Err(format!("the target {text} is no quantity: {error}")),
    }
}

/// What is now, of a metric that is no resource.
fn value(proposal: &Proposal, is_average: bool) -> MetricValueStatus {
    let usage = Some(quantity(proposal.usage, false));
    if is_average {
        MetricValueStatus {
            average_value: usage,
            ..MetricValueStatus::default()
        }
    } else {
        MetricValueStatus {
            value: usage,
            ..MetricValueStatus::default()
        }
    }
}

/// What is used now of a resource (`buildQuantity`).
fn usage_of(proposal: &Proposal, resource: &str) -> MetricValueStatus {
    MetricValueStatus {
        average_utilization: proposal.utilization,
        average_value: Some(quantity(proposal.usage, resource == "memory")),
        value: None,
    }
}

fn computed_as(
    proposal: Proposal,
    name: String,
    kind: &str,
    fill: impl FnOnce(&mut MetricStatus),
) -> Computed {
    let mut status = MetricStatus {
        type_: kind.to_owned(),
        ..MetricStatus::default()
    };
    fill(&mut status);
    Computed {
        replicas: proposal.replicas,
        name,
        status,
    }
}
