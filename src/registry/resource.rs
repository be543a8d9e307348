//! `resourceRules` bound to the kinds of one cluster: which labels name namespaces, pods and nodes.
//!
//! CPU and memory have a rule each, and their labels may differ (`pkg/resourceprovider` of the Go
//! adapter).

use std::sync::Arc;
use std::time::Duration;

use super::separable::{Keys, Scope, Verdict, verdict};
use super::{Binding, Disabled, LabelError};
use crate::kinds::{GroupResource, Kinds};
use crate::rules::{ResourceRule, ResourceRules};

/// What `metrics.k8s.io` is answered from.
#[derive(Clone, Debug)]
pub struct ResourceMetrics {
    /// CPU, in cores.
    pub cpu: ResourceMetric,
    /// Memory, in bytes.
    pub memory: ResourceMetric,
    /// The window that is told to clients.
    pub window: Duration,
}

/// One of the two rules.
#[derive(Clone, Debug)]
pub struct ResourceMetric {
    /// The rule.
    pub rule: Arc<ResourceRule>,
    /// Its labels.
    pub labels: ResourceLabels,
    /// What the query for containers may be asked for at once; `None` where it cannot be asked.
    pub at_once: Option<Verdict>,
}

/// The labels whose values are names of objects.
#[derive(Clone, Debug)]
pub struct ResourceLabels {
    /// Of namespaces.
    pub namespace: Result<String, LabelError>,
    /// Of pods.
    pub pod: Result<String, LabelError>,
    /// Of nodes.
    pub node: Result<String, LabelError>,
}

impl ResourceMetric {
    /// The widest scope in which the query for containers is proven to give the same.
    pub fn proven(&self) -> Scope {
        self.at_once.as_ref().map_or(Scope::Exact, Verdict::widest)
    }
}

impl ResourceMetrics {
    /// Both rules over `kinds`, and those of them that are off.
    pub(super) fn bind(rules: &ResourceRules, kinds: &Kinds) -> (ResourceMetrics, Vec<Disabled>) {
        let mut disabled = Vec::new();
        let mut metric = |rule: &Arc<ResourceRule>| {
            let binding = Binding::of(&rule.association, kinds, || rule.origin.clone());
            let label = |resource: &str| match &binding {
                Ok(binding) => binding.label_of(&GroupResource::core(resource)),
                Err(disabled) => Err(LabelError::NoKind(disabled.cause.clone())),
            };
            let labels = ResourceLabels {
                namespace: label("namespaces"),
                pod: label("pods"),
                node: label("nodes"),
            };
            disabled.extend(binding.err());
            ResourceMetric {
                rule: Arc::clone(rule),
                at_once: at_once(rule, &labels),
                labels,
            }
        };
        let (cpu, memory) = (metric(&rules.cpu), metric(&rules.memory));
        (
            ResourceMetrics {
                cpu,
                memory,
                window: rules.window,
            },
            disabled,
        )
    }
}

impl ResourceMetrics {
    /// What asks cost more than they need to, in words for the one who wrote the rules.
    pub fn costs(&self) -> impl Iterator<Item = String> {
        let costs = |metric: &ResourceMetric| {
            let cause = metric.at_once.as_ref()?.forbids()?;
            let origin = &metric.rule.origin;
            Some(format!(
                "{} (line {}): a list of all pods takes a query for each namespace, because one \
                 for all is not sure to give the same. In its containerQuery: {cause}",
                origin.rule, origin.line
            ))
        };
        [&self.cpu, &self.memory].into_iter().filter_map(costs)
    }
}

fn at_once(rule: &ResourceRule, labels: &ResourceLabels) -> Option<Verdict> {
    rule.container_query.template.as_ref()?;
    let keys = Keys {
        namespace: Some(labels.namespace.as_ref().ok()?),
        object: labels.pod.as_ref().ok()?,
        parts: std::slice::from_ref(&rule.container_label),
    };
    Some(verdict(&rule.container_query, keys))
}
