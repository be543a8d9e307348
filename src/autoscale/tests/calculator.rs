//! `replica_calculator_test.go`: one metric, its pods, and the replicas it calls for.
//!
//! A row of `calculator.txt` tells of `cur` replicas and their pods: what each of their two
//! containers asks for (`req`) and uses (`lv`, in thousandths; `{a, b}` of either container),
//! whether they are `ready`, their `phase`, their `start` (`hot` is now, `cool` three minutes ago),
//! whether they are going away (`del`). Then the target (`tgt`), and what is expected: the replicas
//! after `=>`, what is used in percent (`util`), and as a value (`raw`, `use`).

use k8s_openapi::api::autoscaling::v2::{
    ContainerResourceMetricSource, CrossVersionObjectReference, ExternalMetricSource,
    MetricIdentifier, MetricSpec, MetricTarget, MetricValueStatus, ObjectMetricSource,
    PodsMetricSource, ResourceMetricSource,
};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;

use crate::autoscale::calculator::Calculator;
use crate::autoscale::metric::{Ask, Computed, Failure, compute};
use crate::autoscale::numbers::Tolerances;
use crate::autoscale::{NoValues, Values, answer};

use super::table::{Row, Value, number, rows};
use super::{ago, container, now, pod, quantity, settings};

#[test]
fn each_row_of_the_replica_calculators_tests_holds() {
    let rows = rows(include_str!("calculator.txt"), 2);
    assert_eq!(rows.len(), 71);
    for row in rows {
        let name = &row.name;
        match (run(&row), row.text("err")) {
            (Err(failure), Some(error)) => {
                let message = &failure.message;
                assert!(message.contains(error), "{name}: {message}");
            }
            (Ok(computed), None) => {
                let want = row.int("=>").unwrap();
                assert_eq!(computed.replicas, want, "{name}");
                assert_usage(&row, &current(&computed));
            }
            (outcome, _) => panic!("{name}: {outcome:?}"),
        }
    }
}

/// What is reported besides the replicas.
fn assert_usage(row: &Row, current: &MetricValueStatus) {
    let name = &row.name;
    let usage = current.average_value.as_ref().or(current.value.as_ref());
    let usage = crate::autoscale::numbers::milli(usage.unwrap()).unwrap();
    let want = row.number("raw").or(row.number("use")).unwrap();
    assert_eq!(usage, want, "{name}");
    assert_eq!(current.average_utilization, row.int("util"), "{name}");
}

fn current(computed: &Computed) -> MetricValueStatus {
    let status = &computed.status;
    let object = status.object.as_ref().map(|it| &it.current);
    let pods = status.pods.as_ref().map(|it| &it.current);
    let resource = status.resource.as_ref().map(|it| &it.current);
    let container = status.container_resource.as_ref().map(|it| &it.current);
    let external = status.external.as_ref().map(|it| &it.current);
    let current = object.or(pods).or(resource).or(container).or(external);
    current.unwrap().clone()
}

fn run(row: &Row) -> Result<Computed, Failure> {
    let replicas = row.int("cur").unwrap();
    let pods = pods(row, usize::try_from(replicas).unwrap());
    let tolerance = |at: usize| {
        let words = row.words("tol");
        words.map_or(0.1, |words| words[at].parse().unwrap())
    };
    let settings = settings();
    let calculator = Calculator {
        pods: pods.iter().collect(),
        spec_replicas: replicas,
        status_replicas: replicas,
        tolerances: Tolerances {
            scale_down: tolerance(0),
            scale_up: tolerance(1),
        },
        now: now(),
        settings: &settings,
    };
    let ask = Ask {
        calculator: &calculator,
        namespace: "test-namespace",
        values: &values(row),
    };
    compute(&spec(row), &ask)
}

/// As many as there are replicas, or phases.
fn pods(row: &Row, replicas: usize) -> Vec<Pod> {
    let phases = row.words("phase");
    let count = replicas.max(phases.as_ref().map_or(0, Vec::len));
    let requests = row.words("req").unwrap_or_default();
    let pods = (0..count).map(|at| {
        let mut pod = pod(&format!("test-pod-{at}"));
        let request = requests.get(at).map(String::as_str);
        let containers = ["container1", "container2"].map(|name| container(name, request));
        pod.spec.as_mut().unwrap().containers = containers.into();
        set_state(row, at, &mut pod);
        pod
    });
    pods.collect()
}

/// Phase, readiness, start and deletion of the pod `at`, where the row tells.
pub(super) fn set_state(row: &Row, at: usize, pod: &mut Pod) {
    let word = |key: &str| row.words(key).and_then(|words| words.get(at).cloned());
    let status = pod.status.as_mut().unwrap();
    match word("phase").as_deref() {
        None | Some("Run") => {}
        Some("Fail") => status.phase = Some("Failed".to_owned()),
        Some("Pend") => status.phase = Some("Pending".to_owned()),
        other => panic!("{other:?}"),
    }
    let ready = &mut status.conditions.as_mut().unwrap()[0];
    if word("ready").as_deref() == Some("F") {
        ready.status = "False".to_owned();
    }
    match word("start").as_deref() {
        None => {}
        Some("hot") => status.start_time = Some(Time(now())),
        Some("cool") => status.start_time = Some(Time(ago(180))),
        other => panic!("{other:?}"),
    }
    if word("del").as_deref() == Some("T") {
        pod.metadata.deletion_timestamp = Some(Time(now()));
    }
}

/// Read from the answer of an API, like the real ones.
fn values(row: &Row) -> Result<Values, NoValues> {
    let levels = row.list("lv").unwrap();
    match row.columns[0].as_str() {
        "CPU%" => {
            let container = row.text("ctr");
            answer::resource(&pod_metrics(row, &levels), "cpu", container)
        }
        "Pods" => answer::pods(&metric_values(&levels)),
        "ObjValue" | "ObjAvg" => answer::object(&metric_values(&levels)),
        "ExtValue" | "ExtAvg" => answer::external(&metric_values(&levels)),
        other => panic!("{other}"),
    }
}

fn pod_metrics(row: &Row, levels: &[Value]) -> Vec<u8> {
    let names = row.words("podNames").unwrap_or_default();
    let items = levels.iter().enumerate().map(|(at, level)| {
        // One level is that of both containers; a list has each its own.
        let levels = match level {
            Value::Word(word) => vec![number(word); 2],
            Value::List(list) => list.iter().map(|it| number(it.word())).collect(),
        };
        let containers = (0..2).map(|at| match levels.get(at) {
            Some(level) => {
                let name = format!("container{}", at + 1);
                json!({"name": name, "usage": {"cpu": format!("{level}m")}})
            }
            None => json!({"name": "", "usage": null}),
        });
        let containers: Vec<_> = containers.collect();
        let name = names.get(at).cloned();
        let name = name.unwrap_or_else(|| format!("test-pod-{at}"));
        json!({
            "metadata": {"name": name, "namespace": "test-namespace"},
            "timestamp": "0001-01-01T00:00:00Z", "window": "1m0s", "containers": containers,
        })
    });
    let items: Vec<_> = items.collect();
    serde_json::to_vec(&json!({"kind": "PodMetricsList", "items": items})).unwrap()
}

fn metric_values(levels: &[Value]) -> Vec<u8> {
    let items = levels.iter().enumerate().map(|(at, level)| {
        json!({
            "describedObject": {"kind": "Pod", "name": format!("test-pod-{at}")},
            "timestamp": "0001-01-01T00:00:00Z",
            "value": format!("{}m", number(level.word())),
        })
    });
    let items: Vec<_> = items.collect();
    serde_json::to_vec(&json!({"items": items})).unwrap()
}

fn spec(row: &Row) -> MetricSpec {
    let metric = MetricIdentifier {
        name: "qps".to_owned(),
        selector: None,
    };
    let milli = |key: &str| quantity(&format!("{}m", row.number(key).unwrap()));
    let value = |key: &str| MetricTarget {
        type_: "Value".to_owned(),
        value: Some(milli(key)),
        ..MetricTarget::default()
    };
    let average = |key: &str| MetricTarget {
        type_: "AverageValue".to_owned(),
        average_value: Some(milli(key)),
        ..MetricTarget::default()
    };
    let described_object = CrossVersionObjectReference {
        api_version: Some("apps/v1".to_owned()),
        kind: "Deployment".to_owned(),
        name: "some-deployment".to_owned(),
    };
    let mut spec = MetricSpec::default();
    let (kind, target) = match row.columns[0].as_str() {
        "CPU%" => return cpu(row),
        "Pods" => ("Pods", average("tgt")),
        "ObjValue" => ("Object", value("tgt")),
        "ObjAvg" => ("Object", average("tgt/pod")),
        "ExtValue" => ("External", value("tgt")),
        "ExtAvg" => ("External", average("tgt/pod")),
        other => panic!("{other}"),
    };
    match kind {
        "Pods" => spec.pods = Some(PodsMetricSource { metric, target }),
        "External" => spec.external = Some(ExternalMetricSource { metric, target }),
        _ => {
            spec.object = Some(ObjectMetricSource {
                described_object,
                metric,
                target,
            });
        }
    }
    spec.type_ = kind.to_owned();
    spec
}

fn cpu(row: &Row) -> MetricSpec {
    let target = MetricTarget {
        type_: "Utilization".to_owned(),
        average_utilization: row.int("tgt%"),
        ..MetricTarget::default()
    };
    let name = "cpu".to_owned();
    match row.text("ctr") {
        None => MetricSpec {
            type_: "Resource".to_owned(),
            resource: Some(ResourceMetricSource { name, target }),
            ..MetricSpec::default()
        },
        Some(container) => MetricSpec {
            type_: "ContainerResource".to_owned(),
            container_resource: Some(ContainerResourceMetricSource {
                container: container.to_owned(),
                name,
                target,
            }),
            ..MetricSpec::default()
        },
    }
}

/// `TestReplicaCalcConfigurableTolerance`
#[test]
fn each_direction_has_its_tolerance() {
    let rows = rows(
        "default tolerances | CPU% | tol={0, 0} lv=(909, 1010, 1111) util=101 =>4 raw=2020
         large upscaling tolerance | CPU% | tol={.1, 2} lv=(1890, 1910, 1900) util=190 =>3 raw=3800
         large downscaling tolerance | CPU% | tol={2, .08} lv=(1100, 1080, 1090) util=109 =>4 raw=2180
         small upscaling tolerance | CPU% | tol={.36, .1} lv=(660, 640, 650) util=65 =>3 raw=1300
         small downscaling tolerance | CPU% | tol={.34, .1} lv=(660, 640, 650) util=65 =>2 raw=1300",
        2,
    );
    for mut row in rows {
        row.add("cur=3 req={0.9, 1.0, 1.1} tgt%=100");
        let computed = run(&row).unwrap();
        assert_eq!(Some(computed.replicas), row.int("=>"), "{}", row.name);
        assert_usage(&row, &current(&computed));
    }
}

/// `TestReplicaCalcComputedToleranceAlgImplementation`: 10 pods use half of what they ask for.
#[test]
fn a_target_just_beyond_the_tolerance_takes_one_pod_away() {
    let rows = rows(
        "beyond | CPU% | tgt%=56 =>9
         within | CPU% | tgt%=55 =>10",
        2,
    );
    for mut row in rows {
        row.add("cur=10 lv=150 x10 util=50 raw=300");
        row.add("req={400m, 200m, 310m, 290m, 302m, 298m, 301m, 299m, 300m, 300m}");
        let computed = run(&row).unwrap();
        assert_eq!(Some(computed.replicas), row.int("=>"), "{}", row.name);
        assert_usage(&row, &current(&computed));
    }
}
