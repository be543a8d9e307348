//! Groups beside the recorded ones, in each form of discovery document.
//!
//! They are kept as aggregated discovery tells them (`APIGroupDiscovery`); the plain documents are
//! made of that, as a real API server makes both of the same kinds.

use serde_json::{Value, json};

/// A group with one kind.
pub(super) fn group(name: &str, plural: &str, kind: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "versions": [{
            "version": "v1", "freshness": "Current", "resources": [resource(plural, kind, true)],
        }],
    })
}

/// A group whose server was never reached: its version is told, its kinds are not.
pub(super) fn unread(name: &str) -> Value {
    let version = json!({"version": "v1", "freshness": "Stale", "resources": []});
    json!({"metadata": {"name": name}, "versions": [version]})
}

/// Groups `crowd-0.example.com` and on, with kinds `things-0` and on dealt out to them in turn.
/// Every tenth is in no namespace.
pub(super) fn crowd(groups: usize, kinds: usize) -> impl Iterator<Item = Value> {
    (0..groups).map(move |group| {
        let of_group = (group..kinds).step_by(groups);
        let resource = |it: usize| {
            resource(
                &format!("things-{it}"),
                &format!("Thing{it}"),
                !it.is_multiple_of(10),
            )
        };
        json!({
            "metadata": {"name": format!("crowd-{group}.example.com")},
            "versions": [{
                "version": "v1", "freshness": "Current",
                "resources": of_group.map(resource).collect::<Vec<_>>(),
            }],
        })
    })
}

/// With status and scale, as a CustomResourceDefinition may have them.
fn resource(plural: &str, kind: &str, namespaced: bool) -> Value {
    let verbs = [
        "delete",
        "deletecollection",
        "get",
        "list",
        "patch",
        "create",
        "update",
        "watch",
    ];
    json!({
        "resource": plural, "scope": if namespaced { "Namespaced" } else { "Cluster" },
        "responseKind": {"group": "", "version": "", "kind": kind},
        "singularResource": kind.to_lowercase(), "verbs": verbs,
        "subresources": [{
            "subresource": "status", "verbs": ["get", "patch", "update"],
            "responseKind": {"group": "", "version": "", "kind": kind},
        }],
    })
}

/// Adds the groups to the document at `/apis`.
pub(super) fn add(document: &mut Value, groups: &[Value]) {
    if let Some(items) = document["items"].as_array_mut() {
        items.extend(groups.iter().cloned());
    } else if let Some(plain) = document["groups"].as_array_mut() {
        plain.extend(groups.iter().map(|group| {
            let name = group["metadata"]["name"].as_str().unwrap_or_default();
            let version = json!({"groupVersion": format!("{name}/v1"), "version": "v1"});
            json!({"name": name, "versions": [version], "preferredVersion": version})
        }));
    }
}

/// The plain document at `/apis/GROUP/VERSION`, if it is one of these groups.
pub(super) fn list(path: &str, groups: &[Value]) -> Option<Value> {
    let name = path.strip_prefix("/apis/")?.strip_suffix("/v1")?;
    let group = groups.iter().find(|it| it["metadata"]["name"] == name)?;
    let version = &group["versions"][0];
    if version["freshness"] == "Stale" {
        return None;
    }
    let mut resources = Vec::new();
    for it in version["resources"].as_array()? {
        let namespaced = it["scope"] == "Namespaced";
        let kind = &it["responseKind"]["kind"];
        let plural = it["resource"].as_str()?;
        resources.push(json!({
            "name": plural, "singularName": it["singularResource"], "namespaced": namespaced,
            "kind": kind, "verbs": it["verbs"],
        }));
        resources.push(json!({
            "name": format!("{plural}/status"), "singularName": "", "namespaced": namespaced,
            "kind": kind, "verbs": ["get", "patch", "update"],
        }));
    }
    Some(json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": format!("{name}/v1"),
        "resources": resources,
    }))
}
