//! CPU and memory: queries for pods or nodes, and usage out of the rows of both.
//!
//! After `pkg/resourceprovider` of the Go adapter: a container's last row and a node's first row
//! count, and what is negative is zero. Where a container has only one of CPU and memory, or a
//! sample that is no number, Go tells a zero. Here its pod has no usage at all: an autoscaler takes
//! a pod that is left out for unknown, and a container that is left out for idle
//! (`GetResourceMetric` in `pkg/controller/podautoscaler/metrics/client.go`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::{Dropped, Found, Value, label_value, number_word, value};
use crate::prometheus::Sample;
use crate::registry::ResourceMetric;

mod queries;
#[cfg(test)]
mod tests;

pub use queries::{NAMES_BYTES_MAX, Pods, PodsQuery, nodes_query, pods_queries};

/// Folds the rows of queries for one of CPU and memory into samples per object and container.
#[derive(Debug, Default)]
pub struct Samples {
    namespace: Namespace,
    object_label: String,
    /// `None` for nodes: all of a node is one "container" without a name.
    container_label: Option<String>,
    wanted: Arc<Pods>,
    found: BTreeMap<Key, BTreeMap<String, Found>>,
    dropped: Dropped,
    is_without_namespace: bool,
}

/// Namespace and name.
type Key = (Arc<str>, Arc<str>);

/// Where the namespace of a row is.
#[derive(Debug)]
enum Namespace {
    /// All rows are of this one; empty for nodes.
    Known(Arc<str>),
    /// In this label.
    Label(String),
}

impl Default for Namespace {
    fn default() -> Namespace {
        Namespace::Known("".into())
    }
}

/// What a container or a node uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Cores.
    pub cpu: Value,
    /// Bytes, in binary form.
    pub memory: Value,
}

/// What a pod's containers use, by name.
pub type PodUsage = BTreeMap<String, Usage>;

/// Why a pod or node has no usage.
#[derive(Clone, Debug, PartialEq)]
pub enum Missing {
    /// There is no row of it.
    Everything,
    /// There are rows of it, but this one is not there, or is no number.
    Sample {
        /// `CPU` or `memory`
        of: &'static str,
        /// Of which container; `None` for a node.
        container: Option<String>,
        /// What the sample is instead of a number.
        value: Option<f64>,
    },
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Missing::Sample {
            of,
            container,
            value,
        } = self
        else {
            return f.write_str("there is no sample of it");
        };
        let of = match container {
            Some(container) => format!("the {of} of container {container:?}"),
            None => format!("its {of}"),
        };
        match value {
            Some(value) => write!(
                f,
                "the sample of {of} is not a number ({})",
                number_word(*value)
            ),
            None => write!(f, "there is no sample of {of}"),
        }
    }
}

impl Samples {
    /// Waits for the rows of `query`, which is one for `pods`.
    pub fn of_pods(metric: &ResourceMetric, query: &PodsQuery, pods: &Arc<Pods>) -> Samples {
        let label = |label: &Result<String, _>| label.clone().unwrap_or_default();
        let namespace = match &query.namespace {
            Some(namespace) => Namespace::Known(Arc::clone(namespace)),
            None => Namespace::Label(label(&metric.labels.namespace)),
        };
        Samples {
            namespace,
            object_label: label(&metric.labels.pod),
            container_label: Some(metric.rule.container_label.clone()),
            wanted: Arc::clone(pods),
            ..Samples::default()
        }
    }

    /// Waits for the rows of [`nodes_query`].
    pub fn of_nodes(metric: &ResourceMetric, names: &[String]) -> Samples {
        let names = names.iter().map(|name| name.as_str().into()).collect();
        Samples {
            object_label: metric.labels.node.clone().unwrap_or_default(),
            wanted: Arc::new(Pods::from([("".into(), names)])),
            ..Samples::default()
        }
    }

    /// Takes one row; rows of other objects are ignored.
    pub fn add(&mut self, sample: &Sample) {
        let namespace = match &self.namespace {
            Namespace::Known(namespace) => namespace,
            Namespace::Label(label) => label_value(sample, label),
        };
        if namespace.is_empty() && matches!(self.namespace, Namespace::Label(_)) {
            self.is_without_namespace = true;
            return;
        }
        let object = label_value(sample, &self.object_label);
        let Some(key) = self.key(namespace, object) else {
            return;
        };
        let container = self
            .container_label
            .as_deref()
            .map(|label| label_value(sample, label));
        let rows = self.found.entry(key).or_default();
        let found = rows
            .entry(container.unwrap_or_default().to_owned())
            .or_default();
        if *found != Found::Nothing {
            self.dropped.ambiguous += 1;
            if container.is_none() {
                return;
            }
        }
        *found = match usage(sample) {
            Some(value) => Found::Value(value),
            None => {
                self.dropped.not_a_number += 1;
                Found::NotANumber(sample.value)
            }
        };
    }

    /// The key of an object, if it is wanted.
    fn key(&self, namespace: &str, object: &str) -> Option<Key> {
        let (namespace, names) = self.wanted.get_key_value(namespace)?;
        let name = names.get(object)?;
        Some((Arc::clone(namespace), Arc::clone(name)))
    }

    /// Takes over what another query for the same of the two has found, for other namespaces.
    pub fn absorb(&mut self, other: Samples) {
        self.found.extend(other.found);
        self.dropped.not_a_number += other.dropped.not_a_number;
        self.dropped.ambiguous += other.dropped.ambiguous;
        self.is_without_namespace |= other.is_without_namespace;
    }

    /// What was dropped.
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    /// Whether a row that had to name its namespace did not: whose it is must not be guessed.
    pub fn is_without_namespace(&self) -> bool {
        self.is_without_namespace
    }

    /// What was found for each container of an object.
    fn of(&self, namespace: &Arc<str>, name: &Arc<str>) -> &BTreeMap<String, Found> {
        static NONE: BTreeMap<String, Found> = BTreeMap::new();
        let key = (Arc::clone(namespace), Arc::clone(name));
        self.found.get(&key).unwrap_or(&NONE)
    }
}

/// The usage of a pod from the rows of both queries.
///
/// # Errors
/// [`Missing`] if there is none, or some container that has a row lacks a number of either.
pub fn pod_usage(
    cpu: &Samples,
    memory: &Samples,
    namespace: &Arc<str>,
    name: &Arc<str>,
) -> Result<PodUsage, Missing> {
    let (cpu, memory) = (cpu.of(namespace, name), memory.of(namespace, name));
    let names: BTreeSet<&String> = cpu.keys().chain(memory.keys()).collect();
    if names.is_empty() {
        return Err(Missing::Everything);
    }
    let usage = |name: &String| {
        let usage = both(cpu.get(name), memory.get(name), Some(name))?;
        Ok((name.clone(), usage))
    };
    names.into_iter().map(usage).collect()
}

/// The usage of a node from the rows of both queries.
///
/// # Errors
/// [`Missing`] if it has not a number of each.
pub fn node_usage(cpu: &Samples, memory: &Samples, name: &Arc<str>) -> Result<Usage, Missing> {
    let nowhere = "".into();
    let (cpu, memory) = (cpu.of(&nowhere, name), memory.of(&nowhere, name));
    let (cpu, memory) = (cpu.values().next(), memory.values().next());
    if cpu.is_none() && memory.is_none() {
        return Err(Missing::Everything);
    }
    both(cpu, memory, None)
}

fn both(
    cpu: Option<&Found>,
    memory: Option<&Found>,
    container: Option<&String>,
) -> Result<Usage, Missing> {
    let known = |found: Option<&Found>, of| {
        let value = match found {
            Some(Found::Value(value)) => return Ok(value.clone()),
            Some(Found::NotANumber(value)) => Some(*value),
            Some(Found::Nothing) | None => None,
        };
        Err(Missing::Sample {
            of,
            container: container.cloned(),
            value,
        })
    };
    let (cpu, memory) = (known(cpu, "CPU")?, known(memory, "memory")?);
    let quantity = memory.quantity.in_binary();
    Ok(Usage {
        cpu,
        memory: Value { quantity, ..memory },
    })
}

impl Usage {
    /// The earlier of the times of both.
    pub fn timestamp(&self) -> jiff::Timestamp {
        self.cpu.timestamp.min(self.memory.timestamp)
    }
}

/// The earliest time among a pod's values.
pub fn earliest(containers: &PodUsage) -> Option<jiff::Timestamp> {
    containers.values().map(Usage::timestamp).min()
}

/// Nothing uses less than nothing: a finite sample below zero is zero.
fn usage(sample: &Sample) -> Option<Value> {
    if sample.value.is_finite() && sample.value < 0.0 {
        return value(&Sample {
            value: 0.0,
            labels: Vec::new(),
            timestamp: sample.timestamp,
        });
    }
    value(sample)
}
