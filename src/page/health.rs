//! Whether all is well: one word, one sentence, and the reasons. Pure.

use std::time::Duration;

use jiff::Timestamp;

use super::data::{Backend, FailingAsks, File, Rules};
use super::{callers, words};
use crate::kubernetes::Watched;

/// How many of the last minutes say whether a backend answers.
const LATELY: usize = 3;

/// How it is, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    /// Nothing is to be done.
    Well,
    /// It serves, and something needs a look.
    Impaired,
    /// It does not serve, or nothing that is new.
    Bad,
}

/// The verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Health {
    pub(super) state: State,
    pub(super) sentence: String,
    /// The worst first.
    pub(super) reasons: Vec<Reason>,
}

/// What is not well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reason {
    pub(super) state: State,
    pub(super) text: String,
    /// The part of the page that says more.
    pub(super) section: &'static str,
}

/// What the verdict is made of.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub(super) now: Timestamp,
    /// What readiness waits for.
    pub(super) awaits: &'a [&'static str],
    /// Since all rules were last listed; `None` where they never were.
    pub(super) relist_age: Option<Duration>,
    /// What that may be at most.
    pub(super) relist_limit: Duration,
    pub(super) files: &'a [File],
    pub(super) rules: &'a Rules,
    pub(super) backends: &'a [Backend],
    pub(super) watches: &'a [Watched],
    /// Metrics there are.
    pub(super) metrics: usize,
    pub(super) failing: &'a FailingAsks,
}

impl State {
    /// For people and screen readers: the colour says no more than this.
    pub(super) fn word(self) -> &'static str {
        match self {
            State::Well => "Well",
            State::Impaired => "Impaired",
            State::Bad => "Not well",
        }
    }

    /// What stands before a reason.
    pub(super) fn mark(self) -> &'static str {
        match self {
            State::Well => "Well",
            State::Impaired => "Note",
            State::Bad => "Wrong",
        }
    }

    /// As the style sheet calls it.
    pub(super) fn class(self) -> &'static str {
        match self {
            State::Well => "good",
            State::Impaired => "warn",
            State::Bad => "bad",
        }
    }
}

/// The verdict on these facts.
pub(super) fn judge(facts: &Facts<'_>) -> Health {
    let mut reasons = Vec::new();
    let mut add = |state, section, text: String| {
        reasons.push(Reason {
            state,
            text,
            section,
        });
    };
    for awaited in facts.awaits {
        add(State::Bad, "health", format!("Not ready: {awaited}"));
    }
    let overdue = facts.relist_age.filter(|age| *age > facts.relist_limit);
    if let Some(age) = overdue {
        let text = format!(
            "All rules were last listed {} ago; it should be no longer ago than {}",
            words::span(age),
            words::span(facts.relist_limit)
        );
        add(State::Impaired, "rules", text);
    }
    for file in facts.files {
        if let Some(error) = &file.error {
            let first = error.lines().next().unwrap_or_default();
            let text = format!("The new {} is not in force: {first}", file.path);
            add(State::Impaired, "rules", text);
        }
    }
    for backend in facts.backends {
        backend_reasons(backend, facts.now, &mut add);
    }
    if facts.metrics == 0 && facts.awaits.is_empty() {
        let text = "No rule makes a metric: there is nothing to ask for".to_owned();
        add(State::Impaired, "rules", text);
    }
    if facts.rules.empty > 0 && facts.metrics > 0 {
        let text = format!(
            "{} of {} rules make no metric",
            words::count(facts.rules.empty),
            words::count(facts.rules.total)
        );
        add(State::Impaired, "rules", text);
    }
    if facts.rules.troubled > 0 {
        add(State::Impaired, "rules", rules_in_trouble(facts.rules));
    }
    for watch in facts
        .watches
        .iter()
        .filter(|it| !it.in_step && !it.catching_up)
    {
        let text = format!(
            "The watch of {} is out of step: each ask for them is a list",
            watch.objects
        );
        add(State::Impaired, "memory", text);
    }
    if let Some(text) = failing_asks(facts.failing, facts.now) {
        add(State::Impaired, "failing", text);
    }
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.state));
    let state = reasons.iter().map(|reason| reason.state).max();
    let state = state.unwrap_or(State::Well);
    Health {
        state,
        sentence: sentence(state, facts, reasons.len()),
        reasons,
    }
}

fn backend_reasons(
    backend: &Backend,
    now: Timestamp,
    add: &mut impl FnMut(State, &'static str, String),
) {
    let lately = backend.sum(LATELY);
    let (name, faults) = (&backend.name, &backend.faults);
    let text = |fault: &Option<(Timestamp, String)>| match fault {
        Some((_, text)) => text.clone(),
        None => String::new(),
    };
    let (requests, failed, refused) = (lately.requests, lately.failed, lately.refused);
    if requests > 0 && failed == requests {
        let since = faults.silent_since.unwrap_or(now);
        let span = words::span(words::age(since, now));
        let why = text(&faults.failed);
        let text = format!("The backend {name} has not answered for {span}: {why}");
        add(State::Bad, "backends", text);
    } else if failed > 0 {
        let why = text(&faults.failed);
        let text = format!(
            "The backend {name} did not answer {failed} of {requests} requests in the last \
             {LATELY} minutes: {why}"
        );
        add(State::Impaired, "backends", text);
    }
    if refused > 0 {
        let why = text(&faults.refused);
        let text = format!(
            "The backend {name} refused {refused} of {requests} requests in the last {LATELY} \
             minutes: {why}"
        );
        add(State::Impaired, "backends", text);
    }
}

/// `3 of 40 rules fail or are off: rules[7] for 12 min, rules[9] and 1 more`
fn rules_in_trouble(rules: &Rules) -> String {
    let named = rules.worst.iter().map(|(id, failing_for)| {
        let how_long = failing_for.map(|it| format!(" for {}", words::span(it)));
        format!("{id}{}", how_long.unwrap_or_default())
    });
    let mut text = format!(
        "{} of {} rules fail or are off: {}",
        words::count(rules.troubled),
        words::count(rules.total),
        named.collect::<Vec<_>>().join(", ")
    );
    let more = rules.troubled - rules.worst.len();
    if more > 0 {
        text.push_str(&format!(" and {} more", words::count(more)));
    }
    text
}

/// `2 asks fail, the longest for 12 min: HPA controller for depth of pods, app=web in shop`
fn failing_asks(failing: &FailingAsks, now: Timestamp) -> Option<String> {
    let (ask, longest) = failing.shown.first()?;
    let count = words::of(failing.total, "ask fails", "asks fail");
    let span = words::span(words::age(longest.since, now));
    let (who, about) = (callers::name(&ask.asker), &ask.about);
    let mut text = format!("{count}, the longest for {span}: {who}");
    text.push_str(&format!(" for {}", callers::metric(about)));
    match callers::what(about).as_str() {
        "" => {}
        what => text.push_str(&format!(", {what}")),
    }
    Some(text)
}

fn sentence(state: State, facts: &Facts<'_>, reasons: usize) -> String {
    let metrics = words::of(facts.metrics, "metric", "metrics");
    let rules = words::of(facts.rules.total, "rule", "rules");
    match state {
        _ if !facts.awaits.is_empty() => "It does not serve yet, or not any more.".to_owned(),
        State::Well => format!("{metrics} of {rules} can be asked for, and nothing is wrong."),
        State::Impaired | State::Bad => format!(
            "{metrics} of {rules} can be asked for; {} a look.",
            words::of(reasons, "thing needs", "things need")
        ),
    }
}
