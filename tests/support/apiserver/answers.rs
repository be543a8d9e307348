//! What the API server answers: recorded documents, and lists and reviews in their shape.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Call, VALID_TOKEN, World, kinds};

const RECORDED: &str = include_str!("../../data/recorded/apiserver.jsonl");

/// Status and body.
pub(super) fn answer(call: &Call, world: &mut World) -> (u16, Value) {
    let aggregated = world.aggregates && call.accept.contains("as=APIGroupDiscoveryList");
    let form = if aggregated {
        "application/json;g=apidiscovery"
    } else {
        "application/json"
    };
    let path = call.path.as_str();
    if let Some(answer) = world.workloads.answer(call) {
        return answer;
    }
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
        map["metadata"]["resourceVersion"] = json!(world.published.borrow().to_string());
        return (status, map);
    }
    if path.ends_with("/kube-system/configmaps") {
        // As Go's informers ask: the one map, by a field selector.
        let name = "extension-apiserver-authentication";
        let (status, map) = answer(&call.at(&format!("{path}/{name}")), world);
        let version = map["metadata"]["resourceVersion"].clone();
        let list = json!({"kind": "ConfigMapList", "apiVersion": "v1",
            "metadata": {"resourceVersion": version}, "items": [map]});
        return (status, list);
    }
    if world.objects.has_kind(call.plural()) {
        return (200, world.objects.list(call, world.page));
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

/// The metadata of a recorded pod, as a list has it.
pub(super) fn recorded_pod() -> Value {
    let (_, mut list) = recorded(|it| {
        it["path"]
            .as_str()
            .is_some_and(|it| it.starts_with("/api/v1/namespaces/shop/pods?labelSelector"))
    });
    list["items"][0].take()
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
