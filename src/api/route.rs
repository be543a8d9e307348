//! Method, path and query string → what is asked. Pure and total: every request gets a
//! [`Parsed`], a request that cannot be served gets a [`Route`] that says why.
//!
//! Promises: the paths, and the answer to each wrong one, are those of the Go adapter: its requests
//! pass `k8s.io/apiserver` (`endpoints/request/requestinfo.go` decides what authorization is asked
//! about), go-restful (which path and method exists) and `custom-metrics-apiserver` (what the path
//! means). The same three steps are visible here: [`Attributes`], `route`, and the asks.
//!
//! The order of errors is Go's too, so parts of a request are judged at different times:
//! 1. [`Parsed::timeout`], before anybody asks who the caller is;
//! 2. authentication, then authorization with [`Parsed::attributes`];
//! 3. [`Route::Refused`] (no such path, no such method, unreadable numbers);
//! 4. the label selector's text (the caller parses it), then [`ListQuery::check`], then, for custom
//!    metrics, the metric label selector's text.

mod attributes;
mod fields;
mod group;
mod paths;
mod query;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use group::{ApiGroup, GroupVersion};
use paths::{route, segments, undecodable};
use query::Query;

use crate::auth::Attributes;
use crate::go::boolean::parse_bool;

/// One request, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// What is asked for, or why it cannot be.
    pub route: Route,
    /// What authorization is asked about.
    pub attributes: Attributes,
    /// `?timeout=`: the caller's own deadline, always above zero. `None`: not given, or "no limit"
    /// (`0s`, negative), which means ours. An error is answered before authentication.
    pub timeout: Result<Option<Duration>, Refusal>,
    /// `?pretty=`; `None`: not given, so the user agent decides.
    pub pretty: Option<bool>,
    /// `?includeObject=`, unread: what comes with the rows of a table. Empty: not given.
    pub include_object: String,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// `custom.metrics.k8s.io`: a metric of objects.
    Custom(CustomAsk),
    /// `external.metrics.k8s.io`: a metric of nothing in the cluster.
    External(ExternalAsk),
    /// `metrics.k8s.io`: CPU and memory of nodes or pods.
    Resource(ResourceAsk),
    /// `/apis` and below, without a resource.
    Discovery(Discovery),
    /// `/healthz`, `/livez`, `/readyz` and their checks.
    Health(Health),
    /// `/version`.
    Version,
    /// `/metrics`: our own metrics.
    Metrics,
    /// `/openapi/v2`.
    OpenApiV2,
    /// `/openapi/v3/DOCUMENT`, such as `apis/custom.metrics.k8s.io/v1beta2`; empty for the index.
    OpenApiV3 {
        /// The path below `/openapi/v3/`.
        document: String,
        /// `?hash=`: which state of the document the client has seen in the index.
        hash: Option<String>,
    },
    /// `/explain?path=`: why the answer to this path and query is what it is.
    Explain(String),
    /// `/` and `/index.html`: the list of paths.
    Index,
    /// Anything else: the list of paths too, but 404.
    Unknown,
    /// A path below a place of ours that cannot be served.
    Refused {
        /// The group it stands in; where that is not installed, the path is [`Route::Unknown`].
        group: Option<ApiGroup>,
        /// Why.
        refusal: Refusal,
    },
}

/// A metric of objects. `/{resource}/{name}/{metric}`, with or without a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomAsk {
    /// `v1beta1` or `v1beta2`: the shape of the answer.
    pub version: GroupVersion,
    /// The namespace; `None` for cluster-scoped objects and for metrics of namespaces themselves.
    pub namespace: Option<String>,
    /// The resource as the client wrote it: `pods`, `Pods`, `pod`, `deployments.apps`. Errors
    /// repeat it so.
    pub resource: String,
    /// Which objects.
    pub objects: Objects,
    /// The metric.
    pub metric: String,
    /// Options of the list.
    pub list: ListQuery,
    /// `metricLabelSelector=`, unparsed; empty: everything.
    pub metric_label_selector: String,
}

/// Which objects a custom metric is asked of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Objects {
    /// This one.
    Named(String),
    /// `*`: those that the label selector selects.
    Selected,
}

/// An external metric: `/namespaces/{namespace}/{metric}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalAsk {
    /// The namespace in the path.
    pub namespace: String,
    /// The metric.
    pub metric: String,
    /// Options of the list; its label selector selects series here.
    pub list: ListQuery,
}

/// CPU and memory of nodes or pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceAsk {
    /// `v1` or `v1beta1`: what the answer says of itself. Its shape is the same.
    pub version: GroupVersion,
    /// Of which nodes or pods.
    pub objects: UsageOf,
}

/// Which nodes or pods are asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsageOf {
    /// `/nodes`
    Nodes(ListQuery),
    /// `/nodes/{name}`
    Node {
        /// The node.
        name: String,
    },
    /// `/pods` and `/namespaces/{namespace}/pods`
    Pods {
        /// `None`: all namespaces.
        namespace: Option<String>,
        /// Options of the list.
        list: ListQuery,
    },
    /// `/namespaces/{namespace}/pods/{name}`
    Pod {
        /// The pod's namespace.
        namespace: String,
        /// The pod.
        name: String,
    },
}

/// `ListOptions` of a request, as far as they mean anything here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListQuery {
    /// `labelSelector=`, unparsed; empty: everything.
    pub label_selector: String,
    field_selector: String,
    /// The name that authorization sees; a field selector may only repeat it.
    name: Option<String>,
    /// Set where `watch=` was asked of a resource that refuses it.
    watch: Option<WatchRefused>,
}

/// The resource that a refused watch names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchRefused {
    /// API group.
    pub group: ApiGroup,
    /// `pods`, `nodes`, or `*` for external metrics.
    pub resource: &'static str,
}

/// Documents that describe the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discovery {
    /// `/apis`
    Groups,
    /// `/apis/GROUP`
    Group(ApiGroup),
    /// `/apis/GROUP/VERSION`
    Resources(GroupVersion),
}

/// A question about our health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Which set of checks.
    pub probe: Probe,
    /// One check only: `/readyz/NAME`. A name that does not exist is an unknown path.
    pub check: Option<String>,
    /// `?verbose`: list the checks.
    pub verbose: bool,
    /// `?exclude=NAME`, repeatable.
    pub exclude: Vec<String>,
}

/// The three sets of checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// `/healthz`, older than the other two
    Healthz,
    /// `/livez`: restart me if this fails
    Livez,
    /// `/readyz`: send me requests while this holds
    Readyz,
}

/// Why a request is not served. `Display` is the message of the `metav1.Status`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// 400 `BadRequest`.
    #[error("{0}")]
    BadRequest(String),
    /// 404 `NotFound`, with empty `details`.
    #[error("the server could not find the requested resource")]
    NotFound,
    /// 405 `MethodNotAllowed`, with empty `details`.
    #[error("the server does not allow this method on the requested resource")]
    MethodNotAllowed,
    /// 405 `MethodNotAllowed`, with `details` that name group and resource.
    #[error("watch is not supported on resources of kind \"{}.{}\"", .0.resource, .0.group)]
    WatchNotSupported(WatchRefused),
}

impl Parsed {
    /// Understands a request.
    ///
    /// `path` is the path as it stands in the request line, percent-encoded; segments are decoded
    /// after they have been split, so `%2A` is `*` and `%2F` never is a separator.
    pub fn new(method: &str, path: &str, query: Option<&str>) -> Parsed {
        let query = Query::parse(query.unwrap_or_default());
        let pretty = query.get("pretty").filter(|v| !v.is_empty());
        let pretty = pretty.map(|v| parse_bool(v).unwrap_or(false));
        let include_object = query.get("includeObject").unwrap_or_default().to_owned();
        let Some(segments) = segments(path) else {
            return Parsed {
                route: Route::Refused {
                    group: None,
                    refusal: undecodable(path),
                },
                attributes: Attributes::of_path(method, path),
                timeout: timeout(&query),
                pretty,
                include_object,
            };
        };
        let attributes = Attributes::new(method, path, &segments, &query);
        // A watch is long-running: Go sets no deadline and reads no timeout.
        let watching = attributes.resource.is_some() && attributes.verb == "watch";
        let timeout = if watching { Ok(None) } else { timeout(&query) };
        let route = route(method, path, &segments, &query, &attributes);
        Parsed {
            route,
            attributes,
            timeout,
            pretty,
            include_object,
        }
    }
}

impl Route {
    /// The group that must be installed for this route to exist.
    pub fn group(&self) -> Option<ApiGroup> {
        match self {
            Route::Custom(_) => Some(ApiGroup::Custom),
            Route::External(_) => Some(ApiGroup::External),
            Route::Resource(_) => Some(ApiGroup::Resource),
            Route::Discovery(Discovery::Group(group)) => Some(*group),
            Route::Discovery(Discovery::Resources(version)) => Some(version.group()),
            Route::Refused { group, .. } => *group,
            _ => None,
        }
    }
}

impl Probe {
    /// The path's first segment.
    pub fn name(self) -> &'static str {
        match self {
            Probe::Healthz => "healthz",
            Probe::Livez => "livez",
            Probe::Readyz => "readyz",
        }
    }
}

impl ListQuery {
    /// Whether the field selector selects this object; `namespace` is empty where there is none. A
    /// selector that [`check`](Self::check) refuses selects nothing.
    pub fn selects(&self, namespace: &str, name: &str) -> bool {
        fields::parse(&self.field_selector)
            .is_ok_and(|terms| fields::matches(&terms, namespace, name))
    }

    /// Judges field selector and watch: after the label selector has been parsed, before anything
    /// is looked up (`ListResourceWithOptions` in custom-metrics-apiserver,
    /// `ListResource` in k8s.io/apiserver).
    pub fn check(&self) -> Result<(), Refusal> {
        let bad_request = |e: fields::Error| Refusal::BadRequest(e.to_string());
        let fields = fields::parse(&self.field_selector).map_err(bad_request)?;
        fields::check_known(&fields).map_err(bad_request)?;
        if let Some(name) = &self.name
            && !fields.is_empty()
            && fields::exact_name(&fields) != Some(name.as_str())
        {
            let text = "fieldSelector metadata.name doesn't match requested name";
            return Err(Refusal::BadRequest(text.to_owned()));
        }
        match self.watch {
            Some(watch) => Err(Refusal::WatchNotSupported(watch)),
            None => Ok(()),
        }
    }
}

/// `WithRequestDeadline` in k8s.io/apiserver.
fn timeout(query: &Query) -> Result<Option<Duration>, Refusal> {
    let Some(text) = query.get("timeout").filter(|v| !v.is_empty()) else {
        return Ok(None);
    };
    let timeout = crate::go::duration::parse_go(text).map_err(|e| {
        Refusal::BadRequest(format!(
            "invalid timeout specified in the request URL - {e}"
        ))
    })?;
    Ok(Duration::try_from(timeout).ok().filter(|it| !it.is_zero()))
}
