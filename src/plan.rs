//! From an ask to PromQL, and from Prometheus' rows back to values per object.
//!
//! Pure: no clock, no I/O. The text of a query equals what the Go adapter sends, byte for byte
//! (`pkg/naming/metrics_query.go`), but for one thing: characters that mean something in a regular
//! expression are escaped in names and selector values, so that `eu.west` no longer finds
//! `euXwest`.

use thiserror::Error;

use crate::go::template::Data;
use crate::registry::separable::Scope;
use crate::registry::{LabelError, Metric};
use crate::rules::{Origin, Query};
use crate::selector::Selector;

mod fixed;
mod long;
mod matchers;
/// CPU and memory of pods and nodes.
pub mod resource;
#[cfg(test)]
mod tests;
mod values;

pub use fixed::Choice;
pub use long::{check_length, custom_query_within};
use matchers::Matchers;
use values::value;
pub use values::{
    Dropped, ExternalValue, ExternalValues, Found, ITEMS_MAX, ObjectValues, Value, check_labels,
    number_word,
};

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
    /// Servers refuse long queries.
    #[error(
        "{rule} (line {line}): the query has {bytes} bytes, more than --max-query-bytes \
         ({bytes_max}), and {cause}"
    )]
    TooLong {
        /// The rule, as `rules[2]`.
        rule: String,
        /// Its line in the file.
        line: usize,
        /// What it has.
        bytes: usize,
        /// What it may have.
        bytes_max: usize,
        /// Why it is not made shorter.
        cause: String,
    },
    /// The rows of a rule's `metricsQuery` do not say of which objects they are.
    #[error(
        "{rule} (line {line}): the query gives series without the label {label:?}, which names the \
         objects; {present}: keep it, as in sum(…) by (<<.GroupBy>>)"
    )]
    Unlabelled {
        /// The rule, as `rules[2]`.
        rule: String,
        /// Its line in the file.
        line: usize,
        /// The label.
        label: String,
        /// Which labels they have.
        present: String,
    },
    /// The rows of a rule's `query` do not say what is asked for.
    #[error("{rule} (line {line}): {cause}")]
    Rows {
        /// The rule, as `rules[2]`.
        rule: String,
        /// Its line in the file.
        line: usize,
        /// What they lack.
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
    /// Texts for more of the objects, where one for all would be too long.
    pub further: Vec<String>,
    /// The labels that tell whose a row is: the namespace, where it is for all of them, and the
    /// object.
    pub labels: Vec<String>,
    /// The namespace of the objects that are asked about, where rows name theirs.
    pub namespace: Option<String>,
    /// What else rows must satisfy, where the text is the same for every ask.
    pub choice: Option<Choice>,
}

/// A query for an external metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalQuery {
    /// The text.
    pub promql: String,
    /// A label and the value that rows must have, where the text does not say it: the namespace.
    pub namespace: Option<(String, String)>,
    /// What else they must satisfy, where the text is the same for every ask.
    pub choice: Option<Choice>,
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
    if metric.rule.is_fixed() {
        return fixed::objects(metric, namespace, selector);
    }
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
        further: Vec::new(),
        labels,
        namespace: of_all.map(str::to_owned),
        choice: None,
    })
}

/// The query for an external metric; `namespace` as the path names it.
pub fn external_query(
    metric: &Metric,
    namespace: &str,
    selector: &Selector,
) -> Result<ExternalQuery, Error> {
    let origin = metric.rule.origin();
    if metric.rule.is_fixed() {
        return fixed::external(metric, namespace, selector);
    }
    let mut matchers = Matchers::of(selector)?;
    if metric.rule.association.namespaced && !namespace.is_empty() {
        let label = metric.labels.namespace.as_ref();
        let label = label.map_err(|cause| no_label(&origin, cause))?;
        matchers.equal(label, namespace);
    }
    Ok(ExternalQuery {
        promql: render(
            &origin,
            &metric.rule.query,
            &metric.series,
            matchers,
            Vec::new(),
        )?,
        namespace: None,
        choice: None,
    })
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
