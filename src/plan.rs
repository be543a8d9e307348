//! From an ask to PromQL, and from Prometheus' rows back to values per object.
//!
//! Pure: no clock, no I/O. The text of a query equals what the Go adapter sends, byte for byte
//! (`pkg/naming/metrics_query.go`), but for one thing: characters that mean something in a regular
//! expression are escaped in names and selector values, so that `eu.west` no longer finds
//! `euXwest`.

use std::collections::{BTreeMap, HashMap};

use thiserror::Error;

use crate::go::template::Data;
use crate::quantity::Quantity;
use crate::registry::separable::Scope;
use crate::registry::{LabelError, Metric};
use crate::rules::{Origin, Query};
use crate::samples::{Point, Rows};
use crate::selector::Selector;

mod matchers;
/// CPU and memory of pods and nodes.
pub mod resource;
#[cfg(test)]
mod tests;

use matchers::Matchers;

/// Why an ask cannot become a query.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// `>` and `<` in a metric selector.
    #[error(
        "the operator {0:?} in the metric selector cannot be expressed in PromQL: \
         use =, ==, !=, in, notin, KEY or !KEY"
    )]
    Operator(&'static str),
    /// A selector key that Prometheus does not take as a label name.
    #[error(
        "{0:?} in the metric selector is not a label name that Prometheus can match: \
         use letters, digits and underscores"
    )]
    Label(String),
    /// A name that would change the meaning of a query that reads `.LabelValuesByName`.
    #[error(
        "{0:?} cannot be put into the query of this metric, which uses .LabelValuesByName: \
         only letters, digits and -_.: can"
    )]
    UnsafeValue(String),
    /// The rule knows no label for the namespace or the object.
    #[error("{rule} (line {line}): {cause}")]
    NoLabel {
        /// The rule, as `rules[2]`.
        rule: String,
        /// Its line in the file.
        line: usize,
        /// Which label.
        cause: LabelError,
    },
    /// The rule's template failed, or rendered nothing.
    #[error("{rule} (line {line}): {cause}")]
    Template {
        /// The rule, as `rules[2]`.
        rule: String,
        /// Its line in the file.
        line: usize,
        /// Go's text.
        cause: String,
    },
}

impl Error {
    /// Whether the client can mend it by asking otherwise; else the rule is at fault.
    pub fn is_clients(&self) -> bool {
        matches!(
            self,
            Error::Operator(_) | Error::Label(_) | Error::UnsafeValue(_)
        )
    }
}

/// A query for objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectsQuery {
    /// The text.
    pub promql: String,
    /// The labels that tell whose a row is: the namespace, where it is for all of them, and the
    /// object.
    pub labels: Vec<String>,
    /// The namespace of the objects that are asked about, where rows name theirs.
    pub namespace: Option<String>,
}

/// The query for a metric of objects: all of one kind, named `names`, in `namespace` unless at the
/// root. For [`Scope::Exact`] it is Go's. A wider one is about more objects of that kind, and the
/// same for each ask; it stands for the exact one where the metric's
/// [verdict](Metric::verdict) says so.
pub fn custom_query(
    metric: &Metric,
    scope: Scope,
    namespace: Option<&str>,
    names: &[String],
    selector: &Selector,
) -> Result<ObjectsQuery, Error> {
    let origin = metric.rule.origin();
    let no_label = |cause: &LabelError| no_label(&origin, cause);
    let mut matchers = Matchers::of(selector)?;
    let (mut group_by, mut labels) = (Vec::new(), Vec::new());
    let of_all = namespace.filter(|_| scope == Scope::Cluster);
    if let Some(namespace) = namespace {
        let label = metric.labels.namespace.as_ref().map_err(no_label)?;
        match of_all {
            Some(_) => {
                matchers.present(label);
                labels.push(label.clone());
            }
            None => matchers.equal(label, namespace),
        }
    }
    if let Some(object) = &metric.labels.object {
        let label = object.as_ref().map_err(no_label)?;
        match scope {
            Scope::Exact => matchers.one_of(label, names),
            Scope::Namespace | Scope::Cluster => matchers.present(label),
        }
        labels.push(label.clone());
        group_by.extend(labels.iter().rev().cloned());
    }
    let (query, series) = (&metric.rule.query, &metric.series);
    Ok(ObjectsQuery {
        promql: render(&origin, query, series, matchers, group_by)?,
        labels,
        namespace: of_all.map(str::to_owned),
    })
}

/// The PromQL for an external metric; `namespace` as the path names it.
pub fn external_query(
    metric: &Metric,
    namespace: &str,
    selector: &Selector,
) -> Result<String, Error> {
    let origin = metric.rule.origin();
    let mut matchers = Matchers::of(selector)?;
    if metric.rule.association.namespaced && !namespace.is_empty() {
        let label = metric
            .labels
            .namespace
            .as_ref()
            .map_err(|cause| no_label(&origin, cause))?;
        matchers.equal(label, namespace);
    }
    render(
        &origin,
        &metric.rule.query,
        &metric.series,
        matchers,
        Vec::new(),
    )
}

fn no_label(origin: &Origin, cause: &LabelError) -> Error {
    Error::NoLabel {
        rule: origin.rule.clone(),
        line: origin.line,
        cause: cause.clone(),
    }
}

fn render(
    origin: &Origin,
    query: &Query,
    series: &str,
    matchers: Matchers,
    group_by: Vec<String>,
) -> Result<String, Error> {
    let failed = |cause: String| Error::Template {
        rule: origin.rule.clone(),
        line: origin.line,
        cause,
    };
    let empty = || failed("empty query produced by metrics query template".to_owned());
    let template = query.template.as_ref().ok_or_else(empty)?;
    if template.reads("LabelValuesByName") {
        matchers.check_names()?;
    }
    let data = Data {
        series: series.to_owned(),
        label_matchers: matchers.texts.join(","),
        label_values_by_name: matchers.values,
        group_by: group_by.join(","),
        group_by_slice: group_by,
    };
    let query = template.render(&data).map_err(|e| failed(e.to_string()))?;
    if query.is_empty() {
        Err(empty())
    } else {
        Ok(query)
    }
}

/// A value at the time it was evaluated for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// Exact.
    pub quantity: Quantity,
    /// By Prometheus' clock.
    pub timestamp: jiff::Timestamp,
}

/// Rows that became no value, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// NaN or infinite.
    pub not_a_number: u64,
    /// A second or further row for one object: the last one counts.
    pub ambiguous: u64,
}

/// The values of some objects, out of the rows of a custom query.
#[derive(Debug)]
pub struct ObjectValues {
    found: HashMap<String, Found>,
    dropped: Dropped,
}

/// What the rows said about one object.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Found<T = Value> {
    /// No row.
    #[default]
    Nothing,
    /// The row that counts has NaN or an infinity.
    NotANumber(f64),
    /// What the row that counts says.
    Value(T),
}

impl ObjectValues {
    /// The values of the objects `names` among the rows of `query`.
    pub fn of(rows: &Rows, query: &ObjectsQuery, names: &[String]) -> ObjectValues {
        let mut values = ObjectValues {
            found: HashMap::with_capacity(names.len()),
            dropped: Dropped {
                not_a_number: rows.head().histograms,
                ambiguous: 0,
            },
        };
        for name in names {
            let key = [query.namespace.as_deref().unwrap_or_default(), name];
            let key = match query.namespace {
                Some(_) => &key[..],
                None => &key[1..],
            };
            for point in rows.of(key) {
                values.add(name, point);
            }
        }
        values
    }

    fn add(&mut self, name: &str, point: Point) {
        let (found, dropped) = (&mut self.found, &mut self.dropped);
        let found = found.entry(name.to_owned()).or_default();
        if *found != Found::Nothing {
            dropped.ambiguous += 1;
        }
        *found = match value(point) {
            Some(value) => Found::Value(value),
            None => {
                dropped.not_a_number += 1;
                Found::NotANumber(point.value)
            }
        };
    }

    /// What was found for this object.
    pub fn found(&self, name: &str) -> &Found {
        self.found.get(name).unwrap_or(&Found::Nothing)
    }

    /// What was dropped.
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }
}

/// Items of an external metric. An autoscaler adds them all up; more are a query that lacks its
/// aggregation, and each would be held until the answer is written.
pub const ITEMS_MAX: usize = 10_000;

/// One item of an external metric: its labels and value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalValue {
    /// All labels of the row.
    pub labels: BTreeMap<String, String>,
    /// The value.
    pub value: Value,
}

/// The items of an external metric, in the order of the answer.
#[derive(Debug)]
pub struct ExternalValues {
    items: Vec<ExternalValue>,
    dropped: Dropped,
}

impl ExternalValues {
    /// What `rows` say, which are kept whole.
    pub fn of(rows: &Rows) -> ExternalValues {
        let mut values = ExternalValues {
            items: Vec::with_capacity(rows.len()),
            dropped: Dropped {
                not_a_number: rows.head().histograms,
                ambiguous: 0,
            },
        };
        for sample in rows.whole() {
            match value(sample.into()) {
                None => values.dropped.not_a_number += 1,
                Some(value) => {
                    let labels = sample.labels.iter().cloned().collect();
                    values.items.push(ExternalValue { labels, value });
                }
            }
        }
        values
    }

    /// The items.
    pub fn items(&self) -> &[ExternalValue] {
        &self.items
    }

    /// What was dropped.
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }
}

/// How PromQL writes what is not a number.
pub fn number_word(sample: f64) -> &'static str {
    match sample {
        f64::INFINITY => "+Inf",
        f64::NEG_INFINITY => "-Inf",
        _ => "NaN",
    }
}

fn value(point: Point) -> Option<Value> {
    let quantity = Quantity::from_sample(point.value)?;
    Some(Value {
        quantity,
        timestamp: point.timestamp,
    })
}
