//! The judgement on queries is true: over the real Prometheus and VictoriaMetrics, a query that is asked for all
//! namespaces at once gives what it gives for each, and each kind of query that is refused would
//! give something else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::Value;

use tidegauge::go::template::Data;
use tidegauge::kinds::Kinds;
use tidegauge::plan::resource::{Pods, pods_query};
use tidegauge::registry::separable::{AGGREGATIONS, PER_SERIES, Reason, Scope};
use tidegauge::registry::{Listings, ResourceMetric, Snapshot};
use tidegauge::rules;

use crate::support::exporter::{self, Exporter};
use crate::support::prometheus::{Api, Prometheus, TargetLabels};
use crate::support::victoria::Victoria;

mod custom;
mod made_up;

/// Sets of random series; each has names of its own.
const WORLDS: usize = 8;

/// Queries that can be asked at once. `M` stands for `<<.LabelMatchers>>`, `G` for `<<.GroupBy>>`,
/// and `a`, `b` and `c_total` for the names of one world.
const SEPARABLE: &[&str] = &[
    "sum(a{M}) by (G)",
    "sum by (G) (rate(c_total{M,container!=\"\",pod!=\"\"}[20s]))",
    "sum(a{M}) by (G) / sum(b{M}) by (G)",
    "sum(a{M}) by (G) / on (G) (sum(b{M}) by (G) + 1)",
    "sum(a{M}) by (G) or sum(b{M}) by (G)",
    "sum(a{M} unless on (G) b{M}) by (G)",
    "sum(a{M} and ignoring (id) b{M, id=\"1\"}) by (G)",
    "sum(a{M} / b{M}) by (G)",
    "sum by (G) (sum by (G, id) (a{M}) * on (G) group_left () sum by (G) (b{M}))",
    "max by (namespace, pod, container) (a{M} \
     + on (namespace, pod, container) group_left () \
     max by (namespace, pod, container) (b{M}))",
    "max(a{M}) without (id)",
    "avg(a{M}) by (G, id) > 3",
    "quantile(0.5, a{M}) by (G)",
    "stddev(a{M}) by (G)",
    "count(max_over_time(a{M}[3s:1s]) >= 2) by (G)",
    "clamp_min(-(sum(a{M}) by (G)), -7) ^ 2",
    "sum(a{M, namespace=~\"x|y\"}) by (G)",
];

/// The same with each function and each aggregation that may stand in one.
fn of_tables() -> Vec<String> {
    let functions = PER_SERIES.iter().map(|name| match *name {
        "clamp" => "sum by (G) (clamp(a{M}, 2, 5))".to_owned(),
        "clamp_max" | "clamp_min" => format!("sum by (G) ({name}(a{{M}}, 4))"),
        "predict_linear" => format!("sum by (G) ({name}(c_total{{M}}[20s], 60))"),
        "quantile_over_time" => format!("sum by (G) ({name}(0.7, c_total{{M}}[20s]))"),
        "changes" | "delta" | "deriv" | "idelta" | "increase" | "irate" | "rate" | "resets" => {
            format!("sum by (G) ({name}(c_total{{M}}[20s]))")
        }
        _ if name.ends_with("_over_time") => format!("sum by (G) ({name}(a{{M}}[20s]))"),
        _ => format!("sum by (G) ({name}(a{{M}}))"),
    });
    let aggregations = AGGREGATIONS.iter().flat_map(|name| {
        let parameter = match *name {
            "quantile" => "0.7, ",
            _ => "",
        };
        ["by (G)", "by (namespace, G)", "without (id)"]
            .map(|grouping| format!("{name} {grouping} ({parameter}a{{M}})"))
    });
    functions.chain(aggregations).collect()
}

type Refused = (&'static str, Reason);

/// Queries that cannot be asked at once, all over [`FIXED`]: there each gives something else.
const REFUSED: &[Refused] = &[
    ("sum(a) by (G)", Reason::Selector),
    ("sum(a{M}) by (pod, container)", Reason::Grouping),
    (
        "max(sum(a{M}) by (pod, container)) by (G)",
        Reason::Grouping,
    ),
    ("sum(a{M}) without (namespace, id)", Reason::Grouping),
    ("topk(1, a{M})", Reason::Aggregation),
    (
        "sum(a{M}) by (G) / scalar(b{M})",
        Reason::Function("scalar"),
    ),
    ("absent(a{M})", Reason::Function("absent")),
    (
        "label_replace(a{M}, \"namespace\", \"y\", \"\", \"\")",
        Reason::Text,
    ),
    ("sum(a{M, id=\"G\"}) by (G)", Reason::Text),
    (
        "sum(a{M}) by (G) * on (pod, container) sum(b{M}) by (G)",
        Reason::Matching,
    ),
    (
        "sum(a{M}) by (G) * ignoring (namespace) sum(b{M}) by (G)",
        Reason::Matching,
    ),
    (
        "sum(a{M}) by (G) unless on (pod) (sum(b{M}) by (G) > 11)",
        Reason::Matching,
    ),
    (
        "sum(a{M}) by (G) + on (namespace, pod, container) \
         max(b{M}) by (namespace, pod, container)",
        Reason::Sides,
    ),
    ("sum(a{M}) by (<<index .GroupBySlice 0>>)", Reason::Template),
];

/// Queries that pods fail about which nobody asks, all over [`DOUBLED`].
const FAILING: &[Refused] = &[
    (
        "sum(a{M} * on (namespace, pod) group_left () b{M}) by (G)",
        Reason::Duplicates,
    ),
    (
        "sum(a{M} * ignoring (id) group_left () b{M}) by (G)",
        Reason::Duplicates,
    ),
    (
        "sum(a{M} * on (namespace, pod, container) b{M}) by (G)",
        Reason::Duplicates,
    ),
    (
        "sum by (G, id) (b{M}) * on (G) group_left (id) max by (G) (a{M})",
        Reason::Duplicates,
    ),
    (
        "sum by (G) (last_over_time({__name__=~\"doubled_.*\", M}[20s]) * 1)",
        Reason::Name,
    ),
    ("sum by (G) (-{__name__=~\"doubled_.*\", M})", Reason::Name),
];

/// The pod `done`, which nobody asks about, has what `p` has not: series twice, and the same labels
/// under two names.
const DOUBLED: &str = "doubled_a{namespace=\"x\",pod=\"p\",container=\"c\",id=\"1\"} 2\n\
                       doubled_b{namespace=\"x\",pod=\"p\",container=\"c\",id=\"2\"} 3\n\
                       doubled_a{namespace=\"x\",pod=\"done\",container=\"c\",id=\"1\"} 2\n\
                       doubled_b{namespace=\"x\",pod=\"done\",container=\"c\",id=\"1\"} 3\n\
                       doubled_b{namespace=\"x\",pod=\"done\",container=\"c\",id=\"2\"} 5\n";

/// Two namespaces with a pod of the same name; in `z` it has no series.
const FIXED: &str = "fixed_a{namespace=\"x\",pod=\"p\",container=\"c\",id=\"1\"} 1\n\
                     fixed_a{namespace=\"y\",pod=\"p\",container=\"c\",id=\"1\"} 2\n\
                     fixed_a{namespace=\"x\",pod=\"p\",container=\"c\",id=\"pod,container\"} 4\n\
                     fixed_b{namespace=\"x\",pod=\"p\",container=\"c\",id=\"1\"} 10\n\
                     fixed_b{namespace=\"y\",pod=\"p\",container=\"c\",id=\"1\"} 20\n";

/// A query over the names of a world, with the fields of a template.
fn written(query: &str, world: &str) -> String {
    let mut text = String::new();
    let words = query.split_inclusive(|c: char| !c.is_alphanumeric() && c != '_');
    for word in words {
        let name = word.trim_end_matches(|c: char| !c.is_alphanumeric() && c != '_');
        let named = match name {
            "a" | "b" | "c_total" => format!("{world}_{word}"),
            _ if name.starts_with("W_") => word.replacen('W', world, 1),
            "M" => word.replace('M', "<<.LabelMatchers>>"),
            "G" => word.replace('G', "<<.GroupBy>>"),
            "S" => word.replace('S', "<<.Series>>"),
            _ => word.to_owned(),
        };
        text.push_str(&named);
    }
    text
}

/// The rule of a query over the names of a world.
fn metric(query: &str, world: &str) -> ResourceMetric {
    let text = written(query, world);
    let file = format!(
        "resourceRules: {{cpu: {{containerLabel: container, containerQuery: '{text}', resources: \
         {{overrides: {{namespace: {{resource: namespace}}, pod: {{resource: pod}}}}}}}}}}"
    );
    let (rules, _) = rules::parse(&file).unwrap_or_else(|_| panic!("{file}"));
    let kinds = Arc::new(Kinds::builtin());
    let snapshot = Snapshot::build(Arc::new(rules), kinds, &Listings::default());
    snapshot.resource().unwrap().cpu.clone()
}

fn wanted(namespaces: &[&str], pods: &[&str]) -> Pods {
    let names: BTreeSet<Arc<str>> = pods.iter().map(|pod| Arc::from(*pod)).collect();
    let of = |namespace: &&str| (Arc::from(*namespace), names.clone());
    namespaces.iter().map(of).collect()
}

/// Namespace, pod, container → value; the rows of pods that nobody wants are left out.
type Rows = BTreeMap<[String; 3], String>;

/// Adds the rows of an answer. `None`: Prometheus refuses the query.
fn fold(answer: Result<Vec<Value>, String>, namespace: Option<&str>, pods: &Pods) -> Option<Rows> {
    let mut rows = Rows::new();
    for row in answer.ok()? {
        let label = |name: &str| row["metric"][name].as_str().unwrap_or_default().to_owned();
        let namespace = namespace.map_or_else(|| label("namespace"), ToOwned::to_owned);
        let key = [namespace, label("pod"), label("container")];
        let names = pods.get(key[0].as_str());
        if names.is_some_and(|names| names.contains(key[1].as_str())) {
            let value = row["value"][1].as_str().unwrap_or_default();
            rows.insert(key, value.to_owned());
        }
    }
    Some(rows)
}

/// What Go's way gives: each namespace on its own.
async fn each(api: Api<'_>, metric: &ResourceMetric, pods: &Pods, at: f64) -> Option<Rows> {
    let mut all = Rows::new();
    for (namespace, names) in pods {
        let one = Pods::from([(Arc::clone(namespace), names.clone())]);
        let query = pods_query(metric, Scope::Exact, &one, usize::MAX).unwrap();
        let answer = api.query_at(&query.promql, at).await;
        all.extend(fold(answer, Some(namespace), pods)?);
    }
    Some(all)
}

/// Some series of a world, as Prometheus reads them.
fn series(world: &str) -> impl Strategy<Value = String> + use<> {
    let labels = (
        prop::sample::select(vec!["x", "y", "z"]),
        prop::sample::select(vec!["p", "q", "r"]),
        prop::sample::select(vec!["", "c", "d"]),
        prop::sample::select(vec!["1", "2"]),
    );
    let name = prop::sample::select(vec!["a", "b", "c_total"]);
    let world = world.to_owned();
    prop::collection::btree_map((name, labels), 0..9u8, 8..60).prop_map(move |series| {
        let line = |((name, (namespace, pod, container, id)), value)| {
            format!(
                "{world}_{name}{{namespace=\"{namespace}\",pod=\"{pod}\",\
                 container=\"{container}\",id=\"{id}\"}} {value}\n"
            )
        };
        series.into_iter().map(line).collect()
    })
}

/// Two scrapes make a rate, and what is as old as what is asked for is there.
const SCRAPED: &str = "offset 5s";

/// The time that is asked for: what is that old is not added to any more.
fn a_while_ago() -> f64 {
    jiff::Timestamp::now().as_duration().as_secs_f64() - 3.0
}

/// Series of several worlds, whose names begin with `letter`.
fn worlds(letter: char, series: impl Fn(&str) -> String) -> (Vec<String>, String) {
    let worlds: Vec<String> = (0..WORLDS)
        .map(|world| format!("{letter}{world}"))
        .collect();
    let text = worlds.iter().map(|world| series(world)).collect();
    (worlds, text)
}

/// Any value of a strategy.
fn any_of<T>(strategy: impl Strategy<Value = T>) -> T {
    let mut runner = TestRunner::default();
    strategy.new_tree(&mut runner).unwrap().current()
}

#[tokio::test]
async fn a_query_for_all_namespaces_gives_what_it_gives_for_each() {
    let (worlds, text) = worlds('w', |world| any_of(series(world)));
    let served = text.clone();
    let exporter = Exporter::start(move |elapsed| exporter::rising(&served, elapsed)).await;
    let prometheus = Prometheus::start(&[exporter.address], TargetLabels::Dropped).await;
    all_as_each(prometheus.api(), &worlds, &text).await;
}

#[tokio::test]
async fn over_victoria_metrics_a_query_for_all_namespaces_gives_what_it_gives_for_each() {
    let (worlds, text) = worlds('w', |world| any_of(series(world)));
    let served = text.clone();
    let exporter = Exporter::start(move |elapsed| exporter::rising(&served, elapsed)).await;
    let victoria = Victoria::start(&[exporter.address], TargetLabels::Dropped).await;
    all_as_each(victoria.api(), &worlds, &text).await;
}

async fn all_as_each(api: Api<'_>, worlds: &[String], fixed: &str) {
    api.wait_for(&[&format!("{{__name__=~\"w.*_total\"}} {SCRAPED}")])
        .await;
    let at = a_while_ago();
    // Of the pod `r` nobody asks, though it has series.
    let pods = wanted(&["x", "y", "z"], &["p", "q"]);
    let mut rows = 0;
    for world in worlds {
        let templates = SEPARABLE.iter().map(ToString::to_string);
        for template in templates.chain(of_tables()) {
            let metric = metric(&template, world);
            assert_eq!(metric.proven(), Scope::Cluster, "{template}");
            let wide = pods_query(&metric, Scope::Exact, &pods, usize::MAX).unwrap();
            let narrow = each(api, &metric, &pods, at).await;
            // The same with no matcher on names at all, as a list of many thousands is asked.
            let promql = wide.promql.clone();
            let listed = "namespace=~\"x|y|z\",pod=~\"p|q\"";
            let (absent, present) = (promql.replace(listed, "namespace!=\"\""), &promql);
            assert_ne!(absent, promql);
            for promql in [present, &absent] {
                let answer = api.query_at(promql, at).await;
                let found = fold(answer, None, &pods);
                assert_eq!(found, narrow, "{promql}\nover\n{fixed}");
                rows += found.map_or(0, |rows| rows.len());
            }
        }
    }
    assert!(
        rows > WORLDS * SEPARABLE.len(),
        "{rows} rows in all: too few to show anything"
    );
}

#[tokio::test]
async fn each_kind_of_query_that_is_refused_would_give_something_else() {
    let exporter = Exporter::start(|_: Duration| FIXED.to_owned()).await;
    let prometheus = Prometheus::start(&[exporter.address], TargetLabels::Dropped).await;
    prometheus.wait_for(&["fixed_b"]).await;
    let at = jiff::Timestamp::now().as_duration().as_secs_f64();
    let pods = wanted(&["x", "y", "z"], &["p"]);
    for (template, reason) in REFUSED {
        let metric = metric(template, "fixed");
        assert!(metric.proven() < Scope::Cluster, "{template}");
        let verdict = metric.at_once.as_ref().unwrap();
        let found = verdict.namespaces.as_ref().unwrap_err();
        assert_eq!(&found.reason, reason, "{template}");
        let group_by = ["pod", "container", "namespace"].map(str::to_owned);
        let data = Data {
            label_matchers: "namespace=~\"x|y|z\",pod=\"p\"".to_owned(),
            group_by: group_by.join(","),
            group_by_slice: group_by.to_vec(),
            ..Data::default()
        };
        let template = metric.rule.container_query.template.as_ref().unwrap();
        let wide = template.render(&data).unwrap();
        let narrow = each(prometheus.api(), &metric, &pods, at).await;
        assert!(narrow.is_some(), "{wide}");
        let found = fold(prometheus.query_at(&wide, at).await, None, &pods);
        assert_ne!(found, narrow, "{wide}");
    }
}

#[tokio::test]
async fn pods_that_nobody_asks_about_cannot_fail_a_query() {
    let exporter = Exporter::start(|_: Duration| DOUBLED.to_owned()).await;
    let prometheus = Prometheus::start(&[exporter.address], TargetLabels::Dropped).await;
    prometheus.wait_for(&["doubled_b"]).await;
    let at = jiff::Timestamp::now().as_duration().as_secs_f64();
    // In `y` the pod `done` is asked about, and has no series.
    let mut pods = wanted(&["x"], &["p"]);
    pods.extend(wanted(&["y"], &["done"]));
    for (template, reason) in FAILING {
        let metric = metric(template, "doubled");
        let verdict = metric.at_once.as_ref().unwrap();
        assert_eq!(verdict.namespaces, Ok(()), "{template}");
        let found = verdict.others.as_ref().unwrap_err();
        assert_eq!(&found.reason, reason, "{template}");
        let narrow = each(prometheus.api(), &metric, &pods, at).await;
        assert_eq!(narrow.map(|rows| rows.len()), Some(1), "{template}");
        // What would be asked otherwise.
        let data = Data {
            label_matchers: "namespace=~\"x|y\",pod=~\"done|p\"".to_owned(),
            group_by: "pod,container,namespace".to_owned(),
            ..Data::default()
        };
        let template = metric.rule.container_query.template.as_ref().unwrap();
        let wide = template.render(&data).unwrap();
        let answer = prometheus.query_at(&wide, at).await;
        assert!(answer.is_err(), "{wide}: {answer:?}");
    }
}
