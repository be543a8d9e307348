//! The world without a cluster: objects from a file in kubectl's format.
//!
//! `kubectl get pods,services,deployments -A -o yaml > objects.yaml` makes such a file; so does a
//! hand with a few lines of `apiVersion`, `kind` and `metadata`. The kinds of a plain Kubernetes
//! are known without being listed; CustomResourceDefinitions in the file add theirs.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use thiserror::Error;

use super::Object;
use crate::kinds::{Crd, GroupResource, Kind, Kinds};
use crate::selector::Selector;

/// Why an objects file cannot be used. Nothing of it is taken then.
#[derive(Debug, Error)]
pub enum Error {
    /// Not YAML, or not objects; the text has line, column and a code frame.
    #[error("{0}")]
    Yaml(String),
    /// Nothing in it: mostly a file that is being written, or the wrong one.
    #[error(
        "the objects file is empty; for a world without objects write: \
         {{kind: List, apiVersion: v1, items: []}}"
    )]
    Empty,
    /// Not text.
    #[error("the objects file is not UTF-8")]
    Utf8(#[source] std::str::Utf8Error),
    /// A document that is no object.
    #[error("document {document}: {problem}")]
    Object {
        /// Counted from 1; items of a List as `2.items[0]`.
        document: String,
        /// What is wrong and what to write.
        problem: String,
    },
}

/// The objects of one file, by kind.
#[derive(Debug)]
pub struct Objects {
    kinds: Arc<Kinds>,
    by_kind: BTreeMap<GroupResource, BTreeMap<ObjectName, Stored>>,
    unknown: Vec<String>,
}

#[derive(Debug)]
struct Stored {
    object: Arc<Object>,
    /// Not a pod that has yet to start or has ended.
    running: bool,
}

/// In the order in which kube-apiserver lists them.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ObjectName {
    namespace: String,
    name: String,
}

impl Objects {
    /// Reads the documents of `text`, YAML or JSON, Lists included.
    pub fn parse(bytes: &[u8]) -> Result<Objects, Error> {
        let text = std::str::from_utf8(bytes).map_err(Error::Utf8)?;
        let documents: Vec<Option<Manifest>> =
            serde_saphyr::from_multiple(text).map_err(|e| Error::Yaml(e.to_string()))?;
        let mut manifests = Vec::new();
        let mut any = false;
        for (index, manifest) in documents.into_iter().enumerate() {
            if let Some(manifest) = manifest {
                any = true;
                flatten(manifest, (index + 1).to_string(), &mut manifests);
            }
        }
        if !any {
            return Err(Error::Empty);
        }
        let mut crds = Vec::new();
        for (document, manifest) in &mut manifests {
            if manifest.kind == "CustomResourceDefinition" {
                crds.push(manifest.crd(document)?);
            }
        }
        let kinds = Kinds::builtin_and(crds);
        let mut objects = Objects {
            kinds: kinds.into(),
            by_kind: BTreeMap::new(),
            unknown: Vec::new(),
        };
        for (document, manifest) in manifests {
            objects.add(&document, manifest)?;
        }
        Ok(objects)
    }

    /// The kinds of a plain Kubernetes and of the file's CustomResourceDefinitions.
    pub fn kinds(&self) -> &Arc<Kinds> {
        &self.kinds
    }

    /// Objects whose kind is not known; they cannot be asked for. One text each.
    pub fn unknown(&self) -> &[String] {
        &self.unknown
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.by_kind.values().map(BTreeMap::len).sum()
    }

    /// Whether there is no object at all.
    pub fn is_empty(&self) -> bool {
        self.by_kind.is_empty()
    }

    /// The names of the objects of `kind` that `selector` matches, in `namespace` or in all of
    /// them.
    pub fn names(&self, kind: &Kind, namespace: Option<&str>, selector: &Selector) -> Vec<String> {
        let objects = self.of_kind(kind, namespace).map(|stored| &stored.object);
        let objects = objects.filter(|object| selector.holds(|key| object.labels.get(key)));
        objects.map(|object| object.name.to_string()).collect()
    }

    /// All objects of `kind`, in `namespace` or in all of them.
    pub fn all(&self, kind: &Kind, namespace: Option<&str>) -> Vec<Arc<Object>> {
        let objects = self.of_kind(kind, namespace);
        objects.map(|stored| Arc::clone(&stored.object)).collect()
    }

    /// The objects of `kind` that `keep` keeps, in `namespace` or in all of them. Of pods only
    /// those whose `status.phase` is `Running`; one that does not say counts as running.
    pub fn running(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        keep: impl Fn(&Object) -> bool,
    ) -> Vec<Arc<Object>> {
        let running = self
            .of_kind(kind, namespace)
            .filter(|stored| stored.running);
        running
            .filter(|stored| keep(&stored.object))
            .map(|it| Arc::clone(&it.object))
            .collect()
    }

    fn of_kind<'a>(
        &'a self,
        kind: &Kind,
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Stored> {
        let objects = self
            .by_kind
            .get(&kind.group_resource())
            .into_iter()
            .flat_map(BTreeMap::values);
        objects.filter(move |stored| namespace.is_none_or(|it| *it == *stored.object.namespace))
    }

    fn add(&mut self, document: &str, manifest: Manifest) -> Result<(), Error> {
        let problem = |problem: &str| Error::Object {
            document: document.to_owned(),
            problem: problem.to_owned(),
        };
        let Some(kind) = self.kinds.by_kind(&manifest.api_version, &manifest.kind) else {
            self.unknown.push(format!(
                "document {document}: no kind {:?} in {:?}: add its CustomResourceDefinition",
                manifest.kind, manifest.api_version
            ));
            return Ok(());
        };
        let metadata = manifest.metadata.unwrap_or_default();
        let name = metadata.name.filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| problem("has no metadata.name"))?;
        let namespace = match (kind.namespaced, metadata.namespace) {
            (true, namespace) => namespace.unwrap_or_else(|| "default".to_owned()),
            (false, _) => String::new(),
        };
        let labels = metadata.labels.unwrap_or_default();
        let labels = labels
            .into_iter()
            .map(|(k, v)| (k, v.unwrap_or_default()))
            .collect();
        let objects = self.by_kind.entry(kind.group_resource()).or_default();
        let phase = manifest.status.and_then(|status| status.phase);
        let running = kind.kind != "Pod" || phase.is_none_or(|phase| phase == "Running");
        let at = ObjectName {
            namespace: namespace.clone(),
            name: name.clone(),
        };
        let object = Arc::new(Object {
            namespace: namespace.into(),
            name: name.into(),
            labels,
        });
        objects.insert(at, Stored { object, running });
        Ok(())
    }
}

/// As much of a manifest as matters here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    metadata: Option<Metadata>,
    items: Option<Vec<Manifest>>,
    spec: Option<serde_json::Value>,
    status: Option<Status>,
}

#[derive(Debug, Deserialize)]
struct Status {
    phase: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    labels: Option<BTreeMap<String, Option<String>>>,
}

impl Manifest {
    fn crd(&mut self, document: &str) -> Result<Crd, Error> {
        let spec = self.spec.take().unwrap_or_default();
        serde_json::from_value(spec).map_err(|e| Error::Object {
            document: document.to_owned(),
            problem: format!("CustomResourceDefinition: spec: {e}"),
        })
    }
}

/// Lists (`kind: List`, `PodList`, …) stand for their items.
fn flatten(manifest: Manifest, document: String, into: &mut Vec<(String, Manifest)>) {
    match manifest.items {
        Some(items) if manifest.kind.ends_with("List") => {
            let of = manifest
                .kind
                .strip_suffix("List")
                .unwrap_or_default()
                .to_owned();
            for (index, mut item) in items.into_iter().enumerate() {
                // Items of a PodList need not repeat what they are.
                if item.kind.is_empty() && !of.is_empty() {
                    item.kind.clone_from(&of);
                    item.api_version.clone_from(&manifest.api_version);
                }
                flatten(item, format!("{document}.items[{index}]"), into);
            }
        }
        _ => into.push((document, manifest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::GroupResource;

    fn names(
        objects: &Objects,
        resource: &str,
        namespace: Option<&str>,
        selector: &str,
    ) -> Vec<String> {
        let kind = objects
            .kinds()
            .resource_for(&GroupResource::parse(resource))
            .unwrap();
        objects.names(kind, namespace, &Selector::parse(selector).unwrap())
    }

    #[test]
    fn objects_are_found_by_kind_namespace_and_labels() {
        let objects =
            Objects::parse(include_bytes!("../../tests/data/recorded/objects.yaml")).unwrap();
        assert_eq!(
            names(&objects, "pods", Some("shop"), ""),
            ["web-a", "web-b", "web-c"]
        );
        assert_eq!(names(&objects, "pods", Some("shop"), "app=teller"), [""; 0]);
        assert_eq!(
            names(&objects, "pods", None, "tier"),
            ["teller-a", "web-a", "web-b", "web-c"]
        );
        assert_eq!(names(&objects, "nodes", None, "zone=a"), ["node-1"]);
        assert_eq!(
            names(&objects, "deployments.apps", Some("shop"), ""),
            ["web"]
        );
        assert!(objects.unknown().is_empty());
    }

    #[test]
    fn only_pods_that_run_have_usage_and_one_that_does_not_say_runs() {
        let text = "
{apiVersion: v1, kind: Pod, metadata: {name: silent, labels: {app: web}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: up}, status: {phase: Running}}
---
{apiVersion: v1, kind: Pod, metadata: {name: done}, status: {phase: Succeeded, hostIP: 10.0.0.1}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: n}, status: {phase: Active}}
";
        let objects = Objects::parse(text.as_bytes()).unwrap();
        let running = |resource: &str, namespace| {
            let kind = objects
                .kinds()
                .resource_for(&GroupResource::core(resource))
                .unwrap();
            objects.running(kind, namespace, |_| true)
        };
        let pods = running("pods", Some("default"));
        assert_eq!(
            pods.iter().map(|pod| &*pod.name).collect::<Vec<_>>(),
            ["silent", "up"]
        );
        assert_eq!(pods[0].labels.get("app"), Some("web"));
        assert_eq!(running("pods", Some("other")), []);
        assert_eq!(running("namespaces", None).len(), 1);
        assert_eq!(names(&objects, "pods", None, ""), ["done", "silent", "up"]);
    }

    #[test]
    fn a_custom_resource_definition_adds_its_kind() {
        let text = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gauges.acme.io}
spec:
  group: acme.io
  names: {plural: gauges, singular: gauge, kind: Gauge}
  scope: Namespaced
  versions: [{name: v1, served: true, storage: true}]
---
{apiVersion: acme.io/v1, kind: Gauge, metadata: {name: tide}}
---
{apiVersion: acme.io/v1, kind: Widget, metadata: {name: w}}
";
        let objects = Objects::parse(text.as_bytes()).unwrap();
        assert_eq!(
            names(&objects, "gauges.acme.io", Some("default"), ""),
            ["tide"]
        );
        assert_eq!(objects.unknown().len(), 1, "{:?}", objects.unknown());
    }

    #[test]
    fn the_items_of_a_pod_list_need_not_say_what_they_are() {
        let text = r#"{"kind": "PodList", "apiVersion": "v1", "items": [
            {"metadata": {"name": "a", "namespace": "n", "labels": null}}
        ]}"#;
        let objects = Objects::parse(text.as_bytes()).unwrap();
        assert_eq!(names(&objects, "pods", Some("n"), ""), ["a"]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let error = Objects::parse(b"apiVersion: v1\nkind: [\n")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("line 3") || error.contains("line 2"),
            "{error}"
        );
        let error = Objects::parse(b"---\n{apiVersion: v1, kind: Pod}")
            .unwrap_err()
            .to_string();
        assert_eq!(error, "document 1: has no metadata.name");
    }
}
