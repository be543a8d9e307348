//! Whether all is well: one word, one sentence, and the reasons. Pure.

use std::time::Duration;

use super::data::{Backend, File, Rule, RuleState};
use super::words;
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
    /// What readiness waits for.
    pub(super) awaits: &'a [&'static str],
    /// Since all rules were last listed; `None` where they never were.
    pub(super) relist_age: Option<Duration>,
    /// What that may be at most.
    pub(super) relist_limit: Duration,
    pub(super) files: &'a [File],
    pub(super) rules: &'a [Rule],
    pub(super) backends: &'a [Backend],
    pub(super) watches: &'a [Watched],
    /// Metrics there are.
    pub(super) metrics: usize,
    /// Asks whose last answer was an error, lately.
    pub(super) failing: usize,
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
            "The list of metrics is {} old; it should be no older than {}",
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
        backend_reasons(backend, &mut add);
    }
    let troubled = facts.rules.iter().filter(|rule| rule.is_troubled()).count();
    if troubled > 0 {
        let of = words::count(facts.rules.len());
        add(
            State::Impaired,
            "rules",
            format!("Rules that fail or are off: {troubled} of {of}"),
        );
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
    if facts.failing > 0 {
        let text = format!(
            "{} answered with an error the last time",
            words::of(facts.failing, "ask was", "asks were")
        );
        add(State::Impaired, "metrics", text);
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

fn backend_reasons(backend: &Backend, add: &mut impl FnMut(State, &'static str, String)) {
    let lately = backend.sum(LATELY);
    let name = &backend.name;
    let why = backend
        .failure
        .as_ref()
        .map_or("", |(_, text)| text.as_str());
    if lately.requests > 0 && lately.failed == lately.requests {
        let text = format!("The backend {name} does not answer: {why}");
        add(State::Bad, "backends", text);
    } else if lately.failed > 0 {
        let text = format!(
            "The backend {name} failed {} of {} requests in the last minutes: {why}",
            lately.failed, lately.requests
        );
        add(State::Impaired, "backends", text);
    }
}

fn sentence(state: State, facts: &Facts<'_>, reasons: usize) -> String {
    let metrics = words::of(facts.metrics, "metric", "metrics");
    let rules = words::of(facts.rules.len(), "rule", "rules");
    match state {
        _ if !facts.awaits.is_empty() => "It does not serve yet, or not any more.".to_owned(),
        State::Well => format!("{metrics} of {rules} can be asked for, and nothing is wrong."),
        State::Impaired | State::Bad => format!(
            "{metrics} of {rules} can be asked for; {} a look.",
            words::of(reasons, "thing needs", "things need")
        ),
    }
}

impl Rule {
    /// Whether somebody must do something about it.
    pub(super) fn is_troubled(&self) -> bool {
        matches!(self.state, RuleState::Failing(_) | RuleState::Off(_))
    }
}
