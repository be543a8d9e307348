//! CPU and memory: why a pod or a node has none, and which containers there are.

use tidegauge::api::Cause;

use super::table::Case;
use super::{check, explained, told};
use crate::support::adapter::Adapter;
use crate::support::exporter::Exporter;
use crate::support::prometheus::{Prometheus, TargetLabels};
use crate::support::tap::{Behaviour, Tap};

const OBJECTS: &str = "
{apiVersion: v1, kind: Pod, metadata: {name: web-1, namespace: shop}, status: {phase: Running}}
---
{apiVersion: v1, kind: Pod, metadata: {name: web-2, namespace: shop}, status: {phase: Running}}
---
{apiVersion: v1, kind: Pod, metadata: {name: done, namespace: shop}, status: {phase: Succeeded}}
---
{apiVersion: v1, kind: Node, metadata: {name: node-1}}
";

const PODS: &str = "/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods";
const NODES: &str = "/apis/metrics.k8s.io/v1beta1/nodes";

/// What the rules ask, each for CPU: those for memory are well unless they say otherwise.
struct Asks {
    containers: &'static str,
    nodes: &'static str,
    memory: &'static str,
}

const WELL: Asks = Asks {
    containers: "sum(rate(cpu_seconds_total{<<.LabelMatchers>>}[20s])) by (<<.GroupBy>>)",
    nodes: "sum(rate(node_cpu_seconds_total{<<.LabelMatchers>>}[20s])) by (<<.GroupBy>>)",
    memory: "sum(memory_bytes{<<.LabelMatchers>>}) by (<<.GroupBy>>)",
};

impl Asks {
    fn rules(&self) -> String {
        let labels = "resources: {overrides: {namespace: {resource: namespace}, \
                      pod: {resource: pod}, host: {resource: node}}}";
        let Asks {
            containers,
            nodes,
            memory,
        } = self;
        format!(
            "resourceRules:
  window: 1m
  cpu:
    containerLabel: container
    containerQuery: '{containers}'
    nodeQuery: '{nodes}'
    {labels}
  memory:
    containerLabel: container
    containerQuery: '{memory}'
    nodeQuery: 'sum(node_memory_bytes{{<<.LabelMatchers>>}}) by (<<.GroupBy>>)'
    {labels}
"
        )
    }
}

/// What Prometheus scrapes after so many seconds.
fn exposition(seconds: f64) -> String {
    let shop = "namespace=\"shop\",pod=\"web-1\"";
    format!(
        "cpu_seconds_total{{{shop},container=\"app\"}} {seconds}\n\
         cpu_seconds_total{{namespace=\"shop\",pod=\"web-2\",container=\"app\"}} {seconds}\n\
         memory_bytes{{{shop},container=\"app\"}} 1024\n\
         cgroup_seconds_total{{{shop},id=\"/a\"}} {seconds}\n\
         node_cpu_seconds_total{{host=\"node-1\"}} {seconds}\n\
         node_memory_bytes{{host=\"node-1\"}} 4096\n\
         node_addressed_seconds_total{{host=\"10.0.0.1:9100\",node=\"node-1\"}} {seconds}\n\
         node_anonymous_seconds_total{{rack=\"a\"}} {seconds}\n"
    )
}

/// A real Prometheus behind a tap.
struct World {
    _exporter: Exporter,
    _prometheus: Prometheus,
    tap: Tap,
}

impl World {
    async fn start() -> World {
        let exporter = Exporter::start(|elapsed| exposition(elapsed.as_secs_f64())).await;
        let prometheus = Prometheus::start(&[exporter.address], TargetLabels::Dropped).await;
        let rates = [
            "count_over_time(cpu_seconds_total[1m]) > 3",
            "node_memory_bytes",
        ];
        prometheus.wait_for(&rates).await;
        World {
            tap: Tap::start(&prometheus.url).await,
            _exporter: exporter,
            _prometheus: prometheus,
        }
    }

    async fn adapter(&self, asks: &Asks, flags: &[&str]) -> Adapter {
        let started = Adapter::standalone(OBJECTS, &asks.rules(), &self.tap.url, flags).await;
        started.unwrap_or_else(|refusal| panic!("{}", refusal.stderr))
    }
}

fn case(cause: Cause, path: &'static str, advice: &'static str, says: &'static [&str]) -> Case {
    Case {
        cause,
        path,
        message: "",
        advice,
        says,
    }
}

#[tokio::test]
async fn each_cause_of_no_cpu_or_memory_is_told_apart() {
    let world = World::start().await;
    let cases = [
        (
            Asks {
                containers: "sum(rate(cpu_seconds_total{<<.LabelMatchers>>}[1s])) by (<<.GroupBy>>)",
                ..WELL
            },
            case(
                Cause::WindowTooShort,
                PODS,
                "a rate needs two samples in its window, and [1s] holds one at most",
                &[
                    "0 of 2 have both",
                    "CPU of containers, by resourceRules.cpu",
                ],
            ),
        ),
        (
            Asks {
                nodes: "sum(rate(node_cpu_seconds_total{<<.LabelMatchers>>}[1s])) by (<<.GroupBy>>)",
                ..WELL
            },
            case(
                Cause::WindowTooShort,
                NODES,
                "four times that",
                &["node-1: there is no"],
            ),
        ),
        (
            Asks {
                nodes: "sum(rate(node_addressed_seconds_total{<<.LabelMatchers>>}[20s])) by \
                        (<<.GroupBy>>)",
                ..WELL
            },
            case(
                Cause::NoObjectLabel,
                NODES,
                "by node: {resource: nodes}",
                &[
                    "host: 10.0.0.1:9100",
                    "the label node has what host should have",
                    "replace host (line ",
                    ") in resources.overrides of resourceRules.cpu",
                ],
            ),
        ),
        (
            Asks {
                nodes: "sum(rate(node_anonymous_seconds_total{<<.LabelMatchers>>}[20s])) by \
                        (<<.GroupBy>>)",
                ..WELL
            },
            case(
                Cause::NoObjectLabel,
                NODES,
                "(node-1) is scraped for node_anonymous_seconds_total",
                &["is there, without the label \\\"host\\\" that names nodes"],
            ),
        ),
        (
            Asks {
                nodes: "sum(rate(node_cpu_seconds_total[20s]))",
                ..WELL
            },
            case(
                Cause::RowsWithoutLabel,
                NODES,
                "keep the label host in the query of resourceRules.cpu",
                &["rows without the label \\\"host\\\" that names nodes"],
            ),
        ),
        (
            Asks {
                nodes: "sum(rate(node_addressed_seconds_total[20s])) by (host)",
                ..WELL
            },
            case(
                Cause::OtherObjects,
                NODES,
                "must have the names of nodes as the cluster has them (node-1)",
                &["host: 10.0.0.1:9100"],
            ),
        ),
        (
            Asks {
                memory: "sum(absent_bytes{<<.LabelMatchers>>}) by (<<.GroupBy>>)",
                ..WELL
            },
            case(
                Cause::NoSeries,
                PODS,
                "whether absent_bytes is scraped",
                &["web-1: there is no sample of the memory of container \\\"app\\\""],
            ),
        ),
        (
            Asks {
                memory: "sum(memory_bytes{kind=\"rss\",<<.LabelMatchers>>}) by (<<.GroupBy>>)",
                ..WELL
            },
            case(
                Cause::NoRows,
                PODS,
                "look at the matchers kind=\"rss\" in the query of resourceRules.memory",
                &["memory_bytes is there, and none of it with kind=\\\"rss\\\""],
            ),
        ),
    ];
    for (asks, case) in cases {
        check(&world.adapter(&asks, &[]).await, &case).await;
    }
}

#[tokio::test]
async fn what_is_told_of_pods_and_nodes_is_explained_with_what_is_left_out() {
    let world = World::start().await;
    let adapter = world.adapter(&WELL, &[]).await;
    let it = explained(&adapter, NODES).await;
    assert!(it.served && it.message == "1 value", "{}", told(&it));
    assert!(told(&it).contains("1 of the nodes"), "{}", told(&it));
    assert_eq!(it.usage, None);
    // One pod lacks memory, and an autoscaler must not take that for none.
    let it = explained(&adapter, PODS).await;
    assert!(it.served && it.cause.is_none(), "{}", told(&it));
    let usage = it.usage.clone().unwrap_or_default();
    assert_eq!((usage.pods, usage.containers.get("app")), (1, Some(&1)));
    for part in [
        "1 of 2 have both CPU and memory",
        "web-2: there is no sample of the memory of container \\\"app\\\"",
        "why the query of resourceRules.memory gives no memory of web-2",
    ] {
        assert!(told(&it).contains(part), "{part}\n{}", told(&it));
    }
    for (name, cause, message, advice) in [
        (
            "web-2",
            Cause::OtherObjects,
            "there is no sample of the memory of container",
            "(web-2) is scraped for memory_bytes",
        ),
        (
            "done",
            Cause::NoSuchObject,
            "pods \"done\" not found",
            "is there and does not run",
        ),
        (
            "wbe",
            Cause::NoSuchObject,
            "pods \"wbe\" not found",
            "there is no wbe among the pods in shop",
        ),
    ] {
        let path = format!("{PODS}/{name}");
        let case = Case {
            cause,
            path: Box::leak(path.into_boxed_str()),
            message,
            advice,
            says: &[],
        };
        check(&adapter, &case).await;
    }

    let cgroups = Asks {
        containers: "sum(rate(cgroup_seconds_total{<<.LabelMatchers>>}[20s])) by (<<.GroupBy>>)",
        memory: "sum(memory_bytes{<<.LabelMatchers>>}) by (pod)",
        ..WELL
    };
    let it = explained(&world.adapter(&cgroups, &[]).await, PODS).await;
    assert!(it.served, "{}", told(&it));
    for part in [
        "all rows are without the label \\\"container\\\" that names containers",
        "leave out what is of no container, as with container!=",
    ] {
        assert!(told(&it).contains(part), "{part}\n{}", told(&it));
    }
    let containers = it.usage.unwrap_or_default().containers;
    assert_eq!(containers.keys().collect::<Vec<_>>(), [""]);
}

/// The same code, and the same values or message.
async fn as_answered(adapter: &Adapter, path: &str, is_served: bool) {
    let (it, answer) = (explained(adapter, path).await, adapter.get(path).await);
    let told = told(&it);
    assert_eq!(it.code, answer.status.as_u16(), "{}\n{told}", answer.body);
    assert_eq!(it.served, is_served, "{}\n{told}", answer.body);
    if it.code != 200 {
        let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap_or_default();
        assert_eq!(
            body["message"].as_str(),
            Some(it.message.as_str()),
            "{told}"
        );
    }
}

#[tokio::test]
async fn while_prometheus_fails_the_last_rows_are_explained_as_they_are_answered() {
    let world = World::start().await;
    let flags = ["--query-ttl=100ms", "--stale-grace=60s"];
    let adapter = world.adapter(&WELL, &flags).await;
    let pod = format!("{PODS}/web-1");
    let paths = [PODS, &pod, NODES];
    for path in paths {
        as_answered(&adapter, path, true).await;
    }
    world.tap.behave(Behaviour::Close);
    for path in paths {
        as_answered(&adapter, path, true).await;
    }
    let fresh = world.adapter(&WELL, &flags).await;
    for path in paths {
        as_answered(&fresh, path, false).await;
    }
}

#[tokio::test]
async fn a_query_that_is_too_long_for_an_answer_is_for_its_explanation() {
    let world = World::start().await;
    let padding = "+ 0 * sum(node_memory_bytes) ".repeat(60);
    let nodes = format!("sum(rate(node_cpu_seconds_total{{<<.LabelMatchers>>}}[20s])) {padding}");
    let asks = Asks {
        nodes: Box::leak(nodes.into_boxed_str()),
        ..WELL
    };
    let adapter = world.adapter(&asks, &["--max-query-bytes=1KiB"]).await;
    as_answered(&adapter, NODES, false).await;
    let it = explained(&adapter, NODES).await;
    assert_eq!(it.cause, Some(Cause::QueryTooLong), "{}", told(&it));
}
