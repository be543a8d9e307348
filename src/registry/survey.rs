//! What to ask Prometheus in order to list one rule's metrics, and what its answers mean.
//!
//! The registry needs to know which series *names* carry which object labels, never the series
//! themselves: a rule that matches 200,000 series is listed from a few hundred bytes. Per rule:
//!
//! - a `query` of its own: nothing, for no series decides what the rule makes;
//! - a literal name: `/api/v1/labels` of the selector, which for one name says all (an external
//!   rule asks for the name alone). It is listed before the answer and while it is quiet;
//! - any other selector: `/api/v1/label/__name__/values` of the selector with `label!=""` added,
//!   per override label; where the rule has a label template, `/api/v1/labels` first supplies the
//!   candidates;
//! - a selector that is more than its AST can be extended by: `/api/v1/series`, folded as it
//!   streams.

use std::collections::{BTreeMap, BTreeSet};

use super::{Binding, Listing};
use crate::promql::SeriesSelector;
use crate::rules::{List, Override, Rule};

/// One request to Prometheus' metadata API. Equal questions of different rules are asked once.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Question {
    /// `/api/v1/label/__name__/values?match[]=…`: the names of the series.
    Names(String),
    /// `/api/v1/labels?match[]=…`: the labels that the series carry.
    Labels(String),
    /// `/api/v1/series?match[]=…`: name and labels of each series.
    Series(String),
}

impl Question {
    /// As our own metrics name it.
    pub fn kind(&self) -> &'static str {
        match self {
            Question::Names(_) => "names",
            Question::Labels(_) => "labels",
            Question::Series(_) => "series",
        }
    }
}

/// The answers to questions of the first two forms are sets; a streamed `/series` is a listing
/// already.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// To [`Question::Names`] and [`Question::Labels`].
    pub sets: BTreeMap<Question, BTreeSet<String>>,
    /// To [`Question::Series`].
    pub series: BTreeMap<Question, Listing>,
}

/// One rule's way to its listing.
#[derive(Debug)]
pub struct Survey<'a> {
    rule: &'a Rule,
    selector: Option<SeriesSelector>,
}

impl<'a> Survey<'a> {
    /// Reads the rule's `seriesQuery`.
    pub fn new(rule: &'a Rule) -> Survey<'a> {
        Survey {
            rule,
            selector: SeriesSelector::parse(&rule.series_query.text),
        }
    }

    /// What is listed before Prometheus has answered, and while a literal series is quiet: the
    /// literal name with every label the rule names, or that the selector makes certain.
    pub fn assumed(&self) -> Listing {
        if let Some(metric) = &self.rule.metric {
            return Listing::from([(metric.clone(), self.labels_of_query())]);
        }
        let Some(selector) = &self.selector else {
            return Listing::new();
        };
        let Some(name) = selector.literal_name() else {
            return Listing::new();
        };
        let mut labels: BTreeSet<String> = self.override_labels().map(str::to_owned).collect();
        labels.extend(selector.guaranteed().map(str::to_owned));
        Listing::from([(name.to_owned(), labels)])
    }

    /// What to ask first.
    pub fn questions(&self) -> Vec<Question> {
        if self.rule.metric.is_some() {
            return Vec::new();
        }
        let text = || self.rule.series_query.text.clone();
        let Some(selector) = &self.selector else {
            return vec![Question::Series(text())];
        };
        match (self.rule.id.list, selector.literal_name()) {
            (List::External, _) => vec![Question::Names(text())],
            (List::Custom, Some(_)) => vec![Question::Labels(text())],
            (List::Custom, None) => {
                let template = self.rule.association.template.as_ref();
                let labels = template.map(|_| Question::Labels(text()));
                let names = self
                    .override_labels()
                    .map(|label| self.names_with(selector, label));
                labels.into_iter().chain(names).collect()
            }
        }
    }

    /// What to ask once the first answers are there: the names behind each label that the template
    /// resolves.
    pub fn further_questions(&self, binding: &Binding<'_>, answers: &Answers) -> Vec<Question> {
        let Some(selector) = &self.selector else {
            return Vec::new();
        };
        if selector.literal_name().is_some() {
            return Vec::new();
        }
        let labels = self.template_labels(binding, answers);
        labels
            .map(|label| self.names_with(selector, label))
            .collect()
    }

    /// What the answers say; `None` where a literal series is quiet and its former listing stays.
    ///
    /// Every question of this survey must have its answer.
    pub fn listing(&self, binding: &Binding<'_>, answers: &Answers) -> Option<Listing> {
        if self.rule.metric.is_some() {
            return Some(self.assumed());
        }
        let text = || self.rule.series_query.text.clone();
        let Some(selector) = &self.selector else {
            return answers.series.get(&Question::Series(text())).cloned();
        };
        let names = || answers.sets.get(&Question::Names(text()));
        let labels = || answers.sets.get(&Question::Labels(text()));
        match (self.rule.id.list, selector.literal_name()) {
            (List::External, literal) => {
                let names = names().filter(|names| literal.is_none() || !names.is_empty())?;
                let unlabelled = |name: &String| (name.clone(), BTreeSet::new());
                return Some(names.iter().map(unlabelled).collect());
            }
            (List::Custom, Some(name)) => {
                let labels = labels().filter(|labels| !labels.is_empty())?;
                return Some(Listing::from([(name.to_owned(), labels.clone())]));
            }
            (List::Custom, None) => {}
        }
        let mut listing = Listing::new();
        let labels: BTreeSet<&str> = self
            .override_labels()
            .chain(self.template_labels(binding, answers))
            .collect();
        for label in labels {
            let question = self.names_with(selector, label);
            for name in answers.sets.get(&question).into_iter().flatten() {
                listing
                    .entry(name.clone())
                    .or_default()
                    .insert(label.to_owned());
            }
        }
        Some(listing)
    }

    /// The labels of a rule's `query` that name objects. Where its rows are those of other objects,
    /// the namespace is only a part of whose they are.
    fn labels_of_query(&self) -> BTreeSet<String> {
        let overrides = &self.rule.association.overrides;
        let is_part = |it: &Override| it.is_core(&["namespace", "namespaces"]);
        let has_others = !overrides.iter().all(is_part);
        let named = overrides.iter();
        let named = named.filter(|it| !(self.rule.is_fixed() && has_others && is_part(it)));
        named.map(|it| it.label.clone()).collect()
    }

    fn names_with(&self, selector: &SeriesSelector, label: &str) -> Question {
        if selector.guarantees(label) {
            return Question::Names(self.rule.series_query.text.clone());
        }
        Question::Names(selector.with_label(label))
    }

    fn override_labels(&self) -> impl Iterator<Item = &'a str> {
        self.rule
            .association
            .overrides
            .iter()
            .map(|named| named.label.as_str())
    }

    fn template_labels<'b>(
        &self,
        binding: &'b Binding<'_>,
        answers: &'b Answers,
    ) -> impl Iterator<Item = &'b str> {
        let labels = answers
            .sets
            .get(&Question::Labels(self.rule.series_query.text.clone()));
        let labels = labels.into_iter().flatten().map(String::as_str);
        labels.filter(|label| *label != "__name__" && binding.resource_of(label).is_some())
    }
}
