//! What a controller of Kubernetes 1.36 asked for, and what must not be asked.

use k8s_openapi::api::autoscaling::v2::MetricSpec;
use serde_json::{Value, json};

use crate::autoscale::answer::{self, Api};
use crate::autoscale::request::{Place, api, path};
use crate::autoscale::{NoValues, Values};
use crate::selector::Selector;

fn metric(value: Value) -> MetricSpec {
    serde_json::from_value(value).unwrap()
}

fn ask(metric: &MetricSpec) -> Result<String, NoValues> {
    let place = Place {
        namespace: "shop",
        pods: &Selector::parse("app=webd").unwrap(),
        custom_version: "v1beta2",
    };
    path(metric, &place, |group, kind| match (group, kind) {
        ("", "Service") => Some("services".to_owned()),
        ("apps", "Deployment") => Some("deployments.apps".to_owned()),
        _ => None,
    })
}

fn object(api_version: &str, kind: &str, name: &str, metric_name: &str) -> MetricSpec {
    metric(json!({"type": "Object", "object": {
        "describedObject": {"apiVersion": api_version, "kind": kind, "name": name},
        "metric": {"name": metric_name}, "target": {"type": "Value", "value": "1"},
    }}))
}

fn external(name: &str, selector: Value) -> MetricSpec {
    metric(json!({"type": "External", "external": {
        "metric": {"name": name, "selector": selector}, "target": {"type": "Value", "value": "1"},
    }}))
}

fn pods(name: &str, selector: Value) -> MetricSpec {
    metric(json!({"type": "Pods", "pods": {
        "metric": {"name": name, "selector": selector},
        "target": {"type": "AverageValue", "averageValue": "1"},
    }}))
}

/// The paths are recorded from a real controller and its aggregator.
#[test]
fn the_paths_are_those_the_controller_asks_for() {
    let cpu = metric(json!({"type": "Resource", "resource": {
        "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}));
    let lag = json!({
        "matchLabels": {"topic": "orders"},
        "matchExpressions": [{"key": "partition", "operator": "In", "values": ["0", "1"]}],
    });
    let get = json!({"matchLabels": {"method": "GET"}});
    let custom = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop";
    let external_path = "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop";
    let rows = [
        (
            pods("queue_depth", Value::Null),
            format!("{custom}/pods/%2A/queue_depth?labelSelector=app%3Dwebd"),
        ),
        (
            pods("http_requests_per_second", get),
            format!(
                "{custom}/pods/%2A/http_requests_per_second?labelSelector=app%3Dwebd&metricLabelSelector=method%3DGET"
            ),
        ),
        (
            object("v1", "Service", "web", "svc_latency"),
            format!("{custom}/services/web/svc_latency"),
        ),
        (
            object("v1", "Namespace", "any", "ns_budget"),
            format!("{custom}/metrics/ns_budget"),
        ),
        (
            object("apps/v1", "Deployment", "web", "deploy_backlog"),
            format!("{custom}/deployments.apps/web/deploy_backlog"),
        ),
        (
            external("lag", lag),
            format!("{external_path}/lag?labelSelector=partition+in+%280%2C1%29%2Ctopic%3Dorders"),
        ),
        (
            external("lag_global", json!({})),
            format!("{external_path}/lag_global"),
        ),
        (
            cpu,
            "/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods?labelSelector=app%3Dwebd".to_owned(),
        ),
    ];
    for (metric, want) in rows {
        assert_eq!(ask(&metric), Ok(want));
    }
    // client-go's habit, not recorded.
    let small = format!("{external_path}/queue_depth");
    assert_eq!(ask(&external("Queue_Depth", Value::Null)), Ok(small));
}

#[test]
fn every_operator_of_a_metrics_selector_is_asked_for() {
    let expression = |key: &str, operator: &str, values: Value| json!({"key": key, "operator": operator, "values": values});
    let all = json!({"matchExpressions": [
        expression("d", "NotIn", json!(["y", "x"])),
        expression("c", "DoesNotExist", Value::Null),
        expression("b", "Exists", Value::Null),
    ]});
    let want = "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/m\
                ?labelSelector=b%2C%21c%2Cd+notin+%28x%2Cy%29";
    assert_eq!(ask(&external("m", all)), Ok(want.to_owned()));
}

#[test]
fn what_is_no_selector_is_not_asked_for() {
    let expression = |operator: &str, values: Value| json!({"matchExpressions": [{"key": "k", "operator": operator, "values": values}]});
    let wrong = [
        json!({"matchLabels": {"a": "b,c=d"}}),
        json!({"matchLabels": {"a": "b, c"}}),
        json!({"matchLabels": {"a,b": "c"}}),
        json!({"matchLabels": {"!a": ""}}),
        expression("In", json!(["x),y in (z"])),
        expression("In", json!([])),
        expression("Exists", json!(["x"])),
        expression("Gt", json!(["1"])),
    ];
    for selector in wrong {
        let refused = ask(&external("m", selector.clone())).unwrap_err().0;
        let start = "unable to fetch metrics from external metrics API: ";
        assert!(refused.starts_with(start), "{selector}: {refused}");
    }
}

#[test]
fn names_cannot_leave_their_place_in_the_path() {
    let outside = object("v1", "Service", "../../secrets/x?a", "m/../n");
    let want = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/services/\
                ..%2F..%2Fsecrets%2Fx%3Fa/m%2F..%2Fn";
    assert_eq!(ask(&outside), Ok(want.to_owned()));
}

#[test]
fn an_unknown_kind_is_named() {
    let unknown = ask(&object("shop/v1", "Cart", "c", "m")).unwrap_err().0;
    assert!(
        unknown.contains("no kind \"Cart\" in group \"shop\""),
        "{unknown}"
    );
    let cheddar = metric(json!({"type": "Cheddar"}));
    assert_eq!(api(&cheddar), None);
    assert!(ask(&cheddar).unwrap_err().0.contains("of type Cheddar"));
}

#[test]
fn an_answer_is_read_as_that_of_its_metric() {
    let list = |items: Value| serde_json::to_vec(&json!({"items": items})).unwrap();
    let value = list(json!([{"describedObject": {"name": "web"}, "value": "3"}]));
    let seen = |metric: &MetricSpec| answer::values(metric, &value);
    assert_eq!(
        seen(&object("v1", "Service", "web", "m")),
        Ok(Values::Object(3000))
    );
    assert_eq!(
        seen(&external("m", Value::Null)),
        Ok(Values::External(vec![3000]))
    );
    let Ok(Values::Pods(pods)) = seen(&pods("m", Value::Null)) else {
        panic!("by pod");
    };
    assert_eq!(pods["web"].value, 3000);
    let usage = list(
        json!([{"metadata": {"name": "web-0"}, "window": "15s", "containers": [
            {"name": "app", "usage": {"cpu": "1"}}, {"name": "log", "usage": {"cpu": "2m"}},
        ]}]),
    );
    let of_container = metric(json!({"type": "ContainerResource", "containerResource": {
        "name": "cpu", "container": "log", "target": {"type": "Utilization"}}}));
    assert_eq!(api(&of_container), Some(Api::Resource));
    let Ok(Values::Pods(pods)) = answer::values(&of_container, &usage) else {
        panic!("by pod");
    };
    assert_eq!(pods["web-0"].value, 2);
}
