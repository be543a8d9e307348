//! The wire contract: what the Go adapter answered, we answer, except where a named difference says.
//!
//! `tests/data/recorded/` holds requests to the Go adapter 0.12 over a real Prometheus, its answers,
//! and the PromQL that each one sent. The same Prometheus data stands here behind the same rules, and
//! each exchange is replayed: status, media type, body and PromQL must be equal. Where we differ on
//! purpose, `differences` says what ours must answer instead, and that is held as strictly.

mod beyond;
mod compare;
mod differences;
mod encodings;
mod openapi;
mod victoria;

use hyper::Method;
use jiff::Timestamp;
use serde::Deserialize;

use crate::support::adapter::Adapter;
use crate::support::exporter::{self, Exporter};
use crate::support::poll;
use crate::support::prometheus::{Api, Prometheus, TargetLabels};
use crate::support::protobuf;
use crate::support::tap::Tap;

use compare::{Body, Got};
use differences::{DIFFERENCES, Expected};

const EXCHANGES: &str = include_str!("../data/recorded/exchanges.jsonl");
const ACCEPT: &str = include_str!("../data/recorded/accept.jsonl");
const RULES: &str = include_str!("../data/recorded/rules.yaml");
const OBJECTS: &str = include_str!("../data/recorded/objects.yaml");
const SERIES: &str = include_str!("../data/recorded/series.prom");

/// A debug build takes its time over a large answer: the limit is reached sooner.
const FLAGS: &[&str] = &[
    "--prometheus-max-response-bytes=1MiB",
    "--query-ttl=0s",
    "--stale-grace=0s",
];

/// Every cluster has these from its start, so no manifest of the recording names them.
const BUILT_IN_NAMESPACES: &str = "
---
{apiVersion: v1, kind: Namespace, metadata: {name: default}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: kube-node-lease}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: kube-public}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: kube-system}}
";

/// What a server has of [`SERIES`] when it has all.
const KNOWN: &[&str] = &["queue_depth", "rate(http_requests_total[1m])"];

/// One recorded request and its answer.
#[derive(Deserialize)]
struct Exchange {
    group: String,
    method: String,
    path: String,
    accept: Option<String>,
    cert: Option<String>,
    status: u16,
    resp_headers: std::collections::BTreeMap<String, String>,
    /// Missing where the answer is protobuf.
    #[serde(default)]
    resp: String,
    /// The answer where it is protobuf.
    resp_hex: Option<String>,
    upstream: Vec<Upstream>,
}

#[derive(Deserialize)]
struct Upstream {
    promql: String,
}

impl Exchange {
    /// What the Go adapter answered, as an expectation.
    fn recorded(&self) -> Expected {
        let media_type = self
            .resp_headers
            .get("Content-Type")
            .cloned()
            .unwrap_or_default();
        let said = encodings::said(&media_type, &self.bytes());
        let body = match serde_json::from_str(&said) {
            Ok(json) if media_type.starts_with("application/") => Body::Json(json),
            _ => Body::Text(said),
        };
        let promql = self
            .upstream
            .iter()
            .map(|sent| match self.group.as_str() {
                "accept" => encodings::names_sorted(&sent.promql),
                _ => sent.promql.clone(),
            })
            .collect();
        Expected {
            status: self.status,
            media_type,
            body,
            promql,
        }
    }

    /// What ours must answer.
    fn expected(&self) -> Expected {
        let mut expected = self.recorded();
        for difference in DIFFERENCES.iter().filter(|d| d.concerns(&self.asked())) {
            difference.apply(&self.path, &mut expected);
        }
        if let (encodings::PROTOBUF, Body::Json(body)) = (&*expected.media_type, &mut expected.body)
        {
            *body = protobuf::pruned(body);
        }
        expected
    }

    fn bytes(&self) -> Vec<u8> {
        match &self.resp_hex {
            Some(digits) => protobuf::from_hex(digits),
            None => self.resp.clone().into_bytes(),
        }
    }

    fn is_as_recorded(&self) -> bool {
        !DIFFERENCES.iter().any(|d| d.concerns(&self.asked()))
    }

    /// The path, and where it has more than one document, which of them.
    fn asked(&self) -> String {
        let accept = self.accept.as_deref().unwrap_or_default();
        let document = match self.status {
            406 => " refused",
            200 if accept.contains("as=APIGroupDiscoveryList") => " aggregated",
            200 if self.resp.contains("\"kind\":\"Table\"") => " table",
            _ => "",
        };
        format!("{}{document}", self.path)
    }

    /// Whether `openapi` compares it, by what it says and not word by word.
    fn is_openapi(&self) -> bool {
        self.path.starts_with("/openapi/")
    }

    fn headers(&self) -> Vec<(&str, &str)> {
        self.accept
            .iter()
            .map(|accept| ("Accept", accept.as_str()))
            .collect()
    }
}

fn exchanges() -> Vec<Exchange> {
    let lines = EXCHANGES.lines().chain(ACCEPT.lines());
    let lines = lines.map(serde_json::from_str::<Exchange>);
    lines
        .collect::<Result<_, _>>()
        .expect("each recorded line must be an exchange")
}

/// The recorded world: its series behind a tap, and the adapter over its rules and objects.
struct World<S = Prometheus> {
    _exporter: Exporter,
    prometheus: S,
    tap: Tap,
    adapter: Adapter,
}

impl World {
    async fn start(series: &'static str, rules: &str) -> World {
        let exporter = Exporter::start(move |elapsed| exporter::recorded(series, elapsed)).await;
        let prometheus = Prometheus::start(&[exporter.address], TargetLabels::Dropped).await;
        prometheus.wait_for(KNOWN).await;
        let url = prometheus.url.clone();
        World::over(exporter, prometheus, &url, rules).await
    }
}

impl<S> World<S> {
    /// The same over another server, which answers at `url` and has what the exporter says.
    async fn over(exporter: Exporter, prometheus: S, url: &str, rules: &str) -> World<S> {
        let tap = Tap::start(url).await;
        let objects = format!("{OBJECTS}{BUILT_IN_NAMESPACES}");
        let adapter = match Adapter::standalone(&objects, rules, &tap.url, FLAGS).await {
            Ok(adapter) => adapter,
            Err(refusal) => panic!("it ended with {}:\n{}", refusal.status, refusal.stderr),
        };
        // Some metrics are listed before Prometheus is asked; all are when the first relist has ended.
        poll::until("the first relist ends", compare::RECENT, async || {
            let metrics = adapter.get("/metrics").await.body;
            let ended = metrics
                .lines()
                .find(|line| line.starts_with("tidegauge_relist_last_success_timestamp_seconds{"));
            ended.map(drop).ok_or_else(|| "it has not".to_owned())
        })
        .await;
        tap.take();
        World {
            _exporter: exporter,
            prometheus,
            tap,
            adapter,
        }
    }

    async fn replay(&self, exchange: &Exchange) -> Got {
        self.tap.take();
        let method = exchange
            .method
            .parse()
            .expect("a recorded method must be one");
        let answer = self
            .adapter
            .request(method, &exchange.path, &exchange.headers())
            .await;
        Got {
            status: answer.status.as_u16(),
            media_type: answer.media_type().to_owned(),
            body: encodings::said(answer.media_type(), &answer.bytes),
            bytes: answer.bytes,
            promql: self.tap.take_queries(),
        }
    }
}

/// Replays all but what `openapi` compares; says what differs from `expected`, by line.
async fn replay_all<S>(
    world: &World<S>,
    expected: impl Fn(&Exchange) -> Expected,
) -> (usize, Vec<String>) {
    let mut report = Vec::new();
    let mut replayed = 0;
    for (index, exchange) in exchanges().iter().enumerate() {
        if exchange.is_openapi() {
            continue;
        }
        let got = world.replay(exchange).await;
        replayed += 1;
        let expected = expected(exchange);
        let mut found = compare::differences(&expected, &got, Timestamp::now());
        if exchange.is_as_recorded() && expected.body == exchange.recorded().body {
            found.extend(encodings::difference(&exchange.bytes(), &got));
        }
        if !found.is_empty() {
            let Exchange { method, path, .. } = exchange;
            report.push(format!(
                "{}: {method} {path}\n    {}",
                index + 1,
                found.join("\n    ")
            ));
        }
    }
    (replayed, report)
}

fn assert_as_expected((replayed, report): (usize, Vec<String>)) {
    assert_eq!(replayed, 205);
    assert!(
        report.is_empty(),
        "{} of {replayed} exchanges differ (line of exchanges.jsonl: request, what differs):\n{}",
        report.len(),
        report.join("\n")
    );
}

#[tokio::test]
async fn every_exchange_is_answered_as_recorded_or_as_a_named_difference_says() {
    let world = World::start(SERIES, RULES).await;
    assert_as_expected(replay_all(&world, Exchange::expected).await);
}

#[test]
fn every_recorded_line_is_of_a_known_group() {
    let exchanges = exchanges();
    assert_eq!(exchanges.len(), 181 + 32);
    let groups = [
        "discovery",
        "custom",
        "external",
        "resource",
        "verbs",
        "accept",
    ];
    for exchange in &exchanges {
        assert!(groups.contains(&exchange.group.as_str()));
        // Without a cluster nobody is asked who they are: all of these were asked by an administrator.
        assert_eq!(exchange.cert.as_deref(), Some("admin"));
        assert!(exchange.method.parse::<Method>().is_ok());
    }
}

#[test]
fn each_difference_concerns_an_exchange_and_changes_what_is_expected_of_it() {
    let exchanges = exchanges();
    for difference in DIFFERENCES {
        let concerned: Vec<_> = exchanges
            .iter()
            .filter(|e| difference.concerns(&e.asked()))
            .collect();
        assert!(
            !concerned.is_empty(),
            "{}: {}",
            difference.row,
            difference.path
        );
        for exchange in concerned {
            let (recorded, expected) = (exchange.recorded(), exchange.expected());
            assert_ne!(recorded, expected, "{}: {}", difference.row, exchange.path);
        }
    }
}
