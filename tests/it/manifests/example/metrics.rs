//! Which series there are, and that alerts and dashboard ask for no others.

use std::collections::{BTreeMap, BTreeSet};

use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::{Expr, VectorSelector};
use promql_parser::util::{ExprVisitor, walk_expr};
use regex::Regex;
use serde_json::Value;
use tidegauge::promql::syntax;
use tidegauge::telemetry::{Metrics, RuleLabel};

use super::super::{list, text};
use super::{file, yaml};
use crate::support::adapter::Adapter;
use crate::support::prometheus::{Prometheus, history};

/// What monitors add to each series.
const ADDED: [&str; 6] = [
    "namespace",
    "pod",
    "service",
    "container",
    "job",
    "instance",
];

/// The shop's, and what we use of others: names with the labels of their own.
pub(super) const OTHERS: [(&str, &[&str]); 19] = [
    ("http_requests_total", &["method", "route", "code"]),
    ("http_request_duration_seconds", &["method", "route"]),
    ("http_requests_in_flight", &[]),
    (
        "dependency_request_duration_seconds",
        &["dependency", "operation"],
    ),
    ("dependency_errors_total", &["dependency", "operation"]),
    ("shop_orders_waiting", &[]),
    ("shop_build_info", &["version", "revision"]),
    ("process_cpu_seconds_total", &[]),
    ("process_resident_memory_bytes", &[]),
    ("process_start_time_seconds", &[]),
    ("up", &[]),
    ("ALERTS", &["alertname", "alertstate", "severity"]),
    (
        "kube_horizontalpodautoscaler_spec_max_replicas",
        &["horizontalpodautoscaler"],
    ),
    (
        "kube_horizontalpodautoscaler_spec_min_replicas",
        &["horizontalpodautoscaler"],
    ),
    (
        "kube_horizontalpodautoscaler_status_current_replicas",
        &["horizontalpodautoscaler"],
    ),
    (
        "kube_horizontalpodautoscaler_status_desired_replicas",
        &["horizontalpodautoscaler"],
    ),
    (
        "kube_horizontalpodautoscaler_status_condition",
        &["horizontalpodautoscaler", "condition", "status"],
    ),
    ("kube_pod_container_resource_limits", &["resource", "unit"]),
    (
        "kube_pod_container_resource_requests",
        &["resource", "unit"],
    ),
];

/// The values that labels are asked for: those of a server of ours that has been asked in vain
/// (`OURS`), and of others. The conditions are Kubernetes' own; each has one of three states
/// (kube-state-metrics, `internal/store/horizontalpodautoscaler.go`).
const OURS: [(&str, &[&str]); 2] = [("freshness", &["failed"]), ("outcome", &["ok"])];
const VALUES: [(&str, &[&str]); 9] = [
    ("code", &["200", "201", "404", "500", "503"]),
    (
        "condition",
        &["AbleToScale", "ScalingActive", "ScalingLimited"],
    ),
    ("status", &["true", "false", "unknown"]),
    ("resource", &["cpu", "memory"]),
    ("namespace", &["shop"]),
    ("service", &["shop"]),
    ("container", &["shop"]),
    ("job", &["tidegauge"]),
    ("alertstate", &["pending", "firing"]),
];

/// The adapter's own that are asked for, with their labels, as it writes them.
fn ours() -> BTreeMap<String, BTreeSet<String>> {
    let metrics = Metrics::new();
    metrics.count_upstream("default", "query", None);
    metrics.count_answer("fresh");
    metrics.count_scope("exact");
    metrics.relists.listed("default", Some(1));
    let rule = RuleLabel {
        rule: "rules[0]".to_owned(),
    };
    metrics.rule_up.get_or_create(&rule).set(1);
    metrics.samples_not_a_number.get_or_create(&rule).inc();
    let text = metrics.text();
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let label = Regex::new(r#"(\w+)=""#).unwrap();
    samples
        .map(|line| {
            let name = line.split(['{', ' ']).next().unwrap().to_owned();
            let labels = label.captures_iter(line).map(|it| it[1].to_owned());
            (name, labels.collect())
        })
        .collect()
}

/// Every series with the labels it may have.
fn known() -> BTreeMap<String, BTreeSet<String>> {
    let with = |own: &[&str]| -> BTreeSet<String> {
        ADDED
            .iter()
            .chain(own)
            .map(|label| (*label).to_owned())
            .collect()
    };
    let mut known = BTreeMap::new();
    for (name, own) in OTHERS {
        known.insert(name.to_owned(), with(own));
        if name.ends_with("_duration_seconds") {
            let bucket = with(&[own, &["le"]].concat());
            known.insert(format!("{name}_bucket"), bucket);
            known.insert(format!("{name}_count"), with(own));
            known.insert(format!("{name}_sum"), with(own));
            known.remove(name);
        }
    }
    for (name, mut labels) in ours() {
        labels.extend(with(&[]));
        known.insert(name, labels);
    }
    known
}

/// What an expression asks for.
#[derive(Default)]
pub(in super::super) struct Asked {
    pub(in super::super) selectors: Vec<VectorSelector>,
    /// Aggregations, with the labels that they keep.
    pub(in super::super) kept: Vec<(Expr, Vec<String>)>,
}

impl Asked {
    pub(in super::super) fn of(expression: &Expr) -> Asked {
        let mut asked = Asked::default();
        let walked = walk_expr(&mut asked, expression);
        assert_eq!(walked, Ok(true));
        asked
    }
}

impl ExprVisitor for Asked {
    type Error = String;

    fn pre_visit(&mut self, expression: &Expr) -> Result<bool, String> {
        match expression {
            Expr::VectorSelector(it) => self.selectors.push(it.clone()),
            Expr::MatrixSelector(it) => self.selectors.push(it.vs.clone()),
            Expr::Aggregate(it) => {
                let labels = it.modifier.as_ref().map(|it| it.labels().labels.clone());
                self.kept
                    .push((*it.expr.clone(), labels.unwrap_or_default()));
            }
            _ => {}
        }
        Ok(true)
    }
}

/// Whether a matcher, or a part of it, is for a value that nobody writes.
fn is_in_vain(matcher: &Matcher) -> bool {
    let parts = match matcher.op {
        MatchOp::Re(_) | MatchOp::NotRe(_) => matcher.value.split('|').collect(),
        MatchOp::Equal | MatchOp::NotEqual => vec![matcher.value.as_str()],
    };
    let all = OURS.iter().chain(&VALUES);
    let values: Vec<&str> = all
        .filter(|(label, _)| *label == matcher.name)
        .flat_map(|(_, values)| *values)
        .copied()
        .collect();
    let is_written = |part: &str| {
        let part = Regex::new(&format!("^(?:{part})$")).unwrap();
        values.iter().any(|value| part.is_match(value))
    };
    // What the dashboard's reader chooses is a variable.
    let mut parts = parts.into_iter().filter(|part| !part.contains('$'));
    !parts.all(is_written)
}

/// What is wrong with an expression: series, labels or values that nobody has.
fn faults(expression: &str) -> Vec<String> {
    // Grafana's own words.
    let plain = expression.replace("$__rate_interval", "1m");
    let tree = match syntax(&plain) {
        Ok(tree) => tree,
        Err(why) => return vec![why],
    };
    let (known, mut faults) = (known(), Vec::new());
    let labels = |it: &VectorSelector| known.get(it.name.as_deref().unwrap_or_default());
    let asked = Asked::of(&tree);
    for selector in &asked.selectors {
        let Some(labels) = labels(selector) else {
            faults.push(format!("no series {:?}", selector.name));
            continue;
        };
        for matcher in &selector.matchers.matchers {
            if !labels.contains(&matcher.name) {
                faults.push(format!("{:?} has no label {}", selector.name, matcher.name));
            } else if is_in_vain(matcher) {
                faults.push(format!("{:?} never has {matcher}", selector.name));
            }
        }
    }
    for (inner, kept) in &asked.kept {
        let below = Asked::of(inner).selectors;
        for label in kept {
            if !below.iter().filter_map(labels).any(|it| it.contains(label)) {
                faults.push(format!("nothing in {inner} has a label {label}"));
            }
        }
    }
    faults
}

#[test]
fn alerts_ask_for_series_and_labels_that_are_there() {
    let rules = yaml("monitoring/prometheus-rule.yaml");
    for group in list(&rules["spec"]["groups"]) {
        for rule in list(&group["rules"]) {
            assert_eq!(faults(text(&rule["expr"])), [""; 0], "{}", rule["alert"]);
        }
    }
}

fn dashboard() -> Value {
    serde_json::from_str(&file("monitoring/dashboard.json")).unwrap()
}

#[test]
fn the_dashboard_asks_for_series_and_labels_that_are_there() {
    let dashboard = dashboard();
    let shown = Regex::new(r"\{\{(\w+)\}\}").unwrap();
    let mut asked = 0;
    for panel in list(&dashboard["panels"]) {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = text(&target["expr"]);
            assert_eq!(
                faults(expression),
                [""; 0],
                "{}: {expression}",
                panel["title"]
            );
            // What a legend shows, the expression keeps.
            let legend = text(&target["legendFormat"]);
            for found in shown.captures_iter(legend) {
                assert!(expression.contains(&found[1]), "{expression}: {legend}");
            }
            asked += 1;
        }
    }
    assert!(asked > 20, "{asked} queries");
    let alerts = &dashboard["annotations"]["list"][0]["expr"];
    assert_eq!(faults(text(alerts)), [""; 0]);
}

#[test]
fn the_dashboard_is_one_that_grafana_can_show() {
    let dashboard = dashboard();
    let variables: BTreeSet<&str> = list(&dashboard["templating"]["list"])
        .iter()
        .map(|it| text(&it["name"]))
        .collect();
    let used = Regex::new(r"\$\{?([a-z]\w*)").unwrap();
    for found in used.captures_iter(&dashboard.to_string()) {
        assert!(variables.contains(&found[1]), "${}", &found[1]);
    }
    let (mut ids, mut taken) = (BTreeSet::new(), BTreeSet::new());
    for panel in list(&dashboard["panels"]) {
        assert!(
            ids.insert(panel["id"].as_u64().unwrap()),
            "{}",
            panel["title"]
        );
        let at = |side: &str| panel["gridPos"][side].as_u64().unwrap();
        assert!(at("x") + at("w") <= 24);
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(taken.insert((x, y)), "{} covers another", panel["title"]);
            }
        }
    }
}

#[test]
fn a_series_or_label_that_nobody_has_is_found() {
    for fine in [
        "rate(http_requests_total{code=\"500\"}[$__rate_interval])",
        "sum by (pod) (up)",
        "up{namespace=\"$namespace\",service=~\"$service.*\"}",
        "http_requests_total{code=~\"4..|5..\"}",
    ] {
        assert_eq!(faults(fine), [""; 0]);
    }
    for wrong in [
        "http_requests",
        "rate(http_request_duration_seconds[1m])",
        "http_requests_total{status=\"500\"}",
        "sum by (path) (rate(http_requests_total[1m]))",
        "tidegauge_upstream_requests",
        "tidegauge_rule_up{backend=\"default\"}",
        "sum(",
        "tidegauge_query_results_total{freshness=\"failing\"}",
        "tidegauge_upstream_requests_total{outcome!=\"success\"}",
        "http_requests_total{code=~\"5..|error\"}",
        "http_requests_total{route=\"/nowhere\"}",
    ] {
        assert_eq!(faults(wrong).len(), 1, "{wrong}");
    }
}

/// One query that is answered, and one that Prometheus cannot answer: two series match each other.
const RULES: &str = r#"
externalRules:
- query: max(shop_orders_waiting)
  name: {as: answered}
- query: shop_orders_waiting * on (namespace) shop_orders_waiting
  name: {as: failing}
"#;

#[tokio::test]
async fn a_server_writes_the_values_that_alerts_ask_for() {
    let waiting = "shop_orders_waiting{pod=\"a\"} 1\nshop_orders_waiting{pod=\"b\"} 2\n";
    let prometheus = Prometheus::holding(&history("", waiting, r#"namespace="shop""#)).await;
    let objects = "{apiVersion: v1, kind: Namespace, metadata: {name: shop}}";
    let adapter = Adapter::standalone(objects, RULES, &prometheus.url, &[]).await;
    let adapter = adapter.unwrap_or_else(|refusal| panic!("{}", refusal.stderr));
    let path = "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop";
    for (metric, fine) in [("answered", true), ("failing", false)] {
        let answer = adapter.get(&format!("{path}/{metric}")).await;
        assert_eq!(answer.status == 200, fine, "{}", answer.body);
    }
    let metrics = adapter.get("/metrics").await.body;
    for (label, values) in OURS {
        for value in values {
            assert!(
                metrics.contains(&format!("{label}=\"{value}\"")),
                "{metrics}"
            );
        }
    }
}
