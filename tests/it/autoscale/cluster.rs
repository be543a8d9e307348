//! Over a cluster: pods as they are, and the scale subresource.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{acted, condition, hpa};
use crate::support::apiserver::{ApiServer, Conduct};
use crate::support::autoscaler::{Autoscaler, folder};
use crate::support::pki::Authority;

const TARGET: &str = "/apis/apps/v1/namespaces/shop/deployments/web";
const CUSTOM: &str = "/apis/custom.metrics.k8s.io";
const DEPTH: &str = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/%2A/depth";
const USAGE: &str = "/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods";
const PODS: &str = "/api/v1/namespaces/shop/pods";

const BY_DEPTH: &str = "{type: Pods, pods: {metric: {name: depth}, \
                        target: {type: AverageValue, averageValue: 10}}}";
const BY_CPU: &str = "{type: Resource, resource: {name: cpu, \
                      target: {type: Utilization, averageUtilization: 50}}}";

/// A cluster with the Deployment `shop/web` of these pods.
async fn cluster(pods: Vec<Value>) -> ApiServer {
    let (clients, proxies) = (Authority::new("clients"), Authority::new("proxies"));
    let server = ApiServer::start(&clients, &proxies).await;
    let replicas = i32::try_from(pods.len()).unwrap();
    server.put_scale(TARGET, replicas, "app=web");
    server.put_pods("shop", pods);
    group(&server, &["v1beta2", "v1beta1"]);
    server
}

/// The group of custom metrics, in these versions.
fn group(server: &ApiServer, versions: &[&str]) {
    let version =
        |it: &&str| json!({"version": it, "groupVersion": format!("custom.metrics.k8s.io/{it}")});
    let versions: Vec<Value> = versions.iter().map(version).collect();
    let group = json!({"kind": "APIGroup", "apiVersion": "v1", "name": "custom.metrics.k8s.io",
        "versions": versions, "preferredVersion": versions[0]});
    server.put_metrics(CUSTOM, group);
}

/// A pod that has been running for so many seconds, and for all of them ready or not.
fn pod(name: &str, seconds: i64, is_ready: bool) -> Value {
    let since = (Timestamp::now() - SignedDuration::from_secs(seconds)).to_string();
    let ready = if is_ready { "True" } else { "False" };
    let condition = json!({"type": "Ready", "status": ready, "lastTransitionTime": since});
    let requests = json!({"requests": {"cpu": "1"}});
    json!({
        "metadata": {"name": name, "namespace": "shop", "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "app", "resources": requests}]},
        "status": {"phase": "Running", "startTime": since, "conditions": [condition]},
    })
}

/// A value of the metric for each pod.
fn depths(server: &ApiServer, path: &str, values: &[(&str, i64)]) {
    let items = values.iter().map(|(name, value)| {
        let object = json!({"kind": "Pod", "namespace": "shop", "name": name, "apiVersion": "/v1"});
        json!({"describedObject": object, "metric": {"name": "depth"}, "value": value.to_string(),
            "timestamp": Timestamp::now().to_string()})
    });
    let items: Vec<Value> = items.collect();
    let list = json!({"kind": "MetricValueList", "apiVersion": "custom.metrics.k8s.io/v1beta2",
        "metadata": {}, "items": items});
    server.put_metrics(path, list);
}

/// What each pod uses of a processor, in thousandths.
fn usage(server: &ApiServer, values: &[(&str, i64)]) {
    let items = values.iter().map(|(name, milli)| {
        let usage = json!({"cpu": format!("{milli}m"), "memory": "1Mi"});
        json!({"metadata": {"name": name, "namespace": "shop"}, "window": "1m0s",
            "timestamp": Timestamp::now().to_string(),
            "containers": [{"name": "app", "usage": usage}]})
    });
    let items: Vec<Value> = items.collect();
    let list = json!({"kind": "PodMetricsList", "apiVersion": "metrics.k8s.io/v1beta1",
        "metadata": {}, "items": items});
    server.put_metrics(USAGE, list);
}

fn autoscaler(server: &ApiServer, hpa: &str, flags: &[&str]) -> Autoscaler {
    let (kubeconfig, authority) = (server.kubeconfig(), server.authority.pem());
    let token = server.token();
    let files = [
        ("hpa.yaml", hpa),
        ("kubeconfig", &kubeconfig),
        ("ca.crt", &authority),
        ("token", &token),
    ];
    let own = [
        "-f=hpa.yaml",
        "--kubeconfig=kubeconfig",
        "--interval=200ms",
        "-o=json",
    ];
    Autoscaler::start(folder(&files), &[&own, flags].concat())
}

#[tokio::test]
async fn the_scale_subresource_is_read_and_set_with_its_version() {
    let server = cluster(vec![pod("web-a", 600, true), pod("web-b", 600, true)]).await;
    depths(&server, DEPTH, &[("web-a", 20), ("web-b", 20)]);
    let autoscaler = autoscaler(&server, &hpa(BY_DEPTH), &[]);
    let (_, out) = autoscaler.round("it scales out", 0, acted).await;
    assert_eq!((&out["current"], &out["desired"]), (&json!(2), &json!(4)));
    assert_eq!(out["message"], "pods metric depth above target");
    assert_eq!(server.replicas(TARGET), 4);
    let calls = server.take();
    let put = calls
        .iter()
        .find(|it| it.method == hyper::Method::PUT)
        .unwrap();
    assert_eq!(put.path, format!("{TARGET}/scale"));
    assert_eq!(put.body["metadata"]["resourceVersion"], "7");
    assert_eq!(put.body["spec"], json!({"replicas": 4}));
    let asked = calls.iter().find(|it| it.path == DEPTH).unwrap();
    assert_eq!(asked.parameter("labelSelector"), Some("app=web"));
}

#[tokio::test]
async fn somebody_who_is_faster_is_looked_at_again_and_not_overruled() {
    let server = cluster(vec![pod("web-a", 600, true)]).await;
    depths(&server, DEPTH, &[("web-a", 20)]);
    // The object has changed, its replicas have not.
    server.conflict_scale(2, None);
    let autoscaler = autoscaler(&server, &hpa(BY_DEPTH), &[]);
    let (at, _) = autoscaler.round("it scales out", 0, acted).await;
    assert_eq!(server.replicas(TARGET), 2);
    // A person has set it to five.
    server.put_pods(
        "shop",
        ["web-a", "web-b"].map(|it| pod(it, 600, true)).into(),
    );
    depths(&server, DEPTH, &[("web-a", 20), ("web-b", 20)]);
    server.conflict_scale(1, Some(5));
    let is_failure = |it: &Value| it["reason"] == "FailedRescale";
    let (at, failed) = autoscaler.round("it is overtaken", at, is_failure).await;
    let message = failed["message"].as_str().unwrap();
    assert!(
        message.starts_with("somebody else has set it to 5 meanwhile"),
        "{message}"
    );
    let (_, next) = autoscaler.round("it takes that up", at + 1, |_| true).await;
    assert_eq!(next["current"], 5);
}

#[tokio::test]
async fn pods_that_are_not_ready_count_as_the_controller_counts_them() {
    // One runs at its limit. The other one has begun ten seconds ago: what it uses is its start.
    let server = cluster(vec![pod("web-a", 600, true), pod("web-b", 10, false)]).await;
    usage(&server, &[("web-a", 1000), ("web-b", 1000)]);
    let autoscaler = autoscaler(&server, &hpa(BY_CPU), &[]);
    // Twice the target of one pod and nothing of the other: two replicas are right.
    let (at, held) = autoscaler.round("it decides", 0, |_| true).await;
    assert_eq!(
        (&held["current"], &held["desired"]),
        (&json!(2), &json!(2)),
        "{held}"
    );
    assert_eq!(held["error"], Value::Null);
    server.put_pods(
        "shop",
        ["web-a", "web-b"].map(|it| pod(it, 600, true)).into(),
    );
    let (_, out) = autoscaler.round("both are ready", at, acted).await;
    assert_eq!(out["desired"], 4);
    assert_eq!(
        out["message"],
        "cpu resource utilization (percentage of request) above target"
    );
}

#[tokio::test]
async fn an_answer_that_is_missing_or_nonsense_changes_nothing() {
    let server = cluster(["web-a", "web-b"].map(|it| pod(it, 600, true)).into()).await;
    depths(&server, DEPTH, &[("web-a", 10), ("web-b", 10)]);
    let behavior = hpa(BY_DEPTH).replace(
        "stabilizationWindowSeconds: 3",
        "stabilizationWindowSeconds: 0",
    );
    let autoscaler = autoscaler(&server, &behavior, &[]);
    let is_content = |it: &Value| it["error"].is_null();
    let (mut at, _) = autoscaler.round("it is content", 0, is_content).await;
    for path in [PODS, DEPTH, TARGET, CUSTOM] {
        for conduct in [
            Conduct::Fail,
            Conduct::Forbid,
            Conduct::Nonsense,
            Conduct::Close,
        ] {
            server.conduct(path, conduct);
            // Which version there is was asked before.
            let is_blind = |it: &Value| it["error"].is_string();
            let what = format!("{path} {conduct:?}");
            let (round, held) = autoscaler.round(&what, at, is_blind).await;
            assert_eq!(held["acted"], false, "{what}: {held}");
            let kind = if path == TARGET {
                "AbleToScale"
            } else {
                "ScalingActive"
            };
            assert_eq!(condition(&held, kind)["status"], "False", "{what}: {held}");
            server.conduct(path, Conduct::Well);
            let (round, _) = autoscaler
                .round("it is content again", round, is_content)
                .await;
            at = round;
        }
    }
    assert!(autoscaler.told().iter().all(|it| !acted(it)));
    assert_eq!(server.replicas(TARGET), 2);
    assert!(!autoscaler.stderr().contains(&server.token()));
}

#[tokio::test]
async fn an_older_adapter_is_asked_in_its_version_and_many_pods_in_pages() {
    let names: Vec<String> = (0..1200).map(|it| format!("web-{it:04}")).collect();
    let pods = names.iter().map(|it| pod(it, 600, true)).collect();
    let server = cluster(pods).await;
    group(&server, &["v1beta1"]);
    let values: Vec<(&str, i64)> = names.iter().map(|it| (it.as_str(), 9)).collect();
    depths(&server, &DEPTH.replace("v1beta2", "v1beta1"), &values);
    let hpa = hpa(BY_DEPTH).replace("maxReplicas: 8", "maxReplicas: 2000");
    let autoscaler = autoscaler(
        &server,
        &hpa,
        &["--horizontal-pod-autoscaler-tolerance=0.01"],
    );
    // In the window of three seconds first, then 90 % of them, and none was overlooked.
    let (_, back) = autoscaler.round("it scales in", 0, acted).await;
    assert_eq!(
        (&back["current"], &back["desired"]),
        (&json!(1200), &json!(1080))
    );
}

#[tokio::test]
async fn a_custom_resource_is_found_by_discovery_and_an_unknown_kind_named() {
    let server = cluster(vec![pod("web-a", 600, true)]).await;
    server.add_kind("gauges", "Gauge");
    let target = "/apis/acme.io/v1/namespaces/shop/gauges/web";
    server.put_scale(target, 1, "app=web");
    depths(&server, DEPTH, &[("web-a", 20)]);
    let gauge = hpa(BY_DEPTH).replace("apps/v1, kind: Deployment", "acme.io/v1, kind: Gauge");
    let autoscaler = autoscaler(&server, &gauge, &[]);
    autoscaler.round("it scales out", 0, acted).await;
    assert_eq!(server.replicas(target), 2);

    let unknown = gauge.replace("Gauge", "Meter");
    let autoscaler = self::autoscaler(&server, &unknown, &["--once"]);
    let (_, held) = autoscaler
        .round("it does not know the kind", 0, |_| true)
        .await;
    let message = held["message"].as_str().unwrap();
    assert!(
        message.ends_with("no matches for kind \"Meter\" in group \"acme.io\""),
        "{message}"
    );
}

#[tokio::test]
async fn two_autoscalers_of_the_same_pods_neither_of_which_acts() {
    let server = cluster(vec![pod("web-a", 600, true)]).await;
    server.put_scale(&TARGET.replace("web", "api"), 1, "app in (api,web)");
    depths(&server, DEPTH, &[("web-a", 20)]);
    let both = format!(
        "{}\n---\n{}",
        hpa(BY_DEPTH),
        hpa(BY_DEPTH).replace("name: web", "name: api")
    );
    let autoscaler = autoscaler(&server, &both, &["--dry-run"]);
    let is_told = |it: &Value| it["reason"] == "AmbiguousSelector";
    let (_, told) = autoscaler.round("it is told", 0, is_told).await;
    let message = told["message"].as_str().unwrap();
    assert!(
        message.ends_with("are controlled by multiple HPAs: [shop/api shop/web]"),
        "{message}"
    );
}

/// Autoscalers of these names, by the depth of `shop/web`.
fn hpas(names: &[&str]) -> String {
    let named = |it: &&str| hpa(BY_DEPTH).replace("name: web", &format!("name: {it}"));
    let hpas: Vec<String> = names.iter().map(named).collect();
    hpas.join("\n---\n")
}

#[tokio::test]
async fn two_autoscalers_of_the_same_pods_know_of_each_other_before_one_acts() {
    let server = cluster(vec![pod("web-a", 600, true)]).await;
    server.put_scale(&TARGET.replace("web", "api"), 1, "app in (api,web)");
    depths(&server, DEPTH, &[("web-a", 20)]);
    // One of them takes its time.
    let flags = [
        "--once",
        "--current=test {name} = web || sleep 1; echo 1",
        "--exec=touch acted-{replicas}",
    ];
    let mut autoscaler = autoscaler(&server, &hpas(&["web", "api"]), &flags);
    autoscaler.ended().await;
    let told = autoscaler.told();
    let reasons: Vec<&Value> = told.iter().map(|it| &it["reason"]).collect();
    assert_eq!(reasons, ["AmbiguousSelector"; 2], "{}", autoscaler.stderr());
    assert!(!autoscaler.path("acted-2").exists());
}

#[tokio::test]
async fn an_adapter_that_changes_its_version_is_asked_in_the_new_one() {
    let server = cluster(vec![pod("web-a", 600, true)]).await;
    depths(&server, DEPTH, &[("web-a", 10)]);
    let autoscaler = autoscaler(&server, &hpa(BY_DEPTH), &[]);
    let is_content = |it: &Value| it["error"].is_null();
    let (at, _) = autoscaler.round("it is content", 0, is_content).await;
    group(&server, &["v1beta1"]);
    server.conduct(DEPTH, Conduct::Refuse(404));
    let older = DEPTH.replace("v1beta2", "v1beta1");
    depths(&server, &older, &[("web-a", 20)]);
    autoscaler.round("it scales out", at, acted).await;
}

#[tokio::test]
async fn an_adapter_that_is_away_is_waited_for_once_and_not_by_one_after_the_other() {
    let names = ["web", "api", "cart", "mail"];
    let server = cluster(vec![pod("web-a", 600, true)]).await;
    for name in names {
        let target = TARGET.replace("web", name);
        server.put_scale(&target, 1, &format!("app={name}"));
    }
    server.conduct(CUSTOM, Conduct::Fail);
    server.delay(Duration::from_millis(300));
    let mut autoscaler = autoscaler(&server, &hpas(&names), &["--once"]);
    assert_eq!(autoscaler.ended().await.code(), Some(1));
    let told = autoscaler.told();
    assert_eq!(told.len(), names.len());
    assert!(told.iter().all(|it| it["error"].is_string()), "{told:?}");
    let calls = server.take();
    let asked = calls.iter().filter(|it| it.path == CUSTOM).count();
    assert_eq!(asked, 1);
}
