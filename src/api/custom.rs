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
use crate::samples::{Labels, Query, Rows};
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
    let selectors = Selectors::of(ask)?;
    let found = find(snapshot, ask);
    let (kind, metric) = found.map_err(|cause| not_found(api, snapshot, ask, cause))?;
    let names = names(api, ask, kind, &selectors).await?;
    let asked = Asked::new(ask, snapshot, (kind, metric), &names, &selectors);
    if names.is_empty() {
        return asked.render(api, &[], form);
    }
    let origin = metric.rule.origin();
    let alike = asked.alike(api, &origin);
    let plan = |scope| asked.plan(api, scope);
    let holds = |scope, query: &ObjectsQuery, rows: &Rows| {
        let lists_names = scope == Scope::Exact && query.choice.is_none();
        lists_names || query.holds(rows, &names)
    };
    let rows = api.rows_of_objects((&alike, &origin), plan, holds, deadline);
    let (query, rows) = rows.await?;
    let values = asked.values(&origin, &query, &rows)?;
    let has_value = |found: &Found| matches!(found, Found::Value(_));
    let is_empty = !values.found().iter().any(has_value);
    api.count_dropped(&origin, values.dropped(), is_empty);
    asked.render(api, &asked.told(&values)?, form)
}

/// Which objects are asked about, and which series.
pub(super) struct Selectors {
    pub(super) objects: Selector,
    /// The metric selector.
    pub(super) series: Selector,
}

impl Selectors {
    pub(super) fn of(ask: &CustomAsk) -> Result<Selectors, Failure> {
        let bad_selector = |e: crate::selector::ParseError| Failure::bad_request(e.to_string());
        let objects = Selector::parse(&ask.list.label_selector).map_err(bad_selector)?;
        ask.list.check().map_err(Failure::from)?;
        let series = Selector::parse(&ask.metric_label_selector).map_err(bad_selector)?;
        Ok(Selectors { objects, series })
    }
}

/// The metric that is asked for.
pub(super) fn find<'a>(
    snapshot: &'a Snapshot,
    ask: &CustomAsk,
) -> Result<(&'a Kind, &'a Metric), NotFound> {
    let resource = GroupResource::parse(&ask.resource);
    snapshot.custom(&resource, ask.namespace.is_some(), &ask.metric)
}

/// The names of the objects.
pub(super) async fn names(
    api: &Api,
    ask: &CustomAsk,
    kind: &Kind,
    selectors: &Selectors,
) -> Result<Vec<String>, Failure> {
    let namespace = ask.namespace.as_deref().filter(|_| kind.namespaced);
    let kubernetes = &api.rooms.kubernetes;
    match &ask.objects {
        Objects::Named(name) => Ok(vec![name.clone()]),
        Objects::Selected => {
            let names = kubernetes.names(kind, namespace, &selectors.objects).await;
            names.map_err(|error| unlisted(ask, &error))
        }
    }
}

/// What Prometheus is asked about.
pub(super) struct Asked<'a> {
    ask: &'a CustomAsk,
    snapshot: &'a Snapshot,
    kind: &'a Kind,
    pub(super) metric: &'a Metric,
    pub(super) namespace: Option<&'a str>,
    pub(super) names: &'a [String],
    selector: &'a Selector,
}

impl<'a> Asked<'a> {
    pub(super) fn new(
        ask: &'a CustomAsk,
        snapshot: &'a Snapshot,
        (kind, metric): (&'a Kind, &'a Metric),
        names: &'a [String],
        selectors: &'a Selectors,
    ) -> Asked<'a> {
        let namespace = ask.namespace.as_deref();
        Asked {
            ask,
            snapshot,
            kind,
            metric,
            namespace: namespace.filter(|_| is_in_namespace(kind, metric)),
            names,
            selector: &selectors.series,
        }
    }

    /// The query of a scope.
    pub(super) fn plan(&self, api: &Api, scope: Scope) -> Result<(ObjectsQuery, Query), Failure> {
        self.plan_selecting(api, scope, self.selector)
    }

    /// The same for other series than those that are asked for.
    pub(super) fn plan_selecting(
        &self,
        api: &Api,
        scope: Scope,
        selector: &Selector,
    ) -> Result<(ObjectsQuery, Query), Failure> {
        let (metric, namespace, names) = (self.metric, self.namespace, self.names);
        let bytes_max = api.asking.bytes_max;
        let query = plan::custom_query_within(metric, scope, namespace, names, selector, bytes_max);
        let query = query.map_err(|error| unplanned(metric, &error, self.ask))?;
        let labels = Labels::Keys(query.labels.clone());
        let wanted = Wanted::by(self.snapshot, &metric.rule, query.promql.clone(), labels);
        let wanted = api.query(wanted.with(query.further.clone()));
        Ok((query, wanted))
    }

    /// The ask as one of its kind.
    pub(super) fn alike(&self, api: &Api, origin: &'a Origin) -> widening::Ask<'a> {
        let metric = self.metric;
        let label = metric.labels.object.as_ref();
        let label = label.and_then(|label| label.as_deref().ok());
        widening::Ask {
            family: Family {
                backend: self.snapshot.backend(metric.rule.backend),
                rule: &metric.rule.identity,
                series: &metric.series,
                object: label.unwrap_or_default(),
                selector: &self.ask.metric_label_selector,
            },
            rule: &origin.rule,
            place: self.namespace.map_or(Place::Root, Place::Namespace),
            names: self.names.iter().map(String::as_str).collect(),
            proven: metric.proven(self.namespace.is_some()),
            widen: metric.rule.terms.widen,
            ttl: api.policy(&metric.rule.terms).ttl,
        }
    }

    /// What the rows of a query say of the objects.
    pub(super) fn values(
        &self,
        origin: &Origin,
        query: &ObjectsQuery,
        rows: &Rows,
    ) -> Result<ObjectValues, Failure> {
        let failed = |error| Failure::plan(&error);
        plan::check_labels(origin, rows, query).map_err(|error| self.unlabelled(&error))?;
        ObjectValues::of(rows, query, &self.metric.rule.terms, self.names).map_err(failed)
    }

    /// There are rows, and nobody knows whose. Of one object that is nothing, as in Go.
    fn unlabelled(&self, error: &plan::Error) -> Failure {
        match &self.ask.objects {
            Objects::Selected => Failure::plan(error),
            Objects::Named(name) => {
                let CustomAsk {
                    metric, resource, ..
                } = self.ask;
                Failure::no_value(metric, resource, name).of_plan(error)
            }
        }
    }

    /// The values of those of the objects that have one. One that is asked for by its name must
    /// have one.
    pub(super) fn told<'v>(
        &self,
        values: &'v ObjectValues,
    ) -> Result<Vec<(&'a str, &'v Value)>, Failure> {
        if let (Objects::Named(name), [found]) = (&self.ask.objects, values.found()) {
            let value = self.one(name, found)?;
            return Ok(vec![(name.as_str(), value)]);
        }
        let found = self.names.iter().zip(values.found());
        let told = found.filter_map(|(name, found)| match found {
            Found::Value(value) => Some((name.as_str(), value)),
            Found::Nothing | Found::NotANumber(_) => None,
        });
        Ok(told.collect())
    }

    fn one<'v>(&self, name: &str, found: &'v Found) -> Result<&'v Value, Failure> {
        let (metric, resource) = (&self.ask.metric, &self.ask.resource);
        match found {
            Found::Value(value) => Ok(value),
            Found::Nothing => {
                let origin = self.metric.rule.origin();
                Err(Failure::no_value(metric, resource, name).of_no_series(&origin))
            }
            Found::NotANumber(sample) => {
                Err(Failure::not_a_number(metric, resource, name, *sample))
            }
        }
    }

    fn render(&self, api: &Api, values: &[(&str, &Value)], form: Form) -> Result<Body, Failure> {
        let version = match self.ask.version {
            GroupVersion::CustomV1Beta2 => CustomVersion::V1Beta2,
            _ => CustomVersion::V1Beta1,
        };
        let described = Described {
            kind: self.kind,
            namespace: self.namespace,
            metric: &self.ask.metric,
            selector: label_selector(self.selector),
        };
        let summary = api.seen(values.iter().map(|(_, value)| *value));
        Ok(metric_value_list(version, &described, values, form)?.seen(summary))
    }
}

/// Whether the namespace in the path says something about the objects. For cluster-scoped ones it
/// is that of the autoscaler; only for custom resources whose rule has a label for it does the Go
/// adapter put it into the query, and whoever relies on that keeps the number he has.
fn is_in_namespace(kind: &Kind, metric: &Metric) -> bool {
    kind.namespaced || (!kind.group.is_empty() && metric.labels.namespace.is_ok())
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
    match cause {
        NotFound::Kind(_) => api.rooms.kubernetes.look_again(),
        NotFound::Metric => api.rooms.wake.ask(),
    }
    missing(snapshot, ask, cause)
}

/// The answer where there is no such metric.
pub(super) fn missing(snapshot: &Snapshot, ask: &CustomAsk, cause: NotFound) -> Failure {
    let NotFound::Kind(no_match) = cause else {
        let unlisted = snapshot.unlisted(List::Custom, &ask.metric);
        return Failure::unmade(&ask.metric, unlisted, || {
            let resource = GroupResource::parse(&ask.resource);
            let kind = snapshot.kinds().resource_for(&resource);
            let kind = kind.ok().map(Kind::group_resource);
            let why = snapshot.why(List::Custom, kind.as_ref(), &ask.metric);
            Failure::no_such_metric(&ask.metric, &ask.resource).because(&why)
        });
    };
    let is_named = matches!(ask.objects, Objects::Named(_));
    Failure::no_such_kind(&ask.metric, &ask.resource, is_named, &no_match)
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
