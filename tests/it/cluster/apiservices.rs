//! `--manage-apiservice`: the authority of each replica in the `caBundle` of our APIServices.

use std::time::Duration;

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use super::World;
use crate::support::adapter::{Adapter, send};
use crate::support::apiserver::{ApiServer, Conduct};
use crate::support::pki::Authority;
use crate::support::{https_builder, poll};

const MANAGED: &[&str] = &[
    "--manage-apiservice",
    "--service-namespace=monitoring",
    "--shutdown-delay-duration=0s",
];
const CUSTOM: &str = "v1beta1.custom.metrics.k8s.io";
const CUSTOM2: &str = "v1beta2.custom.metrics.k8s.io";
const EXTERNAL: &str = "v1beta1.external.metrics.k8s.io";
const RESOURCE: &str = "v1beta1.metrics.k8s.io";

fn spec(service: &str, more: &Value) -> Value {
    let mut spec = json!({
        "service": {"namespace": "monitoring", "name": service, "port": 443},
        "groupPriorityMinimum": 100, "versionPriority": 100,
    });
    let more = more.as_object().unwrap().clone();
    spec.as_object_mut().unwrap().extend(more);
    spec
}

fn base64(text: &str) -> Value {
    json!(k8s_openapi::ByteString(text.as_bytes().to_vec()))
}

/// The bundle, PEM.
fn bundle(api: &ApiServer, name: &str) -> String {
    let bytes = serde_json::from_value(api.api_service(name)["caBundle"].clone());
    let bytes: k8s_openapi::ByteString = bytes.unwrap_or_default();
    String::from_utf8(bytes.0).unwrap()
}

async fn until(what: &str, is: impl Fn() -> bool) {
    let probe = async || is().then_some(()).ok_or_else(|| "not yet".to_owned());
    poll::until(what, Duration::from_secs(20), probe).await;
}

/// As kube-aggregator: by the service's name, and trusting the bundle alone.
async fn trusted(adapter: &Adapter, bundle: &str) -> Result<StatusCode, String> {
    let port = adapter.url.rsplit(':').next().unwrap();
    let here = format!("127.0.0.1:{port}").parse().unwrap();
    let name = "tidegauge.monitoring.svc";
    let client = https_builder(bundle, None, true).resolve(name, here);
    let url = format!("https://{name}:{port}/livez");
    let answer = send(&client.build().unwrap(), Method::GET, &url, &[]).await;
    answer.map(|answer| answer.status)
}

#[tokio::test]
async fn the_authority_comes_into_our_api_services_and_into_no_others() {
    let world = World::new().await;
    let foreign = Authority::new("foreign").pem();
    let api = &world.api;
    api.add_api_service(CUSTOM, spec("tidegauge", &json!({})));
    api.add_api_service(
        CUSTOM2,
        spec("tidegauge", &json!({"insecureSkipTLSVerify": true})),
    );
    let theirs = spec("keda-metrics", &json!({"insecureSkipTLSVerify": true}));
    api.add_api_service(EXTERNAL, theirs.clone());
    let with_bundle = json!({"caBundle": base64(&foreign)});
    api.add_api_service(RESOURCE, spec("tidegauge", &with_bundle));
    let adapter = world.listening(MANAGED).await;
    until("the last one has two authorities", || {
        bundle(api, RESOURCE).matches("BEGIN").count() == 2
    })
    .await;
    assert!(bundle(api, RESOURCE).contains(foreign.trim().lines().nth(1).unwrap()));
    for name in [CUSTOM, CUSTOM2] {
        let spec = api.api_service(name);
        assert_eq!(spec["insecureSkipTLSVerify"], Value::Null, "{spec}");
        assert_eq!(spec["versionPriority"], 100);
        assert_eq!(
            trusted(&adapter, &bundle(api, name)).await,
            Ok(StatusCode::OK)
        );
    }
    assert_eq!(api.api_service(EXTERNAL), theirs);
    let changes: Vec<_> = api
        .seen()
        .into_iter()
        .filter(|it| it.method != Method::GET)
        .collect();
    let changes: Vec<_> = changes
        .iter()
        .filter(|it| it.path.contains("apiservices"))
        .collect();
    assert_eq!(changes.len(), 3, "{changes:?}");
    let log = adapter.stderr();
    assert!(log.contains("monitoring/keda-metrics"), "{log}");
    // v1.metrics.k8s.io is not there, and is not made.
    assert!(log.contains("there is none: nothing to keep"), "{log}");
}

#[tokio::test]
async fn one_bundle_verifies_two_replicas_that_write_it_at_one_time() {
    let world = World::new().await;
    let api = &world.api;
    api.add_api_service(CUSTOM, spec("tidegauge", &json!({})));
    api.conflict(2);
    let (one, two) = tokio::join!(world.ready(MANAGED), world.ready(MANAGED));
    // Neither was ready before its own was in it.
    assert_eq!(bundle(api, CUSTOM).matches("BEGIN").count(), 2);
    for adapter in [&one, &two] {
        assert_eq!(
            trusted(adapter, &bundle(api, CUSTOM)).await,
            Ok(StatusCode::OK)
        );
        assert!(
            !adapter.stderr().contains("cannot keep"),
            "{}",
            adapter.stderr()
        );
    }
}

#[tokio::test]
async fn a_right_that_is_missing_is_said_once_and_used_when_it_is_given() {
    let world = World::new().await;
    let api = &world.api;
    api.add_api_service(CUSTOM, spec("tidegauge", &json!({})));
    let path = "/apis/apiregistration.k8s.io/v1/apiservices/";
    api.conduct(path, Conduct::Forbid);
    let mut adapter = world.listening(MANAGED).await;
    until("it has tried again", || {
        let tried = api.seen();
        tried.iter().filter(|it| it.path.ends_with(CUSTOM)).count() > 1
    })
    .await;
    // It serves all the same: somebody may have put a bundle there.
    adapter.ready().await.unwrap();
    assert_eq!(bundle(api, CUSTOM), "");
    let said = |text: &str| adapter.stderr().matches(text).count();
    assert_eq!(
        said("cannot keep our authority in its caBundle"),
        5,
        "{}",
        adapter.stderr()
    );
    api.conduct(path, Conduct::Well);
    until("it may", || {
        bundle(api, CUSTOM).matches("BEGIN").count() == 1
    })
    .await;
    assert_eq!(
        said("cannot keep our authority in its caBundle"),
        5,
        "{}",
        adapter.stderr()
    );
    until("it says so", || {
        said("its caBundle holds our authority") == 1
    })
    .await;
}
