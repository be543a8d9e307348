//! The way of an external metric.

use super::Walk;
use super::chain::Chain;
use super::nothing::Nothing;
use super::rows::{Given, Wants, tell_dropped};
use super::{rules, unmade};
use crate::api::cause::Cause;
use crate::api::external::{self, plan};
use crate::api::route::ExternalAsk;
use crate::api::status::Failure;
use crate::plan::{ExternalValue, ExternalValues};
use crate::registry::Metric;
use crate::rules::List;
use crate::samples::Query;
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
    given.tell(walk, &rule.terms, Wants::Any, chain);
    let rows = match (given.remembered(|_| true), &given.whole) {
        (Some(rows), _) => rows,
        (None, Ok(rows)) => std::sync::Arc::clone(rows),
        (None, Err(error)) => {
            let max_rows = api.max_rows(&wanted);
            return Err(Failure::upstream(error, &rule.origin(), max_rows));
        }
    };
    let values = ExternalValues::of(&rows, &query, &rule.terms);
    let values = values.map_err(|error| chain.failed("Values", Failure::plan(&error)))?;
    tell_dropped(values.dropped(), chain);
    let items = values.items();
    let is_made_up = given.tell_made_up(&rule.terms, &rule.origin(), chain);
    tell_items(items, chain);
    if given.is_empty() && (items.is_empty() || is_made_up) {
        let nothing = nothing(walk, metric, (ask, selector), wanted);
        nothing.find_out(walk, chain).await;
    } else if items.is_empty() {
        chain.because(Cause::NotANumber);
    }
    given.tell_cache(api.policy(&rule.terms).ttl, chain);
    Ok(items.len())
}

fn tell_items(items: &[ExternalValue], chain: &mut Chain) {
    let text = match items.len() {
        0 => {
            chain.wrong("Values", "none");
            return;
        }
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

/// What to find out where there is nothing.
fn nothing<'a>(
    walk: &Walk<'_>,
    metric: &'a Metric,
    (ask, selector): (&'a ExternalAsk, &'a Selector),
    wanted: Query,
) -> Nothing<'a> {
    let all = plan(walk.api, (walk.snapshot, metric), ask, &Selector::default());
    let label = metric.labels.namespace.as_deref().ok();
    let namespace = Some(ask.namespace.as_str()).filter(|it| !it.is_empty());
    Nothing {
        query: all.map_or(wanted, |(_, query)| query),
        selector,
        rule: metric.rule.origin().to_string(),
        association: &metric.rule.association,
        namespace: label.zip(namespace),
        objects: None,
    }
}
