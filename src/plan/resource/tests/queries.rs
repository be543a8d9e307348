//! Which queries are sent for which pods, and whose the rows of their answers are.

use super::super::super::resource;
use super::*;
use crate::registry::separable::{Reason, Scope};

/// The text of the query for these pods, by namespace.
fn asked(metric: &ResourceMetric, pods: &[(&str, &[&str])]) -> String {
    let pods = pods
        .iter()
        .map(|(namespace, names)| (Arc::from(*namespace), texts(names)));
    let query = pods_query(metric, Scope::Exact, &pods.collect(), usize::MAX).unwrap();
    query.promql
}

#[test]
fn the_queries_are_gos() {
    let metrics = metrics();
    assert_eq!(
        asked(&metrics.cpu, &[("some-ns", &["pod1", "pod3"])]),
        "sum(rate(container_cpu_usage_seconds_total{namespace=\"some-ns\",pod=~\"pod1|pod3\"}[1m])) \
         by (pod,container)"
    );
    assert_eq!(
        asked(&metrics.memory, &[("some-ns", &["pod1"])]),
        "sum(container_memory_working_set_bytes{namespace=\"some-ns\",pod=\"pod1\"}) \
         by (pod,container)"
    );
    assert_eq!(
        nodes_query(&metrics.cpu, &strings(&["node1", "node2"])).unwrap(),
        "sum(rate(container_cpu_usage_seconds_total{instance=~\"node1|node2\", id=\"/\"}[1m])) \
         by (instance)"
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

const ROWS: &[(&str, &str, f64)] = &[("a", "p", 1.0), ("b", "p", 2.0), ("b", "q", 4.0)];

fn wanted() -> Arc<Pods> {
    let pods = [("a".into(), texts(&["p"])), ("b".into(), texts(&["p"]))];
    Arc::new(pods.into())
}

#[test]
fn all_namespaces_are_asked_for_at_once_and_each_row_goes_to_its_own() {
    let cpu = metrics().cpu;
    let query = &pods_query(&cpu, Scope::Exact, &wanted(), usize::MAX).unwrap();
    assert_eq!(
        query.promql,
        "sum(rate(container_cpu_usage_seconds_total{namespace=~\"a|b\",pod=\"p\"}[1m])) \
         by (pod,container,namespace)"
    );
    let keys = ROWS
        .iter()
        .map(|(namespace, pod, _)| [*namespace, *pod, "c"]);
    let keys: Vec<[&str; 3]> = keys.chain([["", "p", "c"]]).collect();
    let values = ROWS.iter().map(|(.., value)| *value).chain([8.0]);
    let rows = keys.iter().zip(values);
    let mut rows: Vec<(&[&str], f64, i64)> =
        rows.map(|(key, value)| (&key[..], value, 0)).collect();
    let samples =
        |rows: &[_]| Samples::of_pods(&super::rows(&query.labels, rows), query, &wanted());
    let with_a_stranger = samples(&rows);
    rows.pop();
    let samples = samples(&rows);
    let of = |samples: &Samples, namespace: &str, pod: &str| {
        let (namespace, pod) = (namespace.into(), pod.into());
        told(resource::pod_usage(samples, samples, &namespace, &pod)).0
    };
    assert_eq!(of(&samples, "a", "p"), ["c 1 1"]);
    assert_eq!(of(&samples, "b", "p"), ["c 2 2"]);
    // The other namespace's row is there, and is not this pod's.
    assert_eq!(of(&samples, "a", "q"), ["there is no sample of it"]);
    assert_eq!(of(&samples, "b", "q"), ["there is no sample of it"]);
    assert!(!samples.is_without_namespace());
    assert!(with_a_stranger.is_without_namespace());
    assert_eq!(of(&with_a_stranger, "a", "p"), ["c 1 1"]);
}

#[test]
fn a_query_that_would_mix_namespaces_is_asked_for_each() {
    let text = RULES.replacen("by (<<.GroupBy>>)", "by (pod, container)", 1);
    let cpu = snapshot(&text).resource().unwrap().cpu.clone();
    assert_eq!(cpu.proven(), Scope::Namespace);
    let alone = |namespace: &str| Pods::from([(namespace.into(), texts(&["p"]))]);
    let asked =
        ["a", "b"].map(|it| pods_query(&cpu, Scope::Exact, &alone(it), usize::MAX).unwrap());
    let namespaces: Vec<_> = asked.iter().map(|it| it.namespace.as_deref()).collect();
    assert_eq!(namespaces, [Some("a"), Some("b")]);
    assert!(asked[1].promql.contains("{namespace=\"b\",pod=\"p\"}"));
    assert_eq!(
        cpu.at_once.as_ref().unwrap().forbids().unwrap().reason,
        Reason::Grouping
    );
    // What the answers say is put together.
    let mut all = Samples::default();
    for (query, (_, pod, value)) in asked.iter().zip(ROWS) {
        let rows = rows(&query.labels, &[(&[pod, "c"], *value, 0)]);
        all.absorb(Samples::of_pods(&rows, query, &wanted()));
    }
    for (namespace, usage) in [("a", "c 1 1"), ("b", "c 2 2")] {
        let found = resource::pod_usage(&all, &all, &namespace.into(), &"p".into());
        assert_eq!(told(found).0, [usage]);
    }
}

#[test]
fn a_wider_query_is_about_all_pods() {
    let cpu = metrics().cpu;
    for (scope, matchers, grouping) in [
        (
            Scope::Namespace,
            "namespace=\"a\",pod!=\"\"",
            "pod,container",
        ),
        (
            Scope::Cluster,
            "namespace!=\"\",pod!=\"\"",
            "pod,container,namespace",
        ),
    ] {
        let pods = Pods::from([("a".into(), texts(&["p"]))]);
        let query = pods_query(&cpu, scope, &pods, usize::MAX).unwrap();
        assert_eq!(
            query.promql,
            format!(
                "sum(rate(container_cpu_usage_seconds_total{{{matchers}}}[1m])) by ({grouping})"
            )
        );
        assert_eq!(query.namespace.is_none(), scope == Scope::Cluster);
    }
}

#[test]
fn names_are_listed_up_to_a_limit() {
    let cpu = metrics().cpu;
    let many: Vec<String> = (0..50_000).map(|i| format!("pod-{i:05}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let all = "[1m])) by (pod,container";
    let head = "sum(rate(container_cpu_usage_seconds_total{namespace";
    assert_eq!(
        asked(&cpu, &[("a", &many)]),
        format!("{head}=\"a\",pod!=\"\"}}{all})")
    );
    assert_eq!(
        asked(&cpu, &[("a", &many), ("b", &["p"])]),
        format!("{head}=~\"a|b\",pod!=\"\"}}{all},namespace)")
    );
    let each: Vec<(&str, &[&str])> = many.iter().map(|it| (*it, &["p"][..])).collect();
    assert_eq!(
        asked(&cpu, &each),
        format!("{head}!=\"\",pod=\"p\"}}{all},namespace)")
    );
    let few = &many[..NAMES_BYTES_MAX / 10];
    let listed = crate::promql::alternatives(&strings(few));
    assert_eq!(
        asked(&cpu, &[("a", few)]),
        format!("{head}=\"a\",pod=~\"{listed}\"}}{all})")
    );
    // Of one namespace, all can be asked for where rows need not name it.
    let text = RULES.replacen("by (<<.GroupBy>>)", "by (pod, container)", 1);
    let cpu_of_one = snapshot(&text).resource().unwrap().cpu.clone();
    assert_eq!(
        asked(&cpu_of_one, &[("a", &many)]),
        format!("{head}=\"a\",pod!=\"\"}}[1m])) by (pod, container)")
    );
    // Where other pods would change the answer, or fail it, all names are listed, as Go does.
    let text = RULES.replacen(
        "[1m])",
        "[1m]) * on (pod) group_left () b{<<.LabelMatchers>>}",
        1,
    );
    let joined = snapshot(&text).resource().unwrap().cpu.clone();
    assert!(asked(&joined, &[("a", &many)]).contains("pod=~\"pod-("));
    let text = RULES.replacen("sum(rate(", "topk(9, rate(", 1);
    let cpu = snapshot(&text).resource().unwrap().cpu.clone();
    assert!(asked(&cpu, &[("a", &many)]).contains("pod=~\"pod-("));
}

#[test]
fn names_that_make_a_query_too_long_are_left_out_where_that_gives_the_same() {
    let cpu = metrics().cpu;
    // Dots are escaped, and nothing is shared.
    let names: Vec<String> = (0..100).map(|i| format!("{i}.{i}.{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let one = Pods::from([("a".into(), texts(&names))]);
    let two = Pods::from([("a".into(), texts(&names)), ("b".into(), texts(&["p"]))]);
    let asked = |metric: &ResourceMetric, pods: &Pods| {
        pods_query(metric, Scope::Exact, pods, 1024).unwrap().promql
    };
    assert!(asked(&cpu, &one).contains("{namespace=\"a\",pod!=\"\"}"));
    assert!(asked(&cpu, &two).contains("{namespace!=\"\",pod!=\"\"}"));
    let text = RULES.replacen("sum(rate(", "topk(9, rate(", 1);
    let unproven = snapshot(&text).resource().unwrap().cpu.clone();
    assert!(asked(&unproven, &one).len() > 1024);
}
