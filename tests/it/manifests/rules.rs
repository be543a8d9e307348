//! The rules that everybody begins with, over a real Prometheus with the series that they expect.

use std::time::Duration;

use serde_json::Value;

use super::render::manifests;
use crate::support::adapter::Adapter;
use crate::support::exporter::Exporter;
use crate::support::poll;
use crate::support::prometheus::{Prometheus, TargetLabels};

const OBJECTS: &str = r"
{apiVersion: v1, kind: Namespace, metadata: {name: shop}}
---
apiVersion: v1
kind: Pod
metadata: {name: web-a, namespace: shop}
spec: {containers: [{name: web}]}
---
{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}}
---
{apiVersion: v1, kind: Node, metadata: {name: node-1}}
";

/// Series whose value stays, and those that rise by theirs each second.
const STILL: [(&str, f64); 8] = [
    (r#"worker_queue_depth{namespace="shop",pod="web-a"}"#, 7.0),
    (
        r#"rabbitmq_queue_messages_ready{namespace="shop",queue="orders"}"#,
        12.0,
    ),
    (
        r#"kafka_consumergroup_lag{namespace="shop",consumergroup="bills",topic="orders"}"#,
        3.0,
    ),
    (
        r#"container_memory_working_set_bytes{namespace="shop",pod="web-a",container="web"}"#,
        1_048_576.0,
    ),
    (
        r#"node_namespace_pod:kube_pod_info:{namespace="mon",pod="ne-a",node="node-1"}"#,
        1.0,
    ),
    ("node_memory_MemTotal_bytes", 4_194_304.0),
    ("node_memory_MemAvailable_bytes", 1_048_576.0),
    (
        r#"http_request_duration_seconds_sum{namespace="shop",pod="web-a"}"#,
        1.0,
    ),
];
const RISING: [(&str, f64); 5] = [
    (
        r#"http_requests_total{namespace="shop",pod="web-a",service="web"}"#,
        10.0,
    ),
    (
        r#"http_request_duration_seconds_bucket{namespace="shop",pod="web-a",le="0.5"}"#,
        5.0,
    ),
    (
        r#"http_request_duration_seconds_bucket{namespace="shop",pod="web-a",le="+Inf"}"#,
        5.0,
    ),
    (
        r#"container_cpu_usage_seconds_total{namespace="shop",pod="web-a",container="web"}"#,
        0.25,
    ),
    (
        r#"node_cpu_seconds_total{namespace="mon",pod="ne-a",cpu="0",mode="idle"}"#,
        0.5,
    ),
];

fn exposition(elapsed: Duration) -> String {
    let time = 1.0 + elapsed.as_secs_f64();
    let still = STILL
        .iter()
        .map(|(series, value)| format!("{series} {value}\n"));
    let rising = RISING
        .iter()
        .map(|(series, rate)| format!("{series} {}\n", rate * time));
    still.chain(rising).collect()
}

#[tokio::test]
async fn the_default_rules_answer_all_that_their_comments_promise() {
    let rules = std::fs::read_to_string(manifests().join("base/config.yaml")).unwrap();
    let exporter = Exporter::start(exposition).await;
    let labels = TargetLabels::Added {
        job: "node-exporter",
        instance: "node-1",
    };
    let prometheus = Prometheus::start(&[exporter.address], labels).await;
    prometheus
        .wait_for(&["rate(http_requests_total[1m])", "worker_queue_depth"])
        .await;
    let adapter = Adapter::standalone(OBJECTS, &rules, &prometheus.url, &[]).await;
    let adapter = adapter.unwrap_or_else(|refusal| panic!("{}", refusal.stderr));
    let custom = "custom.metrics.k8s.io/v1beta2/namespaces/shop";
    let external = "external.metrics.k8s.io/v1beta1/namespaces/shop";
    let value = "/items/0/value";
    let promised = [
        (custom, "pods/web-a/http_requests_per_second", value, ""),
        (custom, "services/web/http_requests_per_second", value, ""),
        (custom, "metrics/http_requests_per_second", value, ""),
        (
            custom,
            "pods/web-a/http_request_duration_seconds_p95",
            value,
            "475m",
        ),
        (custom, "pods/web-a/worker_queue_depth", value, "7"),
        (external, "rabbitmq_queue_messages_ready", value, "12"),
        (external, "kafka_consumergroup_lag", value, "3"),
        (
            "metrics.k8s.io/v1beta1",
            "nodes/node-1",
            "/usage/memory",
            "3Mi",
        ),
        (
            "metrics.k8s.io/v1beta1/namespaces/shop",
            "pods/web-a",
            "/containers/0/usage/memory",
            "1Mi",
        ),
    ];
    for (api, ask, place, expected) in promised {
        let path = format!("/apis/{api}/{ask}");
        let answered = async || {
            let answer = adapter.get(&path).await;
            let body: Value = serde_json::from_str(&answer.body).map_err(|e| e.to_string())?;
            match body.pointer(place).and_then(Value::as_str) {
                Some(value) if expected.is_empty() || value == expected => Ok(()),
                _ => Err(body.to_string()),
            }
        };
        poll::until(&path, Duration::from_secs(30), answered).await;
    }
}
