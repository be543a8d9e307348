//! The aggregated discovery document that ours must give: what the recorded plain documents list.

use serde_json::{Value, json};

use super::{Expected, json_of};
use crate::recorded::exchanges;

/// Go registers nothing but resource metrics with its aggregated discovery. Ours has what the plain
/// documents of the recording list, grouped by what stands before the slash.
pub(super) fn every_group(expected: &mut Expected) {
    let versions = [
        ("custom.metrics.k8s.io", &["v1beta2", "v1beta1"][..]),
        ("external.metrics.k8s.io", &["v1beta1"]),
        ("metrics.k8s.io", &["v1beta1", "v1"]),
    ];
    let groups = versions.map(|(group, versions)| {
        let versions: Vec<Value> = versions
            .iter()
            .map(|version| {
                let resources = resources_of(group, version);
                json!({"version": version, "freshness": "Current", "resources": resources})
            })
            .collect();
        json!({"metadata": {"name": group}, "versions": versions})
    });
    json_of(expected)["items"] = json!(groups);
}

/// The resources of one version, from its recorded list; v1 of the resource metrics lists the same as
/// v1beta1.
fn resources_of(group: &str, version: &str) -> Vec<Value> {
    let listed = if version == "v1" { "v1beta1" } else { version };
    let path = format!("/apis/{group}/{listed}");
    let exchanges = exchanges();
    let recorded = exchanges
        .iter()
        .find(|it| it.path == path && it.status == 200);
    let recorded = recorded.expect("each list must be recorded");
    let list: Value = serde_json::from_str(&recorded.resp).expect("a list must be JSON");
    let mut resources: Vec<Value> = Vec::new();
    for entry in list["resources"]
        .as_array()
        .expect("a list must have resources")
    {
        let name = entry["name"].as_str().unwrap_or_default();
        let kind = json!({"group": group, "version": version, "kind": entry["kind"]});
        let scope = if entry["namespaced"] == true {
            "Namespaced"
        } else {
            "Cluster"
        };
        let resource = |name: &str, kind: Value, verbs: &Value| {
            json!({"resource": name, "responseKind": kind, "scope": scope,
                "singularResource": "", "verbs": verbs})
        };
        let Some((parent, subresource)) = name.split_once('/') else {
            resources.push(resource(name, kind, &entry["verbs"]));
            continue;
        };
        let found = resources.iter().position(|it| it["resource"] == parent);
        let at = found.unwrap_or_else(|| {
            let none = json!({"group": "", "version": "", "kind": ""});
            let mut place = resource(parent, none, &json!([]));
            place["subresources"] = json!([]);
            resources.push(place);
            resources.len() - 1
        });
        let subresources = resources[at]["subresources"].as_array_mut();
        subresources.expect("it was just made").push(
            json!({"subresource": subresource, "responseKind": kind, "verbs": entry["verbs"]}),
        );
    }
    resources
}
