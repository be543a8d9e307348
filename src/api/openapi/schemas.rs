//! The objects that clients read, as a table. Names and fields are those of `k8s.io/apimachinery`
//! and `k8s.io/metrics`; the words are ours.

/// One definition.
#[derive(Debug)]
pub(super) struct Schema {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    /// Group, version and kind, where the object says them of itself.
    pub(super) kind: Option<(&'static str, &'static str, &'static str)>,
    pub(super) shape: Shape,
}

#[derive(Debug)]
pub(super) enum Shape {
    Object(&'static [Property]),
    /// An object whose fields are not described.
    Any,
    /// Text, perhaps in one of OpenAPI's formats.
    Text(Option<&'static str>),
    /// Text, or in OpenAPI 3, which can say so, a number.
    Quantity,
}

#[derive(Debug)]
pub(super) struct Property {
    pub(super) name: &'static str,
    pub(super) required: bool,
    pub(super) holds: Type,
    pub(super) about: &'static str,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Type {
    Text,
    Integer,
    Boolean,
    /// A definition, by its name.
    One(&'static str),
    Texts,
    List(&'static str),
    TextMap,
    Map(&'static str),
}

use Type::{Integer, List, One, Text, TextMap};

macro_rules! meta {
    ($name:literal) => {
        concat!("io.k8s.apimachinery.pkg.apis.meta.v1.", $name)
    };
}
macro_rules! metrics {
    ($name:literal) => {
        concat!("io.k8s.metrics.pkg.apis.", $name)
    };
}

/// Definitions of `k8s.io/apimachinery` and `k8s.io/api`.
mod meta;

pub(super) const GROUP_LIST: &str = meta!("APIGroupList");
pub(super) const GROUP: &str = meta!("APIGroup");
pub(super) const RESOURCE_LIST: &str = meta!("APIResourceList");
pub(super) const VERSION: &str = "io.k8s.apimachinery.pkg.version.Info";
pub(super) const CUSTOM_V1BETA1: &str = metrics!("custom_metrics.v1beta1.MetricValueList");
pub(super) const CUSTOM_V1BETA2: &str = metrics!("custom_metrics.v1beta2.MetricValueList");
pub(super) const EXTERNAL: &str = metrics!("external_metrics.v1beta1.ExternalMetricValueList");

const QUANTITY: &str = "io.k8s.apimachinery.pkg.api.resource.Quantity";
const OBJECT: &str = "io.k8s.api.core.v1.ObjectReference";
const TIME: &str = meta!("Time");
const SELECTOR: &str = meta!("LabelSelector");

const fn must(name: &'static str, holds: Type, about: &'static str) -> Property {
    Property {
        name,
        required: true,
        holds,
        about,
    }
}

const fn may(name: &'static str, holds: Type, about: &'static str) -> Property {
    Property {
        name,
        required: false,
        holds,
        about,
    }
}

const fn object(
    name: &'static str,
    (group, version, kind): (&'static str, &'static str, &'static str),
    about: &'static str,
    properties: &'static [Property],
) -> Schema {
    Schema {
        name,
        about,
        kind: Some((group, version, kind)),
        shape: Shape::Object(properties),
    }
}

const fn part(name: &'static str, about: &'static str, shape: Shape) -> Schema {
    Schema {
        name,
        about,
        kind: None,
        shape,
    }
}

const API_VERSION: Property = may("apiVersion", Text, "Group and version of this object.");
const KIND: Property = may("kind", Text, "Kind of this object.");
const LIST_META: Property = may("metadata", One(meta!("ListMeta")), "Metadata of the list.");
const TIMESTAMP: Property = must("timestamp", One(TIME), "When the value was measured.");
const VALUE: Property = must("value", One(QUANTITY), "The value.");
const WINDOW_SECONDS: &str = "The seconds before `timestamp` that the value is calculated from.";
const SELECTED_BY: &str = "The selector that the metric was asked with.";

/// A list of `items` as an object of its own.
macro_rules! list {
    ($name:expr, $kind:expr, $items:expr) => {
        object(
            $name,
            $kind,
            "A list.",
            &[
                API_VERSION,
                must("items", List($items), "What was found."),
                KIND,
                LIST_META,
            ],
        )
    };
}

/// Definitions of `metrics.k8s.io`.
mod usage;
pub(super) use usage::UsageNames;

/// Every definition.
pub(super) fn all() -> impl Iterator<Item = &'static Schema> {
    meta::SCHEMAS
        .iter()
        .chain(SCHEMAS)
        .chain(usage::V1)
        .chain(usage::V1BETA1)
}

const SCHEMAS: &[Schema] = &[
    object(
        metrics!("custom_metrics.v1beta1.MetricValue"),
        ("custom.metrics.k8s.io", "v1beta1", "MetricValue"),
        "The value of a metric of an object.",
        &[
            API_VERSION,
            must("describedObject", One(OBJECT), "The object."),
            KIND,
            must("metricName", Text, "The metric."),
            may("selector", One(SELECTOR), SELECTED_BY),
            TIMESTAMP,
            VALUE,
            may("window", Integer, WINDOW_SECONDS),
        ],
    ),
    list!(
        CUSTOM_V1BETA1,
        ("custom.metrics.k8s.io", "v1beta1", "MetricValueList"),
        metrics!("custom_metrics.v1beta1.MetricValue")
    ),
    part(
        metrics!("custom_metrics.v1beta2.MetricIdentifier"),
        "A metric, and which of its series.",
        Shape::Object(&[
            must("name", Text, "The metric."),
            may("selector", One(SELECTOR), SELECTED_BY),
        ]),
    ),
    object(
        metrics!("custom_metrics.v1beta2.MetricValue"),
        ("custom.metrics.k8s.io", "v1beta2", "MetricValue"),
        "The value of a metric of an object.",
        &[
            API_VERSION,
            must("describedObject", One(OBJECT), "The object."),
            KIND,
            must(
                "metric",
                One(metrics!("custom_metrics.v1beta2.MetricIdentifier")),
                "The metric.",
            ),
            TIMESTAMP,
            VALUE,
            may("windowSeconds", Integer, WINDOW_SECONDS),
        ],
    ),
    list!(
        CUSTOM_V1BETA2,
        ("custom.metrics.k8s.io", "v1beta2", "MetricValueList"),
        metrics!("custom_metrics.v1beta2.MetricValue")
    ),
    object(
        metrics!("external_metrics.v1beta1.ExternalMetricValue"),
        ("external.metrics.k8s.io", "v1beta1", "ExternalMetricValue"),
        "A value of a metric of nothing in the cluster.",
        &[
            API_VERSION,
            KIND,
            must("metricLabels", TextMap, "The labels of the series."),
            must("metricName", Text, "The metric."),
            TIMESTAMP,
            VALUE,
            may("window", Integer, WINDOW_SECONDS),
        ],
    ),
    list!(
        EXTERNAL,
        (
            "external.metrics.k8s.io",
            "v1beta1",
            "ExternalMetricValueList"
        ),
        metrics!("external_metrics.v1beta1.ExternalMetricValue")
    ),
];
