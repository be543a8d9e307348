//! `metrics/client_test.go` and `metrics/utilization_test.go`.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::autoscale::{NoValues, PodValue, Values, answer};

const TIME: &str = "2026-11-26T12:00:00Z";

fn body(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).unwrap()
}

fn time() -> Timestamp {
    TIME.parse().unwrap()
}

/// Values by pod, all of one time and window.
fn pods(window: i64, values: &[(&str, i64)]) -> Result<Values, NoValues> {
    let values = values.iter().map(|(name, value)| {
        let value = PodValue {
            value: *value,
            timestamp: time(),
            window: SignedDuration::from_secs(window),
        };
        ((*name).to_owned(), value)
    });
    Ok(Values::Pods(values.collect()))
}

/// One entry of a `PodMetricsList`: containers and what they use of the processor.
fn pod(name: &str, containers: &[(&str, &str)]) -> Value {
    let containers = containers
        .iter()
        .map(|(name, cpu)| json!({"name": name, "usage": {"cpu": cpu, "memory": "1Mi"}}));
    json!({
        "metadata": {"name": name, "namespace": "ns"}, "timestamp": TIME, "window": "30s",
        "containers": containers.collect::<Vec<_>>(),
    })
}

fn list(items: &[Value]) -> Vec<u8> {
    body(&json!({"items": items}))
}

#[test]
fn resource_usage_is_that_of_all_containers_or_of_one() {
    let list = list(&[
        pod("test-pod-0", &[("test-1", "5"), ("test-2", "250m")]),
        pod("test-pod-1", &[("test-1", "1n"), ("test-2", "1")]),
    ]);
    let all = pods(30, &[("test-pod-0", 5250), ("test-pod-1", 1001)]);
    assert_eq!(answer::resource(&list, "cpu", None), all);
    let one = pods(30, &[("test-pod-0", 5000), ("test-pod-1", 1)]);
    assert_eq!(answer::resource(&list, "cpu", Some("test-1")), one);
    let bytes = pods(
        30,
        &[("test-pod-0", 2_097_152_000), ("test-pod-1", 2_097_152_000)],
    );
    assert_eq!(answer::resource(&list, "memory", None), bytes);
}

#[test]
fn a_pod_that_does_not_tell_all_has_no_value() {
    let silent = json!({"metadata": {"name": "silent"}, "timestamp": TIME, "window": "30s"});
    let half = json!({
        "metadata": {"name": "half"}, "timestamp": TIME, "window": "30s",
        "containers": [{"name": "a", "usage": {"cpu": "1"}}, {"name": "b", "usage": {}}],
    });
    let list = list(&[pod("whole", &[("a", "300m"), ("b", "400m")]), silent, half]);
    assert_eq!(
        answer::resource(&list, "cpu", None),
        pods(30, &[("whole", 700)])
    );
    assert_eq!(
        answer::resource(&list, "cpu", Some("b")),
        pods(30, &[("whole", 400)])
    );
    assert_eq!(answer::resource(&list, "cpu", Some("c")), pods(30, &[]));
}

#[test]
fn custom_metrics_of_pods_have_a_window_of_a_minute_unless_they_tell() {
    let item = |name: &str, value: &str| json!({"describedObject": {"kind": "Pod", "name": name}, "timestamp": TIME, "value": value});
    let values = list(&[item("a", "10"), item("b", "20500m"), item("c", "0")]);
    let want = pods(60, &[("a", 10_000), ("b", 20_500), ("c", 0)]);
    assert_eq!(answer::pods(&values), want);
    let mut told = item("a", "1");
    told["windowSeconds"] = json!(15);
    assert_eq!(answer::pods(&list(&[told])), pods(15, &[("a", 1000)]));
    // The last of two of one name counts.
    let twice = list(&[item("a", "1"), item("a", "2")]);
    assert_eq!(answer::pods(&twice), pods(60, &[("a", 2000)]));
}

#[test]
fn an_object_has_exactly_one_value() {
    let item = json!({"describedObject": {"name": "some-dep"}, "timestamp": TIME, "value": "10"});
    let one = list(std::slice::from_ref(&item));
    assert_eq!(answer::object(&one), Ok(Values::Object(10_000)));
    for (items, count) in [(vec![], 0), (vec![item.clone(), item], 2)] {
        let why = format!(
            "unable to fetch metrics from custom metrics API: the custom metrics API server \
             returned {count} results when we asked for exactly one"
        );
        assert_eq!(answer::object(&list(&items)), Err(NoValues(why)));
    }
}

#[test]
fn external_values_are_those_of_the_list_in_order() {
    let item = |value: &str| json!({"metricName": "x", "timestamp": TIME, "value": value});
    let values = list(&[item("10"), item("33m"), item("0"), item("-1")]);
    let want = Values::External(vec![10_000, 33, 0, -1000]);
    assert_eq!(answer::external(&values), Ok(want));
}

#[test]
fn an_empty_list_is_no_answer() {
    for items in [json!([]), Value::Null] {
        let list = body(&json!({"items": items}));
        let why = |api: &str| {
            Err(NoValues(format!(
                "no metrics returned from {api} metrics API"
            )))
        };
        assert_eq!(answer::resource(&list, "cpu", None), why("resource"));
        assert_eq!(answer::pods(&list), why("custom"));
        assert_eq!(answer::external(&list), why("external"));
    }
}

#[test]
fn what_cannot_be_read_is_told() {
    let no_quantity = list(&[json!({"value": "12 apples"})]);
    let NoValues(why) = answer::external(&no_quantity).unwrap_err();
    let start = "unable to fetch metrics from external metrics API: the value 12 apples is no \
                 quantity: quantities must match";
    assert!(why.starts_with(start), "{why}");
    let NoValues(why) = answer::pods(b"<html>").unwrap_err();
    let start = "unable to fetch metrics from custom metrics API: the answer is not";
    assert!(why.starts_with(start), "{why}");
    let why = answer::refused(
        answer::Api::Custom,
        "the server could not find the metric qps",
    );
    assert_eq!(
        why.to_string(),
        "unable to fetch metrics from custom metrics API: the server could not find the metric qps"
    );
}

#[test]
fn values_too_large_to_be_told_are_the_largest() {
    let item = |value: &str| json!({"value": value});
    let values = list(&[
        item("1e30"),
        item("-1e30"),
        item("9223372036854775807m"),
        item("8Ei"),
    ]);
    let (most, least) = (i64::MAX, i64::MIN);
    let want = Values::External(vec![most, least, most, most]);
    assert_eq!(answer::external(&values), Ok(want));
}

/// `TestGetResourceUtilizationRatio…`, `TestGetMetricUsageRatio`
#[test]
fn utilization_is_of_what_the_known_pods_ask_for() {
    use crate::autoscale::calculator::{Measure, Ratio};
    let measure = |target: i32, requests: &[(&'static str, i64)]| {
        Measure::Requests(target, requests.iter().copied().collect())
    };
    let values =
        |values: &[(&'static str, i64)]| values.iter().copied().collect::<BTreeMap<_, _>>();
    let both = [("a", 100), ("b", 100)];
    let used = [("a", 50), ("b", 76)];
    let want = Ok(Ratio {
        ratio: 1.26,
        usage: 63,
        utilization: Some(63),
    });
    assert_eq!(measure(50, &both).ratio(&values(&used)), want);
    // A value without a request, a request without a value.
    let more = [("a", 50), ("b", 76), ("extra", 500)];
    assert_eq!(measure(50, &both).ratio(&values(&more)), want);
    let more = [("a", 100), ("b", 100), ("extra", 500)];
    assert_eq!(measure(50, &more).ratio(&values(&used)), want);
    let none = Err("no metrics returned matched known pods".to_owned());
    assert_eq!(measure(50, &[]).ratio(&values(&used)), none);
    let usage = [("a", 5000), ("b", 10_000)];
    let want = Ok(Ratio {
        ratio: 0.75,
        usage: 7500,
        utilization: None,
    });
    assert_eq!(Measure::Plain(10_000).ratio(&values(&usage)), want);
}
