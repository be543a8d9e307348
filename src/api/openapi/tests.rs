//! The documents say what the Go adapter's say (`tests/data/openapi`, from a recording), and are sound.

mod sound;

use super::*;
use sound::sound;

const PATHS: &str = include_str!("../../../tests/data/openapi/paths.tsv");
const DEFINITIONS: &str = include_str!("../../../tests/data/openapi/definitions.tsv");

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

fn last(reference: &Value) -> &str {
    text(reference).rsplit('/').next().unwrap_or_default()
}

fn kind(value: &Value) -> String {
    match value {
        Value::Array(kinds) => kind(&kinds[0]),
        Value::Null => "-".to_owned(),
        one => [&one["group"], &one["version"], &one["kind"]]
            .map(text)
            .join("/"),
    }
}

/// The documents of version 3 by name, as the index lists them.
fn all_documents(groups: &[ApiGroup]) -> BTreeMap<String, Value> {
    let index = v3_index(groups).unwrap();
    let names = index["paths"].as_object().unwrap().keys();
    names
        .map(|name| (name.clone(), v3(groups, name).unwrap()))
        .collect()
}

/// Each path of a document as a row of the recorded table.
fn described(document: &Value) -> Vec<String> {
    let mut rows = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let parameters = item["parameters"].as_array().cloned().unwrap_or_default();
        let parameters = parameters
            .iter()
            .map(|parameter| match last(&parameter["$ref"]) {
                "-" => parameter.clone(),
                name => document["parameters"][name].clone(),
            });
        let parameters: Vec<_> = parameters
            .map(|it| {
                let holds = it["type"]
                    .as_str()
                    .unwrap_or_else(|| text(&it["schema"]["type"]));
                format!("{}:{}:{holds}", text(&it["in"]), text(&it["name"]))
            })
            .collect();
        let parameters = if parameters.is_empty() {
            "-".to_owned()
        } else {
            parameters.join(",")
        };
        for (method, it) in item
            .as_object()
            .unwrap()
            .iter()
            .filter(|(key, _)| *key != "parameters")
        {
            let answer = &it["responses"]["200"];
            let schema = match &answer["schema"] {
                Value::Null => &answer["content"]["application/json"]["schema"],
                schema => schema,
            };
            rows.push(
                [
                    path,
                    method,
                    text(&it["operationId"]),
                    text(&it["tags"][0]),
                    last(&schema["$ref"]),
                    text(&it["x-kubernetes-action"]),
                    &kind(&it["x-kubernetes-group-version-kind"]),
                    &parameters,
                ]
                .join("\t"),
            );
        }
    }
    rows.sort();
    rows
}

/// A property's type as the recorded table writes it.
fn written(schema: &Value) -> String {
    if let Some(wrapped) = schema.get("allOf") {
        return written(&wrapped[0]);
    }
    if schema.get("$ref").is_some() {
        return last(&schema["$ref"]).to_owned();
    }
    match (
        text(&schema["type"]),
        schema.get("additionalProperties"),
        schema.get("format"),
    ) {
        ("array", ..) => format!("[{}]", written(&schema["items"])),
        ("object", Some(values), _) => format!("{{{}}}", written(values)),
        (holds, _, Some(format)) => format!("{holds}:{}", text(format)),
        ("-", ..) if schema["oneOf"] == json!([{"type": "string"}, {"type": "number"}]) => {
            "string".to_owned()
        }
        (holds, ..) => holds.to_owned(),
    }
}

fn defined(definitions: &Value) -> Vec<String> {
    let mut rows = Vec::new();
    for (name, schema) in definitions.as_object().unwrap() {
        let required: Vec<_> = schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .map(text)
            .collect();
        let properties = match schema["properties"].as_object() {
            None => written(schema),
            Some(properties) => {
                let property = |(name, schema): (&String, &Value)| {
                    let must = if required.contains(&name.as_str()) {
                        "!"
                    } else {
                        ""
                    };
                    format!("{name}{must} {}", written(schema))
                };
                properties
                    .iter()
                    .map(property)
                    .collect::<Vec<_>>()
                    .join(",")
            }
        };
        let kind = kind(&schema["x-kubernetes-group-version-kind"]);
        rows.push(format!("{name}\t{kind}\t{properties}"));
    }
    rows
}

/// The Go adapter has no `metrics.k8s.io/v1`: it is described as v1beta1 is, under its own name.
fn with_v1(mut rows: Vec<String>, is_usage: fn(&str) -> bool) -> Vec<String> {
    let usage = rows.iter().filter(|row| is_usage(row));
    let v1 = usage.map(|row| row.replace("v1beta1", "v1").replace("V1beta1", "V1"));
    rows.extend(v1.collect::<Vec<_>>());
    rows.sort();
    rows
}

#[test]
fn paths_operations_and_parameters_are_those_recorded() {
    // Go names the external metric `name` among the parameters and `resource` in the path, which no
    // reader of OpenAPI can bring together.
    let mend = |row: &str| match row.contains("listExternalMetrics") {
        true => row.replace("path:name:string,", "").replace(
            "query:resourceVersion:",
            "path:resource:string,query:resourceVersion:",
        ),
        false => row.to_owned(),
    };
    let recorded: Vec<String> = PATHS.lines().skip(1).map(mend).collect();
    assert_eq!(recorded.len(), 21);
    let recorded = with_v1(recorded, |row| row.contains("metrics_v1beta1\t"));
    assert_eq!(described(&v2(&ApiGroup::ALL)), recorded);
    let mut all: Vec<_> = all_documents(&ApiGroup::ALL)
        .values()
        .flat_map(described)
        .collect();
    all.sort();
    assert_eq!(all, recorded);
}

#[test]
fn definitions_are_those_recorded() {
    let recorded: Vec<String> = DEFINITIONS.lines().skip(1).map(str::to_owned).collect();
    assert_eq!(recorded.len(), 30);
    let recorded = with_v1(recorded, |row| row.contains(".apis.metrics.v1beta1."));
    assert_eq!(defined(&v2(&ApiGroup::ALL)["definitions"]), recorded);
    let all = all_documents(&ApiGroup::ALL);
    let all: BTreeSet<_> = all
        .values()
        .flat_map(|it| defined(&it["components"]["schemas"]))
        .collect();
    assert_eq!(all.into_iter().collect::<Vec<_>>(), recorded);
}

#[test]
fn the_index_lists_each_document_with_its_hash() {
    let index = v3_index(&ApiGroup::ALL).unwrap();
    let names: Vec<_> = index["paths"].as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        [
            "apis",
            "apis/custom.metrics.k8s.io",
            "apis/custom.metrics.k8s.io/v1beta1",
            "apis/custom.metrics.k8s.io/v1beta2",
            "apis/external.metrics.k8s.io",
            "apis/external.metrics.k8s.io/v1beta1",
            "apis/metrics.k8s.io",
            "apis/metrics.k8s.io/v1",
            "apis/metrics.k8s.io/v1beta1",
            "version",
        ]
    );
    for (name, document) in all_documents(&ApiGroup::ALL) {
        let hash = hash(&encoded(&document).unwrap());
        let url = format!("/openapi/v3/{name}?hash={hash}");
        assert_eq!(text(&index["paths"][&name]["serverRelativeURL"]), url);
        let paths = document["paths"].as_object().unwrap();
        assert!(
            paths
                .keys()
                .all(|path| path.starts_with(&format!("/{name}/"))),
            "{name}"
        );
    }
}

#[test]
fn a_group_that_is_not_served_is_not_described() {
    let groups = [ApiGroup::Custom, ApiGroup::External];
    let (document, index) = (v2(&groups), v3_index(&groups).unwrap());
    let mentioned = |value: &Value| value.to_string().contains("metrics.v1beta1.NodeMetrics");
    assert!(!mentioned(&document) && mentioned(&v2(&ApiGroup::ALL)));
    assert_eq!(index["paths"].get("apis/metrics.k8s.io"), None);
    for version in ["v1", "v1beta1"] {
        assert_eq!(v3(&groups, &format!("apis/metrics.k8s.io/{version}")), None);
    }
    sound(&document, Dialect::V2);
}

#[test]
fn the_documents_are_sound_and_small() {
    let document = v2(&ApiGroup::ALL);
    sound(&document, Dialect::V2);
    let bytes = encoded(&document).unwrap().len();
    assert!(bytes < 45_000, "{bytes} bytes");
    for (name, document) in all_documents(&ApiGroup::ALL) {
        sound(&document, Dialect::V3);
        let bytes = encoded(&document).unwrap().len();
        assert!(bytes < 20_000, "{name}: {bytes} bytes");
    }
}

#[test]
fn a_date_is_written_as_rfc_9110_says() {
    let at: jiff::Timestamp = "2026-11-04T09:05:00Z".parse().unwrap();
    assert_eq!(described::http_date(at), "Wed, 04 Nov 2026 09:05:00 GMT");
}
