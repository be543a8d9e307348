//! What to ask Prometheus for the usage of pods and nodes.
//!
//! Go asks for each namespace on its own. Here one query is asked for all of them where it is shown
//! to give the same rows ([`separable`](crate::registry::separable)).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::{Error, Matchers, no_label, render};
use crate::registry::ResourceMetric;
use crate::registry::separable::Scope;

/// The names that a query lists, in bytes: some five hundred pods. Beyond it a query asks for all
/// pods, or all namespaces, and the rows of others are ignored. (Go lists tens of thousands of
/// names, in a URL that Prometheus refuses from one megabyte.)
pub const NAMES_BYTES_MAX: usize = 16 * 1024;

/// The pods that are asked about: names by namespace.
pub type Pods = BTreeMap<Arc<str>, BTreeSet<Arc<str>>>;

/// One query for all containers of some pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodsQuery {
    /// The text.
    pub promql: String,
    /// The namespace of all rows; `None`: each row names its own.
    pub namespace: Option<Arc<str>>,
    /// The labels that tell its rows apart, in the order in which [`Samples`](super::Samples)
    /// expects them.
    pub labels: Vec<String>,
}

/// The PromQL for all containers of `pods`, which are of one namespace, or of several where that is
/// [proven](ResourceMetric::proven) to give the same. A wider `scope` than exact is about all pods,
/// and the same for each ask; it stands for the exact one where it is proven, and where that would
/// be longer than `bytes_max`.
///
/// # Errors
/// A rule without the labels, or whose template fails.
pub fn pods_query(
    metric: &ResourceMetric,
    scope: Scope,
    pods: &Pods,
    bytes_max: usize,
) -> Result<PodsQuery, Error> {
    let query = query(metric, scope, pods)?;
    let is_long = query.promql.len() > bytes_max && scope == Scope::Exact;
    match (metric.proven(), pods.len()) {
        (Scope::Namespace | Scope::Cluster, 1) if is_long => {
            self::query(metric, Scope::Namespace, pods)
        }
        (Scope::Cluster, _) if is_long => self::query(metric, Scope::Cluster, pods),
        _ => Ok(query),
    }
}

fn query(metric: &ResourceMetric, scope: Scope, pods: &Pods) -> Result<PodsQuery, Error> {
    let origin = &metric.rule.origin;
    let label = |label| Result::as_ref(label).map_err(|cause| no_label(origin, cause));
    let labels = Labels {
        namespace: label(&metric.labels.namespace)?,
        pod: label(&metric.labels.pod)?,
    };
    let mut namespaces = pods.iter();
    match (namespaces.next(), namespaces.next()) {
        (Some((namespace, names)), None) if scope != Scope::Cluster => {
            let must_list = metric.proven() == Scope::Exact;
            let listed = scope == Scope::Exact && (are_few(names) || must_list);
            pods_of_one(metric, labels, namespace, names, listed)
        }
        // Even with names, a query for several namespaces lets others in: one that is asked about
        // in one namespace is a pod of another as well.
        _ => all_pods(metric, labels, scope, pods),
    }
}

/// The labels that name pods.
#[derive(Clone, Copy)]
struct Labels<'a> {
    namespace: &'a str,
    pod: &'a str,
}

/// For the pods of one namespace: Go's query, if names are `listed`.
fn pods_of_one(
    metric: &ResourceMetric,
    labels: Labels<'_>,
    namespace: &Arc<str>,
    names: &BTreeSet<Arc<str>>,
    listed: bool,
) -> Result<PodsQuery, Error> {
    let mut matchers = Matchers::default();
    matchers.equal(labels.namespace, namespace);
    if listed {
        matchers.one_of(labels.pod, &texts(names));
    } else {
        matchers.present(labels.pod);
    }
    let group_by = [labels.pod, &metric.rule.container_label].map(str::to_owned);
    Ok(PodsQuery {
        promql: containers(metric, matchers, group_by.to_vec())?,
        namespace: Some(Arc::clone(namespace)),
        labels: group_by.to_vec(),
    })
}

/// For the pods of all namespaces.
fn all_pods(
    metric: &ResourceMetric,
    labels: Labels<'_>,
    scope: Scope,
    pods: &Pods,
) -> Result<PodsQuery, Error> {
    let mut matchers = Matchers::default();
    let mut add = |label, names: &BTreeSet<Arc<str>>| match scope == Scope::Exact && are_few(names)
    {
        true => matchers.one_of(label, &texts(names)),
        false => matchers.present(label),
    };
    add(labels.namespace, &pods.keys().cloned().collect());
    add(labels.pod, &pods.values().flatten().cloned().collect());
    let container = &metric.rule.container_label;
    let group_by = [labels.pod, container, labels.namespace].map(str::to_owned);
    Ok(PodsQuery {
        promql: containers(metric, matchers, group_by.to_vec())?,
        namespace: None,
        labels: [labels.namespace, labels.pod, container]
            .map(str::to_owned)
            .to_vec(),
    })
}

fn containers(
    metric: &ResourceMetric,
    matchers: Matchers,
    group_by: Vec<String>,
) -> Result<String, Error> {
    let rule = &metric.rule;
    render(&rule.origin, &rule.container_query, "", matchers, group_by)
}

fn are_few(names: &BTreeSet<Arc<str>>) -> bool {
    let bytes = names.iter().map(|name| name.len() + 1);
    bytes.sum::<usize>() <= NAMES_BYTES_MAX
}

fn texts(names: &BTreeSet<Arc<str>>) -> Vec<String> {
    names.iter().map(|name| name.to_string()).collect()
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
