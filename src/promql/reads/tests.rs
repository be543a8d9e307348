//! What a query reads and which labels it loses, by examples.

use super::*;
use crate::promql::syntax;

fn lost(query: &str, label: &str) -> Option<String> {
    let tree = syntax(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    loses(&tree, label).map(ToString::to_string)
}

#[test]
fn a_label_is_lost_where_no_row_can_have_it() {
    for query in [
        "sum(a)",
        "sum by (job) (a)",
        "sum without (pod) (a)",
        "max(sum by (pod) (a))",
        "scalar(a)",
        "vector(1)",
        "1",
        "time()",
        r#"a{pod=""}"#,
        "sum(a) + sum(b)",
        "a * on (job) b",
        "a * ignoring (pod) b",
        "sum(a) * on (job) group_left (node) b",
        "sum(a) or sum(b)",
        "sum(a) and b",
        "rate(a[5m]) / scalar(sum(b)) + sum(c)",
        "topk(3, sum(a))",
        "histogram_quantile(0.9, sum by (le) (rate(a[5m])))",
        "max_over_time(sum(a)[5m:1m])",
        r#"label_replace(sum(a), "b", "$1", "c", "(.*)")"#,
        "hour()",
    ] {
        assert!(lost(query, "pod").is_some(), "{query}");
    }
}

#[test]
fn a_label_that_rows_may_have_is_not_lost() {
    for query in [
        "a",
        "sum by (pod) (a)",
        "sum without (job) (a)",
        "a * 2",
        "2 * a",
        "a * on (pod) b",
        "a * ignoring (job) b",
        "a * on (job) group_left (pod) b",
        "b * on (job) group_right (node) a",
        "sum(a) or b",
        "b and sum(a)",
        "topk(3, a)",
        "topk by (job) (3, a)",
        "rate(a[5m])",
        "absent(a)",
        "clamp_min(a, scalar(b))",
        r#"label_replace(sum(a), "pod", "$1", "c", "(.*)")"#,
        r#"label_join(sum(a), "pod", "", "c")"#,
        r#"count_values("pod", a)"#,
        "histogram_quantile(0.9, sum by (le, pod) (rate(a[5m])))",
        "a * on (job) sum by (job) (b) or a",
    ] {
        assert_eq!(lost(query, "pod"), None, "{query}");
    }
}

#[test]
fn a_quantile_needs_the_bounds_of_its_buckets() {
    let lost = |query: &str| {
        let tree = syntax(query).unwrap_or_else(|error| panic!("{query}: {error}"));
        loses_buckets(&tree).map(ToString::to_string)
    };
    for (query, part) in [
        (
            "histogram_quantile(0.9, sum by (pod) (rate(a_bucket[5m])))",
            "sum by (pod) (rate(a_bucket[5m]))",
        ),
        (
            "max by (pod) (1000 * histogram_quantile(0.9, (sum(a_bucket))))",
            "sum(a_bucket)",
        ),
        (
            "label_replace(histogram_quantile(0.9, sum without (le) (a_bucket)), \"a\", \"\", \"\", \"\")",
            "sum without (le) (a_bucket)",
        ),
    ] {
        assert_eq!(lost(query).as_deref(), Some(part), "{query}");
    }
    for query in [
        "histogram_quantile(0.9, sum by (le, pod) (rate(a_bucket[5m])))",
        "histogram_quantile(0.9, rate(a_bucket[5m]))",
        // Native histograms have no buckets of their own.
        "histogram_quantile(0.9, sum by (pod) (rate(a[5m])))",
        "sum by (pod) (rate(a_bucket[5m]))",
    ] {
        assert_eq!(lost(query), None, "{query}");
    }
}

#[test]
fn the_part_that_loses_it_is_named() {
    let lost = lost("max by (pod) (sum by (job) (a))", "pod");
    assert_eq!(lost.as_deref(), Some("sum by (job) (a)"));
}

#[test]
fn selectors_are_read_with_what_is_around_them() {
    let query = r#"sum(rate(a_total{x="1",y!~"2|3"}[5m])) / {__name__="b",z=~".+"}"#;
    let tree = syntax(query).unwrap();
    let reads = reads(&tree);
    let names: Vec<_> = reads.iter().map(Read::name).collect();
    assert_eq!(names, [Some("a_total"), Some("b")]);
    assert_eq!(reads[0].inside, ["sum", "rate"]);
    assert!(reads[1].inside.is_empty());
    let texts = |read: &Read<'_>| {
        let matchers = read.matchers();
        matchers.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(texts(&reads[0]), [r#"x="1""#, r#"y!~"2|3""#]);
    assert_eq!(texts(&reads[1]), [r#"z=~".+""#]);
}

#[test]
fn windows_of_two_samples_are_those_of_rates_wherever_they_stand() {
    let seconds = |query: &str| {
        let tree = syntax(query).unwrap();
        let windows = reads(&tree).into_iter().map(|it| it.window_of_two());
        windows
            .map(|it| it.map_or(0, |it| it.as_secs()))
            .collect::<Vec<_>>()
    };
    assert_eq!(seconds("sum(rate(a{b=\"c\"}[1m])) by (pod)"), [60]);
    assert_eq!(
        seconds("(irate(a[30s]) / -increase(b[5m])) > c"),
        [30, 300, 0]
    );
    assert_eq!(seconds("max_over_time(rate(a[2m])[1h:1m])"), [120]);
    assert_eq!(seconds("avg_over_time(a[15s])"), [0]);
    assert_eq!(seconds("quantile(0.9, deriv(a[10m]))"), [600]);
}
