//! From what the metrics call for to what is allowed: stabilization, rate limits, bounds.
//!
//! `horizontal.go`: `normalizeDesiredReplicas` and `normalizeDesiredReplicasWithBehaviors`.

use jiff::{SignedDuration, Timestamp};

use super::behavior::{Amount, Policy, Rules, Select};
use super::memory::Memory;
use super::numbers::{ceil, truncate};

/// A condition's reason and message.
pub(super) type Note = (&'static str, &'static str);

/// Without `spec.behavior` the replicas at most double in one round, or become four.
const SCALE_UP_LIMIT_FACTOR: i32 = 2;
const SCALE_UP_LIMIT_MINIMUM: i32 = 4;

const READY: Note = ("ReadyForNewScale", "recommended size matches current size");
const SCALE_UP_STABILIZED: Note = (
    "ScaleUpStabilized",
    "recent recommendations were lower than current one, applying the lowest recent recommendation",
);
const SCALE_DOWN_STABILIZED: Note = (
    "ScaleDownStabilized",
    "recent recommendations were higher than current one, applying the highest recent \
     recommendation",
);
const WITHIN_RANGE: Note = (
    "DesiredWithinRange",
    "the desired count is within the acceptable range",
);
const TOO_FEW: Note = (
    "TooFewReplicas",
    "the desired replica count is less than the minimum replica count",
);
const TOO_MANY: Note = (
    "TooManyReplicas",
    "the desired replica count is more than the maximum replica count",
);
const SCALE_UP_LIMIT: Note = (
    "ScaleUpLimit",
    "the desired replica count is increasing faster than the maximum scale rate",
);
const SCALE_DOWN_LIMIT: Note = (
    "ScaleDownLimit",
    "the desired replica count is decreasing faster than the maximum scale rate",
);

/// What is to be normalized (`NormalizationArg`).
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    pub(super) current: i32,
    pub(super) desired: i32,
    pub(super) min: i32,
    pub(super) max: i32,
    pub(super) now: Timestamp,
}

/// What is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Normalized {
    pub(super) replicas: i32,
    /// Of `AbleToScale`.
    pub(super) stabilized: Note,
    /// Whether the replicas are fewer or more than the stabilized wish: `ScalingLimited`.
    pub(super) is_limited: bool,
    /// Of `ScalingLimited`.
    pub(super) limit: Note,
}

/// `normalizeDesiredReplicas`
pub(super) fn without_behavior(
    wish: Wish,
    window: SignedDuration,
    memory: &mut Memory,
) -> Normalized {
    let stable = stabilize(wish, window, memory);
    let (replicas, limit) = limit(Wish {
        desired: stable,
        ..wish
    });
    let stabilized = match stable == wish.desired {
        true => READY,
        false => SCALE_DOWN_STABILIZED,
    };
    Normalized {
        replicas,
        stabilized,
        is_limited: replicas != stable,
        limit,
    }
}

/// `normalizeDesiredReplicasWithBehaviors`
pub(super) fn with_behavior(
    wish: Wish,
    up: &Rules,
    down: &Rules,
    memory: &mut Memory,
) -> Normalized {
    let stable = stabilize_both_ways(wish, up.window, down.window, memory);
    let wanted = Wish {
        desired: stable,
        ..wish
    };
    let (replicas, limit) = limit_rate(wanted, up, down, memory);
    let stabilized = if stable == wish.desired {
        READY
    } else if wish.desired >= wish.current {
        SCALE_UP_STABILIZED
    } else {
        SCALE_DOWN_STABILIZED
    };
    Normalized {
        replicas,
        stabilized,
        is_limited: replicas != stable,
        limit,
    }
}

/// `stabilizeRecommendation`: the most that was called for within the window, both ends included.
pub(super) fn stabilize(wish: Wish, window: SignedDuration, memory: &mut Memory) -> i32 {
    let recent = memory
        .recommended(wish.now)
        .filter(|(_, age)| *age <= window);
    let most = recent.map(|(replicas, _)| replicas).max();
    memory.recommend(wish.desired, wish.now, &[window]);
    most.unwrap_or(wish.desired).max(wish.desired)
}

/// `stabilizeRecommendationWithBehaviors`: up to the least, down to the most that was called for
/// within the direction's window, its far end not included.
pub(super) fn stabilize_both_ways(
    wish: Wish,
    up: SignedDuration,
    down: SignedDuration,
    memory: &mut Memory,
) -> i32 {
    let within = |window: SignedDuration| {
        let recent = memory
            .recommended(wish.now)
            .filter(move |(_, age)| *age < window);
        recent.map(|(replicas, _)| replicas)
    };
    let least = within(up).min().unwrap_or(wish.desired).min(wish.desired);
    let most = within(down).max().unwrap_or(wish.desired).max(wish.desired);
    memory.recommend(wish.desired, wish.now, &[up, down]);
    wish.current.max(least).min(most)
}

/// `convertDesiredReplicasWithRules`
pub(super) fn limit(wish: Wish) -> (i32, Note) {
    let doubled = wish.current.saturating_mul(SCALE_UP_LIMIT_FACTOR);
    let (most, why) = most_allowed(wish.max, doubled.max(SCALE_UP_LIMIT_MINIMUM));
    if wish.desired < wish.min {
        (wish.min, TOO_FEW)
    } else if wish.desired > most {
        (most, why)
    } else {
        (wish.desired, WITHIN_RANGE)
    }
}

/// `convertDesiredReplicasWithBehaviorRate`
pub(super) fn limit_rate(wish: Wish, up: &Rules, down: &Rules, memory: &Memory) -> (i32, Note) {
    let Wish {
        current, desired, ..
    } = wish;
    if desired > current {
        let allowed = rate(wish, up, memory, grown, [i32::max, i32::min]);
        let (most, why) = most_allowed(wish.max, allowed.max(current));
        if desired > most {
            return (most, why);
        }
    } else if desired < current {
        let allowed = rate(wish, down, memory, shrunk, [i32::min, i32::max]);
        let allowed = allowed.min(current);
        let (least, why) = if wish.min < allowed {
            (allowed, SCALE_DOWN_LIMIT)
        } else {
            (wish.min, TOO_FEW)
        };
        if desired < least {
            return (least, why);
        }
    }
    (desired, WITHIN_RANGE)
}

fn most_allowed(max: i32, limit: i32) -> (i32, Note) {
    if max > limit {
        (limit, SCALE_UP_LIMIT)
    } else {
        (max, TOO_MANY)
    }
}

/// Where the policies let the replicas go (`calculateScaleUpLimitWithScalingRules`,
/// `calculateScaleDownLimitWithBehaviors`); no policy lets them go nowhere. `choose` has what `Max`
/// and `Min` prefer.
fn rate(
    wish: Wish,
    rules: &Rules,
    memory: &Memory,
    proposal: fn(i32, Amount) -> i32,
    choose: [fn(i32, i32) -> i32; 2],
) -> i32 {
    let [max, min] = choose;
    let choose = match rules.select {
        Select::Disabled => return wish.current,
        Select::Min => min,
        Select::Max => max,
    };
    let proposals = rules.policies.iter().map(|Policy { period, amount }| {
        let start = memory.at_start_of(*period, wish.current, wish.now);
        proposal(start, *amount)
    });
    proposals.reduce(choose).unwrap_or(wish.current)
}

/// Rounded up, so that a small percentage of few replicas still allows one more.
fn grown(start: i32, amount: Amount) -> i32 {
    match amount {
        Amount::Pods(count) => start.saturating_add(count),
        Amount::Percent(percent) => ceil(f64::from(start) * (1.0 + f64::from(percent) / 100.0)),
    }
}

fn shrunk(start: i32, amount: Amount) -> i32 {
    match amount {
        Amount::Pods(count) => start.saturating_sub(count),
        Amount::Percent(percent) => truncate(f64::from(start) * (1.0 - f64::from(percent) / 100.0)),
    }
}
