//! Where ours differs from the Go adapter on purpose, and what it must answer there.
//!
//! Each row is one decision. A row that concerns no recorded exchange, or changes nothing in one, fails
//! a test, so this list can neither grow stale nor wave anything through.

mod aggregated;

use serde_json::{Value, json};

use super::compare::Body;

/// What an exchange must answer.
#[derive(Debug, PartialEq, Clone)]
pub struct Expected {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`, whole.
    pub media_type: String,
    /// The body.
    pub body: Body,
    /// Each PromQL that goes to Prometheus, in any order.
    pub promql: Vec<String>,
}

/// One deliberate difference at one kind of request.
pub struct Difference {
    /// The decision, in words.
    pub row: &'static str,
    /// The path; behind a version of the custom or external API, what follows that version.
    pub path: &'static str,
    /// Makes what was recorded into what ours must answer; the text is the version of the API asked.
    pub ours: fn(&mut Expected, &str),
}

impl Difference {
    /// Is a request for this path one of those?
    pub fn concerns(&self, path: &str) -> bool {
        let versions = [
            "/apis/custom.metrics.k8s.io/v1beta1/",
            "/apis/custom.metrics.k8s.io/v1beta2/",
            "/apis/external.metrics.k8s.io/v1beta1/",
        ];
        path == self.path
            || versions
                .iter()
                .any(|version| path.strip_prefix(version) == Some(self.path))
    }

    /// Makes what was recorded for `path` into what ours must answer.
    pub fn apply(&self, path: &str, expected: &mut Expected) {
        (self.ours)(expected, path.split('/').nth(3).unwrap_or_default());
    }
}

/// Every difference that a recorded exchange shows.
pub const DIFFERENCES: &[Difference] = &[
    Difference {
        row: "NaN and infinities are no values: no item",
        path: "namespaces/shop/pods/*/odd_gauge",
        ours: |expected, _| json_of(expected)["items"] = json!([]),
    },
    Difference {
        row: "NaN is no value: not found by name, and the message says why",
        path: "namespaces/shop/pods/web-a/odd_gauge",
        ours: |expected, _| not_a_number(expected, "web-a", "NaN"),
    },
    Difference {
        row: "+Inf is no value: not found by name, and the message says why",
        path: "namespaces/shop/pods/web-b/odd_gauge",
        ours: |expected, _| not_a_number(expected, "web-b", "+Inf"),
    },
    Difference {
        row: "-Inf is no value: not found by name, and the message says why",
        path: "namespaces/shop/pods/web-c/odd_gauge",
        ours: |expected, _| not_a_number(expected, "web-c", "-Inf"),
    },
    Difference {
        row: "small values keep their digits",
        path: "namespaces/shop/pods/*/tiny_gauge",
        ours: |expected, _| small_value(expected),
    },
    Difference {
        row: "small values keep their digits",
        path: "namespaces/shop/pods/web-a/tiny_gauge",
        ours: |expected, _| small_value(expected),
    },
    Difference {
        row: "all namespaces are asked for at once, where Go asks for each",
        path: "/apis/metrics.k8s.io/v1beta1/pods",
        ours: |expected, _| one_query_for_all_namespaces(expected),
    },
    Difference {
        row: "small values keep their digits",
        path: "/apis/metrics.k8s.io/v1beta1/pods",
        ours: |expected, _| small_usage(&mut json_of(expected)["items"][1]),
    },
    Difference {
        row: "small values keep their digits",
        path: "/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods",
        ours: |expected, _| small_usage(&mut json_of(expected)["items"][0]),
    },
    Difference {
        row: "small values keep their digits",
        path: "/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods table",
        ours: |expected, _| {
            let cells = &mut json_of(expected)["rows"][0]["cells"];
            assert_eq!((&cells[0], &cells[1]), (&json!("web-a"), &json!("251m")));
            cells[1] = json!("251500u");
        },
    },
    Difference {
        row: "small values keep their digits",
        path: "/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods?limit=1",
        ours: |expected, _| small_usage(&mut json_of(expected)["items"][0]),
    },
    Difference {
        row: "small values keep their digits",
        path: "/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods/web-a",
        ours: |expected, _| small_usage(json_of(expected)),
    },
    Difference {
        row: "`*` and no object: an empty list",
        path: "namespaces/shop/pods/*/queue_depth?labelSelector=app%3Dnone",
        ours: empty_list,
    },
    Difference {
        row: "`*` and no object: an empty list",
        path: "namespaces/shop/pods/*/queue_depth?labelSelector=app+notin+%28web%29",
        ours: empty_list,
    },
    Difference {
        row: "`*` and no object: an empty list",
        path: "namespaces/shop/pods/*/queue_depth?labelSelector=%21app",
        ours: empty_list,
    },
    Difference {
        row: "`*` and no object: an empty list",
        path: "namespaces/nons/pods/*/queue_depth",
        ours: empty_list,
    },
    Difference {
        row: "a metric selector that cannot be parsed is the client's mistake",
        path: "namespaces/shop/pods/*/multi_gauge?metricLabelSelector=%28%28",
        ours: |expected, _| same_text_as_bad_request(expected),
    },
    Difference {
        row: "a metric selector that cannot be parsed is the client's mistake",
        path: "namespaces/shop/pods/*/multi_gauge?metricLabelSelector=bad%22label%3D1",
        ours: |expected, _| same_text_as_bad_request(expected),
    },
    Difference {
        row: "`!=` in a metric selector is served",
        path: "namespaces/shop/pods/*/multi_gauge?metricLabelSelector=shard%21%3D0",
        ours: not_equal,
    },
    Difference {
        row: "`>` in a metric selector is refused by name",
        path: "namespaces/shop/pods/*/multi_gauge?metricLabelSelector=shard%3E0",
        ours: |expected, _| refused_operator(expected, ">"),
    },
    Difference {
        row: "`<` in a metric selector is refused by name",
        path: "namespaces/shop/pods/*/multi_gauge?metricLabelSelector=shard%3C1",
        ours: |expected, _| refused_operator(expected, "<"),
    },
    Difference {
        row: "`>` in a metric selector is refused by name",
        path: "namespaces/shop/lag?labelSelector=partition%3E0",
        ours: |expected, _| refused_operator(expected, ">"),
    },
    Difference {
        row: "a value is itself, not a pattern: `eu.west` does not match `euXwest`",
        path: "namespaces/shop/pods/*/quoted_gauge?metricLabelSelector=zone%20in%20%28eu.west%29",
        ours: |expected, _| {
            json_of(expected)["items"] = json!([]);
            expected.promql = vec![
                r#"sum(quoted_gauge{zone=~"eu\\.west",namespace="shop",pod=~"web-a|web-b|web-c"}) by (pod)"#
                    .to_owned(),
            ];
        },
    },
    Difference {
        row: "a 404 has Go's text and the cause behind it",
        path: "namespaces/shop/po/web-a/queue_depth",
        ours: |expected, _| because(expected, "no matches for /, Resource=po; similar: pods"),
    },
    Difference {
        row: "a 404 has Go's text and the cause behind it",
        path: "namespaces/shop/widgets/x/queue_depth",
        ours: |expected, _| because(expected, "no matches for /, Resource=widgets"),
    },
    Difference {
        row: "a 404 has Go's text and the cause behind it",
        path: "namespaces/shop/deployments.v1.apps/web/deploy_backlog",
        ours: |expected, _| {
            because(
                expected,
                "no matches for v1.apps/, Resource=deployments; similar: deployments.apps",
            )
        },
    },
    Difference {
        row: "a 404 has Go's text and the cause behind it",
        path: "namespaces/shop/pods/web-a/nope",
        ours: |expected, _| because(expected, "no rule makes it"),
    },
    Difference {
        row: "a 404 has Go's text and the cause behind it",
        path: "namespaces/shop/pods/*/nope",
        ours: |expected, _| because(expected, "no rule makes it"),
    },
    Difference {
        row: "a 404 has Go's text and the cause behind it",
        path: "namespaces/shop/metrics/nope",
        ours: |expected, _| because(expected, "no rule makes it"),
    },
    Difference {
        row: "a 404 has Go's text and the cause behind it",
        path: "nodes/node-1/nope",
        ours: |expected, _| because(expected, "no rule makes it"),
    },
    Difference {
        row: "a 404 has Go's text and the cause behind it",
        path: "namespaces/nons/metrics/ns_budget",
        ours: |expected, _| {
            because(
                expected,
                "the query of rules[5] (line 19) gives no series for it",
            )
        },
    },
    Difference {
        row: "a 404 has Go's text and the cause behind it",
        path: "nodes/node-9/node_temp",
        ours: |expected, _| {
            because(
                expected,
                "the query of rules[4] (line 16) gives no series for it",
            )
        },
    },
    Difference {
        row: "a 404 has Go's text and the cause behind it",
        path: "nodes/node-1/queue_depth",
        ours: |expected, _| because(expected, "it is a metric of namespaces, pods"),
    },
    Difference {
        row: "custom and resource metrics have two versions each",
        path: "/apis",
        ours: |expected, _| all_versions_in_the_list(expected),
    },
    Difference {
        row: "custom and resource metrics have two versions each",
        path: "/apis/",
        ours: |expected, _| all_versions_in_the_list(expected),
    },
    Difference {
        row: "the custom group has both versions, v1beta2 first",
        path: "/apis/custom.metrics.k8s.io",
        ours: |expected, _| custom_group(json_of(expected)),
    },
    Difference {
        row: "the custom group has both versions, v1beta2 first",
        path: "/apis/custom.metrics.k8s.io/",
        ours: |expected, _| custom_group(json_of(expected)),
    },
    Difference {
        row: "the resource group has v1 too, and v1beta1 is preferred as it was",
        path: "/apis/metrics.k8s.io",
        ours: |expected, _| resource_group(json_of(expected)),
    },
    Difference {
        row: "the list of paths has metrics.k8s.io/v1",
        path: "/",
        ours: |expected, _| one_more_path(expected),
    },
    Difference {
        row: "the list of paths has metrics.k8s.io/v1",
        path: "/nope",
        ours: |expected, _| one_more_path(expected),
    },
    Difference {
        row: "the list of paths has metrics.k8s.io/v1",
        path: "/api",
        ours: |expected, _| one_more_path(expected),
    },
    Difference {
        row: "the list of paths has metrics.k8s.io/v1",
        path: "/apis/nope.k8s.io",
        ours: |expected, _| one_more_path(expected),
    },
    Difference {
        row: "the list of paths has metrics.k8s.io/v1",
        path: "/readyz/nope",
        ours: |expected, _| one_more_path(expected),
    },
    Difference {
        row: "all groups are aggregated, with their own kinds; Go aggregates one of three",
        path: "/apis aggregated",
        ours: |expected, _| aggregated::every_group(expected),
    },
    Difference {
        row: "our own version, in full",
        path: "/version",
        ours: |expected, _| expected.body = Body::Version,
    },
    Difference {
        row: "our own version, in full",
        path: "/version/",
        ours: |expected, _| expected.body = Body::Version,
    },
    Difference {
        row: "our own metrics, which the recording leaves out",
        path: "/metrics",
        ours: |expected, _| expected.body = Body::NotEmpty,
    },
];

/// An external metric that no rule has.
pub const EXTERNAL_UNKNOWN: &str = "the server could not find the metric nope: no rule makes it";

/// A selector on a label whose name Prometheus' grammar has no place for.
pub const LABEL_NOT_EXPRESSIBLE: &str = "\"app.kubernetes.io/name\" in the metric selector is not a label name that Prometheus can match: \
     use letters, digits and underscores";

/// A sample that is no number; behind the sentence for a metric that is not there.
const NOT_A_NUMBER: &str = "the sample is not a number";

/// `>` and `<` compare numbers, and the values of Prometheus' labels are texts.
fn operator_refused(operator: &str) -> String {
    format!(
        "the operator \"{operator}\" in the metric selector cannot be expressed in PromQL: \
         use =, ==, !=, in, notin, KEY or !KEY"
    )
}

/// A `metav1.Status` of a failure.
fn failure(expected: &mut Expected, code: u16, reason: &str, message: &str) {
    expected.status = code;
    expected.body = Body::Json(json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    }));
}

fn not_a_number(expected: &mut Expected, pod: &str, sample: &str) {
    let message = format!(
        "the server could not find the metric odd_gauge for pods {pod}: {NOT_A_NUMBER} ({sample})"
    );
    failure(expected, 404, "NotFound", &message);
}

/// The text that was recorded, and why it is so.
fn because(expected: &mut Expected, cause: &str) {
    let message = &mut json_of(expected)["message"];
    let recorded = message.as_str().unwrap_or_default();
    *message = json!(format!("{recorded}: {cause}"));
}

fn refused_operator(expected: &mut Expected, operator: &str) {
    failure(expected, 400, "BadRequest", &operator_refused(operator));
    expected.promql.clear();
}

/// The same text as recorded, as the client's mistake.
fn same_text_as_bad_request(expected: &mut Expected) {
    let message = json_of(expected)["message"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    failure(expected, 400, "BadRequest", &message);
}

/// A list without items, where the recorded answer is a failure.
fn empty_list(expected: &mut Expected, version: &str) {
    expected.status = 200;
    expected.body = Body::Json(json!({
        "kind": "MetricValueList", "apiVersion": format!("custom.metrics.k8s.io/{version}"),
        "metadata": {}, "items": [],
    }));
}

/// `shard!=0` leaves one shard of one pod. The answer's selector has no operator `!=`: `NotIn` says it.
fn not_equal(expected: &mut Expected, version: &str) {
    empty_list(expected, version);
    json_of(expected)["items"] = json!([{
        "describedObject":
            {"kind": "Pod", "namespace": "shop", "name": "web-a", "apiVersion": "/v1"},
        "metricName": "multi_gauge", "timestamp": "", "value": "2",
        "selector":
            {"matchExpressions": [{"key": "shard", "operator": "NotIn", "values": ["0"]}]},
    }]);
}

fn small_value(expected: &mut Expected) {
    json_of(expected)["items"][0]["value"] = json!("400u");
}

/// The second container of web-a uses 0.0015 cores.
fn small_usage(pod: &mut Value) {
    let containers = pod["containers"].as_array_mut();
    let mut containers = containers.into_iter().flatten();
    let sidecar = containers.find(|container| container["name"] == "sidecar");
    let cpu = &mut sidecar.expect("web-a must have a sidecar")["usage"]["cpu"];
    assert_eq!(*cpu, "1m");
    *cpu = json!("1500u");
}

fn one_query_for_all_namespaces(expected: &mut Expected) {
    let query = |series: &str| {
        format!(
            "sum by (pod,container,namespace) ({series}{{namespace=~\"bank|shop\",\
             pod=~\"teller-a|web-a|web-b|web-c\",container!=\"\",pod!=\"\"}})"
        )
    };
    assert_eq!(expected.promql.len(), 4);
    expected.promql = ["cpu_cores", "container_memory_working_set_bytes"]
        .map(query)
        .into();
}

fn custom_group(group: &mut Value) {
    let version = |version: &str| json!({"groupVersion": format!("custom.metrics.k8s.io/{version}"), "version": version});
    group["versions"] = json!([version("v1beta2"), version("v1beta1")]);
    group["preferredVersion"] = version("v1beta2");
}

fn one_more_path(expected: &mut Expected) {
    let paths = json_of(expected)["paths"].as_array_mut();
    let paths = paths.expect("a recorded list of paths must have paths");
    paths.push(json!("/apis/metrics.k8s.io/v1"));
}

fn resource_group(group: &mut Value) {
    let versions = group["versions"].as_array_mut();
    let versions = versions.expect("a recorded group must have versions");
    versions.push(json!({"groupVersion": "metrics.k8s.io/v1", "version": "v1"}));
}

fn all_versions_in_the_list(expected: &mut Expected) {
    let groups = json_of(expected)["groups"].as_array_mut();
    let groups = groups.expect("a recorded group list must have groups");
    let mut of = |name: &str, ours: fn(&mut Value)| {
        let group = groups.iter_mut().find(|group| group["name"] == name);
        ours(group.expect("each group must be recorded"));
    };
    of("custom.metrics.k8s.io", custom_group);
    of("metrics.k8s.io", resource_group);
}

fn json_of(expected: &mut Expected) -> &mut Value {
    match &mut expected.body {
        Body::Json(json) => json,
        other => panic!("a recorded answer that differs must be JSON, not {other:?}"),
    }
}
