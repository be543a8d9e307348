//! The relist against a real Prometheus: what is listed when, and what a failure touches.

use std::time::Duration;

use hyper::StatusCode;
use serde_json::Value;

use crate::support::adapter::Adapter;
use crate::support::exporter::Exporter;
use crate::support::poll;
use crate::support::prometheus::{Prometheus, TargetLabels};
use crate::support::tap::{Behaviour, Tap};

const OBJECTS: &str = "{apiVersion: v1, kind: Pod, metadata: {name: web-a, namespace: shop}}";
const POD: &str =
    "resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}";
const PATIENCE: Duration = Duration::from_secs(30);

/// A rule over pods.
fn rule(series_query: &str) -> String {
    format!(
        "- seriesQuery: '{series_query}'\n  {POD}\n  metricsQuery: '<<.Series>>{{<<.LabelMatchers>>}}'\n"
    )
}

async fn prometheus(exposition: &'static str) -> (Prometheus, Exporter) {
    let exporter = Exporter::start(move |_| exposition.to_owned()).await;
    let prometheus = Prometheus::start(&[exporter.address], TargetLabels::Dropped).await;
    (prometheus, exporter)
}

async fn adapter(rules: &str, prometheus_url: &str, flags: &[&str]) -> Adapter {
    let rules = format!("rules:\n{rules}");
    let started = Adapter::standalone(OBJECTS, &rules, prometheus_url, flags).await;
    started.expect("the rules must load")
}

/// The custom metrics that are listed for pods.
async fn listed(adapter: &Adapter) -> Vec<String> {
    let answer = adapter.get("/apis/custom.metrics.k8s.io/v1beta2").await;
    let body: Value = serde_json::from_str(&answer.body).expect("discovery must be JSON");
    let names = body["resources"]
        .as_array()
        .expect("resources must be a list")
        .iter();
    let names = names.filter_map(|resource| resource["name"].as_str()?.strip_prefix("pods/"));
    names.map(str::to_owned).collect()
}

async fn until_listed(adapter: &Adapter, expected: &[&str]) {
    let seen = async || {
        let listed = listed(adapter).await;
        if listed == expected {
            Ok(())
        } else {
            Err(format!("listed: {listed:?}"))
        }
    };
    let outcome = poll::try_until("the list is as expected", PATIENCE, seen).await;
    outcome.unwrap_or_else(|last| panic!("{last}\n{}", adapter.stderr()));
}

/// The value of one of our own metrics, by the beginning of its line.
async fn own_metric(adapter: &Adapter, line: &str) -> f64 {
    let text = adapter.get("/metrics").await.body;
    let value = text
        .lines()
        .find_map(|it| it.strip_prefix(line)?.trim().parse().ok());
    value.unwrap_or_else(|| panic!("no {line} in:\n{text}"))
}

#[tokio::test]
async fn a_literal_name_is_listed_before_prometheus_has_answered_anything() {
    let rules =
        rule(r#"queue_depth{namespace!="",pod!=""}"#) + &rule(r#"{__name__=~"other.*",pod!=""}"#);
    let adapter = adapter(&rules, "http://127.0.0.1:1", &[]).await;
    assert_eq!(listed(&adapter).await, ["queue_depth"]);
}

#[tokio::test]
async fn a_rule_that_fails_touches_no_other_and_keeps_its_names() {
    let (prometheus, _exporter) = prometheus(
        "queue_depth{namespace=\"shop\",pod=\"web-a\"} 1\nqueue_age{namespace=\"shop\",pod=\"web-a\"} 2\n",
    )
    .await;
    prometheus.wait_for(&["queue_age"]).await;
    let tap = Tap::start(&prometheus.url).await;
    // Prometheus refuses the second rule: every matcher of it takes the empty string.
    let rules = rule(r#"{__name__=~"queue_.*",namespace!=""}"#) + &rule(r#"{pod=~".*"}"#);
    let adapter = adapter(&rules, &tap.url, &["--metrics-relist-interval=1s"]).await;
    until_listed(&adapter, &["queue_age", "queue_depth"]).await;
    let failures = "tidegauge_rule_list_failures_total{rule=\"rules[1]\"}";
    assert!(own_metric(&adapter, failures).await >= 1.0);
    let up = |rule| format!("tidegauge_rule_up{{rule=\"rules[{rule}]\"}}");
    assert!(own_metric(&adapter, &up(0)).await > 0.5);
    assert!(own_metric(&adapter, &up(1)).await < 0.5);
    // Once, although it is asked about each second.
    let told = async || match adapter.stderr().matches("cannot be listed").count() {
        1 => Ok(()),
        count => Err(format!("{count} times:\n{}", adapter.stderr())),
    };
    poll::until("it is told once", PATIENCE, told).await;

    tap.behave(Behaviour::Close);
    let failed = async || match own_metric(&adapter, &up(0)).await < 0.5 {
        true => Ok(()),
        false => Err("the first rule is still up".to_owned()),
    };
    poll::try_until("the relist fails", PATIENCE, failed)
        .await
        .expect("it must fail");
    assert_eq!(listed(&adapter).await, ["queue_age", "queue_depth"]);
}

#[tokio::test]
async fn an_ask_for_an_unknown_name_wakes_the_relist_long_before_its_interval() {
    let exporter = Exporter::start(|elapsed| {
        let late = if elapsed > Duration::from_secs(8) { "queue_late" } else { "queue_early" };
        format!("queue_depth{{namespace=\"shop\",pod=\"web-a\"}} 1\n{late}{{namespace=\"shop\",pod=\"web-a\"}} 1\n")
    })
    .await;
    let prometheus = Prometheus::start(&[exporter.address], TargetLabels::Dropped).await;
    prometheus.wait_for(&["queue_depth"]).await;
    let rules = rule(r#"{__name__=~"queue_.*",namespace!=""}"#);
    let adapter = adapter(&rules, &prometheus.url, &["--metrics-relist-interval=1h"]).await;
    prometheus.wait_for(&["queue_late"]).await;
    let ask = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/web-a/queue_late";
    let found = async || match adapter.get(ask).await {
        answer if answer.status == StatusCode::OK => Ok(()),
        answer => Err(answer.body),
    };
    let outcome = poll::try_until("the new metric is found", PATIENCE, found).await;
    outcome.expect("an ask must wake the relist");
    // Asked every few milliseconds, it relisted no more than once in ten seconds.
    assert!(own_metric(&adapter, "tidegauge_relists_total").await <= 4.0);
}

#[tokio::test]
async fn a_selector_beyond_the_syntax_tree_is_listed_from_the_series() {
    let (prometheus, _exporter) = prometheus(
        "queue_depth{namespace=\"shop\",pod=\"web-a\",path=\"a\\\\b\"} 1\nqueue_age{namespace=\"shop\"} 2\n",
    )
    .await;
    prometheus.wait_for(&["queue_age"]).await;
    let tap = Tap::start(&prometheus.url).await;
    // A quoted piece is Go's; promql-parser compiles matchers with Rust's regex and refuses it.
    let rules = rule(r#"{__name__=~"queue_.*",path=~"\\Qa\\E.*"}"#);
    let adapter = adapter(&rules, &tap.url, &["--metrics-relist-interval=1s"]).await;
    until_listed(&adapter, &["queue_depth"]).await;
    assert!(tap.take().iter().any(|seen| seen.path == "/api/v1/series"));
}

#[tokio::test]
async fn names_are_listed_without_downloading_series() {
    let (prometheus, _exporter) = prometheus(
        "queue_depth{namespace=\"shop\",pod=\"web-a\"} 1\nqueue_age{namespace=\"shop\",service=\"web\"} 2\n",
    )
    .await;
    prometheus.wait_for(&["queue_age"]).await;
    let tap = Tap::start(&prometheus.url).await;
    let template = "- seriesQuery: '{__name__=~\"queue_.*\"}'\n  resources: {template: \"<<.Resource>>\"}\n  metricsQuery: x\n";
    let rules = rule(r#"{__name__=~"queue_.*",namespace!=""}"#) + template + template;
    let adapter = adapter(&rules, &tap.url, &["--metrics-relist-interval=1h"]).await;
    until_listed(&adapter, &["queue_depth"]).await;
    let paths: Vec<String> = tap.take().into_iter().map(|seen| seen.path).collect();
    let count = |path: &str| paths.iter().filter(|it| *it == path).count();
    assert_eq!(count("/api/v1/series"), 0, "{paths:?}");
    // Both template rules have the same questions, and each is asked once.
    assert_eq!(count("/api/v1/labels"), 1, "{paths:?}");
}

#[tokio::test]
async fn rules_that_hang_keep_nobody_away_and_the_well_are_not_asked_again_with_them() {
    let (prometheus, _exporter) =
        prometheus("queue_depth{namespace=\"shop\",pod=\"web-a\"} 1\n").await;
    prometheus.wait_for(&["queue_depth"]).await;
    let tap = Tap::start(&prometheus.url).await;
    let hangs: String = (0..12)
        .map(|n| rule(&format!(r#"{{__name__=~"hang_{n}.*",namespace!=""}}"#)))
        .collect();
    tap.behave_for("hang_", Behaviour::Hang);
    let rules = hangs + &rule(r#"{__name__=~"queue_.*",namespace!=""}"#);
    let flags = &["--prometheus-timeout=1s", "--metrics-relist-interval=1h"];
    let adapter = adapter(&rules, &tap.url, flags).await;
    until_listed(&adapter, &["queue_depth"]).await;

    // What hangs is asked again, with back-off; what answered is not.
    let asked = |what: &str, seen: &[crate::support::tap::Seen]| {
        let about = |seen: &&crate::support::tap::Seen| {
            seen.parameter("match[]")
                .is_some_and(|it| it.contains(what))
        };
        seen.iter().filter(about).count()
    };
    let mut seen = Vec::new();
    let again = async || {
        seen.extend(tap.take());
        match asked("hang_11", &seen) {
            0..=2 => Err("not asked three times yet".to_owned()),
            _ => Ok(asked("queue_", &seen)),
        }
    };
    let well = poll::try_until("failed rules are asked again", PATIENCE, again).await;
    let well = well.expect("failed rules must be asked again");
    assert!(
        (1..=2).contains(&well),
        "the well rule was asked {well} times"
    );
}

#[tokio::test]
async fn until_a_rule_was_listed_an_unknown_metric_is_an_error_with_its_cause() {
    let tap = Tap::start("http://127.0.0.1:1").await;
    tap.behave(Behaviour::Answer {
        status: 500,
        content_type: "text/plain",
        body: "oops".to_owned(),
    });
    let adapter = adapter(
        &rule(r#"{__name__=~"queue_.*",namespace!=""}"#),
        &tap.url,
        &[],
    )
    .await;
    let ask = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/web-a/queue_depth";
    let answer = adapter.get(ask).await;
    assert_eq!(
        answer.status,
        StatusCode::SERVICE_UNAVAILABLE,
        "{}",
        answer.body
    );
    let expected = "the metric queue_depth is not known yet: rules[0] (line 2) could not be listed \
                    so far: Prometheus answered 500 Internal Server Error";
    assert!(answer.body.contains(expected), "{}", answer.body);
}

/// The pause after a failure ends before a woken relist may begin: the wake must outlast it.
#[tokio::test]
async fn a_failing_rule_does_not_swallow_the_wake_of_an_unknown_name() {
    let (prometheus, _exporter) =
        prometheus("queue_depth{namespace=\"shop\",pod=\"web-a\"} 1\n").await;
    prometheus.wait_for(&["queue_depth"]).await;
    let tap = Tap::start(&prometheus.url).await;
    tap.behave_for("broken_", Behaviour::Close);
    let rules = rule(r#"{__name__=~"broken_.*",namespace!=""}"#)
        + &rule(r#"{__name__=~"queue_.*",namespace!=""}"#);
    let flags = &["--metrics-relist-interval=1h"];
    let adapter = adapter(&rules, &tap.url, flags).await;
    until_listed(&adapter, &["queue_depth"]).await;
    let ask = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/web-a/queue_nope";
    assert_ne!(adapter.get(ask).await.status, StatusCode::OK);
    tap.take();
    let again = async || {
        let seen = tap.take();
        let about = |it: &crate::support::tap::Seen| {
            it.parameter("match[]")
                .is_some_and(|text| text.contains("queue_"))
        };
        match seen.iter().any(about) {
            true => Ok(()),
            false => Err("the well rule was not asked again".to_owned()),
        }
    };
    let woken = poll::try_until("the well rule is asked again", PATIENCE, again).await;
    woken.expect("an ask must wake the relist");
}
