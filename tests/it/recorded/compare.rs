//! When an answer equals a recorded one.
//!
//! Equal means equal, but for what cannot be: the order of fields and of lists that Go takes from a
//! map, white space, the time of a sample (which must be in Kubernetes' form, and recent), and the
//! address that we serve on.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::differences::Expected;

/// How old the time of a sample may be. Nothing here is older than a scrape or two.
pub const RECENT: Duration = Duration::from_secs(30);

/// Lists whose order Go takes from a map.
const UNORDERED: [&str; 7] = [
    "containers",
    "rows",
    "groups",
    "items",
    "paths",
    "resources",
    "subresources",
];

/// The fields of `k8s.io/apimachinery/pkg/version.Info` that have always been there.
const VERSION_INFO: [&str; 9] = [
    "major",
    "minor",
    "gitVersion",
    "gitCommit",
    "gitTreeState",
    "buildDate",
    "goVersion",
    "compiler",
    "platform",
];

/// What a body must be.
#[derive(Debug, PartialEq, Clone)]
pub enum Body {
    /// This JSON.
    Json(Value),
    /// This text, byte for byte.
    Text(String),
    /// A full `version.Info` with a version in it.
    Version,
    /// Any text at all, but some.
    NotEmpty,
}

/// What came.
pub struct Got {
    pub status: u16,
    pub media_type: String,
    pub body: String,
    /// The body before it was understood.
    pub bytes: Vec<u8>,
    pub promql: Vec<String>,
}

/// Everything in which `got` is not as expected, one line each; nothing when they are equal.
pub fn differences(expected: &Expected, got: &Got, now: Timestamp) -> Vec<String> {
    let mut found = Vec::new();
    if got.status != expected.status {
        found.push(format!(
            "status: expected {}, got {}",
            expected.status, got.status
        ));
    }
    if got.media_type != expected.media_type {
        let Expected { media_type, .. } = expected;
        found.push(format!(
            "media type: expected {media_type:?}, got {:?}",
            got.media_type
        ));
    }
    // The order in which two queries of one request leave is nobody's promise.
    let sorted = |promql: &[String]| {
        let mut promql = promql.to_vec();
        promql.sort();
        promql
    };
    let (wanted, sent) = (sorted(&expected.promql), sorted(&got.promql));
    if wanted != sent {
        found.push(format!("PromQL: expected {wanted:?}, got {sent:?}"));
    }
    body(&expected.body, &got.body, now, &mut found);
    found
}

fn body(expected: &Body, got: &str, now: Timestamp, found: &mut Vec<String>) {
    match expected {
        Body::Json(expected) => match serde_json::from_str::<Value>(got) {
            Ok(mut json) => {
                check_times(&json, now, found);
                let mut expected = expected.clone();
                normalize(&mut expected);
                normalize(&mut json);
                if expected["kind"] == json["kind"] {
                    json_differences("body", &expected, &json, found);
                } else {
                    // Field by field, another kind of answer says nothing that is worth reading.
                    found.push(format!("body: expected {expected}, got {json}"));
                }
            }
            Err(error) => found.push(format!("body: expected JSON, got {got:?}: {error}")),
        },
        Body::Text(expected) if expected == got => {}
        Body::Text(expected) => found.push(format!("body: expected {expected:?}, got {got:?}")),
        Body::Version => version(got, found),
        Body::NotEmpty if got.is_empty() => found.push("body: empty".to_owned()),
        Body::NotEmpty => {}
    }
}

fn version(got: &str, found: &mut Vec<String>) {
    let info: Value = serde_json::from_str(got).unwrap_or_default();
    for field in VERSION_INFO {
        if !info[field].is_string() {
            found.push(format!("body: expected the text {field}, got {info}"));
        }
    }
    if info["gitVersion"] == "" {
        found.push("body.gitVersion: empty".to_owned());
    }
}

/// The fields that hold the time of a sample or of an answer.
const TIMES: [&str; 2] = ["timestamp", "creationTimestamp"];

/// Each time must be RFC 3339 in UTC with whole seconds, as `metav1.Time` is written, and recent.
fn check_times(json: &Value, now: Timestamp, found: &mut Vec<String>) {
    match json {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(time) if TIMES.contains(&name.as_str()) => {
                        check_time(time, now, found)
                    }
                    _ => check_times(value, now, found),
                }
            }
        }
        Value::Array(values) => values
            .iter()
            .for_each(|value| check_times(value, now, found)),
        _ => {}
    }
}

fn check_time(time: &str, now: Timestamp, found: &mut Vec<String>) {
    match time.parse::<Timestamp>() {
        Ok(at) if at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string() == time => {
            let age = now.duration_since(at).unsigned_abs();
            if age > RECENT {
                found.push(format!("timestamp: {time} is {age:?} away from now"));
            }
        }
        _ => found.push(format!("timestamp: {time:?} is not in seconds in UTC")),
    }
}

/// Takes out what may differ.
fn normalize(json: &mut Value) {
    match json {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text)
                        if TIMES.contains(&name.as_str()) || name == "serverAddress" =>
                    {
                        *text = format!("any {name}");
                    }
                    _ => normalize(value),
                }
                if let Value::Array(values) = value
                    && UNORDERED.contains(&name.as_str())
                {
                    values.sort_by_cached_key(Value::to_string);
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(normalize),
        _ => {}
    }
}

fn json_differences(at: &str, expected: &Value, got: &Value, found: &mut Vec<String>) {
    match (expected, got) {
        (Value::Object(wanted), Value::Object(had)) => {
            for (name, value) in wanted {
                match had.get(name) {
                    Some(other) => json_differences(&format!("{at}.{name}"), value, other, found),
                    None => found.push(format!("{at}.{name}: expected {value}, got no such field")),
                }
            }
            for (name, value) in had.iter().filter(|(name, _)| !wanted.contains_key(*name)) {
                found.push(format!("{at}.{name}: expected no such field, got {value}"));
            }
        }
        (Value::Array(wanted), Value::Array(had)) if wanted.len() == had.len() => {
            for (index, (value, other)) in wanted.iter().zip(had).enumerate() {
                json_differences(&format!("{at}[{index}]"), value, other, found);
            }
        }
        (Value::Array(wanted), Value::Array(had)) => {
            let missing: Vec<_> = wanted.iter().filter(|value| !had.contains(value)).collect();
            let extra: Vec<_> = had.iter().filter(|value| !wanted.contains(value)).collect();
            found.push(format!(
                "{at}: expected {} elements, got {}; missing {missing:?}; extra {extra:?}",
                wanted.len(),
                had.len()
            ));
        }
        _ if expected == got => {}
        _ => found.push(format!("{at}: expected {expected}, got {got}")),
    }
}

mod tests {
    use super::super::{Exchange, exchanges};
    use super::*;

    /// The recorded answer, as if it had just come.
    fn got(exchange: &Exchange) -> Got {
        let Expected {
            status,
            media_type,
            promql,
            ..
        } = exchange.recorded();
        Got {
            status,
            body: super::super::encodings::said(&media_type, &exchange.bytes()),
            media_type,
            bytes: exchange.bytes(),
            promql,
        }
    }

    fn when_recorded() -> Timestamp {
        "2026-11-22T12:44:40Z".parse().unwrap()
    }

    #[test]
    fn each_recorded_answer_equals_itself() {
        for exchange in exchanges() {
            let found = differences(&exchange.recorded(), &got(&exchange), when_recorded());
            assert_eq!(found, Vec::<String>::new(), "{}", exchange.path);
        }
    }

    #[test]
    fn order_and_white_space_are_free_and_nothing_else_is() {
        let list = |items: &str| Body::Json(serde_json::from_str(items).unwrap());
        let expected = list(
            r#"{"kind":"L","items":[{"name":"a","value":"1","timestamp":"2026-11-22T12:44:34Z"},
                {"name":"b","value":"2","timestamp":"2026-11-22T12:44:34Z"}]}"#,
        );
        let same = r#"{ "items": [{"timestamp":"2026-11-22T12:44:50Z","name":"b","value":"2"},
            {"name":"a","timestamp":"2026-11-22T12:44:50Z","value":"1"}], "kind": "L" }"#;
        let check = |text: &str| {
            let mut found = Vec::new();
            body(&expected, text, when_recorded(), &mut found);
            found
        };
        assert_eq!(check(same), Vec::<String>::new());
        for (from, to) in [
            (r#""value":"1""#, r#""value":"1000m""#),
            (r#""value":"1""#, r#""value":1"#),
            (r#""kind": "L""#, r#""kind": "l""#),
            (r#""kind": "L""#, r#""kind": "L", "more": null"#),
            (r#""name":"a","#, ""),
            ("12:44:50Z", "12:44:50+00:00"),
            ("12:44:50Z", "12:44:50.5Z"),
            ("12:44:50Z", "13:44:50Z"),
        ] {
            assert!(
                !check(&same.replacen(from, to, 1)).is_empty(),
                "{from} -> {to}"
            );
        }
    }

    #[test]
    fn status_media_type_and_promql_are_compared() {
        let exchanges = exchanges();
        let exchange = exchanges.iter().find(|e| !e.upstream.is_empty()).unwrap();
        let expected = exchange.recorded();
        let check = |got: Got| differences(&expected, &got, when_recorded()).len();
        assert_eq!(check(got(exchange)), 0);
        assert_eq!(
            check(Got {
                status: 201,
                ..got(exchange)
            }),
            1
        );
        assert_eq!(
            check(Got {
                media_type: "text/plain".to_owned(),
                ..got(exchange)
            }),
            1
        );
        assert_eq!(
            check(Got {
                promql: Vec::new(),
                ..got(exchange)
            }),
            1
        );
        let twice = [expected.promql.clone(), expected.promql.clone()].concat();
        assert_eq!(
            check(Got {
                promql: twice,
                ..got(exchange)
            }),
            1
        );
    }

    #[test]
    fn a_version_must_be_whole() {
        let check = |text: &str| {
            let mut found = Vec::new();
            body(&Body::Version, text, when_recorded(), &mut found);
            found.len()
        };
        let full = r#"{"major":"0","minor":"1","gitVersion":"v0.1.0","gitCommit":"","gitTreeState":"",
            "buildDate":"","goVersion":"","compiler":"rustc","platform":"linux/amd64"}"#;
        assert_eq!(check(full), 0);
        assert_eq!(check(&full.replace("v0.1.0", "")), 1);
        assert_eq!(check(&full.replace("compiler", "compilers")), 1);
    }
}
