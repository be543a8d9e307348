//! `metrics.k8s.io`: CPU and memory of pods and nodes, as `kubectl top` and an HPA on `Resource`
//! read them.
//!
//! Two queries per namespace, or two for all nodes, leave at the same time. One that fails fails
//! the ask: a list from which objects are missing is a wrong answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::route::{ApiGroup, GroupVersion, ListQuery, ResourceAsk, UsageOf};
use super::status::Failure;
use super::wire::Form;
use super::wire::resource::{Item, Measured};
use super::{Api, Body, Deadline};
use crate::kinds::GroupResource;
use crate::kubernetes::Object;
use crate::plan::resource::{PodUsage, Samples, node_usage, nodes_query, pod_usage, pods_query};
use crate::plan::{self, Found};
use crate::prometheus;
use crate::registry::{ResourceMetric, ResourceMetrics, Snapshot};
use crate::selector::Selector;

/// Namespaces asked about at one time in a list of all pods. (Go has no limit.)
const NAMESPACES_AT_ONCE: usize = 8;

/// The samples of CPU and of memory.
type Both = (Samples, Samples);

/// Answers one ask: objects, queries, usage.
pub(super) async fn answer(
    api: &Api,
    snapshot: &Snapshot,
    ask: &ResourceAsk,
    form: Form,
    deadline: Deadline,
) -> Result<Body, Failure> {
    let rules = snapshot.resource().ok_or_else(Failure::no_such_route)?;
    let asked = Asked {
        api,
        snapshot,
        rules,
        version: ask.version,
        deadline,
    };
    match &ask.objects {
        UsageOf::Nodes(list) => asked.nodes(list, form).await,
        UsageOf::Node { name } => asked.node(name, form).await,
        UsageOf::Pods { namespace, list } => asked.pods(namespace.as_deref(), list, form).await,
        UsageOf::Pod { namespace, name } => asked.pod(namespace, name, form).await,
    }
}

/// What each step of an ask needs.
struct Asked<'a> {
    api: &'a Api,
    snapshot: &'a Snapshot,
    rules: &'a ResourceMetrics,
    version: GroupVersion,
    deadline: Deadline,
}

impl Asked<'_> {
    async fn nodes(&self, list: &ListQuery, form: Form) -> Result<Body, Failure> {
        let selector = checked(list)?;
        let mut nodes = self.objects("nodes", None, &selector, None).await?;
        nodes.retain(|node| list.selects("", &node.name));
        let usages = if nodes.is_empty() {
            Vec::new()
        } else {
            let (cpu, memory) = self.node_samples(&names(&nodes)).await?;
            let usage = |node: &Arc<Object>| value(node_usage(&cpu, &memory, &node.name));
            nodes
                .iter()
                .filter_map(|node| Some((node, usage(node)?)))
                .collect()
        };
        let measured = self.measured();
        let items = usages
            .iter()
            .map(|(node, usage)| measured.node(node, usage))
            .collect();
        Body::json(measured.list("NodeMetricsList", items, form))
    }

    async fn node(&self, name: &str, form: Form) -> Result<Body, Failure> {
        let node = self
            .objects("nodes", None, &Selector::default(), Some(name))
            .await?;
        let node = node
            .first()
            .ok_or_else(|| Failure::no_such_object("node", name))?;
        let (cpu, memory) = self.node_samples(&[name.to_owned()]).await?;
        let usage = by_name("nodemetrics", name, node_usage(&cpu, &memory, name))?;
        let measured = self.measured();
        Body::json(measured.alone(measured.node(node, &usage), form))
    }

    async fn pods(
        &self,
        namespace: Option<&str>,
        list: &ListQuery,
        form: Form,
    ) -> Result<Body, Failure> {
        let selector = checked(list)?;
        let mut pods = self.objects("pods", namespace, &selector, None).await?;
        pods.retain(|pod| list.selects(&pod.namespace, &pod.name));
        let mut by_namespace: BTreeMap<String, Vec<Arc<Object>>> = BTreeMap::new();
        for pod in pods {
            by_namespace
                .entry(pod.namespace.to_string())
                .or_default()
                .push(pod);
        }
        let usages: Vec<Vec<(Arc<Object>, PodUsage)>> = stream::iter(by_namespace)
            .map(|(namespace, pods)| self.pods_of(namespace, pods))
            .buffered(NAMESPACES_AT_ONCE)
            .try_collect()
            .await?;
        let measured = self.measured();
        let items: Vec<Item<'_>> = usages
            .iter()
            .flatten()
            .map(|(pod, usage)| measured.pod(pod, usage))
            .collect();
        Body::json(measured.list("PodMetricsList", items, form))
    }

    async fn pod(&self, namespace: &str, name: &str, form: Form) -> Result<Body, Failure> {
        let pod = self
            .objects("pods", Some(namespace), &Selector::default(), Some(name))
            .await?;
        let pod = pod
            .first()
            .ok_or_else(|| Failure::no_such_object("pods", name))?;
        let (cpu, memory) = self.pod_samples(namespace, &[name.to_owned()]).await?;
        let usage = pod_usage(&cpu, &memory, name);
        let usage = by_name("podmetrics", &format!("{namespace}/{name}"), usage)?;
        let measured = self.measured();
        Body::json(measured.alone(measured.pod(pod, &usage), form))
    }

    /// Those of the pods of one namespace that have usage.
    async fn pods_of(
        &self,
        namespace: String,
        pods: Vec<Arc<Object>>,
    ) -> Result<Vec<(Arc<Object>, PodUsage)>, Failure> {
        let (cpu, memory) = self.pod_samples(&namespace, &names(&pods)).await?;
        let usage = |pod: &Object| value(pod_usage(&cpu, &memory, &pod.name));
        Ok(pods
            .into_iter()
            .filter_map(|pod| usage(&pod).map(|usage| (pod, usage)))
            .collect())
    }

    async fn pod_samples(&self, namespace: &str, names: &[String]) -> Result<Both, Failure> {
        let samples = async |metric: &ResourceMetric| {
            let query = pods_query(metric, namespace, names);
            self.query(metric, query, Samples::of_pods(metric, names))
                .await
        };
        tokio::try_join!(samples(&self.rules.cpu), samples(&self.rules.memory))
    }

    async fn node_samples(&self, names: &[String]) -> Result<Both, Failure> {
        let samples = async |metric: &ResourceMetric| {
            let query = nodes_query(metric, names);
            self.query(metric, query, Samples::of_nodes(metric, names))
                .await
        };
        tokio::try_join!(samples(&self.rules.cpu), samples(&self.rules.memory))
    }

    async fn query(
        &self,
        metric: &ResourceMetric,
        query: Result<String, plan::Error>,
        samples: Samples,
    ) -> Result<Samples, Failure> {
        let query = query.map_err(|error| Failure::plan(&error))?;
        let origin = &metric.rule.origin;
        let answer = self
            .api
            .query(query, origin, samples, Samples::add, self.deadline)
            .await?;
        if answer.kind == prometheus::Kind::Scalar {
            let cause = "the query gives a scalar, which belongs to no object";
            return Err(Failure::internal("unable to fetch metrics", cause));
        }
        self.api.count_dropped(origin, answer.value.dropped());
        Ok(answer.value)
    }

    async fn objects(
        &self,
        resource: &str,
        namespace: Option<&str>,
        selector: &Selector,
        name: Option<&str>,
    ) -> Result<Vec<Arc<Object>>, Failure> {
        let kinds = self.snapshot.kinds();
        let kind = kinds.resource_for(&GroupResource::core(resource));
        let kind = kind.map_err(|cause| {
            Failure::internal("unable to list matching resources", &cause.to_string())
        })?;
        let kubernetes = &self.api.rooms.kubernetes;
        let objects = kubernetes.running(kind, namespace, selector, name).await;
        objects.map_err(|error| Failure::unlisted(&error))
    }

    fn measured(&self) -> Measured {
        Measured {
            api_version: self.version.name(),
            now: jiff::Timestamp::now(),
            window: self.rules.window,
        }
    }
}

/// The label selector of a list whose other options are sound.
fn checked(list: &ListQuery) -> Result<Selector, Failure> {
    let selector = Selector::parse(&list.label_selector);
    let selector = selector.map_err(|error| Failure::bad_request(error.to_string()))?;
    list.check().map_err(Failure::from)?;
    Ok(selector)
}

fn names(objects: &[Arc<Object>]) -> Vec<String> {
    objects
        .iter()
        .map(|object| object.name.to_string())
        .collect()
}

fn value<T>(found: Found<T>) -> Option<T> {
    match found {
        Found::Value(value) => Some(value),
        Found::Nothing | Found::NotANumber(_) => None,
    }
}

fn by_name<T>(kind: &str, name: &str, found: Found<T>) -> Result<T, Failure> {
    let group = ApiGroup::Resource.name();
    match found {
        Found::Value(value) => Ok(value),
        Found::Nothing => Err(Failure::no_usage(kind, group, name, None)),
        Found::NotANumber(sample) => Err(Failure::no_usage(kind, group, name, Some(sample))),
    }
}
