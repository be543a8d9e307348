//! Aggregated discovery: all groups, versions and resources in one document
//! (`k8s.io/api/apidiscovery/{v2,v2beta1}`, which differ in name only).
//!
//! kube-aggregator asks for it each minute and makes of it, with those of all other servers, the
//! document that every client of the cluster keeps. Resources are grouped as
//! `k8s.io/apiserver/pkg/endpoints/installer.go` (`ConvertGroupVersionIntoToDiscovery`) groups
//! those of legacy documents, so that both tell the same.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResource;
use serde::Serialize;

use super::versions;
use crate::api::accept::DiscoveryVersion;
use crate::api::route::{ApiGroup, GroupVersion};

/// `APIGroupDiscoveryList`
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GroupList<'a> {
    kind: &'static str,
    api_version: &'static str,
    metadata: Metadata,
    items: &'a [Group],
}

#[derive(Debug, Serialize)]
struct Metadata {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'static str>,
}

/// `APIGroupDiscovery`
#[derive(Debug, Serialize)]
pub(super) struct Group {
    metadata: Metadata,
    versions: Vec<OfVersion>,
}

/// `APIVersionDiscovery`
#[derive(Debug, Serialize)]
struct OfVersion {
    version: &'static str,
    resources: Vec<Resource>,
    freshness: &'static str,
}

/// `APIResourceDiscovery`
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Resource {
    resource: String,
    response_kind: Kind,
    scope: &'static str,
    singular_resource: &'static str,
    verbs: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    subresources: Vec<Subresource>,
}

/// `APISubresourceDiscovery`
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Subresource {
    subresource: String,
    response_kind: Kind,
    verbs: Vec<String>,
}

/// `metav1.GroupVersionKind`. Never left out: clients of Kubernetes 1.26 panic without one.
#[derive(Debug, Default, Serialize)]
struct Kind {
    group: &'static str,
    version: &'static str,
    kind: String,
}

/// `Content-Type` of the document; an aggregator looks at the parameters, not at the body.
pub(super) fn media_type(version: DiscoveryVersion) -> &'static str {
    match version {
        DiscoveryVersion::V2Beta1 => {
            "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"
        }
        DiscoveryVersion::V2 => {
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
        }
    }
}

/// The document of these groups.
pub(super) fn list(version: DiscoveryVersion, items: &[Group]) -> GroupList<'_> {
    GroupList {
        kind: "APIGroupDiscoveryList",
        api_version: match version {
            DiscoveryVersion::V2Beta1 => "apidiscovery.k8s.io/v2beta1",
            DiscoveryVersion::V2 => "apidiscovery.k8s.io/v2",
        },
        metadata: Metadata { name: None },
        items,
    }
}

/// One group, from what its legacy documents list: the same in each version.
pub(super) fn group(group: ApiGroup, listed: &[APIResource]) -> Group {
    let of_version = |version: GroupVersion| OfVersion {
        version: version.version(),
        resources: grouped(version, listed),
        freshness: "Current",
    };
    Group {
        metadata: Metadata {
            name: Some(group.name()),
        },
        versions: versions(group).map(of_version).collect(),
    }
}

/// Resources with their subresources: what stands behind the first slash. A resource that is not
/// listed itself but has subresources only holds their place. It has no kind, so that clients do
/// not take `pods` for a resource of ours, and the scope of the first of them.
fn grouped(version: GroupVersion, listed: &[APIResource]) -> Vec<Resource> {
    let mut resources: BTreeMap<&str, Resource> = BTreeMap::new();
    for entry in listed {
        let (name, subresource) = match entry.name.split_once('/') {
            Some((name, subresource)) => (name, Some(subresource)),
            None => (entry.name.as_str(), None),
        };
        let kind = Kind {
            group: version.group().name(),
            version: version.version(),
            kind: entry.kind.clone(),
        };
        let place = resources.entry(name).or_insert_with(|| Resource {
            resource: name.to_owned(),
            response_kind: Kind::default(),
            scope: scope(entry),
            singular_resource: "",
            verbs: Vec::new(),
            subresources: Vec::new(),
        });
        match subresource {
            Some(subresource) => place.subresources.push(Subresource {
                subresource: subresource.to_owned(),
                response_kind: kind,
                verbs: entry.verbs.clone(),
            }),
            None => {
                place.response_kind = kind;
                place.verbs.clone_from(&entry.verbs);
            }
        }
    }
    let mut resources: Vec<Resource> = resources.into_values().collect();
    for resource in &mut resources {
        let subresources = &mut resource.subresources;
        subresources.sort_by(|a, b| a.subresource.cmp(&b.subresource));
    }
    resources
}

fn scope(entry: &APIResource) -> &'static str {
    match entry.namespaced {
        true => "Namespaced",
        false => "Cluster",
    }
}
