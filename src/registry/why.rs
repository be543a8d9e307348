//! Why there is no such metric, in words for `kubectl describe hpa`.
//!
//! Pure, from what the snapshot knows: rules, kinds, and what Prometheus held when it was listed.
//! A text depends on nothing else, so it is the same from ask to ask: Kubernetes tells events apart
//! by their text.

use std::fmt;
use std::sync::Arc;

use super::{Disabled, LabelError, Metric, Snapshot};
use crate::kinds::{GroupResource, Kind};
use crate::rules::{List, Origin, Rule};

mod kept;
mod look;
mod nearest;
#[cfg(test)]
mod tests;

pub(super) use kept::Kept;
pub use look::{Look, Seen};
pub use nearest::nearest;

/// Names that are compared, at most.
const COMPARED_MAX: usize = 20_000;

/// Text of the rules file that is repeated, in bytes.
const QUOTED_MAX: usize = 256;

/// Why no rule makes a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Why {
    /// What stands in the way.
    pub reason: Unmade,
    /// Names of metrics that are like it, the nearest first; of the same kind of object.
    pub similar: Vec<String>,
}

/// What stands in the way of a metric.
#[derive(Clone, Debug, PartialEq)]
pub enum Unmade {
    /// The path has a namespace where there is none, or the other way round.
    Scope(GroupResource),
    /// It is a metric of other kinds of object.
    OtherKinds {
        /// Those.
        kinds: Vec<GroupResource>,
        /// A rule that makes it, and the label by which it would be of the kind that is asked for.
        label: Option<(Origin, String)>,
    },
    /// It is in the other API: `externalRules` make it, or `rules` for these kinds.
    OtherList(List, Vec<GroupResource>),
    /// A rule takes the series, and calls it otherwise.
    Renamed {
        /// The rule.
        rule: Origin,
        /// The series.
        series: String,
        /// What it is called.
        name: String,
    },
    /// The `seriesFilters` of a rule leave the series out.
    FilteredOut {
        /// The rule.
        rule: Origin,
        /// The series.
        series: String,
    },
    /// `name.matches` of a rule does not match the series.
    Unmatched {
        /// The rule.
        rule: Origin,
        /// The series.
        series: String,
    },
    /// Prometheus has the series, without the label that names the kind of object.
    NoLabel {
        /// The rule.
        rule: Origin,
        /// The series.
        series: String,
        /// The kind.
        kind: GroupResource,
        /// The label, or why there is none.
        label: Result<String, LabelError>,
        /// Labels that the series have, as far as is known.
        present: Vec<String>,
    },
    /// A rule would make it, if Prometheus had the series.
    NoSeries {
        /// The rule.
        rule: Origin,
        /// What the series would be called.
        series: String,
        /// The rule's selector.
        selector: String,
        /// The label that the series must have to be of the kind that is asked for.
        label: Option<String>,
    },
    /// The rule that would make it is off.
    Off(Disabled),
    /// No rule has to do with it.
    NoRule,
}

impl Snapshot {
    /// Why no rule of `list` makes `metric`: for objects of the kind `resource`, which is `None`
    /// for an external one.
    pub fn why(&self, list: List, resource: Option<&GroupResource>, metric: &str) -> Arc<Why> {
        let ask = (list, resource.cloned(), metric.to_owned());
        self.kept.why(ask, || Why {
            reason: self.unmade(list, resource, metric),
            similar: self.similar(list, resource, metric),
        })
    }

    fn unmade(&self, list: List, resource: Option<&GroupResource>, metric: &str) -> Unmade {
        if let Some(resource) = resource
            && self
                .custom
                .get(resource)
                .is_some_and(|it| it.contains_key(metric))
        {
            return Unmade::Scope(resource.clone());
        }
        let other = match list {
            List::Custom => List::External,
            List::External => List::Custom,
        };
        let kinds = self.kinds_of(metric);
        if list == List::Custom && !kinds.is_empty() {
            return match resource.and_then(|it| self.maker(&kinds, it, metric)) {
                Some((made, kind, label)) => self.other_kinds(kinds, made, kind, label),
                None => Unmade::OtherKinds { kinds, label: None },
            };
        }
        match other {
            List::External if self.external(metric).is_some() => {
                return Unmade::OtherList(other, Vec::new());
            }
            List::Custom if !kinds.is_empty() => return Unmade::OtherList(other, kinds),
            _ => {}
        }
        let looks = self.looks(list, metric);
        let causes = looks.iter().filter_map(|look| look.unmade(self, resource));
        let worst = causes.min_by_key(|(rank, _)| *rank);
        worst.map_or(Unmade::NoRule, |(_, cause)| cause)
    }

    /// The kinds of object that have a metric of this name.
    pub fn kinds_of(&self, metric: &str) -> Vec<GroupResource> {
        let all = self.custom.iter();
        let having = all.filter(|(_, metrics)| metrics.contains_key(metric));
        having.map(|(resource, _)| resource.clone()).collect()
    }

    /// What makes the metric for another kind, and its label for this one.
    fn maker<'a>(
        &'a self,
        kinds: &[GroupResource],
        resource: &GroupResource,
        metric: &str,
    ) -> Option<(&'a Metric, &'a Kind, String)> {
        let kind = self.kinds.resource_for(resource).ok()?;
        let mut makers = kinds
            .iter()
            .filter_map(|kind| self.custom.get(kind)?.get(metric));
        makers.find_map(|made| {
            let label = self.label_for(&made.rule, resource)?.ok()?;
            Some((made, kind, label))
        })
    }

    /// A metric of other kinds, whose series may have the name of this one in another label.
    fn other_kinds(
        &self,
        kinds: Vec<GroupResource>,
        made: &Metric,
        kind: &Kind,
        label: String,
    ) -> Unmade {
        let present = self.labels(&made.rule, &made.series);
        let rule = made.rule.origin();
        match siblings(&label, &kind.singular, &present).is_empty() {
            true => {
                let label = Some((rule, label));
                Unmade::OtherKinds { kinds, label }
            }
            false => Unmade::NoLabel {
                rule,
                series: made.series.clone(),
                kind: kind.group_resource(),
                label: Ok(label),
                present,
            },
        }
    }

    /// The label by which a rule's series are of this kind; `None` where the rule is off.
    pub fn label_for(
        &self,
        rule: &Rule,
        resource: &GroupResource,
    ) -> Option<Result<String, LabelError>> {
        let binding = super::Binding::new(rule, &self.kinds).ok()?;
        Some(binding.label_of(resource))
    }

    /// Names like `metric` of metrics of the same kind of object, the nearest first.
    pub fn similar(
        &self,
        list: List,
        resource: Option<&GroupResource>,
        metric: &str,
    ) -> Vec<String> {
        let names: Vec<&String> = match list {
            List::External => self.external.keys().take(COMPARED_MAX).collect(),
            List::Custom => {
                let metrics = resource.and_then(|it| self.custom.get(it));
                let names = metrics.into_iter().flat_map(|it| it.keys());
                names.take(COMPARED_MAX).collect()
            }
        };
        nearest(metric, names.into_iter().map(String::as_str))
    }
}

/// Which of `labels` seem to hold what the label `expected` of a kind should: `exported_pod`,
/// `kubernetes_namespace`, `pod_name`. The likeliest first.
pub fn siblings(expected: &str, singular: &str, labels: &[String]) -> Vec<String> {
    let word = expected.rsplit('_').next().unwrap_or(expected);
    let says = |label: &String| {
        let label = label.to_lowercase();
        let mut parts = label.split('_');
        let is_part = parts.any(|part| part == word || part == singular);
        is_part || label.trim_end_matches("name") == singular
    };
    let of_kind = labels.iter().filter(|label| *label != expected);
    let mut found: Vec<String> = of_kind.filter(|label| says(label)).cloned().collect();
    let rank = |label: &String| match label.as_str() {
        it if it == format!("exported_{expected}") => 0,
        it if it == format!("kubernetes_{singular}") => 1,
        it if it == format!("{singular}_name") || it == singular => 2,
        it if it == format!("kubernetes_{singular}_name") => 2,
        _ => 3,
    };
    found.sort_by_key(|label| (rank(label), label.len()));
    found
}

/// A text of the rules file as far as it is repeated.
pub fn shortened(text: &str) -> String {
    match text.len() {
        0..=QUOTED_MAX => text.to_owned(),
        _ => {
            let mut end = QUOTED_MAX;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            format!("{}…", text.get(..end).unwrap_or_default())
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.reason)?;
        match self.similar.as_slice() {
            [] => Ok(()),
            similar => write!(f, "; similar: {}", similar.join(", ")),
        }
    }
}

impl fmt::Display for Unmade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unmade::Scope(resource) if *resource == GroupResource::core("namespaces") => f
                .write_str(
                    "a metric of a namespace is asked for at /namespaces/NAMESPACE/metrics/METRIC",
                ),
            Unmade::Scope(resource) => write!(
                f,
                "{resource} are in namespaces: ask below /namespaces/NAMESPACE/{resource}/"
            ),
            Unmade::OtherKinds { kinds, label } => {
                write!(f, "it is a metric of {}", listed(kinds))?;
                label.iter().try_for_each(|(rule, label)| {
                    write!(f, "; {rule} finds no label {label:?} on its series")
                })
            }
            Unmade::OtherList(List::External, _) => f.write_str("it is an external metric"),
            Unmade::OtherList(List::Custom, kinds) => {
                write!(f, "it is a custom metric, of {}", listed(kinds))
            }
            Unmade::Renamed { rule, series, name } => {
                write!(f, "{rule} calls the series {series} {name:?}")
            }
            Unmade::FilteredOut { rule, series } => {
                write!(
                    f,
                    "the seriesFilters of {rule} leave the series {series} out"
                )
            }
            Unmade::Unmatched { rule, series } => {
                write!(
                    f,
                    "name.matches of {rule} does not match the series {series}"
                )
            }
            Unmade::NoLabel { .. } | Unmade::NoSeries { .. } => self.write_about_series(f),
            Unmade::Off(disabled) => write!(f, "{disabled}"),
            Unmade::NoRule => f.write_str("no rule makes it"),
        }
    }
}

impl Unmade {
    fn write_about_series(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unmade::NoLabel {
                rule,
                series,
                kind,
                label,
                present,
            } => {
                write!(f, "the series {series} of {rule} has no label ")?;
                if let Ok(label) = label {
                    write!(f, "{label:?} ")?;
                }
                write!(f, "that names {kind}")?;
                match present.as_slice() {
                    [] => Ok(()),
                    present => write!(f, "; it has {}", present.join(", ")),
                }
            }
            Unmade::NoSeries {
                rule,
                selector,
                label,
                ..
            } => {
                let text = "would make it, but Prometheus has 0 series for it";
                write!(f, "{rule} {text}")?;
                if let Some(label) = label {
                    write!(f, " with the label {label:?}")?;
                }
                write!(f, ": {}", shortened(selector))
            }
            _ => Ok(()),
        }
    }
}

fn listed(kinds: &[GroupResource]) -> String {
    let names: Vec<String> = kinds.iter().map(ToString::to_string).collect();
    names.join(", ")
}
