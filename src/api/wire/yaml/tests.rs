//! Recorded YAML, and what is hard about texts.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::write;

const RECORDED: [&str; 2] = [
    include_str!("../../../../tests/data/recorded/accept.jsonl"),
    include_str!("../../../../tests/data/recorded/exchanges.jsonl"),
];

fn read(yaml: &str) -> Value {
    serde_saphyr::from_str(yaml).unwrap_or_else(|e| panic!("{e}: {yaml}"))
}

#[test]
fn recorded_documents_are_written_byte_for_byte() {
    let exchanges = RECORDED.iter().flat_map(|file| file.lines());
    let exchanges = exchanges.map(|line| serde_json::from_str::<Value>(line).unwrap());
    let is_yaml = |it: &Value| it["resp_headers"]["Content-Type"] == "application/yaml";
    let documents: Vec<_> = exchanges.filter(is_yaml).collect();
    assert_eq!(documents.len(), 10);
    for exchange in documents {
        let recorded = exchange["resp"].as_str().unwrap();
        assert_eq!(write(&read(recorded)), recorded, "{}", exchange["path"]);
    }
}

/// By the rules of `go.yaml.in/yaml/v2`: what is read as another type is quoted.
#[test]
fn texts_are_plain_where_they_are_read_as_texts() {
    for (text, written) in [
        ("web-a", "web-a"),
        (":7444", ":7444"),
        ("/v1", "/v1"),
        ("a: b", "'a: b'"),
        ("a #b", "'a #b'"),
        ("it's", "it's"),
        ("'it's", "'''it''s'"),
        ("- a", "'- a'"),
        ("*", "'*'"),
        (" a", "' a'"),
        ("1m0s", "1m0s"),
        ("", "\"\""),
        ("10", "\"10\""),
        ("-1.5e3", "\"-1.5e3\""),
        ("1_000", "\"1_000\""),
        ("0x1F", "\"0x1F\""),
        ("08", "\"08\""),
        ("1Gi", "1Gi"),
        ("12:30:45", "\"12:30:45\""),
        ("2026-11-22T12:44:39Z", "\"2026-11-22T12:44:39Z\""),
        ("2026-11-22", "\"2026-11-22\""),
        ("yes", "\"yes\""),
        ("No", "\"No\""),
        ("y", "\"y\""),
        ("~", "\"~\""),
        ("null", "\"null\""),
        (".inf", "\".inf\""),
        ("a\tb", "\"a\\tb\""),
        ("é", "é"),
        ("\u{1f600}", "\"\\U0001F600\""),
        ("a\nb", "|-\n  a\n  b"),
        ("a\n\nb\n", "|\n  a\n\n  b"),
        ("a \nb", "\"a \\nb\""),
        ("\na", "|2-\n\n  a"),
    ] {
        let document = write(&json!({ "key": text }));
        assert_eq!(document, format!("key: {written}\n"), "{text:?}");
        assert_eq!(read(&document), json!({ "key": text }));
    }
}

#[test]
fn long_texts_are_folded_at_the_first_space_after_column_80() {
    let word = "0123456789".repeat(8);
    let document = write(&json!({ "message": format!("{word} a {word} b"), "z": {} }));
    assert_eq!(
        document,
        format!("message: {word}\n  a {word}\n  b\nz: {{}}\n")
    );
    let quoted = format!("{word}: a \"{word} b");
    let document = write(&json!([{ "message": quoted }]));
    assert_eq!(
        document,
        format!("- message: '{word}:\n    a \"{word}\n    b'\n")
    );
    assert_eq!(read(&document), json!([{ "message": quoted }]));
}

#[test]
fn keys_are_in_gos_order() {
    let keys = ["a10", "a2", "a", "B", "ab", "a-b", "a.b", "1", "10", "02"];
    let object: Value = keys
        .iter()
        .map(|key| ((*key).to_owned(), json!(0)))
        .collect();
    let document = write(&object);
    let written: Vec<_> = document
        .lines()
        .map(|line| line.trim_end_matches(": 0").trim_matches('"'))
        .collect();
    let sorted = ["1", "02", "10", "B", "a", "a-b", "a.b", "a2", "a10", "ab"];
    assert_eq!(written, sorted);
}

fn document() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        "[ -~]{0,100}",
        "[-0-9.:_eTZxb+]{0,12}",
        "(a| |\n|:|#|'|\"|\\\\|é|\t|yes|\u{1f600}){0,8}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[ -~]{1,20}", inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_the_same(value in document()) {
        let value = json!({ "value": value });
        let document = write(&value);
        let read: Result<Value, _> = serde_saphyr::from_str(&document);
        prop_assert_eq!(read.ok(), Some(value), "{}", document);
    }
}
