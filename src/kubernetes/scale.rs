//! The scale subresource of a workload (`autoscaling/v1 Scale`), and the pods that its selector
//! selects: what a HorizontalPodAutoscaler reads of a cluster, and the one thing that it writes.
//!
//! `k8s.io/client-go/scale`, and `updateTargetScale` of the controller's `horizontal.go`. An answer
//! that is not of the kind that was asked for is an error: in an empty object, as a proxy in the
//! API server's place may give it, there are no replicas and no pods.

use k8s_openapi::api::autoscaling::v1::Scale;
use k8s_openapi::api::core::v1::Pod;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Error as _};

use super::client::{Client, Error};
use super::discovery::root;
use crate::kinds::Kind;
use crate::selector::Selector;

/// How often a change is made again because the object has changed meanwhile
/// (`retry.DefaultRetry`).
const TRIES: usize = 5;

/// Pods in one answer.
const PAGE: usize = 500;

/// Why replicas could not be set.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// The API server says so, or nothing.
    #[error(transparent)]
    Client(#[from] Error),
    /// What was decided is about another number.
    #[error("somebody else has set it to {0} meanwhile")]
    Overtaken(i32),
}

/// Where the scale of an object is.
pub fn path(kind: &Kind, namespace: &str, name: &str) -> String {
    let root = root(&kind.group, &kind.version);
    let plural = &kind.plural;
    let (namespace, name) = (escape(namespace), escape(name));
    format!("{root}/namespaces/{namespace}/{plural}/{name}/scale")
}

/// Reads the scale at `path`.
pub async fn get(client: &Client, path: &str) -> Result<Scale, Error> {
    read(client, path, "Scale").await
}

/// Sets the replicas of the scale at `path` to `to`, if they are still `from`. One that changed
/// otherwise meanwhile is read again.
pub async fn set(client: &Client, path: &str, from: i32, to: i32) -> Result<(), SetError> {
    let mut tries = 1;
    loop {
        let mut scale = get(client, path).await?;
        match replicas(&scale) {
            // A change whose answer was lost.
            now if now == to => return Ok(()),
            now if now != from => return Err(SetError::Overtaken(now)),
            _ => scale.spec.get_or_insert_default().replicas = Some(to),
        }
        match client.replace(path, &scale).await {
            Err(error) if error.status() == Some(409) && tries < TRIES => tries += 1,
            Err(error) => return Err(error.into()),
            Ok(made) if replicas(&made) == to => return Ok(()),
            Ok(_) => return Err(unreadable("it does not say that the replicas are set").into()),
        }
    }
}

/// What a scale is set to. Go leaves a zero out.
pub fn replicas(scale: &Scale) -> i32 {
    let spec = scale.spec.as_ref();
    spec.and_then(|it| it.replicas).unwrap_or(0)
}

/// The pods of `namespace` that `selector` selects, of one moment.
pub async fn pods(
    client: &Client,
    namespace: &str,
    selector: &Selector,
) -> Result<Vec<Pod>, Error> {
    let (namespace, selector) = (escape(namespace), escape(&selector.to_string()));
    let path = format!("/api/v1/namespaces/{namespace}/pods?labelSelector={selector}&limit={PAGE}");
    let (mut pods, mut next) = (Vec::new(), String::new());
    loop {
        let page = match next.as_str() {
            "" => path.clone(),
            next => format!("{path}&continue={}", escape(next)),
        };
        let list: PodList = read(client, &page, "PodList").await?;
        pods.extend(list.items.into_iter().flatten());
        next = list.metadata.next;
        if next.is_empty() {
            return Ok(pods);
        }
    }
}

/// The version of an API group to use: the preferred one if it is `known`, else the first known one
/// that is listed; `None` where there is none of them (`custom_metrics/discovery.go`).
pub async fn version_of(
    client: &Client,
    group: &str,
    known: &[&str],
) -> Result<Option<String>, Error> {
    let group: ApiGroup = match read(client, &format!("/apis/{group}"), "APIGroup").await {
        Err(error) if error.is_not_found() => return Ok(None),
        other => other?,
    };
    let listed = group.preferred_version.into_iter().chain(group.versions);
    let mut usable = listed.filter(|it| known.contains(&it.version.as_str()));
    Ok(usable.next().map(|it| it.version))
}

/// Reads what must be of this kind.
async fn read<T: DeserializeOwned>(client: &Client, path: &str, kind: &str) -> Result<T, Error> {
    #[derive(Deserialize)]
    struct Head {
        #[serde(default)]
        kind: String,
    }
    let bytes = client.bytes(path).await?;
    let head: Head = serde_json::from_slice(&bytes).map_err(Error::Unreadable)?;
    match head.kind == kind {
        true => serde_json::from_slice(&bytes).map_err(Error::Unreadable),
        false => Err(unreadable(&format!(
            "it is of kind {:?}, not {kind}",
            head.kind
        ))),
    }
}

fn unreadable(why: &str) -> Error {
    Error::Unreadable(serde_json::Error::custom(why))
}

#[derive(Deserialize)]
struct PodList {
    metadata: ListMeta,
    items: Option<Vec<Pod>>,
}

#[derive(Deserialize)]
struct ListMeta {
    #[serde(default, rename = "continue")]
    next: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ApiGroup {
    preferred_version: Option<GroupVersion>,
    #[serde(default)]
    versions: Vec<GroupVersion>,
}

#[derive(Deserialize)]
struct GroupVersion {
    version: String,
}

fn escape(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
