//! Why there is no such metric: what the snapshot knows, and what Prometheus says to questions that
//! a relist does not ask.

use super::Walk;
use super::advice::{did_you_mean, look_for, name_label, shown, some};
use super::chain::Chain;
use super::probe::{LONG_AGO, Probe, Told, unanswered};
use crate::api::cause::Cause;
use crate::kinds::Kind;
use crate::promql::SeriesSelector;
use crate::registry::{Look, Seen, Unlisted, Unmade, siblings};
use crate::rules::List;

/// Rules whose series are looked for.
const LOOKED_FOR_MAX: usize = 2;

/// Finds out more about a metric that no rule makes for `kind`, which is `None` for an external
/// one.
pub(super) async fn find_out(
    walk: &Walk<'_>,
    list: List,
    kind: Option<&Kind>,
    metric: &str,
    chain: &mut Chain,
) {
    let resource = kind.map(Kind::group_resource);
    let why = walk.snapshot.why(list, resource.as_ref(), metric);
    if !why.similar.is_empty() {
        chain.advise(did_you_mean(&why.similar));
    }
    if let Some(unlisted) = walk.snapshot.unlisted(list, metric) {
        tell_unlisted(unlisted, chain);
    }
    let looks = walk.snapshot.looks(list, metric);
    let is_listed = |look: &Look<'_>| match (&look.seen, &resource) {
        (Seen::Makes { kinds, .. }, Some(resource)) => kinds.contains(resource),
        _ => false,
    };
    let worth = looks.iter().filter(|look| !is_listed(look));
    let mut worth: Vec<(&Look<'_>, &str)> = worth
        .filter_map(|look| Some((look, series(look)?)))
        .collect();
    worth.sort_by_key(|(look, _)| is_left(look));
    for (look, series) in worth.into_iter().take(LOOKED_FOR_MAX) {
        let looked = match is_left(look) {
            true => look_for_left(walk, look, series, chain).await,
            false => look_at(walk, look, series, kind, chain).await,
        };
        if let Err(error) = looked {
            unanswered(walk, &error, chain);
            break;
        }
    }
    // Behind what the series say, which is mostly nearer.
    advise(&why.reason, metric, chain);
}

/// The series whose absence, or whose labels, are the matter.
fn series<'a>(look: &'a Look<'_>) -> Option<&'a str> {
    match &look.seen {
        Seen::NoSeries { series, .. }
        | Seen::Unassociated { series, .. }
        | Seen::FilteredOut {
            series,
            is_there: false,
        }
        | Seen::Unmatched {
            series,
            is_there: false,
        }
        | Seen::Makes { series, .. } => look.rule.metric.is_none().then_some(series),
        _ => None,
    }
}

/// Whether its rule leaves the series alone: it was not listed for that, and may be there.
fn is_left(look: &Look<'_>) -> bool {
    matches!(look.seen, Seen::FilteredOut { .. } | Seen::Unmatched { .. })
}

/// Asks Prometheus for series that a rule would not take if they were there.
async fn look_for_left(
    walk: &Walk<'_>,
    look: &Look<'_>,
    series: &str,
    chain: &mut Chain,
) -> Told<()> {
    let bare = crate::promql::with_matchers(series, &[]);
    let max_age = walk.api.asking.max_age;
    match Probe::now(walk, look.rule)
        .labels(&bare, Some(max_age))
        .await?
    {
        Some(labels) => {
            let has = format!("labels: {}", labels.join(", "));
            let text = format!("Prometheus has series called {series}");
            chain.note("Series", &text).lines([has]);
        }
        None => {
            let text = format!("Prometheus has 0 series called {series}");
            chain.wrong("Series", &text);
            chain.advise(look_for(series));
        }
    }
    Ok(())
}

/// A rule that may make it could not be listed.
fn tell_unlisted(unlisted: &Unlisted, chain: &mut Chain) {
    let Unlisted {
        rule, line, cause, ..
    } = unlisted;
    let Some(cause) = cause else {
        chain.wrong("Listing", "metrics are being listed for the first time");
        return chain.advise("try again in some seconds".to_owned());
    };
    let text = format!("{rule} (line {line}), which may make it, cannot be listed: {cause}");
    chain.wrong("Listing", &text);
    chain.advise(match unlisted.answered {
        true => format!("mend the seriesQuery of {rule} (line {line}): {cause}"),
        false => format!("look why Prometheus does not answer about {rule} (line {line}): {cause}"),
    });
}

fn advise(reason: &Unmade, metric: &str, chain: &mut Chain) {
    match reason {
        Unmade::OtherKinds { kinds, .. } => chain.advise(format!(
            "ask for it as a metric of {}: with describedObject in a metric of type Object, or of \
             type Pods if pods are among them",
            some(kinds)
        )),
        Unmade::OtherList(List::External, _) => chain.advise(format!(
            "{metric} is external: use a metric of type External, or explain external/{metric}"
        )),
        Unmade::OtherList(List::Custom, kinds) => chain.advise(format!(
            "{metric} is a custom metric of {}: use a metric of type Pods or Object",
            some(kinds)
        )),
        Unmade::Renamed { name, .. } => {
            chain.advise(format!("ask for {name}, as the rule calls it"));
        }
        Unmade::FilteredOut { rule, series } => chain.advise(format!(
            "change the seriesFilters of {rule} so that they let {series} in, or give it a rule of \
             its own"
        )),
        Unmade::Unmatched { rule, series } => chain.advise(format!(
            "change name.matches of {rule} so that it matches {series}, or give it a rule of its \
             own"
        )),
        Unmade::Off(disabled) => chain.advise(format!(
            "install what defines that kind, or take the override in line {} away",
            disabled.line
        )),
        Unmade::Scope(_) => chain.advise(reason.to_string()),
        Unmade::NoLabel { .. } | Unmade::NoSeries { .. } | Unmade::NoRule => {}
    }
}

/// Asks Prometheus for the series that a rule would make the metric of.
async fn look_at(
    walk: &Walk<'_>,
    look: &Look<'_>,
    series: &str,
    kind: Option<&Kind>,
    chain: &mut Chain,
) -> Told<()> {
    let rule = look.rule;
    let Some(selector) = SeriesSelector::parse(&rule.series_query.text) else {
        return Ok(());
    };
    let probe = Probe::now(walk, rule);
    let narrowed = selector.of_series(series);
    let max_age = walk.api.asking.max_age;
    if let Some(labels) = probe.labels(&narrowed, Some(max_age)).await? {
        there(walk, look, series, kind, &labels, chain);
        return Ok(());
    }
    let bare = crate::promql::with_matchers(series, &[]);
    if bare != narrowed
        && let Some(labels) = probe.labels(&bare, Some(max_age)).await?
    {
        let text = format!("{series} is there, and the matchers of the seriesQuery fit none");
        chain
            .wrong("Series", &text)
            .asks(&narrowed)
            .lines([format!("labels: {}", labels.join(", "))]);
        chain.advise(format!(
            "look at the matchers in the seriesQuery of {}: the series have the labels {}",
            rule.origin(),
            labels.join(", ")
        ));
        return Ok(());
    }
    let text = format!("Prometheus has 0 series called {series}");
    chain.wrong("Series", &text).asks(&narrowed);
    if probe.labels(&narrowed, Some(LONG_AGO)).await?.is_some() {
        let text = format!(
            "there are samples of it of the last {}, and none of the last {}",
            shown(LONG_AGO),
            shown(max_age)
        );
        chain.note("Series", &text);
        chain.advise(format!(
            "nothing writes {series} any more: look at its scrape target, or raise \
             --metrics-max-age for series that are seldom written"
        ));
        chain.because(Cause::SeriesTooOld);
    } else {
        chain.advise(look_for(series));
    }
    Ok(())
}

/// The series are there: with which labels?
fn there(
    walk: &Walk<'_>,
    look: &Look<'_>,
    series: &str,
    kind: Option<&Kind>,
    labels: &[String],
    chain: &mut Chain,
) {
    let has = format!("labels: {}", labels.join(", "));
    let resource = kind.map(Kind::group_resource);
    let label = resource
        .as_ref()
        .and_then(|it| walk.snapshot.label_for(look.rule, it));
    let (Some(kind), Some(resource), Some(label)) = (kind, resource, label) else {
        chain
            .note("Series", &format!("{series} is there now"))
            .lines([has]);
        return chain.advise("the next relist will list it: try again then".to_owned());
    };
    let origin = look.rule.origin().to_string();
    match label {
        Ok(label) if labels.contains(&label) => {
            let text = format!("{series} is there now, with the label {label}");
            chain.note("Series", &text).lines([has]);
            chain.advise("the next relist will list it: try again then".to_owned());
        }
        Ok(label) => {
            let text =
                format!("{series} is there, without the label {label:?} that names {resource}");
            chain.wrong("Association", &text).lines([has]);
            let siblings = siblings(&label, &kind.singular, labels);
            match siblings.first() {
                Some(sibling) => {
                    let of_rule = (origin.as_str(), &look.rule.association);
                    chain.advise(name_label(of_rule, &label, sibling, &resource));
                }
                None => chain.advise(format!(
                    "none of the labels {} seems to name {resource}: give the series one by \
                     relabelling, or name the label that does in resources.overrides of {origin}",
                    labels.join(", ")
                )),
            }
            if !siblings.is_empty() || matches!(look.seen, Seen::NoSeries { .. }) {
                chain.because(Cause::NoObjectLabel);
            }
        }
        Err(error) => {
            let text = format!("{origin} has no label for {resource}: {error}");
            chain.wrong("Association", &text).lines([has]);
            chain.advise(format!(
                "name the label that holds the names of {resource} in resources.overrides of \
                 {origin}"
            ));
            chain.because(Cause::NoObjectLabel);
        }
    }
}
