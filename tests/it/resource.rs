//! `metrics.k8s.io` in both its versions, over many namespaces whose pods have the same names.

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::support::adapter::{Adapter, EACH_ASK};
use crate::support::exporter::Exporter;
use crate::support::prometheus::{Prometheus, TargetLabels};
use crate::support::tap::{Behaviour, Tap};

const NAMESPACES: usize = 40;
const VERSIONS: [&str; 2] = ["v1", "v1beta1"];
const NO_WATCH: &str = "watch is not supported on resources of kind \"pods.metrics.k8s.io\"";
const CPU: &str = "sum(cpu_cores{<<.LabelMatchers>>}) by (<<.GroupBy>>)";

/// `resourceRules` with this query for the CPU of containers.
fn rules(cpu: &str) -> String {
    let labels = "resources: {overrides: {namespace: {resource: namespace}, \
                  pod: {resource: pod}, node: {resource: node}}}";
    format!(
        "resourceRules:
  window: 1m
  cpu:
    containerLabel: container
    containerQuery: '{cpu}'
    nodeQuery: 'sum(node_cpu_cores{{<<.LabelMatchers>>}}) by (<<.GroupBy>>)'
    {labels}
  memory:
    containerLabel: container
    containerQuery: 'sum(memory_bytes{{<<.LabelMatchers>>}}) by (<<.GroupBy>>)'
    nodeQuery: 'sum(node_memory_bytes{{<<.LabelMatchers>>}}) by (<<.GroupBy>>)'
    {labels}
"
    )
}

/// Each namespace has `web-0` and `web-1`, and `done`, which runs no more.
fn pods() -> impl Iterator<Item = (String, &'static str, usize)> {
    (0..NAMESPACES).flat_map(|n| {
        let pods = ["done", "web-0", "web-1"].into_iter().enumerate();
        pods.map(move |(p, pod)| (format!("ns-{n:02}"), pod, 1 + 3 * n + p))
    })
}

/// As many cores and KiB as a pod's number; nodes have one and two of each.
fn series() -> String {
    let mut text = String::new();
    for (namespace, pod, number) in pods() {
        let labels = format!("namespace=\"{namespace}\",pod=\"{pod}\",container=\"app\"");
        let bytes = 1024 * number;
        text += &format!("cpu_cores{{{labels}}} {number}\nmemory_bytes{{{labels}}} {bytes}\n");
    }
    for node in 1..3 {
        text += &format!("node_cpu_cores{{node=\"node-{node}\"}} {node}\n");
        text += &format!(
            "node_memory_bytes{{node=\"node-{node}\"}} {}\n",
            1024 * node
        );
    }
    text
}

fn objects() -> String {
    let mut items = Vec::new();
    for (namespace, name, _) in pods() {
        let phase = if name == "done" {
            "Succeeded"
        } else {
            "Running"
        };
        let labels = json!({"app": "web", "one": name});
        items.push(json!({
            "apiVersion": "v1", "kind": "Pod", "status": {"phase": phase},
            "metadata": {"name": name, "namespace": namespace, "labels": labels},
        }));
    }
    // The order of the answer is not that of the file.
    items.reverse();
    for node in ["node-2", "node-1"] {
        let labels = json!({"zone": node});
        items.push(json!({
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": node, "labels": labels},
        }));
    }
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

struct World {
    _exporter: Exporter,
    _prometheus: Prometheus,
    tap: Tap,
    adapter: Adapter,
}

impl World {
    async fn start(cpu: &str) -> World {
        let exporter = Exporter::start(|_| series()).await;
        let prometheus = Prometheus::start(&[exporter.address], TargetLabels::Dropped).await;
        prometheus.wait_for(&["cpu_cores"]).await;
        let tap = Tap::start(&prometheus.url).await;
        let adapter = Adapter::standalone(&objects(), &rules(cpu), &tap.url, EACH_ASK).await;
        World {
            _exporter: exporter,
            _prometheus: prometheus,
            adapter: adapter.expect("the rules must load"),
            tap,
        }
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        let answer = self
            .adapter
            .get(&format!("/apis/metrics.k8s.io/{path}"))
            .await;
        let body = serde_json::from_str(&answer.body).expect("an answer must be JSON");
        (answer.status, body)
    }

    /// The pods of a list, each as `namespace/name: cpu memory`.
    async fn listed(&self, path: &str) -> Vec<String> {
        let (status, body) = self.get(path).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let items = body["items"].as_array().expect("a list must have items");
        items.iter().map(told).collect()
    }
}

fn told(pod: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let (metadata, containers) = (&pod["metadata"], &pod["containers"]);
    assert_eq!(containers.as_array().map(Vec::len), Some(1), "{pod}");
    assert_eq!(containers[0]["name"], "app");
    let usage = &containers[0]["usage"];
    let [namespace, name, cpu, memory] = [
        &metadata["namespace"],
        &metadata["name"],
        &usage["cpu"],
        &usage["memory"],
    ]
    .map(text);
    format!("{namespace}/{name}: {cpu} {memory}")
}

/// What [`World::listed`] must be for all running pods that are `wanted`.
fn running(wanted: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let kibibytes = |number: usize| match number {
        n if n % 1024 == 0 => format!("{}Mi", n / 1024),
        n => format!("{n}Ki"),
    };
    pods()
        .filter(|(namespace, pod, _)| *pod != "done" && wanted(namespace, pod))
        .map(|(namespace, pod, n)| format!("{namespace}/{pod}: {n} {}", kibibytes(n)))
        .collect()
}

#[tokio::test]
async fn a_list_of_all_pods_over_forty_namespaces_sends_exactly_two_queries() {
    let world = World::start(CPU).await;
    for version in VERSIONS {
        world.tap.take();
        let all = world.listed(&format!("{version}/pods")).await;
        let mut queries = world.tap.take_queries();
        assert_eq!(all, running(|_, _| true));
        assert_eq!(all.len(), 2 * NAMESPACES);
        queries.sort();
        let namespaces: Vec<_> = (0..NAMESPACES).map(|n| format!("ns-{n:02}")).collect();
        let matchers = format!(
            "namespace=~\"{}\",pod=~\"web-0|web-1\"",
            namespaces.join("|")
        );
        let query =
            |series: &str| format!("sum({series}{{{matchers}}}) by (pod,container,namespace)");
        assert_eq!(queries, ["cpu_cores", "memory_bytes"].map(query));
        // Go's queries, for one namespace.
        let one = world
            .listed(&format!("{version}/namespaces/ns-07/pods"))
            .await;
        assert_eq!(one, running(|namespace, _| namespace == "ns-07"));
        let mut queries = world.tap.take_queries();
        queries.sort();
        let matchers = "namespace=\"ns-07\",pod=~\"web-0|web-1\"";
        let query = |series: &str| format!("sum({series}{{{matchers}}}) by (pod,container)");
        assert_eq!(queries, ["cpu_cores", "memory_bytes"].map(query));
    }
    // A few, wherever they are.
    let few = world.listed("v1/pods?labelSelector=one%3Dweb-1").await;
    assert_eq!(few, running(|_, pod| pod == "web-1"));
    let field = "v1/pods?fieldSelector=metadata.namespace!%3Dns-00,metadata.name%3Dweb-0";
    assert_eq!(
        world.listed(field).await,
        running(|ns, pod| ns != "ns-00" && pod == "web-0")
    );
}

#[tokio::test]
async fn a_query_that_would_mix_namespaces_is_asked_for_each_and_stays_right() {
    let world = World::start("sum(cpu_cores{<<.LabelMatchers>>}) by (pod, container)").await;
    world.tap.take();
    assert_eq!(world.listed("v1beta1/pods").await, running(|_, _| true));
    let queries = world.tap.take_queries();
    let of = |series: &str| queries.iter().filter(|it| it.contains(series)).count();
    assert_eq!((of("cpu_cores"), of("memory_bytes")), (NAMESPACES, 1));
    let log = world.adapter.stderr();
    let cost = "resourceRules.cpu (line 4): a list of all pods takes a query for each namespace";
    assert_eq!(log.matches(cost).count(), 1, "{log}");
    let cause = "an aggregation that is not `by (<<.GroupBy>>)`: sum by (pod, container)";
    assert!(log.contains(cause), "{log}");
    assert!(!log.contains("resourceRules.memory"), "{log}");
}

#[tokio::test]
async fn a_row_that_does_not_name_its_namespace_is_an_error_and_no_guess() {
    let world = World::start(CPU).await;
    let rows = json!([{"metric": {"pod": "web-0", "container": "app"}, "value": [1, "9"]}]);
    let body = json!({"status": "success", "data": {"resultType": "vector", "result": rows}});
    let answer = Behaviour::Answer {
        status: 200,
        content_type: "application/json",
        body: body.to_string(),
    };
    world.tap.behave_for("cpu_cores", answer);
    let (status, body) = world.get("v1beta1/pods").await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR, "{body}");
    let message = body["message"].as_str().unwrap();
    assert!(message.contains("unable to fetch metrics"), "{message}");
    let cause = body["details"]["causes"][0]["message"]
        .as_str()
        .unwrap_or(message);
    assert!(cause.contains("a row that does not name its own"), "{body}");
}

#[tokio::test]
async fn both_versions_say_the_same_and_options_that_mean_nothing_change_nothing() {
    let world = World::start(CPU).await;
    let paths = [
        ("nodes", "NodeMetricsList"),
        ("nodes/node-1", "NodeMetrics"),
        ("pods", "PodMetricsList"),
        ("namespaces/ns-03/pods", "PodMetricsList"),
        ("namespaces/ns-03/pods/web-1", "PodMetrics"),
    ];
    for (path, kind) in paths {
        let mut bodies = Vec::new();
        for version in VERSIONS {
            let ignored = "limit=1&continue=abc&resourceVersion=7&timeoutSeconds=9";
            for path in [path.to_owned(), format!("{path}?{ignored}")] {
                let (status, mut body) = world.get(&format!("{version}/{path}")).await;
                assert_eq!(status, StatusCode::OK, "{body}");
                assert_eq!(body["kind"], kind);
                assert_eq!(body["apiVersion"], format!("metrics.k8s.io/{version}"));
                body["apiVersion"] = Value::Null;
                let list = body["metadata"].as_object().unwrap().is_empty();
                assert_eq!(list, kind.ends_with("List"), "{body}");
                match body["items"].as_array_mut() {
                    Some(items) => items.iter_mut().for_each(timeless),
                    None => timeless(&mut body),
                }
                bodies.push(body);
            }
        }
        assert!(
            bodies.iter().all(|body| *body == bodies[0]),
            "{path}: {bodies:?}"
        );
        let node = json!({"name": "node-1", "labels": {"zone": "node-1"}});
        match path {
            "nodes" => {
                assert_eq!(bodies[0]["items"].as_array().unwrap().len(), 2);
                assert_eq!(bodies[0]["items"][0]["metadata"], node);
            }
            "nodes/node-1" => {
                assert_eq!(bodies[0]["metadata"], node);
                assert_eq!(bodies[0]["usage"], json!({"cpu": "1", "memory": "1Ki"}));
            }
            "namespaces/ns-03/pods/web-1" => {
                let labels = json!({"app": "web", "one": "web-1"});
                let pod = json!({"name": "web-1", "namespace": "ns-03", "labels": labels});
                assert_eq!(bodies[0]["metadata"], pod);
            }
            _ => {}
        }
    }
}

/// Checks the times and the window of an item, and takes the times out.
fn timeless(item: &mut Value) {
    assert_eq!(item["window"], "1m0s", "{item}");
    let metadata = item["metadata"].as_object_mut().unwrap();
    let made = metadata.remove("creationTimestamp");
    let measured = item.as_object_mut().unwrap().remove("timestamp");
    for time in [made, measured] {
        let time = time.unwrap();
        let time = time.as_str().unwrap();
        assert!(time.ends_with('Z') && time.len() == 20, "{time}");
        time.parse::<jiff::Timestamp>().unwrap();
    }
}

#[tokio::test]
async fn what_is_not_there_is_refused_alike_in_both_versions() {
    let world = World::start(CPU).await;
    for version in VERSIONS {
        for (path, code, message) in [
            ("pods?watch=true", 405, NO_WATCH),
            ("namespaces/ns-00/pods/done", 404, "pods \"done\" not found"),
            ("namespaces/ns-00/pods/nope", 404, "pods \"nope\" not found"),
            ("nodes/nope", 404, "node \"nope\" not found"),
            (
                "pods?fieldSelector=spec.nodeName%3Dnode-1",
                400,
                "\"spec.nodeName\" is not a known field selector: only \"metadata.name\", \
                 \"metadata.namespace\"",
            ),
        ] {
            world.tap.take();
            let (status, body) = world.get(&format!("{version}/{path}")).await;
            assert_eq!(
                (status.as_u16(), &body["message"]),
                (code, &json!(message)),
                "{path}"
            );
            // What the world asked until it was ready may come late on a busy machine.
            let mut queries = world.tap.take_queries();
            queries.retain(|query| !query.contains("namespace=\"ns-01\""));
            assert_eq!(queries, Vec::<String>::new(), "{path}");
        }
        world.tap.behave(Behaviour::Close);
        for path in [
            "nodes",
            "nodes/node-1",
            "pods",
            "namespaces/ns-01/pods/web-0",
        ] {
            let (status, body) = world.get(&format!("{version}/{path}")).await;
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{path}: {body}");
            assert_eq!(body["kind"], "Status");
        }
        world.tap.behave(Behaviour::Forward);
    }
    // Only one of the two queries fails: the other half is no answer.
    world.tap.behave_for("memory_bytes", Behaviour::Close);
    let (status, body) = world.get("v1/pods").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{body}");
}
