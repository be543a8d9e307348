//! The way of CPU and memory.

use std::sync::Arc;

use super::Walk;
use super::advice::some;
use super::chain::Chain;
use super::nothing::{Nothing, Objects};
use super::rows::{Given, Wants, tell_dropped};
use super::usage::{self, Whose};
use crate::api::cause::Cause;
use crate::api::resource::{Asked, checked, told_apart};
use crate::api::route::{ResourceAsk, UsageOf};
use crate::api::status::Failure;
use crate::kinds::GroupResource;
use crate::kubernetes::Object;
use crate::plan::resource::{Pods, Samples};
use crate::prometheus::Sample;
use crate::registry::ResourceMetric;
use crate::registry::separable::Scope;
use crate::samples::Query;
use crate::selector::Selector;

/// Queries for the pods of one ask: where one cannot be asked for all namespaces at once, those of
/// the first ones are explained.
const NAMESPACES_MAX: usize = 3;

/// Goes the way of one ask; how many objects have a usage.
pub(super) async fn walk(
    walk: &Walk<'_>,
    ask: &ResourceAsk,
    chain: &mut Chain,
) -> Result<usize, Failure> {
    let rules = walk
        .snapshot
        .resource()
        .ok_or_else(Failure::no_such_route)?;
    let asked = Asked::new(walk.api, walk.snapshot, rules, ask.version, walk.deadline);
    let mut objects = objects(walk, &asked, &ask.objects, chain).await?;
    if objects.is_empty() {
        chain.because(Cause::NoObjects);
        return Ok(0);
    }
    let whose = Whose::of(&ask.objects);
    let metrics = [("CPU", &rules.cpu), ("memory", &rules.memory)];
    if whose == Whose::Pods {
        let pods = pods_of(&objects);
        let asks = metrics.map(|(_, metric)| asked.asks(metric, &pods).len());
        if asks.into_iter().any(|asks| asks > NAMESPACES_MAX) {
            of_some_namespaces(&mut objects, chain);
        }
    }
    let mut both = Vec::new();
    for of in metrics {
        both.push(match whose {
            Whose::Pods => of_containers(walk, &asked, of, &pods_of(&objects), chain).await?,
            Whose::Nodes => of_nodes(walk, &asked, of, &objects, chain).await?,
        });
    }
    let [cpu, memory] = both.as_slice() else {
        return Err(Failure::no_such_route());
    };
    usage::tell(&ask.objects, &objects, (cpu, memory), chain)
}

/// The pods or nodes that are asked about, as the answer finds them.
async fn objects(
    walk: &Walk<'_>,
    asked: &Asked<'_>,
    of: &UsageOf,
    chain: &mut Chain,
) -> Result<Vec<Arc<Object>>, Failure> {
    let (resource, namespace, name, list) = match of {
        UsageOf::Nodes(list) => ("nodes", None, None, Some(list)),
        UsageOf::Node { name } => ("nodes", None, Some(name.as_str()), None),
        UsageOf::Pods { namespace, list } => ("pods", namespace.as_deref(), None, Some(list)),
        UsageOf::Pod { namespace, name } => {
            ("pods", Some(namespace.as_str()), Some(name.as_str()), None)
        }
    };
    let place = namespace.map_or(String::new(), |namespace| format!(" in {namespace}"));
    let text = match (name, list.map(|list| list.label_selector.as_str())) {
        (Some(name), _) => format!("CPU and memory of {name}, one of the {resource}{place}"),
        (None, Some("") | None) => format!("CPU and memory of {resource}{place}"),
        (None, Some(selector)) => format!("CPU and memory of {resource}{place} with {selector}"),
    };
    chain.well("Request", &text);
    let selector = list.map_or_else(|| Ok(Selector::default()), checked);
    let selector = selector.map_err(|failure| chain.failed("Request", failure))?;
    let found = asked.objects(resource, namespace, &selector, name).await;
    let mut found = found.map_err(|failure| chain.failed("Objects", failure))?;
    if let Some(list) = list {
        found.retain(|object| list.selects(&object.namespace, &object.name));
    }
    let names: Vec<String> = found.iter().map(|it| it.name.to_string()).collect();
    let what = match of {
        UsageOf::Pods { .. } | UsageOf::Pod { .. } => "running pods",
        UsageOf::Nodes(_) | UsageOf::Node { .. } => "nodes",
    };
    let text = match found.len() {
        1 => format!("1 of the {what}"),
        count => format!("{count} {what}"),
    };
    if !found.is_empty() {
        chain.well("Objects", &text).lines([some(&names)]);
        return Ok(found);
    }
    chain.wrong("Objects", &text);
    let Some(name) = name else {
        chain.advise(format!(
            "look whether there are {what} that the request selects"
        ));
        return Ok(found);
    };
    tell_absent(walk, (resource, namespace, name), chain).await;
    let kind = if resource == "nodes" { "node" } else { "pods" };
    Err(Failure::no_such_object(kind, name))
}

/// Why an object that is asked for by its name has no usage.
async fn tell_absent(
    walk: &Walk<'_>,
    (resource, namespace, name): (&str, Option<&str>, &str),
    chain: &mut Chain,
) {
    let kinds = walk.snapshot.kinds();
    let Ok(kind) = kinds.resource_for(&GroupResource::core(resource)) else {
        return;
    };
    let all = walk.api.rooms.kubernetes.all(kind, namespace).await;
    let is_there = all.is_ok_and(|all| all.iter().any(|it| *it.name == *name));
    chain.advise(match is_there {
        true => format!(
            "{name} is there and does not run: CPU and memory are told of running {resource} alone"
        ),
        false => format!(
            "look at the name: there is no {name} among the {resource}{}",
            namespace.map_or(String::new(), |namespace| format!(" in {namespace}"))
        ),
    });
}

fn pods_of(objects: &[Arc<Object>]) -> Arc<Pods> {
    let mut pods = Pods::new();
    for object in objects {
        let names = pods.entry(Arc::clone(&object.namespace)).or_default();
        names.insert(Arc::clone(&object.name));
    }
    Arc::new(pods)
}

/// Objects of the first namespaces alone.
fn of_some_namespaces(objects: &mut Vec<Arc<Object>>, chain: &mut Chain) {
    let mut namespaces: Vec<Arc<str>> = Vec::new();
    for object in objects.iter() {
        if !namespaces.contains(&object.namespace) {
            namespaces.push(Arc::clone(&object.namespace));
        }
    }
    namespaces.truncate(NAMESPACES_MAX);
    let text = format!("of {} alone, to ask few questions", some(&namespaces));
    chain.note("Explained", &text);
    objects.retain(|object| namespaces.contains(&object.namespace));
}

/// The samples of the containers of these pods.
async fn of_containers(
    walk: &Walk<'_>,
    asked: &Asked<'_>,
    (what, metric): (&str, &ResourceMetric),
    pods: &Arc<Pods>,
    chain: &mut Chain,
) -> Result<Samples, Failure> {
    let mut all = Samples::default();
    for pods in asked.asks(metric, pods) {
        let planned = asked.plan_pods(metric, &pods, Scope::Exact);
        let (exact, exact_query) = planned.map_err(|failure| chain.failed(what, failure))?;
        let scope = walk.api.rooms.widening.look(&asked.alike(metric, &pods));
        let (now, now_query) = asked.plan_pods(metric, &pods, scope)?;
        let text = format!("{what} of containers, by {}", metric.rule.origin);
        chain.well("Query", &text).asks(&exact.promql);
        let given = Given::ask(walk, &exact_query, &now_query).await;
        given.tell(walk, &metric.rule.terms, Wants::Vector, chain);
        let remembered = given.remembered(|rows| scope == Scope::Exact || now.holds(rows, &pods));
        let of_exact = (&exact, exact.labels.as_slice());
        let answered = given.answered(&metric.rule.origin, remembered, &now, of_exact);
        let (query, rows) = answered?;
        let samples = Samples::of_pods(&rows, query, &pods);
        tell_dropped(samples.dropped(), chain);
        let samples = told_apart(samples).map_err(|failure| chain.failed("Rows", failure))?;
        let names = pods.values().flatten().map(|it| it.to_string()).collect();
        let mut namespaces = pods.keys();
        let namespace = match (namespaces.next(), namespaces.next()) {
            (Some(only), None) => Some(&**only),
            _ => None,
        };
        let label = metric.labels.pod.as_deref().unwrap_or_default();
        let of = Place {
            namespace: metric.labels.namespace.as_deref().ok().zip(namespace),
            label,
            names,
            kind: "pods",
            singular: "pod",
        };
        match samples.is_empty() {
            true => {
                of.find_out(walk, metric, (&given, exact_query), chain)
                    .await
            }
            false => usage::tell_unnamed(metric, &given, chain),
        }
        all.absorb(samples);
    }
    Ok(all)
}

async fn of_nodes(
    walk: &Walk<'_>,
    asked: &Asked<'_>,
    (what, metric): (&str, &ResourceMetric),
    objects: &[Arc<Object>],
    chain: &mut Chain,
) -> Result<Samples, Failure> {
    let names: Vec<String> = objects.iter().map(|it| it.name.to_string()).collect();
    let planned = asked.plan_nodes(metric, &names);
    let query = planned.map_err(|failure| chain.failed(what, failure))?;
    let label = metric.labels.node.clone().unwrap_or_default();
    let text = format!("{what} of nodes, by {}", metric.rule.origin);
    chain.well("Query", &text).asks(&query.promql);
    let given = Given::ask(walk, &query, &query).await;
    given.tell(walk, &metric.rule.terms, Wants::Vector, chain);
    let remembered = given.remembered(|_| true);
    let labels = [label.clone()];
    let of_exact = (&(), labels.as_slice());
    let answered = given.answered(&metric.rule.origin, remembered, &(), of_exact);
    let (_, rows) = answered?;
    let samples = Samples::of_nodes(&rows, &names);
    tell_dropped(samples.dropped(), chain);
    if samples.is_empty() {
        let of = Place {
            namespace: None,
            label: &label,
            names,
            kind: "nodes",
            singular: "node",
        };
        of.find_out(walk, metric, (&given, query), chain).await;
    }
    Ok(samples)
}

/// The objects of one query.
struct Place<'a> {
    /// The label and the name of their namespace.
    namespace: Option<(&'a str, &'a str)>,
    /// The label that names them.
    label: &'a str,
    names: Vec<String>,
    kind: &'a str,
    singular: &'a str,
}

impl Place<'_> {
    /// Finds out why a query says nothing of any of them.
    async fn find_out(
        &self,
        walk: &Walk<'_>,
        metric: &ResourceMetric,
        (given, query): (&Given, Query),
        chain: &mut Chain,
    ) {
        let rule = metric.rule.origin.to_string();
        if given.is_empty() {
            let nothing = Nothing {
                query,
                selector: &Selector::default(),
                rule,
                association: &metric.rule.association,
                namespace: self.namespace,
                objects: Some(Objects {
                    label: self.label,
                    names: &self.names,
                    kind: GroupResource::core(self.kind),
                    singular: self.singular,
                }),
            };
            return nothing.find_out(walk, chain).await;
        }
        match &given.whole {
            // All were native histograms.
            Ok(rows) if rows.is_empty() => chain.because(Cause::NotANumber),
            Ok(rows) => self.tell_strangers(rows.whole(), &rule, chain),
            Err(_) => {}
        }
    }

    /// There are rows, and none is of these objects.
    fn tell_strangers(&self, rows: &[Sample], rule: &str, chain: &mut Chain) {
        let Place { label, kind, .. } = self;
        let labels = rows.iter().flat_map(|row| row.labels.iter());
        let mut names: Vec<&str> = labels.clone().map(|(name, _)| name.as_str()).collect();
        let of_label = labels.filter(|(name, _)| name == label);
        let mut values: Vec<&str> = of_label.map(|(_, value)| value.as_str()).collect();
        for all in [&mut names, &mut values] {
            all.sort_unstable();
            all.dedup();
        }
        if values.is_empty() {
            let text =
                format!("the query gives rows without the label {label:?} that names {kind}");
            let have = match names.is_empty() {
                true => "they have no label".to_owned(),
                false => format!("they have: {}", some(&names)),
            };
            chain.wrong("Association", &text).lines([have]);
            chain.because(Cause::RowsWithoutLabel);
            chain.advise(format!(
                "keep the label {label} in the query of {rule}, as in sum(…) by (<<.GroupBy>>), or \
                 name the label that holds the names of {kind} in its resources.overrides"
            ));
            return;
        }
        let text = format!("the query gives rows of other {kind} than those that are asked about");
        chain
            .wrong("Rows", &text)
            .lines([format!("{label}: {}", some(&values))]);
        chain.because(Cause::OtherObjects);
        chain.advise(format!(
            "the label {label} must have the names of {kind} as the cluster has them ({}): mend \
             the query of {rule} or the relabelling",
            some(&self.names)
        ));
    }
}
