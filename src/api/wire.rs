//! The metric lists of `custom.metrics.k8s.io` and `external.metrics.k8s.io` as Kubernetes reads
//! them.
//!
//! Shapes: `k8s.io/metrics/pkg/apis/{custom_metrics,external_metrics}`. Field names and their
//! presence equal the recorded answers of the Go adapter.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use serde::Serialize;

use super::accept::{Conversion, Encoding};
use crate::kinds::Kind;
use crate::plan::{ExternalValue, Value};
use crate::prometheus;
use crate::selector::{Operator, Selector};

/// Usage of pods and nodes.
pub(super) mod resource;

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

/// How an answer is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Form {
    /// In which encoding.
    pub(super) encoding: Encoding,
    /// With line breaks and indentation, for people, where the encoding has a choice.
    pub(super) pretty: bool,
    /// As which other object.
    pub(super) conversion: Option<Conversion>,
}

impl Form {
    /// Indented too where `pretty` says so.
    pub(super) fn prettier(self, pretty: bool) -> Form {
        Form {
            pretty: self.pretty || pretty,
            ..self
        }
    }

    /// `value` as JSON. Like Go's, it ends in a line break unless it is indented.
    pub(super) fn json(self, value: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
        if self.pretty {
            return serde_json::to_vec_pretty(value);
        }
        let mut body = serde_json::to_vec(value)?;
        body.push(b'\n');
        Ok(body)
    }
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

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ObjectReference<'a> {
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    name: &'a str,
    api_version: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct MetricValueV1Beta1<'a> {
    described_object: ObjectReference<'a>,
    metric_name: &'a str,
    timestamp: String,
    value: String,
    selector: Option<&'a LabelSelector>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct MetricValueV1Beta2<'a> {
    described_object: ObjectReference<'a>,
    metric: MetricIdentifier<'a>,
    timestamp: String,
    value: String,
}

#[derive(Debug, Serialize)]
struct MetricIdentifier<'a> {
    name: &'a str,
    selector: Option<&'a LabelSelector>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ExternalMetricValue<'a> {
    metric_name: &'a str,
    metric_labels: Option<&'a BTreeMap<String, String>>,
    timestamp: String,
    value: String,
}

/// A `MetricValueList`: one item per object name and value, in the given order.
pub(super) fn metric_value_list(
    version: CustomVersion,
    described: &Described<'_>,
    values: &[(&str, &Value)],
    form: Form,
) -> Result<Vec<u8>, serde_json::Error> {
    let selector = described.selector.as_ref();
    let object = |name| ObjectReference {
        kind: &described.kind.kind,
        namespace: described.namespace,
        name,
        api_version: described.kind.api_version(),
    };
    match version {
        CustomVersion::V1Beta1 => form.json(&List {
            kind: "MetricValueList",
            api_version: "custom.metrics.k8s.io/v1beta1",
            metadata: Metadata {},
            items: values
                .iter()
                .map(|(name, value)| MetricValueV1Beta1 {
                    described_object: object(name),
                    metric_name: described.metric,
                    timestamp: timestamp(value),
                    value: value.quantity.to_string(),
                    selector,
                })
                .collect(),
        }),
        CustomVersion::V1Beta2 => form.json(&List {
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
                    timestamp: timestamp(value),
                    value: value.quantity.to_string(),
                })
                .collect(),
        }),
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
) -> Result<Vec<u8>, serde_json::Error> {
    let items = values.iter().map(|item| ExternalMetricValue {
        metric_name: metric,
        metric_labels: (kind == prometheus::Kind::Vector).then_some(&item.labels),
        timestamp: timestamp(&item.value),
        value: item.value.quantity.to_string(),
    });
    form.json(&List {
        kind: "ExternalMetricValueList",
        api_version: "external.metrics.k8s.io/v1beta1",
        metadata: Metadata {},
        items: items.collect(),
    })
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

/// `metav1.Time`: RFC 3339 in UTC, whole seconds, cut off.
fn timestamp(value: &Value) -> String {
    whole_seconds(value.timestamp)
}

fn whole_seconds(at: jiff::Timestamp) -> String {
    let seconds = at.as_millisecond().div_euclid(1000);
    jiff::Timestamp::from_second(seconds)
        .unwrap_or(at)
        .to_string()
}
