//! What the page shows, looked up: the snapshot, the journal, our own metrics, the watches.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::Settings;
use super::data::{Backend, Data, FailingAsks, File, Memory, View};
use super::health::{Facts, judge};
use super::words;
use crate::api::Api;
use crate::journal::{Heard, Journal};
use crate::registry::Snapshot;
use crate::reload::config::ConfigState;
use crate::telemetry::{BackendLabel, Metrics};

mod filter;
mod metrics;
mod rules;

/// Metrics, or rules, of one page.
const PAGE: usize = 100;

/// What was not asked for so long counts as not asked for.
const ASKED: Duration = Duration::from_secs(3600);

/// Who has not asked for so long asks no more: what he was answered is no trouble of now.
const LATELY: Duration = Duration::from_secs(300);

/// An ask fails once it has so often, one after the other: whoever misspells a metric asks once.
const FAILURES: u64 = 2;

/// Asks that fail that are shown.
const FAILING: usize = 50;

/// All of it, as of now.
pub(super) fn gather(api: &Api, journal: &Journal, settings: &Settings, view: View) -> Data {
    let now = Timestamp::now();
    let rooms = api.rooms();
    let snapshot = rooms.registry.snapshot();
    let mut asks: Vec<Heard> = journal.asks();
    asks.retain(|(_, asked)| words::age(asked.last, now) <= ASKED);
    let failing = failing(&asks, now);
    let (mut metrics, page) = metrics::metrics(&snapshot, &asks, &view, now);
    let forgotten = journal.forgotten();
    metrics.crowded = forgotten.is_some_and(|last| words::age(last, now) <= LATELY);
    let (rules, rules_page) = rules::rules(&snapshot, view.rules_page, now);
    let view = View {
        page,
        rules_page,
        ..view
    };
    let backends = backends(&snapshot, journal, &rooms.metrics, now);
    let watches = rooms.kubernetes.watches();
    let files = files(&rooms.config.load());
    let listed = rooms.metrics.relists.oldest();
    let health = judge(&Facts {
        now,
        awaits: &api.awaits(),
        relist_age: relist_age(listed, now),
        relist_limit: settings.relist_limit,
        files: &files,
        rules: &rules,
        backends: &backends,
        watches: &watches,
        metrics: metrics.total,
        failing: &failing,
    });
    Data {
        now,
        began: journal.began(),
        version: env!("CARGO_PKG_VERSION"),
        view,
        health,
        failing,
        files,
        rules,
        metrics,
        backends,
        memory: Memory {
            entries: rooms.samples.len(),
            results: results(&rooms.metrics),
        },
        watches,
        errors: journal.troubles(),
    }
}

/// Those that fail, and who still asks.
fn failing(asks: &[Heard], now: Timestamp) -> FailingAsks {
    let lately = asks
        .iter()
        .filter(|(_, asked)| words::age(asked.last, now) <= LATELY);
    let failing = lately.filter_map(|(ask, asked)| {
        let failing = asked.failing.as_ref()?;
        (failing.count >= FAILURES).then_some((ask, failing))
    });
    let mut failing: Vec<_> = failing.collect();
    let total = failing.len();
    // Of those that began together the most asked one first, and always in the same order.
    failing.sort_by_key(|(ask, failing)| (failing.since, Reverse(failing.count), *ask));
    failing.truncate(FAILING);
    let shown = failing.into_iter();
    let shown = shown.map(|(ask, failing)| (Arc::clone(ask), failing.clone()));
    FailingAsks {
        total,
        shown: shown.collect(),
    }
}

/// Since `listed`, in seconds since 1970.
fn relist_age(listed: Option<i64>, now: Timestamp) -> Option<Duration> {
    let since = now.as_second() - listed?;
    Some(Duration::from_secs(
        u64::try_from(since).unwrap_or_default(),
    ))
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
            faults: upstream.faults(),
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

/// The `page`th hundred of so many, from 1, and how many hundreds there are.
fn leaf(page: usize, of: usize) -> (usize, usize) {
    let pages = of.div_ceil(PAGE);
    (page.clamp(1, pages.max(1)), pages)
}
