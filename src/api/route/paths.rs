//! Which path is what: those of go-restful's web services and of the plain handlers beside them.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::query::{self, Query};
use super::{
    ApiGroup, Attributes, CustomAsk, Discovery, ExternalAsk, GroupVersion, Health, ListQuery,
    Objects, Probe, Refusal, ResourceAsk, Route, UsageOf,
};
use crate::auth::ResourceAttributes;

/// Which path is it? Paths in API groups, `/apis` and `/version` belong to go-restful, which trims
/// slashes and knows methods; the others are compared as they are and answer any method.
pub(super) fn route(
    method: &str,
    path: &str,
    segments: &[Cow<'_, str>],
    query: &Query,
    attributes: &Attributes,
) -> Route {
    if let Some(route) = plain_route(path, query) {
        return route;
    }
    // `//apis` and `/apis//x` are nobody's: only the end of the path may have spare slashes.
    if path.starts_with("//") || path.starts_with("/apis//") {
        return Route::Unknown;
    }
    let words: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
    let (group, found) = match words.as_slice() {
        ["version"] => (None, Ok(Route::Version)),
        ["version", ..] => (None, Err(Refusal::NotFound)),
        ["apis"] => (None, Ok(Route::Discovery(Discovery::Groups))),
        ["apis", group, rest @ ..] => match ApiGroup::from_name(group) {
            Some(group) => (Some(group), group_route(group, rest, query, attributes)),
            None => return Route::Unknown,
        },
        _ => return Route::Unknown,
    };
    match found {
        Err(Refusal::NotFound) => Route::Refused {
            group,
            refusal: Refusal::NotFound,
        },
        _ if method != "GET" => Route::Refused {
            group,
            refusal: Refusal::MethodNotAllowed,
        },
        Err(refusal) => Route::Refused { group, refusal },
        Ok(route) => route,
    }
}

/// The path's segments, decoded; slashes at both ends do not count (`splitPath` in requestinfo.go).
/// `None`: an escape is broken, or a segment is not UTF-8.
pub(super) fn segments(path: &str) -> Option<Vec<Cow<'_, str>>> {
    let path = path.trim_matches('/');
    if path.is_empty() {
        return Some(Vec::new());
    }
    path.split('/').map(decode).collect()
}

fn decode(segment: &str) -> Option<Cow<'_, str>> {
    query::escapes_are_whole(segment).then_some(())?;
    percent_decode_str(segment).decode_utf8().ok()
}

pub(super) fn undecodable(path: &str) -> Refusal {
    let shown: String = path.chars().take(200).collect();
    Refusal::BadRequest(format!("the path {shown:?} is not percent-encoded UTF-8"))
}

/// Paths outside of the API groups (`PathRecorderMux` in k8s.io/apiserver).
fn plain_route(path: &str, query: &Query) -> Option<Route> {
    match path {
        "/" | "/index.html" => return Some(Route::Index),
        "/metrics" => return Some(Route::Metrics),
        "/explain" => {
            let asked = query.get("path").unwrap_or_default();
            return Some(Route::Explain(asked.to_owned()));
        }
        "/openapi/v2" => return Some(Route::OpenApiV2),
        "/openapi/v3" => {
            return Some(Route::OpenApiV3 {
                document: String::new(),
                hash: None,
            });
        }
        _ => {}
    }
    if let Some(document) = path.strip_prefix("/openapi/v3/") {
        return Some(Route::OpenApiV3 {
            document: document.to_owned(),
            hash: query.get("hash").map(ToOwned::to_owned),
        });
    }
    [Probe::Healthz, Probe::Livez, Probe::Readyz]
        .into_iter()
        .find_map(|probe| {
            let rest = path.strip_prefix('/')?.strip_prefix(probe.name())?;
            let check = match rest {
                "" => None,
                _ => Some(
                    rest.strip_prefix('/')
                        .filter(|name| !name.is_empty())?
                        .to_owned(),
                ),
            };
            let exclude = query.all("exclude").map(ToOwned::to_owned).collect();
            let verbose = query.get("verbose").is_some();
            Some(Route::Health(Health {
                probe,
                check,
                verbose,
                exclude,
            }))
        })
}

fn group_route(
    group: ApiGroup,
    rest: &[&str],
    query: &Query,
    attributes: &Attributes,
) -> Result<Route, Refusal> {
    let Some((version, rest)) = rest.split_first() else {
        return Ok(Route::Discovery(Discovery::Group(group)));
    };
    let version = GroupVersion::find(group, version).ok_or(Refusal::NotFound)?;
    if rest.is_empty() {
        return Ok(Route::Discovery(Discovery::Resources(version)));
    }
    if rest.contains(&"") {
        return Err(Refusal::NotFound);
    }
    let asked = attributes.resource.as_ref().ok_or(Refusal::NotFound)?;
    match group {
        ApiGroup::Custom => custom_route(version, rest, query, asked).map(Route::Custom),
        ApiGroup::External => external_route(rest, query, asked).map(Route::External),
        ApiGroup::Resource => resource_route(version, rest, query, asked).map(Route::Resource),
    }
}

/// The number of segments decides whether the path exists; what it means is read off the
/// attributes, as in custom-metrics-apiserver. That is why `namespaces/NS/status` is the metric
/// `status` of that namespace.
fn custom_route(
    version: GroupVersion,
    rest: &[&str],
    query: &Query,
    asked: &ResourceAttributes,
) -> Result<CustomAsk, Refusal> {
    match rest {
        // It would be reviewed as a subresource of `metrics` and answered as the metric NAME:
        // a role for one metric of every kind (`*/x`) could read all metrics of the namespace.
        ["namespaces", _, "metrics", _, _] => return Err(Refusal::NotFound),
        [_, _, _] | ["namespaces", _, "metrics", _] | ["namespaces", _, _, _, _] => {}
        _ => return Err(Refusal::NotFound),
    }
    let mut list = ListQuery::new(query, asked)?;
    list.watch = None;
    let metric_label_selector = query
        .get("metricLabelSelector")
        .unwrap_or_default()
        .to_owned();
    let namespace = Some(asked.namespace.clone()).filter(|it| !it.is_empty());
    let about_namespace = namespace.is_some() && asked.resource == "metrics";
    let (namespace, resource, name, metric) = if about_namespace {
        (
            None,
            "namespaces".to_owned(),
            asked.namespace.as_str(),
            asked.name.as_str(),
        )
    } else {
        (
            namespace,
            asked.resource.clone(),
            asked.name.as_str(),
            asked.subresource.as_str(),
        )
    };
    if rest.len() == 3 && metric.is_empty() {
        return Err(Refusal::BadRequest("invalid request path".to_owned()));
    }
    let objects = match name {
        "*" => Objects::Selected,
        name => Objects::Named(name.to_owned()),
    };
    let metric = metric.to_owned();
    Ok(CustomAsk {
        version,
        namespace,
        resource,
        objects,
        metric,
        list,
        metric_label_selector,
    })
}

fn external_route(
    rest: &[&str],
    query: &Query,
    asked: &ResourceAttributes,
) -> Result<ExternalAsk, Refusal> {
    let ["namespaces", _, _] = rest else {
        return Err(Refusal::NotFound);
    };
    let list = ListQuery::new(query, asked)?;
    Ok(ExternalAsk {
        namespace: asked.namespace.clone(),
        metric: asked.resource.clone(),
        list,
    })
}

fn resource_route(
    version: GroupVersion,
    rest: &[&str],
    query: &Query,
    asked: &ResourceAttributes,
) -> Result<ResourceAsk, Refusal> {
    let text = |it: &str| it.to_owned();
    let objects = match rest {
        ["nodes"] => UsageOf::Nodes(ListQuery::new(query, asked)?),
        ["nodes", name] => UsageOf::Node { name: text(name) },
        ["pods"] => UsageOf::Pods {
            namespace: None,
            list: ListQuery::new(query, asked)?,
        },
        ["namespaces", namespace, "pods"] => UsageOf::Pods {
            namespace: Some(text(namespace)),
            list: ListQuery::new(query, asked)?,
        },
        ["namespaces", namespace, "pods", name] => UsageOf::Pod {
            namespace: text(namespace),
            name: text(name),
        },
        _ => return Err(Refusal::NotFound),
    };
    Ok(ResourceAsk { version, objects })
}
