//! What the API server refuses in an `autoscaling/v2` object
//! (`pkg/apis/autoscaling/validation/validation.go`), for objects that never pass through one.

use k8s_openapi::api::autoscaling::v2::{
    CrossVersionObjectReference, HPAScalingRules, HorizontalPodAutoscaler,
    HorizontalPodAutoscalerSpec, MetricIdentifier, MetricSpec, MetricTarget,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::numbers::{milli, ratio};
use super::{Settings, metrics};

const WINDOW_MAX: i32 = 3600;
const PERIOD_MAX: i32 = 1800;

/// Problems found, each `FIELD: PROBLEM`.
struct Problems(Vec<String>);

impl Problems {
    fn invalid(&mut self, field: &str, value: impl std::fmt::Display, why: &str) {
        self.0
            .push(format!("{field}: Invalid value: {value}: {why}"));
    }

    fn required(&mut self, field: &str, why: &str) {
        let why = Some(why).filter(|it| !it.is_empty());
        let why = why.map(|it| format!(": {it}")).unwrap_or_default();
        self.0.push(format!("{field}: Required value{why}"));
    }

    fn forbidden(&mut self, field: &str, why: &str) {
        self.0.push(format!("{field}: Forbidden: {why}"));
    }

    fn one_of(&mut self, field: &str, value: &str, known: &[&str]) {
        if !known.contains(&value) {
            let known: Vec<String> = known.iter().map(|it| format!("\"{it}\"")).collect();
            let known = known.join(", ");
            self.0.push(format!(
                "{field}: Unsupported value: \"{value}\": supported values: {known}"
            ));
        }
    }

    fn positive(&mut self, field: &str, value: &Quantity) {
        match milli(value) {
            Ok(1..) => {}
            Ok(_) => self.invalid(field, format!("\"{}\"", value.0), "must be positive"),
            Err(error) => self.invalid(field, format!("\"{}\"", value.0), &error.to_string()),
        }
    }
}

/// What is wrong with an object, in the API server's words; empty if it may be used.
pub fn validate(hpa: &HorizontalPodAutoscaler, settings: &Settings) -> Vec<String> {
    let mut problems = Problems(Vec::new());
    let (spec, metrics) = (&hpa.spec, metrics(hpa));
    bounds(&mut problems, spec, &metrics, settings);
    reference(&mut problems, "spec.scaleTargetRef", &spec.scale_target_ref);
    for (at, it) in metrics.iter().enumerate() {
        metric(&mut problems, &format!("spec.metrics[{at}]"), it);
    }
    let behavior = spec.behavior.as_ref();
    if let Some(up) = behavior.and_then(|it| it.scale_up.as_ref()) {
        rules(&mut problems, "spec.behavior.scaleUp", up);
    }
    if let Some(down) = behavior.and_then(|it| it.scale_down.as_ref()) {
        rules(&mut problems, "spec.behavior.scaleDown", down);
    }
    problems.0
}

fn bounds(
    problems: &mut Problems,
    spec: &HorizontalPodAutoscalerSpec,
    metrics: &[MetricSpec],
    settings: &Settings,
) {
    let (min, max) = (spec.min_replicas.unwrap_or(1), spec.max_replicas);
    let least = i32::from(!settings.scale_to_zero);
    if min < least {
        let why = format!("must be greater than or equal to {least}");
        problems.invalid("spec.minReplicas", min, &why);
    }
    if max < 1 {
        problems.invalid("spec.maxReplicas", max, "must be greater than 0");
    }
    if min > max {
        let why = "must be greater than or equal to `minReplicas`";
        problems.invalid("spec.maxReplicas", max, why);
    }
    let tells_work = |it: &MetricSpec| matches!(it.type_.as_str(), "Object" | "External");
    if min == 0 && !metrics.iter().any(tells_work) {
        let why = "must specify at least one Object or External metric to support scaling to zero \
                   replicas";
        problems.forbidden("spec.metrics", why);
    }
}

fn reference(problems: &mut Problems, field: &str, it: &CrossVersionObjectReference) {
    for (part, text) in [("kind", &it.kind), ("name", &it.name)] {
        let path = format!("{field}.{part}");
        if text.is_empty() {
            problems.required(&path, "");
        }
        segment(problems, &path, text);
    }
}

/// `validateMetricSpec`
fn metric(problems: &mut Problems, field: &str, it: &MetricSpec) {
    let known = [
        "Object",
        "Pods",
        "Resource",
        "ContainerResource",
        "External",
    ];
    let kind = it.type_.as_str();
    if kind.is_empty() {
        problems.required(
            &format!("{field}.type"),
            "must specify a metric source type",
        );
        return;
    }
    problems.one_of(&format!("{field}.type"), kind, &known);
    let sources = [
        ("Object", "object", it.object.is_some()),
        ("Pods", "pods", it.pods.is_some()),
        ("Resource", "resource", it.resource.is_some()),
        (
            "ContainerResource",
            "containerResource",
            it.container_resource.is_some(),
        ),
        ("External", "external", it.external.is_some()),
    ];
    for (of, part, is_there) in sources {
        let path = format!("{field}.{part}");
        if of == kind && !is_there {
            let why = "must populate information for the given metric source";
            problems.required(&path, why);
        } else if of != kind && is_there {
            problems.forbidden(&path, "may populate only the given metric source");
        }
    }
    described(problems, field, it);
}

/// What a metric tells of its source, whichever it tells.
fn described(problems: &mut Problems, field: &str, it: &MetricSpec) {
    if let Some(source) = &it.object {
        let path = format!("{field}.object");
        let object = format!("{path}.describedObject");
        reference(problems, &object, &source.described_object);
        identifier(problems, &path, &source.metric);
        either(problems, &path, &source.target);
    }
    if let Some(source) = &it.pods {
        let path = format!("{field}.pods");
        identifier(problems, &path, &source.metric);
        target(problems, &path, &source.target);
        if source.target.average_value.is_none() {
            let path = format!("{path}.target.averageValue");
            problems.required(&path, "must specify a positive target averageValue");
        }
    }
    if let Some(source) = &it.resource {
        usage(
            problems,
            &format!("{field}.resource"),
            &source.name,
            &source.target,
        );
    }
    if let Some(source) = &it.container_resource {
        let path = format!("{field}.containerResource");
        if source.container.is_empty() {
            problems.required(&format!("{path}.container"), "must specify a container");
        }
        usage(problems, &path, &source.name, &source.target);
    }
    if let Some(source) = &it.external {
        let path = format!("{field}.external");
        identifier(problems, &path, &source.metric);
        either(problems, &path, &source.target);
        if source.target.value.is_some() && source.target.average_value.is_some() {
            let path = format!("{path}.target.value");
            let why = "may not set both a target value for metric and a per-pod target";
            problems.forbidden(&path, why);
        }
    }
}

fn identifier(problems: &mut Problems, field: &str, it: &MetricIdentifier) {
    let path = format!("{field}.metric.name");
    if it.name.is_empty() {
        problems.required(&path, "must specify a metric name");
    }
    segment(problems, &path, &it.name);
}

/// What becomes part of a path must stay in its place (`ValidatePathSegmentName`).
fn segment(problems: &mut Problems, path: &str, text: &str) {
    let value = || format!("\"{text}\"");
    if matches!(text, "." | "..") {
        problems.invalid(path, value(), &format!("may not be '{text}'"));
    }
    for c in ['/', '%'] {
        if text.contains(c) {
            problems.invalid(path, value(), &format!("may not contain '{c}'"));
        }
    }
}

/// A target that is a value, or one per replica.
fn either(problems: &mut Problems, field: &str, it: &MetricTarget) {
    target(problems, field, it);
    if it.value.is_none() && it.average_value.is_none() {
        let path = format!("{field}.target.averageValue");
        problems.required(&path, "must set either a target value or averageValue");
    }
}

/// A target of what is used of a resource.
fn usage(problems: &mut Problems, field: &str, resource: &str, it: &MetricTarget) {
    if resource.is_empty() {
        let why = "must specify a resource name";
        problems.required(&format!("{field}.name"), why);
    }
    target(problems, field, it);
    match (it.average_utilization, &it.average_value) {
        (None, None) => {
            let path = format!("{field}.target.averageUtilization");
            problems.required(
                &path,
                "must set either a target raw value or a target utilization",
            );
        }
        (Some(_), Some(_)) => {
            let path = format!("{field}.target.averageValue");
            let why = "may not set both a target raw value and a target utilization";
            problems.forbidden(&path, why);
        }
        _ => {}
    }
}

/// `validateMetricTarget`
fn target(problems: &mut Problems, field: &str, it: &MetricTarget) {
    let path = |part: &str| format!("{field}.target.{part}");
    if it.type_.is_empty() {
        problems.required(&path("type"), "must specify a metric target type");
    } else {
        let known = ["Utilization", "Value", "AverageValue"];
        problems.one_of(&path("type"), &it.type_, &known);
    }
    if let Some(value) = &it.value {
        problems.positive(&path("value"), value);
    }
    if let Some(value) = &it.average_value {
        problems.positive(&path("averageValue"), value);
    }
    if let Some(percent) = it.average_utilization.filter(|it| *it < 1) {
        problems.invalid(
            &path("averageUtilization"),
            percent,
            "must be greater than 0",
        );
    }
}

/// `validateScalingRules`
fn rules(problems: &mut Problems, field: &str, it: &HPAScalingRules) {
    let window = it.stabilization_window_seconds.unwrap_or(0);
    let path = format!("{field}.stabilizationWindowSeconds");
    if window < 0 {
        problems.invalid(&path, window, "must be greater than or equal to zero");
    } else if window > WINDOW_MAX {
        let why = format!("must be less than or equal to {WINDOW_MAX}");
        problems.invalid(&path, window, &why);
    }
    if let Some(select) = &it.select_policy {
        let path = format!("{field}.selectPolicy");
        problems.one_of(&path, select, &["Disabled", "Max", "Min"]);
    }
    if it.policies.as_ref().is_some_and(Vec::is_empty) {
        let path = format!("{field}.policies");
        problems.required(&path, "must specify at least one Policy");
    }
    for (at, policy) in it.policies.iter().flatten().enumerate() {
        let path = |part: &str| format!("{field}.policies[{at}].{part}");
        problems.one_of(&path("type"), &policy.type_, &["Percent", "Pods"]);
        let (value, period) = (policy.value, policy.period_seconds);
        if value <= 0 {
            problems.invalid(&path("value"), value, "must be greater than zero");
        }
        if period <= 0 {
            problems.invalid(&path("periodSeconds"), period, "must be greater than zero");
        } else if period > PERIOD_MAX {
            let why = format!("must be less than or equal to {PERIOD_MAX}");
            problems.invalid(&path("periodSeconds"), period, &why);
        }
    }
    if let Some(tolerance) = &it.tolerance {
        let why = match ratio(tolerance) {
            Ok(0.0..) => return,
            Ok(_) => "must be greater than or equal to 0".to_owned(),
            Err(error) => error.to_string(),
        };
        let value = format!("\"{}\"", tolerance.0);
        problems.invalid(&format!("{field}.tolerance"), value, &why);
    }
}
