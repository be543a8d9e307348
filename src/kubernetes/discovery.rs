//! Which kinds a cluster has, from the API server's discovery documents.
//!
//! Two requests where the server aggregates (`apidiscovery.k8s.io`, Kubernetes 1.26 and later),
//! else one more for each version of each group, as client-go does (`k8s.io/client-go/discovery`,
//! `restmapper.GetAPIGroupResources`). A group that cannot be read, because the server behind it is
//! away, keeps the kinds it had: it is not gone.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt};
use serde::Deserialize;

use super::client::{Client, Error, JSON};
use crate::kinds::{Kind, Kinds};
use crate::telemetry::with_causes;

/// What client-go asks for, the best first.
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
    application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

/// Requests for one version of one group at a time. With fewer, a server of 300 groups that does
/// not aggregate would keep us from being ready for many seconds.
const IN_FLIGHT: usize = 32;

/// Groups whose "kinds" are metrics, ours or those of another adapter. They change with every
/// relist, and an object cannot be of such a kind.
const METRIC_GROUPS: [&str; 2] = ["custom.metrics.k8s.io", "external.metrics.k8s.io"];

/// The kinds of a cluster as its documents list them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Discovered {
    /// In the order of the documents, the core group first.
    versions: Vec<Version>,
    /// Preferred versions by group.
    preferred: BTreeMap<String, String>,
}

/// One version of one group.
#[derive(Clone, Debug, PartialEq)]
struct Version {
    group: String,
    version: String,
    /// `None`: the server behind it did not answer.
    kinds: Option<Vec<Kind>>,
}

impl Discovered {
    /// Asks the API server. What cannot be read now is as `before`.
    pub(super) async fn fetch(client: &Client, before: &Discovered) -> Result<Discovered, Error> {
        let (core, groups) = tokio::try_join!(
            client.get::<Document>("/api", AGGREGATED),
            client.get::<Document>("/apis", AGGREGATED),
        )?;
        let mut found = Discovered::default();
        for document in [core, groups] {
            found.read(client, document).await;
        }
        found.complete(before);
        Ok(found)
    }

    /// The same, ready to be looked up in.
    pub(super) fn kinds(&self) -> Kinds {
        let kinds = self
            .versions
            .iter()
            .flat_map(|version| version.kinds.iter().flatten());
        Kinds::new(kinds.cloned().collect(), &self.preferred)
    }

    /// Versions that could not be read and were not known before.
    pub(super) fn missing(&self) -> Vec<String> {
        let missing = self
            .versions
            .iter()
            .filter(|version| version.kinds.is_none());
        missing
            .map(|it| format!("{}/{}", it.group, it.version))
            .collect()
    }

    async fn read(&mut self, client: &Client, document: Document) {
        match document {
            Document::Aggregated { items } => self.read_aggregated(items),
            Document::Core { versions } => {
                let versions = versions.into_iter().map(|version| (String::new(), version));
                self.read_each(client, versions.collect()).await;
            }
            Document::Groups { groups } => {
                let mut versions = Vec::new();
                for group in groups
                    .into_iter()
                    .filter(|group| is_of_objects(&group.name))
                {
                    if let Some(preferred) = group.preferred_version {
                        self.preferred.insert(group.name.clone(), preferred.version);
                    }
                    let of_group = group.versions.into_iter();
                    versions.extend(of_group.map(|it| (group.name.clone(), it.version)));
                }
                self.read_each(client, versions).await;
            }
        }
    }

    fn read_aggregated(&mut self, items: Vec<AggregatedGroup>) {
        for group in items
            .into_iter()
            .filter(|group| is_of_objects(&group.metadata.name))
        {
            for it in group.versions {
                let (name, version) = (&group.metadata.name, &it.version);
                let kind = |resource: AggregatedResource| resource.kind(name, version);
                let kinds: Vec<Kind> = it.resources.into_iter().filter_map(kind).collect();
                // A stale list without kinds is what the aggregator gives for a server it never
                // reached.
                let unread = it.freshness == "Stale" && kinds.is_empty();
                let kinds = (!unread).then_some(kinds);
                self.versions.push(Version {
                    group: name.clone(),
                    version: it.version,
                    kinds,
                });
            }
        }
    }

    async fn read_each(&mut self, client: &Client, versions: Vec<(String, String)>) {
        let reads = versions.into_iter().map(async |(group, version)| {
            let path = root(&group, &version);
            let kinds = match client.get::<ResourceList>(&path, JSON).await {
                Ok(list) => Some(list.kinds(&group, &version)),
                Err(error) => {
                    let error = with_causes(&error);
                    tracing::debug!(path, error, "kinds of a group cannot be listed");
                    None
                }
            };
            Version {
                group,
                version,
                kinds,
            }
        });
        let found: Vec<Version> = stream::iter(reads).buffered(IN_FLIGHT).collect().await;
        self.versions.extend(found);
    }

    fn complete(&mut self, before: &Discovered) {
        for version in self
            .versions
            .iter_mut()
            .filter(|version| version.kinds.is_none())
        {
            let same = |it: &&Version| it.group == version.group && it.version == version.version;
            version.kinds = before
                .versions
                .iter()
                .find(same)
                .and_then(|it| it.kinds.clone());
        }
    }
}

/// Where the objects of a group and version are: `/api/v1`, `/apis/apps/v1`.
pub(super) fn root(group: &str, version: &str) -> String {
    match group {
        "" => format!("/api/{version}"),
        group => format!("/apis/{group}/{version}"),
    }
}

fn is_of_objects(group: &str) -> bool {
    !METRIC_GROUPS.contains(&group)
}

/// The answer of `/api` or `/apis`, told apart by its `kind`: a proxy may lose a media type's
/// parameters.
#[derive(Deserialize)]
#[serde(tag = "kind")]
enum Document {
    #[serde(rename = "APIGroupDiscoveryList")]
    Aggregated {
        #[serde(default)]
        items: Vec<AggregatedGroup>,
    },
    #[serde(rename = "APIVersions")]
    Core {
        #[serde(default)]
        versions: Vec<String>,
    },
    #[serde(rename = "APIGroupList")]
    Groups {
        #[serde(default)]
        groups: Vec<Group>,
    },
}

#[derive(Deserialize)]
struct AggregatedGroup {
    #[serde(default)]
    metadata: Named,
    #[serde(default)]
    versions: Vec<AggregatedVersion>,
}

#[derive(Default, Deserialize)]
struct Named {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct AggregatedVersion {
    version: String,
    #[serde(default)]
    resources: Vec<AggregatedResource>,
    #[serde(default)]
    freshness: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AggregatedResource {
    resource: String,
    response_kind: Option<ResponseKind>,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    singular_resource: String,
}

#[derive(Deserialize)]
struct ResponseKind {
    #[serde(default)]
    kind: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    name: String,
    #[serde(default)]
    versions: Vec<GroupVersion>,
    preferred_version: Option<GroupVersion>,
}

#[derive(Deserialize)]
struct GroupVersion {
    version: String,
}

#[derive(Deserialize)]
struct ResourceList {
    #[serde(default)]
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resource {
    name: String,
    #[serde(default)]
    singular_name: String,
    #[serde(default)]
    namespaced: bool,
    #[serde(default)]
    kind: String,
}

impl AggregatedResource {
    /// `None` where it only holds the place of its subresources.
    fn kind(self, group: &str, version: &str) -> Option<Kind> {
        let kind = self
            .response_kind
            .map(|it| it.kind)
            .filter(|kind| !kind.is_empty())?;
        let namespaced = self.scope == "Namespaced";
        Some(named(
            group,
            version,
            kind,
            self.resource,
            self.singular_resource,
            namespaced,
        ))
    }
}

impl ResourceList {
    fn kinds(self, group: &str, version: &str) -> Vec<Kind> {
        let whole = self
            .resources
            .into_iter()
            .filter(|it| !it.name.contains('/'));
        whole
            .map(|it| {
                named(
                    group,
                    version,
                    it.kind,
                    it.name,
                    it.singular_name,
                    it.namespaced,
                )
            })
            .collect()
    }
}

fn named(
    group: &str,
    version: &str,
    kind: String,
    plural: String,
    singular: String,
    namespaced: bool,
) -> Kind {
    let singular = if singular.is_empty() {
        kind.to_lowercase()
    } else {
        singular
    };
    Kind {
        group: group.to_owned(),
        version: version.to_owned(),
        kind,
        plural,
        singular,
        namespaced,
    }
}

#[cfg(test)]
mod tests;
