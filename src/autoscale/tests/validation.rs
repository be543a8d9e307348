//! What the API server refuses.

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use serde_json::{Value, json};

use crate::autoscale::{Settings, validate};

use super::settings;

/// A good object, with `change` merged into its `spec`.
fn changed(change: &Value) -> HorizontalPodAutoscaler {
    let mut object = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "minReplicas": 1, "maxReplicas": 5,
            "metrics": [
                {"type": "Resource", "resource": {
                    "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}},
                {"type": "ContainerResource", "containerResource": {
                    "name": "memory", "container": "app",
                    "target": {"type": "AverageValue", "averageValue": "100Mi"}}},
                {"type": "Pods", "pods": {
                    "metric": {"name": "qps"},
                    "target": {"type": "AverageValue", "averageValue": "100"}}},
                {"type": "Object", "object": {
                    "metric": {"name": "hits"},
                    "describedObject": {"kind": "Service", "name": "web"},
                    "target": {"type": "Value", "value": "2k"}}},
                {"type": "External", "external": {
                    "metric": {"name": "lag"},
                    "target": {"type": "AverageValue", "averageValue": "30"}}},
            ],
            "behavior": {"scaleUp": {
                "stabilizationWindowSeconds": 3600, "selectPolicy": "Min", "tolerance": "0.05",
                "policies": [{"type": "Pods", "value": 1, "periodSeconds": 1800}]}},
        },
    });
    for (key, value) in change.as_object().unwrap() {
        object["spec"][key] = value.clone();
    }
    serde_json::from_value(object).unwrap()
}

fn metric(change: Value) -> Value {
    json!({"metrics": [change]})
}

fn behavior(change: Value) -> Value {
    json!({"behavior": {"scaleDown": change}})
}

#[test]
fn a_good_object_has_no_problem() {
    let none: &[String] = &[];
    assert_eq!(validate(&changed(&json!({})), &settings()), none);
    assert_eq!(
        validate(&changed(&json!({"metrics": null})), &settings()),
        none
    );
    let zero = changed(&json!({"minReplicas": 0}));
    let on = Settings {
        scale_to_zero: true,
        ..settings()
    };
    assert_eq!(validate(&zero, &on), none);
}

#[test]
fn each_problem_is_named_with_its_field() {
    let policy = |kind: &str, value: i32, period: i32| {
        let policy = json!({"type": kind, "value": value, "periodSeconds": period});
        behavior(json!({"policies": [policy]}))
    };
    let external = |target: Value| {
        metric(json!({"type": "External", "external": {"metric": {"name": "x"}, "target": target}}))
    };
    let rows = [
        (
            json!({"minReplicas": 0}),
            "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1",
        ),
        (
            json!({"maxReplicas": 0}),
            "spec.maxReplicas: Invalid value: 0: must be greater than 0",
        ),
        (
            json!({"minReplicas": 6}),
            "spec.maxReplicas: Invalid value: 5: must be greater than or equal to `minReplicas`",
        ),
        (
            json!({"scaleTargetRef": {"kind": "Deployment", "name": ""}}),
            "spec.scaleTargetRef.name: Required value",
        ),
        (
            json!({"scaleTargetRef": {"kind": "Deployment", "name": ".."}}),
            "spec.scaleTargetRef.name: Invalid value: \"..\": may not be '..'",
        ),
        (
            metric(json!({"type": ""})),
            "spec.metrics[0].type: Required value: must specify a metric source type",
        ),
        (
            metric(json!({"type": "Cheddar"})),
            "spec.metrics[0].type: Unsupported value: \"Cheddar\"",
        ),
        (
            metric(json!({"type": "Pods"})),
            "spec.metrics[0].pods: Required value: must populate information",
        ),
        (
            external(json!({"type": "Value"})),
            "spec.metrics[0].external.target.averageValue: Required value",
        ),
        (
            external(json!({"type": "Value", "value": "0"})),
            "spec.metrics[0].external.target.value: Invalid value: \"0\": must be positive",
        ),
        (
            external(json!({"type": "Value", "value": "1", "averageValue": "1"})),
            "spec.metrics[0].external.target.value: Forbidden: may not set both",
        ),
        (
            external(json!({"type": "Cheddar", "value": "1"})),
            "spec.metrics[0].external.target.type: Unsupported value",
        ),
        (
            metric(
                json!({"type": "Pods", "pods": {"metric": {"name": "a/b"}, "target": {"type": "AverageValue", "averageValue": "1"}}}),
            ),
            "spec.metrics[0].pods.metric.name: Invalid value: \"a/b\"",
        ),
        (
            metric(
                json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization"}}}),
            ),
            "spec.metrics[0].resource.target.averageUtilization: Required value",
        ),
        (
            metric(
                json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 0}}}),
            ),
            "spec.metrics[0].resource.target.averageUtilization: Invalid value: 0: must be greater than 0",
        ),
        (
            behavior(json!({"stabilizationWindowSeconds": 3601})),
            "spec.behavior.scaleDown.stabilizationWindowSeconds: Invalid value: 3601: must be less than or equal to 3600",
        ),
        (
            behavior(json!({"selectPolicy": "Most"})),
            "spec.behavior.scaleDown.selectPolicy: Unsupported value: \"Most\": supported values: \"Disabled\", \"Max\", \"Min\"",
        ),
        (
            behavior(json!({"policies": []})),
            "spec.behavior.scaleDown.policies: Required value: must specify at least one Policy",
        ),
        (
            behavior(json!({"tolerance": "-0.1"})),
            "spec.behavior.scaleDown.tolerance: Invalid value: \"-0.1\": must be greater than or equal to 0",
        ),
        (
            policy("Pod", 1, 1),
            "spec.behavior.scaleDown.policies[0].type: Unsupported value: \"Pod\"",
        ),
        (
            policy("Pods", 0, 1),
            "spec.behavior.scaleDown.policies[0].value: Invalid value: 0: must be greater than zero",
        ),
        (
            policy("Pods", 1, 1801),
            "spec.behavior.scaleDown.policies[0].periodSeconds: Invalid value: 1801: must be less than or equal to 1800",
        ),
    ];
    for (change, problem) in rows {
        let problems = validate(&changed(&change), &settings());
        let found = problems.iter().any(|it| it.starts_with(problem));
        assert!(found, "{problem}: {problems:?}");
        let field = problem.split(':').next().unwrap();
        let same = problems.iter().all(|it| it.starts_with(field));
        assert!(same, "{field}: {problems:?}");
    }
}

#[test]
fn zero_replicas_need_a_metric_that_tells_of_work() {
    let on = Settings {
        scale_to_zero: true,
        ..settings()
    };
    let only_cpu = changed(&json!({"minReplicas": 0, "metrics": null}));
    let problems = validate(&only_cpu, &on);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].starts_with("spec.metrics: Forbidden: must specify at least one Object"));
}
