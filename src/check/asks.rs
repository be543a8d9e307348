//! Asks that nobody makes: what a rule's query reads for one object and for two, with and without a
//! selector, of each kind that the rule names.

use std::sync::Arc;

use super::{Subject, kinds_named};
use crate::kinds::{GroupResource, Kinds};
use crate::plan;
use crate::registry::separable::{AtOnce, Scope};
use crate::registry::{Binding, Labels, Metric};
use crate::rules::{List, Rule};
use crate::selector::Selector;

/// Stands for the series where a rule may find several.
const SERIES: &str = "some_series";

pub(super) const NAMESPACE: &str = "shop";
const NAMESPACES: [&str; 2] = [NAMESPACE, "store"];
pub(super) const NAMES: [&str; 2] = ["web-1", "web-2"];

/// As an autoscaler writes it in `metric.selector`.
const SELECTOR: &str = "tier=web";

/// Kinds that a label template leads to in most clusters.
const OF_TEMPLATE: [&str; 4] = ["namespaces", "pods", "services", "nodes"];

/// One ask, and the query that it becomes.
pub(super) struct Asked {
    /// What is asked about: `pods`; empty for an external metric.
    pub(super) kind: String,
    /// How many objects.
    pub(super) objects: usize,
    /// The query, and the labels that tell whose a row of it is.
    pub(super) query: Result<(String, Vec<String>), plan::Error>,
}

/// A rule's metric of each kind; its first series stands for all. What its query may be asked for
/// at once takes a while to find out, and is so only where it is `judged`.
pub(super) fn metrics(
    subject: &Subject<'_>,
    kinds: &Kinds,
    judged: bool,
) -> Vec<(GroupResource, Metric)> {
    let rule = subject.rule;
    let Ok(binding) = Binding::new(rule, kinds) else {
        return Vec::new();
    };
    let namespace = binding.label_of(&GroupResource::core("namespaces"));
    let metric = |object, at_once| Metric {
        rule: Arc::clone(rule),
        series: subject.literal.clone().unwrap_or_else(|| SERIES.to_owned()),
        labels: Labels {
            object,
            namespace: namespace.clone(),
        },
        at_once,
    };
    if rule.id.list == List::External {
        return vec![(GroupResource::core(""), metric(None, None))];
    }
    let of_kind = |kind: GroupResource| {
        let object = binding.label_of(&kind);
        let to_judge = object.as_ref().ok().filter(|_| judged);
        let at_once = to_judge.map(|object| {
            let namespace = namespace.as_deref().ok();
            Arc::new(AtOnce::new(&rule.query, namespace, object))
        });
        (kind, metric(Some(object), at_once))
    };
    kinds_of(rule, &binding).into_iter().map(of_kind).collect()
}

fn kinds_of(rule: &Rule, binding: &Binding<'_>) -> Vec<GroupResource> {
    let overrides = rule.association.overrides.iter();
    let named = overrides.filter_map(|it| binding.resource_of(&it.label));
    let template = rule.association.template.iter();
    let templated = template.flat_map(|_| OF_TEMPLATE.map(GroupResource::core));
    let mut all: Vec<GroupResource> = Vec::new();
    for kind in named.chain(templated) {
        if !all.contains(&kind) {
            all.push(kind);
        }
    }
    all
}

/// The query for one object that nobody has, of the first kind that can be asked for; `series` is
/// the name of one series that there is.
pub fn probe(rule: &Arc<Rule>, series: Option<&str>) -> Option<String> {
    let subject = Subject::new(rule);
    let subject = Subject {
        literal: series
            .map(str::to_owned)
            .or_else(|| subject.literal.clone()),
        ..subject
    };
    let (kinds, _) = kinds_named(std::iter::once(&rule.association));
    let metrics = metrics(&subject, &kinds, false);
    let mut asks = metrics
        .iter()
        .flat_map(|(kind, metric)| asks(kind, metric, &kinds));
    asks.find_map(|asked| asked.query.ok())
        .map(|(promql, _)| promql)
}

/// The asks for one metric.
pub(super) fn asks(kind: &GroupResource, metric: &Metric, kinds: &Kinds) -> Vec<Asked> {
    let selectors = ["", SELECTOR].map(|text| Selector::parse(text).unwrap_or_default());
    if metric.labels.object.is_none() {
        let ask = |selector: &Selector| Asked {
            kind: String::new(),
            objects: 0,
            query: plan::external_query(metric, NAMESPACE, selector)
                .map(|query| (query.promql, Vec::new())),
        };
        return selectors.iter().map(ask).collect();
    }
    let namespaced = kinds.resource_for(kind).is_ok_and(|kind| kind.namespaced);
    let namespace = namespaced.then_some(NAMESPACE);
    let names = match *kind == GroupResource::core("namespaces") {
        true => NAMESPACES,
        false => NAMES,
    };
    let mut asks = Vec::new();
    for objects in 1..=names.len() {
        let names: Vec<String> = names[..objects].iter().map(|it| (*it).to_owned()).collect();
        // A selector is put in alike, however many objects there are.
        for selector in selectors.iter().take(3 - objects) {
            let query = plan::custom_query(metric, Scope::Exact, namespace, &names, selector);
            asks.push(Asked {
                kind: kind.to_string(),
                objects,
                query: query.map(|query| (query.promql, own(query.labels, metric))),
            });
        }
    }
    asks
}

/// The labels without those of the selector, which may be absent.
fn own(labels: Vec<String>, metric: &Metric) -> Vec<String> {
    let object = metric.labels.object.iter().flatten();
    let known: Vec<&String> = object.chain(&metric.labels.namespace).collect();
    let is_own = |label: &String| known.contains(&label);
    labels.into_iter().filter(is_own).collect()
}
