//! The server over a cluster: the real process, HTTPS, and an API server that answers as one was
//! recorded. `callers` and `table` say who is believed and may do what, `reviews` what is asked about
//! them and remembered, `strangers` whose connection ends, `kinds` which kinds of object there are,
//! `objects` how names of objects are known.

mod apiservices;
mod callers;
mod kinds;
mod objects;
pub(crate) mod own_metrics;
mod reviews;
mod serving;
mod strangers;
mod table;
mod trust;

use std::time::Duration;

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::adapter::{self, Adapter, Answer, EACH_ASK};
use crate::support::apiserver::{ApiServer, Call, Conduct};
use crate::support::pki::{Authority, Pair};
use crate::support::poll;
use crate::support::tap::{Behaviour, Tap};

/// Listed without asking Prometheus anything, except for what needs a kind that comes later.
const RULES: &str = r#"
rules:
- seriesQuery: 'queue_depth{namespace!="",pod!=""}'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)
- seriesQuery: 'level{namespace!="",gauge!=""}'
  resources:
    overrides: {namespace: {resource: namespace}, gauge: {group: acme.io, resource: gauge}}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)
externalRules:
- seriesQuery: 'lag{namespace!=""}'
  resources: {overrides: {namespace: {resource: namespace}}}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>})
"#;

/// Each ask is a list.
const LISTED: &str = "--object-watch-idle=0s";

const AUTOSCALER: &str = "system:serviceaccount:kube-system:horizontal-pod-autoscaler";
const PODS: &str = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods";
const DEPTH: &str = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/queue_depth\
                     ?labelSelector=app%3Dweb";

const TRUST: &str = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication";

/// A cluster, a Prometheus that knows two pods, and whom the cluster trusts.
struct World {
    clients: Authority,
    proxies: Authority,
    api: ApiServer,
    tap: Tap,
}

impl World {
    async fn new() -> World {
        let (clients, proxies) = (
            Authority::new("kubernetes"),
            Authority::new("front-proxy-ca"),
        );
        let api = ApiServer::start(&clients, &proxies).await;
        let tap = Tap::start("http://127.0.0.1:1").await;
        let row = |pod: &str, value: &str| {
            let labels = json!({"namespace": "shop", "pod": pod});
            json!({"metric": labels, "value": [1_700_000_000, value]})
        };
        let rows = [row("web-a", "10"), row("web-b", "20")];
        let body = json!({"status": "success", "data": {"resultType": "vector", "result": rows}});
        tap.behave(Behaviour::Answer {
            status: 200,
            content_type: "application/json",
            body: body.to_string(),
        });
        World {
            clients,
            proxies,
            api,
            tap,
        }
    }

    /// A server that listens.
    async fn listening(&self, flags: &[&str]) -> Adapter {
        Adapter::over(&self.api, RULES, &self.tap.url, &[EACH_ASK, flags].concat())
            .await
            .unwrap()
    }

    /// A server that is ready, before anybody asked it anything; what it asked itself is forgotten.
    async fn ready(&self, flags: &[&str]) -> Adapter {
        let mut adapter = self.listening(flags).await;
        adapter.ready().await.unwrap();
        self.api.take();
        adapter
    }

    /// The group that may do everything, so that no review is needed.
    fn admin(&self) -> Pair {
        self.clients.client("admin", &["system:masters"])
    }

    fn proxy(&self) -> Pair {
        self.proxies.client("front-proxy-client", &[])
    }
}

/// As in a pod: see [`Adapter::in_pod`].
async fn in_pod(world: &World, flags: &[&str]) -> Adapter {
    let started = Adapter::in_pod(&world.api, RULES, &world.tap.url, flags).await;
    let mut adapter = started.unwrap();
    adapter.ready().await.unwrap();
    world.api.take();
    adapter
}

/// Asks as a client with this certificate, over HTTP/2.
async fn ask(adapter: &Adapter, identity: Option<&Pair>, path: &str) -> Answer {
    ask_with(adapter, identity, path, &[]).await
}

async fn ask_with(
    adapter: &Adapter,
    identity: Option<&Pair>,
    path: &str,
    headers: &[(&str, &str)],
) -> Answer {
    let client = adapter.caller(identity, true);
    let url = format!("{}{path}", adapter.url);
    let answer = adapter::send(&client, Method::GET, &url, headers).await;
    answer.unwrap_or_else(|reason| panic!("{path}: {reason}\nit said:\n{}", adapter.stderr()))
}

fn status(answer: &Answer) -> (u16, String) {
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    (
        answer.status.as_u16(),
        body["message"].as_str().unwrap_or_default().to_owned(),
    )
}

fn parameter<'a>(call: &'a Call, name: &str) -> Option<&'a str> {
    let found = call.query.iter().find(|(key, _)| key == name);
    found.map(|(_, value)| value.as_str())
}

#[tokio::test]
async fn an_autoscaler_gets_the_metric_of_the_pods_that_its_selector_matches() {
    let world = World::new().await;
    let adapter = world.ready(&[LISTED]).await;
    world.tap.take();
    for http2 in [true, false] {
        let client = adapter.caller(Some(&world.proxy()), http2);
        let headers = [
            ("X-Remote-User", AUTOSCALER),
            ("X-Remote-Group", "system:authenticated"),
        ];
        let url = format!("{}{DEPTH}", adapter.url);
        let answer = adapter::send(&client, Method::GET, &url, &headers)
            .await
            .unwrap();
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        let list: Value = serde_json::from_str(&answer.body).unwrap();
        let values: Vec<_> = list["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| {
                (
                    item["describedObject"]["name"].as_str().unwrap(),
                    &item["value"],
                )
            })
            .collect();
        assert_eq!(values, [("web-a", &json!("10")), ("web-b", &json!("20"))]);
    }
    let promql = r#"sum(queue_depth{namespace="shop",pod=~"web-a|web-b|web-c"}) by (pod)"#;
    assert_eq!(world.tap.take_queries(), [promql, promql]);
    let lists: Vec<Call> = world
        .api
        .take()
        .into_iter()
        .filter(|call| call.path.ends_with("/pods"))
        .collect();
    assert_eq!(lists.len(), 2);
    assert_eq!(lists[0].path, "/api/v1/namespaces/shop/pods");
    assert_eq!(parameter(&lists[0], "labelSelector"), Some("app=web"));
    assert_eq!(parameter(&lists[0], "limit"), Some("500"));
    assert_eq!(parameter(&lists[0], "resourceVersion"), None);
    assert!(
        lists[0].accept.contains("as=PartialObjectMetadataList"),
        "{}",
        lists[0].accept
    );
}

#[tokio::test]
async fn while_the_api_server_is_away_it_lives_and_is_not_ready_and_it_comes_back_with_it() {
    let mut world = World::new().await;
    world.api.stop();
    let mut adapter = world.listening(&[LISTED]).await;
    let anybody = |path: &'static str| ask(&adapter, None, path);
    assert_eq!(anybody("/livez").await.body, "ok");
    let unready = anybody("/readyz").await;
    assert_eq!(unready.status, StatusCode::INTERNAL_SERVER_ERROR);
    for check in [
        "informer-sync",
        "poststarthook/generic-apiserver-start-informers",
    ] {
        let line = format!("[-]{check} failed: reason withheld\n");
        assert!(unready.body.contains(&line), "{}", unready.body);
    }
    assert_eq!(
        anybody("/version").await.status,
        StatusCode::INTERNAL_SERVER_ERROR
    );

    world.api.resume().await;
    adapter.ready().await.unwrap();
    let admin = world.admin();
    let found = ask(&adapter, Some(&admin), DEPTH).await;
    assert_eq!(found.status, StatusCode::OK, "{}", found.body);

    world.api.stop();
    assert_eq!(ask(&adapter, None, "/readyz").await.body, "ok");
    let failed = ask(&adapter, Some(&admin), DEPTH).await;
    let text = "Internal error occurred: unable to list matching resources: the API server cannot be \
                reached";
    assert_eq!(status(&failed), (500, text.to_owned()));
    let failed: Value = serde_json::from_str(&failed.body).unwrap();
    let cause = "the API server cannot be reached";
    assert_eq!(failed["details"]["causes"][0]["message"], cause);
    // A metric of one object by name needs no list, and this caller no review.
    let named = ask(&adapter, Some(&admin), &format!("{PODS}/web-a/queue_depth")).await;
    assert_eq!(named.status, StatusCode::OK, "{}", named.body);

    world.api.resume().await;
    assert_eq!(
        ask(&adapter, Some(&admin), DEPTH).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn it_is_ready_when_it_knows_kinds_and_authorities_and_not_before() {
    for (path, flags, needed) in [
        ("/apis", &[][..], true),
        (TRUST, &[], true),
        (TRUST, &["--authentication-skip-lookup"], false),
        (TRUST, &["--authentication-tolerate-lookup-failure"], false),
    ] {
        let world = World::new().await;
        world.api.conduct(path, Conduct::Fail);
        let mut adapter = world.listening(flags).await;
        if needed {
            poll::until("it has tried twice", Duration::from_secs(20), async || {
                let asked = world
                    .api
                    .seen()
                    .iter()
                    .filter(|call| call.path == path)
                    .count();
                if asked > 1 {
                    Ok(())
                } else {
                    Err(format!("{asked} times"))
                }
            })
            .await;
            assert_eq!(ask(&adapter, None, "/livez").await.body, "ok");
            let unready = ask(&adapter, None, "/readyz").await;
            assert_eq!(unready.status.as_u16(), 500, "{path}");
            world.api.conduct(path, Conduct::Well);
        }
        adapter.ready().await.unwrap();
    }
}

#[tokio::test]
async fn a_list_in_pages_is_read_to_its_end_and_a_failed_page_is_an_error() {
    let world = World::new().await;
    let adapter = world.ready(&[LISTED]).await;
    let admin = world.admin();
    world.api.page(1);
    world.tap.take();
    assert_eq!(
        ask(&adapter, Some(&admin), DEPTH).await.status,
        StatusCode::OK
    );
    assert_eq!(world.api.take().len(), 3);
    assert!(world.tap.take_queries()[0].contains("web-a|web-b|web-c"));

    world.api.conduct("/api/v1/namespaces/", Conduct::Fail);
    let (code, text) = status(&ask(&adapter, Some(&admin), DEPTH).await);
    assert_eq!(code, 500, "{text}");
    world.api.conduct("/api/v1/namespaces/", Conduct::Close);
    assert_eq!(status(&ask(&adapter, Some(&admin), DEPTH).await).0, 500);
    world.api.conduct("/api/v1/namespaces/", Conduct::Hang);
    let late = ask(&adapter, Some(&admin), &format!("{DEPTH}&timeout=300ms")).await;
    assert_eq!(status(&late).0, 504, "{}", late.body);
    assert!(world.tap.take_queries().is_empty(), "no names, no query");
}

#[tokio::test]
async fn a_namespace_that_steps_out_of_its_path_has_no_objects() {
    let world = World::new().await;
    let adapter = world.ready(&[]).await;
    let path = DEPTH.replace("/shop/", "/%2e%2e%2fx/");
    let answer = ask(&adapter, Some(&world.admin()), &path).await;
    assert!(!answer.body.contains("web-a"), "{}", answer.body);
    assert!(
        world
            .api
            .take()
            .iter()
            .all(|call| !call.path.ends_with("/pods"))
    );
}

#[tokio::test]
async fn a_kind_that_comes_later_is_found_when_it_is_asked_for() {
    let world = World::new().await;
    let adapter = world.ready(&[]).await;
    let admin = world.admin();
    let level = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/gauges.acme.io/tide/level";
    assert_eq!(
        ask(&adapter, Some(&admin), level).await.status,
        StatusCode::NOT_FOUND
    );
    world.api.add_kind("gauges", "Gauge");
    poll::until(
        "the new kind's metric is found",
        Duration::from_secs(40),
        async || {
            let answer = ask(&adapter, Some(&admin), level).await;
            // The query's rows name no gauge: the metric is known now, its value is not.
            if answer.body.contains("for gauges.acme.io tide") {
                Ok(())
            } else {
                Err(answer.body)
            }
        },
    )
    .await;
}

#[tokio::test]
async fn plain_discovery_documents_do_as_well_and_groups_that_fail_are_borne() {
    let world = World::new().await;
    world.api.do_not_aggregate();
    let mut adapter = world.listening(&[]).await;
    adapter.ready().await.unwrap();
    let paths: Vec<String> = world.api.take().into_iter().map(|call| call.path).collect();
    for path in [
        "/api",
        "/apis",
        "/api/v1",
        "/apis/apps/v1",
        "/apis/policy/v1",
    ] {
        assert!(paths.iter().any(|asked| asked == path), "{path}: {paths:?}");
    }
    let found = ask(&adapter, Some(&world.admin()), DEPTH).await;
    assert_eq!(found.status, StatusCode::OK, "{}", found.body);
    assert!(
        adapter.stderr().contains("policy/v1"),
        "{}",
        adapter.stderr()
    );
}

#[tokio::test]
async fn a_certificate_from_files_is_served() {
    let world = World::new().await;
    let authority = Authority::new("serving");
    let pair = authority.server("tidegauge");
    let directory = tempfile::TempDir::new().unwrap();
    let (certificate, key) = (
        directory.path().join("tls.crt"),
        directory.path().join("tls.key"),
    );
    std::fs::write(&certificate, &pair.certificate).unwrap();
    std::fs::write(&key, &pair.key).unwrap();
    let certificate = format!("--tls-cert-file={}", certificate.display());
    let key = format!("--tls-private-key-file={}", key.display());
    let mut adapter = Adapter::over_with_certificate(
        &world.api,
        RULES,
        &world.tap.url,
        &[&certificate, &key],
        &authority.pem(),
    )
    .await
    .unwrap();
    adapter.ready().await.unwrap();
}

#[tokio::test]
async fn outside_of_a_cluster_it_says_what_to_give() {
    let refusal = Adapter::nowhere(RULES).await;
    assert_eq!(refusal.status.code(), Some(1), "{}", refusal.stderr);
    for flag in ["--lister-kubeconfig", "--standalone"] {
        assert!(refusal.stderr.contains(flag), "{}", refusal.stderr);
    }
}
