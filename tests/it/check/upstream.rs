//! What `tidegauge check --prometheus-url` says of rules.

use serde_json::Value;

use super::{GOOD, check};
use crate::support::prometheus::{Prometheus, history};

#[tokio::test]
async fn prometheus_says_what_each_rule_finds() {
    let samples = "\
hits_total{namespace=\"shop\",pod=\"web-1\"} 1 1000000000
hits_total{namespace=\"shop\",pod=\"web-2\"} 1 1000000000
depth_a{namespace=\"shop\",pod=\"web-1\"} 1 1000000000
depth_b{namespace=\"shop\",pod=\"web-1\"} 1 1000000000
# EOF
";
    let prometheus = Prometheus::holding(samples).await;
    let more = "\
- seriesQuery: '{__name__=~\"^depth_.*\"}'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)'
- seriesQuery: nothing_of_the_kind
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)'
- seriesQuery: depth_a
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  name: {as: depth_b}
  metricsQuery: 'no_function(<<.Series>>{<<.LabelMatchers>>})'
";
    let rules = format!("{GOOD}{more}");
    let url = format!("--prometheus-url={}", prometheus.url);
    // The samples are of 2001.
    let flags = [url.as_str(), "--metrics-max-age=300000h", "rules.yaml"];
    let (code, told, error) = check(&[("rules.yaml", &rules)], &flags, None);
    assert_eq!(code, 1, "{told}{error}");
    for row in [
        "rules[0]  2     1       1        namespaces,pods  hits_per_second",
        "rules[1]  6     2       1        namespaces,pods  depth_a",
        "warning[finds-nothing]: Prometheus holds no series",
        "error[prometheus]: Prometheus does not answer the query",
        "warning[name-collision]: rules[3] (line 12) and rules[1] (line 6) both make `",
    ] {
        assert!(told.contains(row), "{row}\n{told}");
    }
    assert!(told.contains("no_function"), "{told}");
    let flags = [&flags[..], &["-o", "json"]].concat();
    let (_, told, _) = check(&[("rules.yaml", &rules)], &flags, None);
    let report: Value = serde_json::from_str(&told).unwrap();
    let found = &report["files"][0]["rules"][1]["found"];
    assert_eq!(
        (&found["seriesNames"], &found["metrics"]),
        (&2.into(), &serde_json::json!(["depth_a"]))
    );
}

#[test]
fn a_prometheus_that_is_away_is_an_error() {
    let url = "--prometheus-url=http://127.0.0.1:1";
    let (code, told, _) = check(&[("rules.yaml", GOOD)], &[url, "rules.yaml"], None);
    assert_eq!(code, 1);
    assert!(
        told.contains("error[prometheus]: the rule cannot be listed"),
        "{told}"
    );
}

/// A Prometheus that scrapes every 15 seconds: `hits_total` of pods, and `depth_…` of zones.
async fn scraping() -> Prometheus {
    let hits = "hits_total{namespace=\"shop\",pod=\"web-1\"} 1\n";
    let depths = "depth_a{zone=\"x\"} 1\ndepth_b{zone=\"x\"} 1\n";
    Prometheus::holding(&history(hits, depths, "job=\"web\"")).await
}

/// One rule of `list` with these lines.
fn rule(list: &str, lines: [&str; 3]) -> String {
    format!("{list}:\n- {}\n", lines.join("\n  "))
}

const QUERY: &str = "metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)'";
const OBJECTS: &str =
    "resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}";

/// What is told of such rules without Prometheus.
const BESIDE: [&str; 2] = ["counter-without-rate", "matcher-ignored"];

/// What is told of one rule, `--strict`, in JSON: field, code and message of each warning.
fn warnings(rules: &str, prometheus: &Prometheus) -> Vec<[String; 3]> {
    let url = format!("--prometheus-url={}", prometheus.url);
    let flags = [url.as_str(), "--strict", "-o", "json", "rules.yaml"];
    let (code, told, error) = check(&[("rules.yaml", rules)], &flags, None);
    let report: Value = serde_json::from_str(&told).unwrap_or_else(|_| panic!("{told}{error}"));
    let all = report["files"][0]["findings"].as_array().unwrap().iter();
    let warnings = all.filter(|it| it["severity"] != "note");
    let warnings: Vec<_> = warnings
        .map(|it| ["field", "code", "message"].map(|key| it[key].as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(code, i32::from(!warnings.is_empty()), "{told}");
    warnings
}

#[tokio::test]
async fn series_that_are_there_and_of_which_nothing_is_made_are_told_at_the_field_that_is_wrong() {
    let prometheus = scraping().await;
    assert_eq!(warnings(GOOD, &prometheus), [[""; 3]; 0]);
    let elsewhere = "resources: {overrides: {kubernetes_namespace: {resource: namespace}, \
                     kubernetes_pod_name: {resource: pod}}}";
    let half = "resources: {overrides: {kubernetes_namespace: {resource: namespace}, \
                pod: {resource: pod}}}";
    let (hits, depths) = (
        "seriesQuery: hits_total",
        "seriesQuery: '{__name__=~\"^depth_.*\",job=\"web\"}'",
    );
    let template = "resources: {template: 'kube_<<.Resource>>'}";
    let namespace = "resources: {overrides: {namespace: {resource: namespace}}}";
    let rate = "metricsQuery: 'sum(rate(<<.Series>>{<<.LabelMatchers>>}[5s])) by (<<.GroupBy>>)'";
    let missing = "label-missing";
    let fields = |label| format!("rules[0].resources.overrides.{label}");
    let cases = [
        (
            rule(
                "rules",
                [
                    &hits.replace("hits_total", "'hits_total{pod!=\"\"}'"),
                    elsewhere,
                    QUERY,
                ],
            ),
            vec![
                (
                    fields("kubernetes_namespace"),
                    missing,
                    "the series hits_total of rules[0] (line 2) has no label \"kubernetes_namespace\" that names namespaces; it has job, namespace, pod",
                ),
                (
                    fields("kubernetes_pod_name"),
                    missing,
                    "has no label \"kubernetes_pod_name\" that names pods",
                ),
            ],
        ),
        (
            rule("rules", [hits, half, QUERY]),
            vec![(
                fields("kubernetes_namespace"),
                missing,
                "that names namespaces",
            )],
        ),
        (
            rule("rules", [depths, OBJECTS, QUERY]),
            vec![
                (
                    fields("namespace"),
                    missing,
                    "none of the 2 names of series that rules[0] (line 2) takes has the label \"namespace\" that names namespaces; they have job, zone",
                ),
                (
                    fields("pod"),
                    missing,
                    "has the label \"pod\" that names pods; they have job, zone",
                ),
            ],
        ),
        (
            rule("rules", [depths, template, QUERY]),
            vec![(
                "rules[0].resources.template".to_owned(),
                missing,
                "they have job, zone",
            )],
        ),
        (
            rule(
                "rules",
                [
                    &format!("{depths}\n  seriesFilters: [{{isNot: x}}, {{is: ^depht_}}]"),
                    OBJECTS,
                    QUERY,
                ],
            ),
            vec![(
                "rules[0].seriesFilters[1].is".to_owned(),
                "name-unmatched",
                "leaves out all 2 names of series that are found: depth_a, depth_b",
            )],
        ),
        (
            rule(
                "rules",
                [
                    &format!("{depths}\n  name: {{matches: ^deep_}}"),
                    OBJECTS,
                    QUERY,
                ],
            ),
            vec![(
                "rules[0].name.matches".to_owned(),
                "name-unmatched",
                "name.matches of rules[0] (line 2) leaves out all 2 names",
            )],
        ),
        (
            rule("externalRules", ["seriesQuery: depth_a", namespace, QUERY]),
            vec![(
                "externalRules[0].resources.overrides.namespace".to_owned(),
                missing,
                "the series depth_a of externalRules[0] (line 2) has no label \"namespace\"",
            )],
        ),
        (
            rule("rules", [hits, OBJECTS, rate]),
            vec![(
                "rules[0].metricsQuery".to_owned(),
                "window-too-short",
                "the window [5s] of hits_total holds one sample at most, for they are about 15s apart",
            )],
        ),
        (
            rule("rules", [hits, OBJECTS, &rate.replace("5s", "35s")]),
            vec![],
        ),
    ];
    for (rules, want) in cases {
        let told = warnings(&rules, &prometheus);
        let told: Vec<_> = told
            .iter()
            .filter(|[_, code, _]| !BESIDE.contains(&code.as_str()))
            .collect();
        assert_eq!(told.len(), want.len(), "{rules}{told:#?}");
        for ([field, code, message], (in_field, of_code, says)) in told.into_iter().zip(want) {
            assert_eq!((field, code.as_str()), (&in_field, of_code), "{rules}");
            assert!(message.contains(says), "{message}");
        }
    }
}

#[tokio::test]
async fn a_label_that_some_series_might_have_is_a_note_where_the_rule_makes_metrics_of_others() {
    let prometheus = scraping().await;
    let more = "pod: {resource: pod}, node: {resource: node}";
    let rules = GOOD.replace("pod: {resource: pod}", more);
    assert_eq!(warnings(&rules, &prometheus), [[""; 3]; 0]);
    let url = format!("--prometheus-url={}", prometheus.url);
    let (_, told, _) = check(
        &[("rules.yaml", &rules)],
        &[&url, "--verbose", "rules.yaml"],
        None,
    );
    assert!(told.contains("note[label-missing]"), "{told}");
}
