//! The example's rules over a real Prometheus: each value is the one that is computed by hand, asked
//! for by the paths that the HPA controller asks.

use std::collections::BTreeMap;

use tidegauge::autoscale::request::{self, Place};
use tidegauge::autoscale::{Values, answer, metrics};
use tidegauge::selector::Selector;

use super::{autoscaler, file};
use crate::support::adapter::Adapter;
use crate::support::prometheus::{Prometheus, history};

/// Two pods that serve, one that nobody asks, one that Prometheus has not seen, and a worker.
const OBJECTS: &str = r"
{apiVersion: v1, kind: Namespace, metadata: {name: shop}}
---
{apiVersion: v1, kind: Node, metadata: {name: node-1}}
---
{apiVersion: v1, kind: Service, metadata: {name: shop, namespace: shop}}
---
apiVersion: v1
kind: Pod
metadata: {name: shop-a, namespace: shop, labels: {app.kubernetes.io/component: web}}
spec: {containers: [{name: shop}]}
---
apiVersion: v1
kind: Pod
metadata: {name: shop-b, namespace: shop, labels: {app.kubernetes.io/component: web}}
spec: {containers: [{name: shop}]}
---
apiVersion: v1
kind: Pod
metadata: {name: shop-idle, namespace: shop, labels: {app.kubernetes.io/component: web}}
spec: {containers: [{name: shop}]}
---
apiVersion: v1
kind: Pod
metadata: {name: shop-new, namespace: shop, labels: {app.kubernetes.io/component: web}}
spec: {containers: [{name: shop}]}
---
apiVersion: v1
kind: Pod
metadata: {name: shop-worker-a, namespace: shop, labels: {app.kubernetes.io/component: worker}}
spec: {containers: [{name: shop}]}
";

/// Counters of the web pods, and how much each rises in a second. Of 15 requests to shop-a ten take up to
/// 0.1 s, four up to 0.5 s, one up to 1 s.
const WEB: &str = r#"
http_requests_total{pod="shop-a",service="shop",method="GET",route="/cart",code="200"} 10
http_requests_total{pod="shop-a",service="shop",method="POST",route="/orders",code="201"} 4
http_requests_total{pod="shop-a",service="shop",method="POST",route="/orders",code="503"} 1
http_requests_total{pod="shop-b",service="shop",method="GET",route="/",code="200"} 24
http_requests_total{pod="shop-b",service="shop",method="GET",route="/orders/{id}",code="404"} 1
http_requests_total{pod="shop-idle",service="shop",method="GET",route="/",code="200"} 0
http_request_duration_seconds_bucket{pod="shop-a",service="shop",method="GET",route="/cart",le="0.1"} 10
http_request_duration_seconds_bucket{pod="shop-a",service="shop",method="GET",route="/cart",le="0.5"} 10
http_request_duration_seconds_bucket{pod="shop-a",service="shop",method="GET",route="/cart",le="1.0"} 10
http_request_duration_seconds_bucket{pod="shop-a",service="shop",method="GET",route="/cart",le="+Inf"} 10
http_request_duration_seconds_bucket{pod="shop-a",service="shop",method="POST",route="/orders",le="0.1"} 0
http_request_duration_seconds_bucket{pod="shop-a",service="shop",method="POST",route="/orders",le="0.5"} 4
http_request_duration_seconds_bucket{pod="shop-a",service="shop",method="POST",route="/orders",le="1.0"} 5
http_request_duration_seconds_bucket{pod="shop-a",service="shop",method="POST",route="/orders",le="+Inf"} 5
http_request_duration_seconds_bucket{pod="shop-b",service="shop",method="GET",route="/",le="0.1"} 25
http_request_duration_seconds_bucket{pod="shop-b",service="shop",method="GET",route="/",le="0.5"} 25
http_request_duration_seconds_bucket{pod="shop-b",service="shop",method="GET",route="/",le="1.0"} 25
http_request_duration_seconds_bucket{pod="shop-b",service="shop",method="GET",route="/",le="+Inf"} 25
http_request_duration_seconds_bucket{pod="shop-idle",service="shop",method="GET",route="/",le="0.1"} 0
http_request_duration_seconds_bucket{pod="shop-idle",service="shop",method="GET",route="/",le="+Inf"} 0
process_cpu_seconds_total{pod="shop-a",service="shop"} 0.25
process_cpu_seconds_total{pod="shop-b",service="shop"} 0.5
container_cpu_usage_seconds_total{pod="shop-a"} 0.125
container_cpu_usage_seconds_total{pod="shop-b"} 0.0625
"#;

/// What monitors add, but for `pod` and `service`.
const LABELS: &str = r#"namespace="shop",container="shop",node="node-1""#;

/// Values that stay, of all pods.
const STILL: &str = r#"
shop_orders_waiting{pod="shop-a",service="shop"} 37
shop_orders_waiting{pod="shop-b",service="shop"} 41
shop_orders_waiting{pod="shop-worker-a"} 40
process_resident_memory_bytes{pod="shop-a"} 33554432
process_resident_memory_bytes{pod="shop-b"} 16777216
container_memory_working_set_bytes{pod="shop-a"} 25165824
container_memory_working_set_bytes{pod="shop-b"} 8388608
"#;

/// What an autoscaler gets for each of its metrics, in its order.
async fn asked(adapter: &Adapter, hpa: &str, selector: &str) -> Vec<Values> {
    let pods = Selector::parse(selector).unwrap();
    let place = Place {
        namespace: "shop",
        pods: &pods,
        custom_version: "v1beta2",
    };
    let mut all = Vec::new();
    for metric in metrics(&autoscaler(hpa)) {
        let path = request::path(&metric, &place, |_, kind| {
            Some(format!("{}s", kind.to_lowercase()))
        });
        let answer = adapter.get(&path.unwrap()).await;
        let values = answer::values(&metric, &answer.bytes);
        all.push(values.unwrap_or_else(|why| panic!("{hpa}: {why}: {}", answer.body)));
    }
    all
}

/// The values of pods, in thousandths.
fn of_pods(values: &Values) -> BTreeMap<&str, i64> {
    match values {
        Values::Pods(pods) => pods
            .iter()
            .map(|(name, it)| (name.as_str(), it.value))
            .collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_autoscalers_of_the_example_get_what_one_computes_by_hand() {
    let prometheus = Prometheus::holding(&history(WEB, STILL, LABELS)).await;
    let process = format!(
        "{}{}",
        file("adapter-rules.yaml")
            .split("resourceRules:")
            .next()
            .unwrap(),
        file("adapter-rules-process.yaml"),
    );
    // CPU in thousandths of a core and memory in thousandths of a byte, of shop-a and shop-b.
    let cadvisor = (
        file("adapter-rules.yaml"),
        [125, 63],
        [25_165_824, 8_388_608],
    );
    let process = (process, [250, 500], [33_554_432, 16_777_216]);
    for (rules, cpu, memory) in [cadvisor, process] {
        let adapter = Adapter::standalone(OBJECTS, &rules, &prometheus.url, &[]).await;
        let adapter = adapter.unwrap_or_else(|refusal| panic!("{}", refusal.stderr));
        let web = "app.kubernetes.io/component=web";
        let values = asked(&adapter, "hpa.yaml", web).await;
        // The idle pod has nothing to do, which is a value; of the new one nothing is known.
        let requests = BTreeMap::from([("shop-a", 15_000), ("shop-b", 25_000), ("shop-idle", 0)]);
        assert_eq!(of_pods(&values[0]), requests);
        let pair = |of: [i64; 2]| BTreeMap::from([("shop-a", of[0]), ("shop-b", of[1])]);
        assert_eq!(of_pods(&values[1]), pair(cpu));
        assert_eq!(of_pods(&values[2]), pair(memory.map(|bytes| bytes * 1000)));
        // Of 40 requests 39.6 are to be within it: 39 are within 0.5 s, and 0.6 of the next one's way
        // to 1 s is 0.8 s.
        assert_eq!(values[3], Values::Object(800));
        let worker = "app.kubernetes.io/component=worker";
        let values = asked(&adapter, "hpa-worker.yaml", worker).await;
        assert_eq!(values, [Values::External(vec![41_000])]);
        for (path, expected) in [
            ("services/shop/http_requests_per_second", Some("40")),
            ("services/shop/http_error_ratio", Some("25m")),
            ("metrics/http_error_ratio", Some("25m")),
            ("pods/shop-b/http_error_ratio", Some("0")),
            ("pods/shop-idle/http_error_ratio", Some("0")),
            (
                "pods/shop-a/http_request_duration_seconds_p99",
                Some("925m"),
            ),
            ("pods/shop-b/http_request_duration_seconds_p99", Some("99m")),
            (
                "pods/shop-idle/http_request_duration_seconds_p99",
                Some("0"),
            ),
            // Not known is not zero.
            ("pods/shop-new/http_request_duration_seconds_p99", None),
            ("pods/shop-new/http_error_ratio", None),
        ] {
            let path = format!("/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/{path}");
            let answer = adapter.get(&path).await;
            let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
            let value = body.pointer("/items/0/value").and_then(|it| it.as_str());
            assert_eq!(value, expected, "{path}: {body}");
        }
    }
}
