//! `/openapi/v2` and `/openapi/v3`: what clients such as `kubectl explain` and kube-aggregator
//! read of us.
//!
//! Both are made from one table of paths and one of definitions, in JSON and in protocol buffers.
//! Paths, operation ids, parameters and definitions are the Go adapter's, the words are ours. A
//! document has the hash of its JSON as ETag; the index of version 3 tells each document's address
//! with that hash, and so addressed it may be kept for good. (OpenAPI 2.0 and 3.0.0;
//! `k8s.io/kube-openapi/pkg/{handler,handler3}`.)

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::Form;
use super::etag::hash;
use super::route::ApiGroup;
use super::status::Failure;
pub(super) use described::Documents;
use operations::{Operation, PATH, Parameter, operations};
use schemas::{Schema, Shape, Type};

/// The documents, ready to be sent.
mod described;
mod operations;
/// The documents as protocol buffers.
mod protobuf;
mod schemas;
#[cfg(test)]
mod tests;

/// Which document is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ask<'a> {
    /// `/openapi/v2`
    V2,
    /// `/openapi/v3/DOCUMENT?hash=`; the index where `document` is empty.
    V3 {
        document: &'a str,
        hash: Option<&'a str>,
    },
}

/// The version of OpenAPI: how references and parameters are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    V2,
    V3,
}

/// `/openapi/v2`: everything in one document.
fn v2(groups: &[ApiGroup]) -> Value {
    let operations = operations(groups);
    let paths: BTreeMap<_, _> = operations
        .iter()
        .map(|it| (&it.path, path_item(it, Dialect::V2)))
        .collect();
    let schemas = reachable(operations.iter().map(|it| it.gives));
    let definitions: BTreeMap<_, _> = schemas
        .into_iter()
        .map(|it| (it.name, definition(it, Dialect::V2)))
        .collect();
    let query = operations.iter().flat_map(|it| it.query.iter().copied());
    let parameters: BTreeMap<_, _> = query
        .map(|it| (it.name, parameter(it, "query", Dialect::V2)))
        .chain(
            PATH.iter()
                .map(|it| (it.name, parameter(it, "path", Dialect::V2))),
        )
        .collect();
    json!({
        "swagger": "2.0", "info": info(), "paths": paths,
        "definitions": definitions, "parameters": parameters,
    })
}

/// `/openapi/v3/DOCUMENT`.
fn v3(groups: &[ApiGroup], document: &str) -> Option<Value> {
    let mut operations = operations(groups);
    operations.retain(|it| it.document == document);
    if operations.is_empty() {
        return None;
    }
    let paths: BTreeMap<_, _> = operations
        .iter()
        .map(|it| (&it.path, path_item(it, Dialect::V3)))
        .collect();
    let schemas = reachable(operations.iter().map(|it| it.gives));
    let schemas: BTreeMap<_, _> = schemas
        .into_iter()
        .map(|it| (it.name, definition(it, Dialect::V3)))
        .collect();
    Some(json!({
        "openapi": "3.0.0", "info": info(), "paths": paths, "components": {"schemas": schemas},
    }))
}

/// What stands below `/openapi/v3/`.
fn documents(groups: &[ApiGroup]) -> BTreeSet<String> {
    let operations = operations(groups).into_iter();
    operations.map(|it| it.document).collect()
}

/// `/openapi/v3`: the addresses of the documents.
fn v3_index(groups: &[ApiGroup]) -> Result<Value, Failure> {
    let mut paths = BTreeMap::new();
    for document in documents(groups) {
        let bytes = encoded(&v3(groups, &document))?;
        let url = format!("/openapi/v3/{document}?hash={}", hash(&bytes));
        paths.insert(document, json!({"serverRelativeURL": url}));
    }
    Ok(json!({"paths": paths}))
}

fn info() -> Value {
    json!({"title": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION")})
}

fn path_item(operation: &Operation, dialect: Dialect) -> Value {
    let in_path = PATH
        .iter()
        .filter(|it| operation.path.contains(&format!("{{{}}}", it.name)));
    let mut parameters: Vec<_> = in_path.map(|it| (it, "path")).collect();
    parameters.extend(operation.query.iter().map(|it| (*it, "query")));
    parameters.sort_by_key(|(it, _)| it.name);
    let parameters: Vec<Value> = parameters
        .into_iter()
        .map(|(it, place)| match dialect {
            Dialect::V2 => json!({"$ref": format!("#/parameters/{}", it.name)}),
            Dialect::V3 => parameter(it, place, dialect),
        })
        .collect();
    let mut item = json!({"get": method(operation, dialect)});
    if !parameters.is_empty() {
        item["parameters"] = parameters.into();
    }
    item
}

fn method(operation: &Operation, dialect: Dialect) -> Value {
    let schema = reference(operation.gives, dialect);
    let mut method = json!({
        "tags": [operation.tag], "operationId": operation.id, "description": operation.about,
    });
    match dialect {
        Dialect::V2 => {
            method["schemes"] = json!(["https"]);
            method["produces"] = json!(["application/json"]);
            method["responses"] = json!({"200": {"description": "OK", "schema": schema}});
        }
        Dialect::V3 => {
            let content = json!({"application/json": {"schema": schema}});
            method["responses"] = json!({"200": {"description": "OK", "content": content}});
        }
    }
    if let Some((action, version, kind)) = &operation.action {
        method["x-kubernetes-action"] = json!(action);
        method["x-kubernetes-group-version-kind"] =
            group_version_kind(version.group().name(), version.version(), kind);
    }
    method
}

fn parameter(parameter: &Parameter, place: &str, dialect: Dialect) -> Value {
    let Parameter { name, holds, about } = parameter;
    let mut value = json!({"name": name, "in": place, "description": about});
    if place == "path" {
        value["required"] = json!(true);
    }
    match dialect {
        Dialect::V2 => value["type"] = json!(holds),
        Dialect::V3 => value["schema"] = json!({"type": holds}),
    }
    value
}

fn definition(schema: &Schema, dialect: Dialect) -> Value {
    let mut value = json!({"description": schema.about});
    match (&schema.shape, dialect) {
        (Shape::Any, _) => value["type"] = json!("object"),
        (Shape::Text(format), _) => {
            value["type"] = json!("string");
            if let Some(format) = format {
                value["format"] = json!(format);
            }
        }
        (Shape::Quantity, Dialect::V2) => value["type"] = json!("string"),
        (Shape::Quantity, Dialect::V3) => {
            value["oneOf"] = json!([{"type": "string"}, {"type": "number"}]);
        }
        (Shape::Object(properties), _) => {
            value["type"] = json!("object");
            let described = |it: &schemas::Property| {
                let mut described = holds(it.holds, dialect);
                described["description"] = json!(it.about);
                (it.name, described)
            };
            let fields: BTreeMap<_, _> = properties.iter().map(described).collect();
            value["properties"] = json!(fields);
            let required: Vec<_> = properties
                .iter()
                .filter(|it| it.required)
                .map(|it| it.name)
                .collect();
            if !required.is_empty() {
                value["required"] = json!(required);
            }
        }
    }
    if let Some((group, version, kind)) = schema.kind {
        value["x-kubernetes-group-version-kind"] =
            json!([group_version_kind(group, version, kind)]);
    }
    value
}

/// A property's type. In OpenAPI 3 nothing may stand beside a `$ref`, so it is wrapped.
fn holds(holds: Type, dialect: Dialect) -> Value {
    let list = |items: Value| json!({"type": "array", "items": items});
    let map = |values: Value| json!({"type": "object", "additionalProperties": values});
    let text = json!({"type": "string"});
    match holds {
        Type::Text => text,
        Type::Integer => json!({"type": "integer", "format": "int64"}),
        Type::Boolean => json!({"type": "boolean"}),
        Type::One(name) if dialect == Dialect::V3 => json!({"allOf": [reference(name, dialect)]}),
        Type::One(name) => reference(name, dialect),
        Type::Texts => list(text),
        Type::List(name) => list(reference(name, dialect)),
        Type::TextMap => map(text),
        Type::Map(name) => map(reference(name, dialect)),
    }
}

fn reference(name: &str, dialect: Dialect) -> Value {
    match dialect {
        Dialect::V2 => json!({"$ref": format!("#/definitions/{name}")}),
        Dialect::V3 => json!({"$ref": format!("#/components/schemas/{name}")}),
    }
}

fn group_version_kind(group: &str, version: &str, kind: &str) -> Value {
    json!({"group": group, "version": version, "kind": kind})
}

/// The definitions of these names, and those that they lead to.
fn reachable<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'static Schema> {
    let mut wanted: Vec<&str> = names.collect();
    let mut seen = BTreeSet::new();
    while let Some(name) = wanted.pop() {
        let schema = schemas::all().find(|it| it.name == name && !seen.contains(it.name));
        let Some(schema) = schema else { continue };
        seen.insert(schema.name);
        if let Shape::Object(properties) = schema.shape {
            wanted.extend(properties.iter().filter_map(|it| match it.holds {
                Type::One(name) | Type::List(name) | Type::Map(name) => Some(name),
                _ => None,
            }));
        }
    }
    schemas::all().filter(|it| seen.contains(it.name)).collect()
}

fn encoded(document: &impl serde::Serialize) -> Result<Vec<u8>, Failure> {
    let bytes = Form::default().json(document);
    bytes.map_err(|error| Failure::internal("unable to encode", &error.to_string()))
}
