//! The way of an external metric.

use super::Walk;
use super::advice::some;
use super::chain::Chain;
use super::nothing::Nothing;
use super::rows::{Given, tell_dropped};
use super::{rules, unmade};
use crate::api::cause::Cause;
use crate::api::external::{self, plan};
use crate::api::route::ExternalAsk;
use crate::api::status::Failure;
use crate::plan::ExternalValues;
use crate::registry::Metric;
use crate::rules::List;
use crate::selector::Selector;

/// Goes the way of one ask; how many values it has.
pub(super) async fn walk(
    walk: &Walk<'_>,
    ask: &ExternalAsk,
    chain: &mut Chain,
) -> Result<usize, Failure> {
    let ExternalAsk {
        metric, namespace, ..
    } = ask;
    let mut text = format!("the external metric {metric}, asked in {namespace}");
    if !ask.list.label_selector.is_empty() {
        text += &format!(", of series with {}", ask.list.label_selector);
    }
    chain.well("Request", &text);
    let selector = external::selector(ask).map_err(|failure| chain.failed("Request", failure))?;
    rules::tell(walk, List::External, None, metric, chain);
    let Some(found) = walk.snapshot.external(metric) else {
        unmade::find_out(walk, List::External, None, metric, chain).await;
        return Err(external::missing(walk.snapshot, ask));
    };
    values(walk, found, ask, &selector, chain).await
}

/// From the query to values.
async fn values(
    walk: &Walk<'_>,
    metric: &Metric,
    ask: &ExternalAsk,
    selector: &Selector,
    chain: &mut Chain,
) -> Result<usize, Failure> {
    let (api, rule) = (walk.api, &metric.rule);
    let planned = plan(api, (walk.snapshot, metric), ask, selector);
    let (query, wanted) = planned.map_err(|failure| chain.failed("Query", failure))?;
    let text = match rule.association.namespaced {
        _ if rule.is_fixed() => "the same in every namespace",
        true => "within the namespace of the request (resources.namespaced)",
        false => "the same in every namespace (resources.namespaced is false)",
    };
    chain.well("Query", text).asks(&query.promql);
    let given = Given::ask(walk, &wanted, &wanted).await;
    given.tell("external", chain);
    let rows = match (given.remembered(|_| true), &given.whole) {
        (Some(rows), _) => rows,
        (None, Ok(rows)) => std::sync::Arc::clone(rows),
        (None, Err(error)) => return Err(Failure::upstream(error)),
    };
    let values = ExternalValues::of(&rows, &query, &rule.terms);
    let values = values.map_err(|error| chain.failed("Values", Failure::plan(&error)))?;
    tell_dropped(values.dropped(), chain);
    let items = values.items();
    if items.is_empty() {
        chain.wrong("Values", "none");
        let is_empty = given.whole.as_ref().is_ok_and(|rows| rows.is_empty());
        match is_empty {
            true if tell_selector(walk, metric, ask, selector, chain).await => {}
            true => {
                nothing(metric, ask, &query.promql)
                    .find_out(walk, chain)
                    .await
            }
            false => chain.because(Cause::NotANumber),
        }
    } else {
        let text = match items.len() {
            1 => "1, which an autoscaler takes".to_owned(),
            count => format!("{count}, which an autoscaler adds up"),
        };
        let told = items.iter().map(|item| {
            let labels = item
                .labels
                .iter()
                .map(|(name, value)| format!("{name}={value:?}"));
            let labels: Vec<String> = labels.collect();
            format!("{{{}}} {}", labels.join(", "), item.value.quantity)
        });
        chain.well("Values", &text).lines(told);
    }
    given.tell_cache(api.policy(&rule.terms).ttl, chain);
    Ok(items.len())
}

fn nothing<'a>(metric: &'a Metric, ask: &'a ExternalAsk, promql: &'a str) -> Nothing<'a> {
    let is_namespaced = metric.rule.association.namespaced && !ask.namespace.is_empty();
    Nothing {
        metric,
        promql,
        namespace: is_namespaced.then_some(ask.namespace.as_str()),
        names: &[],
        kind: None,
    }
}

/// Whether it is the metric selector that leaves nothing; says so.
async fn tell_selector(
    walk: &Walk<'_>,
    metric: &Metric,
    ask: &ExternalAsk,
    selector: &Selector,
    chain: &mut Chain,
) -> bool {
    if selector.is_empty() || metric.rule.is_fixed() {
        return false;
    }
    let Ok((query, wanted)) = plan(walk.api, (walk.snapshot, metric), ask, &Selector::default())
    else {
        return false;
    };
    let rows = walk.api.rooms.samples.aside(wanted).await;
    let Some(rows) = rows.ok().filter(|rows| !rows.is_empty()) else {
        return false;
    };
    let text = format!("without {selector} there are {} series", rows.len());
    chain.wrong("Metric selector", &text).asks(&query.promql);
    chain.because(Cause::MetricSelector);
    let keys: Vec<&str> = selector
        .requirements()
        .iter()
        .map(|it| it.key.as_str())
        .collect();
    chain.advise(format!(
        "change the metric selector: look which values {} has on the series of {}",
        some(&keys),
        metric.series
    ));
    true
}
