//! Which kinds a cluster has: many of them, some that cannot be read, some that come later.

use std::time::Duration;

use hyper::StatusCode;
use serde_json::Value;

use super::{World, ask};
use crate::support::adapter::Adapter;
use crate::support::poll;

/// For a kind in a namespace and one in none, both from the crowd, and one that is not there yet.
const RULES: &str = r#"
rules:
- seriesQuery: 'speed{namespace!="",thing!=""}'
  resources:
    overrides:
      namespace: {resource: namespace}
      thing: {group: crowd-299.example.com, resource: things-1499}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)
- seriesQuery: 'height{giant!=""}'
  resources: {overrides: {giant: {group: crowd-290.example.com, resource: thing1490}}}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)
- seriesQuery: 'level{namespace!="",gauge!=""}'
  resources:
    overrides: {namespace: {resource: namespace}, gauge: {group: acme.io, resource: gauge}}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)
"#;

const CUSTOM: &str = "/apis/custom.metrics.k8s.io/v1beta2";

/// Whether a path is known: no row of the Prometheus here names such an object, which is another
/// failure than a metric or a kind that does not exist.
async fn knows(world: &World, adapter: &Adapter, path: &str) -> Result<(), String> {
    let answer = ask(adapter, Some(&world.admin()), &format!("{CUSTOM}/{path}")).await;
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let message = body["message"].as_str().unwrap_or_default();
    // A metric that nobody makes is not found "for KIND", one without a value "for KIND NAME".
    let (found, _cause) = message.split_once(": ").unwrap_or((message, ""));
    match found.ends_with(" it") {
        true => Ok(()),
        false => Err(format!("{path}: {} {message}", answer.status)),
    }
}

#[tokio::test]
async fn it_is_soon_ready_on_a_cluster_with_many_kinds_and_finds_each_of_them() {
    for aggregates in [true, false] {
        let world = World::new().await;
        world.api.add_groups(300, 1500);
        world.api.delay(Duration::from_millis(200));
        if !aggregates {
            world.api.do_not_aggregate();
        }
        let adapter = Adapter::over(&world.api, RULES, &world.tap.url, &[]).await;
        let mut adapter = adapter.unwrap();
        adapter.ready().await.unwrap();
        let calls = world.api.take();
        let documents = calls.iter().filter(|call| {
            let path = call.path.as_str();
            path == "/api" || path == "/apis" || path.matches('/').count() == 3
        });
        let documents = documents.count();
        if aggregates {
            assert_eq!(documents, 2, "{calls:?}");
        } else {
            assert!(documents > 300, "{documents}");
        }
        world.api.delay(Duration::ZERO);
        for path in [
            "namespaces/shop/things-1499.crowd-299.example.com/it/speed",
            "namespaces/shop/thing1499.crowd-299/it/speed",
            "namespaces/shop/Things-1499/it/speed",
            "things-1490.crowd-290.example.com/it/height",
        ] {
            poll::until(path, Duration::from_secs(10), async || {
                knows(&world, &adapter, path).await
            })
            .await;
        }
        let other = "namespaces/shop/things-1498.crowd-298.example.com/it/speed";
        assert!(knows(&world, &adapter, other).await.is_err());
    }
}

#[tokio::test]
async fn a_group_that_cannot_be_read_hides_only_what_needs_it() {
    let world = World::new().await;
    world.api.add_groups(300, 1500);
    world.api.add_unread_group("acme.io");
    let adapter = Adapter::over(&world.api, RULES, &world.tap.url, &[]).await;
    let mut adapter = adapter.unwrap();
    adapter.ready().await.unwrap();
    let (speed, level) = (
        "namespaces/shop/things-1499.crowd-299.example.com/it/speed",
        "namespaces/shop/gauges.acme.io/it/level",
    );
    poll::until(speed, Duration::from_secs(10), async || {
        knows(&world, &adapter, speed).await
    })
    .await;
    let list = ask(&adapter, Some(&world.admin()), CUSTOM).await;
    assert_eq!(list.status, StatusCode::OK);
    assert!(!list.body.contains("level"), "{}", list.body);
    assert!(knows(&world, &adapter, level).await.is_err());
    let said = adapter.stderr();
    assert!(said.contains("acme.io/v1"), "{said}");
    assert!(said.contains("rules[2] is off"), "{said}");

    world.api.forget_unread_groups();
    world.api.add_kind("gauges", "Gauge");
    poll::until(level, Duration::from_secs(40), async || {
        knows(&world, &adapter, level).await
    })
    .await;
}
