//! CPU and memory: queries for pods or nodes, and usage out of the rows of both.
//!
//! After `pkg/resourceprovider` of the Go adapter: an object needs a sample of CPU and one of
//! memory, a container's last row and a node's first row count, and what is negative is zero.
//! Where a container has only one of the two, or a sample that is no number, Go tells a zero; here
//! that usage is left out, which an autoscaler takes as unknown, and not as idle.

use std::collections::{BTreeMap, BTreeSet};

use super::{Dropped, Error, Found, Matchers, Value, label_value, no_label, render, value};
use crate::prometheus::Sample;
use crate::registry::ResourceMetric;

#[cfg(test)]
mod tests;

/// The PromQL for all containers of the pods `names` of a namespace.
pub fn pods_query(
    metric: &ResourceMetric,
    namespace: &str,
    names: &[String],
) -> Result<String, Error> {
    let rule = &metric.rule;
    let label = |label| Result::as_ref(label).map_err(|cause| no_label(&rule.origin, cause));
    let (namespace_label, pod) = (label(&metric.labels.namespace)?, label(&metric.labels.pod)?);
    let mut matchers = Matchers::default();
    matchers.equal(namespace_label, namespace);
    matchers.one_of(pod, names);
    let group_by = vec![pod.clone(), rule.container_label.clone()];
    render(&rule.origin, &rule.container_query, "", matchers, group_by)
}

/// The PromQL for the nodes `names`.
pub fn nodes_query(metric: &ResourceMetric, names: &[String]) -> Result<String, Error> {
    let rule = &metric.rule;
    let node = metric
        .labels
        .node
        .as_ref()
        .map_err(|cause| no_label(&rule.origin, cause))?;
    let mut matchers = Matchers::default();
    matchers.one_of(node, names);
    render(
        &rule.origin,
        &rule.node_query,
        "",
        matchers,
        vec![node.clone()],
    )
}

/// Folds the rows of one of the queries into usage per object and container.
#[derive(Debug)]
pub struct Samples {
    object_label: String,
    /// `None` for nodes: all of a node is one "container" without a name.
    container_label: Option<String>,
    wanted: BTreeSet<String>,
    /// By object, then by container.
    found: BTreeMap<String, BTreeMap<String, Found>>,
    dropped: Dropped,
}

/// What one container uses. Absent: not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Cores.
    pub cpu: Option<Value>,
    /// Bytes, in binary form.
    pub memory: Option<Value>,
}

/// What a pod's containers use, by name. At least one is known of CPU and of memory.
pub type PodUsage = BTreeMap<String, Usage>;

/// What a node uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeUsage {
    /// Cores.
    pub cpu: Value,
    /// Bytes, in binary form.
    pub memory: Value,
}

impl Samples {
    /// Waits for the rows of [`pods_query`].
    pub fn of_pods(metric: &ResourceMetric, names: &[String]) -> Samples {
        let label = metric.labels.pod.as_deref().unwrap_or_default();
        Samples::new(label, Some(metric.rule.container_label.clone()), names)
    }

    /// Waits for the rows of [`nodes_query`].
    pub fn of_nodes(metric: &ResourceMetric, names: &[String]) -> Samples {
        Samples::new(
            metric.labels.node.as_deref().unwrap_or_default(),
            None,
            names,
        )
    }

    fn new(label: &str, container_label: Option<String>, names: &[String]) -> Samples {
        Samples {
            object_label: label.to_owned(),
            container_label,
            wanted: names.iter().cloned().collect(),
            found: BTreeMap::new(),
            dropped: Dropped::default(),
        }
    }

    /// Takes one row; rows of other objects are ignored.
    pub fn add(&mut self, sample: &Sample) {
        let object = label_value(sample, &self.object_label);
        if !self.wanted.contains(object) {
            return;
        }
        let container = self
            .container_label
            .as_deref()
            .map(|label| label_value(sample, label));
        let rows = self.found.entry(object.to_owned()).or_default();
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

    /// What was dropped.
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    /// What was found for each container of an object.
    fn of(&self, name: &str) -> impl Iterator<Item = (&String, &Found)> {
        self.found.get(name).into_iter().flatten()
    }

    /// Why an object has no usage, unless some row of it has a value.
    fn missing<T>(&self, name: &str) -> Option<Found<T>> {
        let mut missing = Found::Nothing;
        for (_, found) in self.of(name) {
            match found {
                Found::Value(_) => return None,
                Found::NotANumber(sample) => missing = Found::NotANumber(*sample),
                Found::Nothing => {}
            }
        }
        Some(missing)
    }
}

/// The usage of a pod from the rows of both queries. A container that has a row is listed, even
/// where neither of its samples is a number: without it the pod would seem to use less than it
/// does.
pub fn pod_usage(cpu: &Samples, memory: &Samples, name: &str) -> Found<PodUsage> {
    if let Some(missing) = cpu.missing(name).or_else(|| memory.missing(name)) {
        return missing;
    }
    let mut containers = PodUsage::new();
    for (container, found) in cpu.of(name) {
        containers.entry(container.clone()).or_default().cpu = known(found);
    }
    for (container, found) in memory.of(name) {
        containers.entry(container.clone()).or_default().memory = known(found).map(in_binary);
    }
    Found::Value(containers)
}

/// The usage of a node from the rows of both queries.
pub fn node_usage(cpu: &Samples, memory: &Samples, name: &str) -> Found<NodeUsage> {
    let only = |samples: &Samples| samples.of(name).find_map(|(_, found)| known(found));
    match (only(cpu), only(memory)) {
        (Some(cpu), Some(memory)) => Found::Value(NodeUsage {
            cpu,
            memory: in_binary(memory),
        }),
        _ => cpu
            .missing(name)
            .or_else(|| memory.missing(name))
            .unwrap_or_default(),
    }
}

/// The earliest time among a pod's values.
pub fn earliest(containers: &PodUsage) -> Option<jiff::Timestamp> {
    let values = containers
        .values()
        .flat_map(|usage| usage.cpu.iter().chain(&usage.memory));
    values.map(|value| value.timestamp).min()
}

fn known(found: &Found) -> Option<Value> {
    match found {
        Found::Value(value) => Some(value.clone()),
        Found::Nothing | Found::NotANumber(_) => None,
    }
}

fn in_binary(value: Value) -> Value {
    Value {
        quantity: value.quantity.in_binary(),
        ..value
    }
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
