//! Queries that nobody would write: what is said of them is true nevertheless.

use super::*;

/// How many are made up, for each world.
const QUERIES: usize = 40;

/// Expressions over `a`, `b` and both, as [`metric`] reads them; by no means all may be asked at
/// once.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec!["a{M}", "b{M}", "{__name__=~\"W_[ab]\", M}"]);
    let leaf = leaf.prop_map(str::to_owned);
    leaf.prop_recursive(4, 12, 2, |inner| {
        let sets = vec!["and", "or", "unless"];
        let groupings = vec![
            "by (G)",
            "by (id, G)",
            "by (namespace, G)",
            "by (pod, container)",
            "by (__name__, G)",
            "without (id)",
            "without (namespace)",
        ];
        let matches = vec![
            "",
            "on (G)",
            "on (id, G)",
            "on (pod, container)",
            "on (namespace, pod)",
            "ignoring (id)",
        ];
        let groups = vec!["", "group_left ()", "group_left (id)", "group_right ()"];
        let (one, two, three) = (inner.clone(), inner.clone(), inner.clone());
        prop_oneof![
            3 => (prop::sample::select(groupings), one)
                .prop_map(|(grouping, of)| format!("max {grouping} ({of})")),
            1 => (prop::sample::select(vec!["-(", "abs(", "2 * (", "3 < ("]), two)
                .prop_map(|(head, of)| format!("{head}{of})")),
            1 => (three.clone(), prop::sample::select(sets),
                prop::sample::select(matches.clone()), inner.clone())
                .prop_map(|(left, op, on, right)| format!("({left}) {op} {on} ({right})")),
            3 => (three, prop::sample::select(matches), prop::sample::select(groups), inner)
                .prop_filter_map("on or ignoring before group", |(left, on, group, right)| {
                    let sound = !on.is_empty() || group.is_empty();
                    sound.then(|| format!("({left}) + {on} {group} ({right})"))
                }),
        ]
    })
}

#[tokio::test]
async fn whatever_a_query_is_made_of_it_is_asked_at_once_only_where_that_changes_nothing() {
    let (worlds, text) = worlds('m', |world| any_of(series(world)));
    let served = text.clone();
    let exporter = Exporter::start(move |_: Duration| served.clone()).await;
    let prometheus = Prometheus::start(&[exporter.address], TargetLabels::Dropped).await;
    nothing_changes(prometheus.api(), &worlds, &text).await;
}

#[tokio::test]
async fn over_victoria_metrics_it_is_asked_at_once_only_where_that_changes_nothing() {
    let (worlds, text) = worlds('m', |world| any_of(series(world)));
    let served = text.clone();
    let exporter = Exporter::start(move |_: Duration| served.clone()).await;
    let victoria = Victoria::start(&[exporter.address], TargetLabels::Dropped).await;
    nothing_changes(victoria.api(), &worlds, &text).await;
}

async fn nothing_changes(api: Api<'_>, worlds: &[String], text: &str) {
    let mut runner = TestRunner::default();
    api.wait_for(&[&format!("{{__name__=~\"m.*\"}} {SCRAPED}")])
        .await;
    let at = a_while_ago();
    let pods = wanted(&["x", "y", "z"], &["p", "q"]);
    let (mut wide, mut nameless) = (0, 0);
    for world in worlds {
        for _ in 0..QUERIES {
            let made_up = expression().new_tree(&mut runner).unwrap().current();
            // One row for each container, whatever is inside.
            let metric = metric(&format!("max by (G) ({made_up})"), world);
            let Some(verdict) = &metric.at_once else {
                panic!("{made_up}")
            };
            let narrow = each(api, &metric, &pods, at).await;
            if verdict.forbids().is_none() {
                wide += 1;
                let promql = pods_query(&metric, Scope::Exact, &pods, usize::MAX)
                    .unwrap()
                    .promql;
                let promql = promql.replace(",pod=~\"p|q\"", "");
                let found = fold(api.query_at(&promql, at).await, None, &pods);
                assert!(found.is_some(), "{promql} fails over\n{text}");
                assert_eq!(found, narrow, "{promql}\nover\n{text}");
            }
            if verdict.others.is_ok() {
                nameless += 1;
                let found = of_each_namespace(api, &metric, &pods, at).await;
                assert!(found.is_some(), "{made_up} fails over\n{text}");
                assert_eq!(found, narrow, "{made_up}\nover\n{text}");
            }
        }
    }
    assert!(
        wide > WORLDS && nameless > wide,
        "{wide} wide, {nameless} without names"
    );
}

/// What each namespace gives on its own without a matcher on names.
async fn of_each_namespace(
    api: Api<'_>,
    metric: &ResourceMetric,
    pods: &Pods,
    at: f64,
) -> Option<Rows> {
    let mut all = Rows::new();
    for (namespace, names) in pods {
        let one = Pods::from([(Arc::clone(namespace), names.clone())]);
        let query = pods_query(metric, Scope::Exact, &one, usize::MAX).unwrap();
        let promql = query.promql.replace(",pod=~\"p|q\"", "");
        assert_ne!(promql, query.promql);
        let answer = api.query_at(&promql, at).await;
        all.extend(fold(answer, Some(namespace), pods)?);
    }
    Some(all)
}
