//! Which pods count, and what they ask for.
//!
//! `replica_calculator.go`: `groupPods`, `getReadyPodsCount`, `calculateRequests`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod, PodCondition};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::numbers::milli;
use super::{PodValue, Settings};

/// Go's zero time: what a time is there that was never set.
pub(super) const NEVER: Timestamp = Timestamp::constant(-62_135_596_800, 0);

/// Requests by the name of the resource.
type Requests = BTreeMap<String, Quantity>;

/// The pods of one metric.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Groups<'a> {
    /// How many count with their value.
    pub(super) ready: usize,
    /// Pending, or their processor time is that of starting up.
    pub(super) unready: BTreeSet<&'a str>,
    /// Without a value.
    pub(super) missing: BTreeSet<&'a str>,
    /// Failed, or going away.
    pub(super) ignored: BTreeSet<&'a str>,
}

/// `groupPods`. `resource` is empty for a metric that is none.
pub(super) fn group<'a>(
    pods: &[&'a Pod],
    values: &BTreeMap<String, PodValue>,
    resource: &str,
    now: Timestamp,
    settings: &Settings,
) -> Groups<'a> {
    let mut groups = Groups::default();
    for pod in pods {
        let name = name(pod);
        if pod.metadata.deletion_timestamp.is_some() || phase(pod) == "Failed" {
            groups.ignored.insert(name);
        } else if phase(pod) == "Pending" {
            groups.unready.insert(name);
        } else if let Some(value) = values.get(name) {
            if resource == "cpu" && is_starting(pod, value, now, settings) {
                groups.unready.insert(name);
            } else {
                groups.ready += 1;
            }
        } else {
            groups.missing.insert(name);
        }
    }
    groups
}

/// Whether the processor time of a pod is not yet that of its work.
fn is_starting(pod: &Pod, value: &PodValue, now: Timestamp, settings: &Settings) -> bool {
    let start = pod.status.as_ref().and_then(|it| it.start_time.as_ref());
    let (Some(ready), Some(start)) = (ready(pod), start) else {
        return true;
    };
    let is_false = ready.status == "False";
    let changed = ready.last_transition_time.as_ref();
    let changed = changed.map_or(NEVER, |it| it.0);
    if now.duration_since(start.0) < settings.cpu_initialization_period {
        // The value must be of one whole window since the pod became ready.
        is_false || value.timestamp.duration_since(changed) < value.window
    } else {
        // It has never been ready.
        is_false && changed.duration_since(start.0) < settings.initial_readiness_delay
    }
}

/// `getReadyPodsCount`: how many run and are ready.
pub(super) fn ready_count(pods: &[&Pod]) -> usize {
    let is_ready =
        |pod: &&&Pod| phase(pod) == "Running" && ready(pod).is_some_and(|it| it.status == "True");
    pods.iter().filter(is_ready).count()
}

/// The name of a pod, empty if it has none.
pub(super) fn name(pod: &Pod) -> &str {
    pod.metadata.name.as_deref().unwrap_or_default()
}

fn phase(pod: &Pod) -> &str {
    let status = pod.status.as_ref();
    let phase = status.and_then(|it| it.phase.as_deref());
    phase.unwrap_or_default()
}

fn ready(pod: &Pod) -> Option<&PodCondition> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|it| it.type_ == "Ready")
}

/// `calculateRequests`: what each pod asks for of a resource, in thousandths. A pod that asks for
/// nothing makes all of it an error, since no share of nothing can be told.
pub(super) fn requests<'a>(
    pods: &[&'a Pod],
    container: Option<&str>,
    resource: &str,
) -> Result<BTreeMap<&'a str, i64>, String> {
    let request = |pod: &'a Pod| {
        let request = match pod_level(pod) {
            // A named container comes before what is asked for the whole pod.
            Some(requests) if container.is_none() => of_pod(pod, requests, resource),
            _ => of_containers(pod, container, resource),
        };
        Ok((name(pod), request?))
    };
    pods.iter().map(|pod| request(pod)).collect()
}

/// `calculatePodRequestsFromContainers`
fn of_containers(pod: &Pod, wanted: Option<&str>, resource: &str) -> Result<i64, String> {
    let pod_name = name(pod);
    let spec = pod.spec.as_ref();
    let containers = spec.map(|it| it.containers.as_slice()).unwrap_or_default();
    let sidecars = init_containers(pod).filter(|it| is_sidecar(it));
    let mut sum = 0_i64;
    for container in containers.iter().chain(sidecars) {
        if wanted.is_some_and(|it| it != container.name) {
            continue;
        }
        let request = of_container(pod, container, resource)?.ok_or_else(|| {
            let container = &container.name;
            format!("missing request for {resource} in container {container} of Pod {pod_name}")
        })?;
        sum = sum.saturating_add(request);
        if wanted.is_some() {
            return Ok(sum);
        }
    }
    match wanted {
        Some(wanted) => Err(format!("container {wanted} not found in Pod {pod_name}")),
        None => Ok(sum),
    }
}

/// `calculatePodLevelRequests`, which is `PodRequests` of `component-helpers/resource`: what the
/// pod asks for itself, else the most that its containers need at once; and its overhead.
fn of_pod(pod: &Pod, own: &Requests, resource: &str) -> Result<i64, String> {
    let request = match own.get(resource).filter(|_| is_pod_level(resource)) {
        Some(quantity) => Some(thousandths(pod, quantity, resource)?),
        None => needed_at_once(pod, resource)?,
    };
    let overhead = pod.spec.as_ref().and_then(|it| it.overhead.as_ref());
    let overhead = match overhead.and_then(|it| it.get(resource)) {
        Some(quantity) => Some(thousandths(pod, quantity, resource)?),
        None => None,
    };
    let parts: Vec<i64> = request.into_iter().chain(overhead).collect();
    if parts.is_empty() {
        let pod = name(pod);
        return Err(format!(
            "missing pod-level request for {resource} in Pod {pod}"
        ));
    }
    Ok(parts.into_iter().fold(0, i64::saturating_add))
}

/// `AggregateContainerRequests`: sidecars run from their place in the list of init containers on.
fn needed_at_once(pod: &Pod, resource: &str) -> Result<Option<i64>, String> {
    let mut is_known = false;
    let mut request = |container: &Container| {
        let request = of_container(pod, container, resource)?;
        is_known |= request.is_some();
        Ok::<i64, String>(request.unwrap_or(0))
    };
    let mut running = 0_i64;
    for container in pod.spec.iter().flat_map(|it| &it.containers) {
        running = running.saturating_add(request(container)?);
    }
    let (mut sidecars, mut most) = (0_i64, 0_i64);
    for container in init_containers(pod) {
        let own = request(container)?;
        if is_sidecar(container) {
            sidecars = sidecars.saturating_add(own);
            most = most.max(sidecars);
        } else {
            most = most.max(sidecars.saturating_add(own));
        }
    }
    let most = most.max(running.saturating_add(sidecars));
    Ok(is_known.then_some(most))
}

fn init_containers(pod: &Pod) -> impl Iterator<Item = &Container> {
    let spec = pod.spec.iter();
    spec.flat_map(|it| it.init_containers.iter().flatten())
}

fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

fn of_container(pod: &Pod, container: &Container, resource: &str) -> Result<Option<i64>, String> {
    let requests = container.resources.as_ref();
    let requests = requests.and_then(|it| it.requests.as_ref());
    let quantity = requests.and_then(|it| it.get(resource));
    quantity
        .map(|it| thousandths(pod, it, resource))
        .transpose()
}

/// What is asked for the whole pod, if anything is (`IsPodLevelRequestsSet`).
fn pod_level(pod: &Pod) -> Option<&Requests> {
    let requests = pod.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?;
    let is_set = requests.keys().any(|resource| is_pod_level(resource));
    is_set.then_some(requests)
}

/// `IsSupportedPodLevelResource`
fn is_pod_level(resource: &str) -> bool {
    matches!(resource, "cpu" | "memory") || resource.starts_with("hugepages-")
}

fn thousandths(pod: &Pod, quantity: &Quantity, resource: &str) -> Result<i64, String> {
    milli(quantity).map_err(|error| {
        let (pod, text) = (name(pod), &quantity.0);
        format!("the request {text} for {resource} of Pod {pod} is no quantity: {error}")
    })
}
