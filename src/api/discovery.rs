//! The discovery documents: which groups, versions and metrics there are.
//!
//! Answered from the snapshot alone, so that a sick Prometheus never makes discovery slow or empty:
//! every client of the cluster waits for it. What the control plane asks for all day is made once
//! per snapshot (`documents`); other forms of the same are made when asked for. Shapes:
//! `metav1.APIGroupList`, `APIGroup`, `APIResourceList` (legacy discovery,
//! `k8s.io/apiserver/pkg/endpoints/discovery`).
//!
//! Promises: the bytes depend on nothing but what is listed, so that they are the same in every
//! replica; no list is empty; no resource has two scopes, which would make the whole version
//! `Stale` and keep namespaces from being deleted.

use std::sync::Arc;

use hyper::StatusCode;
use hyper::header::HeaderMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    APIResource, APIResourceList, GroupVersionForDiscovery, ServerAddressByClientCIDR,
};
use serde::Serialize;

use super::accept::Conversion;
use super::health::{checks, probes};
use super::route::{ApiGroup, Discovery, GroupVersion};
use super::status::Failure;
use super::wire::Answer;
use super::wire::protobuf::{Fields, Message};
use super::{Api, Body, Form, PEOPLE};
use crate::registry::{Listed, Snapshot};
pub(super) use documents::Documents;

/// All groups in one document (`apidiscovery.k8s.io`).
mod aggregated;
/// What is made once per snapshot.
mod documents;
#[cfg(test)]
mod tests;

/// What of the API is shown, as the flags say.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The groups that are not switched off (`--api-groups`).
    pub groups: Vec<ApiGroup>,
    /// Metrics of one group that are listed, at most (`--discovery-max-metrics`). The others can be
    /// asked for all the same.
    pub metrics: usize,
    /// Our port, as `/apis` names it.
    pub port: u16,
}

/// The only entry of a list without metrics: with no entry at all, `kubectl` and `helm` up to 1.26
/// and KEDA print "Got empty response for: external.metrics.k8s.io/v1beta1" at every call.
///
/// The name is the one that KEDA and the defaults of custom-metrics-apiserver list, so that whoever
/// meets it can look it up. It says of itself that it can be read only, so that neither garbage
/// collection nor quotas nor the deletion of namespaces look at it. No rule makes it: to ask for it
/// is to ask for an unknown metric.
const EXTERNAL_PLACEHOLDER: &str = "externalmetrics";

/// The same for custom metrics. Like every one of them it is a subresource: clients leave those out
/// when they look for what a word on the command line means.
const CUSTOM_PLACEHOLDER: &str = "pods/custommetrics";

/// `/apis`. Go's generic server leaves out its `apiVersion`, and so do we.
#[derive(Debug, Serialize)]
pub(super) struct GroupList {
    kind: &'static str,
    groups: Vec<Group>,
}

/// `/apis/GROUP`, and without `kind` an element of [`GroupList`].
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Group {
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_version: Option<&'static str>,
    name: &'static str,
    versions: Vec<GroupVersionForDiscovery>,
    preferred_version: Option<GroupVersionForDiscovery>,
    #[serde(
        rename = "serverAddressByClientCIDRs",
        skip_serializing_if = "Vec::is_empty"
    )]
    addresses: Vec<ServerAddressByClientCIDR>,
}

impl Message for GroupList {
    fn write(&self, to: &mut Fields) {
        to.messages(1, &self.groups);
    }
}

impl Answer for GroupList {
    fn type_meta(&self) -> (&str, &str) {
        ("", self.kind)
    }
}

impl Message for Group {
    fn write(&self, to: &mut Fields) {
        to.string(1, self.name);
        to.messages(2, &self.versions);
        to.messages(3, &self.preferred_version);
        to.messages(4, &self.addresses);
    }
}

impl Answer for Group {
    fn type_meta(&self) -> (&str, &str) {
        ("v1", "APIGroup")
    }
}

/// `/`, and the answer for every path that is not served: the paths that are.
#[derive(Debug, Serialize)]
pub(super) struct Index {
    paths: Vec<String>,
}

/// Answers one ask for a document, from memory.
pub(super) fn answer(
    api: &Api,
    snapshot: &Arc<Snapshot>,
    ask: Discovery,
    headers: &HeaderMap,
    form: Form,
) -> Result<Body, Failure> {
    let (shown, metrics) = (&api.shown, &api.rooms.metrics);
    let made = || api.documents.of(snapshot, shown, metrics);
    match ask {
        Discovery::Groups => match form.conversion {
            Some(Conversion::Discovery(version)) => Ok(made()?.aggregated(version, headers)),
            _ => Body::object(form, &shown.group_list(snapshot)),
        },
        Discovery::Group(group) => Body::object(form, &self::group(group)),
        Discovery::Resources(version) if form == Form::default() => {
            match made()?.resource_list(version) {
                Some(body) => Ok(body),
                None => no_such_path(api, snapshot),
            }
        }
        Discovery::Resources(version) => {
            Body::object(form, &shown.resource_list(snapshot, version))
        }
    }
}

/// The list of paths, as Go's servers answer for any other path.
pub(super) fn no_such_path(api: &Api, snapshot: &Snapshot) -> Result<Body, Failure> {
    let index = PEOPLE.json(&api.shown.index(snapshot));
    Ok(Body {
        code: StatusCode::NOT_FOUND,
        ..Body::json(index)?
    })
}

impl Shown {
    /// The groups that are served: those that are not switched off, and resource metrics only where
    /// the rules file has `resourceRules`.
    pub(super) fn groups(&self, snapshot: &Snapshot) -> impl Iterator<Item = ApiGroup> {
        let resource = snapshot.rules().resource.is_some();
        let on = |group: &ApiGroup| self.groups.contains(group);
        ApiGroup::ALL
            .into_iter()
            .filter(on)
            .filter(move |group| *group != ApiGroup::Resource || resource)
    }

    /// `/apis`
    pub(super) fn group_list(&self, snapshot: &Snapshot) -> GroupList {
        let address = ServerAddressByClientCIDR {
            client_cidr: "0.0.0.0/0".to_owned(),
            server_address: format!(":{}", self.port),
        };
        let element = |group| Group {
            kind: None,
            api_version: None,
            addresses: vec![address.clone()],
            ..self::group(group)
        };
        GroupList {
            kind: "APIGroupList",
            groups: self.groups(snapshot).map(element).collect(),
        }
    }

    /// `/apis/GROUP/VERSION`, by name.
    pub(super) fn resource_list(
        &self,
        snapshot: &Snapshot,
        version: GroupVersion,
    ) -> APIResourceList {
        APIResourceList {
            group_version: version.to_string(),
            resources: resources(snapshot, version.group(), self.metrics),
        }
    }

    /// The list of paths.
    pub(super) fn index(&self, snapshot: &Snapshot) -> Index {
        let mut paths = vec!["/apis".to_owned()];
        for group in self.groups(snapshot) {
            paths.push(format!("/apis/{group}"));
            paths.extend(versions(group).map(|version| format!("/apis/{version}")));
        }
        for probe in probes() {
            paths.push(format!("/{}", probe.name()));
            paths.extend(checks(probe).map(|check| format!("/{}/{}", probe.name(), check.name())));
        }
        let documents = ["/openapi/v2", "/openapi/v3", "/openapi/v3/"];
        paths.extend(documents.map(str::to_owned));
        paths.extend(["/metrics", "/version"].map(str::to_owned));
        paths.sort();
        Index { paths }
    }
}

/// `/apis/GROUP`, its versions in the order of preference.
pub(super) fn group(group: ApiGroup) -> Group {
    let versions: Vec<_> = versions(group)
        .map(|version| GroupVersionForDiscovery {
            group_version: version.to_string(),
            version: version.version().to_owned(),
        })
        .collect();
    Group {
        kind: Some("APIGroup"),
        api_version: Some("v1"),
        name: group.name(),
        preferred_version: versions.first().cloned(),
        versions,
        addresses: Vec::new(),
    }
}

/// The versions of a group in the order of preference.
fn versions(group: ApiGroup) -> impl Iterator<Item = GroupVersion> {
    let all = GroupVersion::ALL.into_iter().rev();
    all.filter(move |version| version.group() == group)
}

/// The entries of a group, at most `limit` metrics, by name.
fn resources(snapshot: &Snapshot, group: ApiGroup, limit: usize) -> Vec<APIResource> {
    let resource = |name: String, namespaced: bool, kind: &str, verbs: &[&str]| APIResource {
        name,
        namespaced,
        kind: kind.to_owned(),
        verbs: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
        ..APIResource::default()
    };
    let custom = |name, namespaced| resource(name, namespaced, "MetricValueList", &["get"]);
    let external = |name| resource(name, true, "ExternalMetricValueList", &["get"]);
    let (mut listed, placeholder): (Vec<_>, _) = match group {
        ApiGroup::Custom => {
            let metrics = shared(snapshot.custom_metrics(), limit);
            let name = |it: &Listed<'_>| format!("{}/{}", it.resource, it.metric);
            let listed = metrics.map(|it| custom(name(&it), it.namespaced));
            (
                listed.collect(),
                custom(CUSTOM_PLACEHOLDER.to_owned(), true),
            )
        }
        ApiGroup::External => {
            let metrics = snapshot.external_metrics().take(limit);
            let listed = metrics.map(|name| external(name.to_owned()));
            (listed.collect(), external(EXTERNAL_PLACEHOLDER.to_owned()))
        }
        ApiGroup::Resource => {
            let verbs = ["get", "list"];
            return vec![
                resource("nodes".to_owned(), false, "NodeMetrics", &verbs),
                resource("pods".to_owned(), true, "PodMetrics", &verbs),
            ];
        }
    };
    if listed.is_empty() {
        listed.push(placeholder);
    }
    listed.sort_by(|a, b| a.name.cmp(&b.name));
    listed
}

/// At most `limit` of the metrics, which come kind by kind: one of each kind, then a second of each
/// that has one, and so on. Otherwise a kind with many would leave no room for those after it:
/// `namespaces` has all metrics of `pods`.
fn shared<'a>(
    metrics: impl Iterator<Item = Listed<'a>>,
    limit: usize,
) -> impl Iterator<Item = Listed<'a>> {
    let mut ranked: Vec<(usize, Listed<'a>)> = Vec::new();
    for listed in metrics {
        let of_kind = ranked
            .last()
            .filter(|(_, it)| it.resource == listed.resource);
        let rank = of_kind.map_or(0, |(rank, _)| rank + 1);
        ranked.push((rank, listed));
    }
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().take(limit).map(|(_, listed)| listed)
}
