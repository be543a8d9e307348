//! What the API server answers: recorded documents, and lists and reviews in their shape.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tidegauge::selector::Selector;

use super::{Call, VALID_TOKEN, World, kinds};

const RECORDED: &str = include_str!("../../data/recorded/apiserver.jsonl");

/// Namespace, name, and label `app`.
const PODS: [(&str, &str, &str); 4] = [
    ("shop", "web-a", "web"),
    ("shop", "web-b", "web"),
    ("shop", "web-c", "web"),
    ("bank", "teller-a", "teller"),
];

/// Status and body.
pub(super) fn answer(call: &Call, world: &World) -> (u16, Value) {
    let aggregated = world.aggregates && call.accept.contains("as=APIGroupDiscoveryList");
    let form = if aggregated {
        "application/json;g=apidiscovery"
    } else {
        "application/json"
    };
    let path = call.path.as_str();
    if path.ends_with("/subjectaccessreviews") {
        let mut review = call.body.clone();
        let spec = &call.body["spec"];
        let granted = world.grants.iter().any(|grant| grant.allows(spec));
        review["status"] = json!({"allowed": granted || is_allowed(spec)});
        return (201, review);
    }
    if path.ends_with("/tokenreviews") {
        let token = &call.body["spec"]["token"];
        let known = token == VALID_TOKEN && !world.revoked.iter().any(|it| token == it);
        let spec = json!({"token": if known { VALID_TOKEN } else { "nonsense" }});
        let (_, mut review) = recorded(|it| it["req_body"]["spec"] == spec);
        review["spec"] = call.body["spec"].clone();
        return (201, review);
    }
    if path.ends_with("/configmaps/extension-apiserver-authentication") {
        let (status, mut map) = recorded(|it| it["path"] == path);
        map["data"] = json!(world.trust);
        return (status, map);
    }
    if path.ends_with("/pods") {
        return (200, pods(call, world.page));
    }
    if let Some(list) = kinds::list(path, &world.groups) {
        return (200, list);
    }
    let (status, mut document) = recorded(|it| {
        it["path"] == path && it["accept"].as_str().unwrap_or_default().starts_with(form)
    });
    if path == "/apis" {
        kinds::add(&mut document, &world.groups);
    }
    (status, document)
}

/// A recorded answer, or 404.
fn recorded(is_it: impl Fn(&Value) -> bool) -> (u16, Value) {
    let mut lines = RECORDED
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("each recorded line must be JSON"));
    let Some(found) = lines.find(|line| is_it(line)) else {
        return refusal(404, "the server could not find the requested resource");
    };
    let body = found["resp"]
        .as_str()
        .expect("each recorded answer must be text");
    let status = found["status"]
        .as_u64()
        .and_then(|status| u16::try_from(status).ok());
    (
        status.expect("each recorded answer must have a status"),
        serde_json::from_str(body).expect("these recorded answers must be JSON"),
    )
}

/// The data of the recorded ConfigMap.
pub(super) fn recorded_trust() -> BTreeMap<String, String> {
    let (_, map) = recorded(|it| {
        it["path"]
            .as_str()
            .is_some_and(|it| it.contains("/configmaps/"))
    });
    serde_json::from_value(map["data"].clone()).expect("the recorded ConfigMap must have data")
}

/// A `metav1.Status`.
pub(super) fn refusal(code: u16, message: &str) -> (u16, Value) {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "code": code,
    });
    (code, status)
}

/// Metadata of pods, `page` or `limit` at once; a place in the list is the `continue` token.
fn pods(call: &Call, page: usize) -> Value {
    let parameter = |name: &str| {
        let found = call.query.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    };
    let selector = Selector::parse(parameter("labelSelector")).expect("a valid selector must come");
    let inside = call
        .path
        .strip_prefix("/api/v1/namespaces/")
        .and_then(|it| it.split_once('/'));
    let matches = |namespace: &str, app: &str| {
        let labels = BTreeMap::from([("app".to_owned(), app.to_owned())]);
        inside.is_none_or(|(asked, _)| asked == namespace) && selector.matches(&labels)
    };
    let all: Vec<_> = PODS
        .iter()
        .filter(|(namespace, _, app)| matches(namespace, app))
        .collect();
    let from: usize = parameter("continue")
        .trim_end_matches("+/=")
        .parse()
        .unwrap_or_default();
    let page = page.min(parameter("limit").parse().unwrap_or(usize::MAX));
    let until = from.saturating_add(page).min(all.len());
    let items = all[from..until].iter().map(|(namespace, name, app)| {
        json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
            "metadata": {"name": name, "namespace": namespace, "labels": {"app": app}}})
    });
    // A token of a real server is opaque and needs escaping.
    let next = if until < all.len() {
        format!("{until}+/=")
    } else {
        String::new()
    };
    json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": "6574", "continue": next}, "items": items.collect::<Vec<_>>()})
}

/// The default roles of the recorded cluster: discovery for everybody who is known, health and
/// version for all, metrics for the autoscaler and for the one service account with a token.
fn is_allowed(spec: &Value) -> bool {
    let groups: Vec<&str> = spec["groups"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let path = spec["nonResourceAttributes"]["path"]
        .as_str()
        .unwrap_or_default();
    let known = groups.contains(&"system:authenticated");
    let discovery = ["/apis", "/openapi/"].iter().any(|it| path.starts_with(it));
    let group = spec["resourceAttributes"]["group"]
        .as_str()
        .unwrap_or_default();
    let may_read = [
        "system:serviceaccount:kube-system:horizontal-pod-autoscaler",
        "system:serviceaccount:shop:default",
    ];
    path == "/version"
        || (known && discovery)
        || (spec["user"]
            .as_str()
            .is_some_and(|user| may_read.contains(&user))
            && [
                "custom.metrics.k8s.io",
                "external.metrics.k8s.io",
                "metrics.k8s.io",
            ]
            .contains(&group))
}
