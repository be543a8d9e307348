//! The recorded OpenAPI documents: ours say the same of the same paths.
//!
//! Compared is what a reader of OpenAPI acts on: paths, operations, parameters, answers,
//! definitions. What [`drop_words`] takes out, and the differences named here, may differ.

use hyper::Method;
use serde_json::Value;

use super::{Exchange, OBJECTS, RULES, exchanges};
use crate::support::adapter::{Adapter, Answer};

/// Text for people, and hints for writers: nothing of ours is written to.
const WORDS: [&str; 10] = [
    "consumes",
    "default",
    "description",
    "produces",
    "uniqueItems",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
    "x-kubernetes-patch-merge-key",
    "x-kubernetes-patch-strategy",
];

/// Version 1 of the resource metrics API, which the recorded server did not know.
fn is_newer(name: &str) -> bool {
    name.contains("metrics.k8s.io/v1/")
        || name.ends_with("/metrics.k8s.io/v1")
        || name.contains(".apis.metrics.v1.")
}

fn recorded() -> Vec<Exchange> {
    let mut exchanges = exchanges();
    exchanges.retain(Exchange::is_openapi);
    exchanges
}

async fn answers() -> Vec<(Exchange, Answer)> {
    let adapter = Adapter::standalone(OBJECTS, RULES, "http://127.0.0.1:9", &[]).await;
    let adapter = adapter.expect("the recorded rules must load");
    let mut answers = Vec::new();
    for exchange in recorded() {
        let (path, headers) = (&exchange.path, exchange.headers());
        let answer = adapter.request(Method::GET, path, &headers).await;
        answers.push((exchange, answer));
    }
    answers
}

/// Without words, and with each parameter where it belongs.
fn essence(document: &Value) -> Value {
    let mut essence = document.clone();
    let shared = essence["parameters"].take();
    inline(&mut essence, &shared);
    drop_words(&mut essence);
    let members = essence
        .as_object_mut()
        .expect("a document must be an object");
    members.remove("parameters");
    members.remove("info");
    for at in ["/paths", "/definitions", "/components/schemas"] {
        let Some(Value::Object(entries)) = essence.pointer_mut(at) else {
            continue;
        };
        entries.retain(|name, _| !is_newer(name));
    }
    essence
}

/// Puts the parameters of OpenAPI 2.0 where they are referred to. The names there are nobody's.
fn inline(value: &mut Value, shared: &Value) {
    match value {
        Value::Object(fields) => {
            let name = fields.get("$ref").and_then(Value::as_str);
            let name = name.and_then(|it| it.strip_prefix("#/parameters/"));
            if let Some(name) = name {
                *value = shared[name].clone();
                return;
            }
            fields.values_mut().for_each(|it| inline(it, shared));
        }
        Value::Array(values) => values.iter_mut().for_each(|it| inline(it, shared)),
        _ => {}
    }
}

fn drop_words(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            // A field of an object may be called so; its schema is an object with a type.
            let is_field =
                |value: &Value| value.get("type").is_some() || value.get("$ref").is_some();
            fields.retain(|name, value| !WORDS.contains(&name.as_str()) || is_field(value));
            // Every media type holds the same.
            let json = fields
                .get("content")
                .map(|it| it["application/json"].clone());
            if let Some(json) = json {
                fields.insert("content".to_owned(), json);
            }
            fields.values_mut().for_each(drop_words);
            if let Some(Value::Array(names)) = fields.get_mut("required") {
                names.sort_by_key(ToString::to_string);
            }
            sort_parameters(value);
            // Go wraps a reference to hang a default on it.
            let wrapped = value["allOf"].as_array().filter(|all| all.len() == 1);
            if let Some(inner) = wrapped.map(|all| all[0].clone()) {
                *value = inner;
            }
        }
        Value::Array(values) => values.iter_mut().for_each(drop_words),
        _ => {}
    }
}

fn sort_parameters(item: &mut Value) {
    if let Some(Value::Array(parameters)) = item.get_mut("parameters") {
        parameters.sort_by_key(|it| format!("{} {}", it["in"], it["name"]));
    }
}

/// Go names the external metric `name` among the parameters and `resource` in the path, which no
/// reader of OpenAPI can bring together.
fn mend(essence: &mut Value) -> bool {
    let mut mended = false;
    let paths = essence["paths"].as_object_mut().into_iter().flatten();
    for (_, item) in paths.filter(|(path, _)| path.ends_with("{namespace}/{resource}")) {
        let parameters = item["parameters"].as_array_mut().into_iter().flatten();
        for parameter in parameters.filter(|it| it["in"] == "path" && it["name"] == "name") {
            parameter["name"] = "resource".into();
            mended = true;
        }
        sort_parameters(item);
    }
    mended
}

#[tokio::test]
async fn openapi_documents_say_what_was_recorded() {
    let mut mended = 0;
    for (exchange, answer) in answers().await {
        let path = &exchange.path;
        assert_eq!(answer.status.as_u16(), exchange.status, "{path}");
        assert_eq!(
            answer.media_type(),
            exchange.resp_headers["Content-Type"],
            "{path}"
        );
        for header in ["Cache-Control", "Vary"] {
            let ours = answer.headers.get(header).map(|it| it.to_str().unwrap());
            let recorded = exchange.resp_headers.get(header).map(String::as_str);
            assert!(
                recorded.is_none() || ours == recorded,
                "{path}: {header}: {ours:?}"
            );
        }
        let tag = |text: &str| (text.len(), text.starts_with('"'), text.ends_with('"'));
        let ours = answer.headers["etag"].to_str().unwrap();
        assert_eq!(
            tag(ours),
            tag(&exchange.resp_headers["Etag"]),
            "{path}: {ours}"
        );
        if exchange.resp.is_empty() {
            // The bytes are held against the recorded ones where they are made.
            assert!(answer.body.starts_with("\n\u{3}2.0"), "{path}");
            continue;
        }
        let recorded: Value = serde_json::from_str(&exchange.resp).unwrap();
        let ours: Value = serde_json::from_str(&answer.body).unwrap();
        if path == "/openapi/v3" {
            same_index(&recorded, &ours);
            continue;
        }
        let mut recorded = essence(&recorded);
        mended += usize::from(mend(&mut recorded));
        let ours = essence(&ours);
        for at in ["/paths", "/definitions", "/components/schemas"] {
            let entries = |document: &Value| document.pointer(at).cloned().unwrap_or_default();
            let (recorded, ours) = (entries(&recorded), entries(&ours));
            let names = |entries: &Value| -> Vec<String> {
                let entries = entries.as_object().into_iter().flatten();
                entries.map(|(name, _)| name.clone()).collect()
            };
            assert_eq!(names(&ours), names(&recorded), "{path}{at}");
            for name in names(&recorded) {
                let (ours, recorded) = (&ours[&name], &recorded[&name]);
                assert_eq!(
                    ours, recorded,
                    "{path}{at}: {name}: {ours} is not {recorded}"
                );
            }
        }
        assert_eq!(ours["swagger"], recorded["swagger"]);
        assert_eq!(ours["openapi"], recorded["openapi"]);
    }
    assert_eq!(
        mended, 2,
        "each difference must concern a recorded document"
    );
}

/// The same documents, each at an address with a hash.
fn same_index(recorded: &Value, ours: &Value) {
    let shape = |index: &Value| -> Vec<(String, String, usize)> {
        let paths = index["paths"].as_object().unwrap().iter();
        let shape = paths
            .filter(|(name, _)| !is_newer(name))
            .map(|(name, entry)| {
                let url = entry["serverRelativeURL"].as_str().unwrap();
                let (url, hash) = url.split_once("?hash=").unwrap();
                (name.clone(), url.to_owned(), hash.len())
            });
        shape.collect()
    };
    assert_eq!(shape(ours), shape(recorded));
}
