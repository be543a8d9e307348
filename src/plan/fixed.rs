//! A rule's `query` that is the same for every ask: its rows say whose they are.
//!
//! What Prometheus would select by matchers is selected here, by the same meaning: a label that a
//! row does not have is empty. Since nothing in such a query follows the ask, what it lacks is
//! looked for before it can become a wrong number: rows that do not say whose they are, several of
//! one object, and a selector on a label that no row has.

use super::matchers::Matchers;
use super::values::label_value;
use super::{Error, ExternalQuery, ObjectsQuery, no_label, render};
use crate::prometheus::{Kind, Sample};
use crate::registry::Metric;
use crate::rules::Origin;
use crate::samples::Rows;
use crate::selector::{Operator, Requirement, Selector};

/// What the rows of a query that is the same for every ask must satisfy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    origin: Origin,
    selector: Selector,
}

/// The query for objects in `namespace`, unless at the root.
pub(super) fn objects(
    metric: &Metric,
    namespace: Option<&str>,
    selector: &Selector,
) -> Result<ObjectsQuery, Error> {
    let origin = metric.rule.origin();
    Matchers::of(selector)?;
    let of_namespace = namespace.map(|_| metric.labels.namespace.as_ref());
    let of_object = metric.labels.object.iter().map(Result::as_ref);
    let labels: Result<Vec<&String>, _> = of_namespace.into_iter().chain(of_object).collect();
    let labels = labels.map_err(|cause| no_label(&origin, cause))?;
    let query = &metric.rule.query;
    let keys = keys(selector);
    Ok(ObjectsQuery {
        promql: render(&origin, query, "", Matchers::default(), Vec::new())?,
        further: Vec::new(),
        labels: labels.into_iter().cloned().chain(keys).collect(),
        namespace: namespace.map(str::to_owned),
        choice: Some(Choice {
            origin,
            selector: selector.clone(),
        }),
    })
}

/// The query for an external metric. It is the same in every namespace, unless its rows name theirs
/// and the rule does not say `namespaced: false`.
pub(super) fn external(
    metric: &Metric,
    namespace: &str,
    selector: &Selector,
) -> Result<ExternalQuery, Error> {
    let origin = metric.rule.origin();
    Matchers::of(selector)?;
    let is_namespaced = metric.rule.association.namespaced && !namespace.is_empty();
    let label = metric.labels.namespace.as_ref().ok();
    let label = label.filter(|_| is_namespaced);
    Ok(ExternalQuery {
        promql: render(
            &origin,
            &metric.rule.query,
            "",
            Matchers::default(),
            Vec::new(),
        )?,
        namespace: label.map(|label| (label.clone(), namespace.to_owned())),
        choice: Some(Choice {
            origin,
            selector: selector.clone(),
        }),
    })
}

/// The labels that a selector is about, each once.
fn keys(selector: &Selector) -> Vec<String> {
    let keys = selector.requirements().iter().map(|it| it.key.clone());
    let mut keys: Vec<String> = keys.collect();
    // Requirements are sorted by key.
    keys.dedup();
    keys
}

impl Choice {
    /// Whether a row is chosen, whose values of the selector's labels are `rest`.
    pub(super) fn takes<'a>(&self, rest: impl Iterator<Item = &'a str>) -> bool {
        let values: Vec<(String, &str)> = keys(&self.selector).into_iter().zip(rest).collect();
        let value_of = |key: &str| {
            let found = values.iter().find(|(name, _)| name == key);
            found.map_or("", |(_, value)| value)
        };
        let mut requirements = self.selector.requirements().iter();
        requirements.all(|it| holds(it, value_of(&it.key)))
    }

    /// Refuses rows of objects that do not say what they must: the first `labels` of theirs.
    pub(super) fn check_objects(&self, rows: &Rows, labels: &[String]) -> Result<(), Error> {
        let of_objects = labels.len() - keys(&self.selector).len();
        for (at, label) in labels.iter().enumerate() {
            let present = rows.with_label(at);
            let is_told = match at < of_objects {
                true => present == rows.len(),
                false => present > 0 || rows.is_empty() || !self.wants(label),
            };
            if !is_told {
                return Err(self.unlabelled(label));
            }
        }
        Ok(())
    }

    /// The rows of an external metric that are chosen.
    pub(super) fn external<'a>(
        &self,
        rows: &'a Rows,
        namespace: Option<&(String, String)>,
    ) -> Result<Vec<&'a Sample>, Error> {
        let all = rows.whole();
        if let Some((label, _)) = namespace
            && all.iter().any(|it| label_value(it, label).is_empty())
        {
            return Err(self.unlabelled(label));
        }
        for key in keys(&self.selector) {
            let is_told = all.iter().any(|it| !label_value(it, &key).is_empty());
            if !all.is_empty() && !is_told && self.wants(&key) {
                return Err(self.unlabelled(&key));
            }
        }
        let of_namespace = |sample: &&Sample| {
            namespace.is_none_or(|(label, value)| label_value(sample, label) == value)
        };
        let satisfies = |sample: &&Sample| {
            let mut requirements = self.selector.requirements().iter();
            requirements.all(|it| holds(it, label_value(sample, &it.key)))
        };
        let chosen = all.iter().filter(of_namespace).filter(satisfies);
        self.one(rows, chosen.collect())
    }

    /// An autoscaler would add several rows up, whatever they are: who writes a `query` says what
    /// is meant. Rows that are no numbers count, or one of them would hide another.
    fn one<'a>(&self, rows: &Rows, chosen: Vec<&'a Sample>) -> Result<Vec<&'a Sample>, Error> {
        let histograms = usize::try_from(rows.head().histograms).unwrap_or(usize::MAX);
        let count = chosen.len().saturating_add(histograms);
        if count <= 1 || rows.head().kind == Kind::Scalar {
            return Ok(chosen);
        }
        let sets = chosen.iter().take(2).map(|sample| shown(sample));
        let sets: Vec<String> = sets.collect();
        Err(self.error(format!(
            "the query gives {count} series where one value is wanted, as {}: aggregate them in \
             the query, or let the metric selector choose one",
            sets.join(" and ")
        )))
    }

    /// Several rows of one object.
    pub(super) fn several(&self, name: &str) -> Error {
        self.error(format!(
            "the query gives several series for {name}: aggregate them by the labels that name \
             objects, and by no others"
        ))
    }

    fn unlabelled(&self, label: &str) -> Error {
        self.error(format!(
            "the query gives series without the label {label:?}, so it is not known which of them \
             is asked for: keep the label, as in sum(…) by ({label})"
        ))
    }

    /// Whether a label must have a value.
    fn wants(&self, label: &str) -> bool {
        let requirements = self.selector.requirements().iter();
        let mut of_label = requirements.filter(|it| it.key == label);
        of_label.any(|it| !holds(it, ""))
    }

    fn error(&self, cause: String) -> Error {
        Error::Rows {
            rule: self.origin.rule.clone(),
            line: self.origin.line,
            cause,
        }
    }
}

/// As the matcher that [`Matchers::of`] makes of it.
fn holds(requirement: &Requirement, value: &str) -> bool {
    let is_listed = requirement.values.iter().any(|it| it == value);
    match requirement.operator {
        Operator::Equals | Operator::DoubleEquals | Operator::In => is_listed,
        Operator::NotEquals | Operator::NotIn => !is_listed,
        Operator::Exists => !value.is_empty(),
        Operator::DoesNotExist => value.is_empty(),
        // No matcher: `Matchers::of` has refused them.
        Operator::GreaterThan | Operator::LessThan => false,
    }
}

/// A label set as PromQL writes it.
fn shown(sample: &Sample) -> String {
    let labels = sample
        .labels
        .iter()
        .map(|(name, value)| format!("{name}={value:?}"));
    let labels: Vec<String> = labels.collect();
    format!("{{{}}}", labels.join(", "))
}
