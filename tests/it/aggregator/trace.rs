//! What the HPA controller and kube-aggregator of Kubernetes 1.36 were recorded to send to the Go
//! adapter, sent again with the same headers over the front proxy's connection: status, media type
//! and body must be the same, byte for byte where they are protobuf.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::{Cluster, REGISTERED, Recorded, json};

const TRACE: &str = include_str!("../../data/recorded/hpa-trace.jsonl");

/// One request and its answer.
#[derive(Deserialize)]
struct Exchange {
    path: String,
    headers: BTreeMap<String, String>,
    status: u16,
    content_type: Option<String>,
    #[serde(default)]
    body: String,
    /// The body where it is protobuf.
    #[serde(default)]
    body_hex: String,
}

fn recorded() -> Vec<Exchange> {
    let lines = TRACE
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

#[tokio::test]
async fn the_control_plane_is_answered_as_the_go_adapter_was_recorded_to_answer_it() {
    let world = Recorded::start().await;
    let cluster = Cluster::start(world.rules, &world.prometheus.url, &[], &REGISTERED).await;
    let mut wrong = Vec::new();
    let exchanges = recorded();
    assert_eq!(exchanges.len(), 15);
    for exchange in &exchanges {
        let Exchange { path, status, .. } = exchange;
        let answer = replay(&cluster, exchange).await;
        let media_type = exchange.content_type.as_deref().unwrap_or_default();
        if (answer.status.as_u16(), answer.header("content-type")) != (*status, media_type) {
            let (ours, form) = (answer.status, answer.header("content-type"));
            wrong.push(format!(
                "{path}: {ours} {form} instead of {status} {media_type}"
            ));
        } else if let Err(difference) = same(exchange, &answer.body) {
            wrong.push(format!("{path}: {difference}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(cluster.aggregator.connections(), 1);
}

/// Sends it again; where it names a document by its tag, by ours.
async fn replay(cluster: &Cluster, exchange: &Exchange) -> crate::support::aggregator::Answer {
    let own = ["Host", "If-None-Match"];
    let headers = exchange
        .headers
        .iter()
        .filter(|(name, _)| !own.contains(&name.as_str()));
    let mut headers: Vec<(&str, &str)> = headers
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let first = cluster.aggregator.send(&exchange.path, &headers).await;
    if !exchange.headers.contains_key("If-None-Match") {
        return first;
    }
    assert_eq!(first.status, 200);
    headers.push(("If-None-Match", first.header("etag")));
    cluster.aggregator.send(&exchange.path, &headers).await
}

fn same(exchange: &Exchange, body: &[u8]) -> Result<(), String> {
    if !exchange.body_hex.is_empty() {
        let (theirs, ours) = (timeless(&bytes(&exchange.body_hex)), timeless(body));
        return match theirs == ours {
            true => Ok(()),
            false => Err(format!("{:?} instead of {:?}", text(&ours), text(&theirs))),
        };
    }
    if exchange.body.is_empty() {
        return if body.is_empty() {
            Ok(())
        } else {
            Err("a body".to_owned())
        };
    }
    let (theirs, ours) = (json(&exchange.body), json(&text(body)));
    if exchange.path == "/openapi/v3" {
        let paths = |it: &Value| -> BTreeSet<String> {
            it["paths"].as_object().unwrap().keys().cloned().collect()
        };
        let missing: Vec<String> = paths(&theirs).difference(&paths(&ours)).cloned().collect();
        return if missing.is_empty() {
            Ok(())
        } else {
            Err(format!("lacks {missing:?}"))
        };
    }
    match (sorted(theirs), sorted(ours)) {
        (theirs, ours) if theirs == ours => Ok(()),
        (theirs, ours) => Err(format!("{ours} instead of {theirs}")),
    }
}

/// Go takes the order of the resources from a map, and a metric was added to the rules and series
/// after this was recorded.
fn sorted(mut document: Value) -> Value {
    if let Some(resources) = document["resources"].as_array_mut() {
        let is_later = |it: &Value| {
            it["name"]
                .as_str()
                .is_some_and(|name| name.ends_with("/quoted_gauge"))
        };
        resources.retain(|resource| !is_later(resource));
        resources.sort_by_cached_key(Value::to_string);
    }
    document
}

/// The same bytes with the time of each value taken out: field 3, of seconds in five bytes and no
/// nanoseconds.
fn timeless(protobuf: &[u8]) -> Vec<u8> {
    let mut bytes = protobuf.to_vec();
    for at in 0..bytes.len().saturating_sub(9) {
        let (head, tail) = (&bytes[at..at + 3], &bytes[at + 8..at + 10]);
        if head == [0x1a, 8, 8] && tail == [0x10, 0] {
            bytes[at + 3..at + 8].fill(0);
        }
    }
    bytes
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
