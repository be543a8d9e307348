//! The servers that other tests stand on do what their names say.

use std::time::Duration;

use hyper::Method;
use serde_json::Value;

use crate::support::exporter::{self, Exporter};
use crate::support::http_client;
use crate::support::poll;
use crate::support::prometheus::{Prometheus, TargetLabels};
use crate::support::tap::{Behaviour, FLOOD_BYTES, Tap};

const SERIES: &str = "queue_depth{namespace=\"shop\",pod=\"web-a\"} 10\nbytes_total 3\n";

async fn scraped(labels: TargetLabels) -> (Exporter, Prometheus) {
    let exporter = Exporter::start(|elapsed| exporter::rising(SERIES, elapsed)).await;
    let prometheus = Prometheus::start(&[exporter.address], labels).await;
    prometheus.wait_for(&["queue_depth"]).await;
    (exporter, prometheus)
}

#[tokio::test]
async fn prometheus_drops_the_labels_of_the_target() {
    let (_exporter, prometheus) = scraped(TargetLabels::Dropped).await;
    let rows = prometheus.query("queue_depth").await.unwrap();
    let labels =
        serde_json::json!({"__name__": "queue_depth", "namespace": "shop", "pod": "web-a"});
    assert_eq!(rows[0]["metric"], labels);
    assert_eq!(rows[0]["value"][1], "10");
}

#[tokio::test]
async fn prometheus_gives_the_labels_it_is_told_to_and_counters_rise() {
    let labels = TargetLabels::Added {
        job: "wild",
        instance: "127.0.0.1:9187",
    };
    let (_exporter, prometheus) = scraped(labels).await;
    prometheus.wait_for(&["irate(bytes_total[1m]) > 0"]).await;
    let rows = prometheus.query("irate(bytes_total[1m])").await.unwrap();
    assert_eq!(rows[0]["metric"]["job"], "wild");
    assert_eq!(rows[0]["metric"]["instance"], "127.0.0.1:9187");
    let rate: f64 = rows[0]["value"][1].as_str().unwrap().parse().unwrap();
    assert!((rate - 3.0).abs() < 0.3, "a rate of 3 a second, got {rate}");
}

#[tokio::test]
async fn prometheus_keeps_port_and_data_when_it_comes_back() {
    let (exporter, mut prometheus) = scraped(TargetLabels::Dropped).await;
    let url = prometheus.url.clone();
    // From here on only what is on disk can answer.
    drop(exporter);
    prometheus.stop().await;
    assert!(prometheus.query("queue_depth").await.is_err());
    prometheus.restart().await;
    assert_eq!(prometheus.url, url);
    prometheus
        .wait_for(&["last_over_time(queue_depth[5m])"])
        .await;
    prometheus.kill();
    assert!(prometheus.query("queue_depth").await.is_err());
    prometheus.restart().await;
    prometheus
        .wait_for(&["last_over_time(queue_depth[5m])"])
        .await;
}

#[tokio::test]
async fn a_hung_prometheus_answers_nothing_until_it_is_resumed() {
    let (_exporter, mut prometheus) = scraped(TargetLabels::Dropped).await;
    prometheus.hang().await;
    let asked = tokio::time::timeout(Duration::from_millis(300), prometheus.query("queue_depth"));
    assert!(asked.await.is_err(), "a stopped process answered");
    prometheus.resume();
    prometheus.wait_for(&["queue_depth"]).await;
}

#[tokio::test]
async fn the_tap_keeps_the_promql_of_get_and_of_post_byte_for_byte() {
    let (_exporter, prometheus) = scraped(TargetLabels::Dropped).await;
    let tap = Tap::start(&prometheus.url).await;
    let client = http_client();
    let get = format!(
        "{}/api/v1/query?query=queue_depth%7Bpod%3D~%22a%7Cb+c%22%7D&timeout=5s",
        tap.url
    );
    let answer: Value = serde_json::from_str(&text(client.get(get)).await).unwrap();
    assert_eq!(answer["status"], "success");
    let post = client
        .post(format!("{}/api/v1/query", tap.url))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body("time=1&query=up%2B1");
    assert!(text(post).await.contains("success"));
    text(client.get(format!("{}/api/v1/labels", tap.url))).await;

    let seen = tap.take();
    assert_eq!(seen.len(), 3);
    assert_eq!(
        seen[0].parameter("query"),
        Some("queue_depth{pod=~\"a|b c\"}")
    );
    assert_eq!(seen[0].parameter("timeout"), Some("5s"));
    assert_eq!(seen[1].parameter("query"), Some("up+1"));
    assert_eq!(
        (&seen[0].method, &seen[1].method),
        (&Method::GET, &Method::POST)
    );
    assert_eq!(
        seen[1].headers["content-type"],
        "application/x-www-form-urlencoded"
    );
    assert_eq!(seen[2].path, "/api/v1/labels");
    assert_eq!(tap.take_queries(), Vec::<String>::new());
}

#[tokio::test]
async fn the_tap_misbehaves_as_it_is_told() {
    let (_exporter, prometheus) = scraped(TargetLabels::Dropped).await;
    let tap = Tap::start(&prometheus.url).await;
    let client = http_client();
    let ask = || client.get(format!("{}/api/v1/query?query=queue_depth", tap.url));

    let body = "<html>log in</html>".to_owned();
    tap.behave(Behaviour::Answer {
        status: 503,
        content_type: "text/html",
        body,
    });
    let answer = ask().send().await.unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.text().await.unwrap(), "<html>log in</html>");

    tap.behave(Behaviour::Redirect("http://127.0.0.1:1/".to_owned()));
    let answer = ask().send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["location"]),
        (302, &"http://127.0.0.1:1/".parse().unwrap())
    );

    tap.behave(Behaviour::Close);
    assert!(ask().send().await.is_err());

    tap.behave(Behaviour::Truncate);
    let answer = ask().send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.text().await.is_err());

    tap.behave(Behaviour::Hang);
    let asked = tokio::time::timeout(Duration::from_millis(200), ask().send());
    assert!(asked.await.is_err());

    tap.behave(Behaviour::Flood);
    let mut answer = ask().send().await.unwrap();
    let mut length = 0;
    while let Some(chunk) = answer.chunk().await.unwrap() {
        length += chunk.len();
    }
    assert!(length >= FLOOD_BYTES, "{length} bytes");

    tap.behave(Behaviour::Forward);
    assert!(text(ask()).await.contains("web-a"));
}

#[tokio::test]
async fn the_taps_wrong_certificate_is_refused() {
    let tap = Tap::start_with_wrong_certificate("http://127.0.0.1:1").await;
    let client = http_client();
    let error = client.get(&tap.url).send().await.unwrap_err();
    assert!(
        format!("{error:?}").contains("InvalidCertificate"),
        "{error:?}"
    );
    assert!(tap.take().is_empty());
}

async fn text(request: reqwest::RequestBuilder) -> String {
    request.send().await.unwrap().text().await.unwrap()
}

#[tokio::test]
async fn a_wait_for_what_never_comes_ends_at_its_deadline() {
    let never = async || Err::<(), _>("not yet".to_owned());
    let outcome = poll::try_until("it", Duration::from_millis(50), never).await;
    assert_eq!(outcome.unwrap_err(), "it: not within 50ms: not yet");
}
