//! Usage out of rows: the cases of the Go adapter's own test, and what must never be told.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::kinds::Kinds;
use crate::prometheus::{Kind, Sample};
use crate::registry::separable::Scope;
use crate::registry::{Listings, ResourceMetric, ResourceMetrics, Snapshot};
use crate::rules;
use crate::samples::{Builder, Head, Labels};

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

/// Rows that are told apart by these labels; each row is its values of them, a sample and the
/// milliseconds of its time.
fn rows(labels: &[String], rows: &[(&[&str], f64, i64)]) -> Rows {
    let mut builder = Builder::new(Labels::Keys(labels.to_vec()), rows.len());
    for (values, value, milliseconds) in rows {
        let labels = labels.iter().cloned();
        let labels = labels.zip(values.iter().map(|value| (*value).to_owned()));
        let sample = Sample {
            labels: labels.collect(),
            timestamp: jiff::Timestamp::from_millisecond(*milliseconds).unwrap(),
            value: *value,
        };
        builder.add(sample).unwrap();
    }
    builder.finish(Head {
        kind: Kind::Vector,
        histograms: 0,
        partial: false,
        at: jiff::Timestamp::UNIX_EPOCH,
        took: Duration::ZERO,
    })
}

fn texts(names: &[&str]) -> BTreeSet<Arc<str>> {
    names.iter().map(|name| Arc::from(*name)).collect()
}

/// Rows of pods of the namespace `ns`, asked for on its own.
fn pods(names: &[&str], rows: &[(&str, &str, f64, i64)]) -> Samples {
    let (cpu, wanted) = (metrics().cpu, Pods::from([("ns".into(), texts(names))]));
    let query = &pods_query(&cpu, Scope::Exact, &wanted, usize::MAX).unwrap();
    let keys: Vec<[&str; 2]> = rows
        .iter()
        .map(|(pod, container, ..)| [*pod, *container])
        .collect();
    let rows: Vec<(&[&str], f64, i64)> = keys
        .iter()
        .zip(rows)
        .map(|(key, (.., value, at))| (key.as_slice(), *value, *at))
        .collect();
    Samples::of_pods(&tests::rows(&query.labels, &rows), query, &wanted)
}

fn pod_usage(cpu: &Samples, memory: &Samples, name: &str) -> Result<PodUsage, Missing> {
    super::pod_usage(cpu, memory, &"ns".into(), &name.into())
}

fn node_usage(cpu: &Samples, memory: &Samples, name: &str) -> Result<Usage, Missing> {
    super::node_usage(cpu, memory, &name.into())
}

fn nodes(names: &[&str], rows: &[(&str, f64, i64)]) -> Samples {
    let keys: Vec<[&str; 1]> = rows.iter().map(|(node, ..)| [*node]).collect();
    let rows: Vec<(&[&str], f64, i64)> = keys
        .iter()
        .zip(rows)
        .map(|(key, (_, value, at))| (key.as_slice(), *value, *at))
        .collect();
    let rows = tests::rows(&strings(&["instance"]), &rows);
    Samples::of_nodes(&rows, &strings(names))
}

/// Containers as `name cpu memory` and the earliest time, or what is missing.
fn told(found: Result<PodUsage, Missing>) -> (Vec<String>, Option<i64>) {
    let containers = match found {
        Ok(containers) => containers,
        Err(missing) => return (vec![missing.to_string()], None),
    };
    let line = |(name, usage): (&String, &Usage)| {
        format!("{name} {} {}", usage.cpu.quantity, usage.memory.quantity)
    };
    let at = earliest(&containers).map(jiff::Timestamp::as_millisecond);
    (containers.iter().map(line).collect(), at)
}

fn told_node(found: Result<Usage, Missing>) -> String {
    match found {
        Ok(usage) => {
            let at = usage.timestamp().as_millisecond();
            format!("{} {} {at}", usage.cpu.quantity, usage.memory.quantity)
        }
        Err(missing) => missing.to_string(),
    }
}

/// `TestPodMetrics` of the Go adapter's `pkg/resourceprovider/provider_test.go`: two pods of one namespace.
mod queries;

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
    assert_eq!(pod_usage(&cpu, &memory, "pod27"), Err(Missing::Everything));
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
    let missing = |text: &str| (strings(&[text]), None);
    assert_eq!(
        told(pod_usage(&cpu, &memory, "pod1")),
        missing("the sample of the CPU of container \"cont2\" is not a number (NaN)")
    );
    assert_eq!(
        told(pod_usage(&cpu, &memory, "pod3")),
        missing("the sample of the memory of container \"cont1\" is not a number (NaN)")
    );
    assert_eq!(
        (cpu.dropped().not_a_number, memory.dropped().not_a_number),
        (1, 1)
    );
    let below = pods(&["pod1"], &[("pod1", "cont1", -1100.0, 10)]);
    let zero = (strings(&["cont1 0 0"]), Some(10));
    assert_eq!(told(pod_usage(&below, &below, "pod1")), zero);
}

/// An autoscaler adds up the containers that are listed: one that is left out would count as idle.
#[test]
fn a_pod_with_a_container_of_which_something_is_missing_has_no_usage_at_all() {
    let both = pods(&["p"], &[("p", "a", 1.0, 0), ("p", "b", 1.0, 0)]);
    let one = pods(&["p"], &[("p", "a", 1.0, 0)]);
    let none = pods(&["p"], &[]);
    let odd = pods(
        &["p"],
        &[("p", "a", 1.0, 0), ("p", "b", f64::NEG_INFINITY, 0)],
    );
    let text = |cpu, memory| told(pod_usage(cpu, memory, "p")).0.join("; ");
    assert_eq!(text(&both, &both), "a 1 1; b 1 1");
    let lacks = |what: &str| format!("there is no sample of the {what}");
    assert_eq!(text(&one, &both), lacks("CPU of container \"b\""));
    assert_eq!(text(&both, &one), lacks("memory of container \"b\""));
    assert_eq!(text(&none, &one), lacks("CPU of container \"a\""));
    assert_eq!(text(&one, &none), lacks("memory of container \"a\""));
    assert_eq!(text(&none, &none), "there is no sample of it");
    let odd_one =
        |what: &str| format!("the sample of the {what} of container \"b\" is not a number (-Inf)");
    assert_eq!(text(&odd, &both), odd_one("CPU"));
    assert_eq!(text(&both, &odd), odd_one("memory"));
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
    assert_eq!(node_usage(&cpu, &memory, "node3"), Err(Missing::Everything));
    let cpu = nodes(names, &[("node1", -1100.0, 10), ("node2", 1200.0, 14)]);
    let memory = nodes(names, &[("node1", 2100.0, 11), ("node2", f64::NAN, 12)]);
    assert_eq!(told_node(node_usage(&cpu, &memory, "node1")), "0 2100 10");
    let missing = told_node(node_usage(&cpu, &memory, "node2"));
    assert_eq!(missing, "the sample of its memory is not a number (NaN)");
    let (cpu, none) = (nodes(&["n"], &[("n", 1.0, 0)]), nodes(&["n"], &[]));
    let lacks = |what| format!("there is no sample of its {what}");
    assert_eq!(told_node(node_usage(&cpu, &none, "n")), lacks("memory"));
    assert_eq!(told_node(node_usage(&none, &cpu, "n")), lacks("CPU"));
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
        let listed = |rows: &[(String, String, f64)], container: &str| {
            rows.iter().any(|(p, c, _)| p == "p" && c == container)
        };
        let whole = |container: &&str| finite(&cpu, container) && finite(&memory, container);
        let listed: Vec<_> = ["a", "b"]
            .into_iter()
            .filter(|it| listed(&cpu, it) || listed(&memory, it))
            .collect();
        prop_assert_eq!(usage.is_ok(), !listed.is_empty() && listed.iter().all(whole));
        if let Ok(containers) = usage {
            prop_assert_eq!(containers.keys().collect::<Vec<_>>(), listed);
            for usage in containers.into_values() {
                for value in [usage.cpu, usage.memory] {
                    prop_assert!(!value.quantity.to_string().starts_with('-'));
                }
            }
        }
    }
}
