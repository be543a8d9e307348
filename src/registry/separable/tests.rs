//! Which queries are judged how. That the judgement is true is shown against the real Prometheus,
//! in `tests/it/separable.rs`.

use proptest::prelude::*;

use super::*;
use crate::rules;

/// Whether many namespaces may be asked for at once; `M` stands for `<<.LabelMatchers>>`, `G` for `<<.GroupBy>>`.
fn judged(query: &str) -> Result<(), Inseparable> {
    both(query).namespaces
}

/// The same for objects that nobody asks about.
fn judged_others(query: &str) -> Result<(), Inseparable> {
    both(query).others
}

fn both(query: &str) -> Verdict {
    let query = query.replace('M', "<<.LabelMatchers>>");
    let query = query.replace('G', "<<.GroupBy>>");
    verdict_of(&query, "namespace", "pod")
}

fn of_template(query: &str, namespace: &str, object: &str) -> Result<(), Inseparable> {
    verdict_of(query, namespace, object).namespaces
}

fn verdict_of(query: &str, namespace: &str, object: &str) -> Verdict {
    let query = query.replace('\'', "''");
    let text = format!("resourceRules: {{cpu: {{containerQuery: '{query}'}}}}");
    let (rules, _) = rules::parse(&text).expect("test rules must parse");
    let query = &rules.resource.unwrap().cpu.container_query;
    let keys = Keys {
        namespace: Some(namespace),
        object,
        parts: &["container".to_owned()],
    };
    verdict(query, keys)
}

#[test]
fn queries_that_keep_namespaces_and_pods_apart_are_seen_to() {
    for query in [
        "a{M}",
        "sum(rate(a{M}[1m])) by (G)",
        "sum by (G) (irate(a{M,container!=\"\",pod!=\"\"}[120s]))",
        "sum by (G) (avg_over_time(a{container!=\"\",M}[3m]))",
        "sum(a{M,}) without (id)",
        "max by (pod, container, namespace) (a{M})",
        "sum by (G, id) (a{M} offset 5m) > 0",
        "-(sum(a{M} @ end()) by (G)) * 2 ^ 3 - time()",
        "sum(a{M}) by (G) / sum(b{M}) by (G)",
        "sum(a{M}) by (G) / on (G) sum(b{M}) by (G)",
        "a{M} * on (namespace, pod) group_left (node) b{M}",
        "a{M} * ignoring (id) group_right () b{M}",
        "sum(a{M}) by (G) or sum(b{M}) by (G)",
        "sum(a{M} unless on (G) b{M}) by (G)",
        "quantile(0.9, max_over_time(rate(a{M}[1m])[5m:30s])) by (G)",
        "clamp_max(sum(a{M}) by (G), 4) # as we like it: {M}",
        "sum(a{M}) by (namespace, pod) + on (namespace, pod) max(b{M}) by (namespace, pod)",
        "sum by (G) (a{M, namespace=\"shop\", pod=~\"web-.*\"})",
    ] {
        assert_eq!(judged(query), Ok(()), "{query}");
    }
}

#[test]
fn what_forbids_it_is_named() {
    for (query, reason, expression) in [
        ("sum(a) by (G)", Reason::Selector, "a"),
        (
            "sum(a{namespace!=\"\"}) by (G)",
            Reason::Selector,
            "a{namespace!=\"\"}",
        ),
        ("sum(a{M} / b) by (G)", Reason::Selector, "b"),
        ("sum(a{M}) by (pod)", Reason::Grouping, "sum"),
        ("sum(a{M}) by (namespace)", Reason::Grouping, "sum"),
        ("sum(a{M})", Reason::Grouping, "sum"),
        ("sum(a{M}) by (x_G)", Reason::Grouping, "sum"),
        ("sum(a{M}) by (\"G\")", Reason::Grouping, "sum"),
        ("sum(a{M}) without (pod)", Reason::Grouping, "sum"),
        ("sum(a{M}) without (G)", Reason::Grouping, "sum"),
        ("max(sum(a{M}) by (pod)) by (G)", Reason::Grouping, "sum"),
        ("topk(1, a{M})", Reason::Aggregation, "topk"),
        ("topk by (G) (1, a{M})", Reason::Aggregation, "topk"),
        ("count_values by (G) (\"v\", a{M})", Reason::Text, "\"v\""),
        (
            "quantile(scalar(a{M}), a{M}) by (G)",
            Reason::Function("scalar"),
            "scalar",
        ),
        (
            "label_replace(a{M}, \"pod\", \"x\", \"\", \"\")",
            Reason::Text,
            "\"pod\"",
        ),
        ("absent(a{M})", Reason::Function("absent"), "absent"),
        ("sort(a{M})", Reason::Function("sort"), "sort"),
        ("a{M} or vector(0)", Reason::Function("vector"), "vector(0)"),
        ("a{M} * on (pod) b{M}", Reason::Matching, "on (pod)"),
        ("a{M} * on () group_left () b{M}", Reason::Matching, "on ()"),
        (
            "a{M} * ignoring (namespace) b{M}",
            Reason::Matching,
            "ignoring",
        ),
        ("a{M} * ignoring (G) b{M}", Reason::Matching, "ignoring"),
        (
            "a{M} * on (G) group_left (namespace) b{M}",
            Reason::Matching,
            "group_left",
        ),
        ("a{M} and on (pod) b{M}", Reason::Matching, "on (pod)"),
        ("sum(a{M}) by (G) / b{M}", Reason::Sides, "/"),
        (
            "a{M} * on (pod, namespace) sum(b{M}) by (G)",
            Reason::Sides,
            "on (pod",
        ),
        ("sum(a{M, x=\"G\"}) by (G)", Reason::Text, "x="),
        ("sum(a{M, x=`M`}) by (G)", Reason::Text, "x="),
        ("sum(a{M or x=\"1\"}) by (G)", Reason::Selector, " or "),
        ("1", Reason::Constant, "1"),
        ("time()", Reason::Constant, "time()"),
        (
            "sum(a{M}) by (namespace, pod, G_x)",
            Reason::Text,
            "__namespace_of_an_ask___x",
        ),
        ("sum(a{M}) without (id, G_x)", Reason::Grouping, "sum"),
        ("a{M} * on (namespace, pod, G_x) b{M}", Reason::Text, "_x"),
        (
            "a{M} * ignoring (id) group_left (G_x) b{M}",
            Reason::Matching,
            "*",
        ),
    ] {
        let found = judged(query).expect_err(query);
        assert_eq!(found.reason, reason, "{query}: {found}");
        assert!(found.expression.contains(expression), "{query}: {found}");
        assert!(found.to_string().starts_with(&reason.to_string()));
    }
    let deep = format!("a{{M}}{}", " + 1".repeat(1_000));
    for query in ["sum(a{M}", "", "a{M} b", "a{{M}}", &deep] {
        let reason = judged(query).expect_err(query).reason;
        let unread = matches!(reason, Reason::Unparsable(_) | Reason::Template);
        assert!(unread, "{query}: {reason}");
    }
}

#[test]
fn a_template_that_computes_its_text_is_not_looked_into() {
    for query in [
        "sum(a{<<.LabelMatchers>>}) by (<<index .GroupBySlice 0>>)",
        "sum(a{namespace=\"<<index .LabelValuesByName \"namespace\">>\"}) by (<<.GroupBy>>)",
        "sum(a{<<.LabelMatchers>>}) by (<<if eq .GroupBy \"pod\">>pod<<else>><<.GroupBy>><<end>>)",
        "sum(a{<<print .LabelMatchers>>}) by (<<.GroupBy>>)",
    ] {
        let found = of_template(query, "namespace", "pod").expect_err(query);
        assert_eq!(found.reason, Reason::Template, "{query}");
    }
    let reserved = format!("sum(a{{<<.LabelMatchers>>,x=\"{NAMESPACES}\"}}) by (<<.GroupBy>>)");
    let found = of_template(&reserved, "namespace", "pod");
    assert_eq!(found.unwrap_err().reason, Reason::Text);
    let query = "sum(a{<<.LabelMatchers>>}) by (<<.GroupBy>>)";
    let unfit = [
        ("n", "n"),
        ("container", "pod"),
        ("n", "container"),
        ("n", "__name__"),
    ];
    for (namespace, object) in unfit {
        let found = of_template(query, namespace, object);
        assert_eq!(found.unwrap_err().reason, Reason::Labels);
    }
    assert_eq!(of_template(query, "kube_namespace", "kube_pod"), Ok(()));
}

#[test]
fn objects_that_nobody_asks_about_are_let_in_where_they_cannot_fail_the_query() {
    for query in [
        "a{M}",
        "sum by (G) (rate(a{M}[1m]))",
        "histogram_quantile(0.9, sum by (G, le) (rate(a_bucket{M}[1m])))",
        "histogram_quantile(0.9, sum by (G, le) (a{M})) / on (G) sum by (G) (b{M})",
        // Of one namespace, so that it need not be told.
        "sum(a{M}) by (pod, container)",
        "sum(a{M}) without (namespace, id)",
        "sum(a{M}) by (pod) unless on (pod) b{M}",
        "sum(a{M}) by (G) / sum(b{M}) by (G)",
        "sum(a{M}) by (G) / on (G) sum(b{M}) by (G)",
        "sum(a{M}) by (G) / on (G) (sum(b{M}) by (G) or sum(c{M}) by (G) * 0)",
        "sum(a{M}) by (G) / ignoring (id) sum(b{M}) by (G)",
        "a{M} / b{M}",
        "a{M} * on (namespace, pod) group_left () max by (namespace, pod) (b{M})",
        "sum by (G, id) (a{M}) * on (G) group_left (node) max by (G) (b{M})",
        "sum({__name__=~\"a|b\",M}) by (G)",
        "rate({__name__=\"a\",M}[1m])",
        "sum by (G) (a{M} and on (pod) b{M})",
        "max_over_time((rate(a{M}[1m]) or increase(b{M}[1m]))[5m:1m])",
        "max_over_time((a{M} or a{M} offset 1h)[5m:1m])",
        "max_over_time((a{M} and b{M})[5m:1m])",
        "max_over_time((sum(a{M}) by (G) or a{M} * 2)[5m:1m])",
        "a{M} or b{M}",
        "-(a{M} or b{M})",
    ] {
        assert_eq!(judged_others(query), Ok(()), "{query}");
    }
    for (query, reason) in [
        (
            "a{M} * on (namespace, pod) group_left (node) b{M}",
            Reason::Duplicates,
        ),
        ("a{M} * on (namespace, pod) b{M}", Reason::Duplicates),
        ("a{M} * ignoring (id) b{M}", Reason::Duplicates),
        (
            "a{M} * ignoring (id) group_right () b{M}",
            Reason::Duplicates,
        ),
        (
            "a{M} > on (G) group_left () (b{M} + b{M})",
            Reason::Duplicates,
        ),
        (
            "sum by (G, id) (a{M}) * on (G) max by (G) (b{M})",
            Reason::Duplicates,
        ),
        (
            "sum by (G) (a{M}) * on (G) max by (G, id) (b{M})",
            Reason::Duplicates,
        ),
        (
            "sum by (G, id) (a{M}) * on (G) group_left (id) max by (G) (b{M})",
            Reason::Duplicates,
        ),
        (
            "a{M} * on (G) group_left (id) max by (G) (b{M})",
            Reason::Duplicates,
        ),
        ("rate({__name__=~\"a|b\",M}[1m])", Reason::Name),
        ("-{__name__=~\"a|b\",M}", Reason::Name),
        // A series may be of the left side at first, and then of the right one.
        ("max_over_time((a{M} or b{M})[5m:1m])", Reason::Name),
        (
            "max_over_time((a{M} or rate(b{M}[1m]))[5m:1m])",
            Reason::Name,
        ),
        (
            "max_over_time((a{M} or sum(b{M}) by (G))[5m:1m])",
            Reason::Name,
        ),
        ("max_over_time(((a{M} or b{M}) > 0)[5m:1m])", Reason::Name),
        (
            "rate(last_over_time((a{M} or b{M})[5m:1m])[5m:1m])",
            Reason::Name,
        ),
        ("{__name__!=\"\",M} * 2", Reason::Name),
        (
            "-sum by (G, __name__) ({__name__=~\"a|b\",M})",
            Reason::Name,
        ),
        ("-(a{M} or {__name__=~\"a|b\",M})", Reason::Name),
        (
            "histogram_quantile(0.9, rate({__name__=~\"a|b\",M}[1m]))",
            Reason::Name,
        ),
        (
            "histogram_quantile(0.9, sum by (G, le) (a{M})) * on (pod) sum by (G) (b{M})",
            Reason::Duplicates,
        ),
        (
            "histogram_quantile(scalar(a{M}), a{M})",
            Reason::Function("scalar"),
        ),
        ("2 * on () (a{M})", Reason::Matching),
        ("topk(1, a{M})", Reason::Aggregation),
        ("sum(a{M}) by (container)", Reason::Grouping),
        ("sum(a{M}) by (pod, G_x)", Reason::Text),
        ("a{M} * on (container) b{M}", Reason::Matching),
    ] {
        let found = judged_others(query).expect_err(query);
        assert_eq!(found.reason, reason, "{query}: {found}");
    }
    let joined = both("a{M} * on (namespace, pod) group_left (node) b{M}");
    assert_eq!(joined.namespaces, Ok(()));
    assert_eq!(joined.forbids(), joined.others.as_ref().err());
    let merged = both("sum(a{M}) by (pod, container)");
    assert_eq!(merged.forbids(), merged.namespaces.as_ref().err());
}

/// The verdicts on a custom metric's query, for pods found by `pod` in namespaces by `namespace`.
fn custom(query: &str) -> Arc<AtOnce> {
    let query = query.replace('M', "<<.LabelMatchers>>");
    let query = query.replace('G', "<<.GroupBy>>");
    let query = query.replace('S', "<<.Series>>").replace('\'', "''");
    let text = format!("rules: [{{seriesQuery: a, metricsQuery: '{query}'}}]");
    let (rules, _) = rules::parse(&text).expect("test rules must parse");
    Arc::new(AtOnce::new(
        &rules.custom[0].query,
        Some("namespace"),
        "pod",
    ))
}

#[test]
fn custom_metrics_have_a_verdict_for_each_place_they_are_asked_at() {
    for (query, in_namespace, at_root) in [
        ("sum(S{M}) by (G)", Scope::Cluster, Scope::Namespace),
        ("S{M}", Scope::Cluster, Scope::Namespace),
        (
            "sum by (G) (rate({__name__=~\"^S_.*\",M}[1m]))",
            Scope::Exact,
            Scope::Exact,
        ),
        (
            "max(S_x{M, s=\"S\"}) by (G)",
            Scope::Cluster,
            Scope::Namespace,
        ),
        (
            "sum by (G) (S{M}) / on (G) sum by (G) (x{M})",
            Scope::Cluster,
            Scope::Namespace,
        ),
        // Its rows do not tell namespaces apart.
        ("sum(S{M}) by (pod)", Scope::Namespace, Scope::Namespace),
        (
            "sum(S{M}) by (G) * on (pod) max(x{M}) by (pod)",
            Scope::Exact,
            Scope::Namespace,
        ),
        ("S{M} * on (pod) x{M}", Scope::Exact, Scope::Exact),
        ("topk(1, S{M})", Scope::Exact, Scope::Exact),
        // The same for each ask.
        ("sum(S) by (pod)", Scope::Exact, Scope::Exact),
        ("vector(1)", Scope::Exact, Scope::Exact),
    ] {
        let verdicts = custom(query);
        let found = verdicts.in_namespace.as_ref().unwrap();
        assert_eq!(found.widest(), in_namespace, "{query}: {found:?}");
        let found = &verdicts.at_root;
        assert_eq!(found.widest(), at_root, "{query}: {found:?}");
        let root = found.namespaces.as_ref().unwrap_err();
        assert!(found.others.is_err() || root.reason == Reason::Root);
    }
}

#[test]
fn a_series_name_is_not_taken_for_a_label_nor_for_a_word_of_the_language() {
    for query in [
        "sum(a{M}) by (G, S)",
        "sum(a{M}) by (G, x_S)",
        "sum(a{M}) without (S)",
        "a{M} * on (namespace, pod, S) b{M}",
        "a{M} * ignoring (S) b{M}",
        "a{M} * on (G) group_left (S) max by (G) (b{M})",
        "a{M, S=\"x\"}",
    ] {
        let verdicts = custom(query);
        for verdict in [&verdicts.in_namespace.as_ref().unwrap(), &&verdicts.at_root] {
            let reason = &verdict.others.as_ref().unwrap_err().reason;
            assert_eq!(*reason, Reason::Text, "{query}");
        }
    }
    let query = "sum(S{M}) by (G)";
    let text = query.replace('S', "<<.Series>>");
    let (rules, _) = rules::parse(&format!(
        "rules: [{{seriesQuery: a, metricsQuery: \"{text}\"}}]"
    ))
    .expect("test rules must parse");
    let verdicts = custom(query);
    for (series, plain) in [
        ("http_requests_total", true),
        ("job:requests:rate5m", true),
        ("sum", true),
        ("bool", false),
        ("Offset", false),
        ("requests.total", false),
        ("a} or b", false),
        ("", false),
    ] {
        let of_series = verdicts.of_series(&rules.custom[0].query, series);
        assert_eq!(Arc::ptr_eq(&of_series, &verdicts), plain, "{series}");
        let found = of_series.in_namespace.as_ref().unwrap();
        let widest = if plain { Scope::Cluster } else { Scope::Exact };
        assert_eq!(found.widest(), widest, "{series}");
    }
    let unread = custom("sum(a{M}) by (G)");
    let (rules, _) =
        rules::parse("rules: [{seriesQuery: a, metricsQuery: 'a{<<.LabelMatchers>>}'}]").unwrap();
    let of_series = unread.of_series(&rules.custom[0].query, "requests.total");
    assert!(Arc::ptr_eq(&of_series, &unread));
}

proptest! {
    #[test]
    fn no_query_makes_it_panic(query in "[-+*/(){}\\[\\]\"=~!,. a-cMG0-9]{0,40}") {
        let _ = judged(&query);
    }
}
