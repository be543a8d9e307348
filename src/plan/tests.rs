//! Queries as Go's own tests have them, and rows to values.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::kinds::{GroupResource, Kinds};
use crate::prometheus::{Kind, Sample};
use crate::registry::{Listings, Snapshot};
use crate::rules::{self, Terms};
use crate::samples::{Builder, Head, Labels, Rows};

fn snapshot(text: &str) -> Snapshot {
    let (rules, _) = rules::parse(text).expect("test rules must parse");
    Snapshot::build(
        Arc::new(rules),
        Arc::new(Kinds::builtin()),
        &Listings::default(),
    )
}

/// A rule over `pod` and `namespace` with this query.
fn custom(query: &str) -> Snapshot {
    snapshot(&format!(
        "rules:\n- seriesQuery: 'foo{{pod!=\"\"}}'\n  metricsQuery: '{query}'\n  resources:\n    \
         overrides: {{namespace: {{resource: namespace}}, pod: {{resource: pod}}}}\n"
    ))
}

fn ask(
    rules: &Snapshot,
    namespace: Option<&str>,
    names: &[&str],
    selector: &str,
) -> Result<String, Error> {
    let (_, metric) = rules
        .custom(&GroupResource::core("pods"), true, "foo")
        .unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    asked(metric, Scope::Exact, namespace, &names, selector).map(|query| query.promql)
}

fn asked(
    metric: &Metric,
    scope: Scope,
    namespace: Option<&str>,
    names: &[String],
    selector: &str,
) -> Result<ObjectsQuery, Error> {
    let selector = Selector::parse(selector).unwrap();
    custom_query(metric, scope, namespace, names, &selector)
}

/// `TestBuildSelector` of the Go adapter's `pkg/naming/metrics_query_test.go`.
#[test]
fn custom_queries_are_those_of_gos_own_tests() {
    for (template, names, namespace, selector, query) in [
        ("series <<.Series>>", &["bar"][..], None, "", "series foo"),
        (
            "<<.LabelMatchers>>",
            &["bar", "baz"],
            None,
            "",
            "pod=~\"bar|baz\"",
        ),
        ("<<.LabelMatchers>>", &["bar"], None, "", "pod=\"bar\""),
        (
            "<<.LabelMatchers>>",
            &["bar"],
            None,
            "m=v",
            "m=\"v\",pod=\"bar\"",
        ),
        (
            "<<index .LabelValuesByName \"pod\">>",
            &["bar"],
            None,
            "",
            "bar",
        ),
        (
            "<<index .LabelValuesByName \"pod\">>",
            &["bar", "baz"],
            None,
            "",
            "bar|baz",
        ),
        (
            "<<index .LabelValuesByName \"namespace\">> <<index .LabelValuesByName \"pod\">>",
            &["bar", "baz"],
            Some("default"),
            "",
            "default bar|baz",
        ),
        ("<<.GroupBy>>", &["bar"], None, "", "pod"),
        ("<<.GroupBySlice>>", &["bar"], None, "", "[pod]"),
    ] {
        assert_eq!(
            ask(&custom(template), namespace, names, selector).as_deref(),
            Ok(query)
        );
    }
}

/// `TestBuildExternalSelector` of the same file.
#[test]
fn external_queries_are_those_of_gos_own_tests() {
    for (template, namespaced, namespace, selector, query) in [
        ("series <<.Series>>", true, "", "", "series foo"),
        ("<<.GroupBy>>|<<.GroupBySlice>>", true, "", "", "|[]"),
        (
            "<<index .LabelValuesByName \"namespace\">>!",
            true,
            "default",
            "",
            "default!",
        ),
        (
            "<<index .LabelValuesByName \"namespace\">>!",
            false,
            "default",
            "",
            "!",
        ),
        ("<<.LabelMatchers>>", false, "", "foo=bar", "foo=\"bar\""),
        (
            "<<.LabelMatchers>>",
            true,
            "default",
            "foo=bar",
            "foo=\"bar\",namespace=\"default\"",
        ),
        (
            "<<.LabelMatchers>>",
            true,
            "",
            "foo=bar,qux in (bar,baz)",
            "foo=\"bar\",qux=~\"bar|baz\"",
        ),
        (
            "<<.LabelValuesByName>>",
            true,
            "",
            "foo=bar",
            "map[foo:bar]",
        ),
        (
            "<<.LabelValuesByName>>",
            true,
            "",
            "foo in (bar,baz)",
            "map[foo:bar|baz]",
        ),
    ] {
        let rules = snapshot(&format!(
            "externalRules:\n- seriesQuery: foo\n  metricsQuery: '{template}'\n  resources:\n    \
             namespaced: {namespaced}\n    overrides: {{namespace: {{resource: namespace}}}}\n"
        ));
        let metric = rules.external("foo").unwrap();
        let selector = Selector::parse(selector).unwrap();
        assert_eq!(
            external_query(metric, namespace, &selector)
                .as_ref()
                .map(|it| it.promql.as_str()),
            Ok(query)
        );
    }
}

/// `series_registry_test.go`.
#[test]
fn the_default_rules_make_gos_queries() {
    let snapshot = crate::registry::tests::default_snapshot();
    for (resource, namespace, names, selector, metric, query) in [
        (
            "pods",
            "somens",
            &["somepod1", "somepod2"][..],
            "",
            "some_usage",
            r#"sum(container_some_usage{namespace="somens",pod=~"somepod1|somepod2",container!="POD"}) by (pod)"#,
        ),
        (
            "pods",
            "somens",
            &["somepod1", "somepod2"],
            "",
            "some_time",
            r#"sum(rate(container_some_time_seconds_total{namespace="somens",pod=~"somepod1|somepod2",container!="POD"}[1m])) by (pod)"#,
        ),
        (
            "service",
            "somens",
            &["somesvc"],
            "param1=value1",
            "ingress_hits",
            r#"sum(rate(ingress_hits_total{param1="value1",kube_namespace="somens",kube_service="somesvc"}[1m])) by (kube_service)"#,
        ),
        (
            "deployment.apps",
            "somens",
            &["somedep"],
            "",
            "work_queue_wait",
            r#"sum(rate(work_queue_wait_seconds_total{kube_namespace="somens",kube_deployment="somedep"}[1m])) by (kube_deployment)"#,
        ),
        (
            "node",
            "",
            &["somenode"],
            "",
            "node_gigawatts",
            r#"sum(node_gigawatts{kube_node="somenode"}) by (kube_node)"#,
        ),
        (
            "persistentvolume",
            "",
            &["somepv"],
            "",
            "volume_claims",
            r#"sum(rate(volume_claims_total{kube_persistentvolume="somepv"}[1m])) by (kube_persistentvolume)"#,
        ),
    ] {
        let namespace = Some(namespace).filter(|it| !it.is_empty());
        let resource = GroupResource::parse(resource);
        let (_, found) = snapshot
            .custom(&resource, namespace.is_some(), metric)
            .unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let found = asked(found, Scope::Exact, namespace, &names, selector);
        assert_eq!(found.unwrap().promql, query);
    }
}

/// Whatever the names, the text is one: that is what makes it worth asking.
#[test]
fn a_wider_query_lets_in_all_objects_that_have_a_name() {
    let rules = custom("sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)");
    let (_, metric) = rules
        .custom(&GroupResource::core("pods"), true, "foo")
        .unwrap();
    let (_, of_namespaces) = rules
        .custom(&GroupResource::core("namespaces"), false, "foo")
        .unwrap();
    let names = ["bar".to_owned(), "baz".to_owned()];
    for (metric, scope, namespace, promql, keys) in [
        (
            metric,
            Scope::Namespace,
            Some("shop"),
            r#"sum(foo{a="b",namespace="shop",pod!=""}) by (pod)"#,
            &["pod"][..],
        ),
        (
            metric,
            Scope::Cluster,
            Some("shop"),
            r#"sum(foo{a="b",namespace!="",pod!=""}) by (pod,namespace)"#,
            &["namespace", "pod"],
        ),
        (
            metric,
            Scope::Exact,
            Some("shop"),
            r#"sum(foo{a="b",namespace="shop",pod=~"bar|baz"}) by (pod)"#,
            &["pod"],
        ),
        (
            of_namespaces,
            Scope::Namespace,
            None,
            r#"sum(foo{a="b",namespace!=""}) by (namespace)"#,
            &["namespace"],
        ),
    ] {
        let query = asked(metric, scope, namespace, &names, "a=b").unwrap();
        assert_eq!(query.promql, promql);
        assert_eq!(query.labels, keys);
    }
}

#[test]
fn every_selector_operator_has_its_matcher() {
    let rules = custom("<<.LabelMatchers>>");
    for (selector, matcher) in [
        ("a=b", r#"a="b""#),
        ("a==b", r#"a="b""#),
        ("a=", r#"a="""#),
        ("a!=b", r#"a!="b""#),
        ("a in (b)", r#"a=~"b""#),
        ("a in (c,b)", r#"a=~"b|c""#),
        ("a in ()", r#"a=~"""#),
        ("a notin (b)", r#"a!~"b""#),
        ("a notin (b,c)", r#"a!~"b|c""#),
        ("a", r#"a!="""#),
        ("!a", r#"a="""#),
        ("a notin (c,b),a=z", r#"a!~"b|c",a="z""#),
        ("a in (x.y)", r#"a=~"x\\.y""#),
        ("a=x.y", r#"a="x.y""#),
    ] {
        let query = ask(&rules, None, &["p"], selector).unwrap();
        assert_eq!(query, format!("{matcher},pod=\"p\""), "{selector}");
    }
}

#[test]
fn what_promql_cannot_express_is_refused_by_name() {
    let rules = custom("<<.LabelMatchers>>");
    let refused = |selector: &str| ask(&rules, None, &["p"], selector).unwrap_err();
    assert_eq!(refused("a>5"), Error::Operator(">"));
    assert_eq!(refused("a<5"), Error::Operator("<"));
    assert_eq!(refused("x.io/y=b"), Error::Label("x.io/y".to_owned()));
    assert!(refused("a>5").is_clients());
}

#[test]
fn a_name_cannot_leave_its_place_in_a_query() {
    let matchers = custom("<<.Series>>{<<.LabelMatchers>>}");
    let evil = r#"x"} or secret{a="b"#;
    let query = ask(&matchers, None, &[evil], "").unwrap();
    assert_eq!(query, r#"foo{pod="x\"} or secret{a=\"b"}"#);
    let values = custom(r#"foo{p=~"<<index .LabelValuesByName "pod">>"}"#);
    assert!(matches!(
        ask(&values, None, &[evil], ""),
        Err(Error::UnsafeValue(_))
    ));
    assert!(ask(&values, None, &["web-0.a"], "").is_ok());
}

#[test]
fn a_query_that_cannot_be_made_names_rule_and_cause() {
    let no_namespace = snapshot(
        "rules:\n- seriesQuery: 'foo{pod!=\"\"}'\n  metricsQuery: x\n  resources: {overrides: {pod: {resource: pod}}}\n",
    );
    let error = ask(&no_namespace, Some("shop"), &["p"], "").unwrap_err();
    assert_eq!(
        error.to_string(),
        "rules[0] (line 2): unable to convert resource namespaces into label: \
         no generic resource label form specified for this metric"
    );
    let empty = ask(&custom(""), None, &["p"], "").unwrap_err().to_string();
    assert_eq!(
        empty,
        "rules[0] (line 2): empty query produced by metrics query template"
    );
}

/// Rows of `query`, each with the values of its labels.
fn rows(query: &ObjectsQuery, samples: &[(&[&str], f64)]) -> Rows {
    let labels = Labels::Keys(query.labels.clone());
    let timestamp = jiff::Timestamp::from_second(1_700_000_000).unwrap();
    let mut rows = Builder::new(labels, samples.len());
    for (values, value) in samples {
        let values = values.iter().map(|value| (*value).to_owned());
        rows.add(Sample {
            labels: query.labels.iter().cloned().zip(values).collect(),
            timestamp,
            value: *value,
        })
        .unwrap();
    }
    rows.finish(Head {
        kind: Kind::Vector,
        histograms: 0,
        partial: false,
        at: timestamp,
        took: Duration::ZERO,
    })
}

#[test]
fn rows_become_values_and_what_is_no_number_is_none() {
    let names: Vec<String> = ["a", "b", "c"].map(str::to_owned).to_vec();
    let rules = custom("foo{<<.LabelMatchers>>}");
    let (_, metric) = rules
        .custom(&GroupResource::core("pods"), true, "foo")
        .unwrap();
    let query = asked(metric, Scope::Namespace, Some("shop"), &names, "").unwrap();
    let of_two_a: &[(&[&str], f64)] = &[
        (&["a"], 1.0),
        (&["b"], f64::NAN),
        (&["stranger"], 9.0),
        (&["a"], 2.5),
    ];
    let values =
        ObjectValues::of(&rows(&query, of_two_a), &query, &Terms::default(), &names).unwrap();
    let Found::Value(a) = &values.found()[0] else {
        panic!("a must have a value")
    };
    assert_eq!(a.quantity.to_string(), "2500m");
    assert_eq!(a.timestamp.as_second(), 1_700_000_000);
    assert!(matches!(&values.found()[1], Found::NotANumber(sample) if sample.is_nan()));
    assert_eq!(&values.found()[2], &Found::Nothing);
    assert_eq!(
        values.dropped(),
        Dropped {
            not_a_number: 1,
            ambiguous: 1
        }
    );
    // Of all namespaces, those of one.
    let query = asked(metric, Scope::Cluster, Some("shop"), &names, "").unwrap();
    let of_many: &[(&[&str], f64)] = &[
        (&["bank", "a"], 1.0),
        (&["shop", "a"], 2.0),
        (&["", "a"], 3.0),
        (&["bank", "b"], 4.0),
    ];
    let values =
        ObjectValues::of(&rows(&query, of_many), &query, &Terms::default(), &names).unwrap();
    let Found::Value(a) = &values.found()[0] else {
        panic!("a must have a value")
    };
    assert_eq!(a.quantity.to_string(), "2");
    assert_eq!(&values.found()[1], &Found::Nothing);
}

proptest! {
    /// Whatever a name or selector value is, the query's matchers match exactly that.
    #[test]
    fn matchers_match_exactly_what_was_asked(names in prop::collection::vec("[a-z0-9.+*|()-]{1,6}", 1..4)) {
        let refs: Vec<&str> = names.iter().map(String::as_str).collect();
        let query = ask(&custom("foo{<<.LabelMatchers>>}"), None, &refs, "").unwrap();
        let parsed = promql_parser::parser::parse(&query).unwrap();
        let promql_parser::parser::Expr::VectorSelector(selector) = parsed else {
            panic!("{query} must be a selector")
        };
        let matcher = &selector.matchers.matchers[0];
        for name in &names {
            prop_assert!(matcher.is_match(name));
            let other = name.replace('.', "X");
            prop_assert_eq!(matcher.is_match(&other), names.contains(&other));
        }
    }
}

/// The values of the pods `a` and `b` of a namespace, where an answer without rows means zero.
fn zeros(rows: &[(&[&str], f64)], head: Head) -> (Found, Found) {
    let snapshot = custom("foo{<<.LabelMatchers>>}");
    let (_, metric) = snapshot
        .custom(&GroupResource::core("pods"), true, "foo")
        .unwrap();
    let names = ["a", "b"].map(str::to_owned);
    let selector = Selector::default();
    let query = custom_query(metric, Scope::Exact, Some("x"), &names, &selector).unwrap();
    let mut builder = Builder::new(Labels::Keys(query.labels.clone()), rows.len());
    for (values, value) in rows {
        let labels = query.labels.iter().cloned();
        let labels = labels.zip(values.iter().map(|it| (*it).to_owned()));
        let sample = Sample {
            labels: labels.collect(),
            timestamp: head.at,
            value: *value,
        };
        builder.add(sample).unwrap();
    }
    let terms = Terms {
        on_empty: rules::OnEmpty::Zero,
        ..Terms::default()
    };
    let values = ObjectValues::of(&builder.finish(head), &query, &terms, &names).unwrap();
    (values.found()[0].clone(), values.found()[1].clone())
}

#[test]
fn nothing_is_zero_only_where_the_answer_is_whole_and_has_no_row() {
    let head = Head {
        kind: Kind::Vector,
        histograms: 0,
        partial: false,
        at: jiff::Timestamp::from_second(1_700_000_000).unwrap(),
        took: Duration::ZERO,
    };
    let zero = |found: Found| matches!(found, Found::Value(it) if it.quantity.to_string() == "0");
    let (a, b) = zeros(&[], head);
    assert!(zero(a) && zero(b));
    let nothing = (Found::Nothing, Found::Nothing);
    for head in [
        Head {
            partial: true,
            ..head
        },
        Head {
            histograms: 1,
            ..head
        },
        Head {
            kind: Kind::Scalar,
            ..head
        },
    ] {
        assert_eq!(zeros(&[], head), nothing, "{head:?}");
    }
    let (a, b) = zeros(&[(&["a"], 1.0)], head);
    assert!(!zero(a) && b == Found::Nothing);
    let (a, b) = zeros(&[(&["a"], f64::NAN)], head);
    assert!(matches!(a, Found::NotANumber(_)) && b == Found::Nothing);
}

/// The texts for these names where one may have a kilobyte, and what they select.
fn in_parts(template: &str, names: &[String]) -> Result<Vec<String>, Error> {
    let snapshot = custom(template);
    let (_, metric) = snapshot
        .custom(&GroupResource::core("pods"), true, "foo")
        .unwrap();
    let (scope, selector) = (Scope::Exact, Selector::default());
    let query = custom_query_within(metric, scope, Some("x"), names, &selector, 1024)?;
    Ok([vec![query.promql], query.further].concat())
}

#[test]
fn a_query_that_is_too_long_is_asked_in_parts_where_that_gives_the_same() {
    let names: Vec<String> = (0..1000)
        .map(|pod| format!("web-{:06}", pod * 7919))
        .collect();
    let template = "sum(foo{<<.LabelMatchers>>}) by (<<.GroupBy>>)";
    let texts = in_parts(template, &names).unwrap();
    assert!(texts.len() > 1 && texts.iter().all(|text| text.len() <= 1024));
    // Each name is in one text, and nothing else is.
    let patterns = texts.iter().map(|text| {
        let (_, rest) = text.split_once("pod=~\"").unwrap();
        regex::Regex::new(&format!("^(?:{})$", rest.split_once('"').unwrap().0)).unwrap()
    });
    let patterns: Vec<_> = patterns.collect();
    let found = |name: &str| patterns.iter().filter(|it| it.is_match(name)).count();
    assert!(names.iter().all(|name| found(name) == 1));
    assert_eq!(found("web-000001"), 0);
    assert_eq!(in_parts(template, &names[..2]).unwrap().len(), 1);

    let refused = in_parts(
        "topk(3, sum(foo{<<.LabelMatchers>>}) by (<<.GroupBy>>))",
        &names,
    );
    let text = refused.unwrap_err().to_string();
    let expected = "bytes, more than --max-query-bytes (1024), and it cannot be asked in parts: this \
                    aggregation is not known to keep namespaces and objects apart: topk(";
    assert!(text.contains(expected), "{text}");
    let one = in_parts(template, &["x".repeat(1024)]).unwrap_err();
    assert!(
        one.to_string().ends_with("one name alone makes it so"),
        "{one}"
    );
}
