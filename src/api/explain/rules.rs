//! What each rule has to do with a metric.

use super::chain::Chain;
use super::{State, Walk};
use crate::kinds::GroupResource;
use crate::registry::{Look, Seen, shortened};
use crate::rules::List;

/// Rules that are told one by one.
const TOLD_MAX: usize = 20;

/// Tells of each rule of a list whether it makes `metric`; of one for objects, whether for those of
/// the kind `of`.
pub(super) fn tell(
    walk: &Walk<'_>,
    list: List,
    of: Option<&GroupResource>,
    metric: &str,
    chain: &mut Chain,
) {
    let looks = walk.snapshot.looks(list, metric);
    let (concerned, others): (Vec<Look<'_>>, Vec<Look<'_>>) = looks
        .into_iter()
        .partition(|look| look.seen != Seen::Nothing);
    for look in concerned.iter().take(TOLD_MAX) {
        tell_one(walk, look, of, chain);
    }
    let untold = others.len() + concerned.len().saturating_sub(TOLD_MAX);
    let title = list.to_string();
    let text = match (untold, concerned.len()) {
        (0, 0) => format!("the rules file has no {list}"),
        (0, _) => return,
        (1, 0) => format!("the one rule has nothing to do with {metric}"),
        (count, 0) => format!("none of {count} rules has anything to do with {metric}"),
        (1, _) => format!("1 other rule has nothing to do with {metric}"),
        (count, _) => format!("{count} other rules have nothing to do with {metric}"),
    };
    match concerned.is_empty() {
        true => chain.wrong(&title, &text),
        false => chain.skipped(&title, &text),
    };
}

fn tell_one(walk: &Walk<'_>, look: &Look<'_>, of: Option<&GroupResource>, chain: &mut Chain) {
    let rule = look.rule;
    let (state, text) = told(look, of);
    let step = chain.step(&rule.origin().to_string(), state, &text);
    let mut lines = Vec::new();
    match &rule.metric {
        Some(name) => lines.push(format!(
            "query, called {name}: no series decides what it makes"
        )),
        None => lines.push(format!(
            "seriesQuery: {}",
            shortened(&rule.series_query.text)
        )),
    }
    if rule.backend != 0 {
        let name = walk.snapshot.rules().backend_name(rule.backend);
        lines.push(format!("backend: {name}"));
    }
    if let Some(known) = look.known {
        let names = known.listing.as_ref().map(|it| it.len());
        let seen = match (&known.failure, names) {
            (Some(failure), None) => format!("could not be listed: {failure}"),
            (Some(failure), Some(names)) => {
                format!("{names} names of series when last listed; since then: {failure}")
            }
            (None, None) if !known.answered => "not listed yet".to_owned(),
            (None, None) => "0 series when last listed".to_owned(),
            (None, Some(names)) if !known.live => {
                format!("0 series when last listed, {names} before")
            }
            (None, Some(1)) => "1 name of series when last listed".to_owned(),
            (None, Some(names)) => format!("{names} names of series when last listed"),
        };
        lines.push(seen);
    }
    step.lines(lines);
}

fn told(look: &Look<'_>, of: Option<&GroupResource>) -> (State, String) {
    match &look.seen {
        Seen::Makes { series, kinds } => {
            let series = match &look.rule.metric {
                Some(_) => "its query".to_owned(),
                None => format!("the series {series}"),
            };
            makes(&series, kinds, of)
        }
        Seen::Shadowed { series, by } => (
            State::Note,
            format!("would make it of the series {series}, but {by} makes the same and answers"),
        ),
        Seen::Unassociated { series, labels } => {
            let has = match labels.is_empty() {
                true => String::new(),
                false => format!(" (it has {})", labels.join(", ")),
            };
            let text = format!("no label of the series {series} names a kind of object{has}");
            (State::Wrong, text)
        }
        Seen::FilteredOut { series, .. } => (
            State::Wrong,
            format!("its seriesFilters leave the series {series} out"),
        ),
        Seen::Unmatched { series, .. } => (
            State::Wrong,
            format!("its name.matches does not match the series {series}"),
        ),
        Seen::Renames { series, name, .. } => {
            (State::Wrong, format!("calls the series {series} {name:?}"))
        }
        Seen::NoSeries { series, .. } => (
            State::Wrong,
            format!("would make it of series called {series}, of which its last listing has none"),
        ),
        Seen::Off(disabled) => (State::Wrong, disabled.to_string()),
        Seen::Unlisted { cause } => {
            let cause = cause.as_deref().unwrap_or("Prometheus was not asked yet");
            (
                State::Wrong,
                format!("may make it, and could not be listed: {cause}"),
            )
        }
        Seen::Nothing => (State::Skipped, "has nothing to do with it".to_owned()),
    }
}

fn makes(series: &str, kinds: &[GroupResource], of: Option<&GroupResource>) -> (State, String) {
    let text = format!("makes it of {series}");
    match of {
        None => (State::Well, text),
        Some(of) if kinds.contains(of) => (State::Well, format!("{text}, for {}", listed(kinds))),
        Some(of) => {
            let text = format!("{text}, for {}, not for {of}", listed(kinds));
            (State::Wrong, text)
        }
    }
}

fn listed(kinds: &[GroupResource]) -> String {
    let names: Vec<String> = kinds.iter().map(ToString::to_string).collect();
    names.join(", ")
}
