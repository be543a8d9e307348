//! What is remembered of Prometheus' answers, seen from outside: equal asks share one query, a
//! restart goes unnoticed, and what fails for long is an error and never a zero.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use hyper::StatusCode;
use serde_json::Value;

use crate::support::adapter::{Adapter, Answer};
use crate::support::exporter::Exporter;
use crate::support::poll;
use crate::support::prometheus::{Prometheus, TargetLabels};
use crate::support::tap::{Behaviour, Tap};

const RULES: &str = r#"
rules:
- seriesQuery: 'depth{namespace!="",pod!=""}'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)'
- seriesQuery: 'level{namespace!="",pod!=""}'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)'
  ttl: 1h
"#;
const OBJECTS: &str = "{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: shop}}\n---\n\
                       {apiVersion: v1, kind: Pod, metadata: {name: a, namespace: bank}}";
const EXPOSITION: &str = "depth{namespace=\"shop\",pod=\"a\",tier=\"x\"} 1\n\
                          depth{namespace=\"shop\",pod=\"a\",tier=\"y\"} 2\n\
                          depth{namespace=\"bank\",pod=\"a\",tier=\"x\"} 4\n\
                          level{namespace=\"shop\",pod=\"a\"} 8\n";
const DEPTH: &str = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/a/depth";
const LEVEL: &str = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/a/level";
const SOON: Duration = Duration::from_secs(60);

struct World {
    _exporter: Exporter,
    prometheus: Prometheus,
    tap: Tap,
    adapter: Arc<Adapter>,
}

async fn world(flags: &[&str]) -> World {
    let exporter = Exporter::start(|_| EXPOSITION.to_owned()).await;
    let prometheus = Prometheus::start(&[exporter.address], TargetLabels::Dropped).await;
    prometheus.wait_for(&["depth", "level"]).await;
    let tap = Tap::start(&prometheus.url).await;
    let adapter = Adapter::standalone(OBJECTS, RULES, &tap.url, flags).await;
    World {
        _exporter: exporter,
        prometheus,
        tap,
        adapter: Arc::new(adapter.expect("the rules must load")),
    }
}

/// The value and the timestamp of the one item of an answer.
fn told(answer: &Answer) -> (String, String) {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    let items = body["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "{body}");
    let text = |field: &str| items[0][field].as_str().unwrap().to_owned();
    (text("value"), text("timestamp"))
}

/// The queries that have come to Prometheus since the last look, once there is one.
async fn until_asked(tap: &Tap) -> Vec<String> {
    poll::until("Prometheus is asked", SOON, async || {
        let queries = tap.take_queries();
        match queries.is_empty() {
            true => Err("no query yet".to_owned()),
            false => Ok(queries),
        }
    })
    .await
}

#[tokio::test]
async fn two_hundred_callers_of_a_cold_metric_cost_one_query() {
    let mut world = world(&["--query-ttl=1h"]).await;
    world.prometheus.hang().await;
    let callers = (0..200).map(|_| {
        let adapter = Arc::clone(&world.adapter);
        tokio::spawn(async move { adapter.get(DEPTH).await })
    });
    let callers: Vec<_> = callers.collect();
    assert_eq!(until_asked(&world.tap).await.len(), 1);
    world.prometheus.resume();
    let answers = join_all(callers).await;
    let first = told(answers[0].as_ref().unwrap());
    assert_eq!(first.0, "3");
    for answer in &answers {
        assert_eq!(told(answer.as_ref().unwrap()), first);
    }
    assert_eq!(world.tap.take_queries(), [""; 0]);
}

#[tokio::test]
async fn callers_who_hang_up_leave_the_last_one_answered() {
    let mut world = world(&["--query-ttl=1h"]).await;
    world.prometheus.hang().await;
    let call = || {
        let adapter = Arc::clone(&world.adapter);
        tokio::spawn(async move { adapter.get(DEPTH).await })
    };
    // The first of all makes the query.
    let mut callers = vec![call()];
    assert_eq!(until_asked(&world.tap).await.len(), 1);
    callers.extend((0..199).map(|_| call()));
    // While these are answered, those have sent what they ask.
    for _ in 0..20 {
        assert!(world.adapter.get("/livez").await.status.is_success());
    }
    let last = callers.pop().unwrap();
    callers.iter().for_each(tokio::task::JoinHandle::abort);
    join_all(callers).await;
    world.prometheus.resume();
    assert_eq!(told(&last.await.unwrap()).0, "3");
    assert_eq!(world.tap.take_queries(), [""; 0]);
}

#[tokio::test]
async fn nothing_about_one_namespace_or_selector_answers_another() {
    let world = world(&["--query-ttl=1h"]).await;
    let bank = DEPTH.replace("shop", "bank");
    let of_x = format!("{DEPTH}?metricLabelSelector=tier%3Dx");
    for _ in 0..2 {
        for (path, value) in [(DEPTH, "3"), (&bank, "4"), (&of_x, "1"), (LEVEL, "8")] {
            assert_eq!(told(&world.adapter.get(path).await).0, value, "{path}");
        }
    }
    assert_eq!(world.tap.take_queries().len(), 4);
}

#[tokio::test]
async fn a_prometheus_that_dies_goes_unnoticed_for_the_grace_and_is_an_error_after_it() {
    let flags = &["--query-ttl=100ms", "--stale-grace=20s"];
    let mut world = world(flags).await;
    let adapter = Arc::clone(&world.adapter);
    let (value, mut timestamp) = told(&adapter.get(DEPTH).await);
    assert_eq!(value, "3");
    world.prometheus.kill();
    // The last value with its own time, until the grace ends; then the cause, and no zero between.
    let failed = poll::until("the grace ends", SOON, async || {
        let answer = adapter.get(DEPTH).await;
        if answer.status != StatusCode::OK {
            return Ok(answer);
        }
        let (value, then) = told(&answer);
        assert_eq!(value, "3");
        assert!(then >= timestamp, "{then} after {timestamp}");
        timestamp = then;
        Err("still an answer".to_owned())
    })
    .await;
    assert_eq!(failed.status, StatusCode::SERVICE_UNAVAILABLE, "{failed:?}");
    assert!(
        failed.body.contains("unable to fetch metrics: "),
        "{failed:?}"
    );
    assert!(adapter.get("/readyz").await.status.is_success());
    let metrics = adapter.get("/metrics").await.body;
    let stale = r#"tidegauge_query_results_total{freshness="stale"}"#;
    assert!(metrics.contains(stale), "{metrics}");

    world.prometheus.restart().await;
    world.prometheus.wait_for(&["depth"]).await;
    poll::until("it is seen again", SOON, async || {
        let answer = adapter.get(DEPTH).await;
        match answer.status {
            StatusCode::OK => Ok(()),
            _ => Err(answer.body),
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_remembered_answers_while_prometheus_hangs() {
    let world = world(&["--prometheus-timeout=1h"]).await;
    assert_eq!(told(&world.adapter.get(LEVEL).await).0, "8");
    world.tap.take_queries();
    world.tap.behave(Behaviour::Hang);
    let hanging = {
        let adapter = Arc::clone(&world.adapter);
        tokio::spawn(async move { adapter.get(DEPTH).await })
    };
    assert_eq!(until_asked(&world.tap).await.len(), 1);
    for _ in 0..100 {
        assert_eq!(told(&world.adapter.get(LEVEL).await).0, "8");
    }
    assert!(!hanging.is_finished());
    hanging.abort();
}
