//! Manifests: which autoscalers there are, and what they scale. Pure.

use std::collections::BTreeSet;

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use serde_json::Value;

use super::target::Workload;
use crate::autoscale::{self, Settings};
use crate::kinds::Crd;
use crate::selector::{is_dns_label, is_dns_subdomain};

mod fields;
#[cfg(test)]
mod tests;
mod v1;

/// What the files say.
#[derive(Debug, Default)]
pub(in crate::cli) struct Manifests {
    /// At least one, in the order of the files.
    pub(in crate::cli) autoscalers: Vec<HorizontalPodAutoscaler>,
    /// What has pods.
    pub(in crate::cli) workloads: Vec<Workload>,
    /// Further kinds.
    pub(in crate::cli) kinds: Vec<Crd>,
    /// `KIND NAME` of the documents that are of no use here.
    pub(in crate::cli) unused: Vec<String>,
}

/// Reads files, each as its name and its text. What names no namespace is in `namespace`.
///
/// # Errors
/// All mistakes, one a line, each with its file and document.
pub(in crate::cli) fn read(
    files: &[(String, String)],
    namespace: &str,
    settings: &Settings,
) -> Result<Manifests, String> {
    let placed = Placed {
        namespace,
        settings,
    };
    let mut manifests = Manifests::default();
    let mut problems = Vec::new();
    for (name, text) in files {
        match serde_saphyr::from_multiple::<Value>(text) {
            Err(error) => problems.push(format!("{name}: {error}")),
            Ok(documents) => {
                for (at, document) in documents.into_iter().enumerate() {
                    let place = format!("{name}: document {}", at + 1);
                    manifests.document(document, &place, placed, &mut problems);
                }
            }
        }
    }
    let (mut keys, mut targets) = (BTreeSet::new(), BTreeSet::new());
    for hpa in &manifests.autoscalers {
        let key = key(hpa);
        let (target, namespace) = (&hpa.spec.scale_target_ref, &hpa.metadata.namespace);
        let (kind, name) = (&target.kind, &target.name);
        if !keys.insert(key.clone()) {
            problems.push(format!("HorizontalPodAutoscaler {key} is defined twice"));
        } else if !targets.insert((namespace, &target.api_version, kind, name)) {
            problems.push(format!(
                "HorizontalPodAutoscaler {key}: another one scales the same {kind} {name}; put the \
                 metrics of both into one, which goes by the one that calls for most"
            ));
        }
    }
    if manifests.autoscalers.is_empty() && problems.is_empty() {
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        problems.push(manifests.without_autoscaler(&names.join(", ")));
    }
    match problems.is_empty() {
        true => Ok(manifests),
        false => Err(problems.join("\n")),
    }
}

/// What a file of objects has that autoscalers are about. Whoever serves the objects says what is
/// wrong with them.
pub(in crate::cli) fn beside(text: &str, settings: &Settings) -> Manifests {
    let placed = Placed {
        namespace: "default",
        settings,
    };
    let mut manifests = Manifests::default();
    let documents = serde_saphyr::from_multiple::<Value>(text).unwrap_or_default();
    for document in documents {
        manifests.document(document, "", placed, &mut Vec::new());
    }
    manifests
}

/// `NAMESPACE/NAME`
pub(in crate::cli) fn key(hpa: &HorizontalPodAutoscaler) -> String {
    let metadata = &hpa.metadata;
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    format!(
        "{namespace}/{}",
        metadata.name.as_deref().unwrap_or_default()
    )
}

/// Where a document is, and what it may say.
#[derive(Clone, Copy)]
struct Placed<'a> {
    namespace: &'a str,
    settings: &'a Settings,
}

impl Manifests {
    /// What is wrong with files that have none.
    fn without_autoscaler(&self, names: &str) -> String {
        let of_keda = |it: &&String| it.starts_with("ScaledObject ");
        match self.unused.iter().find(of_keda) {
            Some(scaled) => {
                let name = scaled.split(' ').next_back().unwrap_or_default();
                format!(
                    "{names}: no HorizontalPodAutoscaler in it, but {scaled}: KEDA makes one of \
                     it, which kubectl get hpa keda-hpa-{name} -o yaml shows"
                )
            }
            None => format!("{names}: no HorizontalPodAutoscaler in it: -f wants its manifest"),
        }
    }

    fn document(
        &mut self,
        mut document: Value,
        place: &str,
        placed: Placed<'_>,
        problems: &mut Vec<String>,
    ) {
        let text = |document: &Value, pointer| {
            let found = document.pointer(pointer).and_then(Value::as_str);
            found.unwrap_or_default().to_owned()
        };
        let kind = text(&document, "/kind");
        let place = match (kind.as_str(), text(&document, "/metadata/name")) {
            (_, name) if !name.is_empty() => format!("{place}: {kind} {name}"),
            _ => place.to_owned(),
        };
        if document.is_null() {
            return;
        }
        if let Some(metadata) = document.get_mut("metadata").and_then(Value::as_object_mut) {
            let namespace = metadata.entry("namespace").or_insert(Value::Null);
            if namespace.is_null() || namespace == "" {
                *namespace = placed.namespace.into();
            }
        }
        if kind.is_empty() {
            problems.push(format!("{place}: has no kind: it is no Kubernetes object"));
        } else if let Some(items) = document.get_mut("items").filter(|_| kind.ends_with("List")) {
            let Value::Array(items) = items.take() else {
                return;
            };
            for (at, item) in items.into_iter().enumerate() {
                self.document(item, &format!("{place}: items[{at}]"), placed, problems);
            }
        } else if kind == "HorizontalPodAutoscaler" {
            match autoscaler(document, placed.settings) {
                Ok(hpa) => self.autoscalers.push(hpa),
                Err(found) => problems.extend(found.iter().map(|it| format!("{place}: {it}"))),
            }
        } else if kind == "CustomResourceDefinition" {
            match serde_json::from_value(document["spec"].take()) {
                Ok(crd) => self.kinds.push(crd),
                Err(error) => problems.push(format!("{place}: spec: {error}")),
            }
        } else if document.pointer("/spec/template/spec/containers").is_some() {
            match Workload::read(&document) {
                Ok(workload) => self.workloads.push(workload),
                Err(why) => problems.push(format!("{place}: {why}")),
            }
        } else {
            let name = text(&document, "/metadata/name");
            self.unused.push(format!("{kind} {name}"));
        }
    }
}

/// One autoscaler, as an API server would take it.
fn autoscaler(
    document: Value,
    settings: &Settings,
) -> Result<HorizontalPodAutoscaler, Vec<String>> {
    let version = document["apiVersion"].as_str().unwrap_or_default();
    let document = match version {
        "autoscaling/v2" => document,
        "autoscaling/v1" => v1::as_v2(document).map_err(|why| vec![why])?,
        other => {
            return Err(vec![format!(
                "apiVersion {other:?}: write autoscaling/v2 (or v1); v2 is served since Kubernetes \
                 1.23"
            )]);
        }
    };
    let mut hpa: HorizontalPodAutoscaler =
        serde_json::from_value(document.clone()).map_err(|error| vec![error.to_string()])?;
    let mut problems = fields::unknown(&document, &hpa);
    let namespace = hpa.metadata.namespace.get_or_insert_default();
    if namespace.is_empty() {
        "default".clone_into(namespace);
    }
    // Commands get these: nothing in them may mean something to a shell.
    let target = &hpa.spec.scale_target_ref;
    let name = hpa.metadata.name.as_deref().unwrap_or_default();
    for (field, text) in [
        ("metadata.name", name),
        ("spec.scaleTargetRef.name", &target.name),
    ] {
        if !is_dns_subdomain(text) {
            problems.push(format!(
                "{field}: {text:?} is no name: write lower-case letters, digits, - and . alone"
            ));
        }
    }
    if !is_dns_label(namespace) {
        problems.push(format!(
            "metadata.namespace: {namespace:?} is no name: write lower-case letters, digits and - \
             alone"
        ));
    }
    if !target.kind.chars().all(|c| c.is_ascii_alphanumeric()) {
        let kind = &target.kind;
        problems.push(format!("spec.scaleTargetRef.kind: {kind:?} is no kind"));
    }
    // What a file brings is not what was seen here.
    hpa.status = None;
    problems.extend(autoscale::validate(&hpa, settings));
    match problems.is_empty() {
        true => Ok(hpa),
        false => Err(problems),
    }
}
