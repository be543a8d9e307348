//! What is scaled where there is no cluster: the selector of its pods, and the pods that there must
//! be. Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{Pod, PodCondition, PodSpec, PodStatus, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, Time};
use serde_json::{Value, json};

use super::manifests::key;
use crate::autoscale::{self, Values, request};
use crate::selector::Selector;

/// The label of pods of which no manifest says their labels. Nobody is asked about it.
const NAMELESS: &str = "tidegauge-replica";

/// Metrics that are of pods.
const OF_PODS: [&str; 3] = ["Pods", "Resource", "ContainerResource"];

/// A Deployment, a StatefulSet, or another kind with a selector and a template of pods.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::cli) struct Workload {
    namespace: String,
    /// Of `apiVersion`.
    group: String,
    kind: String,
    name: String,
    pods: Target,
}

/// What the pods of a target are like.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::cli) struct Target {
    /// Selects them.
    pub(in crate::cli) selector: Selector,
    labels: BTreeMap<String, String>,
    spec: Option<PodSpec>,
}

impl Workload {
    /// A workload's manifest; or what is wrong with it.
    pub(in crate::cli) fn read(document: &Value) -> Result<Workload, String> {
        let text = |pointer| {
            let found = document.pointer(pointer).and_then(Value::as_str);
            found.unwrap_or_default().to_owned()
        };
        let spec = &document["spec"];
        let template = spec["template"].clone();
        let template: PodTemplateSpec =
            serde_json::from_value(template).map_err(|error| format!("spec.template: {error}"))?;
        let labels = template
            .metadata
            .and_then(|it| it.labels)
            .unwrap_or_default();
        let kind = text("/kind");
        let selector = match kind.as_str() {
            // Plain labels there.
            "ReplicationController" => json!({"matchLabels": spec["selector"]}),
            _ => spec["selector"].clone(),
        };
        let selector: LabelSelector =
            serde_json::from_value(selector).map_err(|error| format!("spec.selector: {error}"))?;
        let selector =
            request::selector_of(&selector).map_err(|why| format!("spec.selector: {why}"))?;
        if selector.is_empty() {
            return Err("spec.selector: it must select the pods, by their labels".to_owned());
        }
        if !selector.matches(&labels) {
            return Err(format!(
                "spec.selector: {selector} does not select the labels in spec.template.metadata"
            ));
        }
        let namespace = Some(text("/metadata/namespace")).filter(|it| !it.is_empty());
        Ok(Workload {
            namespace: namespace.unwrap_or_else(|| "default".to_owned()),
            group: group(&text("/apiVersion")).to_owned(),
            kind,
            name: text("/metadata/name"),
            pods: Target {
                selector,
                labels,
                spec: template.spec,
            },
        })
    }

    fn is_of(&self, hpa: &HorizontalPodAutoscaler) -> bool {
        let it = &hpa.spec.scale_target_ref;
        let target_group = group(it.api_version.as_deref().unwrap_or_default());
        hpa.metadata.namespace.as_ref() == Some(&self.namespace)
            && (it.kind == self.kind && it.name == self.name && target_group == self.group)
    }
}

/// Of an `apiVersion`.
pub(in crate::cli) fn group(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

impl Target {
    /// The target of an autoscaler, which is the one `at` this place; or what to add to the files.
    pub(in crate::cli) fn find(
        hpa: &HorizontalPodAutoscaler,
        at: usize,
        workloads: &[Workload],
    ) -> Result<Target, String> {
        if let Some(found) = workloads.iter().find(|it| it.is_of(hpa)) {
            return Ok(found.pods.clone());
        }
        let metrics = autoscale::metrics(hpa);
        let of_pods = metrics.iter().map(|it| it.type_.as_str());
        if let Some(metric) = of_pods.into_iter().find(|it| OF_PODS.contains(it)) {
            let (key, it) = (key(hpa), &hpa.spec.scale_target_ref);
            let version = it.api_version.as_deref().unwrap_or("v1");
            let (kind, name) = (&it.kind, &it.name);
            let namespace = hpa.metadata.namespace.as_deref().unwrap_or_default();
            return Err(format!(
                "{key} has a metric of type {metric}: give the manifest of its target with -f, too \
                 ({version} {kind} {name}, namespace {namespace}), which says the labels of its \
                 pods and what their containers request"
            ));
        }
        // Nobody else's: another autoscaler without a manifest has other pods.
        let selector = Selector::parse(&format!("{NAMELESS}={at}"));
        Ok(Target {
            selector: selector.map_err(|error| error.to_string())?,
            labels: BTreeMap::from([(NAMELESS.to_owned(), at.to_string())]),
            spec: None,
        })
    }

    /// The pods that there must be: those that a metric names, and as many more without a name
    /// as it takes to make `current`. Such a one counts as a pod that no metric has a value of, as
    /// in a cluster, so that a replica that was not scraped yet never looks idle, nor as if it were
    /// gone.
    pub(in crate::cli) fn pods<'a>(
        &self,
        values: impl Iterator<Item = &'a Values>,
        current: i32,
    ) -> Vec<Pod> {
        let mut names: BTreeSet<String> = BTreeSet::new();
        for value in values {
            if let Values::Pods(pods) = value {
                names.extend(pods.keys().cloned());
            }
        }
        let current = usize::try_from(current).unwrap_or(0);
        let nameless = (0_usize..).map(|it| format!("replica {it}, not named by any metric yet"));
        let missing = current.saturating_sub(names.len());
        let names = names.into_iter().chain(nameless.take(missing));
        names.map(|name| self.pod(name)).collect()
    }

    /// One that has been running and ready for ever.
    fn pod(&self, name: String) -> Pod {
        let long_ago = Time(Timestamp::UNIX_EPOCH);
        let ready = PodCondition {
            type_: "Ready".to_owned(),
            status: "True".to_owned(),
            last_transition_time: Some(long_ago.clone()),
            ..PodCondition::default()
        };
        Pod {
            metadata: ObjectMeta {
                name: Some(name),
                labels: Some(self.labels.clone()),
                ..ObjectMeta::default()
            },
            spec: self.spec.clone(),
            status: Some(PodStatus {
                phase: Some("Running".to_owned()),
                start_time: Some(long_ago),
                conditions: Some(vec![ready]),
                ..PodStatus::default()
            }),
        }
    }
}
