//! The alerts about the server itself and its dashboard: promtool takes them, and they ask for nothing that
//! a server does not say.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use serde_json::Value;
use tempfile::TempDir;
use tidegauge::promql::syntax;

use super::command::run;
use super::example::alerts::{Firing, moments};
use super::example::metrics::Asked;
use super::render::{Tree, manifests};
use super::{list, of_kind, text, the};
use crate::cluster::own_metrics;

fn file(name: &str) -> String {
    let path = manifests().join("components/monitoring").join(name);
    std::fs::read_to_string(path).unwrap()
}

fn yaml(name: &str) -> Value {
    serde_saphyr::from_str(&file(name)).unwrap()
}

/// Each alert as it is rendered.
fn rules() -> Vec<Value> {
    let objects = Tree::new().base_and(&["monitoring"]);
    let groups = list(&the(&objects, "PrometheusRule")["spec"]["groups"]).to_vec();
    let rules = groups
        .iter()
        .flat_map(|group| list(&group["rules"]).to_vec());
    rules.collect()
}

fn names() -> Firing {
    let rules = rules();
    let pair = |rule: &Value| {
        let severity = text(&rule["labels"]["severity"]);
        (text(&rule["alert"]).to_owned(), severity.to_owned())
    };
    rules.iter().map(pair).collect()
}

#[test]
fn promtool_takes_the_alerts_and_each_fires_where_it_must() {
    let directory = TempDir::new().unwrap();
    for name in ["prometheus-rule.yaml", "alerts.test.yaml"] {
        std::fs::write(directory.path().join(name), file(name)).unwrap();
    }
    let alerts = file("prometheus-rule.yaml");
    let command = alerts
        .lines()
        .find_map(|line| line.strip_prefix("# Without the Operator: "));
    run(directory.path(), "sh", &["-euc", command.unwrap()]);
    let checked = run(
        directory.path(),
        "promtool",
        &["check", "rules", "alerts.yaml"],
    );
    let found = format!("{} rules found", names().len());
    assert!(checked.contains(&found), "{checked}");
    let tests = ["test", "rules", "alerts.test.yaml"];
    run(directory.path(), "promtool", &tests);
}

/// An evaluation earlier it must be silent: so a shorter `for` or another threshold does not pass.
#[test]
fn every_alert_is_tested_where_it_fires_and_just_before() {
    let tests = yaml("alerts.test.yaml");
    assert_eq!(tests["evaluation_interval"], "15s");
    let mut begun = Firing::new();
    for test in list(&tests["tests"]) {
        let moments = moments(test);
        assert!(moments[0].1.is_empty(), "{}: it begins well", test["name"]);
        for pair in moments.windows(2) {
            let ((before, silent), (at, firing)) = (&pair[0], &pair[1]);
            if before + 15 == *at {
                begun.extend(firing.difference(silent).cloned());
            }
        }
    }
    assert_eq!(begun, names());
}

#[test]
fn every_alert_says_what_is_wrong_and_what_to_look_at() {
    let tool = Regex::new(r"`(tidegauge|kubectl)|log|/readyz|tidegauge_\w+").unwrap();
    for rule in rules() {
        let (name, said) = (text(&rule["alert"]), &rule["annotations"]);
        assert!(name.starts_with("Tidegauge"), "{name}");
        assert!(!text(&said["summary"]).is_empty(), "{name}");
        assert!(tool.is_match(text(&said["description"])), "{name}");
    }
}

/// Each series that a server shows, with its labels: one that has been asked by several, over a cluster.
async fn shown() -> BTreeMap<String, BTreeSet<String>> {
    let label = Regex::new(r#"(\w+)=""#).unwrap();
    let mut shown: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in own_metrics::of_a_server_in_use().await.lines() {
        if let Some(name) = line.split(['{', ' ']).next().filter(|it| *it != "#") {
            let labels = label.captures_iter(line).map(|it| it[1].to_owned());
            shown.entry(name.to_owned()).or_default().extend(labels);
        }
    }
    // What a scrape adds, and what Prometheus makes of alerts.
    for labels in shown.values_mut() {
        let added = ["namespace", "pod", "instance", "job"];
        labels.extend(added.map(str::to_owned));
    }
    let alerts = ["alertname", "alertstate", "severity"].map(str::to_owned);
    shown.insert("ALERTS".to_owned(), alerts.into());
    shown
}

/// What is asked for that no server has.
fn missing(expression: &str, shown: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let plain = expression.replace("$__rate_interval", "1m");
    let tree = syntax(&plain).unwrap_or_else(|why| panic!("{expression}: {why}"));
    let asked = Asked::of(&tree);
    let mut missing = Vec::new();
    let mut known = BTreeSet::new();
    for selector in &asked.selectors {
        let name = selector.name.clone().unwrap_or_default();
        let Some(labels) = shown.get(&name) else {
            missing.push(name);
            continue;
        };
        known.extend(labels.iter().cloned());
        for matcher in &selector.matchers.matchers {
            if !labels.contains(&matcher.name) {
                missing.push(format!("{name} with {}", matcher.name));
            }
        }
    }
    for (_, kept) in &asked.kept {
        missing.extend(kept.iter().filter(|it| !known.contains(*it)).cloned());
    }
    missing
}

#[tokio::test]
async fn alerts_and_dashboard_ask_only_for_what_a_server_shows() {
    let shown = shown().await;
    let mut asked = 0;
    for rule in rules() {
        let expression = text(&rule["expr"]);
        assert_eq!(missing(expression, &shown), [""; 0], "{}", rule["alert"]);
    }
    let dashboard: Value = serde_json::from_str(&file("dashboard.json")).unwrap();
    let legend = Regex::new(r"\{\{(\w+)\}\}").unwrap();
    for panel in list(&dashboard["panels"]) {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = text(&target["expr"]);
            assert_eq!(missing(expression, &shown), [""; 0], "{}", panel["title"]);
            for found in legend.captures_iter(text(&target["legendFormat"])) {
                assert!(
                    expression.contains(&found[1]) || &found[1] == "pod",
                    "{expression}"
                );
            }
            asked += 1;
        }
    }
    assert!(asked > 30, "{asked} queries");
    let alerts = &dashboard["annotations"]["list"][0]["expr"];
    assert_eq!(missing(text(alerts), &shown), [""; 0]);
}

#[test]
fn the_dashboard_is_one_that_grafana_can_show() {
    let objects = Tree::new().base_and(&["monitoring"]);
    let maps = of_kind(&objects, "ConfigMap").into_iter();
    let mut maps = maps.filter(|it| it["metadata"]["labels"]["grafana_dashboard"] == "1");
    let map = maps.next().expect("the sidecar takes it by its label");
    let dashboard: Value = serde_json::from_str(text(&map["data"]["tidegauge.json"])).unwrap();
    let variables: BTreeSet<&str> = list(&dashboard["templating"]["list"])
        .iter()
        .map(|it| text(&it["name"]))
        .collect();
    let used = Regex::new(r"\$\{?([a-z]\w*)").unwrap();
    let panels = list(&dashboard["panels"]);
    let mut ids = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64()), "{}", panel["title"]);
        for found in used.captures_iter(&panel.to_string()) {
            assert!(variables.contains(&found[1]), "{}", &found[0]);
        }
    }
    // No two share a place.
    let place = |panel: &Value| {
        let at = |field: &str| panel["gridPos"][field].as_u64().unwrap();
        (at("x"), at("y"), at("w"), at("h"))
    };
    for (index, first) in panels.iter().enumerate() {
        let (x, y, w, h) = place(first);
        assert!(x + w <= 24, "{}", first["title"]);
        for second in &panels[index + 1..] {
            let (x2, y2, w2, h2) = place(second);
            let apart = x + w <= x2 || x2 + w2 <= x || y + h <= y2 || y2 + h2 <= y;
            assert!(apart, "{} and {}", first["title"], second["title"]);
        }
    }
}
