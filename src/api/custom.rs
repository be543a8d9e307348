//! `custom.metrics.k8s.io`: a metric of objects.

use super::route::{CustomAsk, GroupVersion, Objects};
use super::rows::Wanted;
use super::status::Failure;
use super::wire::{CustomVersion, Described, Form, label_selector, metric_value_list};
use super::{Api, Body, Deadline};
use crate::kinds::{GroupResource, Kind};
use crate::kubernetes;
use crate::plan::{self, Found, ObjectValues, Value};
use crate::prometheus;
use crate::registry::separable::Scope;
use crate::registry::{Metric, NotFound, Snapshot};
use crate::rules::List;
use crate::selector::Selector;
use crate::telemetry::with_causes;

/// Answers one ask: look-up, names, query, values.
pub(super) async fn answer(
    api: &Api,
    snapshot: &Snapshot,
    ask: &CustomAsk,
    form: Form,
    deadline: Deadline,
) -> Result<Body, Failure> {
    let bad_selector = |e: crate::selector::ParseError| Failure::bad_request(e.to_string());
    let objects = Selector::parse(&ask.list.label_selector).map_err(bad_selector)?;
    ask.list.check().map_err(Failure::from)?;
    let series = Selector::parse(&ask.metric_label_selector).map_err(bad_selector)?;

    let resource = GroupResource::parse(&ask.resource);
    let namespaced = ask.namespace.is_some();
    let found = snapshot.custom(&resource, namespaced, &ask.metric);
    let (kind, metric) = found.map_err(|cause| not_found(api, snapshot, ask, cause))?;
    let namespace = ask.namespace.as_deref();

    let names = match &ask.objects {
        Objects::Named(name) => vec![name.clone()],
        Objects::Selected => {
            let names = api
                .rooms
                .kubernetes
                .names(kind, namespace.filter(|_| kind.namespaced), &objects)
                .await;
            names.map_err(|error| unlisted(ask, &error))?
        }
    };
    let namespace = namespace.filter(|_| is_in_namespace(kind, metric));
    let described = Described {
        kind,
        namespace,
        metric: &ask.metric,
        selector: label_selector(&series),
    };
    if names.is_empty() {
        return render(ask, &described, &[], form);
    }
    let query = plan::custom_query(metric, Scope::Exact, namespace, &names, &series)
        .map_err(|error| unplanned(metric, &error, ask))?;
    let wanted = Wanted::by(&metric.rule, query.promql.clone(), query.kept());
    let rows = api.rows(wanted, deadline).await?;
    if rows.head().kind == prometheus::Kind::Scalar {
        let cause = "the query gives a scalar, which belongs to no object";
        return Err(Failure::internal("unable to fetch metrics", cause));
    }
    let values = ObjectValues::of(&rows, &query, &metric.rule.terms, &names);
    api.count_dropped(&metric.rule.origin(), values.dropped());
    if let (Objects::Named(_), [name]) = (&ask.objects, names.as_slice()) {
        let value = one(ask, name, values.found(name))?;
        return render(ask, &described, &[(name, value)], form);
    }
    let values: Vec<_> = names
        .iter()
        .filter_map(|name| match values.found(name) {
            Found::Value(value) => Some((name.as_str(), value)),
            Found::Nothing | Found::NotANumber(_) => None,
        })
        .collect();
    render(ask, &described, &values, form)
}

/// Whether the namespace in the path says something about the objects. For cluster-scoped ones it
/// is that of the autoscaler; only for custom resources whose rule has a label for it does the Go
/// adapter put it into the query, and whoever relies on that keeps the number he has.
fn is_in_namespace(kind: &Kind, metric: &Metric) -> bool {
    kind.namespaced || (!kind.group.is_empty() && metric.labels.namespace.is_ok())
}

fn one<'a>(ask: &CustomAsk, name: &str, found: &'a Found) -> Result<&'a Value, Failure> {
    match found {
        Found::Value(value) => Ok(value),
        Found::Nothing => Err(Failure::no_value(&ask.metric, &ask.resource, name)),
        Found::NotANumber(sample) => Err(Failure::not_a_number(
            &ask.metric,
            &ask.resource,
            name,
            *sample,
        )),
    }
}

fn unlisted(ask: &CustomAsk, error: &kubernetes::Error) -> Failure {
    let error_text = with_causes(error);
    tracing::debug!(
        resource = ask.resource,
        error = error_text,
        "objects cannot be listed"
    );
    Failure::unlisted(error)
}

/// An unknown metric may be one that Prometheus has begun to hold, and an unknown kind one that the
/// cluster has by now: both are looked for.
fn not_found(api: &Api, snapshot: &Snapshot, ask: &CustomAsk, cause: NotFound) -> Failure {
    if matches!(cause, NotFound::Kind(_)) {
        api.rooms.kubernetes.look_again();
    }
    match (cause, &ask.objects) {
        (NotFound::Kind(text), Objects::Selected) => {
            Failure::internal("unable to list matching resources", &text)
        }
        (NotFound::Kind(_), Objects::Named(_)) => {
            Failure::no_such_metric(&ask.metric, &ask.resource)
        }
        (NotFound::Metric, _) => api.unknown(snapshot, List::Custom, &ask.metric, || {
            Failure::no_such_metric(&ask.metric, &ask.resource)
        }),
    }
}

fn unplanned(metric: &Metric, error: &plan::Error, ask: &CustomAsk) -> Failure {
    if !error.is_clients() {
        tracing::debug!(rule = %metric.rule.id, %error, "the rule cannot make a query");
    }
    Failure::custom_plan(error, &ask.metric, &ask.resource)
}

fn render(
    ask: &CustomAsk,
    described: &Described<'_>,
    values: &[(&str, &Value)],
    form: Form,
) -> Result<Body, Failure> {
    let version = match ask.version {
        GroupVersion::CustomV1Beta2 => CustomVersion::V1Beta2,
        _ => CustomVersion::V1Beta1,
    };
    metric_value_list(version, described, values, form)
}
