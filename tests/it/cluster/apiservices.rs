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
    // They are asked for at one time, and come in any order.
    until("all have our authority", || {
        let count = |name| bundle(api, name).matches("BEGIN").count();
        (count(CUSTOM), count(CUSTOM2), count(RESOURCE)) == (1, 1, 2)
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

const PATH: &str = "/apis/apiregistration.k8s.io/v1/apiservices/";

fn asked(api: &ApiServer, name: &str) -> usize {
    let calls = api.seen().into_iter();
    calls
        .filter(|it| it.path == format!("{PATH}{name}"))
        .count()
}

#[tokio::test]
async fn it_is_not_ready_before_its_authority_is_in_however_long_that_takes() {
    let world = World::new().await;
    let api = &world.api;
    api.add_api_service(CUSTOM, spec("tidegauge", &json!({})));
    api.conduct(PATH, Conduct::Fail);
    let mut adapter = world.listening(MANAGED).await;
    // After 0, 1, 3 and 7 seconds: by then all else is known.
    until("it has tried four times", || asked(api, CUSTOM) > 3).await;
    let unready = adapter.get("/readyz").await;
    assert_eq!(unready.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(adapter.get("/livez").await.status, StatusCode::OK);
    api.conduct(PATH, Conduct::Well);
    adapter.ready().await.unwrap();
    assert_eq!(bundle(api, CUSTOM).matches("BEGIN").count(), 1);
}

#[tokio::test]
async fn it_is_not_ready_before_that_when_the_api_server_comes_back_either() {
    let mut world = World::new().await;
    world
        .api
        .add_api_service(CUSTOM, spec("tidegauge", &json!({})));
    world.api.stop();
    let mut adapter = world.listening(MANAGED).await;
    until("it has tried", || adapter.stderr().contains("cannot keep")).await;
    world.api.resume().await;
    adapter.ready().await.unwrap();
    assert_eq!(bundle(&world.api, CUSTOM).matches("BEGIN").count(), 1);
}

#[tokio::test]
async fn a_right_that_is_missing_for_one_holds_up_none_of_the_others() {
    let world = World::new().await;
    let api = &world.api;
    api.add_api_service(CUSTOM, spec("tidegauge", &json!({})));
    api.conduct(&format!("{PATH}{EXTERNAL}"), Conduct::Forbid);
    let adapter = world.ready(MANAGED).await;
    assert_eq!(bundle(api, CUSTOM).matches("BEGIN").count(), 1);
    assert_eq!(adapter.stderr().matches("cannot keep").count(), 1);
}

#[tokio::test]
async fn api_services_of_groups_that_are_switched_off_are_not_asked_for() {
    let world = World::new().await;
    let api = &world.api;
    let only = &[MANAGED, &["--api-groups=custom.metrics.k8s.io"]].concat();
    let _adapter = world.listening(only).await;
    until("the last one was asked for", || asked(api, CUSTOM2) > 0).await;
    until("the first one too", || asked(api, CUSTOM) > 0).await;
    for name in [EXTERNAL, RESOURCE, "v1.metrics.k8s.io"] {
        assert_eq!(asked(api, name), 0, "{name}");
    }
}

#[tokio::test]
async fn a_bundle_that_something_else_injects_is_left_alone_with_a_warning() {
    let world = World::new().await;
    let api = &world.api;
    let theirs = spec("tidegauge", &json!({"caBundle": base64("theirs")}));
    let annotations = [
        (
            CUSTOM,
            "cert-manager.io/inject-ca-from",
            "monitoring/tidegauge",
        ),
        (CUSTOM2, "service.beta.openshift.io/inject-cabundle", "true"),
    ];
    for (name, annotation, value) in annotations {
        api.add_api_service(name, theirs.clone());
        api.annotate_api_service(name, annotation, value);
    }
    api.add_api_service(EXTERNAL, spec("tidegauge", &json!({})));
    let adapter = world.ready(MANAGED).await;
    for (name, annotation, _) in annotations {
        assert_eq!(api.api_service(name), theirs);
        let log = adapter.stderr();
        assert!(log.contains(annotation), "{log}");
    }
    assert_eq!(bundle(api, EXTERNAL).matches("BEGIN").count(), 1);
    let log = adapter.stderr();
    assert_eq!(
        log.matches("something else writes its caBundle").count(),
        2,
        "{log}"
    );
}

#[tokio::test]
async fn whoever_takes_our_authority_out_is_told_of_and_counted() {
    let world = World::new().await;
    let api = &world.api;
    // So that it looks again soon.
    api.conduct(&format!("{PATH}{EXTERNAL}"), Conduct::Forbid);
    api.add_api_service(CUSTOM, spec("tidegauge", &json!({})));
    let adapter = world.ready(MANAGED).await;
    assert!(!adapter.stderr().contains("took our authority out"));
    let foreign = Authority::new("foreign").pem();
    let theirs = json!({"caBundle": base64(&foreign)});
    api.add_api_service(CUSTOM, spec("tidegauge", &theirs));
    until("it is in again, beside theirs", || {
        bundle(api, CUSTOM).matches("BEGIN").count() == 2
    })
    .await;
    until("it says so", || {
        adapter.stderr().matches("took our authority out").count() == 1
    })
    .await;
    let metrics = super::ask(&adapter, Some(&world.admin()), "/metrics").await;
    let counted =
        format!("tidegauge_apiservice_authority_restored_total{{apiservice=\"{CUSTOM}\"}} 1\n");
    assert!(metrics.body.contains(&counted), "{}", metrics.body);
    // An older manifest, applied again.
    let older = json!({"insecureSkipTLSVerify": true});
    api.add_api_service(CUSTOM, spec("tidegauge", &older));
    until("it is in again", || {
        bundle(api, CUSTOM).matches("BEGIN").count() == 1
    })
    .await;
    // Another replica that adds its own takes nothing out.
    let _other = world.ready(MANAGED).await;
    assert_eq!(bundle(api, CUSTOM).matches("BEGIN").count(), 2);
    let log = adapter.stderr();
    assert_eq!(log.matches("took our authority out").count(), 2, "{log}");
}

#[tokio::test]
async fn a_service_of_another_name_is_asked_after() {
    let world = World::new().await;
    let api = &world.api;
    for name in [CUSTOM, EXTERNAL] {
        api.add_api_service(name, spec("prometheus-adapter", &json!({})));
    }
    let adapter = world.ready(MANAGED).await;
    let log = adapter.stderr();
    let warned = log
        .lines()
        .find(|line| line.contains("WARN") && line.contains("--service-name"));
    assert!(
        warned.is_some_and(|it| it.contains("monitoring/tidegauge")),
        "{log}"
    );
    api.add_api_service(CUSTOM, spec("tidegauge", &json!({})));
    let adapter = world.ready(MANAGED).await;
    assert!(
        !adapter.stderr().contains("--service-name"),
        "{}",
        adapter.stderr()
    );
}
