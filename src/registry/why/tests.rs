//! Each reason why a metric is not there, and its text.

use std::sync::Arc;

use super::*;
use crate::kinds::Kinds;
use crate::registry::tests::{default_snapshot, rules};
use crate::registry::{Known, Listings};

const RULES: &str = r#"
rules:
- seriesQuery: '{__name__=~"^http_.*",namespace!=""}'
  seriesFilters: [{isNot: "_bucket$"}]
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}, svc: {resource: service}}}
  name: {matches: "^(.*)_total$", as: "${1}_per_second"}
  metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)'
- seriesQuery: 'depth'
  resources: {template: "<<.Resource>>"}
  metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)'
- seriesQuery: '{__name__="gauge"}'
  resources: {overrides: {namespace: {resource: namespace}, gauge: {group: acme.io, resource: gauge}}}
  metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)'
externalRules:
- seriesQuery: '{__name__=~"^queue_.*"}'
  resources: {namespaced: false}
  metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>})'
"#;

fn known(series: &[(&str, &[&str])]) -> Known {
    let labels = |labels: &[&str]| labels.iter().map(|it| (*it).to_owned()).collect();
    let listing = series
        .iter()
        .map(|(name, of)| ((*name).to_owned(), labels(of)));
    Known {
        listing: Some(Arc::new(listing.collect())),
        live: true,
        answered: true,
        ..Known::default()
    }
}

fn snapshot() -> Snapshot {
    let http: &[(&str, &[&str])] = &[
        ("http_requests_total", &["namespace", "svc"]),
        ("http_time_bucket", &["namespace", "pod"]),
        ("http_size", &["namespace", "pod"]),
    ];
    let listings = Listings {
        custom: vec![
            known(http),
            known(&[("depth", &["instance", "job", "exported_pod"])]),
            Known::default(),
        ],
        external: vec![known(&[("queue_length", &[]), ("queue_lag", &[])])],
    };
    Snapshot::build(rules(RULES), Arc::new(Kinds::builtin()), &listings)
}

#[test]
fn each_reason_is_told_in_words() {
    let snapshot = snapshot();
    for (list, kind, metric, text) in [
        (List::Custom, "pods", "unheard_of", "no rule makes it"),
        (
            List::Custom,
            "pods",
            "http_requests_per_second",
            "it is a metric of namespaces, services; rules[0] (line 3) finds no label \"pod\" on its \
             series",
        ),
        (
            List::Custom,
            "pods",
            "queue_length",
            "it is an external metric",
        ),
        (
            List::External,
            "",
            "http_requests_per_second",
            "it is a custom metric, of namespaces, services",
        ),
        (
            List::Custom,
            "pods",
            "http_requests_total",
            "rules[0] (line 3) calls the series http_requests_total \"http_requests_per_second\"",
        ),
        (
            List::Custom,
            "pods",
            "http_size",
            "name.matches of rules[0] (line 3) does not match the series http_size",
        ),
        (
            List::Custom,
            "pods",
            "depth",
            "the series depth of rules[1] (line 8) has no label \"pod\" that names pods; it has \
             exported_pod, instance, job",
        ),
        (
            List::Custom,
            "pods",
            "http_errors_per_second",
            "rules[0] (line 3) would make it, but Prometheus has 0 series for it with the label \
             \"pod\": {__name__=~\"^http_.*\",namespace!=\"\"}",
        ),
        (
            List::Custom,
            "pods",
            "gauge",
            "rules[2] is off: line 12: no matches for acme.io/, Resource=gauge",
        ),
        (List::External, "", "queue_depth", "rules would"),
    ] {
        let kind = (!kind.is_empty()).then(|| GroupResource::core(kind));
        let why = snapshot.why(list, kind.as_ref(), metric);
        let told = why.to_string();
        match text {
            "rules would" => assert!(
                told.starts_with("externalRules[0] (line 15) would make it, but Prometheus has 0"),
                "{told}"
            ),
            text => assert_eq!(told, text, "{metric}"),
        }
    }
    let scope = snapshot.why(
        List::Custom,
        Some(&GroupResource::core("services")),
        "http_requests_per_second",
    );
    assert_eq!(
        scope.to_string(),
        "services are in namespaces: ask below /namespaces/NAMESPACE/services/"
    );
}

#[test]
fn names_that_are_alike_are_told() {
    let snapshot = snapshot();
    let of = |metric: &str| snapshot.why(List::External, None, metric).similar.clone();
    assert_eq!(of("queue_lenght"), ["queue_length"]);
    assert_eq!(of("queue_lagg"), ["queue_lag"]);
    assert_eq!(of("length"), ["queue_length"]);
    assert_eq!(of("memory"), [""; 0]);
    let names = ["some_usage", "unlike", "other"];
    assert_eq!(nearest("some_usage", names.into_iter()), [""; 0]);
    assert_eq!(nearest("some_usages", names.into_iter()), ["some_usage"]);
}

#[test]
fn a_series_that_the_filters_leave_out_is_told() {
    let snapshot = default_snapshot();
    let pods = GroupResource::core("pods");
    let of = |metric: &str| {
        let looks = snapshot.looks(List::Custom, metric);
        looks.into_iter().map(|look| look.seen).collect::<Vec<_>>()
    };
    // Three rules look at it: one renames it, two have filters that leave it out.
    let seen = of("container_some_time_seconds_total");
    assert!(
        matches!(&seen[0], Seen::Renames { name, is_there: true, .. } if name == "some_time"),
        "{seen:?}"
    );
    assert!(matches!(seen[1], Seen::FilteredOut { .. }), "{seen:?}");
    assert_eq!(seen[3], Seen::Nothing);
    let why = snapshot.why(
        List::Custom,
        Some(&pods),
        "container_some_time_seconds_total",
    );
    assert!(matches!(why.reason, Unmade::Renamed { .. }), "{why:?}");
}

#[test]
fn siblings_are_labels_about_the_same_kind() {
    let of = |expected: &str, singular: &str, labels: &[&str]| {
        let labels: Vec<String> = labels.iter().map(|it| (*it).to_owned()).collect();
        siblings(expected, singular, &labels)
    };
    let labels = [
        "instance",
        "job",
        "pod_name",
        "exported_pod",
        "podium",
        "namespace",
    ];
    assert_eq!(of("pod", "pod", &labels), ["exported_pod", "pod_name"]);
    assert_eq!(
        of(
            "namespace",
            "namespace",
            &["exported_job", "kubernetes_namespace"]
        ),
        ["kubernetes_namespace"]
    );
    assert_eq!(
        of("kube_pod", "pod", &["pod", "podname"]),
        ["pod", "podname"]
    );
    assert_eq!(of("pod", "pod", &["pod", "method"]), [""; 0]);
}

#[test]
fn of_two_rules_that_make_the_same_the_one_that_loses_is_told_so() {
    let rule =
        "- seriesQuery: depth\n  resources: {template: <<.Resource>>}\n  metricsQuery: depth\n";
    let listed = || known(&[("depth", &["pod", "namespace"])]);
    let listings = Listings {
        custom: vec![listed(), listed()],
        external: Vec::new(),
    };
    let rules = rules(&format!("rules:\n{rule}{rule}"));
    let snapshot = Snapshot::build(rules, Arc::new(Kinds::builtin()), &listings);
    let looks = snapshot.looks(List::Custom, "depth");
    let (series, by) = ("depth".to_owned(), "rules[1] (line 5)".to_owned());
    assert_eq!(looks[0].seen, Seen::Shadowed { series, by });
    assert!(matches!(looks[1].seen, Seen::Makes { .. }));
}

#[test]
fn long_texts_of_the_file_are_cut_at_a_character() {
    assert_eq!(shortened("short"), "short");
    let long = "ä".repeat(200);
    let cut = shortened(&long);
    assert!(cut.ends_with('…') && cut.len() < 262, "{cut}");
}
