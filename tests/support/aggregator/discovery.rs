//! What the aggregator knows of the API of the server behind: `handler_discovery.go` fetches it, and
//! every client of the cluster sees it in one document with everything else.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::backend::{Answer, Backend};

/// The time of one fetch.
const FETCH: Duration = Duration::from_secs(5);
/// What a current aggregator accepts, best first.
pub const ACCEPT: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
                          application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";

/// A group and a version, written `group/version`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupVersion {
    /// The group.
    pub group: String,
    /// The version.
    pub version: String,
}

impl GroupVersion {
    /// From `group/version`.
    pub fn of(text: &str) -> GroupVersion {
        let (group, version) = text
            .split_once('/')
            .expect("a group version must have a slash");
        GroupVersion {
            group: group.to_owned(),
            version: version.to_owned(),
        }
    }
}

/// What one fetch came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// 304: what was known stays, and is current.
    NotModified,
    /// A document of `apidiscovery.k8s.io` of this version.
    Aggregated(&'static str),
    /// The server has none: the documents of each version were converted.
    Legacy,
    /// Nothing came; what was known is stale.
    Failed(String),
}

/// Of one server.
#[derive(Default)]
pub(super) struct Discovery {
    etag: Option<String>,
    known: BTreeMap<GroupVersion, Value>,
    stale: Vec<GroupVersion>,
}

impl Discovery {
    /// Asks the server once.
    pub(super) async fn fetch(
        &mut self,
        backend: &Backend,
        registered: &[GroupVersion],
        accept: &str,
    ) -> Fetched {
        let fetched = match tokio::time::timeout(FETCH, self.ask(backend, registered, accept)).await
        {
            Ok(fetched) => fetched,
            Err(_late) => Fetched::Failed("request timed out".to_owned()),
        };
        match &fetched {
            Fetched::Failed(_) => self.stale = registered.to_vec(),
            Fetched::NotModified | Fetched::Aggregated(_) => self.stale.clear(),
            Fetched::Legacy => {}
        }
        fetched
    }

    async fn ask(
        &mut self,
        backend: &Backend,
        registered: &[GroupVersion],
        accept: &str,
    ) -> Fetched {
        let authority = backend.authority();
        let mut headers = vec![
            ("accept", accept),
            ("x-remote-user", "system:kube-aggregator"),
            ("x-remote-group", "system:masters"),
            ("x-forwarded-host", &authority),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-uri", "/apis"),
            ("accept-encoding", "gzip"),
        ];
        let etag = self.etag.clone();
        headers.extend(etag.as_deref().map(|etag| ("if-none-match", etag)));
        match backend.get("/apis", &headers).await {
            Err(reason) => Fetched::Failed(reason),
            Ok(answer) if answer.status == 304 => Fetched::NotModified,
            Ok(answer) if answer.status == 503 => Fetched::Failed("503".to_owned()),
            Ok(answer) => match (answer.status.as_u16(), version(&answer)) {
                (200, Some(version)) => match self.take(&answer) {
                    Ok(()) => Fetched::Aggregated(version),
                    Err(reason) => Fetched::Failed(reason),
                },
                _ => self.ask_legacy(backend, registered).await,
            },
        }
    }

    /// Keeps an aggregated document.
    fn take(&mut self, answer: &Answer) -> Result<(), String> {
        let document: Value =
            serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
        if document["kind"] != "APIGroupDiscoveryList" || !document["apiVersion"].is_string() {
            return Err(format!("no APIGroupDiscoveryList: {document}"));
        }
        self.etag = Some(answer.header("etag").to_owned()).filter(|etag| !etag.is_empty());
        self.known.clear();
        for group in document["items"].as_array().into_iter().flatten() {
            for version in group["versions"].as_array().into_iter().flatten() {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let name = GroupVersion {
                    group: text(&group["metadata"]["name"]),
                    version: text(&version["version"]),
                };
                self.known.insert(name, version["resources"].clone());
            }
        }
        Ok(())
    }

    async fn ask_legacy(&mut self, backend: &Backend, registered: &[GroupVersion]) -> Fetched {
        self.stale.clear();
        for name in registered {
            let path = format!("/apis/{}/{}", name.group, name.version);
            let mut headers = vec![
                ("accept", "application/json"),
                ("x-remote-user", "system:kube-aggregator"),
                ("accept-encoding", "gzip"),
            ];
            let etag = self.etag.clone();
            headers.extend(etag.as_deref().map(|etag| ("if-none-match", etag)));
            let resources = match backend.get(&path, &headers).await {
                Ok(answer) if answer.status == 200 => serde_json::from_slice(&answer.body)
                    .map_err(|error| error.to_string())
                    .and_then(|document: Value| convert(&document)),
                Ok(answer) => Err(format!("{path}: {}", answer.status)),
                Err(reason) => Err(reason),
            };
            match resources {
                Ok(resources) => {
                    self.known.insert(name.clone(), resources);
                }
                Err(_reason) => self.stale.push(name.clone()),
            }
        }
        Fetched::Legacy
    }

    /// The element of the merged document for one group.
    pub(super) fn item(&self, group: &str, registered: &[GroupVersion]) -> Value {
        let versions = registered.iter().filter(|name| name.group == group);
        let versions = versions.map(|name| {
            let stale = self.stale.contains(name);
            json!({
                "version": name.version,
                "freshness": if stale { "Stale" } else { "Current" },
                "resources": self.known.get(name).unwrap_or(&json!([])),
            })
        });
        json!({"metadata": {"name": group}, "versions": versions.collect::<Vec<_>>()})
    }
}

/// Of which version of `apidiscovery.k8s.io` an answer is; the three parameters must be exact, their
/// order is free (`ContentTypeIsGVK`).
fn version(answer: &Answer) -> Option<&'static str> {
    let media_type = answer.header("content-type");
    let mut parts = media_type.split(';').map(str::trim);
    let is_json = parts.next() == Some("application/json");
    let mut parameters: Vec<&str> = parts.collect();
    parameters.sort_unstable();
    let version = ["v2", "v2beta1"].into_iter().find(|version| {
        parameters
            == [
                "as=APIGroupDiscoveryList",
                "g=apidiscovery.k8s.io",
                &format!("v={version}"),
            ]
    });
    version.filter(|_| is_json)
}

/// The resources of an `APIResourceList` in the aggregated form (`ConvertGroupVersionIntoToDiscovery`
/// of `endpoints/installer.go`): what follows the first slash is a subresource of what stands before.
fn convert(document: &Value) -> Result<Value, String> {
    let mut resources: Vec<Value> = Vec::new();
    let scope = |it: &Value| {
        if it["namespaced"] == true {
            "Namespaced"
        } else {
            "Cluster"
        }
    };
    let kind = |it: &Value| {
        let text = |field: &str| it[field].as_str().unwrap_or_default();
        json!({"group": text("group"), "version": text("version"), "kind": text("kind")})
    };
    for entry in document["resources"].as_array().into_iter().flatten() {
        let name = entry["name"].as_str().unwrap_or_default();
        let (parent, subresource) = match name.split_once('/') {
            Some((parent, subresource)) => (parent, Some(subresource)),
            None => (name, None),
        };
        let found = resources.iter().position(|it| it["resource"] == parent);
        let at = found.unwrap_or_else(|| {
            resources.push(json!({
                "resource": parent, "scope": scope(entry), "singularResource": "", "verbs": null,
                "responseKind": {"group": "", "version": "", "kind": ""},
            }));
            resources.len() - 1
        });
        let resource = &mut resources[at];
        let Some(subresource) = subresource else {
            resource["responseKind"] = kind(entry);
            resource["verbs"] = entry["verbs"].clone();
            resource["singularResource"] = entry["singularName"].clone();
            continue;
        };
        if resource["scope"] != scope(entry) {
            return Err(format!("{name}: another scope than {parent}"));
        }
        let subresources = resource["subresources"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let fresh = json!({
            "subresource": subresource, "responseKind": kind(entry), "verbs": entry["verbs"],
        });
        resource["subresources"] = Value::from([subresources, vec![fresh]].concat());
    }
    Ok(json!(resources))
}
