//! Changes of which nobody has told whether they were made; and clocks that were set back.

use k8s_openapi::api::autoscaling::v2::{HorizontalPodAutoscaler, HorizontalPodAutoscalerBehavior};

use super::texts::{average, external, hpa, seen};
use super::{ago, now, settings};
use crate::autoscale::memory::ScaleEvent;
use crate::autoscale::{
    Attempt, Decision, Memory, Recommendation, Settings, Values, condition, decide,
};

/// From none to ten, one for each five of what waits.
fn to_zero() -> HorizontalPodAutoscaler {
    let mut hpa = hpa(vec![external(average("5"))]);
    hpa.spec.min_replicas = Some(0);
    hpa.spec.behavior = Some(HorizontalPodAutoscalerBehavior::default());
    hpa
}

fn zeroing() -> Settings {
    Settings {
        scale_to_zero: true,
        ..settings()
    }
}

/// A round of an autoscaler that remembers this, with so much waiting.
fn round(hpa: &HorizontalPodAutoscaler, memory: Memory, current: i32, waiting: i64) -> Decision {
    let seen = seen(current, vec![Ok(Values::External(vec![waiting * 1000]))]);
    decide(hpa, &seen, memory, &zeroing())
}

fn tried(from: i32, to: i32) -> Memory {
    Memory {
        recommendations: Some(Vec::new()),
        attempt: Some(Attempt {
            from,
            to,
            at: ago(5),
        }),
        ..Memory::default()
    }
}

fn event(change: i32) -> ScaleEvent {
    ScaleEvent {
        change,
        at: ago(5),
        outdated: false,
    }
}

#[test]
fn a_change_to_zero_of_which_nobody_told_was_made_if_there_are_none() {
    let decision = round(&to_zero(), tried(1, 0), 0, 20);
    assert_eq!(decision.replicas(), Some(4), "{decision:?}");
    assert_eq!(decision.memory.scale_down, [event(1)]);
    assert_eq!(decision.memory.attempt, None);
    // It is known from now on.
    let mut hpa = to_zero();
    hpa.status = Some(round(&hpa, tried(1, 0), 0, 0).status);
    let decision = round(&hpa, Memory::default(), 0, 20);
    assert_eq!(decision.replicas(), Some(4), "{decision:?}");
}

#[test]
fn whom_nobody_tried_to_scale_to_zero_stays_switched_off() {
    let mut one = to_zero();
    one.spec.min_replicas = Some(1);
    for (hpa, memory) in [
        (to_zero(), Memory::default()),
        (to_zero(), tried(1, 2)),
        (to_zero(), tried(0, 2)),
        (one, tried(1, 0)),
    ] {
        let decision = round(&hpa, memory, 0, 20);
        assert_eq!(decision.replicas(), Some(0), "{decision:?}");
        let zeroed = condition(&decision.status, "ScaledToZero");
        assert!(zeroed.is_none_or(|it| it.status == "False"), "{zeroed:?}");
    }
}

#[test]
fn a_change_that_was_made_though_it_failed_counts_for_the_policies() {
    // Four or as many as there are, in 15 seconds: from two to six, and no more.
    let decision = round(&to_zero(), tried(2, 6), 6, 50);
    assert_eq!(decision.memory.scale_up, [event(4)]);
    assert_eq!(decision.replicas(), Some(6), "{decision:?}");
    // A part of it was made.
    let decision = round(&to_zero(), tried(2, 6), 3, 50);
    assert_eq!(decision.memory.scale_up, [event(1)]);
    assert_eq!(decision.replicas(), Some(6), "{decision:?}");
    // None was, or it was somebody else.
    for current in [1, 2, 7] {
        let decision = round(&to_zero(), tried(2, 6), current, 50);
        assert_eq!(decision.memory.scale_up, [], "{current}");
        assert_eq!(decision.memory.scale_down, [], "{current}");
        assert_eq!(decision.memory.attempt, None);
    }
}

#[test]
fn an_attempt_is_remembered_until_somebody_tells_or_looks() {
    let hpa = to_zero();
    let memory = Memory {
        recommendations: Some(Vec::new()),
        ..Memory::default()
    };
    let begun = round(&hpa, memory, 1, 0).begun(ago(9));
    let attempt = |at| Some(Attempt { from: 1, to: 0, at });
    assert_eq!(begun.memory.attempt, attempt(ago(9)), "{begun:?}");
    let made = begun.clone().carried_out(&hpa, Ok(()), now(), &zeroing());
    assert_eq!(made.memory.attempt, None);
    let failed = Err("no answer".to_owned());
    let failed = begun.carried_out(&hpa, failed, now(), &zeroing());
    assert_eq!(failed.memory.attempt, attempt(now()));
    // A round that could not look knows no more.
    let mut blind = seen(0, Vec::new());
    blind.scale = Err("no answer".to_owned());
    let blind = decide(&hpa, &blind, failed.memory, &zeroing());
    assert_eq!(blind.memory.attempt, attempt(now()));
}

#[test]
fn what_is_remembered_of_a_time_to_come_counts_as_of_now_and_grows_old() {
    let to_come = ago(-86_400);
    let mut memory = Memory {
        recommendations: Some(vec![
            Recommendation {
                replicas: 9,
                at: to_come,
            },
            Recommendation {
                replicas: 3,
                at: ago(7),
            },
        ]),
        scale_up: vec![ScaleEvent {
            at: to_come,
            ..event(2)
        }],
        scale_down: vec![event(1)],
        attempt: Some(Attempt {
            from: 1,
            to: 2,
            at: to_come,
        }),
    };
    assert_eq!(memory.redate(now()), 3);
    let times = memory.recommendations.iter().flatten().map(|it| it.at);
    assert_eq!(times.collect::<Vec<_>>(), [now(), ago(7)]);
    assert_eq!(memory.scale_up[0].at, now());
    assert_eq!(memory.scale_down[0].at, ago(5));
    assert_eq!(memory.attempt.unwrap().at, now());
    assert_eq!(memory.redate(now()), 0);
}
