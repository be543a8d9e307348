//! Our own metrics: who may see them, that Prometheus reads them, and that no client can make them grow.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use hyper::{Method, StatusCode};

use super::{DEPTH, PODS, World, ask, ask_with};
use crate::support::adapter::{self, Adapter};
use crate::support::apiserver::{Conduct, VALID_TOKEN};
use crate::support::http_client;
use crate::support::pki::Authority;
use crate::support::poll;
use crate::support::prometheus::Prometheus;
use crate::support::tap::Behaviour;

const PLAIN: &str = "--metrics-address=127.0.0.1:0";
/// What Prometheus 3 sends.
const OPEN_METRICS: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                            text/plain;version=0.0.4;q=0.3,*/*;q=0.2";

/// `http://127.0.0.1:PORT` of the plain port, as the log has it.
fn plain(adapter: &Adapter) -> String {
    let log = adapter.stderr();
    let told = log.split_once("own metrics: ").map(|(_, rest)| rest);
    let told = told.and_then(|rest| rest.split_once("/metrics"));
    told.unwrap_or_else(|| panic!("{log}")).0.to_owned()
}

async fn get(url: &str, path: &str, headers: &[(&str, &str)]) -> adapter::Answer {
    let (client, url) = (http_client(), format!("{url}{path}"));
    let answer = adapter::send(&client, Method::GET, &url, headers).await;
    answer.unwrap()
}

/// The series there are, without their values.
fn series(exposition: &str) -> BTreeSet<String> {
    let lines = exposition.lines().filter(|line| !line.starts_with('#'));
    let names = lines.filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned()));
    names.collect()
}

/// The value of a series, which is a whole number.
fn value(exposition: &str, series: &str) -> u64 {
    let found = exposition
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    let found = found.unwrap_or_else(|| panic!("no {series} in\n{exposition}"));
    found.parse().unwrap()
}

#[tokio::test]
async fn the_plain_port_shows_metrics_and_health_to_anybody_and_nothing_else() {
    let world = World::new().await;
    let adapter = world.ready(&[PLAIN]).await;
    let plain = plain(&adapter);
    for (accept, media_type, end) in [
        ("", "text/plain; version=0.0.4; charset=utf-8", false),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8", false),
        (
            OPEN_METRICS,
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            true,
        ),
    ] {
        let answer = get(&plain, "/metrics", &[("Accept", accept)]).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.media_type(), media_type);
        assert_eq!(answer.body.ends_with("# EOF\n"), end);
        assert_eq!(value(&answer.body, "tidegauge_ready"), 1);
        assert!(value(&answer.body, "process_resident_memory_bytes") > 1_000_000);
        // The same as who may gets at the secure port.
        let headers = [("Accept", accept)];
        let secure = ask_with(&adapter, Some(&world.admin()), "/metrics", &headers).await;
        assert_eq!(secure.media_type(), media_type);
    }
    for path in [
        "/livez",
        "/readyz",
        "/healthz",
        "/readyz?verbose",
        "/readyz/ping",
    ] {
        let answer = get(&plain, path, &[]).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
    }
    for path in [
        "/",
        "/apis",
        "/version",
        "/openapi/v2",
        "/readyz/nothing",
        DEPTH,
    ] {
        let answer = get(&plain, path, &[]).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert!(answer.body.contains("/metrics, /livez"), "{}", answer.body);
    }
    let (client, url) = (http_client(), format!("{plain}/metrics"));
    let posted = adapter::send(&client, Method::POST, &url, &[]).await;
    assert_eq!(posted.unwrap().status, StatusCode::METHOD_NOT_ALLOWED);
    // Who may not, does not see them at the secure port.
    let anonymous = ask(&adapter, None, "/metrics").await;
    assert_eq!(
        anonymous.status,
        StatusCode::FORBIDDEN,
        "{}",
        anonymous.body
    );
}

#[tokio::test]
async fn a_port_that_is_taken_keeps_it_from_starting_and_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let flag = format!("--metrics-address={}", taken.local_addr().unwrap());
    let refused = Adapter::standalone("", super::RULES, "http://127.0.0.1:1", &[&flag]).await;
    let refused = refused.err().expect("it must not start");
    assert!(
        refused
            .stderr
            .contains("--metrics-address: failed to listen on 127.0.0.1")
    );
}

#[tokio::test]
async fn prometheus_scrapes_it_and_knows_what_the_metrics_are() {
    let world = World::new().await;
    let adapter = world.ready(&[PLAIN]).await;
    ask(&adapter, Some(&world.admin()), DEPTH).await;
    let plain = plain(&adapter);
    let target = plain.strip_prefix("http://").unwrap();
    let configuration = format!(
        "global: {{scrape_interval: 1s}}\n\
         scrape_configs: [{{job_name: tidegauge, static_configs: [{{targets: ['{target}']}}]}}]\n"
    );
    let prometheus = Prometheus::configured(&configuration).await;
    prometheus
        .wait_for(&[
            r#"up{job="tidegauge"} == 1"#,
            r#"tidegauge_answers_total{group="custom.metrics.k8s.io",kind="selected",code="200"} == 1"#,
            r#"tidegauge_answer_duration_seconds_bucket{kind="selected",le="+Inf"} == 1"#,
            r#"apiserver_request_total{component="custom-metrics",code="200"} == 1"#,
            r#"prometheus_adapter_prometheus_client_request_duration_seconds_count{path="/api/v1/query"} == 1"#,
            r#"tidegauge_build_info{version!="",rustc!=""} == 1"#,
            r#"tidegauge_ready == 1"#,
            "process_start_time_seconds > 1.7e9",
            "process_cpu_seconds_total > 0",
        ])
        .await;
    let metadata = get(&prometheus.url, "/api/v1/targets/metadata?limit=1000", &[]).await;
    let metadata: serde_json::Value = serde_json::from_str(&metadata.body).unwrap();
    let all = metadata["data"].as_array().unwrap();
    let kind = |name: &str| {
        let found = all.iter().find(|it| it["metric"] == name);
        found.map(|it| it["type"].as_str().unwrap().to_owned())
    };
    assert_eq!(kind("tidegauge_answers").as_deref(), Some("counter"));
    assert_eq!(kind("process_open_fds").as_deref(), Some("gauge"));
    assert_eq!(
        kind("tidegauge_answer_duration_seconds").as_deref(),
        Some("histogram")
    );
}

#[tokio::test]
async fn reviews_watches_answers_and_limits_are_counted() {
    let world = World::new().await;
    let adapter = world.ready(&[PLAIN, "--max-rows=1"]).await;
    let token = format!("Bearer {VALID_TOKEN}");
    for _ in 0..3 {
        ask_with(&adapter, None, DEPTH, &[("Authorization", &token)]).await;
    }
    let wrong = ask_with(&adapter, None, DEPTH, &[("Authorization", "Bearer wrong")]).await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    let too_many = ask(&adapter, Some(&world.admin()), DEPTH).await;
    assert_eq!(
        too_many.status,
        StatusCode::SERVICE_UNAVAILABLE,
        "{}",
        too_many.body
    );
    let named = format!("{PODS}/web-a/nothing_such");
    let unknown = ask(&adapter, Some(&world.admin()), &named).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    let plain = plain(&adapter);
    let text = poll::until("a watch is in step", Duration::from_secs(30), async || {
        let text = get(&plain, "/metrics", &[]).await.body;
        match text.contains("tidegauge_objects_watched{objects=\"pods\"} 1") {
            true => Ok(text),
            false => Err(text),
        }
    })
    .await;
    let reviews = |outcome: &str| {
        let labels = format!("{{review=\"token\",outcome=\"{outcome}\"}}");
        value(&text, &format!("tidegauge_reviews_total{labels}"))
    };
    assert_eq!((reviews("yes"), reviews("no"), reviews("error")), (1, 1, 0));
    let from = |source: &str| {
        let labels = format!("{{review=\"token\",source=\"{source}\"}}");
        value(&text, &format!("tidegauge_review_answers_total{labels}"))
    };
    assert_eq!((from("memory"), from("review"), from("none")), (2, 2, 0));
    let answers = |kind: &str, code: &str| {
        let group = "custom.metrics.k8s.io";
        let labels = format!("{{group=\"{group}\",kind=\"{kind}\",code=\"{code}\"}}");
        value(&text, &format!("tidegauge_answers_total{labels}"))
    };
    assert_eq!(answers("selected", "401"), 1);
    assert_eq!(answers("named", "404"), 1);
    assert!(answers("selected", "503") >= 1);
    assert!(value(&text, "tidegauge_limit_reached_total{limit=\"max-rows\"}") >= 1);
    assert_eq!(value(&text, "tidegauge_objects_held{objects=\"pods\"}"), 4);
    assert!(
        value(
            &text,
            "tidegauge_review_duration_seconds_count{review=\"token\"}"
        ) >= 2
    );
    let declined = "{backend=\"default\",kind=\"query\",outcome=\"declined\"}";
    let counted = value(
        &text,
        &format!("tidegauge_upstream_requests_total{declined}"),
    );
    let took = format!("tidegauge_upstream_request_duration_seconds_count{declined}");
    assert_eq!(counted, value(&text, &took));
    // A review that fails is one, too.
    let reviews = "/apis/authentication.k8s.io/v1/tokenreviews";
    world.api.conduct(reviews, Conduct::Refuse(403));
    ask_with(&adapter, None, DEPTH, &[("Authorization", "Bearer other")]).await;
    let text = get(&plain, "/metrics", &[]).await.body;
    let failed = "tidegauge_reviews_total{review=\"token\",outcome=\"error\"}";
    assert_eq!(value(&text, failed), 1);
}

/// When this certificate ends, in seconds from now.
async fn ends_in(plain: &str, certificate: &str) -> Option<f64> {
    let text = get(plain, "/metrics", &[]).await.body;
    let name = "tidegauge_certificate_expiry_timestamp_seconds";
    let series = format!("{name}{{certificate=\"{certificate}\"}} ");
    let mut lines = text.lines();
    let end: f64 = lines.find_map(|line| line.strip_prefix(&series)?.parse().ok())?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Some(end - now.unwrap().as_secs_f64())
}

/// Waits until this certificate ends in about so long, or there is none.
async fn until_it_ends_in(adapter: &Adapter, certificate: &str, wanted: Option<Duration>) {
    let plain = plain(adapter);
    poll::until("it ends then", Duration::from_secs(60), async || {
        let end = ends_in(&plain, certificate).await;
        let is_then = match (end, wanted) {
            (Some(end), Some(wanted)) => (end - wanted.as_secs_f64()).abs() < 300.0,
            (None, None) => true,
            _ => false,
        };
        is_then
            .then_some(())
            .ok_or_else(|| format!("{certificate}: {end:?}\n{}", adapter.stderr()))
    })
    .await;
}

const DAY: Duration = Duration::from_secs(24 * 3600);
const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn when_certificates_end_is_shown_and_follows_those_that_are_renewed_and_taken_away() {
    let world = World::new().await;
    let adapter = world.ready(&[PLAIN]).await;
    // A self-signed one is for a year, and the authorities of a test for an hour.
    until_it_ends_in(&adapter, "serving", Some(365 * DAY)).await;
    until_it_ends_in(&adapter, "client-ca-file", Some(HOUR)).await;
    until_it_ends_in(&adapter, "requestheader-client-ca-file", Some(HOUR)).await;
    let later = Authority::until("later", 20 * DAY);
    // The last of several counts, wherever it stands.
    world
        .api
        .trust(&[&later, &world.clients], &[&world.proxies]);
    until_it_ends_in(&adapter, "client-ca-file", Some(20 * DAY)).await;
    until_it_ends_in(&adapter, "requestheader-client-ca-file", Some(HOUR)).await;

    let directory = tempfile::TempDir::new().unwrap();
    let at = |name: &str| directory.path().join(name);
    let write = |days| {
        let pair = later.service_until("tidegauge.monitoring.svc", days * DAY);
        std::fs::write(at("tls.crt"), pair.certificate).unwrap();
        std::fs::write(at("tls.key"), pair.key).unwrap();
    };
    write(2);
    let (certificate, key) = (at("tls.crt"), at("tls.key"));
    let [certificate, key] = [certificate, key].map(|path| path.display().to_string());
    let flags = [
        PLAIN,
        &format!("--tls-cert-file={certificate}"),
        &format!("--tls-private-key-file={key}"),
        &format!("--tls-sni-cert-key={certificate},{key}"),
    ];
    let roots = later.pem();
    let api = &world.api;
    let started = Adapter::over_with_certificate(api, super::RULES, &world.tap.url, &flags, &roots);
    let adapter = started.await.unwrap();
    for days in [2, 9] {
        write(days);
        until_it_ends_in(&adapter, "serving", Some(days * DAY)).await;
        until_it_ends_in(&adapter, &certificate, Some(days * DAY)).await;
    }
}

/// What a server shows that all have asked, in vain and not, by tokens and by certificates.
pub(crate) async fn of_a_server_in_use() -> String {
    let world = World::new().await;
    let adapter = world.ready(&[PLAIN]).await;
    // From now on rules can be listed. What asks for names has their selectors, which no query has.
    let names = r#"{"status":"success","data":["__name__","namespace","pod"]}"#;
    let names = Behaviour::Answer {
        status: 200,
        content_type: "application/json",
        body: names.to_owned(),
    };
    world.tap.behave_for("!=", names);
    let (admin, token) = (world.admin(), format!("Bearer {VALID_TOKEN}"));
    ask_with(&adapter, None, DEPTH, &[("Authorization", &token)]).await;
    for path in [DEPTH, &format!("{PODS}/web-x/queue_depth"), "/apis"] {
        ask(&adapter, Some(&admin), path).await;
    }
    let row =
        serde_json::json!({"metric": {"namespace": "shop", "pod": "web-a"}, "value": [1, "1"]});
    let nan =
        serde_json::json!({"metric": {"namespace": "shop", "pod": "web-b"}, "value": [1, "NaN"]});
    let data = serde_json::json!({"resultType": "vector", "result": [row, row, nan]});
    world.tap.behave(Behaviour::Answer {
        status: 200,
        content_type: "application/json",
        body: serde_json::json!({"status": "success", "data": data}).to_string(),
    });
    ask(&adapter, Some(&admin), DEPTH).await;
    let plain = plain(&adapter);
    poll::until("a watch is in step", Duration::from_secs(30), async || {
        let text = get(&plain, "/metrics", &[]).await.body;
        let there = [
            "tidegauge_objects_watched{",
            "tidegauge_objects_last_heard_timestamp_seconds{",
            "tidegauge_relist_last_success_timestamp_seconds{",
        ];
        match there.iter().all(|it| text.contains(it)) {
            true => Ok(text),
            false => Err(text),
        }
    })
    .await
}

/// Whatever strangers and clients make up: no series comes of it.
#[tokio::test]
async fn ten_thousand_made_up_requests_make_no_further_series() {
    let world = World::new().await;
    let adapter = world.ready(&[PLAIN]).await;
    let client = adapter.caller(Some(&world.admin()), true);
    let plain = plain(&adapter);
    let asked = async |numbers: std::ops::Range<u32>| {
        let asks = numbers.map(|number| {
            let (client, url) = (client.clone(), adapter.url.clone());
            async move {
                let group = "custom.metrics.k8s.io/v1beta2/namespaces";
                let path = match number % 8 {
                    0 => format!("/apis/{group}/ns{number}/pods/*/metric{number}"),
                    1 => format!("/apis/{group}/shop/kind{number}/x/metric"),
                    2 => format!("/apis/external.metrics.k8s.io/v1beta1/namespaces/n/m{number}"),
                    3 => format!("/nowhere/{number}"),
                    4 => format!("/openapi/v3/{number}"),
                    5 => format!("/readyz/check{number}"),
                    6 => format!("/apis/custom.metrics.k8s.io/v{number}/a/b/c/d/e/f"),
                    _ => format!("/apis/{group}/shop/pods/web-{number}/queue_depth"),
                };
                let (agent, id) = (format!("agent-{number}"), format!("id-{number}"));
                let headers = [("User-Agent", agent.as_str()), ("Audit-Id", id.as_str())];
                let url = format!("{url}{path}");
                adapter::send(&client, Method::GET, &url, &headers)
                    .await
                    .unwrap();
            }
        });
        use futures_util::StreamExt;
        futures_util::stream::iter(asks)
            .buffer_unordered(50)
            .for_each(async |()| {})
            .await;
    };
    asked(0..64).await;
    let before = series(&get(&plain, "/metrics", &[]).await.body);
    asked(64..10_064).await;
    let after = series(&get(&plain, "/metrics", &[]).await.body);
    // An answer of another kind may be the first of its code.
    let more: Vec<_> = after.difference(&before).collect();
    assert!(more.len() < 100, "{} more: {more:?}", more.len());
    assert!(after.len() < 1_000, "{} series", after.len());
    let made_up = regex::Regex::new(r"ns\d|kind\d|metric\d|agent-|id-\d|web-\d|check\d").unwrap();
    assert!(!after.iter().any(|it| made_up.is_match(it)), "{after:?}");
}
