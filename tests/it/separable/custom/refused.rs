//! Each reason for which a query is asked exactly is a good one: asked more widely, a query of its
//! kind gives something else, or nothing.
//!
//! Two reasons have no such case. A number without labels belongs to no object, however it is asked
//! for ([`Reason::Constant`]), and objects at the root have no namespace that a query could let in
//! ([`Reason::Root`]).

use std::time::Duration;

use super::*;
use tidegauge::registry::separable::{Inseparable, Reason};

/// In the namespace `x` the pod `p` has one series of each name. `q` has one more name than `p`,
/// `done` has series twice, and `t` has one series in all. `r_split` has a label that is made of
/// another's name.
const FIXED: &str = "r_a{namespace=\"x\",pod=\"p\",node=\"m\",id=\"1\"} 1\n\
                     r_a{namespace=\"y\",pod=\"p\",node=\"m\",id=\"1\"} 2\n\
                     r_a{namespace=\"x\",pod=\"q\",node=\"m\",id=\"1\"} 4\n\
                     r_a{namespace=\"x\",pod=\"done\",node=\"m\",id=\"1\"} 8\n\
                     r_b{namespace=\"x\",pod=\"p\",node=\"m\",id=\"1\"} 10\n\
                     r_b{namespace=\"y\",pod=\"p\",node=\"m\",id=\"1\"} 20\n\
                     r_b{namespace=\"x\",pod=\"q\",node=\"m\",id=\"1\"} 40\n\
                     r_b{namespace=\"x\",pod=\"done\",node=\"m\",id=\"1\"} 80\n\
                     r_b{namespace=\"x\",pod=\"done\",node=\"m\",id=\"2\"} 160\n\
                     r_more{namespace=\"x\",pod=\"q\",node=\"m\",id=\"1\"} 5\n\
                     r_a{namespace=\"w\",pod=\"t\",node=\"m\",id=\"1\"} 1\n\
                     r_a{namespace=\"w\",pod=\"u\",node=\"m\",id=\"1\"} 1\n\
                     r_b{namespace=\"w\",pod=\"u\",node=\"m\",id=\"1\"} 1\n\
                     r_split{namespace=\"x\",pod=\"p\",pod_x=\"1\"} 1\n\
                     r_split{namespace=\"x\",pod=\"p\",pod_x=\"2\"} 1\n\
                     bool{namespace=\"v\",pod=\"v\",node=\"m\"} 1\n";

/// A query, the scope that it is refused for, and why.
type Refused = (&'static str, Scope, Reason);

const REFUSED: &[Refused] = &[
    ("sum(S) by (G)", Scope::Cluster, Reason::Selector),
    (
        "S{M} * on () group_left () sum(S{M})",
        Scope::Namespace,
        Reason::Grouping,
    ),
    ("sum(S{M}) by (pod)", Scope::Cluster, Reason::Grouping),
    ("topk(1, S{M})", Scope::Namespace, Reason::Aggregation),
    (
        "S{M} / scalar(S{M})",
        Scope::Namespace,
        Reason::Function("scalar"),
    ),
    (
        "absent(S{M, id=\"9\"})",
        Scope::Namespace,
        Reason::Function("absent"),
    ),
    (
        "label_replace(S{M}, \"pod\", \"p\", \"\", \"\")",
        Scope::Namespace,
        Reason::Text,
    ),
    (
        "sum({__name__=\"W_split\", M}) by (namespace, pod, <<.GroupBy>>_x)",
        Scope::Cluster,
        Reason::Text,
    ),
    (
        "S{M} * on (id) group_left () b{M}",
        Scope::Namespace,
        Reason::Matching,
    ),
    (
        "sum(S{M}) by (G) + on (namespace, pod) max(b{M}) by (namespace, pod)",
        Scope::Cluster,
        Reason::Sides,
    ),
    ("S{M} * on (pod) b{M}", Scope::Namespace, Reason::Duplicates),
    (
        "b{M} * ignoring (id) S{M}",
        Scope::Namespace,
        Reason::Duplicates,
    ),
    (
        "-{__name__=~\"W_a|W_more\", M}",
        Scope::Namespace,
        Reason::Name,
    ),
    (
        "sum(S{M}) by (<<index .GroupBySlice 0>>)",
        Scope::Cluster,
        Reason::Template,
    ),
];

/// A query that is not understood, because it is deeper than any that somebody writes.
fn unread() -> String {
    format!("topk(1, S{{M}}){}", " + 0".repeat(300))
}

async fn world() -> (Exporter, Prometheus, f64) {
    let exporter = Exporter::start(|_: Duration| FIXED.to_owned()).await;
    let prometheus = Prometheus::start(&[exporter.address], TargetLabels::Dropped).await;
    prometheus.wait_for(&["{__name__=\"bool\"}"]).await;
    let at = jiff::Timestamp::now().as_duration().as_secs_f64();
    (exporter, prometheus, at)
}

/// Asks for `names` in `namespace`, exactly and in `scope`: what that gives must differ.
async fn differs(
    prometheus: &Prometheus,
    metric: &Metric,
    (scope, namespace, name): (Scope, &str, &str),
    at: f64,
) {
    let names = [name.to_owned()];
    let asked = async |scope| {
        let selector = Selector::default();
        let query = custom_query(metric, scope, Some(namespace), &names, &selector).unwrap();
        let answer = prometheus.query_at(&query.promql, at).await;
        (of_names(&answer, &query, Some(namespace), &names), query)
    };
    let (narrow, exact) = asked(Scope::Exact).await;
    let (wide, query) = asked(scope).await;
    assert!(narrow.is_some(), "{}", exact.promql);
    assert_ne!(wide, narrow, "{}\n{}", exact.promql, query.promql);
}

fn cause(metric: &Metric, scope: Scope) -> &Inseparable {
    let verdict = metric.verdict(true).unwrap();
    assert!(verdict.widest() < scope, "{verdict:?}");
    match scope {
        Scope::Cluster => verdict.namespaces.as_ref().unwrap_err(),
        _ => verdict.others.as_ref().unwrap_err(),
    }
}

#[tokio::test]
async fn each_kind_of_query_that_is_asked_exactly_would_give_something_else() {
    let (_exporter, prometheus, at) = world().await;
    for (template, scope, reason) in REFUSED {
        let snapshot = rules_of(template, "r");
        let metric = metric(&snapshot, "pods", "r");
        assert_eq!(cause(metric, *scope).reason, *reason, "{template}");
        differs(&prometheus, metric, (*scope, "x", "p"), at).await;
    }
    let snapshot = rules_of(&unread(), "r");
    let metric = metric(&snapshot, "pods", "r");
    let found = &cause(metric, Scope::Namespace).reason;
    assert!(matches!(found, Reason::Unparsable(_)), "{found:?}");
    differs(&prometheus, metric, (Scope::Namespace, "x", "p"), at).await;
}

fn rule(series: &str, query: &str, namespace: &str) -> Snapshot {
    let file = format!(
        "rules: [{{seriesQuery: '{{__name__=\"{series}\",pod!=\"\"}}', \
         metricsQuery: '{query}', resources: {{overrides: {{{namespace}: {{resource: namespace}}, \
         pod: {{resource: pod}}}}}}}}]"
    );
    let (rules, _) = rules::parse(&file).unwrap_or_else(|_| panic!("{file}"));
    Snapshot::build(
        Arc::new(rules),
        Arc::new(Kinds::builtin()),
        &Listings::default(),
    )
}

#[tokio::test]
async fn names_with_two_meanings_are_asked_about_exactly_for_a_reason() {
    let (_exporter, prometheus, at) = world().await;
    let pods = GroupResource::core("pods");
    // A series whose name is a word of PromQL: what is compared with is any series.
    let query = "r_a{<<.LabelMatchers>>} > <<.Series>>{<<.LabelMatchers>>}";
    let snapshot = rule("bool", query, "namespace");
    let (_, metric) = snapshot.custom(&pods, true, "bool").unwrap();
    assert_eq!(cause(metric, Scope::Namespace).reason, Reason::Series);
    differs(&prometheus, metric, (Scope::Namespace, "w", "t"), at).await;
    // Namespaces that are found by the name of the series, which an operator drops.
    let query = "{<<.LabelMatchers>>,id=\"1\"} * 1";
    let snapshot = rule("r_a", query, "__name__");
    let (_, metric) = snapshot.custom(&pods, true, "r_a").unwrap();
    assert_eq!(cause(metric, Scope::Namespace).reason, Reason::Labels);
    differs(&prometheus, metric, (Scope::Cluster, "r_a", "q"), at).await;
}
