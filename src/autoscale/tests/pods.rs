//! `TestGroupPods` and `TestCalculateRequests`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::{Container, Pod, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::autoscale::PodValue;
use crate::autoscale::pods::{Groups, NEVER, group, requests};

use super::{ago, container, now, pod, quantity, settings};

/// A pod of a row: its name, phase, start and readiness (both in seconds before now), and its
/// value's age and window, if there is one.
struct Seen {
    name: &'static str,
    phase: &'static str,
    start: Option<i64>,
    ready: Option<(&'static str, i64)>,
    value: Option<(Option<i64>, i64)>,
    is_deleted: bool,
}

const SUCCEEDED: Seen = Seen {
    name: "bentham",
    phase: "Succeeded",
    start: None,
    ready: None,
    value: Some((None, 0)),
    is_deleted: false,
};

/// Row, resource, pods, how many are ready, and who is not ready, missing, ignored.
type Row = (
    &'static str,
    &'static str,
    Vec<Seen>,
    usize,
    [&'static [&'static str]; 3],
);

fn rows() -> Vec<Row> {
    let at = |start, ready, value| Seen {
        start: Some(start),
        ready,
        value,
        ..SUCCEEDED
    };
    let named = |name, seen: Seen| Seen { name, ..seen };
    let nothing = Some((None, 0));
    let one =
        |name: &'static str, seen: Vec<Seen>, ready: usize, who: [&'static [&'static str]; 3]| {
            let resource = if name.ends_with("memory") {
                "memory"
            } else {
                "cpu"
            };
            (name, resource, seen, ready, who)
        };
    vec![
        one("void", vec![], 0, [&[], &[], &[]]),
        one(
            "count in a ready pod - memory",
            vec![SUCCEEDED],
            1,
            [&[], &[], &[]],
        ),
        one(
            "unready a pod without ready condition - CPU",
            vec![at(0, None, nothing)],
            0,
            [&["bentham"], &[], &[]],
        ),
        one(
            "count in a ready pod with fresh metrics during initialization period - CPU",
            vec![at(60, Some(("True", 30)), Some((Some(0), 30)))],
            1,
            [&[], &[], &[]],
        ),
        one(
            "unready a ready pod without fresh metrics during initialization period - CPU",
            vec![at(60, Some(("True", 30)), Some((Some(0), 60)))],
            0,
            [&["bentham"], &[], &[]],
        ),
        one(
            "unready an unready pod during initialization period - CPU",
            vec![at(600, Some(("False", 594)), nothing)],
            0,
            [&["bentham"], &[], &[]],
        ),
        one(
            "count in a ready pod without fresh metrics after initialization period - CPU",
            vec![at(180, Some(("True", 180)), Some((Some(120), 60)))],
            1,
            [&[], &[], &[]],
        ),
        one(
            "count in an unready pod that was ready after initialization period - CPU",
            vec![at(600, Some(("False", 540)), nothing)],
            1,
            [&[], &[], &[]],
        ),
        one(
            "unready pod that has never been ready after initialization period - CPU",
            vec![at(600, Some(("False", 590)), nothing)],
            1,
            [&[], &[], &[]],
        ),
        one(
            "a missing pod",
            vec![at(180, None, None)],
            0,
            [&[], &["bentham"], &[]],
        ),
        one(
            "several pods",
            vec![
                named("lucretius", at(0, None, nothing)),
                named("niccolo", at(180, Some(("True", 180)), nothing)),
                named("epicurus", at(180, None, None)),
            ],
            1,
            [&["lucretius"], &["epicurus"], &[]],
        ),
        one(
            "pending pods are unreadied",
            vec![Seen {
                phase: "Pending",
                value: None,
                ..SUCCEEDED
            }],
            0,
            [&["bentham"], &[], &[]],
        ),
        one(
            "ignore pods with deletion timestamps",
            vec![Seen {
                phase: "Pending",
                is_deleted: true,
                ..SUCCEEDED
            }],
            0,
            [&[], &[], &["bentham"]],
        ),
        one(
            "ignore pods in a failed state",
            vec![Seen {
                phase: "Failed",
                ..SUCCEEDED
            }],
            0,
            [&[], &[], &["bentham"]],
        ),
    ]
}

#[test]
fn each_row_of_group_pods_holds() {
    let rows = rows();
    assert_eq!(rows.len(), 14);
    for (name, resource, seen, ready, [unready, missing, ignored]) in rows {
        let pods: Vec<Pod> = seen.iter().map(build).collect();
        let pods: Vec<&Pod> = pods.iter().collect();
        let values = seen
            .iter()
            .filter_map(|it| Some((it.name.to_owned(), value(it)?)));
        let values: BTreeMap<String, PodValue> = values.collect();
        let groups = group(&pods, &values, resource, now(), &settings());
        let set = |names: &[&'static str]| names.iter().copied().collect::<BTreeSet<&str>>();
        let want = Groups {
            ready,
            unready: set(unready),
            missing: set(missing),
            ignored: set(ignored),
        };
        assert_eq!(groups, want, "{name}");
    }
}

fn build(seen: &Seen) -> Pod {
    let mut pod = pod(seen.name);
    if seen.is_deleted {
        pod.metadata.deletion_timestamp = Some(Time(ago(1)));
    }
    let status = pod.status.as_mut().unwrap();
    status.phase = Some(seen.phase.to_owned());
    status.start_time = seen.start.map(|age| Time(ago(age)));
    match seen.ready {
        None => status.conditions = None,
        Some((ready, age)) => {
            let condition = &mut status.conditions.as_mut().unwrap()[0];
            condition.status = ready.to_owned();
            condition.last_transition_time = Some(Time(ago(age)));
        }
    }
    pod
}

fn value(seen: &Seen) -> Option<PodValue> {
    let (age, window) = seen.value?;
    Some(PodValue {
        value: 1,
        timestamp: age.map_or(NEVER, ago),
        window: SignedDuration::from_secs(window),
    })
}

/// What the whole pod asks for, and its containers: the init containers after the first `true`.
fn asking(own: Option<&str>, containers: Vec<Container>, init: Vec<Container>) -> Pod {
    let mut pod = pod("test-pod");
    let spec = pod.spec.as_mut().unwrap();
    spec.containers = containers;
    spec.init_containers = Some(init);
    spec.resources = own.map(|own| ResourceRequirements {
        requests: Some([("cpu".to_owned(), quantity(own))].into()),
        ..ResourceRequirements::default()
    });
    pod
}

#[test]
fn each_row_of_calculate_requests_holds() {
    let two = || {
        vec![
            container("container1", Some("100m")),
            container("container2", Some("50m")),
        ]
    };
    let half = || {
        vec![
            container("container1", None),
            container("container2", Some("50m")),
        ]
    };
    let sidecar = Container {
        restart_policy: Some("Always".to_owned()),
        ..container("restartable-container1", Some("50m"))
    };
    let inits = vec![container("init-container1", Some("20m")), sidecar];
    let first = || vec![container("container1", Some("100m"))];
    let missing = "missing request for cpu in container container1 of Pod test-pod";
    let unknown = "container non-existent-container not found in Pod test-pod";
    let rows = [
        (
            "sum of the containers",
            asking(None, two(), vec![]),
            None,
            Ok(150),
        ),
        (
            "pod-level resources",
            asking(Some("800m"), two(), vec![]),
            None,
            Ok(800),
        ),
        (
            "a container without a request",
            asking(None, half(), vec![]),
            None,
            Err(missing),
        ),
        (
            "pod-level instead of a missing one",
            asking(Some("800m"), half(), vec![]),
            None,
            Ok(800),
        ),
        (
            "one container",
            asking(None, two(), vec![]),
            Some("container1"),
            Ok(100),
        ),
        (
            "one container, not pod-level",
            asking(Some("800m"), two(), vec![]),
            Some("container1"),
            Ok(100),
        ),
        (
            "restartable init containers",
            asking(None, first(), inits),
            None,
            Ok(150),
        ),
        (
            "an unknown container",
            asking(None, first(), vec![]),
            Some("non-existent-container"),
            Err(unknown),
        ),
    ];
    assert_eq!(requests(&[], None, "cpu"), Ok(BTreeMap::new()), "void");
    for (name, pod, container, want) in rows {
        let want = want.map(|it| BTreeMap::from([("test-pod", it)]));
        let want = want.map_err(str::to_owned);
        assert_eq!(requests(&[&pod], container, "cpu"), want, "{name}");
    }
}

/// `PodRequests` of `component-helpers/resource`, which counts for a resource that is not asked for
/// the whole pod while another is.
#[test]
fn pod_level_requests_leave_other_resources_to_the_containers() {
    let memory = |mut container: Container, text: &str| {
        let requests = container.resources.get_or_insert_default();
        requests
            .requests
            .get_or_insert_default()
            .insert("memory".to_owned(), quantity(text));
        container
    };
    let containers = vec![
        memory(container("a", None), "1Ki"),
        memory(container("b", None), "1"),
    ];
    let sidecar = Container {
        restart_policy: Some("Always".to_owned()),
        ..memory(container("s", None), "10")
    };
    let init = memory(container("i", None), "2Ki");
    let mut pod = asking(Some("1"), containers, vec![sidecar, init]);
    let at_once = |pod: &Pod| requests(&[pod], None, "memory").map(|it| it["test-pod"]);
    // The init container beside the sidecar: 2058 bytes, more than 1024 + 1 + 10.
    assert_eq!(at_once(&pod), Ok(2_058_000));
    pod.spec.as_mut().unwrap().init_containers = None;
    assert_eq!(at_once(&pod), Ok(1_025_000));
    let overhead = [("memory".to_owned(), quantity("5"))];
    pod.spec.as_mut().unwrap().overhead = Some(overhead.into());
    assert_eq!(at_once(&pod), Ok(1_030_000));
    let missing = "missing pod-level request for hugepages-2Mi in Pod test-pod";
    assert_eq!(
        requests(&[&pod], None, "hugepages-2Mi"),
        Err(missing.to_owned())
    );
}
