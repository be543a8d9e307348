//! What an autoscaler reads and writes of a cluster: scale subresources, whole pods, metrics.

use std::collections::BTreeMap;

use hyper::Method;
use serde_json::{Value, json};
use tidegauge::selector::Selector;

use super::answers::refusal;
use super::{ApiServer, Call};

/// What there is.
#[derive(Default)]
pub(super) struct Workloads {
    /// By the path of the object.
    scales: BTreeMap<String, Scale>,
    /// Refusals of the next changes, because somebody was faster.
    conflicts: usize,
    /// What whoever was faster has set the replicas to.
    overtaken: Option<i32>,
    /// By namespace.
    pods: BTreeMap<String, Vec<Value>>,
    /// Answers at paths of metrics APIs.
    metrics: BTreeMap<String, Value>,
}

struct Scale {
    replicas: i32,
    selector: String,
    version: u64,
}

impl Workloads {
    /// The answer to a call that is about one of these.
    pub(super) fn answer(&mut self, call: &Call) -> Option<(u16, Value)> {
        if let Some(metrics) = self.metrics.get(&call.path) {
            return Some((200, metrics.clone()));
        }
        if let Some(path) = call.path.strip_suffix("/scale") {
            return Some(self.scale(path, call));
        }
        let namespace = call.path.strip_prefix("/api/v1/namespaces/")?;
        let pods = self.pods.get(namespace.strip_suffix("/pods")?)?;
        let is_whole = !call.accept.contains("PartialObjectMetadata");
        is_whole.then(|| list(pods, call))
    }

    fn scale(&mut self, path: &str, call: &Call) -> (u16, Value) {
        let Some(scale) = self.scales.get_mut(path) else {
            let name = path.rsplit('/').next().unwrap_or_default();
            return refusal(404, &format!("deployments.apps \"{name}\" not found"));
        };
        if call.method == Method::PUT {
            if self.conflicts > 0 {
                self.conflicts -= 1;
                scale.version += 1;
                scale.replicas = self.overtaken.unwrap_or(scale.replicas);
            }
            let named = &call.body["metadata"]["resourceVersion"];
            if *named != json!(scale.version.to_string()) {
                return refusal(
                    409,
                    "the object has been modified; please apply your changes",
                );
            }
            let replicas = call.body["spec"]["replicas"].as_i64().unwrap_or(0);
            scale.replicas = i32::try_from(replicas).expect("replicas must be an i32");
            scale.version += 1;
        }
        (200, scale.object(path))
    }
}

impl Scale {
    /// As `autoscaling/v1`; Go leaves a zero out.
    fn object(&self, path: &str) -> Value {
        let mut parts = path.rsplit('/');
        let name = parts.next().unwrap_or_default();
        let namespace = parts.nth(1).unwrap_or_default();
        let metadata = json!({"name": name, "namespace": namespace,
            "resourceVersion": self.version.to_string()});
        let spec = match self.replicas {
            0 => json!({}),
            replicas => json!({"replicas": replicas}),
        };
        let status = json!({"replicas": self.replicas, "selector": self.selector});
        json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata,
            "spec": spec, "status": status})
    }
}

/// A `PodList`, in pages.
fn list(pods: &[Value], call: &Call) -> (u16, Value) {
    let selector = call.parameter("labelSelector").unwrap_or_default();
    let selector = Selector::parse(selector).expect("a valid selector must come");
    let labels = |pod: &Value| {
        serde_json::from_value::<BTreeMap<String, String>>(pod["metadata"]["labels"].clone())
    };
    let is_it = |pod: &&Value| labels(pod).is_ok_and(|labels| selector.matches(&labels));
    let found: Vec<Value> = pods.iter().filter(is_it).cloned().collect();
    let number = |name| call.parameter(name).and_then(|it| it.parse::<usize>().ok());
    let from = number("continue").unwrap_or(0);
    let until = from.saturating_add(number("limit").unwrap_or(usize::MAX));
    let until = until.min(found.len());
    let mut metadata = json!({"resourceVersion": "1"});
    if until < found.len() {
        metadata["continue"] = json!(until.to_string());
    }
    let items = &found[from..until];
    let list = json!({"kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": items});
    (200, list)
}

impl ApiServer {
    /// Has a workload, of which `path` is the object's: `/apis/apps/v1/…/deployments/web`.
    pub fn put_scale(&self, path: &str, replicas: i32, selector: &str) {
        let scale = Scale {
            replicas,
            selector: selector.to_owned(),
            version: 7,
        };
        let mut world = self.world();
        world.workloads.scales.insert(path.to_owned(), scale);
    }

    /// What it is set to now.
    pub fn replicas(&self, path: &str) -> i32 {
        self.world().workloads.scales[path].replicas
    }

    /// Refuses so many of the next changes of a scale, because somebody was faster, who set it to
    /// `replicas` if given.
    pub fn conflict_scale(&self, changes: usize, replicas: Option<i32>) {
        let workloads = &mut self.world().workloads;
        (workloads.conflicts, workloads.overtaken) = (changes, replicas);
    }

    /// Has just these whole pods in a namespace.
    pub fn put_pods(&self, namespace: &str, pods: Vec<Value>) {
        let mut world = self.world();
        world.workloads.pods.insert(namespace.to_owned(), pods);
    }

    /// Answers so at this path of a metrics API.
    pub fn put_metrics(&self, path: &str, answer: Value) {
        let mut world = self.world();
        world.workloads.metrics.insert(path.to_owned(), answer);
    }
}
