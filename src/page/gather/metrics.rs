//! The metrics that there are, with what was asked of each.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::api::route::ApiGroup;
use crate::journal::{About, Ask, Asked};
use crate::kinds::GroupResource;
use crate::page::data::{self, Metric, Metrics, View};
use crate::page::paths;
use crate::registry::Snapshot;

/// Metrics of one page.
const PAGE: usize = 100;

/// What `metrics.k8s.io` tells of each object.
const USAGE: &str = "CPU and memory";

/// The metrics of one page, and which page that is.
pub(super) struct Listed {
    pub(super) listed: Metrics,
    pub(super) page: usize,
}

/// A metric by its kind, as discovery lists it, and its name.
type Key = (Option<String>, String);

pub(super) fn metrics(
    snapshot: &Snapshot,
    asks: Vec<(Ask<String>, Asked)>,
    view: &View,
    now: Timestamp,
) -> Listed {
    let mut asked = by_metric(snapshot, asks, now);
    let mut all: Vec<Key> = snapshot
        .metrics()
        .map(|(kind, name, _)| (kind.map(ToString::to_string), name.to_owned()))
        .collect();
    if snapshot.resource().is_some() {
        let of = |kind: &str| (Some(kind.to_owned()), USAGE.to_owned());
        all.extend([of("nodes"), of("pods")]);
    }
    let total = all.len();
    let filter = view.filter.to_lowercase();
    let has = |text: &str| text.to_lowercase().contains(&filter);
    all.retain(|(kind, name)| has(name) || has(kind.as_deref().unwrap_or("external")));
    // A name's kinds stand together.
    all.sort_by_cached_key(|key| {
        let (kind, name) = key.clone();
        (!asked.contains_key(key), name, kind)
    });
    let found = all.len();
    let pages = found.div_ceil(PAGE);
    let page = view.page.clamp(1, pages.max(1));
    let listed = Metrics {
        total,
        found,
        asked: all.iter().filter(|key| asked.contains_key(*key)).count(),
        pages,
        shown: all
            .into_iter()
            .skip((page - 1) * PAGE)
            .take(PAGE)
            .map(|key| metric(asked.remove(&key).unwrap_or_default(), key))
            .collect(),
    };
    Listed { listed, page }
}

fn metric(mut asks: Vec<data::Ask>, (kind, name): Key) -> Metric {
    asks.sort_by(|a, b| {
        let frequent = b.per_minute.total_cmp(&a.per_minute);
        frequent.then_with(|| (&a.about, &a.asker).cmp(&(&b.about, &b.asker)))
    });
    let latest = asks.iter().max_by_key(|ask| ask.last);
    let path = match latest {
        Some(ask) => ask.path.clone(),
        None => paths::of(&example(kind.as_deref(), &name)),
    };
    Metric {
        name,
        kind,
        path,
        asks,
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
fn by_metric(
    snapshot: &Snapshot,
    asks: Vec<(Ask<String>, Asked)>,
    now: Timestamp,
) -> BTreeMap<Key, Vec<data::Ask>> {
    let mut by_metric: BTreeMap<Key, Vec<data::Ask>> = BTreeMap::new();
    for (ask, asked) in asks {
        let Some(key) = key(snapshot, &ask.about) else {
            continue;
        };
        by_metric.entry(key).or_default().push(data::Ask {
            path: paths::of(&ask.about),
            about: ask.about,
            asker: ask.asker,
            last: asked.last,
            per_minute: asked.per_minute(now),
            served: asked.served,
            failure: asked.failure.map(|it| (it.code, it.message)),
        });
    }
    by_metric
}

/// The metric that is meant, whatever way a client spells its kind, or an external one's name.
fn key(snapshot: &Snapshot, about: &About<String>) -> Option<Key> {
    let group = ApiGroup::ALL
        .into_iter()
        .find(|it| it.name() == about.group)?;
    match group {
        ApiGroup::Resource => Some((Some(about.resource.clone()), USAGE.to_owned())),
        ApiGroup::Custom => {
            let asked = GroupResource::parse(&about.resource);
            let kind = snapshot.kinds().resource_for(&asked).ok()?;
            let kind = kind.group_resource().to_string();
            Some((Some(kind), about.metric.clone()))
        }
        ApiGroup::External => {
            let meant = snapshot.external_name(&about.metric)?;
            Some((None, meant.to_owned()))
        }
    }
}
