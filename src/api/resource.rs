//! `metrics.k8s.io`: CPU and memory of pods and nodes, as `kubectl top` and an HPA on `Resource`
//! read them.
//!
//! One query for CPU and one for memory leave at the same time, or where a rule's query cannot be
//! asked for all namespaces at once, one for each of them. One that fails fails the ask: a list
//! from which objects are missing is a wrong answer.

use std::collections::BTreeSet;
use std::iter;
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::cause::Cause;
use super::route::{ApiGroup, GroupVersion, ListQuery, ResourceAsk, UsageOf};
use super::rows::Wanted;
use super::status::Failure;
use super::wire::Form;
use super::wire::resource::{Item, Measured};
use super::{Api, Body, Deadline};
use crate::kinds::GroupResource;
use crate::kubernetes::Object;
use crate::plan::check_length;
use crate::plan::resource::{
    Missing, PodUsage, Pods, PodsQuery, Samples, Usage, node_usage, nodes_query, pod_usage,
    pods_query,
};
use crate::prometheus;
use crate::registry::separable::Scope;
use crate::registry::{ResourceMetric, ResourceMetrics, Snapshot};
use crate::samples::{Labels, Query, Rows};
use crate::selector::Selector;
use crate::widening::{Ask, Family, Place};

/// Namespaces asked about at one time where each is asked for on its own. (Go has no limit.)
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
    let asked = Asked::new(api, snapshot, rules, ask.version, deadline);
    match &ask.objects {
        UsageOf::Nodes(list) => asked.nodes(list, form).await,
        UsageOf::Node { name } => asked.node(name, form).await,
        UsageOf::Pods { namespace, list } => asked.pods(namespace.as_deref(), list, form).await,
        UsageOf::Pod { namespace, name } => asked.pod(namespace, name, form).await,
    }
}

/// What each step of an ask needs.
pub(super) struct Asked<'a> {
    api: &'a Api,
    snapshot: &'a Snapshot,
    rules: &'a ResourceMetrics,
    version: GroupVersion,
    deadline: Deadline,
}

impl<'a> Asked<'a> {
    pub(super) fn new(
        api: &'a Api,
        snapshot: &'a Snapshot,
        rules: &'a ResourceMetrics,
        version: GroupVersion,
        deadline: Deadline,
    ) -> Asked<'a> {
        Asked {
            api,
            snapshot,
            rules,
            version,
            deadline,
        }
    }

    /// The query of one of the two rules, whose rows are kept by these labels.
    fn wanted(&self, metric: &ResourceMetric, promql: String, labels: Vec<String>) -> Query {
        let wanted = Wanted::by_resource(self.snapshot, &metric.rule, promql, Labels::Keys(labels));
        self.api.query(wanted)
    }
}

impl Asked<'_> {
    async fn nodes(&self, list: &ListQuery, form: Form) -> Result<Body, Failure> {
        let selector = checked(list)?;
        let mut nodes = self.objects("nodes", None, &selector, None).await?;
        nodes.retain(|node| list.selects("", &node.name));
        let usages: Vec<(&Arc<Object>, Usage)> = if nodes.is_empty() {
            Vec::new()
        } else {
            let (cpu, memory) = self.node_samples(&names(&nodes)).await?;
            let usage = |node: &Arc<Object>| node_usage(&cpu, &memory, &node.name).ok();
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
        let summary = self.api.seen_usage(&usages, |(_, usage)| vec![usage]);
        Ok(measured.list("NodeMetricsList", items, form)?.seen(summary))
    }

    async fn node(&self, name: &str, form: Form) -> Result<Body, Failure> {
        let node = self
            .objects("nodes", None, &Selector::default(), Some(name))
            .await?;
        let node = node
            .first()
            .ok_or_else(|| Failure::no_such_object("node", name))?;
        let (cpu, memory) = self.node_samples(&[name.to_owned()]).await?;
        let usage = by_name("nodemetrics", name, node_usage(&cpu, &memory, &node.name))?;
        let measured = self.measured();
        let summary = self
            .api
            .seen_usage(std::slice::from_ref(&usage), |usage| vec![usage]);
        Ok(measured
            .alone(measured.node(node, &usage), form)?
            .seen(summary))
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
        let (cpu, memory) = self.pod_samples(&pods).await?;
        let usage = |pod: &Arc<Object>| pod_usage(&cpu, &memory, &pod.namespace, &pod.name).ok();
        let usages: Vec<(&Arc<Object>, PodUsage)> = pods
            .iter()
            .filter_map(|pod| Some((pod, usage(pod)?)))
            .collect();
        let measured = self.measured();
        let items: Vec<Item<'_>> = usages
            .iter()
            .map(|(pod, usage)| measured.pod(pod, usage))
            .collect();
        let summary = self
            .api
            .seen_usage(&usages, |(_, usage)| usage.values().collect());
        Ok(measured.list("PodMetricsList", items, form)?.seen(summary))
    }

    async fn pod(&self, namespace: &str, name: &str, form: Form) -> Result<Body, Failure> {
        let pods = self
            .objects("pods", Some(namespace), &Selector::default(), Some(name))
            .await?;
        let pod = pods
            .first()
            .ok_or_else(|| Failure::no_such_object("pods", name))?;
        let (cpu, memory) = self.pod_samples(&pods).await?;
        let usage = pod_usage(&cpu, &memory, &pod.namespace, &pod.name);
        let usage = by_name("podmetrics", &format!("{namespace}/{name}"), usage)?;
        let measured = self.measured();
        let alone = std::slice::from_ref(&usage);
        let summary = self.api.seen_usage(alone, |usage| usage.values().collect());
        Ok(measured
            .alone(measured.pod(pod, &usage), form)?
            .seen(summary))
    }

    async fn pod_samples(&self, pods: &[Arc<Object>]) -> Result<Both, Failure> {
        let mut asked = Pods::new();
        for pod in pods {
            let names = asked.entry(Arc::clone(&pod.namespace)).or_default();
            names.insert(Arc::clone(&pod.name));
        }
        let asked = Arc::new(asked);
        tokio::try_join!(
            self.containers(&self.rules.cpu, &asked),
            self.containers(&self.rules.memory, &asked)
        )
    }

    /// The samples of all containers of these pods, by one query or by one for each namespace.
    async fn containers(
        &self,
        metric: &ResourceMetric,
        pods: &Arc<Pods>,
    ) -> Result<Samples, Failure> {
        stream::iter(self.asks(metric, pods))
            .map(async |pods| {
                let (query, rows) = self.rows_of_pods(metric, &pods).await?;
                self.told(metric, Samples::of_pods(&rows, &query, &pods))
            })
            .buffered(NAMESPACES_AT_ONCE)
            .try_fold(Samples::default(), async |mut all, samples| {
                all.absorb(samples);
                Ok(all)
            })
            .await
    }

    /// What is asked for at once of these pods: all, or those of each namespace.
    pub(super) fn asks(&self, metric: &ResourceMetric, pods: &Arc<Pods>) -> Vec<Arc<Pods>> {
        let widening = &self.api.rooms.widening;
        let widest = widening.widest(metric.proven(), metric.rule.terms.widen);
        let mut asks = match widest {
            Scope::Cluster => vec![Arc::clone(pods)],
            Scope::Exact | Scope::Namespace => pods.iter().map(alone).collect(),
        };
        asks.retain(|pods| !pods.is_empty());
        asks
    }

    async fn node_samples(&self, names: &[String]) -> Result<Both, Failure> {
        let samples = async |metric: &ResourceMetric| {
            let wanted = self.plan_nodes(metric, names)?;
            let rows = self.rows_of_nodes(metric, wanted).await?;
            self.told(metric, Samples::of_nodes(&rows, names))
        };
        tokio::try_join!(samples(&self.rules.cpu), samples(&self.rules.memory))
    }

    /// The rows of one ask for `pods`, and their query.
    async fn rows_of_pods(
        &self,
        metric: &ResourceMetric,
        pods: &Pods,
    ) -> Result<(PodsQuery, Arc<Rows>), Failure> {
        let plan = |scope| self.plan_pods(metric, pods, scope);
        let holds = |scope, query: &PodsQuery, rows: &Rows| {
            scope == Scope::Exact || query.holds(rows, pods)
        };
        let alike = (&self.alike(metric, pods), &metric.rule.origin);
        self.api
            .rows_of_objects(alike, plan, holds, self.deadline)
            .await
    }

    /// The ask for `pods` as one of its kind.
    pub(super) fn alike<'p>(&'p self, metric: &'p ResourceMetric, pods: &'p Pods) -> Ask<'p> {
        let names = pods.iter().flat_map(|(namespace, names)| {
            let names = names.iter().map(AsRef::as_ref);
            iter::once(namespace.as_ref()).chain(names)
        });
        let mut namespaces = pods.keys();
        let place = match (namespaces.next(), namespaces.next()) {
            (Some(namespace), None) => Place::Namespace(namespace),
            _ => Place::Namespaces,
        };
        Ask {
            family: Family {
                backend: self.snapshot.backend(metric.rule.backend),
                rule: &metric.rule.identity,
                series: "",
                object: metric.labels.pod.as_deref().unwrap_or_default(),
                selector: "",
            },
            rule: &metric.rule.origin.rule,
            place,
            names: names.collect(),
            proven: metric.proven(),
            widen: metric.rule.terms.widen,
            ttl: self.api.policy(&metric.rule.terms).ttl,
        }
    }

    /// The query for `pods` of a scope.
    pub(super) fn plan_pods(
        &self,
        metric: &ResourceMetric,
        pods: &Pods,
        scope: Scope,
    ) -> Result<(PodsQuery, Query), Failure> {
        let query = pods_query(metric, scope, pods, self.api.asking.bytes_max);
        let query = query.map_err(|error| Failure::plan(&error))?;
        self.check_length(metric, &query.promql)?;
        let wanted = self.wanted(metric, query.promql.clone(), query.labels.clone());
        Ok((query, wanted))
    }

    /// The query for the nodes `names`.
    pub(super) fn plan_nodes(
        &self,
        metric: &ResourceMetric,
        names: &[String],
    ) -> Result<Query, Failure> {
        let query = nodes_query(metric, names).map_err(|error| Failure::plan(&error))?;
        self.check_length(metric, &query)?;
        let label = metric.labels.node.clone().unwrap_or_default();
        Ok(self.wanted(metric, query, vec![label]))
    }

    fn check_length(&self, metric: &ResourceMetric, promql: &str) -> Result<(), Failure> {
        let bytes_max = self.api.asking.bytes_max;
        check_length(&metric.rule.origin, promql, bytes_max).map_err(|error| Failure::plan(&error))
    }

    async fn rows_of_nodes(
        &self,
        metric: &ResourceMetric,
        wanted: Query,
    ) -> Result<Arc<Rows>, Failure> {
        let rows = self.api.rows(wanted, &metric.rule.origin, self.deadline);
        let rows = rows.await?;
        match rows.head().kind {
            prometheus::Kind::Scalar => Err(Failure::scalar()),
            prometheus::Kind::Vector => Ok(rows),
        }
    }

    /// These samples, if they can be told.
    fn told(&self, metric: &ResourceMetric, samples: Samples) -> Result<Samples, Failure> {
        let samples = told_apart(samples)?;
        let origin = &metric.rule.origin;
        let is_empty = samples.is_empty();
        self.api.count_dropped(origin, samples.dropped(), is_empty);
        Ok(samples)
    }

    pub(super) async fn objects(
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
        let mut objects = objects.map_err(|error| Failure::unlisted(&error))?;
        // The answer is in this order and about this name, whatever order lists come in.
        objects.retain(|object| name.is_none_or(|name| *object.name == *name));
        objects.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
        Ok(objects)
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
pub(super) fn checked(list: &ListQuery) -> Result<Selector, Failure> {
    let selector = Selector::parse(&list.label_selector);
    let selector = selector.map_err(|error| Failure::bad_request(error.to_string()))?;
    list.check().map_err(Failure::from)?;
    Ok(selector)
}

/// These samples, if each row says of which namespace it is.
pub(super) fn told_apart(samples: Samples) -> Result<Samples, Failure> {
    if samples.is_without_namespace() {
        let cause = "the query for all namespaces gives a row that does not name its own";
        let message = format!("unable to fetch metrics: {cause}");
        return Err(Failure::internal(&message, cause).caused(Cause::RowsWithoutLabel));
    }
    Ok(samples)
}

/// The pods of one namespace.
fn alone((namespace, names): (&Arc<str>, &BTreeSet<Arc<str>>)) -> Arc<Pods> {
    Arc::new(Pods::from([(Arc::clone(namespace), names.clone())]))
}

fn names(objects: &[Arc<Object>]) -> Vec<String> {
    objects
        .iter()
        .map(|object| object.name.to_string())
        .collect()
}

/// Of one object.
pub(super) fn by_name<T>(kind: &str, name: &str, found: Result<T, Missing>) -> Result<T, Failure> {
    let group = ApiGroup::Resource.name();
    found.map_err(|missing| Failure::no_usage(kind, group, name, &missing))
}
