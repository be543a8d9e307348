//! What holds for any object, any pods, any values and any memory.

use jiff::SignedDuration;
use k8s_openapi::api::autoscaling::v2::{
    CrossVersionObjectReference, ExternalMetricSource, HPAScalingPolicy, HPAScalingRules,
    HorizontalPodAutoscaler, HorizontalPodAutoscalerBehavior, HorizontalPodAutoscalerCondition,
    HorizontalPodAutoscalerStatus, MetricIdentifier, MetricSpec, MetricTarget, ObjectMetricSource,
    PodsMetricSource, ResourceMetricSource,
};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::autoscale::numbers::quantity as of_milli;
use crate::autoscale::{
    Memory, NoValues, Observed, PodValue, Recommendation, Scale, ScaleEvent, Settings, Values,
    decide,
};

use super::{ago, container, now, pod, settings};

/// The types of metric, and what their target is.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Cpu,
    CpuAverage,
    Pods,
    Object,
    ObjectAverage,
    External,
    ExternalAverage,
}

const KINDS: [Kind; 7] = [
    Kind::Cpu,
    Kind::CpuAverage,
    Kind::Pods,
    Kind::Object,
    Kind::ObjectAverage,
    Kind::External,
    Kind::ExternalAverage,
];

/// `target` is in percent for `Cpu`, else in thousandths.
fn metric(kind: Kind, target: i64) -> MetricSpec {
    let of = |kind: &str| MetricTarget {
        type_: kind.to_owned(),
        value: (kind == "Value").then(|| of_milli(target, false)),
        average_value: (kind == "AverageValue").then(|| of_milli(target, false)),
        average_utilization: (kind == "Utilization").then(|| i32::try_from(target).unwrap_or(80)),
    };
    let metric = MetricIdentifier {
        name: "m".to_owned(),
        selector: None,
    };
    let resource = |target| ResourceMetricSource {
        name: "cpu".to_owned(),
        target,
    };
    let object = |metric, target| ObjectMetricSource {
        described_object: CrossVersionObjectReference::default(),
        metric,
        target,
    };
    let mut spec = MetricSpec::default();
    let kind = match kind {
        Kind::Cpu => {
            spec.resource = Some(resource(of("Utilization")));
            "Resource"
        }
        Kind::CpuAverage => {
            spec.resource = Some(resource(of("AverageValue")));
            "Resource"
        }
        Kind::Pods => {
            let target = of("AverageValue");
            spec.pods = Some(PodsMetricSource { metric, target });
            "Pods"
        }
        Kind::Object => {
            spec.object = Some(object(metric, of("Value")));
            "Object"
        }
        Kind::ObjectAverage => {
            spec.object = Some(object(metric, of("AverageValue")));
            "Object"
        }
        Kind::External => {
            let target = of("Value");
            spec.external = Some(ExternalMetricSource { metric, target });
            "External"
        }
        Kind::ExternalAverage => {
            let target = of("AverageValue");
            spec.external = Some(ExternalMetricSource { metric, target });
            "External"
        }
    };
    spec.type_ = kind.to_owned();
    spec
}

/// The values of a metric, of as many pods as there are.
fn values(kind: Kind, values: &[i64]) -> Values {
    match kind {
        Kind::Object | Kind::ObjectAverage => Values::Object(values.first().copied().unwrap_or(0)),
        Kind::External | Kind::ExternalAverage => Values::External(values.to_vec()),
        Kind::Cpu | Kind::CpuAverage | Kind::Pods => {
            let values = values.iter().enumerate().map(|(at, value)| {
                let value = PodValue {
                    value: *value,
                    timestamp: now(),
                    window: SignedDuration::from_secs(30),
                };
                (format!("web-{at}"), value)
            });
            Values::Pods(values.collect())
        }
    }
}

/// A round.
#[derive(Clone, Debug)]
struct Case {
    hpa: HorizontalPodAutoscaler,
    seen: Observed,
    memory: Memory,
    settings: Settings,
}

impl Case {
    fn replicas(&self) -> Option<i32> {
        self.decide().replicas()
    }

    fn decide(&self) -> crate::autoscale::Decision {
        decide(&self.hpa, &self.seen, self.memory.clone(), &self.settings)
    }

    fn bounds(&self) -> (i32, i32) {
        (
            self.hpa.spec.min_replicas.unwrap_or(1),
            self.hpa.spec.max_replicas,
        )
    }

    fn is_within_bounds(&self) -> bool {
        let (min, max) = self.bounds();
        let current = self.seen.scale.as_ref().map_or(0, |it| it.spec_replicas);
        (min..=max).contains(&current)
    }
}

fn any_rules() -> impl Strategy<Value = HPAScalingRules> {
    let policy = (any::<bool>(), 1..200, 1..1800).prop_map(|(is_pods, value, period_seconds)| {
        HPAScalingPolicy {
            period_seconds,
            type_: if is_pods { "Pods" } else { "Percent" }.to_owned(),
            value,
        }
    });
    let select = prop_oneof![Just("Max"), Just("Min"), Just("Disabled")];
    let tolerance = option::of((0_i64..500).prop_map(|it| of_milli(it, false)));
    (
        option::of(vec(policy, 1..3)),
        option::of(select),
        option::of(0..900),
        tolerance,
    )
        .prop_map(|(policies, select, window, tolerance)| HPAScalingRules {
            policies,
            select_policy: select.map(str::to_owned),
            stabilization_window_seconds: window,
            tolerance,
        })
}

fn any_behavior() -> impl Strategy<Value = Option<HorizontalPodAutoscalerBehavior>> {
    let both = (option::of(any_rules()), option::of(any_rules()));
    option::of(
        both.prop_map(|(scale_up, scale_down)| HorizontalPodAutoscalerBehavior {
            scale_down,
            scale_up,
        }),
    )
}

fn any_memory() -> impl Strategy<Value = Memory> {
    let recommendation = (0..60, 0_i64..1200).prop_map(|(replicas, age)| Recommendation {
        replicas,
        at: ago(age),
    });
    let event =
        (0..30, 0_i64..2000, any::<bool>()).prop_map(|(change, age, outdated)| ScaleEvent {
            change,
            at: ago(age),
            outdated,
        });
    (
        option::of(vec(recommendation, 0..6)),
        vec(event.clone(), 0..5),
        vec(event, 0..5),
    )
        .prop_map(|(recommendations, scale_up, scale_down)| Memory {
            recommendations,
            scale_up,
            scale_down,
            attempt: None,
        })
}

/// A pod in any state.
fn any_pod(at: usize) -> impl Strategy<Value = Pod> {
    let phase = prop_oneof![6 => Just("Running"), 1 => Just("Pending"), 1 => Just("Failed")];
    let state = (
        phase,
        any::<bool>(),
        0_i64..600,
        0_i64..600,
        prop::bool::weighted(0.1),
    );
    state.prop_map(move |(phase, is_ready, start, changed, is_deleted)| {
        let mut pod = pod(&format!("web-{at}"));
        pod.spec.as_mut().unwrap().containers = vec![container("app", Some("1"))];
        pod.metadata.deletion_timestamp = is_deleted.then(|| Time(now()));
        let status = pod.status.as_mut().unwrap();
        status.phase = Some(phase.to_owned());
        status.start_time = Some(Time(ago(start)));
        let ready = &mut status.conditions.as_mut().unwrap()[0];
        ready.status = if is_ready { "True" } else { "False" }.to_owned();
        ready.last_transition_time = Some(Time(ago(changed)));
        pod
    })
}

fn any_value() -> impl Strategy<Value = i64> {
    prop_oneof![
        8 => 0_i64..100_000,
        1 => any::<i64>(),
        1 => prop_oneof![Just(i64::MIN), Just(i64::MAX), Just(0)],
    ]
}

type Metric = (MetricSpec, Result<Values, NoValues>);

fn any_metric() -> impl Strategy<Value = Metric> {
    let target = prop_oneof![4 => 1_i64..50_000, 1 => 1..=i64::MAX];
    let kind = prop::sample::select(KINDS.as_slice());
    (
        kind,
        target,
        vec(any_value(), 1..12),
        prop::bool::weighted(0.2),
    )
        .prop_map(|(kind, target, all, fails)| {
            let values = match fails {
                true => Err(NoValues("it failed".to_owned())),
                false => Ok(values(kind, &all)),
            };
            (metric(kind, target), values)
        })
}

prop_compose! {
    fn any_case()(
        (min, max) in (option::of(0..20_i32), 1..50_i32),
        (spec_replicas, status_replicas) in (0..60, 0..60),
        metrics in vec(any_metric(), 1..4),
        pods in (0_usize..10).prop_flat_map(|count| (0..count).map(any_pod).collect::<Vec<_>>()),
        behavior in any_behavior(),
        memory in any_memory(),
        scale_to_zero in any::<bool>(),
        was_scaled_to_zero in any::<bool>(),
    ) -> Case {
        let mut hpa = HorizontalPodAutoscaler::default();
        hpa.spec.min_replicas = min;
        hpa.spec.max_replicas = max.max(min.unwrap_or(1));
        hpa.spec.behavior = behavior;
        let (specs, metrics) = metrics.into_iter().unzip();
        hpa.spec.metrics = Some(specs);
        let condition = HorizontalPodAutoscalerCondition {
            type_: "ScaledToZero".to_owned(),
            status: "True".to_owned(),
            ..HorizontalPodAutoscalerCondition::default()
        };
        hpa.status = was_scaled_to_zero.then(|| HorizontalPodAutoscalerStatus {
            conditions: Some(vec![condition]),
            ..HorizontalPodAutoscalerStatus::default()
        });
        let scale = Scale {
            spec_replicas,
            status_replicas,
            selector: "name=podNamePrefix".to_owned(),
        };
        let seen = Observed { now: now(), scale: Ok(scale), pods, metrics, others: Vec::new() };
        let settings = Settings { scale_to_zero, ..settings() };
        Case { hpa, seen, memory, settings }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_change_leads_between_min_and_max(case in any_case()) {
        let (min, max) = case.bounds();
        let decision = case.decide();
        if let Some(rescale) = decision.rescale {
            prop_assert!((min..=max).contains(&rescale.to), "{rescale:?}");
            prop_assert_ne!(rescale.from, rescale.to);
        }
    }

    #[test]
    fn while_a_metric_is_missing_nothing_is_scaled_in(mut case in any_case(), at in any::<prop::sample::Index>()) {
        let at = at.index(case.seen.metrics.len());
        case.seen.metrics[at] = Err(NoValues("it failed".to_owned()));
        let current = case.seen.scale.as_ref().map_or(0, |it| it.spec_replicas);
        let (_, max) = case.bounds();
        // More than `maxReplicas` are too many whatever the metrics say.
        if current <= max {
            prop_assert!(case.replicas() >= Some(current), "{:?}", case.decide());
        }
    }

    #[test]
    fn the_same_input_has_the_same_outcome(case in any_case()) {
        let first = case.decide();
        prop_assert_eq!(&first, &case.decide());
        // And once more, where nothing was done.
        if first.rescale.is_none() {
            let mut again = case.clone();
            again.memory = first.memory;
            again.hpa.status = Some(first.status.clone());
            let second = again.decide();
            prop_assert_eq!(second.rescale, None);
            prop_assert_eq!(second.status, first.status);
        }
    }
}

/// All pods ready, one metric, no memory: `usage` per pod where it is, else of all.
fn steady(kind: Kind, replicas: i32, target: i64, usage: &[i64]) -> Case {
    let mut hpa = HorizontalPodAutoscaler::default();
    hpa.spec.max_replicas = 1000;
    hpa.spec.metrics = Some(vec![metric(kind, target)]);
    let scale = Scale {
        spec_replicas: replicas,
        status_replicas: replicas,
        selector: "name=podNamePrefix".to_owned(),
    };
    let pods = (0..replicas).map(|at| {
        let mut pod = pod(&format!("web-{at}"));
        pod.spec.as_mut().unwrap().containers = vec![container("app", Some("1"))];
        pod
    });
    let seen = Observed {
        now: now(),
        scale: Ok(scale),
        pods: pods.collect(),
        metrics: vec![Ok(values(kind, usage))],
        others: Vec::new(),
    };
    let memory = Memory {
        recommendations: Some(Vec::new()),
        ..Memory::default()
    };
    Case {
        hpa,
        seen,
        memory,
        settings: settings(),
    }
}

/// The usage of all that is `per_mille` of the target.
fn usage(kind: Kind, replicas: i32, target: i64, per_mille: i64) -> Vec<i64> {
    let share = target * per_mille / 1000;
    match kind {
        // Percent of one processor, of each pod.
        Kind::Cpu => vec![target * per_mille / 100; usize::try_from(replicas).unwrap()],
        Kind::CpuAverage | Kind::Pods => vec![share; usize::try_from(replicas).unwrap()],
        Kind::Object | Kind::External => vec![share],
        Kind::ObjectAverage | Kind::ExternalAverage => vec![share * i64::from(replicas)],
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_is_remembered_stays_small(case in any_case(), rounds in 1_i64..300) {
        let mut case = case;
        let window = SignedDuration::from_secs(900);
        for round in 0..rounds {
            case.seen.now = now() + SignedDuration::from_secs(15 * round);
            let decision = case.decide();
            case.memory = decision.memory;
        }
        let list = case.memory.recommendations.unwrap_or_default();
        let old = list.iter().filter(|it| case.seen.now.duration_since(it.at) > window).count();
        let recent = list.len() - old;
        prop_assert!(recent <= 61 + 6 && list.len() <= 61 + 12, "{old} old, {recent} recent");
    }
}

proptest! {
    #[test]
    fn within_the_tolerance_nothing_changes(
        kind in prop::sample::select(KINDS.as_slice()),
        replicas in 1..50,
        target in 1_i64..1000,
        drift in vec(-95_i64..=95, 1..20),
        behavior in any_behavior(),
    ) {
        // Large enough that the rounding of thousandths, and of percents, does not matter.
        let target = if matches!(kind, Kind::Cpu) { 100 + target } else { target * 1000 };
        let mut memory = Memory { recommendations: Some(Vec::new()), ..Memory::default() };
        for (round, drift) in (0..).zip(drift) {
            let usage = usage(kind, replicas, target, 1000 + drift);
            let mut case = steady(kind, replicas, target, &usage);
            case.hpa.spec.behavior = behavior.clone();
            case.settings.configurable_tolerance = false;
            case.memory = memory;
            case.seen.now = now() + SignedDuration::from_secs(15 * round);
            let decision = case.decide();
            prop_assert_eq!(decision.rescale, None);
            memory = decision.memory;
        }
    }

    #[test]
    fn more_of_a_metric_never_means_fewer_replicas(
        kind in prop::sample::select(KINDS.as_slice()),
        replicas in 1..50,
        target in 1_i64..100_000,
        (less, more) in (0_i64..5000, 0_i64..5000),
        behavior in any_behavior(),
        memory in any_memory(),
    ) {
        let replicas_for = |per_mille| {
            let usage = usage(kind, replicas, target, per_mille);
            let mut case = steady(kind, replicas, target, &usage);
            case.hpa.spec.behavior = behavior.clone();
            case.memory = memory.clone();
            case.replicas()
        };
        let (less, more) = (less.min(more), less.max(more));
        prop_assert!(replicas_for(less) <= replicas_for(more));
    }

    /// From any number of replicas, a steady load is reached, and then left alone.
    #[test]
    fn a_steady_load_comes_to_rest(
        kind in prop::sample::select(vec![Kind::ObjectAverage, Kind::ExternalAverage]),
        replicas in 1..100,
        load in 1_i64..200,
    ) {
        let (mut replicas, mut memory) = (replicas, Memory::default());
        for round in 0..60 {
            let mut case = steady(kind, replicas, 1000, &[load * 1000]);
            prop_assert!(case.is_within_bounds());
            case.memory = memory;
            case.seen.now = now() + SignedDuration::from_secs(15 * round);
            let decision = case.decide();
            replicas = decision.replicas().unwrap();
            memory = decision.carried_out(&case.hpa, Ok(()), case.seen.now, &case.settings).memory;
        }
        // As many as are needed, or so many more that it is within the tolerance.
        let ratio = load as f64 / f64::from(replicas);
        prop_assert!((0.9..=1.1).contains(&ratio), "{replicas} for {load}");
    }
}
