//! Usage in every encoding and as every other object.

use serde_json::{Value as Json, json};

use super::*;
use crate::api::accept::{Encoding, Include, MetaVersion};
use crate::api::wire::tests::decoder::{decode, from_hex, pruned};
use crate::plan::Value;

const ACCEPT: &str = include_str!("../../../../tests/data/recorded/accept.jsonl");

/// When the recorded answers were made.
const NOW: i64 = 1_795_351_487;

fn object(name: &str, namespace: &str, labels: &[(&str, &str)]) -> Object {
    Object {
        name: name.into(),
        namespace: namespace.into(),
        labels: labels.iter().copied().collect(),
    }
}

fn value(quantity: &str) -> Value {
    Value {
        quantity: quantity.parse().unwrap(),
        timestamp: Timestamp::from_second(NOW).unwrap(),
    }
}

fn usage(cpu: &str, memory: &str) -> Usage {
    let (cpu, memory) = (value(cpu), value(memory));
    Usage { cpu, memory }
}

fn measured() -> Measured {
    Measured {
        api_version: "metrics.k8s.io/v1beta1",
        now: Timestamp::from_second(NOW).unwrap(),
        window: Duration::from_secs(60),
    }
}

fn nodes() -> [(Object, Usage); 2] {
    let node = |name, zone, cpu, memory| {
        let node = object(name, "", &[("zone", zone)]);
        (node, usage(cpu, memory))
    };
    [
        node("node-1", "a", "3500m", "2Gi"),
        node("node-2", "b", "333m", "1073741824500m"),
    ]
}

fn pods() -> [(Object, PodUsage); 2] {
    let labels = [("app", "web"), ("tier", "front")];
    let app = |cpu, memory| ("app".to_owned(), usage(cpu, memory));
    let sidecar = ("sidecar".to_owned(), usage("1m", "1048577"));
    [
        (
            object("web-a", "shop", &labels),
            PodUsage::from([app("250m", "100Mi"), sidecar]),
        ),
        (
            object("web-b", "shop", &labels),
            PodUsage::from([app("1500m", "50Mi")]),
        ),
    ]
}

fn node_list(form: Form) -> Result<Body, Failure> {
    let nodes = nodes();
    let items = nodes
        .iter()
        .map(|(node, usage)| measured().node(node, usage));
    measured().list("NodeMetricsList", items.collect(), form)
}

fn pod_list(pods: &[(Object, PodUsage)], form: Form) -> Result<Body, Failure> {
    let items = pods.iter().map(|(pod, usage)| measured().pod(pod, usage));
    measured().list("PodMetricsList", items.collect(), form)
}

fn node(form: Form) -> Result<Body, Failure> {
    let [(node, usage), _] = nodes();
    measured().alone(measured().node(&node, &usage), form)
}

fn form(encoding: Encoding, conversion: Option<Conversion>) -> Form {
    Form {
        encoding,
        conversion,
        ..Form::default()
    }
}

/// A recorded exchange of the resource metrics.
fn recorded(path: &str, accept: &str) -> Json {
    let exchanges = ACCEPT
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let path = format!("/apis/metrics.k8s.io/v1beta1/{path}");
    let mut found = exchanges.filter(|it: &Json| it["path"] == path && it["accept"] == accept);
    found
        .next()
        .unwrap_or_else(|| panic!("{path} must be recorded"))
}

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

#[test]
fn recorded_usage_is_written_byte_for_byte_in_protocol_buffers() {
    let form = form(Encoding::Protobuf, None);
    for (path, body) in [
        ("nodes", node_list(form)),
        ("nodes/node-1", node(form)),
        ("namespaces/shop/pods", pod_list(&pods(), form)),
    ] {
        let body = body.unwrap();
        let exchange = recorded(path, PROTOBUF);
        assert_eq!(body.content_type, PROTOBUF);
        let recorded = from_hex(exchange["resp_hex"].as_str().unwrap());
        assert_eq!(body.bytes, recorded, "{path}");
    }
}

#[test]
fn recorded_tables_are_written_byte_for_byte() {
    let table = Conversion::Table(MetaVersion::V1, Include::Metadata);
    let form = form(Encoding::Json, Some(table));
    for (path, body) in [
        ("nodes", node_list(form)),
        ("nodes/node-1", node(form)),
        ("namespaces/shop/pods", pod_list(&pods(), form)),
    ] {
        let exchange = recorded(path, TABLE);
        let body = String::from_utf8(body.unwrap().bytes.to_vec()).unwrap();
        assert_eq!(body, exchange["resp"].as_str().unwrap(), "{path}");
    }
}

fn json(body: Result<Body, Failure>) -> Json {
    serde_json::from_slice(&body.unwrap().bytes).unwrap()
}

#[test]
fn rows_come_with_the_object_that_is_asked_for() {
    let table = |version, include| {
        let table = Conversion::Table(version, include);
        json(pod_list(&pods(), form(Encoding::Json, Some(table))))
    };
    let none = table(MetaVersion::V1, Include::None);
    assert_eq!(none["rows"][0]["object"], json!(null));
    let old = table(MetaVersion::V1Beta1, Include::Metadata);
    assert_eq!(old["apiVersion"], "meta.k8s.io/v1beta1");
    let object = &old["rows"][0]["object"];
    assert_eq!(object["apiVersion"], "meta.k8s.io/v1beta1");
    let whole = table(MetaVersion::V1, Include::Object);
    let object = &whole["rows"][0]["object"];
    assert_eq!(object["kind"], "PodMetrics");
    assert_eq!(object["apiVersion"], "metrics.k8s.io/v1beta1");
    assert_eq!(object["containers"][0]["usage"]["cpu"], "250m");
}

#[test]
fn a_table_of_nothing_has_neither_columns_nor_rows() {
    let table = Conversion::Table(MetaVersion::V1, Include::Metadata);
    let empty = json(pod_list(&[], form(Encoding::Json, Some(table))));
    assert_eq!(empty["columnDefinitions"], json!(null));
    assert_eq!(empty["rows"], json!(null));
}

#[test]
fn metadata_alone_is_served_of_a_list_as_a_list_and_of_an_object_as_one() {
    for version in [MetaVersion::V1, MetaVersion::V1Beta1] {
        let (one, many) = (
            Conversion::Metadata(version),
            Conversion::MetadataList(version),
        );
        let list = json(node_list(form(Encoding::Json, Some(many))));
        assert_eq!(list["kind"], "PartialObjectMetadataList");
        assert_eq!(
            list["items"][1]["metadata"]["labels"],
            json!({ "zone": "b" })
        );
        assert_eq!(list["items"][1]["usage"], json!(null));
        let object = json(node(form(Encoding::Json, Some(one))));
        assert_eq!(object["kind"], "PartialObjectMetadata");
        let list_of_one = node(form(Encoding::Json, Some(many))).unwrap_err();
        let one_of_list = node_list(form(Encoding::Json, Some(one))).unwrap_err();
        assert_eq!((list_of_one.code(), one_of_list.code()), (406, 406));
    }
}

#[test]
fn usage_says_the_same_in_each_encoding() {
    let pods = pods();
    let all: [&dyn Fn(Form) -> Result<Body, Failure>; 3] =
        [&node_list, &node, &|form| pod_list(&pods, form)];
    let conversions = [MetaVersion::V1, MetaVersion::V1Beta1].map(|version| {
        [
            Some(Conversion::Metadata(version)),
            Some(Conversion::MetadataList(version)),
        ]
    });
    for answer in all {
        for conversion in [None].into_iter().chain(conversions.concat()) {
            let Ok(body) = answer(form(Encoding::Json, conversion)) else {
                continue;
            };
            let json: Json = serde_json::from_slice(&body.bytes).unwrap();
            let yaml = answer(form(Encoding::Yaml, conversion)).unwrap();
            assert_eq!(yaml.content_type, "application/yaml");
            let yaml = String::from_utf8(yaml.bytes.to_vec()).unwrap();
            assert_eq!(serde_saphyr::from_str::<Json>(&yaml).unwrap(), json);
            let bytes = answer(form(Encoding::Protobuf, conversion)).unwrap().bytes;
            assert_eq!(decode(&bytes), Ok(pruned(&json)));
        }
    }
}
