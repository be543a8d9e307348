//! The metrics that there are, with what was asked of each.

use std::collections::HashMap;

use jiff::Timestamp;

use super::filter::Filter;
use super::{PAGE, leaf};
use crate::api::route::ApiGroup;
use crate::journal::{About, Heard};
use crate::kinds::GroupResource;
use crate::page::callers::USAGE;
use crate::page::data::{Asks, Metric, Metrics, View};
use crate::page::paths;
use crate::registry::Snapshot;

/// A metric by its kind, as discovery lists it, and its name.
type Key = (Option<String>, String);

/// The metrics of one page, and which page that is.
pub(super) fn metrics(
    snapshot: &Snapshot,
    asks: &[Heard],
    view: &View,
    now: Timestamp,
) -> (Metrics, usize) {
    let mut asked = by_metric(snapshot, asks);
    let mut all: Vec<Key> = snapshot
        .metrics()
        .map(|(kind, name, _)| (kind.map(ToString::to_string), name.to_owned()))
        .collect();
    if snapshot.resource().is_some() {
        let of = |kind: &str| (Some(kind.to_owned()), USAGE.to_owned());
        all.extend([of("nodes"), of("pods")]);
    }
    let total = all.len();
    let filter = Filter::new(&view.filter);
    all.retain(|key| {
        let (kind, name) = (key.0.as_deref().unwrap_or("external"), &key.1);
        if filter.is_in(name, kind) {
            return true;
        }
        // Only who is looked for, and what they ask for.
        let Some(asks) = asked.get_mut(key) else {
            return false;
        };
        asks.retain(|(ask, _)| filter.is_of(name, kind, ask));
        !asks.is_empty()
    });
    let all = all.into_iter();
    let mut all: Vec<(bool, Key)> = all.map(|key| (!asked.contains_key(&key), key)).collect();
    // Those that are asked for first; a name's kinds stand together.
    all.sort_unstable_by(|(a, (a_kind, a_name)), (b, (b_kind, b_name))| {
        (a, a_name, a_kind).cmp(&(b, b_name, b_kind))
    });
    let found = all.len();
    let unasked = all.iter().filter(|(is_unasked, _)| *is_unasked).count();
    let (page, pages) = leaf(view.page, found);
    let shown = all.into_iter().skip((page - 1) * PAGE).take(PAGE);
    let shown = shown.map(|(_, key)| metric(asked.remove(&key).unwrap_or_default(), key, now));
    let metrics = Metrics {
        total,
        found,
        crowded: false,
        asked: found - unasked,
        pages,
        shown: shown.collect(),
    };
    (metrics, page)
}

fn metric(heard: Vec<&Heard>, (kind, name): Key, now: Timestamp) -> Metric {
    let latest = heard.iter().max_by_key(|(_, asked)| asked.last);
    let path = match latest {
        Some((ask, _)) if ask.about.is_whole() => paths::of(&ask.about),
        _ => paths::of(&example(kind.as_deref(), &name)),
    };
    let mut asks: Vec<Asks> = heard.into_iter().map(|it| asks(it, now)).collect();
    asks.sort_by(|a, b| {
        let failing = b.failing.is_some().cmp(&a.failing.is_some());
        let frequent = || b.per_minute.total_cmp(&a.per_minute);
        failing.then_with(frequent).then_with(|| a.ask.cmp(&b.ask))
    });
    Metric {
        name,
        kind,
        path,
        asks,
    }
}

fn asks((ask, asked): &Heard, now: Timestamp) -> Asks {
    Asks {
        ask: ask.clone(),
        last: asked.last,
        per_minute: asked.per_minute(now),
        served: asked.served,
        failing: asked.failing.clone(),
    }
}

/// An ask for a metric that nobody has asked for: of all objects, in a namespace that there is.
fn example(kind: Option<&str>, name: &str) -> About<String> {
    const ROOT: [&str; 3] = ["nodes", "namespaces", "persistentvolumes"];
    let group = match kind {
        None => ApiGroup::External,
        Some(_) if name == USAGE => ApiGroup::Resource,
        Some(_) => ApiGroup::Custom,
    };
    let namespace = match kind {
        Some(kind) if ROOT.contains(&kind) => "",
        _ => "default",
    };
    let object = match kind {
        Some("namespaces") => "default",
        _ => "",
    };
    About {
        group: group.name(),
        resource: kind.unwrap_or_default().to_owned(),
        metric: name.to_owned(),
        namespace: namespace.to_owned(),
        name: object.to_owned(),
        ..About::default()
    }
}

/// What was asked, by the metric that answers it.
fn by_metric<'a>(snapshot: &Snapshot, asks: &'a [Heard]) -> HashMap<Key, Vec<&'a Heard>> {
    // Most of them spell one metric in one way: it is looked up once.
    let mut spelled: HashMap<[&str; 3], Vec<&Heard>> = HashMap::new();
    for heard in asks {
        let about = &heard.0.about;
        let spelling = [about.group, &about.resource, &about.metric];
        spelled.entry(spelling).or_default().push(heard);
    }
    let mut by_metric: HashMap<Key, Vec<&Heard>> = HashMap::new();
    for (spelling, heard) in spelled {
        if let Some(key) = key(snapshot, spelling) {
            by_metric.entry(key).or_default().extend(heard);
        }
    }
    by_metric
}

/// The metric that is meant, whatever way a client spells its kind, or an external one's name.
fn key(snapshot: &Snapshot, [group, resource, metric]: [&str; 3]) -> Option<Key> {
    let group = ApiGroup::ALL.into_iter().find(|it| it.name() == group)?;
    match group {
        ApiGroup::Resource => Some((Some(resource.to_owned()), USAGE.to_owned())),
        ApiGroup::Custom => {
            let asked = GroupResource::parse(resource);
            let kind = snapshot.kinds().resource_for(&asked).ok()?;
            let kind = kind.group_resource().to_string();
            Some((Some(kind), metric.to_owned()))
        }
        ApiGroup::External => {
            let meant = snapshot.external_name(metric)?;
            Some((None, meant.to_owned()))
        }
    }
}
