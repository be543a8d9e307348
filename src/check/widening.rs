//! For how many objects one query of a rule is asked, and what forbids more.

use super::asks;
use super::{FileLints, Subject, kinds};
use crate::kinds::Kinds;
use crate::registry::Metric;
use crate::registry::separable::Scope;
use crate::rules::{Code, List, RuleId, Rules, Severity, Widen};

/// One rule in a few words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Which it is.
    pub rule: RuleId,
    /// Where it begins, from 1.
    pub line: usize,
    /// What it finds: the `seriesQuery`, or nothing where it has a `query`.
    pub series: String,
    /// What its metrics are called: a name, or the pattern that names are made of.
    pub makes: String,
    /// The kinds of object that it names.
    pub kinds: Vec<String>,
    /// For how many objects one query is asked: `all namespaces`, `a namespace`, `each ask`.
    pub asked_for: String,
}

/// All rules in a few words, in the order of the files.
pub fn summaries(rules: &Rules) -> Vec<Summary> {
    let (kinds, _) = kinds(rules);
    let rules = rules.series_rules();
    let summary = |rule| {
        let subject = Subject::new(rule);
        let metrics = asks::metrics(&subject, &kinds, true);
        let named = metrics.iter().map(|(kind, _)| kind.to_string());
        let scopes = metrics
            .iter()
            .map(|(kind, metric)| of(metric, is_in_namespace(kind, &kinds)).0);
        let widest = scopes.max().unwrap_or(Scope::Exact);
        let makes = match (&rule.metric, &subject.literal) {
            (Some(metric), _) => metric.clone(),
            (None, Some(series)) => rule.naming.api_name(series).unwrap_or_default(),
            (None, None) => rule.naming.template().to_owned(),
        };
        Summary {
            rule: rule.id.clone(),
            line: rule.line,
            series: rule.series_query.text.clone(),
            makes,
            kinds: named.filter(|it| !it.is_empty()).collect(),
            asked_for: match (rule.is_fixed(), widest) {
                (true, _) => "all asks",
                (false, Scope::Cluster) => "all namespaces",
                (false, Scope::Namespace) => "a namespace",
                (false, Scope::Exact) => "each ask",
            }
            .to_owned(),
        }
    };
    rules.map(summary).collect()
}

/// What will be widened, and if not, which part of the query forbids it.
pub(super) fn note(subject: &Subject<'_>, kinds: &Kinds, lints: &mut FileLints<'_>) {
    let rule = subject.rule;
    if rule.query.template.is_none() {
        return;
    }
    let mut texts: Vec<(String, Vec<String>)> = Vec::new();
    for (kind, metric) in asks::metrics(subject, kinds, true) {
        let (_, text) = of(&metric, is_in_namespace(&kind, kinds));
        match texts.iter_mut().find(|(known, _)| *known == text) {
            Some((_, of)) => of.push(kind.to_string()),
            None => texts.push((text, vec![kind.to_string()])),
        }
    }
    for (text, of) in texts {
        let message = match rule.id.list {
            List::External => text,
            List::Custom => format!("{}: {text}", of.join(", ")),
        };
        let span = rule.query.source.span.clone();
        let code = (Severity::Note, Code::Widening);
        lints.add(code, span, &subject.query_path, message, None::<String>);
    }
}

fn is_in_namespace(kind: &crate::kinds::GroupResource, kinds: &Kinds) -> bool {
    kinds.resource_for(kind).is_ok_and(|kind| kind.namespaced)
}

/// How far the query of a metric goes, and why no further.
fn of(metric: &Metric, in_namespace: bool) -> (Scope, String) {
    let rule = &metric.rule;
    if rule.is_fixed() {
        return (Scope::Cluster, "one query stands for all asks".to_owned());
    }
    if metric.labels.object.is_none() {
        let text = "asked for each ask, as all external metrics are".to_owned();
        return (Scope::Exact, text);
    }
    let Some(verdict) = metric.verdict(in_namespace) else {
        let text = "asked for each ask: no label is known for its objects".to_owned();
        return (Scope::Exact, text);
    };
    let proven = verdict.widest();
    let allowed = match rule.terms.widen.unwrap_or_default() {
        Widen::Auto => Scope::Cluster,
        Widen::Namespace => Scope::Namespace,
        Widen::Off => Scope::Exact,
    };
    let scope = proven.min(allowed);
    let why = match (allowed < proven, in_namespace) {
        (true, _) => Some("the rule says so by `widen`".to_owned()),
        // Objects at the root have no namespaces to ask for at once.
        (false, false) => verdict.others.as_ref().err().map(ToString::to_string),
        (false, true) => verdict.forbids().map(ToString::to_string),
    };
    let text = match (scope, in_namespace) {
        (Scope::Cluster, _) => "one query may stand for objects of all namespaces",
        (Scope::Namespace, true) => "one query may stand for all objects of a namespace",
        (Scope::Namespace, false) => "one query may stand for all objects",
        (Scope::Exact, _) => "asked for each ask",
    };
    match why.filter(|_| scope != Scope::Cluster) {
        Some(why) => (scope, format!("{text}, and not for more: {why}")),
        None => (scope, text.to_owned()),
    }
}
