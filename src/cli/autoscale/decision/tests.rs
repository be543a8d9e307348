//! What is said of decisions.

use jiff::SignedDuration;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use serde_json::json;

use super::*;
use crate::autoscale::{Memory, NoValues, Observed, Scale, Settings, Values, decide};

/// Ten orders a replica; from 2 to 8.
fn hpa() -> HorizontalPodAutoscaler {
    let metric = |name: &str| {
        json!({"type": "External", "external": {"metric": {"name": name},
            "target": {"type": "AverageValue", "averageValue": "10"}}})
    };
    let hpa = json!({
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {
            "scaleTargetRef": {"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"},
            "minReplicas": 2, "maxReplicas": 8, "metrics": [metric("orders"), metric("refunds")],
        },
    });
    serde_json::from_value(hpa).unwrap()
}

fn round(scale: Result<i32, &str>, metrics: [Result<i64, &str>; 2], act: Act) -> Told {
    let time = "2026-11-26T17:20:00.4567Z".parse().unwrap();
    let scale = scale.map(|replicas| Scale {
        spec_replicas: replicas,
        status_replicas: replicas,
        selector: "app=web".to_owned(),
    });
    let values = |it: Result<i64, &str>| {
        let values = it.map(|it| Values::External(vec![it * 1000]));
        values.map_err(|why| NoValues(why.to_owned()))
    };
    let seen = Observed {
        now: time,
        scale: scale.map_err(str::to_owned),
        pods: Vec::new(),
        metrics: metrics.map(values).into(),
        others: Vec::new(),
    };
    let settings = Settings {
        downscale_stabilization: SignedDuration::ZERO,
        ..Settings::default()
    };
    // One that has begun long ago.
    let memory = Memory {
        recommendations: Some(Vec::new()),
        ..Memory::default()
    };
    let decision = decide(&hpa(), &seen, memory, &settings);
    let decision = match &act {
        Act::Done => decision.carried_out(&hpa(), Ok(()), time, &settings),
        Act::Failed(why) => decision.carried_out(&hpa(), Err(why.clone()), time, &settings),
        Act::Nothing | Act::DryRun => decision,
    };
    Told::of(&hpa(), time, decision, act)
}

#[test]
fn a_line_tells_what_was_done_and_why() {
    let failed = Act::Failed("no engine".to_owned());
    for (told, outcome, line) in [
        (
            round(Ok(2), [Ok(40), Ok(0)], Act::Done),
            Outcome::ScaledOut,
            "shop/web 2 → 4: external metric orders(nil) above target",
        ),
        (
            round(Ok(4), [Ok(20), Ok(10)], Act::Done),
            Outcome::ScaledIn,
            "shop/web 4 → 2: All metrics below target",
        ),
        (
            round(Ok(2), [Ok(40), Ok(0)], Act::DryRun),
            Outcome::WouldScale,
            "shop/web 2 → 4 (dry run): external metric orders(nil) above target",
        ),
        (
            round(Ok(2), [Ok(40), Ok(0)], failed),
            Outcome::ActFailed,
            "shop/web 2 → 4 failed: no engine (wanted: external metric orders(nil) above target)",
        ),
        (
            round(Ok(9), [Ok(0), Ok(0)], Act::Done),
            Outcome::ScaledIn,
            "shop/web 9 → 8: Current number of replicas above Spec.MaxReplicas",
        ),
        (
            round(Ok(2), [Ok(20), Ok(0)], Act::Nothing),
            Outcome::Held,
            "shop/web 2: recommended size matches current size",
        ),
        (
            round(Ok(8), [Ok(200), Ok(0)], Act::Nothing),
            Outcome::Held,
            "shop/web 8: the desired replica count is more than the maximum replica count",
        ),
        (
            round(Err("no docker"), [Ok(20), Ok(0)], Act::Nothing),
            Outcome::ReadFailed,
            "shop/web ?: the HPA controller was unable to get the target's current scale: no docker",
        ),
        (
            round(Ok(4), [Ok(20), Err("no prometheus")], Act::Nothing),
            Outcome::ReadFailed,
            "shop/web 4: the HPA was unable to compute the replica count: unable to get external \
             metric shop/refunds/nil: no prometheus",
        ),
        (
            round(Ok(2), [Ok(40), Err("no prometheus")], Act::Done),
            Outcome::ScaledOut,
            "shop/web 2 → 4: external metric orders(nil) above target; invalid metrics (1 invalid \
             out of 2), first error is: failed to get refunds external metric value: failed to get \
             refunds external metric: unable to get external metric shop/refunds/nil: no \
             prometheus",
        ),
    ] {
        assert_eq!(told.line(), format!("2026-11-26T17:20:00Z {line}"));
        assert_eq!(told.outcome(), outcome, "{line}");
    }
}

#[test]
fn the_cause_of_an_error_is_where_it_was() {
    let cause = |told: Told| told.cause();
    assert_eq!(cause(round(Ok(2), [Ok(20), Ok(0)], Act::Nothing)), None);
    let scale = round(Err("x"), [Ok(0), Ok(0)], Act::Nothing);
    assert_eq!(cause(scale), Some(Cause::Scale));
    let metrics = round(Ok(2), [Err("x"), Ok(0)], Act::Nothing);
    assert_eq!(cause(metrics), Some(Cause::Metrics));
    let metrics = round(Ok(2), [Err("x"), Ok(40)], Act::Done);
    assert_eq!(cause(metrics), Some(Cause::Metrics));
    let act = round(Ok(2), [Ok(40), Ok(0)], Act::Failed("x".to_owned()));
    assert_eq!(cause(act), Some(Cause::Act));
}

#[test]
fn only_what_is_new_is_news_but_each_attempt_is() {
    let held = round(Ok(2), [Ok(20), Ok(0)], Act::Nothing);
    let mut again = round(Ok(2), [Ok(21), Ok(0)], Act::Nothing);
    again.time += SignedDuration::from_secs(15);
    assert!(held.is_news_after(None));
    assert!(!again.is_news_after(Some(&held)));
    let blind = round(Ok(2), [Err("x"), Ok(0)], Act::Nothing);
    assert!(blind.is_news_after(Some(&held)) && held.is_news_after(Some(&blind)));
    let failed = round(Ok(2), [Ok(40), Ok(0)], Act::Failed("x".to_owned()));
    assert!(failed.is_news_after(Some(&failed)));
    let dry = round(Ok(2), [Ok(40), Ok(0)], Act::DryRun);
    assert!(!dry.is_news_after(Some(&dry)));
}

#[test]
fn the_object_has_what_was_promised() {
    let told = round(Ok(2), [Ok(40), Ok(0)], Act::Done);
    let told = serde_json::to_value(&told).unwrap();
    let names: Vec<&str> = told
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let mut expected = [
        "time",
        "namespace",
        "name",
        "current",
        "desired",
        "acted",
        "dry_run",
        "reason",
        "message",
        "error",
        "conditions",
        "metrics",
    ];
    expected.sort_unstable();
    let mut names = names;
    names.sort_unstable();
    assert_eq!(names, expected);
    assert_eq!(told["time"], "2026-11-26T17:20:00.457Z");
    assert_eq!(
        told["metrics"][0]["external"]["current"]["averageValue"],
        "20"
    );
}
