//! A rule's own terms, over the real Prometheus: plain queries, what nothing and what is no number
//! mean, and times.

use hyper::StatusCode;
use serde_json::Value;

use crate::support::adapter::{Adapter, EACH_ASK};
use crate::support::exporter::Exporter;
use crate::support::prometheus::{Prometheus, TargetLabels};
use crate::support::tap::Tap;

const RULES: &str = r#"
rules:
- query: 'sum(depth) by (namespace, pod, tier)'
  name: {as: plain}
  resources: &objects
    overrides: {namespace: {resource: namespace}, pod: {resource: pod}, node: {resource: node}}
- query: 'sum(depth) by (pod)'
  name: {as: of_no_namespace}
  resources: *objects
  onEmpty: zero
- query: 'sum(doubled) by (namespace, pod, tier)'
  name: {as: several}
  resources: *objects
- query: 'sum(depth{<<.LabelMatchers>>}) by (<<.GroupBy>>)'
  name: {as: templated}
  resources: *objects
- query: 'sum(depth{tier="none"}) by (namespace, pod)'
  name: {as: nothing}
  resources: *objects
  onEmpty: zero
- query: 'sum(depth{tier="x"}) by (namespace, pod) / 0'
  name: {as: infinite}
  resources: *objects
  nonFinite: zero
- query: 'sum(depth{tier="x"}) by (namespace, pod) / 0'
  name: {as: infinite_by_default}
  resources: *objects
- query: 'heat'
  name: {as: heat}
  resources: *objects
- query: 'timestamp(vector(1)) * on () group_right () (depth{tier="x"} * 0 + 1)'
  name: {as: now}
  resources: *objects
- query: 'timestamp(vector(1)) * on () group_right () (depth{tier="x"} * 0 + 1)'
  name: {as: before}
  resources: *objects
  offsetFromNow: 2s
externalRules:
- query: 'sum(depth)'
  name: {as: all_depth}
- query: 'scalar(sum(depth))'
  name: {as: scalar_depth}
- query: 'sum(depth) by (tier)'
  name: {as: depth_by_tier}
- query: 'sum(depth) by (namespace)'
  name: {as: depth_of_namespace}
  resources: {overrides: {namespace: {resource: namespace}}}
- query: 'sum(depth{namespace="shop"}) by (namespace)'
  name: {as: depth_of_shop_for_all}
  resources: {overrides: {namespace: {resource: namespace}}, namespaced: false}
- query: 'depth_or_nan'
  name: {as: depth_or_nan}
- query: 'depth{tier="none"}'
  name: {as: nothing}
  onEmpty: zero
- query: 'depth{tier="none"}'
  name: {as: nothing_by_default}
"#;
const OBJECTS: &str = "{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: shop}}\n---\n\
                       {apiVersion: v1, kind: Pod, metadata: {name: b, namespace: shop}}\n---\n\
                       {apiVersion: v1, kind: Node, metadata: {name: n}}\n---\n\
                       {apiVersion: v1, kind: Pod, metadata: {name: a, namespace: bank}}";
const EXPOSITION: &str = "depth{namespace=\"shop\",pod=\"a\",tier=\"x\"} 1\n\
                          depth{namespace=\"shop\",pod=\"b\",tier=\"y\"} 2\n\
                          depth{namespace=\"bank\",pod=\"a\",tier=\"x\"} 4\n\
                          doubled{namespace=\"shop\",pod=\"a\",tier=\"x\"} 1\n\
                          doubled{namespace=\"shop\",pod=\"a\",tier=\"y\"} 2\n\
                          doubled{namespace=\"shop\",pod=\"b\",tier=\"y\"} 3\n\
                          depth_or_nan{queue=\"p\"} 1\n\
                          depth_or_nan{queue=\"q\"} NaN\n\
                          heat{node=\"n\"} 16\n";

struct World {
    _exporter: Exporter,
    _prometheus: Prometheus,
    tap: Tap,
    adapter: Adapter,
}

async fn world() -> World {
    let exporter = Exporter::start(|_| EXPOSITION.to_owned()).await;
    let prometheus = Prometheus::start(&[exporter.address], TargetLabels::Dropped).await;
    prometheus.wait_for(&["depth offset 2s", "heat"]).await;
    let tap = Tap::start(&prometheus.url).await;
    let adapter = Adapter::standalone(OBJECTS, RULES, &tap.url, EACH_ASK).await;
    World {
        _exporter: exporter,
        _prometheus: prometheus,
        tap,
        adapter: adapter.unwrap_or_else(|refusal| panic!("{}", refusal.stderr)),
    }
}

impl World {
    /// `OBJECT=VALUE` for each item, or the message of the failure.
    async fn custom(&self, path: &str) -> String {
        let path = format!("/apis/custom.metrics.k8s.io/v1beta2/{path}");
        let answer = self.adapter.get(&path).await;
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        if answer.status != StatusCode::OK {
            return format!(
                "{}: {}",
                answer.status.as_u16(),
                body["message"].as_str().unwrap()
            );
        }
        let item = |item: &Value| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let (name, value) = (&item["describedObject"]["name"], &item["value"]);
            format!("{}={}", text(name), text(value))
        };
        let items: Vec<String> = body["items"].as_array().unwrap().iter().map(item).collect();
        items.join(" ")
    }

    /// The values, or the message of the failure.
    async fn external(&self, path: &str) -> String {
        let path = format!("/apis/external.metrics.k8s.io/v1beta1/namespaces/{path}");
        let answer = self.adapter.get(&path).await;
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        if answer.status != StatusCode::OK {
            return format!(
                "{}: {}",
                answer.status.as_u16(),
                body["message"].as_str().unwrap()
            );
        }
        let items = body["items"].as_array().unwrap().iter();
        let values: Vec<&str> = items.map(|item| item["value"].as_str().unwrap()).collect();
        values.join(" ")
    }
}

#[tokio::test]
async fn a_plain_query_is_listed_at_once_and_its_rows_say_whose_they_are() {
    let world = world().await;
    assert_eq!(
        world.custom("namespaces/shop/pods/*/plain").await,
        "a=1 b=2"
    );
    assert_eq!(world.custom("namespaces/bank/pods/a/plain").await, "a=4");
    let selected = "namespaces/shop/pods/*/plain?metricLabelSelector=tier%3Dx";
    assert_eq!(world.custom(selected).await, "a=1");
    let not = "namespaces/shop/pods/*/plain?metricLabelSelector=tier+notin+%28x%29,pod,!queue";
    assert_eq!(world.custom(not).await, "b=2");
    assert_eq!(world.custom("nodes/n/heat").await, "n=16");
    assert_eq!(world.custom("namespaces/shop/nodes/n/heat").await, "n=16");
    let sent = world.tap.take_queries();
    let plain = "sum(depth) by (namespace, pod, tier)";
    assert_eq!(sent, [plain, plain, plain, plain, "heat", "heat"]);

    assert_eq!(
        world.custom("namespaces/shop/pods/*/templated").await,
        "a=1 b=2"
    );
    let templated = "sum(depth{namespace=\"shop\",pod=~\"a|b\"}) by (pod)";
    assert_eq!(world.tap.take_queries(), [templated]);

    // Nobody was asked which series there are.
    let looked_up = world.tap.take().into_iter().map(|seen| seen.path);
    let looked_up: Vec<_> = looked_up.filter(|path| path != "/api/v1/query").collect();
    assert_eq!(looked_up, [""; 0]);
}

#[tokio::test]
async fn nothing_and_what_is_no_number_are_zero_only_where_the_rule_says_so() {
    let world = world().await;
    assert_eq!(
        world.custom("namespaces/shop/pods/*/nothing").await,
        "a=0 b=0"
    );
    assert_eq!(world.custom("namespaces/shop/pods/b/nothing").await, "b=0");
    // Of `b` nothing is known, and that is not the same as nothing at all.
    assert_eq!(world.custom("namespaces/shop/pods/*/infinite").await, "a=0");
    let by_default = world
        .custom("namespaces/shop/pods/a/infinite_by_default")
        .await;
    assert!(
        by_default.starts_with("404: ") && by_default.contains("+Inf"),
        "{by_default}"
    );
    assert_eq!(world.external("shop/nothing").await, "0");
    assert_eq!(world.external("shop/nothing_by_default").await, "");
}

#[tokio::test]
async fn a_failed_query_is_never_nothing() {
    let mut world = world().await;
    world._prometheus.kill();
    let failed = world.custom("namespaces/shop/pods/*/nothing").await;
    assert!(
        failed.starts_with("503: unable to fetch metrics: "),
        "{failed}"
    );
    let failed = world.external("shop/nothing").await;
    assert!(
        failed.starts_with("503: unable to fetch metrics: "),
        "{failed}"
    );
}

#[tokio::test]
async fn an_external_plain_query_gives_one_value() {
    let world = world().await;
    assert_eq!(world.external("shop/all_depth").await, "7");
    assert_eq!(world.external("anywhere/scalar_depth").await, "7");
    assert_eq!(world.external("shop/depth_of_namespace").await, "3");
    assert_eq!(world.external("bank/depth_of_namespace").await, "4");
    let one = "shop/depth_by_tier?labelSelector=tier%3Dy";
    assert_eq!(world.external(one).await, "2");
    let several = world.external("shop/depth_by_tier").await;
    let expected = "the query gives 2 series where one value is wanted, as {tier=\"x\"} and ";
    assert!(
        several.starts_with("500: ") && several.contains(expected),
        "{several}"
    );
    assert_eq!(world.external("bank/depth_of_shop_for_all").await, "3");
    // What is no number now may be one at the next ask.
    let several = world.external("shop/depth_or_nan").await;
    assert!(several.contains("the query gives 2 series"), "{several}");
}

#[tokio::test]
async fn a_plain_query_whose_rows_do_not_say_what_is_asked_for_is_an_error_and_no_zero() {
    let world = world().await;
    let unlabelled = |answer: String, label: &str| {
        let expected = format!("the query gives series without the label \"{label}\"");
        assert!(
            answer.starts_with("500: ") && answer.contains(&expected),
            "{answer}"
        );
    };
    let answer = world.custom("namespaces/shop/pods/*/of_no_namespace").await;
    unlabelled(answer, "namespace");
    let answer = world.custom("namespaces/shop/pods/a/heat").await;
    unlabelled(answer, "namespace");
    let answer = world
        .external("shop/all_depth?labelSelector=queue%3Dq")
        .await;
    unlabelled(answer, "queue");
    let selected = "namespaces/shop/pods/a/plain?metricLabelSelector=queue%3Dq";
    unlabelled(world.custom(selected).await, "queue");
    // A selector that no matcher can say is refused alike, whatever the query.
    for metric in ["plain", "templated"] {
        let path = format!("namespaces/shop/pods/a/{metric}?metricLabelSelector=a.b%2Fc%3Dd");
        let answer = world.custom(&path).await;
        assert!(answer.starts_with("400: "), "{answer}");
    }
    // Nor is one of several series taken by chance.
    let several = world.custom("namespaces/shop/pods/*/several").await;
    assert!(
        several.contains("the query gives several series for a: "),
        "{several}"
    );
    assert_eq!(world.custom("namespaces/shop/pods/b/several").await, "b=3");
    let one = "namespaces/shop/pods/a/several?metricLabelSelector=tier%3Dx";
    assert_eq!(world.custom(one).await, "a=1");
}

#[tokio::test]
async fn a_rule_may_look_back() {
    let world = world().await;
    let value = |text: String| {
        let value = text.strip_prefix("a=").unwrap().to_owned();
        let thousandths = value.strip_suffix('m').map(|it| it.parse::<f64>().unwrap());
        thousandths.map_or_else(|| value.parse::<f64>().unwrap(), |it| it / 1000.0)
    };
    let before = value(world.custom("namespaces/shop/pods/a/before").await);
    let now = value(world.custom("namespaces/shop/pods/a/now").await);
    assert!(now - before >= 2.0, "{before} and {now}");
}
