//! Answers and what differs.

use serde_json::json;

use super::*;

fn expected(raw: Raw<'_>) -> Expected {
    Expected::read(raw).unwrap_or_else(|error| panic!("{error}"))
}

fn nothing() -> Raw<'static> {
    Raw {
        values: None,
        value: None,
        samples: None,
        error: None,
        code: None,
    }
}

fn values(pairs: &[(&str, Value)]) -> Expected {
    let values = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect();
    expected(Raw {
        values: Some(&values),
        ..nothing()
    })
}

fn list(pairs: &[(&str, &str)]) -> Answer {
    let items: Vec<Value> = pairs
        .iter()
        .map(|(name, value)| json!({"describedObject": {"name": name}, "value": value}))
        .collect();
    let body = json!({"kind": "MetricValueList", "items": items}).to_string();
    Answer::read(200, body.as_bytes()).unwrap()
}

fn told(differences: &[Difference]) -> Vec<String> {
    differences.iter().map(ToString::to_string).collect()
}

#[test]
fn values_are_compared_as_numbers() {
    let wanted = values(&[("a", json!(0.5)), ("b", json!("2Ki")), ("c", json!(20))]);
    assert!(
        wanted
            .differences(&list(&[("c", "20"), ("a", "500m"), ("b", "2048")]))
            .is_empty()
    );
    let differences = wanted.differences(&list(&[("a", "501m"), ("c", "20"), ("d", "1")]));
    assert_eq!(
        told(&differences),
        ["- a: 500m", "+ a: 501m", "- b: 2Ki", "+ d: 1"]
    );
    assert!(values(&[]).differences(&list(&[])).is_empty());
    assert_eq!(
        told(&values(&[]).differences(&list(&[("a", "1")]))),
        ["+ a: 1"]
    );
}

#[test]
fn one_value_is_the_only_item() {
    let value = json!(7);
    let wanted = expected(Raw {
        value: Some(&value),
        ..nothing()
    });
    assert!(wanted.differences(&list(&[("a", "7")])).is_empty());
    assert_eq!(told(&wanted.differences(&list(&[]))), ["- 7", "+ nothing"]);
    let two = wanted.differences(&list(&[("a", "7"), ("b", "7")]));
    assert_eq!(told(&two), ["- 7", "+ a: 7", "+ b: 7"]);
}

#[test]
fn errors_are_told_by_a_part_of_their_text_and_by_their_code() {
    let refused = Answer::read(404, br#"{"message": "could not find the metric x"}"#).unwrap();
    let error = |text: Option<&'static str>, code| {
        expected(Raw {
            error: text,
            code,
            ..nothing()
        })
    };
    for wanted in [
        error(Some("metric x"), None),
        error(None, Some(404)),
        error(Some("x"), Some(404)),
    ] {
        assert!(wanted.differences(&refused).is_empty());
        assert_eq!(wanted.differences(&list(&[("a", "1")])).len(), 2);
    }
    for wanted in [error(Some("metric y"), None), error(Some("x"), Some(500))] {
        let differences = told(&wanted.differences(&refused));
        assert_eq!(differences[1], "+ error 404: could not find the metric x");
    }
    let differences = told(&values(&[("a", json!(1))]).differences(&refused));
    assert_eq!(
        differences,
        ["- a: 1", "+ error 404: could not find the metric x"]
    );
}

#[test]
fn external_metrics_are_told_by_their_labels() {
    let raw: Vec<RawSample> = serde_saphyr::from_str(
        "[{labels: '{queue=\"a\"}', value: 3}, {labels: '{queue=\"b\"}', value: 4}]",
    )
    .unwrap();
    let wanted = expected(Raw {
        samples: Some(&raw),
        ..nothing()
    });
    let answer = |a: &str, b: &str| {
        let item = |queue: &str, value: &str| {
            let labels = json!({"__name__": "lag", "queue": queue});
            json!({"metricName": "lag", "metricLabels": labels, "value": value})
        };
        let items = [item("b", b), item("a", a)];
        let body = json!({"kind": "ExternalMetricValueList", "items": items}).to_string();
        Answer::read(200, body.as_bytes()).unwrap()
    };
    assert!(wanted.differences(&answer("3", "4")).is_empty());
    let differences = told(&wanted.differences(&answer("3", "5")));
    assert_eq!(differences, ["- {queue=\"b\"}: 4", "+ {queue=\"b\"}: 5"]);
}

#[test]
fn usage_is_summed_over_containers() {
    let pod = json!({
        "metadata": {"name": "web-1"},
        "containers": [
            {"name": "a", "usage": {"cpu": "100m", "memory": "64Mi"}},
            {"name": "b", "usage": {"cpu": "150m", "memory": "1Mi"}},
        ],
    });
    let body = json!({"kind": "PodMetricsList", "items": [pod]}).to_string();
    let answer = Answer::read(200, body.as_bytes()).unwrap();
    let wanted = values(&[("web-1/cpu", json!(0.25)), ("web-1/memory", json!("65Mi"))]);
    assert_eq!(told(&wanted.differences(&answer)), [""; 0]);
    let body = json!({
        "kind": "NodeMetrics", "metadata": {"name": "n"}, "usage": {"cpu": "2", "memory": "1Gi"},
    });
    let answer = Answer::read(200, body.to_string().as_bytes()).unwrap();
    assert_eq!(
        told(&values(&[("n/cpu", json!(2)), ("n/memory", json!("1Gi"))]).differences(&answer)),
        [""; 0]
    );
}

#[test]
fn other_documents_have_no_values() {
    let error = Answer::read(200, br#"{"kind": "APIResourceList"}"#).unwrap_err();
    assert!(error.contains("APIResourceList"), "{error}");
    assert!(Answer::read(200, b"ok").is_err());
}
