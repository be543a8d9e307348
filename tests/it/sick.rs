//! A Prometheus that is dead, hung, or not a Prometheus at all: each gives its own stable message
//! within its deadline, discovery stays as it was, and recovery needs no restart.

use std::time::Duration;

use hyper::StatusCode;
use serde_json::Value;

use crate::support::adapter::Adapter;
use crate::support::poll;
use crate::support::prometheus::{Prometheus, TargetLabels};
use crate::support::tap::{Behaviour, Tap};

const RULES: &str = r#"
rules:
- seriesQuery: 'queue_depth{namespace!="",pod!=""}'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)'
"#;
const OBJECTS: &str = "{apiVersion: v1, kind: Pod, metadata: {name: web-a, namespace: shop}}";
const ASK: &str = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/web-a/queue_depth";
const DISCOVERY: &str = "/apis/custom.metrics.k8s.io/v1beta2";

/// Small limits, so that they are reached soon.
const LIMITS: &[&str] = &[
    "--query-ttl=0s",
    "--stale-grace=0s",
    "--prometheus-timeout=2s",
    "--prometheus-max-response-bytes=1MiB",
];

async fn adapter(prometheus_url: &str) -> Adapter {
    let started = Adapter::standalone(OBJECTS, RULES, prometheus_url, LIMITS).await;
    started.expect("the rules must load")
}

/// Status, reason and message of the answer to [`ASK`].
async fn failure(adapter: &Adapter) -> (u16, String, String) {
    let answer = adapter.get(ASK).await;
    let body: Value = serde_json::from_str(&answer.body).expect("a Status must be JSON");
    // client-go would ask ten times more.
    assert!(answer.headers.get("retry-after").is_none());
    assert_eq!(body["kind"], "Status", "{body}");
    assert_eq!(body["code"], answer.status.as_u16(), "{body}");
    let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
    (answer.status.as_u16(), text("reason"), text("message"))
}

/// The metric is listed, and the list comes at once.
async fn discovery_is_well(adapter: &Adapter) {
    let asked = tokio::time::timeout(Duration::from_secs(1), adapter.get(DISCOVERY));
    let answer = asked.await.expect("discovery must not wait for Prometheus");
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.body.contains("pods/queue_depth"), "{}", answer.body);
}

fn said(status: u16, content_type: &'static str, body: &str) -> Behaviour {
    Behaviour::Answer {
        status,
        content_type,
        body: body.to_owned(),
    }
}

#[tokio::test]
async fn every_way_to_be_sick_has_its_own_stable_message() {
    let tap = Tap::start("http://127.0.0.1:1").await;
    let adapter = adapter(&tap.url).await;
    let json = "application/json";
    let bad_data = r#"{"status":"error","errorType":"bad_data","error":"1:2: parse error"}"#;
    let execution = r#"{"status":"error","errorType":"execution","error":"many-to-many"}"#;
    let too_slow = r#"{"status":"error","errorType":"timeout","error":"query timed out"}"#;
    let matrix = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;
    let page = "<!doctype html><title>log in</title>";
    let redirect = Behaviour::Redirect("http://login.example/".to_owned());
    for (behaviour, code, message) in [
        (
            said(400, json, bad_data),
            503,
            "bad_data: 1:2: parse error (the query of rules[0] (line 3))",
        ),
        (
            said(422, json, execution),
            503,
            "execution: many-to-many (the query of rules[0] (line 3))",
        ),
        (
            said(503, json, too_slow),
            504,
            "timeout: query timed out (the query of rules[0] (line 3))",
        ),
        (
            said(500, "text/plain", "oops"),
            503,
            "Prometheus answered 500 Internal Server Error",
        ),
        (
            said(502, "text/plain", "bad gateway"),
            503,
            "Prometheus answered 502 Bad Gateway",
        ),
        (
            said(401, "text/plain", "who are you"),
            503,
            "Prometheus answered 401 Unauthorized: check --prometheus-token-file, \
             --prometheus-header, the user in --prometheus-url, or the auth flags",
        ),
        (
            said(200, "text/html", page),
            503,
            "Prometheus answered HTML, not JSON: is --prometheus-url a Prometheus API, or a login \
             page?",
        ),
        (
            said(200, json, matrix),
            503,
            "unexpected value type \"matrix\": the query must give an instant vector or a scalar",
        ),
        (
            said(
                200,
                json,
                r#"{"status":"success","data":{"resultType":"vector","result":[{"#,
            ),
            503,
            "the answer of Prometheus ended too early",
        ),
        (
            Behaviour::Flood,
            503,
            "the answer of Prometheus is larger than 1048576 bytes: ask for fewer series, or raise \
             --prometheus-max-response-bytes",
        ),
        (
            redirect,
            503,
            "Prometheus redirects to http://login.example/: set --prometheus-url to the \
             Prometheus API itself",
        ),
        (Behaviour::Hang, 504, "Prometheus did not answer within 2s"),
    ] {
        tap.behave(behaviour.clone());
        let reason = if code == 504 {
            "Timeout"
        } else {
            "ServiceUnavailable"
        };
        let expected = (
            code,
            reason.to_owned(),
            format!("unable to fetch metrics: {message}"),
        );
        assert_eq!(failure(&adapter).await, expected, "{behaviour:?}");
        assert_eq!(failure(&adapter).await, expected, "again: {behaviour:?}");
        discovery_is_well(&adapter).await;
    }
}

#[tokio::test]
async fn a_wrong_certificate_and_a_closed_port_are_told_apart() {
    let tap = Tap::start_with_wrong_certificate("http://127.0.0.1:1").await;
    let distrustful = adapter(&tap.url).await;
    let (code, _, message) = failure(&distrustful).await;
    let expected = format!(
        "unable to fetch metrics: no TLS connection to Prometheus at {}: its certificate is signed \
         by an unknown authority (--prometheus-ca-file)",
        tap.url
    );
    assert_eq!((code, message), (503, expected));
    discovery_is_well(&distrustful).await;

    let lonely = adapter("http://user:secret@127.0.0.1:1").await;
    let (code, _, message) = failure(&lonely).await;
    let expected = "unable to fetch metrics: cannot reach Prometheus at http://127.0.0.1:1: \
                    connection refused";
    assert_eq!((code, message.as_str()), (503, expected));
    assert!(!lonely.stderr().contains("secret"), "{}", lonely.stderr());
    discovery_is_well(&lonely).await;
}

#[tokio::test]
async fn a_real_prometheus_that_dies_or_hangs_is_used_again_when_it_is_back() {
    let exposition = "queue_depth{namespace=\"shop\",pod=\"web-a\"} 10\n";
    let exporter = crate::support::exporter::Exporter::start(move |_| exposition.to_owned()).await;
    let mut prometheus = Prometheus::start(&[exporter.address], TargetLabels::Dropped).await;
    prometheus.wait_for(&["queue_depth"]).await;
    let adapter = adapter(&prometheus.url).await;
    assert_eq!(adapter.get(ASK).await.status, StatusCode::OK);

    prometheus.hang().await;
    let (code, _, message) = failure(&adapter).await;
    let expected = "unable to fetch metrics: Prometheus did not answer within 2s";
    assert_eq!((code, message.as_str()), (504, expected));
    discovery_is_well(&adapter).await;
    prometheus.resume();
    answers_again(&adapter).await;

    prometheus.kill();
    let (code, _, message) = failure(&adapter).await;
    assert_eq!(code, 503);
    assert!(message.ends_with("connection refused"), "{message}");
    discovery_is_well(&adapter).await;
    prometheus.restart().await;
    prometheus.wait_for(&["queue_depth"]).await;
    answers_again(&adapter).await;
}

async fn answers_again(adapter: &Adapter) {
    let back = async || match adapter.get(ASK).await {
        answer if answer.status == StatusCode::OK => Ok(()),
        answer => Err(answer.body),
    };
    poll::try_until(
        "the metric is answered again",
        Duration::from_secs(10),
        back,
    )
    .await
    .expect("a Prometheus that is back must be used");
}

#[tokio::test]
async fn asks_that_hang_keep_no_discovery_away() {
    let tap = Tap::start("http://127.0.0.1:1").await;
    tap.behave(Behaviour::Hang);
    let flags = &["--prometheus-timeout=5s", "--max-requests-inflight=3"];
    let adapter = Adapter::standalone(OBJECTS, RULES, &tap.url, flags).await;
    let adapter = adapter.expect("the rules must load");
    let asks = futures_util::future::join_all((0..6).map(|_| adapter.get(ASK)));
    let discovery = async {
        let all_in = async || match tap.take_queries().len() {
            0 => Err("nothing asked yet".to_owned()),
            _ => Ok(()),
        };
        let asked = poll::try_until("the asks hang", Duration::from_secs(5), all_in);
        asked.await.expect("queries must reach Prometheus");
        discovery_is_well(&adapter).await;
    };
    let (answers, ()) = tokio::join!(asks, discovery);
    let count = |status| answers.iter().filter(|it| it.status == status).count();
    assert_eq!(count(StatusCode::GATEWAY_TIMEOUT), 3);
    assert_eq!(count(StatusCode::TOO_MANY_REQUESTS), 3);
}
