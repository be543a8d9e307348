//! What is asked of the metrics APIs for one metric.
//!
//! The paths are those that the controller's clients ask for (`metrics/client.go` over
//! `k8s.io/metrics/pkg/client`).

use std::collections::BTreeSet;

use k8s_openapi::api::autoscaling::v2::{
    CrossVersionObjectReference, MetricIdentifier, MetricSpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::go::quote;
use crate::selector::Selector;

use super::NoValues;
use super::answer::{Api, refused};

/// What stands for itself in an address.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Where a metric is asked for, and of which pods.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// That of the object, of its pods and of whatever a metric describes.
    pub namespace: &'a str,
    /// The selector of the target's pods.
    pub pods: &'a Selector,
    /// The version of `custom.metrics.k8s.io`: `v1beta2` or `v1beta1`.
    pub custom_version: &'a str,
}

/// The API that has a metric's values; `None` for a type of metric that does not exist.
pub fn api(metric: &MetricSpec) -> Option<Api> {
    match metric.type_.as_str() {
        "Resource" | "ContainerResource" => Some(Api::Resource),
        "Pods" | "Object" => Some(Api::Custom),
        "External" => Some(Api::External),
        _ => None,
    }
}

/// The path and query of the `GET` that has a metric's values.
///
/// `plural` names the resource of a group and a kind, such as `deployments.apps` for `apps` and
/// `Deployment`, or `services` for the core group, which is empty.
pub fn path(
    metric: &MetricSpec,
    place: &Place<'_>,
    plural: impl FnOnce(&str, &str) -> Option<String>,
) -> Result<String, NoValues> {
    let unknown = || {
        NoValues(format!(
            "nothing to ask for a metric of type {}",
            metric.type_
        ))
    };
    let namespace = escape(place.namespace);
    let pods = ("labelSelector", place.pods.to_string());
    match api(metric).ok_or_else(unknown)? {
        Api::Resource => {
            let path = format!("/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods");
            Ok(format!("{path}{}", query([pods])))
        }
        Api::External => {
            let metric = &metric.external.as_ref().ok_or_else(unknown)?.metric;
            // client-go takes the metric for a resource, whose name it writes in small letters.
            let name = escape(&metric.name.to_lowercase());
            let path =
                format!("/apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace}/{name}");
            let labels = ("labelSelector", labels(Api::External, metric)?);
            Ok(format!("{path}{}", query([labels])))
        }
        Api::Custom => {
            let version = escape(place.custom_version);
            let base = format!("/apis/custom.metrics.k8s.io/{version}/namespaces/{namespace}");
            let labels = |metric| Ok(("metricLabelSelector", labels(Api::Custom, metric)?));
            if metric.type_ == "Pods" {
                let metric = &metric.pods.as_ref().ok_or_else(unknown)?.metric;
                let query = query([pods, labels(metric)?]);
                return Ok(format!("{base}/pods/%2A/{}{query}", escape(&metric.name)));
            }
            let source = metric.object.as_ref().ok_or_else(unknown)?;
            let query = query([labels(&source.metric)?]);
            let object = object(&source.described_object, plural)?;
            Ok(format!(
                "{base}/{object}/{}{query}",
                escape(&source.metric.name)
            ))
        }
    }
}

/// Where an object stands below its namespace. Of a Namespace that is the namespace itself,
/// whatever its name is.
fn object(
    object: &CrossVersionObjectReference,
    plural: impl FnOnce(&str, &str) -> Option<String>,
) -> Result<String, NoValues> {
    let version = object.api_version.as_deref().unwrap_or_default();
    let group = version.split_once('/').map_or("", |(group, _)| group);
    let kind = object.kind.as_str();
    if (group, kind) == ("", "Namespace") {
        return Ok("metrics".to_owned());
    }
    let resource = plural(group, kind).ok_or_else(|| {
        let (kind, group) = (quote(kind), quote(group));
        let why = format!("unable to map kind to resource: no kind {kind} in group {group}");
        refused(Api::Custom, &why)
    })?;
    Ok(format!("{}/{}", escape(&resource), escape(&object.name)))
}

/// The selector of a metric as text (`metav1.LabelSelectorAsSelector`); none is empty.
fn labels(api: Api, metric: &MetricIdentifier) -> Result<String, NoValues> {
    let selector = metric.selector.as_ref();
    let text = selector.map_or(Ok(String::new()), text_of);
    text.map_err(|why| refused(api, &why))
}

fn text_of(selector: &LabelSelector) -> Result<String, String> {
    selector_of(selector).map(|it| it.to_string())
}

/// A selector as it stands in an object (`metav1.LabelSelectorAsSelector`); or why it is none.
pub fn selector_of(selector: &LabelSelector) -> Result<Selector, String> {
    let equal = selector.match_labels.iter().flatten();
    let equal = equal.map(|(key, value)| one(key, format!("{key}={value}"), &[value]));
    let expressions = selector.match_expressions.iter().flatten().map(|it| {
        let key = &it.key;
        let values = it.values.as_deref().unwrap_or_default();
        let list = values.join(",");
        let text = match it.operator.as_str() {
            "In" => format!("{key} in ({list})"),
            "NotIn" => format!("{key} notin ({list})"),
            "Exists" => key.clone(),
            "DoesNotExist" => format!("!{key}"),
            other => {
                let other = quote(other);
                return Err(format!("{other} is not a valid label selector operator"));
            }
        };
        one(key, text, &values.iter().collect::<Vec<_>>())
    });
    let texts = equal.chain(expressions).collect::<Result<Vec<_>, _>>()?;
    Selector::parse(&texts.join(",")).map_err(|error| error.to_string())
}

/// A text that is one requirement on `key` with just these `values`: nothing in them may be read
/// as another requirement.
fn one(key: &str, text: String, values: &[&String]) -> Result<String, String> {
    let parsed = Selector::parse(&text).map_err(|error| error.to_string())?;
    let values: BTreeSet<&String> = values.iter().copied().collect();
    let is_meant = match parsed.requirements() {
        [only] => only.key == key && only.values.iter().eq(values),
        _ => false,
    };
    if is_meant {
        Ok(text)
    } else {
        Err(format!("{} is no label selector", quote(&text)))
    }
}

fn escape(segment: &str) -> String {
    utf8_percent_encode(segment, ESCAPED).to_string()
}

/// `?KEY=VALUE&…` of those that are not empty, as Go's `url.Values` writes them.
fn query<const N: usize>(pairs: [(&str, String); N]) -> String {
    let pairs = pairs.into_iter().filter(|(_, value)| !value.is_empty());
    let pairs = pairs.map(|(key, value)| format!("{key}={}", escape(&value).replace("%20", "+")));
    let pairs: Vec<String> = pairs.collect();
    match pairs.is_empty() {
        true => String::new(),
        false => format!("?{}", pairs.join("&")),
    }
}
