//! The way of a metric of objects.

use super::Walk;
use super::advice::some;
use super::chain::Chain;
use super::nothing::{Nothing, Objects};
use super::rows::{Given, Wants, tell_dropped, tell_widening};
use super::{objects, rules, unmade};
use crate::api::cause::Cause;
use crate::api::custom::{self, Asked, Selectors};
use crate::api::route::{self, CustomAsk};
use crate::api::status::Failure;
use crate::kinds::{GroupResource, Kind};
use crate::plan::{Found, ObjectValues, ObjectsQuery, Value, number_word};
use crate::registry::separable::Scope;
use crate::registry::{Metric, NotFound};
use crate::rules::{List, Origin};
use crate::samples::Query;
use crate::selector::Selector;

/// Goes the way of one ask; how many values it has.
pub(super) async fn walk(
    walk: &Walk<'_>,
    ask: &CustomAsk,
    chain: &mut Chain,
) -> Result<usize, Failure> {
    chain.well("Request", &request(ask));
    let selectors = Selectors::of(ask).map_err(|failure| chain.failed("Request", failure))?;
    let resource = GroupResource::parse(&ask.resource);
    let kind = walk.snapshot.kinds().resource_for(&resource).ok();
    let Some(kind) = kind else {
        return Err(unknown_kind(walk, ask, chain));
    };
    let plural = kind.group_resource();
    rules::tell(walk, List::Custom, Some(&plural), &ask.metric, chain);
    let (kind, metric) = match custom::find(walk.snapshot, ask) {
        Ok(found) => found,
        Err(cause) => {
            let failure = custom::missing(walk.snapshot, ask, cause);
            unmade::find_out(walk, List::Custom, Some(kind), &ask.metric, chain).await;
            return Err(failure);
        }
    };
    tell_association(&plural, metric, chain);
    let names = objects::chosen(walk, ask, kind, &selectors, chain).await?;
    if names.is_empty() {
        return Ok(0);
    }
    let asked = Asked::new(ask, walk.snapshot, (kind, metric), &names, &selectors);
    values(walk, &asked, kind, &selectors, chain).await
}

fn request(ask: &CustomAsk) -> String {
    let CustomAsk {
        metric, resource, ..
    } = ask;
    let mut text = format!("the custom metric {metric} of {resource}");
    if let Some(namespace) = &ask.namespace {
        text += &format!(" in {namespace}");
    }
    match &ask.objects {
        route::Objects::Named(name) => text += &format!(", of the one called {name}"),
        route::Objects::Selected if ask.list.label_selector.is_empty() => {}
        route::Objects::Selected => text += &format!(" with {}", ask.list.label_selector),
    }
    if !ask.metric_label_selector.is_empty() {
        text += &format!(", of series with {}", ask.metric_label_selector);
    }
    text
}

fn unknown_kind(walk: &Walk<'_>, ask: &CustomAsk, chain: &mut Chain) -> Failure {
    let cause = custom::find(walk.snapshot, ask).err();
    let failure = custom::missing(walk.snapshot, ask, cause.unwrap_or(NotFound::Metric));
    let failure = chain.failed("Kind", failure);
    let word = &ask.resource;
    chain.advise(format!(
        "write the kind as the API does, in the plural and with its group, as pods or \
         deployments.apps: kubectl api-resources lists them; one of a CustomResourceDefinition \
         must be installed for {word}"
    ));
    failure
}

/// By which labels rows are of objects.
fn tell_association(plural: &GroupResource, metric: &Metric, chain: &mut Chain) {
    let object = metric.labels.object.as_ref();
    let label = |label: &Result<String, crate::registry::LabelError>| match label {
        Ok(label) => label.clone(),
        Err(error) => format!("none ({error})"),
    };
    let object = object.map_or("none".to_owned(), label);
    let namespace = label(&metric.labels.namespace);
    let text = format!("the label {object} names {plural}, {namespace} their namespace");
    match metric.labels.namespace.is_ok() || *plural == GroupResource::core("namespaces") {
        true => chain.well("Association", &text),
        false => chain.note("Association", &text),
    };
}

/// From the query to values.
async fn values(
    walk: &Walk<'_>,
    asked: &Asked<'_>,
    kind: &Kind,
    selectors: &Selectors,
    chain: &mut Chain,
) -> Result<usize, Failure> {
    let (api, metric) = (walk.api, asked.metric);
    let origin = metric.rule.origin();
    let plan = asked.plan(api, Scope::Exact);
    let (exact, exact_query) = plan.map_err(|failure| {
        chain.advise(unplanned(&failure, &origin.to_string()));
        chain.failed("Query", failure)
    })?;
    tell_query(&exact, chain);
    let alike = asked.alike(api, &origin);
    let scope = api.rooms.widening.look(&alike);
    let (now, now_query) = asked.plan(api, scope)?;
    let wide = match api.rooms.widening.widest(alike.proven, alike.widen) {
        Scope::Exact => None,
        widest => asked.plan(api, widest).ok().map(|(query, _)| query.promql),
    };
    let verdict = metric.verdict(asked.namespace.is_some());
    tell_widening(walk, verdict, (&alike, scope), wide.as_deref(), chain);

    let given = Given::ask(walk, &exact_query, &now_query).await;
    let terms = &metric.rule.terms;
    given.tell(walk, terms, Wants::Vector, chain);
    let lists_names = scope == Scope::Exact && now.choice.is_none();
    let remembered = given.remembered(|rows| lists_names || now.holds(rows, asked.names));
    let of_exact = (&exact, exact.labels.as_slice());
    let outcome = given.answered(&origin, remembered, &now, of_exact);
    let outcome = outcome.and_then(|(query, rows)| asked.values(&origin, query, &rows));
    let told = told(asked, &outcome, &given, chain);
    let is_nothing = match &told {
        Ok(count) => *count == 0,
        Err(failure) => failure.cause() == Cause::NoRows,
    };
    let is_made_up = told.is_ok() && given.tell_made_up(terms, &origin, chain);
    if given.is_empty() && (is_nothing || is_made_up) {
        let nothing = nothing(walk, asked, (kind, selectors), exact_query);
        nothing.find_out(walk, chain).await;
    } else if is_nothing && let Ok(values) = &outcome {
        match values.dropped().not_a_number {
            0 => tell_others(asked, &origin, chain),
            _ => chain.because(Cause::NotANumber),
        }
    }
    given.tell_cache(alike.ttl, chain);
    told
}

/// There are rows, and none is of what is asked about.
fn tell_others(asked: &Asked<'_>, origin: &Origin, chain: &mut Chain) {
    chain.because(Cause::OtherObjects);
    chain.advise(format!(
        "look which objects the rows above name, and whether {} is scraped; a query without \
         <<.LabelMatchers>> gives what others ask for, too: the query is that of {origin}",
        some(asked.names)
    ));
}

/// What to find out where there is nothing.
fn nothing<'a>(
    walk: &Walk<'_>,
    asked: &'a Asked<'_>,
    (kind, selectors): (&'a Kind, &'a Selectors),
    exact: Query,
) -> Nothing<'a> {
    let labels = &asked.metric.labels;
    let object = labels.object.as_ref().and_then(|it| it.as_deref().ok());
    let namespace = labels.namespace.as_deref().ok();
    let all = asked.plan_selecting(walk.api, Scope::Exact, &Selector::default());
    Nothing {
        query: all.map_or(exact, |(_, query)| query),
        selector: &selectors.series,
        rule: asked.metric.rule.origin().to_string(),
        association: &asked.metric.rule.association,
        // Of a namespace that is the object.
        namespace: namespace
            .filter(|it| object != Some(*it))
            .zip(asked.namespace),
        objects: object.map(|label| Objects {
            label,
            names: asked.names,
            kind: kind.group_resource(),
            singular: &kind.singular,
        }),
    }
}

/// Tells the values; how many would be served.
fn told(
    asked: &Asked<'_>,
    outcome: &Result<ObjectValues, Failure>,
    given: &Given,
    chain: &mut Chain,
) -> Result<usize, Failure> {
    match outcome {
        Ok(values) => {
            tell_values(asked, values, chain);
            asked.told(values).map(|told| told.len())
        }
        Err(failure) => {
            if failure.cause() == Cause::RowsWithoutLabel {
                chain.advise(
                    "keep the labels that name objects in the query, as in \
                     sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)"
                        .to_owned(),
                );
            }
            if failure.cause() != Cause::Scalar && given.whole.is_ok() {
                chain.wrong("Values", failure.message());
            }
            Err(failure.clone())
        }
    }
}

fn tell_query(query: &ObjectsQuery, chain: &mut Chain) {
    let text = match query.further.len() {
        0 => "as the Go adapter asks".to_owned(),
        more => format!("asked in {} parts, for it is too long for one", more + 1),
    };
    chain.well("Query", &text).asks(&query.promql);
}

/// What to do where no query can be made.
fn unplanned(failure: &Failure, rule: &str) -> String {
    match failure.cause() {
        Cause::SelectorNotPromql => {
            "change the metric selector: PromQL compares labels as texts only".to_owned()
        }
        Cause::QueryTooLong => {
            "ask for fewer objects at once, or write the query so that it may be asked in parts"
                .to_owned()
        }
        _ => format!("mend {rule}: {}", failure.message()),
    }
}

fn tell_values(asked: &Asked<'_>, values: &ObjectValues, chain: &mut Chain) {
    tell_dropped(values.dropped(), chain);
    let found = asked.names.iter().zip(values.found());
    let (mut served, mut missing, mut negative) = (Vec::new(), Vec::new(), false);
    for (name, found) in found {
        match found {
            Found::Value(Value { quantity, .. }) => {
                let text = quantity.to_string();
                negative |= text.starts_with('-');
                served.push(format!("{name}: {text}"));
            }
            Found::NotANumber(sample) => missing.push(format!("{name}: {}", number_word(*sample))),
            Found::Nothing => missing.push(format!("{name}: no row")),
        }
    }
    let text = format!("{} of {} objects have one", served.len(), asked.names.len());
    let all = served.len() == asked.names.len();
    let step = match (served.is_empty(), all) {
        (true, _) => chain.wrong("Values", &text),
        (false, true) => chain.well("Values", &text),
        (false, false) => chain.note("Values", &text),
    };
    step.lines(missing.into_iter().chain(served));
    if negative {
        chain.note(
            "Values",
            "some are negative, and an autoscaler takes them as they are",
        );
    }
}
