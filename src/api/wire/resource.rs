//! The usage lists of `metrics.k8s.io` (`k8s.io/metrics/pkg/apis/metrics`), whose
//! versions v1 and v1beta1 have one shape.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::protobuf::{Fields, Message};
use super::{Amount, Answer, Form, List, Metadata, Time};
use crate::api::accept::Conversion;
use crate::api::body::Body;
use crate::api::status::Failure;
use crate::go::duration::format_go;
use crate::kubernetes::Object;
use crate::kubernetes::labels::Labels;
use crate::plan::resource::{PodUsage, Usage, earliest};

/// Usage as something else: nothing but metadata.
mod metadata;
/// Usage as something else: rows and columns.
mod table;
#[cfg(test)]
mod tests;

use metadata::{Partial, PartialList};
use table::Table;

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
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct Item<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_version: Option<&'static str>,
    metadata: ItemMetadata<'a>,
    timestamp: Time,
    window: Window,
    #[serde(flatten)]
    usage: ItemUsage<'a>,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ItemMetadata<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    namespace: &'a str,
    creation_timestamp: Time,
    #[serde(skip_serializing_if = "Labels::is_empty")]
    labels: &'a Labels,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum ItemUsage<'a> {
    Containers(Vec<Container<'a>>),
    Usage(Quantities<'a>),
}

#[derive(Clone, Debug, Serialize)]
struct Container<'a> {
    name: &'a str,
    usage: Quantities<'a>,
}

/// A `ResourceList`.
#[derive(Clone, Copy, Debug, Serialize)]
struct Quantities<'a> {
    cpu: Amount<'a>,
    memory: Amount<'a>,
}

/// A `metav1.Duration`.
#[derive(Clone, Copy, Debug)]
struct Window(Duration);

impl Serialize for Window {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format_go(self.0))
    }
}

impl Message for Window {
    fn write(&self, to: &mut Fields) {
        to.integer(1, i64::try_from(self.0.as_nanos()).unwrap_or(i64::MAX));
    }
}

impl Message for Item<'_> {
    fn write(&self, to: &mut Fields) {
        to.message(1, &self.metadata);
        to.message(2, &self.timestamp);
        to.message(3, &self.window);
        match &self.usage {
            ItemUsage::Containers(containers) => to.messages(4, containers),
            ItemUsage::Usage(usage) => usage.write(4, to),
        }
    }
}

impl Answer for Item<'_> {
    fn type_meta(&self) -> (&str, &str) {
        let text = |text: Option<&'static str>| text.unwrap_or_default();
        (text(self.api_version), text(self.kind))
    }
}

/// `metav1.ObjectMeta`.
impl Message for ItemMetadata<'_> {
    fn write(&self, to: &mut Fields) {
        to.string(1, self.name);
        to.string(2, "");
        to.string(3, self.namespace);
        for number in [4, 5, 6] {
            to.string(number, "");
        }
        to.integer(7, 0);
        to.message(8, &self.creation_timestamp);
        to.map(11, self.labels.iter());
    }
}

impl Message for Container<'_> {
    fn write(&self, to: &mut Fields) {
        to.string(1, self.name);
        self.usage.write(2, to);
    }
}

impl<'a> Quantities<'a> {
    /// By name.
    fn named(self) -> [(&'static str, Amount<'a>); 2] {
        [("cpu", self.cpu), ("memory", self.memory)]
    }

    /// A `map<string, Quantity>`.
    fn write(self, number: u64, to: &mut Fields) {
        for (name, amount) in self.named() {
            to.nested(number, |entry| {
                entry.string(1, name);
                entry.message(2, &amount);
            });
        }
    }
}

impl Measured {
    /// A pod's containers, by name.
    pub(in crate::api) fn pod<'a>(self, pod: &'a Object, containers: &'a PodUsage) -> Item<'a> {
        let container = |(name, usage): (&'a String, &'a Usage)| Container {
            name,
            usage: quantities(usage),
        };
        let usage = ItemUsage::Containers(containers.iter().map(container).collect());
        self.item(pod, earliest(containers).unwrap_or(self.now), usage)
    }

    /// A node.
    pub(in crate::api) fn node<'a>(self, node: &'a Object, usage: &'a Usage) -> Item<'a> {
        self.item(node, usage.timestamp(), ItemUsage::Usage(quantities(usage)))
    }

    fn item<'a>(self, object: &'a Object, timestamp: Timestamp, usage: ItemUsage<'a>) -> Item<'a> {
        Item {
            kind: None,
            api_version: None,
            metadata: ItemMetadata {
                name: &object.name,
                namespace: &object.namespace,
                creation_timestamp: Time(self.now),
                labels: &object.labels,
            },
            timestamp: Time(timestamp),
            window: Window(self.window),
            usage,
        }
    }

    /// One of them, as an answer of its own.
    pub(in crate::api) fn alone(self, item: Item<'_>, form: Form) -> Result<Body, Failure> {
        let item = self.typed(item);
        match form.conversion {
            Some(Conversion::Table(version, include)) => {
                Body::readable(form, &Table::new(version, include, &[item]))
            }
            Some(Conversion::Metadata(version)) => {
                Body::object(form, &Partial::new(version, item.metadata))
            }
            Some(Conversion::MetadataList(_)) => {
                let kind = item.kind.unwrap_or_default();
                Err(Failure::no_list(kind))
            }
            Some(Conversion::Discovery(_)) | None => Body::object(form, &item),
        }
    }

    /// A list of this kind (`PodMetricsList`, `NodeMetricsList`).
    pub(in crate::api) fn list(
        self,
        kind: &'static str,
        items: Vec<Item<'_>>,
        form: Form,
    ) -> Result<Body, Failure> {
        match form.conversion {
            Some(Conversion::Table(version, include)) => {
                let items: Vec<_> = items.into_iter().map(|item| self.typed(item)).collect();
                Body::readable(form, &Table::new(version, include, &items))
            }
            Some(Conversion::Metadata(_)) => Err(Failure::no_object(kind)),
            Some(Conversion::MetadataList(version)) => {
                let metadata = items.iter().map(|item| item.metadata);
                Body::object(form, &PartialList::new(version, metadata))
            }
            Some(Conversion::Discovery(_)) | None => Body::object(
                form,
                &List {
                    kind,
                    api_version: self.api_version,
                    metadata: Metadata {},
                    items,
                },
            ),
        }
    }

    fn typed(self, item: Item<'_>) -> Item<'_> {
        let kind = match item.usage {
            ItemUsage::Containers(_) => "PodMetrics",
            ItemUsage::Usage(_) => "NodeMetrics",
        };
        Item {
            kind: Some(kind),
            api_version: Some(self.api_version),
            ..item
        }
    }
}

fn quantities(usage: &Usage) -> Quantities<'_> {
    Quantities {
        cpu: Amount(&usage.cpu.quantity),
        memory: Amount(&usage.memory.quantity),
    }
}
