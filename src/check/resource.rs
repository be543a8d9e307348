//! `resourceRules`, tried as other rules are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::FileLints;
use super::asks::{NAMES, NAMESPACE};
use crate::plan;
use crate::plan::resource::{Pods, nodes_query, pods_query};
use crate::promql::{self, loses};
use crate::registry::ResourceMetric;
use crate::registry::separable::Scope;
use crate::rules::{Code, Query, Severity};

/// The queries of `resourceRules.cpu` or `resourceRules.memory`.
pub(super) fn check(metric: &ResourceMetric, lints: &mut FileLints<'_>) {
    let rule = &metric.rule;
    let path = rule.path;
    let field = format!("{path}.containerQuery");
    for objects in 1..=NAMES.len() {
        let names: BTreeSet<Arc<str>> = NAMES[..objects].iter().map(|it| Arc::from(*it)).collect();
        let pods: Pods = BTreeMap::from([(Arc::from(NAMESPACE), names)]);
        let query = pods_query(metric, Scope::Exact, &pods, usize::MAX);
        let query = query.map(|query| (query.promql, query.labels));
        judge(&rule.container_query, &query, "pods", &field, lints);
    }
    let field = format!("{path}.nodeQuery");
    let names: Vec<String> = ["node-1", "node-2"].map(str::to_owned).to_vec();
    for objects in 1..=names.len() {
        let query = nodes_query(metric, &names[..objects]);
        let node = metric.labels.node.iter().cloned().collect();
        let query = query.map(|promql| (promql, node));
        judge(&rule.node_query, &query, "nodes", &field, lints);
    }
}

/// For how many namespaces one query for containers is asked, and if for one, why.
pub(super) fn note(metric: &ResourceMetric, lints: &mut FileLints<'_>) {
    let rule = &metric.rule;
    let forbids = metric.at_once.as_ref().and_then(|it| it.forbids());
    let span = rule.container_query.source.span.clone();
    let code = (Severity::Note, Code::Widening);
    let field = format!("{}.containerQuery", rule.path);
    if let Some(cause) = forbids {
        let message = format!("a list of all pods takes a query for each namespace: {cause}");
        lints.add(code, span, &field, message, None::<String>);
    } else if metric.at_once.is_some() {
        let message = "one query stands for pods of all namespaces".to_owned();
        lints.add(code, span, &field, message, None::<String>);
    }
}

fn judge(
    source: &Query,
    query: &Result<(String, Vec<String>), plan::Error>,
    of: &str,
    field: &str,
    lints: &mut FileLints<'_>,
) {
    let Some(template) = &source.template else {
        return;
    };
    let span = source.source.span.clone();
    let (promql, labels) = match query {
        Ok(query) => query,
        Err(plan::Error::Template { cause, .. }) if template.lint().is_empty() => {
            let message = format!("asks for {of} fail: {cause}");
            let code = (Severity::Warning, Code::AskFails);
            lints.add(code, span, field, message, None::<String>);
            return;
        }
        Err(_) => return,
    };
    match promql::syntax(promql) {
        Ok(tree) => {
            for label in labels {
                let Some(part) = loses(&tree, label) else {
                    continue;
                };
                let message = format!("no row has the label `{label}`: there is no usage of {of}");
                let help = format!("aggregate by (<<.GroupBy>>); what loses the label is: {part}");
                let code = (Severity::Warning, Code::ObjectLabelDropped);
                lints.add(code, span.clone(), field, message, help);
            }
        }
        Err(_) => {
            let doubt = promql::doubt(promql);
            let is_told = |it: &crate::rules::Finding| it.code == Code::Promql && it.field == field;
            if let Some(doubt) = doubt.filter(|_| !lints.found.iter().any(is_told)) {
                let message = format!("asked for {of} this is hardly PromQL: {doubt}");
                let help = format!("Prometheus has the last word; it reads: {promql}");
                lints.add(
                    (Severity::Warning, Code::Promql),
                    span,
                    field,
                    message,
                    help,
                );
            }
        }
    }
}
