//! One query for many asks, over the binary and the real Prometheus: how many are sent, that each
//! object gets its own value, and what happens where the one query fails.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;
use tidegauge::quantity::Quantity;

use crate::support::adapter::Adapter;
use crate::support::exporter::Exporter;
use crate::support::poll;
use crate::support::prometheus::{Prometheus, TargetLabels};
use crate::support::tap::{Behaviour, Tap};

const NAMESPACES: usize = 50;
const PODS: usize = 20;

const RULES: &str = r#"
rules:
- seriesQuery: 'queue_depth{namespace!="",pod!=""}'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}, node: {resource: node}}}
  metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)'
- seriesQuery: 'top_depth{namespace!="",pod!=""}'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: 'topk(1, queue_depth{<<.LabelMatchers>>})'
- seriesQuery: 'own_depth{namespace!="",pod!=""}'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: 'sum(queue_depth{<<.LabelMatchers>>}) by (<<.GroupBy>>)'
  widen: off
- seriesQuery: 'zero_depth{namespace!="",pod!=""}'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: 'sum(queue_depth{<<.LabelMatchers>>}) by (<<.GroupBy>>)'
  onEmpty: zero
resourceRules:
  cpu: &usage
    containerQuery: 'sum(queue_depth{<<.LabelMatchers>>}) by (<<.GroupBy>>)'
    nodeQuery: 'sum(queue_depth{<<.LabelMatchers>>}) by (<<.GroupBy>>)'
    resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}, node: {resource: node}}}
    containerLabel: container
  memory: *usage
"#;

/// Rows hold for longer than a test takes.
const HELD: &str = "--query-ttl=10m";

const API: &str = "/apis/custom.metrics.k8s.io/v1beta2";

fn value(namespace: usize, pod: usize) -> u32 {
    u32::try_from(namespace * PODS + pod).unwrap()
}

/// Namespaces that have pods of the same names, each with its own depth.
fn series() -> String {
    let mut text = String::new();
    for namespace in 0..NAMESPACES {
        for pod in 0..PODS {
            let value = value(namespace, pod);
            let labels = format!("namespace=\"ns-{namespace}\",pod=\"pod-{pod}\"");
            let labels = format!("{labels},node=\"node-{}\",container=\"main\"", pod % 3);
            writeln!(text, "queue_depth{{{labels}}} {value}").unwrap();
        }
    }
    text
}

fn objects() -> String {
    let mut text = String::new();
    for namespace in 0..NAMESPACES {
        for pod in 0..PODS {
            writeln!(
                text,
                "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: pod-{pod}, \
                 namespace: ns-{namespace}, labels: {{app: app-{}}}}}, \
                 status: {{phase: Running}}}}",
                pod % 4
            )
            .unwrap();
        }
    }
    text
}

struct Scene {
    adapter: Adapter,
    tap: Tap,
    _prometheus: Prometheus,
    _exporter: Exporter,
}

impl Scene {
    async fn start(flags: &[&str]) -> Scene {
        let text = series();
        let exporter = Exporter::start(move |_| text.clone()).await;
        let prometheus = Prometheus::start(&[exporter.address], TargetLabels::Dropped).await;
        prometheus.wait_for(&["queue_depth"]).await;
        let tap = Tap::start(&prometheus.url).await;
        let adapter = Adapter::standalone(&objects(), RULES, &tap.url, flags).await;
        let adapter = adapter.unwrap_or_else(|refusal| panic!("{}", refusal.stderr));
        tap.take();
        Scene {
            adapter,
            tap,
            _prometheus: prometheus,
            _exporter: exporter,
        }
    }

    /// The names and values of an answer, in its order.
    async fn values(&self, path: &str) -> Vec<(String, String)> {
        let answer = self.adapter.get(path).await;
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        let items = body["items"].as_array();
        let items = items.unwrap_or_else(|| panic!("{path}: {body}")).iter();
        let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
        items
            .map(|item| (text(&item["describedObject"]["name"]), text(&item["value"])))
            .collect()
    }

    /// As an autoscaler on pods: a selector of one app.
    async fn ask_for_app(&self, namespace: usize, app: usize) {
        let path = format!(
            "{API}/namespaces/ns-{namespace}/pods/*/queue_depth?labelSelector=app%3Dapp-{app}"
        );
        let pods = (0..PODS).filter(|pod| pod % 4 == app);
        let mut expected: Vec<_> = pods
            .map(|pod| (format!("pod-{pod}"), value(namespace, pod).to_string()))
            .collect();
        expected.sort();
        let mut found = self.values(&path).await;
        found.sort();
        assert_eq!(found, expected, "{path}");
    }

    /// As an autoscaler on an object: a name.
    async fn ask_for_pod(&self, metric: &str, namespace: usize, pod: usize) {
        let path = format!("{API}/namespaces/ns-{namespace}/pods/pod-{pod}/{metric}");
        let expected = (format!("pod-{pod}"), value(namespace, pod).to_string());
        assert_eq!(self.values(&path).await, [expected], "{path}");
    }
}

const OF_CLUSTER: &str = r#"sum(queue_depth{namespace!="",pod!=""}) by (pod,namespace)"#;

#[tokio::test]
async fn a_thousand_asks_of_fifty_namespaces_are_a_handful_of_queries() {
    let scene = Scene::start(&[HELD]).await;
    for round in 0..2 {
        for pod in 0..PODS {
            for namespace in 0..NAMESPACES {
                match pod % 2 {
                    0 => scene.ask_for_app(namespace, pod % 4).await,
                    _ => scene.ask_for_pod("queue_depth", namespace, pod).await,
                }
            }
        }
        let asked = scene.tap.take_queries();
        match round {
            0 => {
                assert!(asked.len() <= 4, "{asked:?}");
                assert_eq!(asked.last().unwrap(), OF_CLUSTER);
            }
            _ => assert_eq!(asked, [""; 0]),
        }
    }
    // Another family of asks has a query of its own: other series are meant.
    for namespace in 0..NAMESPACES {
        let path = format!(
            "{API}/namespaces/ns-{namespace}/pods/pod-1/queue_depth?metricLabelSelector=node%3Dnode-0"
        );
        let answer = scene.adapter.get(&path).await;
        assert_eq!(answer.status, 404, "{}", answer.body);
    }
    let asked = scene.tap.take_queries();
    assert!((3..=4).contains(&asked.len()), "{asked:?}");
    assert!(asked.iter().all(|query| query.contains("node=\"node-0\"")));
    // Nodes have no namespace.
    for node in [0, 1, 2, 0, 1] {
        let name = format!("node-{node}");
        let found = scene
            .values(&format!("{API}/nodes/{name}/queue_depth"))
            .await;
        let pods = (0..NAMESPACES).flat_map(|of| (0..PODS).map(move |pod| (of, pod)));
        let on_node = pods.filter(|(_, pod)| pod % 3 == node);
        let sum: u32 = on_node.map(|(of, pod)| value(of, pod)).sum();
        let sum = Quantity::from_sample(f64::from(sum)).unwrap();
        assert_eq!(found, [(name, sum.to_string())]);
    }
    assert_eq!(
        scene.tap.take_queries(),
        [
            r#"sum(queue_depth{node="node-0"}) by (node)"#,
            r#"sum(queue_depth{node!=""}) by (node)"#
        ]
    );
    let metrics = scene.adapter.get("/metrics").await.body;
    for scope in ["exact", "namespace", "cluster"] {
        let line = format!("tidegauge_asks_by_scope_total{{scope=\"{scope}\"}}");
        assert!(metrics.contains(&line), "{metrics}");
    }
}

#[tokio::test]
async fn usage_of_pods_that_are_asked_for_one_by_one_is_two_queries() {
    let scene = Scene::start(&[HELD]).await;
    let usage = async |namespace: usize, pod: usize| {
        let path = format!("/apis/metrics.k8s.io/v1beta1/namespaces/ns-{namespace}/pods/pod-{pod}");
        let answer = scene.adapter.get(&path).await;
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        let cpu = body["containers"][0]["usage"]["cpu"].as_str();
        assert_eq!(
            cpu,
            Some(value(namespace, pod).to_string().as_str()),
            "{body}"
        );
    };
    for pod in 0..3 {
        for namespace in 0..10 {
            usage(namespace, pod).await;
        }
    }
    let asked = scene.tap.take_queries();
    // CPU and memory have a query each, with the same text here.
    let of_all = r#"sum(queue_depth{namespace!="",pod!=""}) by (pod,container,namespace)"#;
    assert!(asked.len() <= 6, "{asked:?}");
    assert_eq!(asked.last().unwrap(), of_all);
}

#[tokio::test]
async fn where_it_is_off_or_not_proven_each_ask_is_gos_query() {
    let scene = Scene::start(&[HELD, "--widening=off"]).await;
    let exact = |namespace: usize, pod: usize| {
        format!("sum(queue_depth{{namespace=\"ns-{namespace}\",pod=\"pod-{pod}\"}}) by (pod)")
    };
    let mut expected = BTreeSet::new();
    for namespace in 0..5 {
        for pod in 0..4 {
            scene.ask_for_pod("queue_depth", namespace, pod).await;
            expected.insert(exact(namespace, pod));
        }
    }
    let asked: BTreeSet<String> = scene.tap.take_queries().into_iter().collect();
    assert_eq!(asked, expected);
    drop(scene);

    let scene = Scene::start(&[HELD]).await;
    for namespace in 0..5 {
        for pod in 0..4 {
            scene.ask_for_pod("own_depth", namespace, pod).await;
        }
    }
    let asked: BTreeSet<String> = scene.tap.take_queries().into_iter().collect();
    assert_eq!(asked, expected, "the rule says off");
    for namespace in 0..5 {
        for pod in 0..4 {
            scene.ask_for_pod("top_depth", namespace, pod).await;
        }
    }
    let asked = scene.tap.take_queries();
    assert_eq!(asked.len(), 20, "{asked:?}");
    assert!(asked.iter().all(|query| query.contains(",pod=\"pod-")));
}

#[tokio::test]
async fn where_the_one_query_fails_smaller_ones_answer_at_once() {
    let scene = Scene::start(&[HELD]).await;
    let refusal = r#"{"status":"error","errorType":"execution","error":"too many samples"}"#;
    let refused = Behaviour::Answer {
        status: 422,
        content_type: "application/json",
        body: refusal.to_owned(),
    };
    scene.tap.behave_for("pod!=\"\"", refused);
    for namespace in 0..10 {
        for pod in 0..3 {
            scene.ask_for_pod("queue_depth", namespace, pod).await;
        }
    }
    let asked = scene.tap.take_queries();
    let wide = asked.iter().filter(|query| query.contains("pod!=\"\""));
    // Once for the cluster, and once for each namespace.
    assert!(wide.count() <= 11, "{asked:?}");
    let metrics = scene.adapter.get("/metrics").await.body;
    let line = "tidegauge_widening_given_up_total{cause=\"refused\"}";
    assert!(metrics.contains(line), "{metrics}");
    drop(scene);

    // More rows than may be, for the cluster but not for a namespace.
    let scene = Scene::start(&[HELD, "--max-rows=100"]).await;
    for namespace in 0..10 {
        for pod in 0..3 {
            scene.ask_for_pod("queue_depth", namespace, pod).await;
        }
    }
    let asked = scene.tap.take_queries();
    assert_eq!(asked.iter().filter(|query| *query == OF_CLUSTER).count(), 1);
    let of_namespaces = asked.iter().filter(|it| it.contains(",pod!=\"\""));
    assert!(of_namespaces.count() >= 10, "{asked:?}");
    let metrics = scene.adapter.get("/metrics").await.body;
    let line = "tidegauge_widening_given_up_total{cause=\"too_large\"} 1";
    assert!(metrics.contains(line), "{metrics}");
}

#[tokio::test]
async fn while_prometheus_is_away_the_one_answer_stays_and_nobody_asks_for_more() {
    let scene = Scene::start(&["--query-ttl=1s", "--stale-grace=10m"]).await;
    let ask_all = async || {
        for namespace in 0..5 {
            for pod in 0..3 {
                scene.ask_for_pod("queue_depth", namespace, pod).await;
            }
        }
    };
    ask_all().await;
    ask_all().await;
    // An object without series is a zero, if Prometheus says so now.
    let none = format!("{API}/namespaces/ns-0/pods/new/zero_depth");
    for namespace in 0..5 {
        scene.ask_for_pod("zero_depth", namespace, 0).await;
    }
    let zero = ("new".to_owned(), "0".to_owned());
    assert_eq!(scene.values(&none).await, [zero]);
    scene.tap.behave(Behaviour::Close);
    scene.tap.take();
    let mut asked = Vec::new();
    let limit = Duration::from_secs(30);
    poll::until(
        "queries have failed, and asks have not",
        limit,
        async || {
            ask_all().await;
            asked.extend(scene.tap.take_queries());
            match asked.len() {
                0..3 => Err(format!("{asked:?}")),
                _ => Ok(()),
            }
        },
    )
    .await;
    assert!(asked.iter().all(|query| query == OF_CLUSTER), "{asked:?}");
    scene.ask_for_pod("zero_depth", 1, 1).await;
    let answer = scene.adapter.get(&none).await;
    assert_eq!(answer.status, 503, "{}", answer.body);
    scene.tap.behave(Behaviour::Forward);
    let metrics = scene.adapter.get("/metrics").await.body;
    assert!(metrics.contains("query_results_total{freshness=\"stale\"}"));
    ask_all().await;
}
