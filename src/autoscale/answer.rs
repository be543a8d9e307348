//! What the metrics APIs answer, as the values of a metric.
//!
//! `metrics/client.go`, with its errors. Each function takes the JSON of a `200` answer; for any
//! other answer see [`refused`].

use std::collections::BTreeMap;

use jiff::SignedDuration;
use k8s_openapi::api::autoscaling::v2::MetricSpec;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::Deserialize;

use crate::go::duration::parse_go;

use super::numbers::milli;
use super::pods::NEVER;
use super::{NoValues, PodValue, Values};

/// The time a custom metric was measured in, unless it tells.
const WINDOW: SignedDuration = SignedDuration::from_secs(60);

/// One of the three metrics APIs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// `metrics.k8s.io`
    Resource,
    /// `custom.metrics.k8s.io`
    Custom,
    /// `external.metrics.k8s.io`
    External,
}

impl Api {
    fn name(self) -> &'static str {
        match self {
            Api::Resource => "resource",
            Api::Custom => "custom",
            Api::External => "external",
        }
    }

    fn is_empty(self) -> NoValues {
        let api = self.name();
        NoValues(format!("no metrics returned from {api} metrics API"))
    }
}

/// `PodMetricsList`. Go writes `null` for a list or a map that is empty.
#[derive(Deserialize)]
struct PodMetricsList {
    items: Option<Vec<PodMetrics>>,
}

#[derive(Deserialize)]
struct PodMetrics {
    metadata: Named,
    timestamp: Option<Time>,
    #[serde(default)]
    window: String,
    containers: Option<Vec<ContainerMetrics>>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct ContainerMetrics {
    #[serde(default)]
    name: String,
    usage: Option<BTreeMap<String, Quantity>>,
}

/// `MetricValueList`, of v1beta1 and v1beta2.
#[derive(Deserialize)]
struct MetricValueList {
    items: Option<Vec<MetricValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MetricValue {
    described_object: Named,
    timestamp: Option<Time>,
    window_seconds: Option<i64>,
    value: Quantity,
}

/// `ExternalMetricValueList`
#[derive(Deserialize)]
struct ExternalMetricValueList {
    items: Option<Vec<ExternalMetricValue>>,
}

#[derive(Deserialize)]
struct ExternalMetricValue {
    value: Quantity,
}

/// Why there are no values when the API refused, or could not be reached: `why` is the message of
/// its `Status`.
pub fn refused(api: Api, why: &str) -> NoValues {
    let api = api.name();
    NoValues(format!(
        "unable to fetch metrics from {api} metrics API: {why}"
    ))
}

/// The values of a metric, from the answer to its [`path`](super::request::path).
pub fn values(metric: &MetricSpec, body: &[u8]) -> Result<Values, NoValues> {
    let kind = metric.type_.as_str();
    match (kind, &metric.resource, &metric.container_resource) {
        ("Resource", Some(source), _) => resource(body, &source.name, None),
        ("ContainerResource", _, Some(source)) => {
            resource(body, &source.name, Some(&source.container))
        }
        ("Pods", ..) => pods(body),
        ("Object", ..) => object(body),
        ("External", ..) => external(body),
        _ => Err(NoValues(format!(
            "nothing to read for a metric of type {kind}"
        ))),
    }
}

/// What pods use of a resource: that of one container, or of all together. A pod with a container
/// that does not tell has no value (`GetResourceMetric`).
pub fn resource(body: &[u8], resource: &str, container: Option<&str>) -> Result<Values, NoValues> {
    let list: PodMetricsList = parse(Api::Resource, body)?;
    let items = list.items.filter(|items| !items.is_empty());
    let mut values = BTreeMap::new();
    for pod in items.ok_or_else(|| Api::Resource.is_empty())? {
        let usage = |it: &ContainerMetrics| {
            let usage = it.usage.as_ref().and_then(|it| it.get(resource));
            usage.map(|it| thousandths(Api::Resource, it)).transpose()
        };
        let containers = pod.containers.iter().flatten();
        let wanted = containers.filter(|it| container.is_none_or(|wanted| wanted == it.name));
        let used = wanted.map(usage).collect::<Result<Option<Vec<i64>>, _>>()?;
        let Some(used) = used.filter(|used| !used.is_empty()) else {
            continue;
        };
        let window = match pod.window.as_str() {
            "" => SignedDuration::ZERO,
            text => parse_go(text).map_err(|error| refused(Api::Resource, &error.to_string()))?,
        };
        let value = PodValue {
            value: used.into_iter().fold(0, i64::saturating_add),
            timestamp: pod.timestamp.map_or(NEVER, |it| it.0),
            window,
        };
        values.insert(pod.metadata.name, value);
    }
    Ok(Values::Pods(values))
}

/// A custom metric of pods (`GetRawMetric`).
pub fn pods(body: &[u8]) -> Result<Values, NoValues> {
    let list: MetricValueList = parse(Api::Custom, body)?;
    let items = list.items.filter(|items| !items.is_empty());
    let items = items.ok_or_else(|| Api::Custom.is_empty())?;
    let values = items.into_iter().map(|item| {
        let value = PodValue {
            value: thousandths(Api::Custom, &item.value)?,
            timestamp: item.timestamp.map_or(NEVER, |it| it.0),
            window: item
                .window_seconds
                .map_or(WINDOW, SignedDuration::from_secs),
        };
        Ok((item.described_object.name, value))
    });
    values.collect::<Result<_, _>>().map(Values::Pods)
}

/// A custom metric of one object (`GetObjectMetric`).
pub fn object(body: &[u8]) -> Result<Values, NoValues> {
    let list: MetricValueList = parse(Api::Custom, body)?;
    match list.items.as_deref().unwrap_or_default() {
        [item] => thousandths(Api::Custom, &item.value).map(Values::Object),
        items => {
            let count = items.len();
            let why = format!(
                "the custom metrics API server returned {count} results when we asked for exactly \
                 one"
            );
            Err(refused(Api::Custom, &why))
        }
    }
}

/// An external metric (`GetExternalMetric`).
pub fn external(body: &[u8]) -> Result<Values, NoValues> {
    let list: ExternalMetricValueList = parse(Api::External, body)?;
    let items = list.items.filter(|items| !items.is_empty());
    let items = items.ok_or_else(|| Api::External.is_empty())?;
    let values = items
        .iter()
        .map(|item| thousandths(Api::External, &item.value));
    values.collect::<Result<_, _>>().map(Values::External)
}

fn parse<'a, T: Deserialize<'a>>(api: Api, body: &'a [u8]) -> Result<T, NoValues> {
    serde_json::from_slice(body).map_err(|error| {
        refused(
            api,
            &format!("the answer is not what it should be: {error}"),
        )
    })
}

fn thousandths(api: Api, quantity: &Quantity) -> Result<i64, NoValues> {
    milli(quantity).map_err(|error| {
        let text = &quantity.0;
        refused(api, &format!("the value {text} is no quantity: {error}"))
    })
}
