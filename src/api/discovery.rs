//! The discovery documents: which groups, versions and metrics there are.
//!
//! Answered from the snapshot alone, so that a sick Prometheus never makes discovery slow or empty:
//! every client of the cluster waits for it. Shapes: `metav1.APIGroupList`, `APIGroup`,
//! `APIResourceList` (legacy discovery, `k8s.io/apiserver/pkg/endpoints/discovery`).

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    APIResource, APIResourceList, GroupVersionForDiscovery, ServerAddressByClientCIDR,
};
use serde::Serialize;

use super::health::{checks, probes};
use super::route::{ApiGroup, GroupVersion};
use crate::registry::Snapshot;

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

/// `/`, and the answer for every path that is not served: the paths that are.
#[derive(Debug, Serialize)]
pub(super) struct Index {
    paths: Vec<String>,
}

/// The groups that are served: custom and external metrics always, resource metrics where the rules
/// file has `resourceRules`.
pub(super) fn groups(snapshot: &Snapshot) -> impl Iterator<Item = ApiGroup> {
    let resource = snapshot.rules().resource.is_some();
    ApiGroup::ALL
        .into_iter()
        .filter(move |group| *group != ApiGroup::Resource || resource)
}

/// `/apis`; `port` is ours.
pub(super) fn group_list(snapshot: &Snapshot, port: u16) -> GroupList {
    let address = ServerAddressByClientCIDR {
        client_cidr: "0.0.0.0/0".to_owned(),
        server_address: format!(":{port}"),
    };
    let element = |group| Group {
        kind: None,
        api_version: None,
        addresses: vec![address.clone()],
        ..self::group(group)
    };
    GroupList {
        kind: "APIGroupList",
        groups: groups(snapshot).map(element).collect(),
    }
}

/// `/apis/GROUP`, its versions in the order of preference.
pub(super) fn group(group: ApiGroup) -> Group {
    let mut versions: Vec<_> = GroupVersion::ALL
        .into_iter()
        .filter(|version| version.group() == group)
        .map(|version| GroupVersionForDiscovery {
            group_version: version.to_string(),
            version: version.version().to_owned(),
        })
        .collect();
    versions.reverse();
    Group {
        kind: Some("APIGroup"),
        api_version: Some("v1"),
        name: group.name(),
        preferred_version: versions.first().cloned(),
        versions,
        addresses: Vec::new(),
    }
}

/// `/apis/GROUP/VERSION`.
pub(super) fn resource_list(snapshot: &Snapshot, version: GroupVersion) -> APIResourceList {
    let resource = |name: String, namespaced: bool, kind: &str, verbs: &[&str]| APIResource {
        name,
        namespaced,
        kind: kind.to_owned(),
        verbs: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
        ..APIResource::default()
    };
    let resources = match version.group() {
        ApiGroup::Custom => snapshot
            .custom_metrics()
            .map(|listed| {
                let name = format!("{}/{}", listed.resource, listed.metric);
                resource(name, listed.namespaced, "MetricValueList", &["get"])
            })
            .collect(),
        ApiGroup::External => snapshot
            .external_metrics()
            .map(|name| resource(name.to_owned(), true, "ExternalMetricValueList", &["get"]))
            .collect(),
        ApiGroup::Resource => vec![
            resource("nodes".to_owned(), false, "NodeMetrics", &["get", "list"]),
            resource("pods".to_owned(), true, "PodMetrics", &["get", "list"]),
        ],
    };
    APIResourceList {
        group_version: version.to_string(),
        resources,
    }
}

/// The list of paths.
pub(super) fn index(snapshot: &Snapshot) -> Index {
    let mut paths = vec!["/apis".to_owned()];
    for group in groups(snapshot) {
        paths.push(format!("/apis/{group}"));
        let versions = GroupVersion::ALL
            .into_iter()
            .filter(|version| version.group() == group);
        paths.extend(versions.map(|version| format!("/apis/{version}")));
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
