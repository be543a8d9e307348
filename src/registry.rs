//! What can be asked for: the metrics that rules, Prometheus and the cluster's kinds make together.
//!
//! A [`Snapshot`] is immutable and carries the rules, backends and kinds it was built from, so they
//! can never disagree, and a request that reads it once is answered wholly by the rules before a
//! reload or wholly by those after it. [`Registry`] is the published handle: the relist writes it,
//! a request reads it once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use jiff::Timestamp;

use crate::kinds::{GroupResource, Kind, Kinds};
use crate::prometheus::{Backend, Backends};
use crate::rules::{List, Rule, Rules};
use builder::Builder;
use separable::{AtOnce, Scope, Verdict};

mod association;
mod builder;
mod made;
mod resource;
/// What one query may be asked for at once.
pub mod separable;
mod survey;
mod trouble;
mod why;
#[cfg(test)]
pub(crate) mod tests;

pub use association::{Binding, LabelError};
pub use resource::{ResourceLabels, ResourceMetric, ResourceMetrics};
pub use survey::{Answers, Question, Survey};
pub use trouble::{Disabled, Shadowed, Unlisted};
pub use why::{Look, Seen, Unmade, Why, nearest, shortened, siblings};

/// Series names that a rule's `seriesQuery` finds, each with those of its labels that could name a
/// Kubernetes object. External rules do not look at labels.
pub type Listing = BTreeMap<String, BTreeSet<String>>;

/// What is known of each rule's series, in the order of the rules.
#[derive(Clone, Debug, Default)]
pub struct Listings {
    /// For `rules`.
    pub custom: Vec<Known>,
    /// For `externalRules`.
    pub external: Vec<Known>,
}

/// What is known of one rule's series.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Its last listing; `None` until there was one.
    pub listing: Option<Arc<Listing>>,
    /// Whether Prometheus held such series when it was last asked. Where it does not, a literal
    /// name stays listed, but gives way to a rule whose series are there.
    pub live: bool,
    /// Whether Prometheus has ever answered about it.
    pub answered: bool,
    /// Why it could not be listed the last time.
    pub failure: Option<String>,
    /// Since when it cannot; where there is no failure, `None`.
    pub failing_since: Option<Timestamp>,
}

impl Known {
    /// Whether it takes part in who answers. A rule that gave way because nobody has asked yet
    /// would let another one answer in its place, with another number.
    fn may_be_live(&self) -> bool {
        self.live || !self.answered
    }
}

/// One metric of our API: the series behind it and the rule that turns an ask into PromQL.
#[derive(Clone, Debug)]
pub struct Metric {
    /// The rule that made it.
    pub rule: Arc<Rule>,
    /// The series name, `<<.Series>>`.
    pub series: String,
    /// The rule's labels for the objects of this metric.
    pub labels: Labels,
    /// What its query may be asked for at once. `None` where it is asked exactly: for an external
    /// metric, which is of no objects, and without a label for them.
    pub at_once: Option<Arc<AtOnce>>,
}

impl Metric {
    /// The verdict on its query, for asks that name a namespace or for those that name none.
    pub fn verdict(&self, in_namespace: bool) -> Option<&Verdict> {
        let at_once = self.at_once.as_ref()?;
        match in_namespace {
            true => at_once.in_namespace.as_ref(),
            false => Some(&at_once.at_root),
        }
    }

    /// The widest scope in which its query is proven to give the same.
    pub fn proven(&self, in_namespace: bool) -> Scope {
        let verdict = self.verdict(in_namespace);
        verdict.map_or(Scope::Exact, Verdict::widest)
    }
}

/// Which labels of a metric's series name Kubernetes objects.
#[derive(Clone, Debug)]
pub struct Labels {
    /// The label whose value is the object's name; `None` for an external metric.
    pub object: Option<Result<String, LabelError>>,
    /// The label whose value is the object's namespace.
    pub namespace: Result<String, LabelError>,
}

/// Why a metric was not found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotFound {
    /// The cluster has no such kind.
    Kind(String),
    /// No rule makes this metric for this kind, in this scope.
    Metric,
}

/// Everything that can be asked for at one moment.
#[derive(Debug)]
pub struct Snapshot {
    rules: Arc<Rules>,
    backends: Arc<Backends>,
    kinds: Arc<Kinds>,
    custom: CustomMetrics,
    external: BTreeMap<String, Metric>,
    resource: Option<ResourceMetrics>,
    shadowed: Vec<Shadowed>,
    disabled: Vec<Disabled>,
    unlisted: Vec<Unlisted>,
    /// What it was made of.
    listings: Listings,
    /// Why metrics are not there, as far as somebody has asked.
    kept: why::Kept,
}

type CustomMetrics = BTreeMap<GroupResource, BTreeMap<String, Metric>>;

/// One line of a discovery document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed<'a> {
    /// The kind of object the metric describes.
    pub resource: &'a GroupResource,
    /// The metric's name.
    pub metric: &'a str,
    /// Whether it is asked for below `/namespaces/NS/`.
    pub namespaced: bool,
}

impl Snapshot {
    /// Builds the registry of `rules` over `kinds` from what Prometheus holds.
    ///
    /// A rule that Prometheus was not asked about yet contributes its literal series name with all
    /// the labels it could have, if it has one; otherwise nothing.
    pub fn build(rules: Arc<Rules>, kinds: Arc<Kinds>, listings: &Listings) -> Snapshot {
        let mut builder = Builder::new(&kinds);
        let unknown = Known::default();
        // Quiet rules first: whatever is there replaces what only may be there.
        for live in [false, true] {
            for (index, rule) in rules.custom.iter().enumerate() {
                let known = listings.custom.get(index).unwrap_or(&unknown);
                if known.may_be_live() == live {
                    builder.add_custom(rule, known);
                }
            }
            for (index, rule) in rules.external.iter().enumerate() {
                let known = listings.external.get(index).unwrap_or(&unknown);
                if known.may_be_live() == live {
                    builder.add_external(rule, known);
                }
            }
            if !live {
                builder.quiet_ends();
            }
        }
        let resource = rules.resource.as_ref().map(|rules| {
            let (metrics, disabled) = ResourceMetrics::bind(rules, &kinds);
            builder.disabled.extend(disabled);
            metrics
        });
        Snapshot {
            rules: Arc::clone(&rules),
            backends: Arc::default(),
            kinds: Arc::clone(&kinds),
            custom: builder.custom,
            external: builder.external,
            resource,
            shadowed: builder.shadowed.into_values().collect(),
            disabled: builder.disabled,
            unlisted: builder.unlisted,
            listings: listings.clone(),
            kept: why::Kept::default(),
        }
    }

    /// The same, with the backends of the rules: what is asked for can be asked of them.
    #[must_use]
    pub fn over(self, backends: Arc<Backends>) -> Snapshot {
        Snapshot { backends, ..self }
    }

    /// The metric of a kind of object: `resource` as the client spelled it, `namespaced` whether
    /// the path names a namespace.
    pub fn custom(
        &self,
        resource: &GroupResource,
        namespaced: bool,
        metric: &str,
    ) -> Result<(&Kind, &Metric), NotFound> {
        let kind = self
            .kinds
            .resource_for(resource)
            .map_err(|e| NotFound::Kind(e.to_string()))?;
        let listed = kind.group_resource();
        // Cluster-scoped objects are at the root. The HPA controller asks for them below a
        // namespace nevertheless, its own (`podautoscaler/metrics/client.go`, GetObjectMetric), but
        // for namespaces themselves, which have a path of their own there.
        let in_scope = match namespaced {
            true => listed != GroupResource::core("namespaces"),
            false => !kind.namespaced,
        };
        self.custom
            .get(&listed)
            .and_then(|metrics| metrics.get(metric))
            .filter(|_| in_scope)
            .map(|found| (kind, found))
            .ok_or(NotFound::Metric)
    }

    /// The external metric of this name. client-go puts the name in lower case before it asks
    /// (`Request.Resource`), so the one metric that is so written and has no namesake is meant too.
    pub fn external(&self, metric: &str) -> Option<&Metric> {
        self.external_entry(metric).map(|(_, found)| found)
    }

    /// What that metric is called.
    pub fn external_name(&self, metric: &str) -> Option<&str> {
        self.external_entry(metric).map(|(name, _)| name.as_str())
    }

    fn external_entry(&self, metric: &str) -> Option<(&String, &Metric)> {
        if let Some(found) = self.external.get_key_value(metric) {
            return Some(found);
        }
        let mut meant = self
            .external
            .iter()
            .filter(|(name, _)| is_lowered(metric, name));
        match (meant.next(), meant.next()) {
            (found, None) => found,
            _ => None,
        }
    }

    /// CPU and memory of pods and nodes; `None` where the rules file has no `resourceRules`.
    pub fn resource(&self) -> Option<&ResourceMetrics> {
        self.resource.as_ref()
    }

    /// All custom metrics, sorted by kind and name.
    pub fn custom_metrics(&self) -> impl Iterator<Item = Listed<'_>> {
        self.custom.iter().flat_map(|(resource, metrics)| {
            let namespaced = is_namespaced(resource);
            metrics.keys().map(move |metric| Listed {
                resource,
                metric,
                namespaced,
            })
        })
    }

    /// The names of all external metrics, sorted.
    pub fn external_metrics(&self) -> impl Iterator<Item = &str> {
        self.external.keys().map(String::as_str)
    }

    /// Every metric with what makes it: of objects, by their kind, and then the external ones.
    pub fn metrics(&self) -> impl Iterator<Item = (Option<&GroupResource>, &str, &Metric)> {
        let custom = self.custom.iter().flat_map(|(resource, metrics)| {
            let named = metrics.iter();
            named.map(move |(name, metric)| (Some(resource), name.as_str(), metric))
        });
        let external = self.external.iter();
        custom.chain(external.map(|(name, metric)| (None, name.as_str(), metric)))
    }

    /// What is known of a rule's series.
    pub fn known(&self, rule: &Rule) -> Option<&Known> {
        // Its number is of its file.
        let found = self.known_rules().find(|(it, _)| it.id == rule.id);
        found.and_then(|(_, known)| known)
    }

    /// Each rule that is about series, `rules` before `externalRules`, with what is known of them.
    pub fn known_rules(&self) -> impl Iterator<Item = (&Arc<Rule>, Option<&Known>)> {
        let lists = [
            (&self.rules.custom, &self.listings.custom),
            (&self.rules.external, &self.listings.external),
        ];
        lists.into_iter().flat_map(|(rules, known)| {
            let rules = rules.iter().enumerate();
            rules.map(move |(place, rule)| (rule, known.get(place)))
        })
    }

    /// The rules this was built from.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The backends that the rules ask, by their numbers.
    pub fn backends(&self) -> &Backends {
        &self.backends
    }

    /// The backend that rules know by this number.
    pub fn backend(&self, number: usize) -> &Arc<Backend> {
        let backend = self.backends.get(number);
        backend.expect("the backends of the rules must all have been made")
    }

    /// The kinds this was built from.
    pub fn kinds(&self) -> &Kinds {
        &self.kinds
    }

    /// A rule of this list that was never listed and may be the one that makes `metric`.
    pub fn unlisted(&self, list: List, metric: &str) -> Option<&Unlisted> {
        let is_it = |makes: &String| {
            makes == metric || (list == List::External && is_lowered(metric, makes))
        };
        let may_make = |it: &&Unlisted| it.makes.as_ref().is_none_or(is_it);
        let of_list = self.unlisted.iter().filter(|it| it.rule.list == list);
        // What may yet be listed comes before what is broken.
        of_list.filter(may_make).min_by_key(|it| it.answered)
    }
}

/// Whether a client that knows no capitals writes `name` as `asked`.
fn is_lowered(asked: &str, name: &str) -> bool {
    !asked.contains(|c: char| c.is_ascii_uppercase()) && asked.eq_ignore_ascii_case(name)
}

/// Go's scope of a metric: everything is namespaced but these three kinds
/// (`pkg/naming/resource_converter.go`, `pkg/custom-provider/series_registry.go`).
fn is_namespaced(resource: &GroupResource) -> bool {
    let root = ["namespaces", "nodes", "persistentvolumes"];
    !(resource.group.is_empty() && root.contains(&resource.resource.as_str()))
}

/// The published snapshot: written by the relist alone, read once by each request.
#[derive(Debug)]
pub struct Registry {
    current: ArcSwap<Snapshot>,
    /// Whether every rule had its first turn, well or badly.
    listed: AtomicBool,
}

impl Registry {
    /// A registry that answers from `snapshot` until another is published.
    pub fn new(snapshot: Snapshot) -> Registry {
        Registry {
            current: ArcSwap::from_pointee(snapshot),
            listed: AtomicBool::new(false),
        }
    }

    /// Whether every rule had its first turn, well or badly, or enough time for it.
    pub fn is_listed(&self) -> bool {
        self.listed.load(Ordering::Acquire)
    }

    /// It is so.
    pub fn set_listed(&self) {
        self.listed.store(true, Ordering::Release);
    }

    /// The snapshot to answer one request from.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Replaces the snapshot for the requests that come.
    pub fn publish(&self, snapshot: Snapshot) {
        self.current.store(Arc::new(snapshot));
    }
}
