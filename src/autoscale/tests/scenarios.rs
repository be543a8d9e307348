//! `horizontal_test.go`: one round of the whole controller.
//!
//! A row of `scenarios.txt` has one more notation than the test it is of: `before=` a condition
//! that is true already, `off=>` the replicas without the gate, `fail=` what cannot be had (the
//! values of a type of metric, the scale, its update), `others=` another autoscaler's selector.

use std::collections::BTreeSet;

use k8s_openapi::api::autoscaling::v2::{
    ContainerResourceMetricSource, ExternalMetricSource, HPAScalingPolicy, HPAScalingRules,
    HorizontalPodAutoscaler, HorizontalPodAutoscalerBehavior, HorizontalPodAutoscalerCondition,
    HorizontalPodAutoscalerStatus, MetricIdentifier, MetricSpec, MetricTarget, ObjectMetricSource,
    PodsMetricSource, ResourceMetricSource,
};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::autoscale::{
    Decision, Memory, NoValues, Observed, Other, PodValue, Recommendation, Scale, Settings, Values,
    condition, decide, metrics,
};
use crate::selector::Selector;

use super::calculator::set_state;
use super::table::{Row, number, rows};
use super::{ago, container, now, pod, quantity, settings};

#[test]
fn each_row_of_the_controllers_tests_holds() {
    let rows = rows(include_str!("scenarios.txt"), 1);
    assert_eq!(rows.len(), 85, "82 rows, one of them four");
    for row in rows {
        let on = Settings {
            scale_to_zero: row.has("gate"),
            ..settings()
        };
        assert_row(&row, &on, row.int("=>").unwrap());
        if let Some(replicas) = row.int("off") {
            let (decision, _) = round(&row, &settings());
            let name = &row.name;
            assert_eq!(
                decision.replicas(),
                Some(replicas),
                "{name} without the gate"
            );
            let active = condition(&decision.status, "ScalingActive").unwrap();
            assert_eq!(active.reason.as_deref(), Some("ScalingDisabled"), "{name}");
            assert!(
                condition(&decision.status, "ScaledToZero").is_none(),
                "{name}"
            );
        }
    }
}

fn assert_row(row: &Row, settings: &Settings, want: i32) {
    let name = &row.name;
    let (decision, reasons) = round(row, settings);
    let replicas = match row.text("fail") {
        Some("Scale") => None,
        Some("Update") => decision.current,
        _ => decision.replicas(),
    };
    let want = Some(want).filter(|_| row.text("fail") != Some("Scale"));
    assert_eq!(replicas, want, "{name}: {decision:#?}");
    for reason in row.text("reasons").into_iter().flat_map(|it| it.split(',')) {
        assert!(reasons.contains(reason), "{name}: {reason} in {reasons:?}");
    }
    let has_event = |reason: &str| decision.events.iter().any(|it| it.reason == reason);
    let is_set = decision.rescale.is_some() && row.text("fail") != Some("Update");
    assert_eq!(has_event("SuccessfulRescale"), is_set, "{name}");
    if decision.rescale.is_none() && row.text("fail") != Some("Scale") {
        // The target stays: nothing else may be told.
        let current = decision.current.unwrap();
        let desired = decision.status.desired_replicas;
        assert!(decision.error.is_some() || desired == current, "{name}");
    }
}

/// Two steps: the decision, and its outcome; and the reasons of all conditions after each.
fn round(row: &Row, settings: &Settings) -> (Decision, BTreeSet<String>) {
    let hpa = hpa(row);
    let seen = observed(row, &hpa);
    let decision = decide(&hpa, &seen, memory(row), settings);
    let mut reasons = reasons(&decision);
    let outcome = match row.text("fail") {
        Some("Update") => Err("something went wrong".to_owned()),
        _ => Ok(()),
    };
    let decision = decision.carried_out(&hpa, outcome, now(), settings);
    reasons.extend(self::reasons(&decision));
    (decision, reasons)
}

fn reasons(decision: &Decision) -> BTreeSet<String> {
    let conditions = decision.status.conditions.iter().flatten();
    conditions.filter_map(|it| it.reason.clone()).collect()
}

pub(super) fn memory(row: &Row) -> Memory {
    let recommendations = match row.text("recs") {
        None | Some("nil") => None,
        Some(_) => Some(row.words("recs").unwrap()),
    };
    let read = |text: &String| {
        let (replicas, age) = text.split_once("@-").unwrap();
        Recommendation {
            replicas: replicas.parse().unwrap(),
            at: ago(number(age.trim_end_matches('m')) * 60),
        }
    };
    Memory {
        recommendations: recommendations.map(|list| list.iter().map(read).collect()),
        ..Memory::default()
    }
}

fn hpa(row: &Row) -> HorizontalPodAutoscaler {
    let mut hpa = HorizontalPodAutoscaler::default();
    hpa.metadata.name = Some("test-hpa".to_owned());
    hpa.metadata.namespace = Some("test-namespace".to_owned());
    hpa.spec.min_replicas = row.int("min");
    hpa.spec.max_replicas = row.int("max").unwrap();
    hpa.spec.scale_target_ref.kind = "ReplicationController".to_owned();
    hpa.spec.scale_target_ref.name = "test-rc".to_owned();
    hpa.spec.metrics = Some(specs(row));
    hpa.spec.behavior = row
        .words("up")
        .map(|words| HorizontalPodAutoscalerBehavior {
            scale_up: Some(scaling_rules(&words)),
            scale_down: None,
        });
    if let Some(kind) = row.text("before") {
        let condition = HorizontalPodAutoscalerCondition {
            type_: kind.to_owned(),
            status: "True".to_owned(),
            ..HorizontalPodAutoscalerCondition::default()
        };
        hpa.status = Some(HorizontalPodAutoscalerStatus {
            conditions: Some(vec![condition]),
            ..HorizontalPodAutoscalerStatus::default()
        });
    }
    hpa
}

/// `generateScalingRules`: Pods and their period, Percent and its period, window.
pub(super) fn scaling_rules(words: &[String]) -> HPAScalingRules {
    let numbers: Vec<i32> = words.iter().map(|it| it.parse().unwrap()).collect();
    let policy = |kind: &str, at: usize| HPAScalingPolicy {
        type_: kind.to_owned(),
        value: numbers[at],
        period_seconds: numbers[at + 1],
    };
    let policies = [policy("Pods", 0), policy("Percent", 2)];
    HPAScalingRules {
        policies: Some(policies.into_iter().filter(|it| it.value != 0).collect()),
        select_policy: Some("Max".to_owned()),
        stabilization_window_seconds: Some(numbers[4]),
        tolerance: None,
    }
}

fn specs(row: &Row) -> Vec<MetricSpec> {
    let cpu = row.int("cpu%").map(|percent| MetricSpec {
        type_: "Resource".to_owned(),
        resource: Some(ResourceMetricSource {
            name: "cpu".to_owned(),
            target: utilization(percent),
        }),
        ..MetricSpec::default()
    });
    let other = row.text("metrics").map(|kind| {
        let mut spec = MetricSpec {
            type_: kind.to_owned(),
            ..MetricSpec::default()
        };
        let metric = MetricIdentifier {
            name: "qps".to_owned(),
            selector: None,
        };
        let target = target(row);
        match kind {
            "Pods" => spec.pods = Some(PodsMetricSource { metric, target }),
            "External" => spec.external = Some(ExternalMetricSource { metric, target }),
            "Object" => {
                spec.object = Some(ObjectMetricSource {
                    metric,
                    target,
                    ..ObjectMetricSource::default()
                });
            }
            "ContainerResource" => {
                spec.container_resource = Some(ContainerResourceMetricSource {
                    container: "container".to_owned(),
                    name: "cpu".to_owned(),
                    target: utilization(row.int("AverageUtilization").unwrap()),
                });
            }
            _ => {}
        }
        spec
    });
    cpu.into_iter().chain(other).collect()
}

fn utilization(percent: i32) -> MetricTarget {
    MetricTarget {
        type_: "Utilization".to_owned(),
        average_utilization: Some(percent),
        ..MetricTarget::default()
    }
}

fn target(row: &Row) -> MetricTarget {
    let mut target = MetricTarget::default();
    if let Some(value) = row.text("Value") {
        target.type_ = "Value".to_owned();
        target.value = Some(quantity(value));
    }
    if let Some(value) = row.text("AverageValue") {
        target.type_ = "AverageValue".to_owned();
        target.average_value = Some(quantity(value));
    }
    target
}

fn observed(row: &Row, hpa: &HorizontalPodAutoscaler) -> Observed {
    let spec_replicas = row.int("spec").unwrap();
    let status_replicas = row.int("status").unwrap_or(spec_replicas);
    let selector = row.text("selector").unwrap_or("name=podNamePrefix");
    let scale = Scale {
        spec_replicas,
        status_replicas,
        selector: selector.to_owned(),
    };
    let others = row.text("others").map(|selector| Other {
        key: "test-namespace/other".to_owned(),
        selector: Selector::parse(selector).unwrap(),
    });
    let fails = |kind: &str| row.text("fail") == Some(kind);
    let wrong = || "something went wrong".to_owned();
    let values = metrics(hpa).into_iter().map(|metric| {
        if fails(&metric.type_) {
            Err(NoValues(wrong()))
        } else {
            values(row, &metric.type_)
        }
    });
    Observed {
        now: now(),
        scale: if fails("Scale") {
            Err(wrong())
        } else {
            Ok(scale)
        },
        pods: pods(row, usize::try_from(status_replicas).unwrap()),
        metrics: values.collect(),
        others: others.into_iter().collect(),
    }
}

fn pods(row: &Row, replicas: usize) -> Vec<Pod> {
    let requests = row.words("req");
    let requests = requests.unwrap_or_else(|| vec!["1.0".to_owned(); replicas]);
    let pods = requests.iter().enumerate().map(|(at, request)| {
        let mut pod = pod(&format!("podNamePrefix-{at}"));
        let containers = vec![container("container", Some(request))];
        pod.spec.as_mut().unwrap().containers = containers;
        set_state(row, at, &mut pod);
        let status = pod.status.as_mut().unwrap();
        let start = status.start_time.clone();
        status.conditions.as_mut().unwrap()[0].last_transition_time = start;
        pod
    });
    pods.collect()
}

/// The levels, as the values of a type of metric. None are an error, as the clients have it.
fn values(row: &Row, kind: &str) -> Result<Values, NoValues> {
    let levels = row.words("lv").unwrap();
    let levels: Vec<i64> = levels.iter().map(|it| number(it)).collect();
    if levels.is_empty() {
        let why = "no metrics returned from resource metrics API";
        return Err(NoValues(why.to_owned()));
    }
    Ok(match kind {
        "Object" => Values::Object(levels[0]),
        "External" => Values::External(levels),
        _ => {
            let values = levels.iter().enumerate().map(|(at, level)| {
                let value = PodValue {
                    value: *level,
                    timestamp: now(),
                    window: jiff::SignedDuration::from_mins(1),
                };
                (format!("podNamePrefix-{at}"), value)
            });
            Values::Pods(values.collect())
        }
    })
}

/// `TestConfigurableTolerance`
#[test]
fn a_direction_may_have_its_own_tolerance() {
    let base = "min=1 max=5 spec=3 cpu%=100 recs={} ";
    let cases = [
        (
            "scaling up because of a 1% configurable tolerance",
            true,
            Some("0.01"),
            None,
            "lv={1010, 1030, 1020} req={0.9, 1.0, 1.1}",
            4,
        ),
        (
            "no scale-down because of a 90% configurable tolerance",
            true,
            None,
            Some("0.9"),
            "lv={300, 300, 300} req={1.0, 1.0, 1.0}",
            3,
        ),
        (
            "no scaling because of the large default tolerance",
            true,
            None,
            None,
            "lv={1010, 1030, 1020} req={0.9, 1.0, 1.1}",
            3,
        ),
        (
            "the configurable tolerance is ignored when the feature gate is disabled",
            false,
            Some("0.01"),
            None,
            "lv={1010, 1030, 1020} req={0.9, 1.0, 1.1}",
            3,
        ),
    ];
    for (name, gate, up, down, fields, want) in cases {
        let row = &rows(&format!("{name} | {base}{fields}"), 1)[0];
        let mut hpa = hpa(row);
        let rules = |tolerance: Option<&str>| HPAScalingRules {
            tolerance: tolerance.map(quantity),
            ..HPAScalingRules::default()
        };
        hpa.spec.behavior = Some(HorizontalPodAutoscalerBehavior {
            scale_up: Some(rules(up)),
            scale_down: Some(rules(down)),
        });
        let settings = Settings {
            configurable_tolerance: gate,
            ..settings()
        };
        let decision = decide(&hpa, &observed(row, &hpa), memory(row), &settings);
        assert_eq!(decision.replicas(), Some(want), "{name}");
    }
}

/// `TestComputedToleranceAlgImplementation`
#[test]
fn a_target_just_beyond_the_tolerance_takes_one_replica_away() {
    let requests = "req={400m, 200m, 310m, 290m, 302m, 298m, 301m, 299m, 300m, 300m}";
    for (percent, want) in [(56, 9), (55, 10)] {
        let text = format!(
            "{percent} | min=0 max=1000 spec=10 recs={{}} lv=150 x10 cpu%={percent} {requests}"
        );
        let row = &rows(&text, 1)[0];
        let hpa = hpa(row);
        let decision = decide(&hpa, &observed(row, &hpa), memory(row), &settings());
        assert_eq!(decision.replicas(), Some(want), "{percent} %");
    }
}

/// `TestAvoidUnnecessaryUpdates`: the same once more changes nothing in the status.
#[test]
fn a_round_that_finds_nothing_new_leaves_the_status_as_it_is() {
    let text = "again | min=2 max=6 spec=3 cpu%=30 lv={400, 500, 700} req=1.0 x3 ready={T, F, F}";
    let row = &rows(text, 1)[0];
    let mut hpa = hpa(row);
    let mut seen = observed(row, &hpa);
    let first = decide(&hpa, &seen, memory(row), &settings());
    assert_eq!(first.rescale, None);
    hpa.status = Some(first.status.clone());
    seen.now = now() + jiff::SignedDuration::from_secs(15);
    let second = decide(&hpa, &seen, first.memory, &settings());
    assert_eq!(second.status, first.status);
    assert_eq!(
        Time(now()),
        first.status.conditions.unwrap()[0]
            .last_transition_time
            .clone()
            .unwrap()
    );
}
