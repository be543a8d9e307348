//! One object, three encodings: the recorded bytes, and the same values in each.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    APIResource, APIResourceList, Status, StatusCause, StatusDetails,
};
use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;
use crate::api::accept::Encoding;

// Other tests include the same file, each with its own visibility and needs.
#[allow(unreachable_pub, dead_code)]
#[path = "../../../tests/support/protobuf.rs"]
pub(super) mod decoder;

use decoder::{decode, from_hex, pruned};

const ACCEPT: &str = include_str!("../../../tests/data/recorded/accept.jsonl");

fn form(encoding: Encoding) -> Form {
    Form {
        encoding,
        ..Form::default()
    }
}

/// The object in JSON, after YAML and protocol buffers were found to say the same.
fn said_alike(answer: impl Fn(Form) -> Vec<u8>) -> Json {
    let json: Json = serde_json::from_slice(&answer(form(Encoding::Json))).unwrap();
    let yaml = String::from_utf8(answer(form(Encoding::Yaml))).unwrap();
    let read: Json = serde_saphyr::from_str(&yaml).unwrap_or_else(|e| panic!("{e}: {yaml}"));
    assert_eq!(read, json, "{yaml}");
    let decoded = decode(&answer(form(Encoding::Protobuf)));
    assert_eq!(decoded, Ok(pruned(&json)));
    json
}

fn pods() -> Kind {
    Kind {
        group: String::new(),
        version: "v1".to_owned(),
        kind: "Pod".to_owned(),
        plural: "pods".to_owned(),
        singular: "pod".to_owned(),
        namespaced: true,
    }
}

fn value(quantity: &str, seconds: i64) -> Value {
    Value {
        quantity: quantity.parse().unwrap(),
        timestamp: Timestamp::from_second(seconds).unwrap(),
    }
}

/// The recorded answer in protocol buffers to a request for `path`.
fn recorded(path: &str) -> Vec<u8> {
    let exchanges = ACCEPT
        .lines()
        .map(|line| serde_json::from_str::<Json>(line).unwrap());
    let mut found = exchanges
        .filter(|it| it["path"] == path && it["accept"] == "application/vnd.kubernetes.protobuf");
    let found = found
        .next()
        .unwrap_or_else(|| panic!("{path} must be recorded"));
    from_hex(found["resp_hex"].as_str().unwrap())
}

#[test]
fn recorded_metrics_are_written_byte_for_byte() {
    let kind = pods();
    let described = Described {
        kind: &kind,
        namespace: Some("shop"),
        metric: "queue_depth",
        selector: None,
    };
    for (version, name, seconds) in [
        (CustomVersion::V1Beta1, "v1beta1", 1_795_351_479),
        (CustomVersion::V1Beta2, "v1beta2", 1_795_351_485),
    ] {
        let values = [("web-a", &value("10", seconds))];
        let body = metric_value_list(version, &described, &values, form(Encoding::Protobuf));
        let path = format!("/apis/custom.metrics.k8s.io/{name}");
        let recorded = recorded(&format!("{path}/namespaces/shop/pods/web-a/queue_depth"));
        assert_eq!(body.unwrap().bytes, recorded);
    }
    let values = [ExternalValue {
        labels: BTreeMap::from([("topic".to_owned(), "orders".to_owned())]),
        value: value("150", 1_795_351_486),
    }];
    let form = form(Encoding::Protobuf);
    let kind = prometheus::Kind::Vector;
    let body = external_metric_value_list("lag", kind, &values, form);
    let path = "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/lag";
    assert_eq!(body.unwrap().bytes, recorded(path));
}

/// A list with what we never send, a window, as another writer put it down.
#[test]
fn the_decoder_of_these_tests_reads_what_others_wrote() {
    let list = from_hex(
        "6b3873000a300a1d637573746f6d2e6d6574726963732e6b38732e696f2f76316265746132120f4d\
         657472696356616c75654c69737412510a060a0012001a0012470a1f0a03506f6412076465666175\
         6c741a057765622d3022002a02763132003a00120f0a0d687474705f72657175657374731a080880\
         e2cfaa061000203c2a070a05313530306d1a002200",
    );
    let expected = serde_json::json!({
        "kind": "MetricValueList",
        "apiVersion": "custom.metrics.k8s.io/v1beta2",
        "items": [{
            "describedObject": {
                "kind": "Pod", "namespace": "default", "name": "web-0", "apiVersion": "v1"
            },
            "metric": {"name": "http_requests"},
            "timestamp": "2023-11-14T22:13:20Z",
            "windowSeconds": 60,
            "value": "1500m"
        }]
    });
    assert_eq!(decode(&list), Ok(expected));
}

#[test]
fn an_error_says_the_same_in_each_encoding() {
    let whole = Status {
        code: Some(503),
        reason: Some("ServiceUnavailable".to_owned()),
        message: Some("406: Not\n\nthis: \"that\" ".to_owned()),
        status: Some("Failure".to_owned()),
        details: Some(StatusDetails {
            name: Some("web-a".to_owned()),
            group: Some("metrics.k8s.io".to_owned()),
            kind: Some("pods".to_owned()),
            causes: Some(vec![StatusCause {
                reason: Some("Cause".to_owned()),
                message: Some("why".to_owned()),
                field: Some("spec".to_owned()),
            }]),
            retry_after_seconds: Some(1),
            uid: Some("u".to_owned()),
        }),
        ..Status::default()
    };
    for status in [whole, Status::default()] {
        said_alike(|form| form.write(&status).unwrap());
    }
    // Every field that is no pointer is there, empty or not (`Status.MarshalToSizedBuffer`).
    let empty = form(Encoding::Protobuf).write(&Status::default()).unwrap();
    let expected =
        "6b387300 0a0c0a0276311206537461747573 1210 0a060a0012001a00 1200 1a00 2200 3000 1a00 2200";
    assert_eq!(empty, from_hex(expected));
}

#[test]
fn resources_say_the_same_in_each_encoding() {
    let list = APIResourceList {
        group_version: "custom.metrics.k8s.io/v1beta2".to_owned(),
        resources: vec![APIResource {
            name: "pods/queue_depth".to_owned(),
            namespaced: true,
            kind: "MetricValueList".to_owned(),
            verbs: vec!["get".to_owned()],
            short_names: Some(vec!["q".to_owned()]),
            categories: Some(vec!["all".to_owned(), "more".to_owned()]),
            group: Some("g".to_owned()),
            version: Some("v".to_owned()),
            storage_version_hash: Some("h".to_owned()),
            singular_name: "pod".to_owned(),
        }],
    };
    said_alike(|form| form.write(&list).unwrap());
}

fn labels() -> impl Strategy<Value = BTreeMap<String, String>> {
    proptest::collection::btree_map("[a-z0-9_]{1,8}", "[ -~é]{0,12}", 0..4)
}

fn values() -> impl Strategy<Value = Value> {
    let times = 1..4_102_444_800_000_i64;
    (any::<f64>(), times).prop_filter_map("not a value", |(sample, at)| {
        Some(Value {
            quantity: Quantity::from_sample(sample)?,
            timestamp: Timestamp::from_millisecond(at).ok()?,
        })
    })
}

fn selectors() -> impl Strategy<Value = Option<LabelSelector>> {
    let texts = [
        "",
        "a=b",
        "a!=b,c in (d,e)",
        "a,!b,c notin (d)",
        "b=c,a=b,z==y",
    ];
    proptest::sample::select(texts.to_vec())
        .prop_map(|text| label_selector(&Selector::parse(text).unwrap()))
}

proptest! {
    #[test]
    fn custom_metrics_say_the_same_in_each_encoding(
        items in proptest::collection::vec(("[a-z0-9.-]{1,9}", values()), 0..5),
        namespace in proptest::option::of("[a-z]{1,5}"),
        selector in selectors(),
    ) {
        let kind = pods();
        let described = Described {
            kind: &kind,
            namespace: namespace.as_deref(),
            metric: "queue_depth",
            selector,
        };
        let values: Vec<_> = items.iter().map(|(name, value)| (name.as_str(), value)).collect();
        for version in [CustomVersion::V1Beta1, CustomVersion::V1Beta2] {
            said_alike(|form| {
                metric_value_list(version, &described, &values, form).unwrap().bytes.to_vec()
            });
        }
    }

    #[test]
    fn external_metrics_say_the_same_in_each_encoding(
        items in proptest::collection::vec((labels(), values()), 0..5),
        scalar in any::<bool>(),
    ) {
        let items = items.into_iter().map(|(labels, value)| ExternalValue { labels, value });
        let items: Vec<_> = items.collect();
        let kind = if scalar { prometheus::Kind::Scalar } else { prometheus::Kind::Vector };
        said_alike(|form| {
            external_metric_value_list("lag", kind, &items, form).unwrap().bytes.to_vec()
        });
    }
}
