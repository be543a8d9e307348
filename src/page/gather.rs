//! What the page shows, looked up: the snapshot, the journal, our own metrics, the watches.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::Settings;
use super::data::{Backend, Data, File, Memory, Rule, RuleState, View};
use super::health::{Facts, judge};
use super::words;
use crate::api::Api;
use crate::journal::{Ask, Asked, Journal};
use crate::registry::Snapshot;
use crate::reload::config::ConfigState;
use crate::rules::{self, RuleId};
use crate::telemetry::{BackendLabel, Metrics};

mod metrics;

/// Names of a rule that are shown.
const NAMES: usize = 6;

/// What was not asked for so long counts as not asked for.
const ASKED: Duration = Duration::from_secs(3600);

/// An answer that is older says nothing about now.
const LATELY: Duration = Duration::from_secs(600);

/// All of it, as of now.
pub(super) fn gather(api: &Api, journal: &Journal, settings: &Settings, view: View) -> Data {
    let now = Timestamp::now();
    let rooms = api.rooms();
    let snapshot = rooms.registry.snapshot();
    let asks: Vec<(Ask<String>, Asked)> = journal
        .asks()
        .into_iter()
        .filter(|(_, asked)| words::age(asked.last, now) <= ASKED)
        .collect();
    let failing = asks
        .iter()
        .filter(|(_, asked)| asked.failure.is_some() && words::age(asked.last, now) <= LATELY);
    let failing = failing.count();
    let metrics = metrics::metrics(&snapshot, asks, &view, now);
    let view = View {
        page: metrics.page,
        ..view
    };
    let rules = rules_of(&snapshot);
    let backends = backends(&snapshot, journal, &rooms.metrics, now);
    let watches = rooms.kubernetes.watches();
    let files = files(&rooms.config.load());
    let listed = rooms.metrics.relist_timestamp.get();
    let health = judge(&Facts {
        awaits: &api.awaits(),
        relist_age: relist_age(listed, now),
        relist_limit: settings.relist_limit,
        files: &files,
        rules: &rules,
        backends: &backends,
        watches: &watches,
        metrics: metrics.listed.total,
        failing,
    });
    Data {
        now,
        began: journal.began(),
        version: env!("CARGO_PKG_VERSION"),
        view,
        health,
        files,
        rules,
        metrics: metrics.listed,
        backends,
        memory: Memory {
            entries: rooms.samples.len(),
            results: results(&rooms.metrics),
        },
        watches,
        errors: journal.troubles(),
    }
}

/// Since `listed`, in seconds since 1970; never, while it is zero.
fn relist_age(listed: f64, now: Timestamp) -> Option<Duration> {
    let since = now.as_millisecond() as f64 / 1000.0 - listed;
    (listed > 0.0).then(|| Duration::try_from_secs_f64(since).unwrap_or_default())
}

/// The rules files.
fn files(state: &ConfigState) -> Vec<File> {
    vec![File {
        path: state.files.join(" "),
        hash: Some(state.hash.clone()),
        loaded: Some(state.loaded_at),
        error: state.last_error.clone(),
    }]
}

fn rules_of(snapshot: &Snapshot) -> Vec<Rule> {
    let mut names: BTreeMap<RuleId, BTreeSet<&str>> = BTreeMap::new();
    for (_, name, metric) in snapshot.metrics() {
        names
            .entry(metric.rule.id.clone())
            .or_default()
            .insert(name);
    }
    let rules = snapshot.rules();
    let listed = rules.custom.iter().chain(&rules.external);
    let listed = listed.map(|rule| {
        let made = names.get(&rule.id);
        let names = made.into_iter().flatten().take(NAMES);
        let origin = rule.origin();
        let selector = match rule.series_query.text.as_str() {
            "" => &rule.query.source.text,
            text => text,
        };
        Rule {
            state: state_of(snapshot, rule),
            remarks: remarks(snapshot, &rule.id),
            id: origin.rule,
            line: origin.line,
            selector: selector.to_owned(),
            backend: backend_of(snapshot, rule.backend),
            count: made.map_or(0, BTreeSet::len),
            names: names.map(|name| (*name).to_owned()).collect(),
        }
    });
    let usage = rules.resource.iter();
    let usage = usage.flat_map(|rules| [("CPU", &rules.cpu), ("memory", &rules.memory)]);
    let usage = usage.map(|(what, rule)| Rule {
        id: rule.origin.rule.clone(),
        line: rule.origin.line,
        selector: rule.container_query.source.text.clone(),
        backend: backend_of(snapshot, rule.backend),
        state: off(snapshot, &rule.origin.rule).unwrap_or(RuleState::Well),
        count: 1,
        names: vec![format!("{what} of pods and nodes")],
        remarks: Vec::new(),
    });
    listed.chain(usage).collect()
}

fn state_of(snapshot: &Snapshot, rule: &rules::Rule) -> RuleState {
    if let Some(off) = off(snapshot, &rule.id.to_string()) {
        return off;
    }
    match snapshot.known(rule) {
        None => RuleState::Waiting,
        Some(known) => match &known.failure {
            Some(failure) => RuleState::Failing(failure.clone()),
            None if !known.answered => RuleState::Waiting,
            None if !known.live => RuleState::Quiet,
            None => RuleState::Well,
        },
    }
}

fn off(snapshot: &Snapshot, rule: &str) -> Option<RuleState> {
    let disabled = snapshot.disabled().iter().find(|it| it.rule == rule)?;
    Some(RuleState::Off(format!(
        "line {}: {}",
        disabled.line, disabled.cause
    )))
}

/// Which of its metrics another rule makes as well.
fn remarks(snapshot: &Snapshot, rule: &RuleId) -> Vec<String> {
    let shadowed = snapshot.shadowed().iter();
    let its = shadowed.filter(|it| it.loser.0 == *rule || it.winner.0 == *rule);
    its.map(ToString::to_string).collect()
}

/// Empty for the one that everybody has.
fn backend_of(snapshot: &Snapshot, backend: usize) -> String {
    match backend {
        0 => String::new(),
        _ => snapshot.rules().backend_name(backend).to_owned(),
    }
}

fn backends(
    snapshot: &Snapshot,
    journal: &Journal,
    metrics: &Metrics,
    now: Timestamp,
) -> Vec<Backend> {
    let rules = snapshot.rules();
    let asked: BTreeSet<usize> = rules.asked().into_iter().chain([0]).collect();
    let backend = |number: usize| {
        let name = rules.backend_name(number).to_owned();
        let upstream = journal.upstream(&name);
        let label = BackendLabel {
            backend: name.clone(),
        };
        Backend {
            minutes: upstream.minutes(now).to_vec(),
            failure: upstream.failure(),
            open: metrics
                .upstream_open
                .get(&label)
                .map_or(0, |gauge| gauge.get()),
            waiting: metrics
                .upstream_waiting
                .get(&label)
                .map_or(0, |gauge| gauge.get()),
            name,
        }
    };
    asked.into_iter().map(backend).collect()
}

fn results(metrics: &Metrics) -> Vec<(&'static str, u64)> {
    let count = |freshness| metrics.query_results.get(freshness);
    let all = ["fresh", "shared", "fetched", "stale", "failed"];
    all.into_iter()
        .map(|freshness| (freshness, count(freshness)))
        .collect()
}
