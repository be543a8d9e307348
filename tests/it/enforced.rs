//! What a backend is held to, asked of real servers: over the series of two teams, a query with
//! matchers in all its selectors gives what the query as it stands gives where there is only one
//! team.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::Value;

use tidegauge::promql::Enforcer;

use crate::support::exporter::{self, Exporter};
use crate::support::prometheus::{Api, Prometheus, TargetLabels};
use crate::support::victoria::Victoria;

/// How many queries are made up for each server.
const QUERIES: usize = 400;

/// Queries that show something of their own. `P` stands for the world.
const KEPT: &[&str] = &[
    "P_a",
    "P_a{}",
    "{__name__=~\"P_.*\"}",
    "{__name__=~`P_[ab]`, x!~`\\d\\d`,} # P_b{team=\"b\"}",
    "sum(P_a) by (team) / ignoring (team) group_left () sum(P_b)",
    "P_a{team=~\"a|b\"} or P_b{team!=\"c\"} unless on (x) P_a{team=\"a\",x=\"1\"}",
    "max_over_time(sum(rate(P_c_total[5s]))[4s:1s]) + scalar(max(P_a))",
    "count(P_a offset 1s) + count(P_b @ end())",
    "label_replace(P_a, \"team\", \"b\", \"x\", \"(.*)\")",
    "topk(scalar(count(P_a)) - 1, P_b or P_a)",
    "count_values(\"team\", P_a)",
    "count(absent(P_a{x=\"9\"}))",
    "sum(P_a{x=\"9\"}) or vector(-1)",
];

/// Series of both teams, and, under other names, of one of them alone. What belongs to `b` is told
/// apart by its values as well.
fn series() -> String {
    let mut text = String::new();
    for (name, factor) in [("a", 1), ("b", 10), ("c_total", 3)] {
        for (number, x) in ["1", "2", "3", "9"].into_iter().enumerate() {
            let value = factor * (number + 1) * 7 % 101;
            if x != "9" {
                for world in ["both", "alone"] {
                    text += &format!("{world}_{name}{{team=\"a\",x=\"{x}\"}} {value}\n");
                }
            }
            text += &format!("both_{name}{{team=\"b\",x=\"{x}\"}} {}\n", 1000 + value);
            text += &format!("both_{name}{{x=\"{x}\"}} {}\n", 5000 + value);
        }
    }
    text
}

/// What is read of the world.
fn selector() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["P_a", "P_b", "P_c_total", "{__name__=~\"P_[ab]\"}"]);
    let matchers = prop::sample::select(vec![
        "",
        "x=\"1\"",
        "x=~`1|2|9`",
        "x!=\"2\",",
        "team=\"a\"",
        "team=~\"a|b\"",
        "team!=\"b\" , x!~'3|9'",
    ]);
    let when = prop::sample::select(vec!["", "", "", " offset 1s", " @ end()"]);
    (name, matchers, when).prop_map(|(name, matchers, when)| {
        let selector = match name.strip_suffix('}') {
            Some(start) if matchers.is_empty() => format!("{start}}}"),
            Some(start) => format!("{start}, {matchers}}}"),
            None if matchers.is_empty() => name.to_owned(),
            None => format!("{name}{{{matchers}}}"),
        };
        selector + when
    })
}

/// Any query that is made of these.
fn query() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        4 => selector(),
        1 => Just("rate(P_c_total[5s])".to_owned()),
        1 => Just("last_over_time(P_a{x=\"2\"}[4s] offset 1s)".to_owned()),
    ];
    leaf.prop_recursive(4, 10, 2, |inner| {
        let groupings = vec!["", "by (x)", "by (team)", "without (team)", "by (x, team)"];
        let heads = vec![
            "abs(",
            "-(",
            "2 * (",
            "sort(",
            "vector(scalar(max(",
            "count(absent(",
            "label_replace(",
            "# P_b\n(",
            "max_over_time(",
        ];
        let ops = vec!["+", "-", "*", "==", "> bool", "and", "or", "unless"];
        let matches = vec!["", "on (x)", "ignoring (team)", "on (team, x)", "on ()"];
        let one = inner.clone();
        let (two, three) = (inner.clone(), inner.clone());
        let aggregations = vec!["sum", "max", "count", "avg", "quantile"];
        prop_oneof![
            (
                prop::sample::select(aggregations),
                prop::sample::select(groupings),
                one
            )
                .prop_map(|(name, grouping, of)| {
                    let parameter = match name {
                        "quantile" => "0.5, ",
                        _ => "",
                    };
                    format!("{name} {grouping} ({parameter}{of})")
                }),
            (prop::sample::select(heads), two).prop_map(|(head, of)| match head {
                "label_replace(" => {
                    format!("label_replace({of}, \"team\", \"z$1\", \"x\", \"(.*)\")")
                }
                "max_over_time(" => format!("max_over_time(({of})[3s:1s])"),
                head => {
                    let ends = head.matches('(').count();
                    format!("{head}{of}{}", ")".repeat(ends))
                }
            }),
            (
                three,
                prop::sample::select(ops),
                prop::sample::select(matches),
                inner
            )
                .prop_map(|(left, op, on, right)| format!("({left}) {op} {on} ({right})")),
        ]
    })
}

/// Labels without the name of the world → value. `None`: the server refuses the query.
type Rows = BTreeMap<String, f64>;

async fn rows(api: Api<'_>, query: &str, at: f64) -> Option<Rows> {
    let found = api.query_at(query, at).await.ok()?;
    let row = |row: &Value| {
        let labels = row["metric"].to_string();
        let value = row["value"][1].as_str().unwrap_or_default();
        let value = value.parse().expect("a value must be a number");
        (labels.replace("both_", "P_").replace("alone_", "P_"), value)
    };
    Some(found.iter().map(row).collect())
}

/// The order in which floats are added is the server's own.
fn equal(left: &Rows, right: &Rows) -> bool {
    let close = |a: f64, b: f64| a.total_cmp(&b).is_eq() || (a - b).abs() < 1e-6;
    let pairs = || left.iter().zip(right);
    left.len() == right.len() && pairs().all(|(l, r)| l.0 == r.0 && close(*l.1, *r.1))
}

/// Asks each query both ways, but for those with what the server gives any of several answers to;
/// gives how many gave rows.
async fn hold(api: Api<'_>, unsteady: Option<&str>) -> usize {
    let enforcer = Enforcer::new(vec![("team".to_owned(), "a".to_owned())]);
    // What is that old is not added to any more.
    let at = jiff::Timestamp::now().as_duration().as_secs_f64() - 3.0;
    let mut runner = TestRunner::default();
    let made_up = (0..QUERIES).map(|_| query().new_tree(&mut runner).unwrap().current());
    let kept = KEPT.iter().map(ToString::to_string);
    let is_steady = |query: &String| unsteady.is_none_or(|text| !query.contains(text));
    let queries: Vec<String> = kept.chain(made_up).filter(is_steady).collect();
    let (mut with_rows, mut differ) = (0, 0);
    for query in queries {
        let both = query.replace("P_", "both_");
        let enforced = enforcer.apply(&both);
        let enforced = enforced.unwrap_or_else(|cause| panic!("{query}: {cause}"));
        let held = rows(api, &enforced, at).await;
        let alone = rows(api, &query.replace("P_", "alone_"), at).await;
        let same = match (&held, &alone) {
            (Some(held), Some(alone)) => equal(held, alone),
            (None, None) => true,
            _ => false,
        };
        assert!(
            same,
            "{query}\nas {enforced}\ngives {held:?}\nand not {alone:?}"
        );
        with_rows += usize::from(held.as_ref().is_some_and(|rows| !rows.is_empty()));
        let free = rows(api, &both, at).await;
        differ += usize::from(free != held);
        if let (Some(rows), false) = (&held, query.contains("label_replace")) {
            let of_b = |labels: &String| labels.contains("\"team\":\"b\"");
            assert!(!rows.keys().any(of_b), "{enforced}: {rows:?}");
        }
    }
    assert!(
        differ > QUERIES / 4,
        "{differ} queries would have seen the other team"
    );
    with_rows
}

/// Two scrapes make a rate.
const SCRAPED: &[&str] = &["both_c_total offset 9s", "alone_c_total offset 9s"];

#[tokio::test]
async fn over_prometheus_a_query_that_is_held_sees_one_team_alone() {
    let exporter = Exporter::start(|elapsed| exporter::rising(&series(), elapsed)).await;
    let prometheus = Prometheus::start(&[exporter.address], TargetLabels::Dropped).await;
    prometheus.wait_for(SCRAPED).await;
    let with_rows = hold(prometheus.api(), None).await;
    assert!(with_rows > QUERIES / 3, "{with_rows} queries gave rows");
}

#[tokio::test]
async fn over_victoria_metrics_a_query_that_is_held_sees_one_team_alone() {
    let exporter = Exporter::start(|elapsed| exporter::rising(&series(), elapsed)).await;
    let victoria = Victoria::start(&[exporter.address], TargetLabels::Dropped).await;
    victoria.api().wait_for(SCRAPED).await;
    // It fills the gaps of the left side with those of any series of the right side that matches.
    let with_rows = hold(victoria.api(), Some(" or on (")).await;
    assert!(with_rows > QUERIES / 3, "{with_rows} queries gave rows");
}
