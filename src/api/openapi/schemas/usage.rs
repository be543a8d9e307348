//! Definitions of `k8s.io/metrics/pkg/apis/metrics`, whose versions differ in their name alone.

use super::Type::{List, Map, One, Text};
use super::{API_VERSION, KIND, LIST_META, Property, QUANTITY, Schema, Shape, TIMESTAMP};
use super::{may, must, object, part};

/// What the definitions of one version are called.
#[derive(Debug)]
pub(in crate::api::openapi) struct UsageNames {
    pub(in crate::api::openapi) node: &'static str,
    pub(in crate::api::openapi) node_list: &'static str,
    pub(in crate::api::openapi) pod: &'static str,
    pub(in crate::api::openapi) pod_list: &'static str,
}

macro_rules! usage_name {
    ($version:literal, $kind:literal) => {
        concat!("io.k8s.metrics.pkg.apis.metrics.", $version, ".", $kind)
    };
}

macro_rules! usage_names {
    ($version:literal) => {
        UsageNames {
            node: usage_name!($version, "NodeMetrics"),
            node_list: usage_name!($version, "NodeMetricsList"),
            pod: usage_name!($version, "PodMetrics"),
            pod_list: usage_name!($version, "PodMetricsList"),
        }
    };
}

impl UsageNames {
    /// Of `metrics.k8s.io/v1`.
    pub(in crate::api::openapi) const V1: UsageNames = usage_names!("v1");
    /// Of `metrics.k8s.io/v1beta1`.
    pub(in crate::api::openapi) const V1BETA1: UsageNames = usage_names!("v1beta1");
}

const USAGE: &str = "CPU in cores and memory in bytes.";
const OBJECT_META: Property = may("metadata", One(meta!("ObjectMeta")), "Name and labels.");
const WINDOW: Property = must(
    "window",
    One(meta!("Duration")),
    "The time before `timestamp` that was measured.",
);

macro_rules! usage_schemas {
    ($version:literal) => {
        &[
            part(
                usage_name!($version, "ContainerMetrics"),
                "What a container uses.",
                Shape::Object(&[
                    must("name", Text, "Name of the container."),
                    must("usage", Map(QUANTITY), USAGE),
                ]),
            ),
            object(
                usage_name!($version, "NodeMetrics"),
                ("metrics.k8s.io", $version, "NodeMetrics"),
                "What a node uses.",
                &[
                    API_VERSION,
                    KIND,
                    OBJECT_META,
                    TIMESTAMP,
                    must("usage", Map(QUANTITY), USAGE),
                    WINDOW,
                ],
            ),
            list!(
                usage_name!($version, "NodeMetricsList"),
                ("metrics.k8s.io", $version, "NodeMetricsList"),
                usage_name!($version, "NodeMetrics")
            ),
            object(
                usage_name!($version, "PodMetrics"),
                ("metrics.k8s.io", $version, "PodMetrics"),
                "What the containers of a pod use.",
                &[
                    API_VERSION,
                    must(
                        "containers",
                        List(usage_name!($version, "ContainerMetrics")),
                        "One each.",
                    ),
                    KIND,
                    OBJECT_META,
                    TIMESTAMP,
                    WINDOW,
                ],
            ),
            list!(
                usage_name!($version, "PodMetricsList"),
                ("metrics.k8s.io", $version, "PodMetricsList"),
                usage_name!($version, "PodMetrics")
            ),
        ]
    };
}

pub(super) const V1: &[Schema] = usage_schemas!("v1");
pub(super) const V1BETA1: &[Schema] = usage_schemas!("v1beta1");
