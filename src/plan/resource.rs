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

use super::{Dropped, Found, Value, number_word, value};
use crate::samples::{Point, Rows};

mod queries;
#[cfg(test)]
mod tests;

pub use queries::{NAMES_BYTES_MAX, Pods, PodsQuery, nodes_query, pods_query};

/// The samples of one of CPU and memory by object and container, out of the rows of queries.
#[derive(Debug, Default)]
pub struct Samples {
    found: BTreeMap<Key, BTreeMap<String, Found>>,
    dropped: Dropped,
    is_without_namespace: bool,
}

/// Namespace and name.
type Key = (Arc<str>, Arc<str>);

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

impl Missing {
    /// Whether there is a sample that is no number.
    pub fn is_not_a_number(&self) -> bool {
        matches!(self, Missing::Sample { value: Some(_), .. })
    }
}

impl PodsQuery {
    /// Whether these are rows of all of `pods`. Where a query does not name them, older rows cannot
    /// tell that a pod has none by now.
    pub fn holds(&self, rows: &Rows, pods: &Pods) -> bool {
        let has = |namespace: &Arc<str>, name: &Arc<str>| match self.namespace {
            Some(_) => rows.has(&[name]),
            None => rows.has(&[namespace, name]),
        };
        let mut all = pods.iter();
        all.all(|(namespace, names)| names.iter().all(|name| has(namespace, name)))
    }
}

impl Samples {
    /// What the rows of `query` say of `pods`. Of a container's rows the last one counts.
    pub fn of_pods(rows: &Rows, query: &PodsQuery, pods: &Pods) -> Samples {
        let mut samples = Samples::from(rows);
        samples.is_without_namespace = query.namespace.is_none() && rows.has(&[""]);
        let of_query = |namespace: &Arc<str>| {
            let only = query.namespace.as_ref();
            only.is_none_or(|only| only == namespace)
        };
        for (namespace, names) in pods.iter().filter(|(namespace, _)| of_query(namespace)) {
            for name in names {
                let key: &[&str] = match query.namespace {
                    Some(_) => &[name],
                    None => &[namespace, name],
                };
                for (mut rest, point) in rows.under(key) {
                    let container = rest.next().unwrap_or_default();
                    let key = (Arc::clone(namespace), Arc::clone(name));
                    samples.add(key, container, point);
                }
            }
        }
        samples
    }

    /// What the rows of [`nodes_query`] say of the nodes `names`. Of a node's rows the first one
    /// counts.
    pub fn of_nodes(rows: &Rows, names: &[String]) -> Samples {
        let mut samples = Samples::from(rows);
        for name in names {
            let mut points = rows.of(&[name]);
            if let Some(point) = points.next() {
                samples.add(("".into(), name.as_str().into()), "", point);
            }
            samples.dropped.ambiguous += u64::try_from(points.count()).unwrap_or(u64::MAX);
        }
        samples
    }

    fn from(rows: &Rows) -> Samples {
        Samples {
            dropped: Dropped::from(rows),
            ..Samples::default()
        }
    }

    /// All of a node is one "container" without a name.
    fn add(&mut self, key: Key, container: &str, point: Point) {
        let rows = self.found.entry(key).or_default();
        let found = rows.entry(container.to_owned()).or_default();
        if *found != Found::Nothing {
            self.dropped.ambiguous += 1;
        }
        *found = match usage(point) {
            Some(value) => Found::Value(value),
            None => {
                self.dropped.not_a_number += 1;
                Found::NotANumber(point.value)
            }
        };
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

    /// Whether nothing was found of any object.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
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
fn usage(point: Point) -> Option<Value> {
    let is_below = point.value.is_finite() && point.value < 0.0;
    value(Point {
        value: if is_below { 0.0 } else { point.value },
        ..point
    })
}
