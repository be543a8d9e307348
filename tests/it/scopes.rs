//! Objects that are in no namespace, asked for as the HPA controller asks: below its own.

use serde_json::Value;

use crate::support::adapter::{Adapter, EACH_ASK};
use crate::support::exporter::{self, Exporter};
use crate::support::prometheus::{Prometheus, TargetLabels};
use crate::support::tap::Tap;

const RULES: &str = r#"
rules:
- seriesQuery: 'node_temp{node!=""}'
  resources: {overrides: {node: {resource: node}, namespace: {resource: namespace}}}
  metricsQuery: max(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)
- seriesQuery: 'class_iops{class!=""}'
  resources: {overrides: {class: {group: storage.k8s.io, resource: storageclass}}}
  metricsQuery: max(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)
- seriesQuery: 'class_used{class!="",namespace!=""}'
  resources:
    overrides: {class: {group: storage.k8s.io, resource: storageclass}, namespace: {resource: namespace}}
  metricsQuery: max(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)
"#;

const OBJECTS: &str = "
{apiVersion: v1, kind: Node, metadata: {name: node-1, labels: {zone: a}}}
---
{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: fast}}
";

// The exporter of nodes runs in a namespace of its own.
const SERIES: &str = "node_temp{namespace=\"monitoring\",node=\"node-1\"} 41\n\
    class_iops{class=\"fast\"} 7\n\
    class_used{class=\"fast\",namespace=\"shop\"} 3\n\
    class_used{class=\"fast\",namespace=\"bank\"} 9\n";

#[tokio::test]
async fn a_cluster_scoped_object_is_found_below_the_namespace_of_the_autoscaler() {
    let exporter = Exporter::start(|elapsed| exporter::rising(SERIES, elapsed)).await;
    let prometheus = Prometheus::start(&[exporter.address], TargetLabels::Dropped).await;
    prometheus
        .wait_for(&["node_temp", "class_iops", "class_used"])
        .await;
    let tap = Tap::start(&prometheus.url).await;
    let adapter = Adapter::standalone(OBJECTS, RULES, &tap.url, EACH_ASK).await;
    let mut adapter = adapter.unwrap_or_else(|refusal| panic!("{}", refusal.stderr));
    adapter.ready().await.unwrap();
    let at = "/apis/custom.metrics.k8s.io/v1beta2";
    for (path, value, namespace, promql) in [
        (
            "namespaces/shop/nodes/node-1/node_temp",
            "41",
            None,
            "max(node_temp{node=\"node-1\"}) by (node)",
        ),
        (
            "namespaces/shop/nodes/*/node_temp?labelSelector=zone%3Da",
            "41",
            None,
            "max(node_temp{node=\"node-1\"}) by (node)",
        ),
        (
            "nodes/node-1/node_temp",
            "41",
            None,
            "max(node_temp{node=\"node-1\"}) by (node)",
        ),
        (
            "namespaces/shop/storageclasses.storage.k8s.io/fast/class_iops",
            "7",
            None,
            "max(class_iops{class=\"fast\"}) by (class)",
        ),
        // As in the Go adapter: whoever scales on this keeps the number.
        (
            "namespaces/shop/storageclasses.storage.k8s.io/fast/class_used",
            "3",
            Some("shop"),
            "max(class_used{namespace=\"shop\",class=\"fast\"}) by (class)",
        ),
    ] {
        tap.take();
        let answer = adapter.get(&format!("{at}/{path}")).await;
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        let item = &body["items"][0];
        assert_eq!(item["value"], value, "{path}: {body}");
        assert_eq!(
            item["describedObject"]["namespace"].as_str(),
            namespace,
            "{path}"
        );
        assert_eq!(tap.take_queries(), [promql], "{path}");
    }
    // A namespace has a path of its own below itself.
    let answer = adapter
        .get(&format!("{at}/namespaces/shop/namespaces/shop/node_temp"))
        .await;
    assert_eq!(answer.status, 404, "{}", answer.body);
}
