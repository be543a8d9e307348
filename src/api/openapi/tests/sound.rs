//! What OpenAPI 2.0 and 3.0.0 demand of a document and allow in it, as far as ours go.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Dialect, text};

/// Checks a document against what OpenAPI 2.0 or 3.0.0 demands and allows at each place.
pub(super) fn sound(document: &Value, dialect: Dialect) {
    let v2 = dialect == Dialect::V2;
    let (version, top, schemas): (_, &[&str], _) = if v2 {
        let top = &["definitions", "info", "parameters", "paths", "swagger"];
        (("swagger", "2.0"), top, "/definitions")
    } else {
        let top = &["components", "info", "openapi", "paths"];
        (("openapi", "3.0.0"), top, "/components/schemas")
    };
    only(document, top, top);
    assert_eq!(document[version.0], version.1);
    only(
        &document["info"],
        &["title", "version"],
        &["title", "version"],
    );
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        assert!(path.starts_with('/'));
        only(item, &["get"], &["get", "parameters"]);
        let listed = item["parameters"].as_array().cloned().unwrap_or_default();
        let listed = listed
            .iter()
            .map(|it| resolved(document, it))
            .collect::<Vec<_>>();
        let mut names = BTreeSet::new();
        for parameter in &listed {
            sound_parameter(parameter, v2);
            let name = text(&parameter["name"]).to_owned();
            let in_path = path.contains(&format!("{{{name}}}"));
            assert_eq!(in_path, parameter["in"] == "path", "{path}: {name}");
            assert!(names.insert(name));
        }
        let templates = path.matches('{').count();
        assert_eq!(
            listed.iter().filter(|it| it["in"] == "path").count(),
            templates,
            "{path}"
        );
        let method = &item["get"];
        let extensions = ["x-kubernetes-action", "x-kubernetes-group-version-kind"];
        let always = ["description", "operationId", "responses", "tags"];
        let more: &[&str] = if v2 { &["schemes", "produces"] } else { &[] };
        only(method, &always, &[&always[..], more, &extensions].concat());
        assert!(ids.insert(text(&method["operationId"])), "{path}");
        let answer = &method["responses"]["200"];
        let schema = if v2 {
            only(
                answer,
                &["description", "schema"],
                &["description", "schema"],
            );
            &answer["schema"]
        } else {
            only(
                answer,
                &["content", "description"],
                &["content", "description"],
            );
            &answer["content"]["application/json"]["schema"]
        };
        sound_schema(document, schema, v2);
    }
    let definitions = document.pointer(schemas).unwrap().as_object().unwrap();
    let used = document.to_string();
    for (name, schema) in definitions {
        sound_schema(document, schema, v2);
        assert!(!text(&schema["description"]).is_empty());
        assert!(
            used.contains(&format!("#{schemas}/{name}\"")),
            "{name} is never used"
        );
    }
}

fn sound_parameter(parameter: &Value, v2: bool) {
    let holds = if v2 { "type" } else { "schema" };
    let always = ["name", "in", holds];
    only(
        parameter,
        &always,
        &[&always[..], &["description", "required"]].concat(),
    );
    assert!(["path", "query"].contains(&text(&parameter["in"])));
    assert_eq!(
        parameter["in"] == "path",
        parameter["required"] == true,
        "{parameter}"
    );
    let holds = if v2 {
        &parameter["type"]
    } else {
        &parameter["schema"]["type"]
    };
    assert!(
        ["string", "integer", "boolean"].contains(&text(holds)),
        "{parameter}"
    );
}

fn sound_schema(document: &Value, schema: &Value, v2: bool) {
    if schema.get("$ref").is_some() {
        only(
            schema,
            &["$ref"],
            if v2 {
                &["$ref", "description"]
            } else {
                &["$ref"]
            },
        );
        resolved(document, schema);
        return;
    }
    let allowed = [
        "additionalProperties",
        "allOf",
        "description",
        "format",
        "items",
        "oneOf",
        "properties",
        "required",
        "type",
        "x-kubernetes-group-version-kind",
    ];
    only(schema, &[], &allowed);
    let within = |key: &str| schema[key].as_array().cloned().unwrap_or_default();
    assert!(
        !v2 || within("oneOf").is_empty(),
        "OpenAPI 2.0 has no oneOf"
    );
    for part in within("allOf").iter().chain(&within("oneOf")) {
        sound_schema(document, part, v2);
    }
    let holds = text(&schema["type"]);
    assert_eq!(holds == "array", schema.get("items").is_some(), "{schema}");
    for inner in ["items", "additionalProperties"]
        .iter()
        .filter_map(|key| schema.get(key))
    {
        sound_schema(document, inner, v2);
    }
    let properties = schema["properties"].as_object();
    for (_, property) in properties.into_iter().flatten() {
        sound_schema(document, property, v2);
    }
    for name in within("required") {
        assert!(
            properties.is_some_and(|it| it.contains_key(text(&name))),
            "{name}"
        );
    }
    let known = ["array", "boolean", "integer", "number", "object", "string"];
    let composed = schema.get("allOf").or(schema.get("oneOf")).is_some();
    assert!(known.contains(&holds) != composed, "{schema}");
}

/// The object itself, or what its `$ref` names.
fn resolved(document: &Value, value: &Value) -> Value {
    let Some(reference) = value.get("$ref") else {
        return value.clone();
    };
    let found = text(reference)
        .strip_prefix('#')
        .and_then(|at| document.pointer(at));
    found
        .unwrap_or_else(|| panic!("{reference} leads nowhere"))
        .clone()
}

/// The object has all `needed` fields and no field that is not `allowed`.
fn only(object: &Value, needed: &[&str], allowed: &[&str]) {
    let fields = object
        .as_object()
        .unwrap_or_else(|| panic!("not an object: {object}"));
    for field in needed {
        assert!(fields.contains_key(*field), "no {field} in {object}");
    }
    for field in fields.keys() {
        assert!(allowed.contains(&field.as_str()), "{field} in {object}");
    }
}
