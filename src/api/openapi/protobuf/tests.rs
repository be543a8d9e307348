//! The bytes, held against those that the Go adapter was recorded to send, and read back.

use serde_json::Value;

use super::*;
use crate::api::openapi::{documents, v2, v3};
use crate::api::route::ApiGroup;

const RECORDED: &str = include_str!("../../../../tests/data/recorded/exchanges.jsonl");

/// The recorded exchange for `/openapi/v2` with a media type that ends so.
fn recorded(media_type: &str) -> Value {
    let lines = RECORDED
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut of_document = lines.filter(|it| it["path"] == "/openapi/v2");
    let found = of_document.find(|it| it["accept"].as_str().unwrap().ends_with(media_type));
    found.unwrap()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digit).collect()
}

/// In what Go calls an operation's kind the fields stand as in its struct; ours stand by name.
fn by_name(recorded: &[u8]) -> Vec<u8> {
    let text: String = recorded.iter().map(|byte| char::from(*byte)).collect();
    let mut mended = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find("group: metrics.k8s.io\nversion: v1beta1\nkind: ") {
        let (before, found) = rest.split_at(at);
        let kind = found.lines().nth(2).unwrap();
        mended += before;
        mended += &format!("group: metrics.k8s.io\n{kind}\nversion: v1beta1\n");
        rest = &found["group: metrics.k8s.io\nversion: v1beta1\n".len() + kind.len() + 1..];
    }
    mended += rest;
    mended
        .chars()
        .map(|it| u8::try_from(u32::from(it)).unwrap())
        .collect()
}

#[test]
fn gos_document_becomes_gos_bytes() {
    let document = recorded("json");
    let document: Value = serde_json::from_str(document["resp"].as_str().unwrap()).unwrap();
    let expected = recorded("protobuf");
    let expected = by_name(&bytes(expected["resp_hex"].as_str().unwrap()));
    let encoded = encode(&document, Dialect::V2).unwrap();
    let first = expected.iter().zip(&encoded).position(|(a, b)| a != b);
    assert_eq!((first, encoded.len()), (None, expected.len()));
}

#[test]
fn every_field_of_our_documents_has_a_number() {
    let groups = ApiGroup::ALL;
    assert!(encode(&v2(&groups), Dialect::V2).unwrap().len() > 10_000);
    for name in documents(&groups) {
        let document = v3(&groups, &name).unwrap();
        assert!(
            encode(&document, Dialect::V3).unwrap().len() > 500,
            "{name}"
        );
    }
    let other = serde_json::json!({"swagger": "2.0", "info": {"title": "t", "licence": {}}});
    let error = encode(&other, Dialect::V2).unwrap_err();
    let text = "the field \"licence\" of an OpenAPI document has no number";
    assert_eq!(error.to_string(), text);
}

#[test]
fn fields_stand_by_number() {
    fn check(message: &Message, depth: usize) {
        let numbers: Vec<_> = message.fields.iter().map(|(number, ..)| *number).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        assert!(numbers.last().is_none_or(|last| *last < message.extensions));
        for (_, _, holds) in message.fields {
            within(holds, depth);
        }
    }
    fn within(holds: &Holds, depth: usize) {
        let Some(depth) = depth.checked_sub(1) else {
            return;
        };
        match holds {
            Holds::Text | Holds::Flag => {}
            Holds::Each(inner)
            | Holds::Within(_, inner)
            | Holds::Named(inner)
            | Holds::OrReference(inner) => within(inner, depth),
            Holds::One(message) => check(message, depth),
            Holds::Placed { query, path } => {
                check(query, depth);
                check(path, depth);
            }
        }
    }
    for message in [&V2, &V3] {
        check(message, 7);
    }
}
