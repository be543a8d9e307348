//! Usage out of rows: the cases of the Go adapter's own test, and what must never be told.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::kinds::Kinds;
use crate::registry::{Listings, ResourceMetrics, Snapshot};
use crate::rules;

/// `resourceRules` of Go's `DefaultConfig(1m, "")` (`cmd/config-gen/utils/default.go`), by meaning.
const RULES: &str = r#"
resourceRules:
  window: 1m
  cpu:
    containerQuery: 'sum(rate(container_cpu_usage_seconds_total{<<.LabelMatchers>>}[1m])) by (<<.GroupBy>>)'
    nodeQuery: 'sum(rate(container_cpu_usage_seconds_total{<<.LabelMatchers>>, id="/"}[1m])) by (<<.GroupBy>>)'
    resources: &labels
      overrides: {namespace: {resource: namespace}, pod: {resource: pod}, instance: {resource: node}}
    containerLabel: container
  memory:
    containerQuery: 'sum(container_memory_working_set_bytes{<<.LabelMatchers>>}) by (<<.GroupBy>>)'
    nodeQuery: 'sum(container_memory_working_set_bytes{<<.LabelMatchers>>,id="/"}) by (<<.GroupBy>>)'
    resources: *labels
    containerLabel: container
"#;

fn snapshot(text: &str) -> Snapshot {
    let (rules, _) = rules::parse(text).expect("test rules must parse");
    Snapshot::build(
        Arc::new(rules),
        Arc::new(Kinds::builtin()),
        &Listings::default(),
    )
}

fn metrics() -> ResourceMetrics {
    snapshot(RULES)
        .resource()
        .cloned()
        .expect("the rules must have resourceRules")
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn row(labels: &[(&str, &str)], value: f64, milliseconds: i64) -> Sample {
    Sample {
        labels: labels
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect(),
        timestamp: jiff::Timestamp::from_millisecond(milliseconds).unwrap(),
        value,
    }
}

fn pods(names: &[&str], rows: &[(&str, &str, f64, i64)]) -> Samples {
    let mut samples = Samples::of_pods(&metrics().cpu, &strings(names));
    for (pod, container, value, at) in rows {
        samples.add(&row(&[("pod", pod), ("container", container)], *value, *at));
    }
    samples
}

fn nodes(names: &[&str], rows: &[(&str, f64, i64)]) -> Samples {
    let mut samples = Samples::of_nodes(&metrics().cpu, &strings(names));
    for (node, value, at) in rows {
        samples.add(&row(&[("instance", node)], *value, *at));
    }
    samples
}

/// Containers as `name cpu memory`, with `-` for what is not known, and the earliest time.
fn told(found: Found<PodUsage>) -> (Vec<String>, Option<i64>) {
    let Found::Value(containers) = found else {
        return (vec![format!("{found:?}")], None);
    };
    let text = |value: &Option<Value>| {
        value
            .as_ref()
            .map_or("-".to_owned(), |value| value.quantity.to_string())
    };
    let lines = containers
        .iter()
        .map(|(name, usage)| format!("{name} {} {}", text(&usage.cpu), text(&usage.memory)));
    (
        lines.collect(),
        earliest(&containers).map(jiff::Timestamp::as_millisecond),
    )
}

fn told_node(found: Found<NodeUsage>) -> String {
    match found {
        Found::Value(usage) => {
            let at = usage
                .cpu
                .timestamp
                .min(usage.memory.timestamp)
                .as_millisecond();
            format!("{} {} {at}", usage.cpu.quantity, usage.memory.quantity)
        }
        missing => format!("{missing:?}"),
    }
}

#[test]
fn the_queries_are_gos() {
    let metrics = metrics();
    assert_eq!(
        pods_query(&metrics.cpu, "some-ns", &strings(&["pod1", "pod3"])).unwrap(),
        "sum(rate(container_cpu_usage_seconds_total{namespace=\"some-ns\",pod=~\"pod1|pod3\"}[1m])) \
         by (pod,container)"
    );
    assert_eq!(
        pods_query(&metrics.memory, "some-ns", &strings(&["pod1"])).unwrap(),
        "sum(container_memory_working_set_bytes{namespace=\"some-ns\",pod=\"pod1\"}) \
         by (pod,container)"
    );
    assert_eq!(
        nodes_query(&metrics.cpu, &strings(&["node1", "node2"])).unwrap(),
        "sum(rate(container_cpu_usage_seconds_total{instance=~\"node1|node2\", id=\"/\"}[1m])) \
         by (instance)"
    );
}

/// `TestPodMetrics` of the Go adapter's `pkg/resourceprovider/provider_test.go`: two pods of one namespace.
#[test]
fn pods_of_gos_own_test_have_their_usage() {
    let names = &["pod1", "pod3"];
    let cpu = pods(
        names,
        &[
            ("pod1", "cont1", 1100.0, 10),
            ("pod1", "cont2", 1110.0, 20),
            ("pod3", "cont1", 1300.0, 10),
            ("pod3", "cont2", 1310.0, 20),
            ("pod27", "cont1", 2200.0, 270),
        ],
    );
    let memory = pods(
        names,
        &[
            ("pod1", "cont1", 3100.0, 11),
            ("pod1", "cont2", 3110.0, 21),
            ("pod3", "cont1", 3300.0, 11),
            ("pod3", "cont2", 3310.0, 21),
        ],
    );
    let one = (strings(&["cont1 1100 3100", "cont2 1110 3110"]), Some(10));
    assert_eq!(told(pod_usage(&cpu, &memory, "pod1")), one);
    let three = (strings(&["cont1 1300 3300", "cont2 1310 3310"]), Some(10));
    assert_eq!(told(pod_usage(&cpu, &memory, "pod3")), three);
    assert_eq!(pod_usage(&cpu, &memory, "pod27"), Found::Nothing);
}

/// The same file's NaN and negative samples; Go tells NaN as 0.
#[test]
fn what_is_negative_is_zero_and_what_is_no_number_is_not_told() {
    let cpu = pods(
        &["pod1", "pod3"],
        &[
            ("pod1", "cont1", -1100.0, 10),
            ("pod1", "cont2", f64::NAN, 20),
            ("pod3", "cont1", -1300.0, 10),
            ("pod3", "cont2", 1310.0, 20),
        ],
    );
    let memory = pods(
        &["pod1", "pod3"],
        &[
            ("pod1", "cont1", 3100.0, 11),
            ("pod1", "cont2", -3110.0, 21),
            ("pod3", "cont1", f64::NAN, 11),
            ("pod3", "cont2", -3310.0, 21),
        ],
    );
    let one = (strings(&["cont1 0 3100", "cont2 - 0"]), Some(10));
    assert_eq!(told(pod_usage(&cpu, &memory, "pod1")), one);
    let three = (strings(&["cont1 0 -", "cont2 1310 0"]), Some(10));
    assert_eq!(told(pod_usage(&cpu, &memory, "pod3")), three);
    assert_eq!(
        (cpu.dropped().not_a_number, memory.dropped().not_a_number),
        (1, 1)
    );
}

#[test]
fn a_pod_needs_a_number_of_each() {
    let some = pods(&["p"], &[("p", "c", 1.0, 0)]);
    let none = pods(&["p"], &[]);
    let odd = pods(&["p"], &[("p", "c", f64::NEG_INFINITY, 0)]);
    for (cpu, memory) in [
        (&some, &none),
        (&none, &some),
        (&none, &none),
        (&none, &odd),
    ] {
        assert_eq!(pod_usage(cpu, memory, "p"), Found::Nothing);
    }
    for (cpu, memory) in [(&some, &odd), (&odd, &some), (&odd, &none)] {
        assert_eq!(
            pod_usage(cpu, memory, "p"),
            Found::NotANumber(f64::NEG_INFINITY)
        );
    }
}

#[test]
fn a_containers_last_row_counts_and_a_nodes_first() {
    let twice = pods(
        &["p"],
        &[("p", "c", 1.0, 0), ("p", "c", 2.0, 0), ("p", "", 9.0, 0)],
    );
    let told = told(pod_usage(&twice, &twice, "p"));
    assert_eq!(told.0, [" 9 9", "c 2 2"]);
    assert_eq!(twice.dropped().ambiguous, 1);
    let twice = nodes(&["n"], &[("n", 1.0, 5), ("n", 2.0, 6)]);
    assert_eq!(told_node(node_usage(&twice, &twice, "n")), "1 1 5");
    assert_eq!(twice.dropped().ambiguous, 1);
}

/// `TestNodeMetrics` of the same file, its samples that are no number told as such.
#[test]
fn nodes_of_gos_own_test_have_their_usage() {
    let names = &["node1", "node2", "node3"];
    let cpu = nodes(names, &[("node1", 1100.0, 10), ("node2", 1200.0, 14)]);
    let memory = nodes(names, &[("node1", 2100.0, 11), ("node2", 2200.0, 12)]);
    assert_eq!(
        told_node(node_usage(&cpu, &memory, "node1")),
        "1100 2100 10"
    );
    assert_eq!(
        told_node(node_usage(&cpu, &memory, "node2")),
        "1200 2200 12"
    );
    assert_eq!(node_usage(&cpu, &memory, "node3"), Found::Nothing);
    let cpu = nodes(names, &[("node1", -1100.0, 10), ("node2", 1200.0, 14)]);
    let memory = nodes(names, &[("node1", 2100.0, 11), ("node2", f64::NAN, 12)]);
    assert_eq!(told_node(node_usage(&cpu, &memory, "node1")), "0 2100 10");
    let missing = node_usage(&cpu, &memory, "node2");
    assert!(
        matches!(missing, Found::NotANumber(sample) if sample.is_nan()),
        "{missing:?}"
    );
}

#[test]
fn a_rule_that_cannot_ask_says_why() {
    let error = |text: &str| {
        let snapshot = snapshot(text);
        let metric = snapshot.resource().unwrap().cpu.clone();
        (
            nodes_query(&metric, &strings(&["n"]))
                .unwrap_err()
                .to_string(),
            snapshot.disabled().len(),
        )
    };
    let missing = "resourceRules: {cpu: {containerLabel: c}, memory: {}}";
    let (text, off) = error(missing);
    assert!(
        text.starts_with("resourceRules.cpu (line 1): unable to convert resource nodes"),
        "{text}"
    );
    assert_eq!(off, 0);
    let unknown = "resourceRules: {cpu: {resources: {overrides: {x: {resource: widget}}}}}";
    let (text, off) = error(unknown);
    assert!(text.contains("the rule is off: no matches for"), "{text}");
    assert_eq!(off, 1);
}

proptest! {
    /// Whatever the rows: nothing is told that no row says, and no usage is below zero.
    #[test]
    fn usage_comes_from_rows_alone(
        cpu in prop::collection::vec(("[pq]", "[ab]", any::<f64>()), 0..6),
        memory in prop::collection::vec(("[pq]", "[ab]", any::<f64>()), 0..6),
    ) {
        let fold = |rows: &[(String, String, f64)]| {
            let rows: Vec<_> =
                rows.iter().map(|(p, c, v)| (p.as_str(), c.as_str(), *v, 0)).collect();
            pods(&["p"], &rows)
        };
        let usage = pod_usage(&fold(&cpu), &fold(&memory), "p");
        let finite = |rows: &[(String, String, f64)], container: &str| {
            let last = rows.iter().rfind(|(p, c, _)| p == "p" && c == container);
            last.is_some_and(|(_, _, value)| value.is_finite())
        };
        let any = |rows| ["a", "b"].iter().any(|container| finite(rows, container));
        prop_assert_eq!(matches!(usage, Found::Value(_)), any(&cpu) && any(&memory));
        if let Found::Value(containers) = usage {
            for (name, usage) in containers {
                prop_assert_eq!(usage.cpu.is_some(), finite(&cpu, &name));
                prop_assert_eq!(usage.memory.is_some(), finite(&memory, &name));
                for value in usage.cpu.iter().chain(&usage.memory) {
                    prop_assert!(!value.quantity.to_string().starts_with('-'));
                }
            }
        }
    }
}
