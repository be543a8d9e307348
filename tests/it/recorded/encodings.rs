//! The same answers in YAML and protocol buffers: what they say, and their bytes; and what the HPA
//! controller of Kubernetes 1.36 was recorded to ask for.

use std::collections::BTreeMap;

use hyper::Method;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::compare::{self, Body, Got};
use super::differences::Expected;
use super::{RULES, SERIES, World};
use crate::support::protobuf::{decode, from_hex};

pub const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const YAML: &str = "application/yaml";
const TRACE: &str = include_str!("../../data/recorded/hpa-trace.jsonl");

/// An answer as JSON, or as the text it is; protocol buffers without what is empty.
pub fn said(media_type: &str, bytes: &[u8]) -> String {
    let json: Result<Value, String> = match media_type {
        PROTOBUF => decode(bytes),
        YAML => serde_saphyr::from_slice(bytes).map_err(|e| e.to_string()),
        _ => return String::from_utf8_lossy(bytes).into_owned(),
    };
    match json {
        Ok(json) => json.to_string(),
        Err(error) => format!("{error}: {bytes:?}"),
    }
}

/// Whether the bytes are other than the recorded ones. Times are, and the order of what Go takes from
/// a map: so those of YAML are compared by line, and those of protocol buffers by how many there are of
/// each. That they say the same is compared elsewhere.
pub fn difference(recorded: &[u8], got: &Got) -> Option<String> {
    let shape: fn(&[u8]) -> Vec<Vec<u8>> = match got.media_type.as_str() {
        PROTOBUF => |bytes| {
            without_times(bytes)
                .into_iter()
                .map(|byte| vec![byte])
                .collect()
        },
        YAML => |bytes| bytes.split(|byte| *byte == b'\n').map(timeless).collect(),
        _ => return None,
    };
    let [expected, got] = [recorded, &got.bytes].map(|bytes| {
        let mut shape = shape(bytes);
        shape.sort();
        shape
    });
    (expected != got).then(|| format!("bytes: expected those of {recorded:?}, got {got:?}"))
}

/// A query with the names of objects in order; Go takes them from a map.
pub fn names_sorted(promql: &str) -> String {
    let sorted = |alternatives: &str| {
        let mut names: Vec<_> = alternatives.split('|').collect();
        names.sort_unstable();
        names.join("|")
    };
    let parts = promql.split('"').enumerate();
    let parts = parts.map(|(index, part)| match index % 2 {
        1 => sorted(part),
        _ => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("\"")
}

/// Zeroes the seconds of every `metav1.Time`: a message of eight bytes, its seconds in five.
fn without_times(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for at in 0..bytes.len().saturating_sub(8) {
        if bytes[at..].starts_with(&[8, 8]) && bytes[at + 7..].starts_with(&[0x10, 0]) {
            bytes[at + 2..at + 7].fill(0);
        }
    }
    bytes
}

/// A line without its time, and without the dash of a list whose elements stand in another order.
fn timeless(line: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(line);
    let text = text.replacen("- ", "  ", 1);
    match text.split_once("imestamp: \"") {
        Some((name, _)) => name.as_bytes().to_vec(),
        None => text.into_bytes(),
    }
}

/// One request of the HPA controller or the aggregator.
#[derive(Deserialize)]
struct Asked {
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
    status: u16,
    content_type: Option<String>,
    body_hex: Option<String>,
}

#[tokio::test]
async fn what_the_hpa_controller_asks_for_is_answered_in_the_recorded_bytes() {
    let world = World::start(SERIES, RULES).await;
    let mut replayed = 0;
    for line in TRACE.lines() {
        let asked: Asked = serde_json::from_str(line).unwrap();
        let Some(digits) = &asked.body_hex else {
            continue;
        };
        let recorded = from_hex(digits);
        // Who asks is for a cluster to say; here is none.
        let headers = asked.headers.iter().filter(|(name, _)| {
            let name = name.to_lowercase();
            name != "host" && !name.starts_with("x-")
        });
        let headers: Vec<_> = headers.map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let method: Method = asked.method.parse().unwrap();
        let answer = world.adapter.request(method, &asked.path, &headers).await;
        let media_type = answer.media_type().to_owned();
        assert_eq!(answer.headers["audit-id"], asked.headers["Audit-Id"]);
        let got = Got {
            status: answer.status.as_u16(),
            body: said(&media_type, &answer.bytes),
            media_type,
            bytes: answer.bytes,
            promql: Vec::new(),
        };
        let body = serde_json::from_str(&said(PROTOBUF, &recorded)).unwrap();
        let expected = Expected {
            status: asked.status,
            media_type: asked.content_type.unwrap_or_default(),
            body: Body::Json(body),
            promql: Vec::new(),
        };
        let mut found = compare::differences(&expected, &got, Timestamp::now());
        found.extend(difference(&recorded, &got));
        assert_eq!(found, Vec::<String>::new(), "{}", asked.path);
        replayed += 1;
    }
    assert_eq!(replayed, 8);
}
