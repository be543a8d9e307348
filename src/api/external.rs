//! `external.metrics.k8s.io`: a metric of nothing in the cluster.

use super::route::ExternalAsk;
use super::rows::Wanted;
use super::status::Failure;
use super::wire::{Form, external_metric_value_list};
use super::{Api, Body, Deadline};
use crate::plan::{self, ExternalQuery, ExternalValues, ITEMS_MAX};
use crate::registry::{Metric, Snapshot};
use crate::rules::List;
use crate::samples::{Labels, Query};
use crate::selector::Selector;

/// Answers one ask: look-up, query, values.
pub(super) async fn answer(
    api: &Api,
    snapshot: &Snapshot,
    ask: &ExternalAsk,
    form: Form,
    deadline: Deadline,
) -> Result<Body, Failure> {
    let selector = selector(ask)?;
    let Some(metric) = snapshot.external(&ask.metric) else {
        // Prometheus may have begun to hold it.
        api.rooms.wake.ask();
        return Err(missing(snapshot, ask));
    };
    let (query, wanted) = plan(api, (snapshot, metric), ask, &selector)?;
    let origin = metric.rule.origin();
    let rows = api.rows(wanted, &origin, deadline).await?;
    let values = ExternalValues::of(&rows, &query, &metric.rule.terms);
    let values = values.map_err(|error| Failure::plan(&error))?;
    api.count_dropped(&origin, values.dropped(), values.items().is_empty());
    let kind = rows.head().kind;
    let summary = api.seen(values.items().iter().map(|item| &item.value));
    Ok(external_metric_value_list(&ask.metric, kind, values.items(), form)?.seen(summary))
}

/// The selector of series.
pub(super) fn selector(ask: &ExternalAsk) -> Result<Selector, Failure> {
    let selector = Selector::parse(&ask.list.label_selector);
    let selector = selector.map_err(|error| Failure::bad_request(error.to_string()))?;
    ask.list.check().map_err(Failure::from)?;
    Ok(selector)
}

/// The answer where there is no such metric.
pub(super) fn missing(snapshot: &Snapshot, ask: &ExternalAsk) -> Failure {
    let unlisted = snapshot.unlisted(List::External, &ask.metric);
    Failure::unmade(&ask.metric, unlisted, || {
        let why = snapshot.why(List::External, None, &ask.metric);
        Failure::no_such_external_metric(&ask.metric).because(&why)
    })
}

/// The query.
pub(super) fn plan(
    api: &Api,
    (snapshot, metric): (&Snapshot, &Metric),
    ask: &ExternalAsk,
    selector: &Selector,
) -> Result<(ExternalQuery, Query), Failure> {
    let query = plan::external_query(metric, &ask.namespace, selector).and_then(|query| {
        plan::check_length(&metric.rule.origin(), &query.promql, api.asking.bytes_max)?;
        Ok(query)
    });
    let query = query.map_err(|error| Failure::plan(&error))?;
    let wanted = Wanted::by(snapshot, &metric.rule, query.promql.clone(), Labels::All);
    // Of a fixed query one row is chosen, whatever there is.
    let wanted = match metric.rule.is_fixed() {
        true => wanted,
        false => wanted.at_most(ITEMS_MAX),
    };
    Ok((query, api.query(wanted)))
}
