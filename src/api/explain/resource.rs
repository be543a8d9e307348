//! The way of CPU and memory.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Walk;
use super::advice::some;
use super::chain::Chain;
use super::rows::{Given, tell_dropped};
use crate::api::cause::Cause;
use crate::api::resource::{Asked, by_name, checked};
use crate::api::route::{ResourceAsk, UsageOf};
use crate::api::status::Failure;
use crate::kubernetes::Object;
use crate::plan::resource::{
    Missing, Pods, Samples, node_usage, nodes_query, pod_usage, pods_query,
};
use crate::registry::ResourceMetric;
use crate::registry::separable::Scope;
use crate::samples::{Labels, Query, Rows};
use crate::selector::Selector;

/// Namespaces of one explanation.
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
    let (of_pods, objects) = objects(&asked, &ask.objects, chain).await?;
    if objects.is_empty() {
        chain.because(Cause::NoObjects);
        return Ok(0);
    }
    let mut objects = objects;
    of_some_namespaces(&mut objects, chain);
    let mut both = Vec::new();
    for (what, metric) in [("cpu", &rules.cpu), ("memory", &rules.memory)] {
        let samples = match of_pods {
            true => of_containers(walk, &asked, (what, metric), &objects, chain).await,
            false => of_nodes(walk, &asked, (what, metric), &objects, chain).await,
        };
        both.push(samples?);
    }
    let [cpu, memory] = both.as_slice() else {
        return Err(Failure::no_such_route());
    };
    let usage = |object: &Arc<Object>| match of_pods {
        true => pod_usage(cpu, memory, &object.namespace, &object.name).map(drop),
        false => node_usage(cpu, memory, &object.name).map(drop),
    };
    tell_usages(&ask.objects, &objects, usage, chain)
}

/// The pods or nodes that are asked about, as the answer finds them.
async fn objects(
    asked: &Asked<'_>,
    of: &UsageOf,
    chain: &mut Chain,
) -> Result<(bool, Vec<Arc<Object>>), Failure> {
    let all = Selector::default();
    let found = match of {
        UsageOf::Nodes(list) => {
            let selector = checked(list).map_err(|failure| chain.failed("Request", failure))?;
            asked.objects("nodes", None, &selector, None).await
        }
        UsageOf::Node { name } => asked.objects("nodes", None, &all, Some(name)).await,
        UsageOf::Pods { namespace, list } => {
            let selector = checked(list).map_err(|failure| chain.failed("Request", failure))?;
            let namespace = namespace.as_deref();
            asked.objects("pods", namespace, &selector, None).await
        }
        UsageOf::Pod { namespace, name } => {
            asked
                .objects("pods", Some(namespace), &all, Some(name))
                .await
        }
    };
    let mut found = found.map_err(|failure| chain.failed("Objects", failure))?;
    match of {
        UsageOf::Nodes(list) | UsageOf::Pods { list, .. } => {
            found.retain(|object| list.selects(&object.namespace, &object.name));
        }
        UsageOf::Node { name } if found.is_empty() => {
            return Err(chain.failed("Objects", Failure::no_such_object("node", name)));
        }
        UsageOf::Pod { name, .. } if found.is_empty() => {
            return Err(chain.failed("Objects", Failure::no_such_object("pods", name)));
        }
        UsageOf::Node { .. } | UsageOf::Pod { .. } => {}
    }
    let of_pods = matches!(of, UsageOf::Pods { .. } | UsageOf::Pod { .. });
    let what = if of_pods { "running pods" } else { "nodes" };
    let names: Vec<String> = found.iter().map(|it| it.name.to_string()).collect();
    let text = format!("{} {what}", found.len());
    match found.is_empty() {
        true => {
            chain.wrong("Objects", &text);
            chain.advise(format!(
                "look whether there are {what} that the request selects"
            ));
        }
        false => {
            chain.well("Objects", &text).lines([some(&names)]);
        }
    }
    Ok((of_pods, found))
}

/// Objects of the first namespaces alone: each takes two queries.
fn of_some_namespaces(objects: &mut Vec<Arc<Object>>, chain: &mut Chain) {
    let mut namespaces: Vec<Arc<str>> = Vec::new();
    for object in objects.iter() {
        if !namespaces.contains(&object.namespace) {
            namespaces.push(Arc::clone(&object.namespace));
        }
    }
    if namespaces.len() > NAMESPACES_MAX {
        namespaces.truncate(NAMESPACES_MAX);
        let text = format!("of {} alone, to ask few questions", some(&namespaces));
        chain.note("Explained", &text);
        objects.retain(|object| namespaces.contains(&object.namespace));
    }
}

/// The samples of the containers of these pods.
async fn of_containers(
    walk: &Walk<'_>,
    asked: &Asked<'_>,
    (what, metric): (&str, &ResourceMetric),
    objects: &[Arc<Object>],
    chain: &mut Chain,
) -> Result<Samples, Failure> {
    let mut all = Samples::default();
    let mut pods = Pods::new();
    for object in objects {
        let names: &mut BTreeSet<Arc<str>> = pods.entry(Arc::clone(&object.namespace)).or_default();
        names.insert(Arc::clone(&object.name));
    }
    for (namespace, names) in pods {
        let pods = Pods::from([(namespace, names)]);
        let bytes_max = walk.api.asking.bytes_max;
        let query = pods_query(metric, Scope::Exact, &pods, bytes_max);
        let query = query.map_err(|error| chain.failed(what, Failure::plan(&error)))?;
        let wanted = asked.wanted(metric, query.promql.clone(), query.labels.clone());
        let rows = rows(walk, what, wanted, chain).await?;
        let rows = rows.by(query.labels.clone());
        let samples = Samples::of_pods(&rows, &query, &pods);
        tell_dropped(samples.dropped(), chain);
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
    let query = nodes_query(metric, &names);
    let query = query.map_err(|error| chain.failed(what, Failure::plan(&error)))?;
    let label = vec![metric.labels.node.clone().unwrap_or_default()];
    let wanted = asked.wanted(metric, query, label.clone());
    let rows = rows(walk, what, wanted, chain).await?.by(label);
    let samples = Samples::of_nodes(&rows, &names);
    tell_dropped(samples.dropped(), chain);
    Ok(samples)
}

/// The rows of one query, with all their labels.
async fn rows(
    walk: &Walk<'_>,
    what: &str,
    wanted: Query,
    chain: &mut Chain,
) -> Result<Arc<Rows>, Failure> {
    chain.well("Query", what).asks(&wanted.promql);
    let wanted = Query {
        labels: Labels::All,
        ..wanted
    };
    let given = Given::ask(walk, &wanted, &wanted).await;
    given.tell("resource", chain);
    let rows = given.whole.map_err(|error| Failure::upstream(&error))?;
    match rows.head().kind {
        crate::prometheus::Kind::Scalar => Err(Failure::scalar()),
        crate::prometheus::Kind::Vector => Ok(rows),
    }
}

fn tell_usages(
    of: &UsageOf,
    objects: &[Arc<Object>],
    usage: impl Fn(&Arc<Object>) -> Result<(), Missing>,
    chain: &mut Chain,
) -> Result<usize, Failure> {
    let missing = objects.iter().filter_map(|object| {
        let missing = usage(object).err()?;
        Some((object, missing))
    });
    let missing: Vec<(&Arc<Object>, Missing)> = missing.collect();
    let served = objects.len() - missing.len();
    let text = format!("{served} of {} have both CPU and memory", objects.len());
    let step = match (served, missing.is_empty()) {
        (0, _) => chain.wrong("Values", &text),
        (_, true) => chain.well("Values", &text),
        (_, false) => chain.note("Values", &text),
    };
    step.lines(
        missing
            .iter()
            .map(|(object, why)| format!("{}: {why}", object.name)),
    );
    if served == 0 {
        chain.advise(
            "look at resourceRules: the containerQuery and nodeQuery of cpu and memory must give \
             rows with the labels in resources.overrides and containerLabel"
                .to_owned(),
        );
    }
    match (of, missing.into_iter().next()) {
        (UsageOf::Node { name }, Some((_, why))) => by_name("nodemetrics", name, Err(why)),
        (UsageOf::Pod { namespace, name }, Some((_, why))) => {
            by_name("podmetrics", &format!("{namespace}/{name}"), Err(why))
        }
        _ => Ok(served),
    }
}
