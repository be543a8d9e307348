//! The manifests, rendered by real `kubectl kustomize` and held to what reads them: Kubernetes' own
//! types, Pod Security, RBAC, the other manifests, and the binary.
//!
//! `schema` checks each object by itself, `together` one against the other, `security` what the pod
//! may and must, `access` what its service account may, `running` starts the binary as manifests do,
//! `rules` asks for what the default rules promise, `monitoring` is about alerts and dashboard,
//! `image` reads the Dockerfile, `readme` what README
//! says of them; `example` is about the shop,
//! `swarm` about it where there is no Kubernetes.

mod access;
mod command;
mod example;
mod image;
mod monitoring;
mod rbac;
mod readme;
mod render;
mod rules;
mod running;
mod schema;
mod security;
mod swarm;
mod together;

use serde_json::Value;

/// The objects of a kind.
fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    let of_kind = objects.iter().filter(|object| object["kind"] == kind);
    of_kind.collect()
}

/// The one object of a kind.
fn the<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    match of_kind(objects, kind).as_slice() {
        [one] => one,
        several => panic!("{} objects are a {kind}", several.len()),
    }
}

/// The ConfigMap with the rules; the others are dashboards.
fn the_rules(objects: &[Value]) -> &Value {
    let maps = of_kind(objects, "ConfigMap").into_iter();
    let rules = maps.filter(|it| it["metadata"]["labels"]["grafana_dashboard"].is_null());
    match rules.collect::<Vec<_>>().as_slice() {
        [one] => one,
        several => panic!("{} ConfigMaps have rules", several.len()),
    }
}

fn text(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} must be text"))
}

fn list(value: &Value) -> &[Value] {
    value
        .as_array()
        .unwrap_or_else(|| panic!("{value} must be a list"))
}

/// The only container of a Deployment.
fn container(deployment: &Value) -> &Value {
    match list(&deployment["spec"]["template"]["spec"]["containers"]) {
        [one] => one,
        several => panic!("{} containers", several.len()),
    }
}

fn arguments(deployment: &Value) -> Vec<&str> {
    list(&container(deployment)["args"])
        .iter()
        .map(text)
        .collect()
}

/// The value of a flag in a list of arguments.
fn flag<'a>(arguments: &[&'a str], name: &str) -> Option<&'a str> {
    let mut values = arguments
        .iter()
        .filter_map(|it| it.strip_prefix("--")?.strip_prefix(name)?.strip_prefix('='));
    values.next_back()
}
