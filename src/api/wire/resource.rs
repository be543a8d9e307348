//! The usage lists of `metrics.k8s.io` (`k8s.io/metrics/pkg/apis/metrics`), whose
//! versions v1 and v1beta1 have one shape.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::{Form, List, Metadata, whole_seconds};
use crate::go::duration::format_go;
use crate::kubernetes::Object;
use crate::kubernetes::labels::Labels;
use crate::plan::resource::{PodUsage, Usage, earliest};

/// What all answers of one moment share.
#[derive(Clone, Copy, Debug)]
pub(in crate::api) struct Measured {
    /// `metrics.k8s.io/v1` or `metrics.k8s.io/v1beta1`: all that tells the two apart.
    pub(in crate::api) api_version: &'static str,
    /// When the answer is made.
    pub(in crate::api) now: Timestamp,
    /// The window of the rules.
    pub(in crate::api) window: Duration,
}

/// Usage of one pod or node; with `kind` where it is not an element of a list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct Item<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_version: Option<&'static str>,
    metadata: ItemMetadata<'a>,
    timestamp: String,
    window: String,
    #[serde(flatten)]
    usage: ItemUsage<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ItemMetadata<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    namespace: &'a str,
    creation_timestamp: String,
    #[serde(skip_serializing_if = "Labels::is_empty")]
    labels: &'a Labels,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum ItemUsage<'a> {
    Containers(Vec<Container<'a>>),
    Usage(Quantities),
}

#[derive(Debug, Serialize)]
struct Container<'a> {
    name: &'a str,
    usage: Quantities,
}

/// A `ResourceList`.
#[derive(Debug, Serialize)]
struct Quantities {
    cpu: String,
    memory: String,
}

impl Measured {
    /// A pod's containers, by name.
    pub(in crate::api) fn pod<'a>(self, pod: &'a Object, containers: &'a PodUsage) -> Item<'a> {
        let container = |(name, usage): (&'a String, &Usage)| Container {
            name,
            usage: quantities(usage),
        };
        let usage = ItemUsage::Containers(containers.iter().map(container).collect());
        self.item(pod, earliest(containers).unwrap_or(self.now), usage)
    }

    /// A node.
    pub(in crate::api) fn node<'a>(self, node: &'a Object, usage: &Usage) -> Item<'a> {
        self.item(node, usage.timestamp(), ItemUsage::Usage(quantities(usage)))
    }

    fn item<'a>(self, object: &'a Object, timestamp: Timestamp, usage: ItemUsage<'a>) -> Item<'a> {
        Item {
            kind: None,
            api_version: None,
            metadata: ItemMetadata {
                name: &object.name,
                namespace: &object.namespace,
                creation_timestamp: whole_seconds(self.now),
                labels: &object.labels,
            },
            timestamp: whole_seconds(timestamp),
            window: format_go(self.window),
            usage,
        }
    }

    /// One of them, as an answer of its own.
    pub(in crate::api) fn alone(
        self,
        item: Item<'_>,
        form: Form,
    ) -> Result<Vec<u8>, serde_json::Error> {
        let kind = match item.usage {
            ItemUsage::Containers(_) => "PodMetrics",
            ItemUsage::Usage(_) => "NodeMetrics",
        };
        form.json(&Item {
            kind: Some(kind),
            api_version: Some(self.api_version),
            ..item
        })
    }

    /// A list of this kind (`PodMetricsList`, `NodeMetricsList`).
    pub(in crate::api) fn list(
        self,
        kind: &'static str,
        items: Vec<Item<'_>>,
        form: Form,
    ) -> Result<Vec<u8>, serde_json::Error> {
        form.json(&List {
            kind,
            api_version: self.api_version,
            metadata: Metadata {},
            items,
        })
    }
}

fn quantities(usage: &Usage) -> Quantities {
    Quantities {
        cpu: usage.cpu.quantity.to_string(),
        memory: usage.memory.quantity.to_string(),
    }
}
