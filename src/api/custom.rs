//! `custom.metrics.k8s.io`: a metric of objects.

use super::route::{CustomAsk, GroupVersion, Objects};
use super::rows::Wanted;
use super::status::Failure;
use super::wire::{CustomVersion, Described, Form, label_selector, metric_value_list};
use super::{Api, Body, Deadline};
use crate::kinds::{GroupResource, Kind};
use crate::kubernetes;
use crate::plan::{self, Found, ObjectValues, ObjectsQuery, Value};
use crate::registry::separable::Scope;
use crate::registry::{Metric, NotFound, Snapshot};
use crate::rules::{List, Origin};
use crate::samples::{Labels, Rows};
use crate::selector::Selector;
use crate::telemetry::with_causes;
use crate::widening::{self, Family, Place};

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
    let origin = metric.rule.origin();
    let asked = Asked {
        namespace,
        names: &names,
        selector: &series,
        selector_text: &ask.metric_label_selector,
    };
    let alike = asked.alike(api, metric, &origin);
    let plan = |scope| {
        let query = asked.query(metric, scope, api.asking.bytes_max);
        let query = query.map_err(|error| unplanned(metric, &error, ask))?;
        let labels = Labels::Keys(query.labels.clone());
        let wanted = Wanted::by(&metric.rule, query.promql.clone(), labels);
        let wanted = api.query(wanted.with(query.further.clone()));
        Ok((query, wanted))
    };
    let holds = |scope, query: &ObjectsQuery, rows: &Rows| {
        let lists_names = scope == Scope::Exact && query.choice.is_none();
        lists_names || query.holds(rows, &names)
    };
    let (query, rows) = api.rows_of_objects(&alike, plan, holds, deadline).await?;
    let values = ObjectValues::of(&rows, &query, &metric.rule.terms, &names);
    let values = values.map_err(|error| Failure::plan(&error))?;
    api.count_dropped(&origin, values.dropped());
    if let (Objects::Named(name), [found]) = (&ask.objects, values.found()) {
        let value = one(ask, name, found)?;
        return render(ask, &described, &[(name.as_str(), value)], form);
    }
    render(ask, &described, &told(&names, &values), form)
}

/// The values of those of these objects that have one.
fn told<'a>(names: &'a [String], values: &'a ObjectValues) -> Vec<(&'a str, &'a Value)> {
    let found = names.iter().zip(values.found());
    let told = found.filter_map(|(name, found)| match found {
        Found::Value(value) => Some((name.as_str(), value)),
        Found::Nothing | Found::NotANumber(_) => None,
    });
    told.collect()
}

/// What Prometheus is asked about.
struct Asked<'a> {
    namespace: Option<&'a str>,
    names: &'a [String],
    selector: &'a Selector,
    selector_text: &'a str,
}

impl<'a> Asked<'a> {
    fn query(
        &self,
        metric: &Metric,
        scope: Scope,
        bytes_max: usize,
    ) -> Result<ObjectsQuery, plan::Error> {
        let (names, selector) = (self.names, self.selector);
        plan::custom_query_within(metric, scope, self.namespace, names, selector, bytes_max)
    }

    /// The ask as one of its kind.
    fn alike(&self, api: &Api, metric: &'a Metric, origin: &'a Origin) -> widening::Ask<'a> {
        let label = metric.labels.object.as_ref();
        let label = label.and_then(|label| label.as_deref().ok());
        widening::Ask {
            family: Family {
                backend: metric.rule.backend,
                rule: &origin.rule,
                series: &metric.series,
                object: label.unwrap_or_default(),
                selector: self.selector_text,
            },
            place: self.namespace.map_or(Place::Root, Place::Namespace),
            names: self.names.iter().map(String::as_str).collect(),
            proven: metric.proven(self.namespace.is_some()),
            widen: metric.rule.terms.widen,
            ttl: api.policy(&metric.rule.terms).ttl,
        }
    }
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
    if matches!(error, plan::Error::TooLong { .. }) {
        return Failure::plan(error);
    }
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
