//! Queries that are too long for one: asked in parts over the real Prometheus, or refused by name.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use hyper::StatusCode;
use serde_json::Value;

use crate::support::adapter::Adapter;
use crate::support::exporter::Exporter;
use crate::support::prometheus::{Prometheus, TargetLabels};
use crate::support::tap::Tap;

const RULES: &str = r#"
rules:
- seriesQuery: 'depth{namespace!="",pod!=""}'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)'
- seriesQuery: 'depth{namespace!="",pod!=""}'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  name: {as: highest}
  metricsQuery: 'topk(9, sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>))'
externalRules:
- seriesQuery: 'depth{namespace!="",pod!=""}'
  resources: {namespaced: false}
  metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>})'
"#;
const PODS: usize = 600;

#[tokio::test]
async fn a_long_query_is_asked_in_parts_or_refused_and_never_answered_in_part() {
    let (mut objects, mut exposition) = (String::new(), String::new());
    for pod in 0..PODS {
        let name = format!("web-{:06}", pod * 7919);
        let metadata = format!("{{name: {name}, namespace: shop}}");
        writeln!(
            objects,
            "{{apiVersion: v1, kind: Pod, metadata: {metadata}}}\n---"
        )
        .unwrap();
        writeln!(
            exposition,
            "depth{{namespace=\"shop\",pod=\"{name}\"}} {pod}"
        )
        .unwrap();
    }
    let exporter = Exporter::start(move |_| exposition.clone()).await;
    let prometheus = Prometheus::start(&[exporter.address], TargetLabels::Dropped).await;
    prometheus.wait_for(&["depth"]).await;
    let tap = Tap::start(&prometheus.url).await;
    let flags = &["--widening=off", "--max-query-bytes=1KiB"];
    let adapter = Adapter::standalone(&objects, RULES, &tap.url, flags).await;
    let adapter = adapter.unwrap_or_else(|refusal| panic!("{}", refusal.stderr));

    let at = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*";
    let answer = adapter.get(&format!("{at}/depth")).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    let values = body["items"].as_array().unwrap().iter().map(|item| {
        let value: usize = item["value"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap_or(usize::MAX);
        let name = item["describedObject"]["name"].as_str().unwrap();
        assert_eq!(name, format!("web-{:06}", value * 7919));
        value
    });
    // 1000 is written as 1k, but there are not so many.
    let values: BTreeSet<usize> = values.collect();
    assert_eq!(values, (0..PODS).collect());
    let queries = tap.take_queries();
    assert!(queries.len() > 1, "{queries:?}");
    assert!(
        queries.iter().all(|query| query.len() <= 1024),
        "{queries:?}"
    );

    let refused = adapter.get(&format!("{at}/highest")).await;
    assert_eq!(refused.status, StatusCode::INTERNAL_SERVER_ERROR);
    let expected = "more than --max-query-bytes (1024), and it cannot be asked in parts: this";
    assert!(refused.body.contains(expected), "{refused:?}");
    let many = (0..500).map(|queue| format!("queue-{:06}", queue * 1987));
    let many = many.collect::<Vec<_>>().join("%2C");
    let external = "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/depth";
    let selected = format!("{external}?labelSelector=queue+in+%28{many}%29");
    let refused = adapter.get(&selected).await;
    assert!(
        refused.body.contains("more than --max-query-bytes (1024)"),
        "{refused:?}"
    );
    assert_eq!(tap.take_queries(), [""; 0]);
}
