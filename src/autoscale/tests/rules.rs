//! Rate limits, stabilization, bounds: `TestScalingWithRules` and its neighbours.

use jiff::SignedDuration;
use k8s_openapi::api::autoscaling::v2::HPAScalingRules;

use crate::autoscale::behavior::Rules;
use crate::autoscale::memory::{Memory, Recommendation, ScaleEvent};
use crate::autoscale::normalize::{Wish, limit, limit_rate, stabilize, stabilize_both_ways};

use super::scenarios::scaling_rules;
use super::table::{Row, number, rows};
use super::{ago, now, settings};

fn wish(current: i32, desired: i32, min: i32, max: i32) -> Wish {
    Wish {
        current,
        desired,
        min,
        max,
        now: now(),
    }
}

fn down(rules: Option<&HPAScalingRules>) -> Rules {
    Rules::down(rules, &settings())
}

fn event(change: i32, age: i64) -> ScaleEvent {
    ScaleEvent {
        change,
        at: ago(age),
        outdated: false,
    }
}

/// `generateEventsUniformDistribution`: the changes of a row, spread over the last two minutes.
fn uniform(row: &Row, key: &str) -> Vec<ScaleEvent> {
    let changes = row.words(key).unwrap_or_default();
    let segment = 120.0 / changes.len() as f64;
    let events = changes.iter().enumerate().map(|(at, change)| {
        let age = 120.0 - segment * (at as f64 + 1.0) + segment / 2.0;
        let age = format!("{:.0}", age.trunc());
        event(change.parse().unwrap(), number(&age))
    });
    events.collect()
}

/// The controller's own test leaves the last row out.
#[test]
fn each_row_of_scaling_with_rules_holds() {
    let rows = rows(include_str!("rules.txt"), 0);
    assert_eq!(rows.len(), 42);
    for row in rows {
        let rules = |key: &str| row.words(key).map(|words| scaling_rules(&words));
        let memory = Memory {
            scale_up: uniform(&row, "upEv"),
            scale_down: uniform(&row, "downEv"),
            ..Memory::default()
        };
        let [current, want, min, max] =
            ["cur", "want", "min", "max"].map(|key| row.int(key).unwrap());
        let wish = wish(current, want, min, max);
        let up = Rules::up(rules("up").as_ref());
        let down = down(rules("down").as_ref());
        let (replicas, (reason, _)) = limit_rate(wish, &up, &down, &memory);
        let got = [replicas.to_string(), reason.to_owned()];
        assert_eq!(got.as_slice(), row.columns, "{}", row.name);
    }
}

/// `TestCalculateScaleUpLimitWithScalingRules`, `TestCalculateScaleDownLimitWithBehaviors`
#[test]
fn the_smallest_change_counts_where_it_is_selected() {
    let words = ["2", "60", "50", "60", "300"].map(str::to_owned);
    let rules = HPAScalingRules {
        select_policy: Some("Min".to_owned()),
        ..scaling_rules(&words)
    };
    let (up, down) = (Rules::up(Some(&rules)), down(Some(&rules)));
    let limit = |wish| limit_rate(wish, &up, &down, &Memory::default()).0;
    assert_eq!(limit(wish(1, 1000, 0, 1000)), 2);
    assert_eq!(limit(wish(5, 0, 0, 1000)), 3);
}

#[test]
fn a_disabled_direction_stays_where_it_is() {
    let rules = HPAScalingRules {
        select_policy: Some("Disabled".to_owned()),
        ..HPAScalingRules::default()
    };
    let (up, down) = (Rules::up(Some(&rules)), down(Some(&rules)));
    let limit = |wish| limit_rate(wish, &up, &down, &Memory::default());
    let (replicas, (reason, _)) = limit(wish(5, 1000, 1, 1000));
    assert_eq!((replicas, reason), (5, "ScaleUpLimit"));
    let (replicas, (reason, _)) = limit(wish(5, 1, 1, 1000));
    assert_eq!((replicas, reason), (5, "ScaleDownLimit"));
}

/// `TestConvertDesiredReplicasWithRules`, whose last row has another factor than production.
#[test]
fn without_behavior_replicas_double_at_most() {
    let rows = [
        ((5, 7, 3, 8), 7, "DesiredWithinRange"),
        ((3, 1, 2, 8), 2, "TooFewReplicas"),
        ((1, 0, 0, 10), 0, "DesiredWithinRange"),
        ((20, 1000, 1, 10), 10, "TooManyReplicas"),
        ((3, 1000, 1, 2000), 6, "ScaleUpLimit"),
        ((1, 1000, 1, 2000), 4, "ScaleUpLimit"),
    ];
    for ((current, desired, min, max), replicas, reason) in rows {
        let got = limit(wish(current, desired, min, max));
        assert_eq!(
            (got.0, got.1.0),
            (replicas, reason),
            "{current} {desired} {min} {max}"
        );
    }
}

/// `4@2m 5@1m`
fn recommended(text: &str) -> Memory {
    let read = |text: &str| {
        let (replicas, age) = text.split_once('@').unwrap();
        Recommendation {
            replicas: replicas.parse().unwrap(),
            at: ago(number(age.trim_end_matches('m')) * 60),
        }
    };
    Memory {
        recommendations: Some(text.split_whitespace().map(read).collect()),
        ..Memory::default()
    }
}

fn kept(memory: &Memory) -> Vec<i32> {
    let list = memory.recommendations.iter().flatten();
    list.map(|it| it.replicas).collect()
}

/// `TestNormalizeDesiredReplicas`
#[test]
fn the_highest_recent_recommendation_holds() {
    let rows = [
        ("", 5, 5, 1),
        ("4@2m 5@1m", 3, 5, 3),
        ("1@2m 2@1m", 3, 3, 3),
        ("10@10m 9@9m", 3, 3, 2),
        ("10@10m 4@1m 5@2m 9@9m", 3, 5, 4),
    ];
    for (before, desired, want, length) in rows {
        let mut memory = recommended(before);
        let window = SignedDuration::from_mins(5);
        let got = stabilize(wish(1, desired, 0, 1000), window, &mut memory);
        assert_eq!(
            (got, kept(&memory).len()),
            (want, length),
            "[{before}] {desired}"
        );
    }
}

/// `TestNormalizeDesiredReplicasWithBehavior`
#[test]
fn each_direction_has_its_window() {
    let rows = [
        ("", 100, 5, 0, 0, 5, "5"),
        ("4@2m 5@1m", 100, 3, 0, 180, 5, "4 5 3"),
        ("4@2m 5@1m", 1, 7, 300, 0, 4, "4 5 7"),
        ("1@2m 2@1m", 100, 3, 300, 0, 3, "1 2 3"),
        ("4@2m 5@1m", 1, 3, 0, 300, 3, "4 5 3"),
        ("10@10m 9@9m", 100, 3, 0, 0, 3, "10 3"),
        ("10@10m 9@9m", 1, 100, 0, 0, 100, "10 100"),
        ("10@10m 4@1m 5@2m 9@9m", 100, 3, 0, 180, 5, "10 4 5 3"),
        ("10@100m 6@1m 5@2m 9@3m", 1, 100, 300, 0, 5, "100 6 5 9"),
        ("2@100m 3@3m", 2, 1, 300, 300, 2, "1 3"),
        ("2@100m 1@3m", 2, 3, 300, 300, 2, "3 1"),
    ];
    for (before, current, desired, up, down, want, after) in rows {
        let mut memory = recommended(before);
        let [up, down] = [up, down].map(SignedDuration::from_secs);
        let wish = wish(current, desired, 0, 1000);
        let got = stabilize_both_ways(wish, up, down, &mut memory);
        let after: Vec<i32> = after.split(' ').map(|it| it.parse().unwrap()).collect();
        assert_eq!(
            (got, kept(&memory)),
            (want, after),
            "[{before}] {current} {desired}"
        );
    }
}

/// `TestStoreScaleEvents`, each in both directions. `None` for the rules: no `spec.behavior`.
#[test]
fn changes_are_remembered_for_as_long_as_a_policy_looks_back() {
    let rows = [
        ("", Some("10 60 100 60 0"), 0, "5"),
        ("7@61", Some("10 60 100 60 0"), 0, "5"),
        ("7@58", Some("10 60 100 60 0"), 7, "7 5"),
        ("7@61 6@59", Some("10 60 0 0 0"), 6, "5 6"),
        (
            "8@29 6@59 7@61 9@61",
            Some("10 60 100 30 0"),
            14,
            "8 6 7o 5",
        ),
        ("7@58 6@59", Some("10 120 100 30 0"), 13, "7 6 5"),
    ];
    let read = |text: &str| -> Vec<ScaleEvent> {
        let events = text.split_whitespace().map(|it| {
            let (change, age) = it.split_once('@').unwrap();
            event(change.parse().unwrap(), number(age))
        });
        events.collect()
    };
    let text = |events: &[ScaleEvent]| {
        let events = events.iter().map(|it| {
            let outdated = if it.outdated { "o" } else { "" };
            format!("{}{outdated}", it.change)
        });
        events.collect::<Vec<_>>().join(" ")
    };
    for (before, rules, sum, after) in rows {
        let words: Vec<String> = rules
            .unwrap_or_default()
            .split(' ')
            .map(str::to_owned)
            .collect();
        let rules = Rules::up(Some(&scaling_rules(&words)));
        let period = SignedDuration::from_secs(60);
        let mut memory = Memory {
            scale_up: read(before),
            ..Memory::default()
        };
        assert_eq!(
            memory.at_start_of(period, 100, now()),
            100 - sum,
            "{before}"
        );
        memory.store(5, 10, now(), &rules);
        assert_eq!(text(&memory.scale_up), after, "{before}");
        let mut memory = Memory {
            scale_down: read(before),
            ..Memory::default()
        };
        assert_eq!(
            memory.at_start_of(period, 100, now()),
            100 + sum,
            "{before}"
        );
        memory.store(10, 5, now(), &rules);
        assert_eq!(text(&memory.scale_down), after, "{before}");
    }
}

/// `Before` and `After` of Go's times: the far end of the controller's window belongs to it, those
/// of the object's windows and periods do not.
#[test]
fn the_ends_of_windows_and_periods_are_gos() {
    let window = SignedDuration::from_mins(5);
    let highest = |age| {
        let mut memory = recommended("");
        memory.recommendations = Some(vec![Recommendation {
            replicas: 9,
            at: ago(age),
        }]);
        let wish = wish(9, 3, 0, 1000);
        let plain = stabilize(wish, window, &mut memory.clone());
        (
            plain,
            stabilize_both_ways(wish, window, window, &mut memory),
        )
    };
    assert_eq!(highest(299), (9, 9));
    assert_eq!(highest(300), (9, 3));
    assert_eq!(highest(301), (3, 3));
    let memory = Memory {
        scale_up: vec![event(4, 59), event(10, 60)],
        ..Memory::default()
    };
    assert_eq!(
        memory.at_start_of(SignedDuration::from_mins(1), 20, now()),
        16
    );
}
