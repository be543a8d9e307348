//! The rules, with what became of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::{PAGE, leaf};
use crate::page::data::{Rule, RuleState, Rules};
use crate::page::words;
use crate::registry::{Disabled, Known, Shadowed, Snapshot};
use crate::rules::{self, ResourceRule, RuleId};

/// Names of a rule that are shown.
const NAMES: usize = 6;

/// Rules that fail that are named where it is said how all is.
const WORST: usize = 3;

/// One that may be shown.
enum Listed<'a> {
    Series(&'a rules::Rule),
    Usage(&'static str, &'a ResourceRule),
}

/// The rules of one page, and which page that is. Those that fail or are off stand first.
pub(super) fn rules(snapshot: &Snapshot, page: usize, now: Timestamp) -> (Rules, usize) {
    let off: BTreeMap<&str, &Disabled> = snapshot
        .disabled()
        .iter()
        .map(|it| (it.rule.as_str(), it))
        .collect();
    let off = |id: &str| off.get(id).map(|it| off_because(it));
    let about = About::new(snapshot);
    let series = snapshot.known_rules().map(|(rule, known)| {
        let id = rule.id.to_string();
        let state = match off(&id).unwrap_or_else(|| state_of(known, now)) {
            RuleState::Well if !about.names.contains_key(&rule.id) => RuleState::Empty,
            state => state,
        };
        (Listed::Series(rule), id, state)
    });
    let usage = snapshot.rules().resource.iter();
    let usage = usage.flat_map(|rules| [("CPU", &rules.cpu), ("memory", &rules.memory)]);
    let usage = usage.map(|(what, rule)| {
        let id = rule.origin.rule.clone();
        let state = off(&id).unwrap_or(RuleState::Well);
        (Listed::Usage(what, rule), id, state)
    });
    let mut all: Vec<_> = series.chain(usage).collect();
    all.sort_by_key(|(_, _, state)| !state.is_trouble());
    let troubled = all
        .iter()
        .take_while(|(_, _, state)| state.is_trouble())
        .count();
    let worst = all.iter().take(troubled.min(WORST));
    let worst = worst.map(|(_, id, state)| (id.clone(), state.failing_for()));
    let worst = worst.collect();
    let empty = all
        .iter()
        .filter(|(_, _, state)| *state == RuleState::Empty);
    let empty = empty.count();
    let (total, (page, pages)) = (all.len(), leaf(page, all.len()));
    let shown = all.into_iter().skip((page - 1) * PAGE).take(PAGE);
    let shown = shown.map(|(rule, id, state)| about.rule(&rule, id, state));
    let rules = Rules {
        total,
        troubled,
        empty,
        worst,
        pages,
        shown: shown.collect(),
    };
    (rules, page)
}

fn off_because(disabled: &Disabled) -> RuleState {
    RuleState::Off(format!("line {}: {}", disabled.line, disabled.cause))
}

fn state_of(known: Option<&Known>, now: Timestamp) -> RuleState {
    let Some(known) = known else {
        return RuleState::Waiting;
    };
    match &known.failure {
        Some(failure) => {
            let since = known.failing_since;
            RuleState::Failing(failure.clone(), since.map(|it| words::age(it, now)))
        }
        None if !known.answered => RuleState::Waiting,
        None if !known.live => RuleState::Quiet,
        None => RuleState::Well,
    }
}

/// What else is to be said of rules, by them.
struct About<'a> {
    snapshot: &'a Snapshot,
    names: BTreeMap<&'a RuleId, BTreeSet<&'a str>>,
    shadowed: BTreeMap<&'a RuleId, Vec<&'a Shadowed>>,
}

impl<'a> About<'a> {
    fn new(snapshot: &'a Snapshot) -> About<'a> {
        let mut names: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for (_, name, metric) in snapshot.metrics() {
            names.entry(&metric.rule.id).or_default().insert(name);
        }
        let mut shadowed: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for it in snapshot.shadowed() {
            for rule in [&it.loser.0, &it.winner.0] {
                shadowed.entry(rule).or_default().push(it);
            }
        }
        About {
            snapshot,
            names,
            shadowed,
        }
    }

    fn rule(&self, listed: &Listed<'_>, id: String, state: RuleState) -> Rule {
        match listed {
            Listed::Series(rule) => self.series(rule, id, state),
            Listed::Usage(what, rule) => Rule {
                id,
                line: rule.origin.line,
                selector: rule.container_query.source.text.clone(),
                backend: self.backend(rule.backend),
                state,
                count: 1,
                names: vec![format!("{what} of pods and nodes")],
                remarks: Vec::new(),
            },
        }
    }

    fn series(&self, rule: &rules::Rule, id: String, state: RuleState) -> Rule {
        let made = self.names.get(&rule.id);
        let names = made.into_iter().flatten().take(NAMES);
        let selector = match rule.series_query.text.as_str() {
            "" => &rule.query.source.text,
            text => text,
        };
        // Which of its metrics another rule makes as well.
        let remarks = self.shadowed.get(&rule.id).into_iter().flatten();
        Rule {
            id,
            line: rule.line,
            selector: selector.to_owned(),
            backend: self.backend(rule.backend),
            state,
            count: made.map_or(0, BTreeSet::len),
            names: names.map(|name| (*name).to_owned()).collect(),
            remarks: remarks.map(ToString::to_string).collect(),
        }
    }

    /// Empty for the one that everybody has.
    fn backend(&self, number: usize) -> String {
        match number {
            0 => String::new(),
            _ => self.snapshot.rules().backend_name(number).to_owned(),
        }
    }
}

impl RuleState {
    /// Whether somebody must do something about it.
    fn is_trouble(&self) -> bool {
        matches!(self, RuleState::Failing(..) | RuleState::Off(_))
    }

    fn failing_for(&self) -> Option<Duration> {
        match self {
            RuleState::Failing(_, failing_for) => *failing_for,
            _ => None,
        }
    }
}
