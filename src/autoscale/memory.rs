//! What one round leaves to the next.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::behavior::Rules;

/// What the controller remembers of one autoscaler (`horizontal.go`, `recommendations`,
/// `scaleUpEvents`, `scaleDownEvents`). Empty at the start. It can be written down, so that a
/// program which ends after each round stabilizes too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// What the metrics called for, before stabilization. `None` before the first round, which
    /// begins it with the replicas that are there: nothing is scaled in for one window.
    pub recommendations: Option<Vec<Recommendation>>,
    /// How much was added lately; only with `spec.behavior`.
    pub scale_up: Vec<ScaleEvent>,
    /// How much was taken away lately; only with `spec.behavior`.
    pub scale_down: Vec<ScaleEvent>,
    /// A change that was begun, and of which nobody has told yet that it was made.
    pub attempt: Option<Attempt>,
}

/// A change that may have been made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// What the target was set to.
    pub from: i32,
    /// What it was to be set to.
    pub to: i32,
    /// When that was begun, or failed.
    pub at: Timestamp,
}

/// How many replicas the metrics called for (`timestampedRecommendation`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recommendation {
    /// The replicas.
    pub replicas: i32,
    /// When.
    pub at: Timestamp,
}

/// One change of the number of replicas (`timestampedScaleEvent`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScaleEvent {
    /// By how many, not negative.
    pub change: i32,
    /// When.
    pub at: Timestamp,
    /// Older than every policy's period: its place is free.
    pub outdated: bool,
}

impl Memory {
    /// Dates what is of a time after `now` as of now; how much there was. A clock that was set back
    /// leaves such: it would not grow old until the clock is where it was. Left out, it would be
    /// missing where it keeps replicas.
    pub fn redate(&mut self, now: Timestamp) -> usize {
        let recommendations = self.recommendations.iter_mut().flatten();
        let recommendations = recommendations.map(|it| &mut it.at);
        let events = self.scale_up.iter_mut().chain(&mut self.scale_down);
        let times = recommendations
            .chain(events.map(|it| &mut it.at))
            .chain(self.attempt.iter_mut().map(|it| &mut it.at));
        let to_come = times.filter(|at| **at > now);
        to_come.map(|at| *at = now).count()
    }

    /// `recordInitialRecommendation`
    pub(super) fn begin(&mut self, replicas: i32, now: Timestamp) {
        self.recommendations
            .get_or_insert_with(|| vec![Recommendation { replicas, at: now }]);
    }

    /// Adds a recommendation in the place of the last that is older than all of `windows`.
    pub(super) fn recommend(&mut self, replicas: i32, now: Timestamp, windows: &[SignedDuration]) {
        let list = self.recommendations.get_or_insert_default();
        let is_old = |it: &Recommendation| {
            let age = now.duration_since(it.at);
            windows.iter().all(|window| age > *window)
        };
        let new = Recommendation { replicas, at: now };
        match list.iter_mut().rev().find(|it| is_old(it)) {
            Some(old) => *old = new,
            None => list.push(new),
        }
    }

    /// The replicas of each recommendation, and how old it is.
    pub(super) fn recommended(
        &self,
        now: Timestamp,
    ) -> impl Iterator<Item = (i32, SignedDuration)> {
        let list = self.recommendations.iter().flatten();
        list.map(move |it| (it.replicas, now.duration_since(it.at)))
    }

    /// The replicas there were one `period` ago, as far as changes were made from here.
    pub(super) fn at_start_of(&self, period: SignedDuration, current: i32, now: Timestamp) -> i32 {
        let added = change_in(period, &self.scale_up, now);
        let deleted = change_in(period, &self.scale_down, now);
        current.saturating_sub(added).saturating_add(deleted)
    }

    /// `storeScaleEvent`: remembers a change that was made, for as long as `rules` look back.
    pub(super) fn store(&mut self, from: i32, to: i32, now: Timestamp, rules: &Rules) {
        let events = if to > from {
            &mut self.scale_up
        } else {
            &mut self.scale_down
        };
        let longest = rules.longest_period();
        for event in events.iter_mut() {
            event.outdated |= now.duration_since(event.at) > longest;
        }
        let new = ScaleEvent {
            change: to.saturating_sub(from).saturating_abs(),
            at: now,
            outdated: false,
        };
        match events.iter_mut().rev().find(|event| event.outdated) {
            Some(old) => *old = new,
            None => events.push(new),
        }
    }
}

/// `getReplicasChangePerPeriod`
fn change_in(period: SignedDuration, events: &[ScaleEvent], now: Timestamp) -> i32 {
    let recent = events
        .iter()
        .filter(|event| now.duration_since(event.at) < period);
    recent.fold(0, |sum: i32, event| sum.saturating_add(event.change))
}
