//! What a user reads: conditions, events, errors, current values.

use std::collections::BTreeMap;

use k8s_openapi::api::autoscaling::v2::{
    CrossVersionObjectReference, ExternalMetricSource, HorizontalPodAutoscaler,
    HorizontalPodAutoscalerBehavior, MetricIdentifier, MetricSpec, MetricTarget,
    ObjectMetricSource, PodsMetricSource,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    LabelSelector, LabelSelectorRequirement, Time,
};

use crate::autoscale::memory::ScaleEvent;
use crate::autoscale::numbers::{milli, quantity as of_milli, ratio};
use crate::autoscale::text::selector;
use crate::autoscale::{
    Decision, Event, Memory, NoValues, Observed, Other, Scale, Settings, Values, condition, decide,
    metrics,
};
use crate::selector::Selector;

use super::{ago, now, pod, quantity, settings};

/// `shop/web` of the Deployment `web`, from one to ten replicas.
pub(super) fn hpa(metrics: Vec<MetricSpec>) -> HorizontalPodAutoscaler {
    let mut hpa = HorizontalPodAutoscaler::default();
    hpa.metadata.name = Some("web".to_owned());
    hpa.metadata.namespace = Some("shop".to_owned());
    hpa.metadata.generation = Some(7);
    hpa.spec.max_replicas = 10;
    hpa.spec.metrics = Some(metrics);
    hpa.spec.scale_target_ref = CrossVersionObjectReference {
        api_version: Some("apps/v1".to_owned()),
        kind: "Deployment".to_owned(),
        name: "web".to_owned(),
    };
    hpa
}

pub(super) fn seen(replicas: i32, metrics: Vec<Result<Values, NoValues>>) -> Observed {
    let scale = Scale {
        spec_replicas: replicas,
        status_replicas: replicas,
        selector: "name=podNamePrefix".to_owned(),
    };
    Observed {
        now: now(),
        scale: Ok(scale),
        pods: (0..replicas).map(|at| pod(&format!("web-{at}"))).collect(),
        metrics,
        others: Vec::new(),
    }
}

pub(super) fn average(value: &str) -> MetricTarget {
    MetricTarget {
        type_: "AverageValue".to_owned(),
        average_value: Some(quantity(value)),
        ..MetricTarget::default()
    }
}

fn value(value: &str) -> MetricTarget {
    MetricTarget {
        type_: "Value".to_owned(),
        value: Some(quantity(value)),
        ..MetricTarget::default()
    }
}

pub(super) fn external(target: MetricTarget) -> MetricSpec {
    let labels = [("topic".to_owned(), "orders".to_owned())];
    let selector = LabelSelector {
        match_labels: Some(labels.into()),
        match_expressions: None,
    };
    let metric = MetricIdentifier {
        name: "lag".to_owned(),
        selector: Some(selector),
    };
    MetricSpec {
        type_: "External".to_owned(),
        external: Some(ExternalMetricSource { metric, target }),
        ..MetricSpec::default()
    }
}

fn object(target: MetricTarget) -> MetricSpec {
    let described_object = CrossVersionObjectReference {
        api_version: Some("networking.k8s.io/v1".to_owned()),
        kind: "Ingress".to_owned(),
        name: "front".to_owned(),
    };
    let metric = MetricIdentifier {
        name: "hits".to_owned(),
        selector: None,
    };
    MetricSpec {
        type_: "Object".to_owned(),
        object: Some(ObjectMetricSource {
            described_object,
            metric,
            target,
        }),
        ..MetricSpec::default()
    }
}

fn pods(target: MetricTarget) -> MetricSpec {
    let metric = MetricIdentifier {
        name: "qps".to_owned(),
        selector: None,
    };
    MetricSpec {
        type_: "Pods".to_owned(),
        pods: Some(PodsMetricSource { metric, target }),
        ..MetricSpec::default()
    }
}

fn refused() -> Result<Values, NoValues> {
    let why = "no metrics returned from external metrics API";
    Err(NoValues(why.to_owned()))
}

fn message<'a>(decision: &'a Decision, kind: &str) -> &'a str {
    let condition = condition(&decision.status, kind).unwrap();
    condition.message.as_deref().unwrap()
}

fn first_round(metric: MetricSpec, values: Result<Values, NoValues>) -> Decision {
    let seen = seen(3, vec![values]);
    decide(&hpa(vec![metric]), &seen, Memory::default(), &settings())
}

#[test]
fn a_metric_that_fails_is_told_as_the_controller_tells_it() {
    let lag = "unable to get external metric \
               shop/lag/&LabelSelector{MatchLabels:map[string]string{topic: orders,},\
               MatchExpressions:[]LabelSelectorRequirement{},}: \
               no metrics returned from external metrics API";
    let hits = "unable to get metric hits: Ingress on shop front/no metrics returned from \
                external metrics API";
    let qps = "unable to get metric qps: no metrics returned from external metrics API";
    let rows = [
        (
            external(average("5")),
            "FailedGetExternalMetric",
            lag,
            "failed to get lag external metric value: failed to get lag external metric: ",
        ),
        (
            external(value("5")),
            "FailedGetExternalMetric",
            lag,
            "failed to get lag external metric value: failed to get external metric lag: ",
        ),
        (
            object(value("5")),
            "FailedGetObjectMetric",
            hits,
            "failed to get object metric value: ",
        ),
        (
            object(average("5")),
            "FailedGetObjectMetric",
            hits,
            "failed to get object metric value: failed to get hits object metric: ",
        ),
        (
            pods(average("5")),
            "FailedGetPodsMetric",
            qps,
            "failed to get pods metric value: ",
        ),
    ];
    for (metric, reason, why, before) in rows {
        let decision = first_round(metric, refused());
        let whole = format!("invalid metrics (1 invalid out of 1), first error is: {before}{why}");
        let events = [
            (reason, why.to_owned()),
            ("FailedComputeMetricsReplicas", whole.clone()),
        ];
        let events = events.map(|(reason, message)| Event {
            is_warning: true,
            reason,
            message,
        });
        assert_eq!(decision.events, events);
        let active = format!("the HPA was unable to compute the replica count: {why}");
        assert_eq!(message(&decision, "ScalingActive"), active);
        let error = format!(
            "failed to compute desired number of replicas based on listed metrics for \
             Deployment/shop/web: {whole}"
        );
        assert_eq!(decision.error, Some(error));
        assert_eq!(
            (decision.rescale.clone(), decision.replicas()),
            (None, Some(3))
        );
        let current = decision.status.current_metrics.unwrap();
        assert_eq!(
            current,
            [Default::default()],
            "empty, which kubectl shows as <unknown>"
        );
    }
}

#[test]
fn a_change_is_told_with_its_metric_and_its_time() {
    let decision = first_round(
        external(average("5")),
        Ok(Values::External(vec![10_000, 17_001])),
    );
    let rescale = decision.rescale.clone().unwrap();
    let lag = "external metric lag(&LabelSelector{MatchLabels:map[string]string{topic: orders,},\
               MatchExpressions:[]LabelSelectorRequirement{},})";
    assert_eq!((rescale.from, rescale.to), (3, 6));
    assert_eq!(rescale.reason, format!("{lag} above target"));
    let active = format!("the HPA was able to successfully calculate a replica count from {lag}");
    assert_eq!(message(&decision, "ScalingActive"), active);
    assert_eq!(
        message(&decision, "ScalingLimited"),
        "the desired count is within the acceptable range"
    );
    assert_eq!(
        decision.status.desired_replicas, 0,
        "not before it is carried out"
    );
    assert_eq!(decision.status.observed_generation, Some(7));
    let current = decision.status.current_metrics.clone().unwrap();
    let current = &current[0].external.as_ref().unwrap().current;
    assert_eq!(
        current.average_value,
        Some(quantity("9001m")),
        "27001m, shared by three"
    );

    let hpa = hpa(vec![external(average("5"))]);
    let decision = decision.carried_out(&hpa, Ok(()), now(), &settings());
    assert_eq!(
        message(&decision, "AbleToScale"),
        "the HPA controller was able to update the target scale to 6"
    );
    assert_eq!(decision.status.desired_replicas, 6);
    assert_eq!(decision.status.last_scale_time, Some(Time(now())));
    let event = Event {
        is_warning: false,
        reason: "SuccessfulRescale",
        message: format!("New size: 6; reason: {lag} above target"),
    };
    assert_eq!(decision.events, [event]);
}

#[test]
fn a_change_that_could_not_be_made_is_told_and_not_remembered() {
    let mut hpa = hpa(vec![object(value("5"))]);
    hpa.spec.behavior = Some(HorizontalPodAutoscalerBehavior::default());
    let seen = seen(3, vec![Ok(Values::Object(10_000))]);
    let decision = decide(&hpa, &seen, Memory::default(), &settings());
    let outcome = Err("conflict".to_owned());
    let decision = decision.carried_out(&hpa, outcome, now(), &settings());
    assert_eq!(
        message(&decision, "AbleToScale"),
        "the HPA controller was unable to update the target scale: conflict"
    );
    let failed = "New size: 6; reason: Ingress metric hits above target; error: conflict";
    assert_eq!(decision.events[0].message, failed);
    assert_eq!(
        decision.error.unwrap(),
        "failed to rescale Deployment/shop/web: conflict"
    );
    assert_eq!(decision.status.desired_replicas, 0);
    assert_eq!(decision.memory.scale_up, []);
}

/// `TestStoreScaleEvents`, the rows without rules.
#[test]
fn without_behavior_no_change_is_remembered() {
    let old = ScaleEvent {
        change: 7,
        at: ago(61),
        outdated: false,
    };
    for before in [vec![], vec![old]] {
        let memory = Memory {
            scale_up: before.clone(),
            ..Memory::default()
        };
        let hpa = hpa(vec![object(value("5"))]);
        let seen = seen(3, vec![Ok(Values::Object(10_000))]);
        let decision = decide(&hpa, &seen, memory, &settings());
        let decision = decision.carried_out(&hpa, Ok(()), now(), &settings());
        assert_eq!(decision.status.desired_replicas, 6);
        assert_eq!(decision.memory.scale_up, before);
    }
}

#[test]
fn pods_of_two_autoscalers_are_scaled_by_neither() {
    let hpa = hpa(vec![object(value("5"))]);
    let mut seen = seen(3, vec![Ok(Values::Object(10_000))]);
    let other = |key: &str, selector: &str| Other {
        key: key.to_owned(),
        selector: Selector::parse(selector).unwrap(),
    };
    seen.others = vec![
        other("shop/all", "name"),
        other("shop/web", "name"),
        other("shop/else", "name=else"),
    ];
    let decision = decide(&hpa, &seen, Memory::default(), &settings());
    assert_eq!(decision.rescale, None);
    assert_eq!(
        message(&decision, "ScalingActive"),
        "pods by selector name=podNamePrefix are controlled by multiple HPAs: [shop/all shop/web]"
    );
}

#[test]
fn bounds_that_make_no_sense_change_nothing() {
    for (min, max) in [(None, 0), (Some(5), 4), (Some(-1), 4)] {
        let mut hpa = hpa(vec![object(value("5"))]);
        (hpa.spec.min_replicas, hpa.spec.max_replicas) = (min, max);
        let seen = seen(3, vec![Ok(Values::Object(10_000))]);
        let decision = decide(&hpa, &seen, Memory::default(), &settings());
        assert_eq!(decision.rescale, None);
        assert!(decision.error.unwrap().contains("are no bounds"));
    }
}

#[test]
fn a_target_that_is_not_positive_is_an_error() {
    for text in ["0", "-1", "apples"] {
        for metric in [object(value(text)), object(average(text))] {
            let decision = first_round(metric, Ok(Values::Object(10_000)));
            assert_eq!(decision.rescale, None, "{text}");
            assert!(message(&decision, "ScalingActive").contains(text), "{text}");
        }
    }
}

#[test]
fn without_metrics_the_processor_counts() {
    let mut hpa = hpa(vec![]);
    for none in [None, Some(vec![])] {
        hpa.spec.metrics = none;
        let metrics = metrics(&hpa);
        let resource = metrics[0].resource.as_ref().unwrap();
        assert_eq!((metrics.len(), resource.name.as_str()), (1, "cpu"));
        assert_eq!(resource.target.average_utilization, Some(80));
    }
    let decision = decide(&hpa, &seen(3, vec![]), Memory::default(), &settings());
    assert!(decision.error.unwrap().contains("no values were asked for"));
}

#[test]
fn selectors_are_printed_as_go_prints_them() {
    assert_eq!(selector(None), "nil");
    let requirement =
        |key: &str, operator: &str, values: Option<&[&str]>| LabelSelectorRequirement {
            key: key.to_owned(),
            operator: operator.to_owned(),
            values: values.map(|it| it.iter().map(|it| (*it).to_owned()).collect()),
        };
    let both = LabelSelector {
        match_labels: Some(BTreeMap::from([("a".to_owned(), "b".to_owned())])),
        match_expressions: Some(vec![
            requirement("c", "In", Some(&["d", "e"])),
            requirement("f", "Exists", None),
        ]),
    };
    assert_eq!(
        selector(Some(&both)),
        "&LabelSelector{MatchLabels:map[string]string{a: b,},MatchExpressions:\
         []LabelSelectorRequirement{LabelSelectorRequirement{Key:c,Operator:In,Values:[d e],},\
         LabelSelectorRequirement{Key:f,Operator:Exists,Values:[],},},}"
    );
}

/// `TestBuildQuantity`
#[test]
fn current_values_are_quantities() {
    let rows = [
        (1000, true, "1"),
        (1_000_000, true, "1k"),
        (1_073_741_824_000, true, "1Gi"),
        (1500, true, "1500m"),
        (100, false, "100m"),
        (500, false, "500m"),
        (1, false, "1m"),
        (200, false, "200m"),
        (300, false, "300m"),
        (-2000, false, "-2"),
        (i64::MAX, false, "9223372036854775807m"),
        (i64::MIN, false, "-9223372036854775808m"),
    ];
    for (thousandths, is_bytes, text) in rows {
        assert_eq!(of_milli(thousandths, is_bytes).0, text);
        assert_eq!(milli(&quantity(text)), Ok(thousandths));
    }
}

#[test]
fn quantities_become_thousandths_away_from_zero() {
    let rows = [
        ("1n", 1),
        ("-1n", -1),
        ("1001u", 2),
        ("1500m", 1500),
        ("0.5", 500),
        ("12e6", 12_000_000_000),
        ("1e-3", 1),
        ("2Ki", 2_048_000),
        ("1.5Gi", 1_610_612_736_000),
        ("9E", i64::MAX),
        ("-9E", i64::MIN),
        ("+3", 3000),
    ];
    for (text, thousandths) in rows {
        assert_eq!(milli(&quantity(text)), Ok(thousandths), "{text}");
    }
    let ratios = [
        ("0.05", 0.05),
        ("50m", 0.05),
        ("1", 1.0),
        ("2Ki", 2048.0),
        ("-1m", -0.001),
    ];
    for (text, want) in ratios {
        assert_eq!(ratio(&quantity(text)), Ok(want), "{text}");
    }
    assert!(milli(&quantity("apples")).is_err());
}

#[test]
fn memory_outlives_the_program() {
    let hpa = hpa(vec![object(value("5"))]);
    let seen = seen(3, vec![Ok(Values::Object(10_000))]);
    let memory = decide(&hpa, &seen, Memory::default(), &Settings::default()).memory;
    let text = serde_json::to_string(&memory).unwrap();
    assert_eq!(serde_json::from_str::<Memory>(&text).unwrap(), memory);
}

/// A value is compared with what the target is set to, an average with what it has.
#[test]
fn averages_are_shared_by_the_replicas_that_are_there() {
    let replicas = |metric: MetricSpec, usage: i64| {
        let mut seen = seen(3, vec![Ok(Values::Object(usage))]);
        seen.scale.as_mut().unwrap().status_replicas = 4;
        let decision = decide(&hpa(vec![metric]), &seen, Memory::default(), &settings());
        decision.replicas()
    };
    // 21 in four parts are near enough to 5 each; in three they were not.
    assert_eq!(replicas(object(average("5")), 21_000), Some(4));
    assert_eq!(replicas(object(average("5")), 23_000), Some(5));
    assert_eq!(replicas(object(value("5")), 5_000), Some(3));
    assert_eq!(replicas(object(value("5")), 10_000), Some(6));
}

#[test]
fn the_ends_of_the_tolerance_belong_to_it() {
    for (usage, want) in [(1100, 3), (1101, 4), (900, 3), (660, 2)] {
        let seen = seen(3, vec![Ok(Values::Object(usage))]);
        let memory = Memory {
            recommendations: Some(Vec::new()),
            ..Memory::default()
        };
        let decision = decide(&hpa(vec![object(value("1"))]), &seen, memory, &settings());
        assert_eq!(decision.replicas(), Some(want), "{usage}");
    }
}

/// A policy that allows one replica does not keep a target below its minimum.
#[test]
fn from_zero_there_are_at_least_the_minimum() {
    use k8s_openapi::api::autoscaling::v2::{
        HPAScalingPolicy, HPAScalingRules, HorizontalPodAutoscalerCondition,
        HorizontalPodAutoscalerStatus,
    };
    let mut hpa = hpa(vec![object(value("5"))]);
    hpa.spec.min_replicas = Some(3);
    let policy = HPAScalingPolicy {
        period_seconds: 60,
        type_: "Pods".to_owned(),
        value: 1,
    };
    let rules = HPAScalingRules {
        policies: Some(vec![policy]),
        ..HPAScalingRules::default()
    };
    hpa.spec.behavior = Some(HorizontalPodAutoscalerBehavior {
        scale_up: Some(rules),
        scale_down: None,
    });
    let condition = HorizontalPodAutoscalerCondition {
        type_: "ScaledToZero".to_owned(),
        status: "True".to_owned(),
        ..HorizontalPodAutoscalerCondition::default()
    };
    hpa.status = Some(HorizontalPodAutoscalerStatus {
        conditions: Some(vec![condition]),
        ..HorizontalPodAutoscalerStatus::default()
    });
    let on = Settings {
        scale_to_zero: true,
        ..settings()
    };
    for (usage, reason) in [
        (20_000, "Ingress metric hits above target"),
        (0, "Current number of replicas below Spec.MinReplicas"),
    ] {
        let seen = seen(0, vec![Ok(Values::Object(usage))]);
        let rescale = decide(&hpa, &seen, Memory::default(), &on).rescale.unwrap();
        assert_eq!((rescale.to, rescale.reason.as_str()), (3, reason));
    }
}
