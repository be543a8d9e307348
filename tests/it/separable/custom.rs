//! A custom metric's query for all objects of a namespace, or of all namespaces, gives what Go's
//! query gives for each ask: over the real Prometheus and the real VictoriaMetrics, for queries that
//! are made up, with metric selectors, below namespaces and at the root.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::Value;

use tidegauge::kinds::{GroupResource, Kinds};
use tidegauge::plan::{ObjectsQuery, custom_query};
use tidegauge::registry::separable::Scope;
use tidegauge::registry::{Listings, Metric, Snapshot};
use tidegauge::rules;
use tidegauge::selector::Selector;

use super::WORLDS;
use crate::support::exporter::{self, Exporter};
use crate::support::prometheus::{Api, Prometheus, TargetLabels};
use crate::support::victoria::Victoria;

mod refused;

/// How many queries are made up for each world.
const QUERIES: usize = 60;

/// Queries that once gave, or might have given, something else when widened, and what they are
/// about; each is asked in all worlds. What a run finds is added here.
const KEPT: &[&str] = &[
    // Several rows of one object: the last one counts, so they must come in the same order.
    "S{M}",
    "b{M} or S{M}",
    "sum by (G, id) (S{M})",
    // Rows that do not name their namespace: one namespace is all there is.
    "max(S{M}) by (pod)",
    "max(S{M}) without (namespace, id)",
    // A filter leaves other objects out on each side.
    "sum(S{M}) by (G) > 4 or sum(b{M}) by (G)",
    "sum(S{M}) by (G) unless on (G) sum(b{M} > 4) by (G)",
    // Series without some of the labels.
    "sum(S{M, id=\"\"}) by (G)",
    "max by (namespace, pod, node) (S{M})",
    // Precedence: unary minus binds less than the power, operators in their own order.
    "-sum(S{M}) by (G) ^ 2 + 3 * 2 == bool 7",
    "sum(S{M}) by (G) or sum(b{M}) by (G) and on (G) sum(S{M}) by (G) > 3",
    "2 ^ 3 ^ 2 - sum(S{M}) by (G) % 4",
    // Ranges over what is made of several series.
    "max_over_time((sum by (G) (S{M}) or sum by (G) (b{M}))[3s:1s])",
    "sum by (G) (rate(c_total{M}[20s])) / sum by (G) (count_over_time(S{M}[20s]))",
    "histogram_quantile(0.5, sum by (G, le) (rate(c_total{M}[20s])))",
    "histogram_quantile(0.5, c_total{M})",
    "S{M} offset 1s + S{M}",
    "timestamp(S{M}) - time()",
    // To Prometheus it is wrong; VictoriaMetrics wants one row, whosesoever.
    "2 * on () (S{M})",
];

/// Selectors of series, as in `metricLabelSelector`.
const SELECTORS: &[&str] = &[
    "",
    "",
    "id=1",
    "id in (1,2)",
    "id!=1",
    "!id",
    "id",
    "namespace=x",
    "pod!=p",
    "pod in (p,r),namespace notin (y)",
];

/// Expressions as [`rules_of`] reads them; by no means all may be widened.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "S{M}",
        "S{M}",
        "b{M}",
        "b{id=\"1\",M}",
        "b{M} offset 1s",
        "rate(c_total{M}[20s])",
        "{__name__=~\"W_[ab]\", M}",
        "{__name__=\"W_b\", M}",
        "b",
        "b{namespace=\"x\"}",
        "2",
        "time()",
        "vector(1)",
    ]);
    leaf.prop_map(str::to_owned).prop_recursive(4, 14, 2, |inner| {
        let aggregations = vec!["sum", "max", "count", "group", "avg", "topk", "quantile"];
        let groupings = vec![
            "by (G)", "by (G)", "by (id, G)", "by (namespace, G)", "by (pod)", "by (pod, namespace)",
            "by (pod, namespace, node)", "by (le, G)", "by (__name__, G)", "by (id)", "by ()",
            "without (id)", "without (namespace)", "without (pod)", "without (G)", "",
        ];
        let calls = vec![
            "-(", "abs(", "clamp_min(2, ", "2 * (", "3 < (", "3 < bool (", "max_over_time((",
            "histogram_quantile(0.5, ", "absent(", "scalar(", "sort(",
            "label_replace(", "timestamp(", "(",
        ];
        let operators = vec!["+", "*", ">", "== bool", "^", "and", "or", "unless"];
        let matches = vec![
            "", "", "on (G)", "on (G)", "on (id, G)", "on (pod)", "on (namespace, pod)",
            "on (namespace, pod, node)", "on ()", "ignoring (id)", "ignoring (namespace)",
            "ignoring (pod)", "ignoring (le, id)",
        ];
        let groups = vec!["", "", "", "group_left ()", "group_left (id)", "group_right ()"];
        let (one, two, left) = (inner.clone(), inner.clone(), inner.clone());
        prop_oneof![
            4 => (prop::sample::select(aggregations), prop::sample::select(groupings), one)
                .prop_map(|(name, grouping, of)| match name {
                    "topk" => format!("topk {grouping} (1, {of})"),
                    "quantile" => format!("quantile {grouping} (0.5, {of})"),
                    _ => format!("{name} {grouping} ({of})"),
                }),
            2 => (prop::sample::select(calls), two).prop_map(|(head, of)| match head {
                "clamp_min(2, " => format!("clamp_min({of}, 2)"),
                "max_over_time((" => format!("max_over_time(({of})[3s:1s])"),
                "label_replace(" => format!("label_replace({of}, \"pod\", \"q\", \"id\", \"1\")"),
                _ => format!("{head}{of})"),
            }),
            4 => (left, prop::sample::select(operators), prop::sample::select(matches),
                prop::sample::select(groups), inner, any::<bool>())
                .prop_filter_map("what can be read", |(left, op, on, group, right, apart)| {
                    let is_set = ["and", "or", "unless"].contains(&op);
                    let sound = group.is_empty() || (!on.is_empty() && !is_set);
                    sound.then(|| match apart {
                        true => format!("({left}) {op} {on} {group} ({right})"),
                        // Whoever reads it decides what belongs together.
                        false => format!("{left} {op} {on} {group} {right}"),
                    })
                }),
        ]
    })
}

/// The rule of a query over the names of a world: `S` stands for `<<.Series>>`, which is `a`.
fn rules_of(query: &str, world: &str) -> Snapshot {
    let text = super::written(query, world).replace('\'', "''");
    let file = format!(
        "rules: [{{seriesQuery: '{world}_a{{namespace!=\"\",pod!=\"\",node!=\"\"}}', \
         metricsQuery: '{text}', resources: {{overrides: {{namespace: {{resource: namespace}}, \
         pod: {{resource: pod}}, node: {{resource: node}}}}}}}}]"
    );
    let (rules, _) = rules::parse(&file).unwrap_or_else(|_| panic!("{file}"));
    Snapshot::build(
        Arc::new(rules),
        Arc::new(Kinds::builtin()),
        &Listings::default(),
    )
}

fn metric<'a>(snapshot: &'a Snapshot, resource: &str, world: &str) -> &'a Metric {
    let resource = GroupResource::core(resource);
    let found = snapshot.custom(
        &resource,
        resource.resource == "pods",
        &format!("{world}_a"),
    );
    found.expect("the metric must be listed").1
}

/// Where objects are asked about, and their names; of each kind there are more that have series.
const PLACES: &[(&str, Option<&str>, &[&str])] = &[
    ("pods", Some("x"), &["p", "q"]),
    ("pods", Some("y"), &["p"]),
    ("pods", Some("z"), &["q", "absent"]),
    ("nodes", None, &["m", "n"]),
    ("namespaces", None, &["x", "y"]),
];

/// The rows of each object, in the server's order. `None`: Prometheus refuses the query.
type Rows = BTreeMap<String, Vec<String>>;

fn of_names(
    answer: &Result<Vec<Value>, String>,
    query: &ObjectsQuery,
    namespace: Option<&str>,
    names: &[String],
) -> Option<Rows> {
    let mut rows = Rows::new();
    for row in answer.as_ref().ok()? {
        let label = |name: &str| row["metric"][name].as_str().unwrap_or_default();
        let (key, of) = match query.labels.as_slice() {
            [object] => (label(object), None),
            [of, object] => (label(object), Some(label(of))),
            _ => panic!("{query:?}"),
        };
        let is_of = of.is_none_or(|of| Some(of) == namespace);
        if is_of && names.iter().any(|name| name == key) {
            let value = row["value"][1].as_str().unwrap_or_default();
            let value: f64 = value.parse().expect("a value must be a number");
            // Floats that are added in another order differ in their last digits.
            // The one rounds on its way where the other does not.
            let rounded = format!("{value:.6e}");
            rows.entry(key.to_owned()).or_default().push(rounded);
        }
    }
    // The last row of an object counts, so that their order matters; but Prometheus gives those of
    // a subquery, and of buckets, in another one each time.
    let shuffles = ["s:1s]", "histogram_quantile"];
    if shuffles.iter().any(|it| query.promql.contains(it)) {
        rows.values_mut().for_each(|values| values.sort());
    }
    Some(rows)
}

/// Some series of a world, as Prometheus reads them; labels may lack.
fn series(world: &str) -> impl Strategy<Value = String> + use<> {
    let labels = (
        prop::sample::select(vec!["x", "x", "y", "y", "z", ""]),
        prop::sample::select(vec!["p", "p", "q", "q", "r", ""]),
        prop::sample::select(vec!["m", "n", "o", ""]),
        prop::sample::select(vec!["1", "2", ""]),
        prop::sample::select(vec!["", "", "1", "+Inf"]),
    );
    let name = prop::sample::select(vec!["a", "a", "b", "c_total"]);
    let world = world.to_owned();
    prop::collection::btree_map((name, labels), 0..9u8, 20..80).prop_map(move |series| {
        let line = |((name, (namespace, pod, node, id, le)), value)| {
            format!(
                "{world}_{name}{{namespace=\"{namespace}\",pod=\"{pod}\",node=\"{node}\",\
                 id=\"{id}\",le=\"{le}\"}} {value}\n"
            )
        };
        series.into_iter().map(line).collect()
    })
}

/// What was compared.
#[derive(Debug, Default)]
struct Seen {
    rows: usize,
    of_namespaces: usize,
    of_clusters: usize,
    of_roots: usize,
}

/// Asks `template` for each place, exactly and as widely as it is said that it may be.
async fn compare(
    server: Api<'_>,
    (template, world, selector): (&str, &str, &str),
    at: f64,
    seen: &mut Seen,
) {
    let snapshot = rules_of(template, world);
    let selector = Selector::parse(selector).expect("test selectors must parse");
    for (kind, namespace, names) in PLACES {
        let metric = metric(&snapshot, kind, world);
        let verdict = metric.verdict(namespace.is_some());
        let widest = verdict.expect("each has a verdict").widest();
        if widest == Scope::Exact {
            continue;
        }
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let query = |scope| custom_query(metric, scope, *namespace, &names, &selector).unwrap();
        let exact = query(Scope::Exact);
        let narrow = server.query_at(&exact.promql, at).await;
        let narrow_rows = of_names(&narrow, &exact, *namespace, &names);
        for scope in [Scope::Namespace, Scope::Cluster] {
            if scope > widest {
                continue;
            }
            let wide = query(scope);
            let answer = server.query_at(&wide.promql, at).await;
            let rows = of_names(&answer, &wide, *namespace, &names);
            assert_eq!(
                rows, narrow_rows,
                "{template}\n{}: {narrow:?}\n{}: {answer:?}",
                exact.promql, wide.promql
            );
            seen.rows += rows.map_or(0, |rows| rows.len());
            match (namespace, scope) {
                (None, _) => seen.of_roots += 1,
                (_, Scope::Cluster) => seen.of_clusters += 1,
                _ => seen.of_namespaces += 1,
            }
        }
    }
}

/// Asks what is kept and what is made up, of each world, but for what `skips`.
async fn compare_all(server: Api<'_>, worlds: &[String], skips: fn(&str) -> bool) {
    // Samples are not there for queries at the very moment they are scraped.
    let at = jiff::Timestamp::now().as_duration().as_secs_f64() - 3.0;
    let mut runner = TestRunner::default();
    let mut seen = Seen::default();
    let selectors = prop::sample::select(SELECTORS);
    for world in worlds {
        let mut templates: Vec<String> = KEPT.iter().map(ToString::to_string).collect();
        for number in 0..QUERIES {
            let made_up = expression().new_tree(&mut runner).unwrap().current();
            // Half of them make one row of each object, so that more of them are sound.
            templates.push(match number % 2 {
                0 => made_up,
                _ => format!("max by (G) ({made_up})"),
            });
        }
        for template in templates.iter().filter(|it| !skips(it)) {
            let selector = selectors.new_tree(&mut runner).unwrap().current();
            compare(server, (template, world, selector), at, &mut seen).await;
        }
    }
    let enough = seen.rows > 300 && seen.of_namespaces > seen.of_clusters;
    assert!(
        enough && seen.of_clusters > 200 && seen.of_roots > 200,
        "too few to show anything: {seen:?}"
    );
}

/// Worlds, and an exporter of all their series.
async fn worlds() -> (Vec<String>, Exporter) {
    let mut runner = TestRunner::default();
    let worlds: Vec<String> = (0..WORLDS).map(|world| format!("v{world}")).collect();
    let series = worlds.iter().map(|world| series(world));
    let text: String = series
        .map(|series| series.new_tree(&mut runner).unwrap().current())
        .collect();
    let exporter = Exporter::start(move |elapsed| exporter::rising(&text, elapsed)).await;
    (worlds, exporter)
}

/// Two scrapes make a rate, some seconds ago.
const SCRAPED: &[&str] = &["{__name__=~\"v.*_total\"} offset 6s"];

#[tokio::test]
async fn a_query_for_more_objects_gives_each_what_it_is_given_alone() {
    let (worlds, exporter) = worlds().await;
    let prometheus = Prometheus::start(&[exporter.address], TargetLabels::Dropped).await;
    prometheus.wait_for(SCRAPED).await;
    compare_all(prometheus.api(), &worlds, |_| false).await;
}

#[tokio::test]
async fn so_it_does_over_victoria_metrics() {
    let (worlds, exporter) = worlds().await;
    let victoria = Victoria::start(&[exporter.address], TargetLabels::Dropped).await;
    victoria.api().wait_for(SCRAPED).await;
    // Asked the same twice, it may tell two times of one sample that are a millisecond apart; and
    // where a row of the left side of `or` has no value, it takes that of any row of the right side
    // with such labels.
    let skips = |it: &str| {
        ["time()", "timestamp(", " or "]
            .iter()
            .any(|word| it.contains(word))
    };
    compare_all(victoria.api(), &worlds, skips).await;
}
