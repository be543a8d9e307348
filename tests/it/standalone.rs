//! A world without a cluster: the objects file, real kubectl, and what is refused.

use std::process::Command;
use std::time::Duration;

use hyper::StatusCode;
use serde_json::Value;

use crate::support::adapter::Adapter;
use crate::support::exporter::Exporter;
use crate::support::poll;
use crate::support::prometheus::{Prometheus, TargetLabels};

const RULES: &str = r#"
rules:
- seriesQuery: '{__name__=~"depth.*",namespace!=""}'
  resources: {template: "<<.Resource>>"}
  metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)'
- seriesQuery: '{__name__=~"level.*",namespace!=""}'
  resources:
    overrides: {namespace: {resource: namespace}, gauge: {group: acme.io, resource: gauge}}
  metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)'
"#;
const POD: &str = "{apiVersion: v1, kind: Pod, metadata: {name: web-a, namespace: shop}}\n---\n";
const CRD: &str = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gauges.acme.io}
spec:
  group: acme.io
  names: {plural: gauges, singular: gauge, kind: Gauge}
  scope: Namespaced
  versions: [{name: v1, served: true, storage: true}]
---
{apiVersion: acme.io/v1, kind: Gauge, metadata: {name: tide, namespace: shop}}
"#;
const EXPOSITION: &str = "depth{namespace=\"shop\",pod=\"web-a\"} 1\n\
                          depth{namespace=\"shop\",pod=\"web-b\"} 2\n\
                          level{namespace=\"shop\",gauge=\"tide\"} 3\n";
const PODS: &str = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/depth";
const GAUGES: &str = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/gauges.acme.io/*/level";

async fn world(objects: &str) -> (Adapter, Prometheus, Exporter) {
    let exporter = Exporter::start(|_| EXPOSITION.to_owned()).await;
    let prometheus = Prometheus::start(&[exporter.address], TargetLabels::Dropped).await;
    prometheus.wait_for(&["depth", "level"]).await;
    let adapter = Adapter::standalone(objects, RULES, &prometheus.url, &[]).await;
    (adapter.expect("the rules must load"), prometheus, exporter)
}

/// The names that a list describes, once they are these.
async fn until_described(adapter: &Adapter, path: &str, expected: &[&str]) {
    let described = async || {
        let answer = adapter.get(path).await;
        let body: Value = serde_json::from_str(&answer.body).map_err(|e| e.to_string())?;
        let items = body["items"].as_array().ok_or_else(|| body.to_string())?;
        let names = items
            .iter()
            .filter_map(|item| item["describedObject"]["name"].as_str());
        match names.collect::<Vec<_>>() == expected {
            true => Ok(()),
            false => Err(body.to_string()),
        }
    };
    let outcome = poll::try_until(path, Duration::from_secs(30), described).await;
    outcome.unwrap_or_else(|last| panic!("{last}\n{}", adapter.stderr()));
}

#[tokio::test]
async fn the_objects_file_is_followed_and_a_bad_one_never_replaces_a_good_one() {
    let (adapter, _prometheus, _exporter) = world(&format!("{POD}{CRD}")).await;
    until_described(&adapter, PODS, &["web-a"]).await;
    until_described(&adapter, GAUGES, &["tide"]).await;

    adapter.rewrite(
        "objects.yaml",
        &format!("{POD}{}", POD.replace("web-a", "web-b")),
    );
    until_described(&adapter, PODS, &["web-a", "web-b"]).await;
    // Without its definition nobody knows the kind, once the next relist has seen that.
    let unknown = async || match adapter.get(GAUGES).await {
        answer if answer.status == StatusCode::INTERNAL_SERVER_ERROR => Ok(()),
        answer => Err(answer.body),
    };
    let outcome = poll::try_until("the kind is gone", Duration::from_secs(30), unknown).await;
    outcome.expect("a kind without a definition must be unknown");

    adapter.rewrite("objects.yaml", "{apiVersion: v1, kind: Pod}");
    let refused = async || match adapter
        .stderr()
        .contains("document 1: has no metadata.name")
    {
        true => Ok(()),
        false => Err(adapter.stderr()),
    };
    let outcome = poll::try_until("the bad file is told", Duration::from_secs(30), refused).await;
    outcome.expect("a bad file must be told");
    until_described(&adapter, PODS, &["web-a", "web-b"]).await;
}

#[tokio::test]
async fn kubectl_gets_the_numbers() {
    if Command::new("kubectl")
        .arg("version")
        .arg("--client")
        .output()
        .is_err()
    {
        // Debian has no current kubectl; where somebody put one, it is asked.
        return;
    }
    let (adapter, _prometheus, _exporter) = world(POD).await;
    until_described(&adapter, PODS, &["web-a"]).await;
    let server = format!("--server={}", adapter.url);
    let kubectl = |arguments: &[&str]| {
        let output = Command::new("kubectl")
            .arg(&server)
            .args(arguments)
            .output();
        output.expect("kubectl must start")
    };
    let output = kubectl(&["get", "--raw", PODS]);
    let body: Value = serde_json::from_slice(&output.stdout).expect("kubectl must print JSON");
    assert_eq!(body["items"][0]["value"], "1", "{body}");
    let missing = kubectl(&["get", "--raw", &PODS.replace("depth", "nope")]);
    let told = String::from_utf8_lossy(&missing.stderr).into_owned();
    let expected = "Error from server (NotFound): the server could not find the metric nope for pods: no rule \
                    makes it";
    assert_eq!(told.trim(), expected);
}

#[tokio::test]
async fn what_cannot_be_served_is_refused_at_the_start() {
    let start = async |objects: &str, rules: &str, flags: &[&str]| {
        let started = Adapter::standalone(objects, rules, "http://127.0.0.1:1", flags).await;
        let refusal = started.err().expect("it must not start");
        (refusal.status.code(), refusal.stderr)
    };
    let (code, told) = start(POD, RULES, &["--bind-address=0.0.0.0"]).await;
    assert_eq!(code, Some(2));
    assert!(
        told.contains("--standalone") && told.contains("127.0.0.1"),
        "{told}"
    );
    let (code, told) = start("", RULES, &[]).await;
    assert_eq!(code, Some(1));
    assert!(
        told.contains("objects.yaml") && told.contains("is empty"),
        "{told}"
    );
    let (code, told) = start(POD, "rules:\n- seriesQuery: a\n  metricQuery: b\n", &[]).await;
    assert_eq!(code, Some(1));
    assert!(told.contains("rules.yaml:3:3"), "{told}");
}
