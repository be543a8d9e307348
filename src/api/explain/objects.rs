//! Which objects are chosen, and why none is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Walk;
use super::advice::some;
use super::chain::Chain;
use crate::api::cause::Cause;
use crate::api::custom::{self, Selectors};
use crate::api::route::{CustomAsk, Objects};
use crate::api::status::Failure;
use crate::kinds::Kind;
use crate::kubernetes::Object;
use crate::registry::nearest;
use crate::selector::{Requirement, Selector};

/// The names of the objects, as the answer finds them.
pub(super) async fn chosen(
    walk: &Walk<'_>,
    ask: &CustomAsk,
    kind: &Kind,
    selectors: &Selectors,
    chain: &mut Chain,
) -> Result<Vec<String>, Failure> {
    let names = custom::names(walk.api, ask, kind, selectors).await;
    let names = names.map_err(|failure| chain.failed("Objects", failure))?;
    let plural = kind.group_resource();
    let place = match ask.namespace.as_deref().filter(|_| kind.namespaced) {
        Some(namespace) => format!("{plural} in {namespace}"),
        None => format!("{plural} of the cluster"),
    };
    match &ask.objects {
        Objects::Named(name) => {
            let text = format!("the one called {name}: whether it exists is not looked into");
            chain.well("Objects", &text);
        }
        Objects::Selected if names.is_empty() => {
            none(walk, ask, kind, &selectors.objects, &place, chain).await;
        }
        Objects::Selected => {
            let by = by(&selectors.objects);
            let text = format!("{} of the {place}{by}", names.len());
            chain.well("Objects", &text).lines([some(&names)]);
        }
    }
    Ok(names)
}

fn by(selector: &Selector) -> String {
    match selector.is_empty() {
        true => String::new(),
        false => format!(" with {selector}"),
    }
}

/// What there is where nothing is selected.
async fn none(
    walk: &Walk<'_>,
    ask: &CustomAsk,
    kind: &Kind,
    selector: &Selector,
    place: &str,
    chain: &mut Chain,
) {
    chain.because(Cause::NoObjects);
    let namespace = ask.namespace.as_deref().filter(|_| kind.namespaced);
    let kubernetes = &walk.api.rooms.kubernetes;
    let Ok(all) = kubernetes.all(kind, namespace).await else {
        chain.wrong("Objects", &format!("none of the {place}{}", by(selector)));
        return;
    };
    if all.is_empty() {
        chain.wrong("Objects", &format!("there are no {place}"));
        let what = namespace.map_or(String::new(), |it| format!(", and whether {it} is the one"));
        chain.advise(format!(
            "look whether the {} run{what}",
            kind.group_resource()
        ));
        return;
    }
    let text = format!("none of the {} {place}{}", all.len(), by(selector));
    let (mut lines, mut advice) = (Vec::new(), Vec::new());
    for requirement in selector.requirements() {
        compare(&all, requirement, &mut lines, &mut advice);
    }
    chain.wrong("Objects", &text).lines(lines);
    advice.truncate(3);
    match advice.is_empty() {
        true => chain.advise(
            "change the label selector: an HPA takes that of its target's spec.selector".to_owned(),
        ),
        false => chain.advise(format!("did you mean {}?", advice.join(" or "))),
    }
}

/// What the objects have where one requirement wants something of a label.
fn compare(
    all: &[Arc<Object>],
    requirement: &Requirement,
    lines: &mut Vec<String>,
    advice: &mut Vec<String>,
) {
    let key = requirement.key.as_str();
    let mut values: BTreeMap<&str, usize> = BTreeMap::new();
    for value in all.iter().filter_map(|it| it.labels.get(key)) {
        *values.entry(value).or_default() += 1;
    }
    let mut counted: Vec<(&str, usize)> = values.into_iter().collect();
    counted.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    let told: Vec<String> = counted
        .iter()
        .map(|(value, count)| format!("{key}={value} ({count})"))
        .collect();
    if told.is_empty() {
        let keys = all
            .iter()
            .flat_map(|it| it.labels.iter().map(|(key, _)| key));
        let keys: BTreeSet<&str> = keys.collect();
        lines.push(format!("no object has the label {key}"));
        let near = nearest(key, keys.iter().copied());
        match near.is_empty() {
            true => {
                let keys: Vec<&str> = keys.into_iter().collect();
                lines.push(format!("labels that they have: {}", some(&keys)));
            }
            false => advice.push(format!("label {}", near.join(", "))),
        }
    } else {
        lines.push(format!("there: {}", some(&told)));
        let values = counted.iter().map(|(value, _)| *value);
        let near = requirement
            .values
            .iter()
            .flat_map(|it| nearest(it, values.clone()));
        advice.extend(near.map(|value| format!("{key}={value}")));
    }
}
