//! The metric lists of `custom.metrics.k8s.io` and `external.metrics.k8s.io` as Kubernetes reads
//! them.
//!
//! Shapes: `k8s.io/metrics/pkg/apis/{custom_metrics,external_metrics}`. Field names and their
//! presence equal the recorded answers of the Go adapter.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use serde::{Serialize, Serializer};

use super::body::Body;
use super::status::Failure;
use crate::kinds::Kind;
use crate::plan::{ExternalValue, Value};
use crate::prometheus;
use crate::quantity::Quantity;
use crate::selector::{Operator, Selector};

/// From objects to bytes.
mod form;
/// The third encoding.
pub(super) mod protobuf;
/// Usage of pods and nodes.
pub(super) mod resource;
#[cfg(test)]
mod tests;
/// The second encoding.
pub(super) mod yaml;

pub(super) use form::{Answer, Form};
use protobuf::{Fields, ListMeta, Message, entries};

/// A version of `custom.metrics.k8s.io`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CustomVersion {
    /// With `metricName` and `selector`.
    V1Beta1,
    /// With `metric: {name, selector}`.
    V1Beta2,
}

/// What all items of a custom metrics answer share.
#[derive(Clone, Debug)]
pub(super) struct Described<'a> {
    /// The kind of the objects.
    pub(super) kind: &'a Kind,
    /// Their namespace, unless the ask was at the root.
    pub(super) namespace: Option<&'a str>,
    /// The metric's name.
    pub(super) metric: &'a str,
    /// The metric selector, if one was given.
    pub(super) selector: Option<LabelSelector>,
}

/// The empty `metadata` of a list.
#[derive(Debug, Serialize)]
struct Metadata {}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct List<T> {
    kind: &'static str,
    api_version: &'static str,
    metadata: Metadata,
    items: Vec<T>,
}

impl<T: Message> Message for List<T> {
    fn write(&self, to: &mut Fields) {
        to.message(1, &ListMeta);
        to.messages(2, &self.items);
    }
}

impl<T: Serialize + Message> Answer for List<T> {
    fn type_meta(&self) -> (&str, &str) {
        (self.api_version, self.kind)
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ObjectReference<'a> {
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    name: &'a str,
    api_version: String,
}

impl Message for ObjectReference<'_> {
    fn write(&self, to: &mut Fields) {
        to.string(1, self.kind);
        to.string(2, self.namespace.unwrap_or_default());
        to.string(3, self.name);
        to.string(4, "");
        to.string(5, &self.api_version);
        to.string(6, "");
        to.string(7, "");
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct MetricValueV1Beta1<'a> {
    described_object: ObjectReference<'a>,
    metric_name: &'a str,
    timestamp: Time,
    value: Amount<'a>,
    selector: Option<&'a LabelSelector>,
}

impl Message for MetricValueV1Beta1<'_> {
    fn write(&self, to: &mut Fields) {
        to.message(1, &self.described_object);
        to.string(2, self.metric_name);
        to.message(3, &self.timestamp);
        to.message(5, &self.value);
        to.messages(6, self.selector);
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct MetricValueV1Beta2<'a> {
    described_object: ObjectReference<'a>,
    metric: MetricIdentifier<'a>,
    timestamp: Time,
    value: Amount<'a>,
}

impl Message for MetricValueV1Beta2<'_> {
    fn write(&self, to: &mut Fields) {
        to.message(1, &self.described_object);
        to.message(2, &self.metric);
        to.message(3, &self.timestamp);
        to.message(5, &self.value);
    }
}

#[derive(Debug, Serialize)]
struct MetricIdentifier<'a> {
    name: &'a str,
    selector: Option<&'a LabelSelector>,
}

impl Message for MetricIdentifier<'_> {
    fn write(&self, to: &mut Fields) {
        to.string(1, self.name);
        to.messages(2, self.selector);
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ExternalMetricValue<'a> {
    metric_name: &'a str,
    metric_labels: Option<&'a BTreeMap<String, String>>,
    timestamp: Time,
    value: Amount<'a>,
}

impl Message for ExternalMetricValue<'_> {
    fn write(&self, to: &mut Fields) {
        to.string(1, self.metric_name);
        to.map(2, self.metric_labels.into_iter().flat_map(entries));
        to.message(3, &self.timestamp);
        to.message(5, &self.value);
    }
}

/// A `MetricValueList`: one item per object name and value, in the given order.
pub(super) fn metric_value_list(
    version: CustomVersion,
    described: &Described<'_>,
    values: &[(&str, &Value)],
    form: Form,
) -> Result<Body, Failure> {
    let selector = described.selector.as_ref();
    let object = |name| ObjectReference {
        kind: &described.kind.kind,
        namespace: described.namespace,
        name,
        api_version: described.kind.api_version(),
    };
    match version {
        CustomVersion::V1Beta1 => Body::object(
            form,
            &List {
                kind: "MetricValueList",
                api_version: "custom.metrics.k8s.io/v1beta1",
                metadata: Metadata {},
                items: values
                    .iter()
                    .map(|(name, value)| MetricValueV1Beta1 {
                        described_object: object(name),
                        metric_name: described.metric,
                        timestamp: Time(value.timestamp),
                        value: Amount(&value.quantity),
                        selector,
                    })
                    .collect(),
            },
        ),
        CustomVersion::V1Beta2 => Body::object(
            form,
            &List {
                kind: "MetricValueList",
                api_version: "custom.metrics.k8s.io/v1beta2",
                metadata: Metadata {},
                items: values
                    .iter()
                    .map(|(name, value)| MetricValueV1Beta2 {
                        described_object: object(name),
                        metric: MetricIdentifier {
                            name: described.metric,
                            selector,
                        },
                        timestamp: Time(value.timestamp),
                        value: Amount(&value.quantity),
                    })
                    .collect(),
            },
        ),
    }
}

/// An `ExternalMetricValueList`.
///
/// A scalar has no labels at all, which Go writes as `null`.
pub(super) fn external_metric_value_list(
    metric: &str,
    kind: prometheus::Kind,
    values: &[ExternalValue],
    form: Form,
) -> Result<Body, Failure> {
    let items = values.iter().map(|item| ExternalMetricValue {
        metric_name: metric,
        metric_labels: (kind == prometheus::Kind::Vector).then_some(&item.labels),
        timestamp: Time(item.value.timestamp),
        value: Amount(&item.value.quantity),
    });
    Body::object(
        form,
        &List {
            kind: "ExternalMetricValueList",
            api_version: "external.metrics.k8s.io/v1beta1",
            metadata: Metadata {},
            items: items.collect(),
        },
    )
}

/// The metric selector as custom-metrics-apiserver echoes it (`metav1.ParseToLabelSelector`): `=`
/// as a label, the rest as expressions. Go has no form for `!=` and fails; `NotIn` of the one value
/// means the same.
pub(super) fn label_selector(selector: &Selector) -> Option<LabelSelector> {
    let mut echo = LabelSelector::default();
    for requirement in selector.requirements() {
        let operator = match requirement.operator {
            Operator::Equals | Operator::DoubleEquals => {
                let value = requirement.values.first().cloned().unwrap_or_default();
                let labels = echo.match_labels.get_or_insert_default();
                labels.insert(requirement.key.clone(), value);
                continue;
            }
            Operator::In => "In",
            Operator::NotIn | Operator::NotEquals => "NotIn",
            Operator::Exists => "Exists",
            Operator::DoesNotExist => "DoesNotExist",
            // Refused before anything is echoed: PromQL has no such matcher.
            Operator::GreaterThan | Operator::LessThan => continue,
        };
        let values = Some(requirement.values.clone()).filter(|values| !values.is_empty());
        echo.match_expressions
            .get_or_insert_default()
            .push(LabelSelectorRequirement {
                key: requirement.key.clone(),
                operator: operator.to_owned(),
                values,
            });
    }
    (!selector.is_empty()).then_some(echo)
}

/// A `metav1.Time`: RFC 3339 in UTC, whole seconds, cut off.
#[derive(Clone, Copy, Debug)]
struct Time(jiff::Timestamp);

impl Time {
    /// Since 1970.
    fn seconds(self) -> i64 {
        self.0.as_millisecond().div_euclid(1000)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let whole = jiff::Timestamp::from_second(self.seconds()).unwrap_or(self.0);
        serializer.collect_str(&whole)
    }
}

impl Message for Time {
    fn write(&self, to: &mut Fields) {
        to.integer(1, self.seconds());
        to.integer(2, 0);
    }
}

/// A `resource.Quantity`: its text.
#[derive(Clone, Copy, Debug)]
struct Amount<'a>(&'a Quantity);

impl Serialize for Amount<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self.0)
    }
}

impl Message for Amount<'_> {
    fn write(&self, to: &mut Fields) {
        to.string(1, &self.0.to_string());
    }
}
