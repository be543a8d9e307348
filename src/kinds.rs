//! Which kinds of object a cluster has, and which of them a word means.
//!
//! Resolves `pods`, `pod`, `PODS`, `deployments.apps` or `storageclass.storage` as client-go's
//! RESTMapper does (`k8s.io/apimachinery/pkg/api/meta/{restmapper,multirestmapper,priority}.go`
//! over the discovery order of `k8s.io/client-go/restmapper/discovery.go`): by plural or singular,
//! without a group by priority, with a group exactly or else by its beginning. Short names (`po`)
//! mean nothing, there as here.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde::Deserialize;
use thiserror::Error;

#[cfg(test)]
mod tests;

/// A kind of object as discovery documents name it: plural and group.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupResource {
    /// Empty for the core group.
    pub group: String,
    /// Plural where it comes from [`Kinds`]; any spelling where it comes from a person.
    pub resource: String,
}

impl GroupResource {
    /// Splits `deployments.apps` at the first dot (`schema.ParseGroupResource`).
    pub fn parse(text: &str) -> GroupResource {
        let (resource, group) = text.split_once('.').unwrap_or((text, ""));
        GroupResource {
            group: group.to_owned(),
            resource: resource.to_owned(),
        }
    }

    /// A resource of the core group.
    pub fn core(resource: &str) -> GroupResource {
        GroupResource {
            group: String::new(),
            resource: resource.to_owned(),
        }
    }
}

impl fmt::Display for GroupResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.group.as_str() {
            "" => f.write_str(&self.resource),
            group => write!(f, "{}.{group}", self.resource),
        }
    }
}

/// One kind in one version of its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Empty for the core group.
    pub group: String,
    /// `v1`
    pub version: String,
    /// `Deployment`
    pub kind: String,
    /// `deployments`
    pub plural: String,
    /// `deployment`
    pub singular: String,
    /// Whether its objects stand in namespaces.
    pub namespaced: bool,
}

impl Kind {
    /// `apps/v1`, and `/v1` for the core group: custom-metrics-apiserver joins the two without a
    /// look.
    pub fn api_version(&self) -> String {
        format!("{}/{}", self.group, self.version)
    }

    /// Plural and group.
    pub fn group_resource(&self) -> GroupResource {
        GroupResource {
            group: self.group.clone(),
            resource: self.plural.clone(),
        }
    }
}

/// Why a word means no kind.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NoMatch {
    /// Nothing is called so.
    #[error("no matches for {}/, Resource={}", .0.group, .0.resource)]
    Unknown(GroupResource),
    /// Several kinds of one group and version are called so.
    #[error("{}/, Resource={} matches multiple resources: {found}", asked.group, asked.resource)]
    Ambiguous {
        /// The word.
        asked: GroupResource,
        /// What it could mean.
        found: String,
    },
}

/// The `spec` of a CustomResourceDefinition, as far as it says which kinds there are.
#[derive(Clone, Debug, Deserialize)]
pub struct Crd {
    group: String,
    names: CrdNames,
    scope: String,
    versions: Vec<CrdVersion>,
}

#[derive(Clone, Debug, Deserialize)]
struct CrdNames {
    plural: String,
    #[serde(default)]
    singular: String,
    kind: String,
}

#[derive(Clone, Debug, Deserialize)]
struct CrdVersion {
    name: String,
    #[serde(default = "yes")]
    served: bool,
}

fn yes() -> bool {
    true
}

/// All kinds of one cluster. Built once, read by many.
#[derive(Clone, Debug, Default)]
pub struct Kinds {
    /// In discovery order: groups as listed, versions as listed, resources as listed.
    kinds: Vec<Ranked>,
    /// Indices into `kinds` by lower-case plural and singular.
    by_name: HashMap<String, Vec<usize>>,
}

/// A kind with its place in `PriorityRESTMapper`'s list of patterns; the lowest wins.
#[derive(Clone, Debug)]
struct Ranked {
    kind: Kind,
    rank: (usize, usize),
}

impl Kinds {
    /// Kinds in discovery order; `preferred` names the preferred version of a group, by default its
    /// first.
    pub fn new(kinds: Vec<Kind>, preferred: &BTreeMap<String, String>) -> Kinds {
        let mut groups: Vec<(String, Vec<String>)> = Vec::new();
        for kind in &kinds {
            let at = groups
                .iter()
                .position(|(name, _)| *name == kind.group)
                .unwrap_or_else(|| {
                    groups.push((kind.group.clone(), Vec::new()));
                    groups.len() - 1
                });
            let Some((_, versions)) = groups.get_mut(at) else {
                continue;
            };
            if !versions.contains(&kind.version) {
                versions.push(kind.version.clone());
            }
        }
        for (name, versions) in &mut groups {
            // A stable sort: the preferred version comes first, the others keep their order.
            versions.sort_by_key(|version| preferred.get(name) != Some(version));
        }
        // "/api is special: version preference is to core v1."
        groups.sort_by_key(|(name, _)| !name.is_empty());
        let mut ranks = HashMap::new();
        for (group_rank, (group, versions)) in groups.iter().enumerate() {
            for (version_rank, version) in versions.iter().enumerate() {
                ranks.insert(
                    (group.as_str(), version.as_str()),
                    (group_rank, version_rank),
                );
            }
        }
        let rank = |kind: &Kind| {
            ranks
                .get(&(kind.group.as_str(), kind.version.as_str()))
                .copied()
        };
        let unranked = (usize::MAX, usize::MAX);
        let kinds: Vec<Ranked> = kinds
            .iter()
            .map(|kind| Ranked {
                rank: rank(kind).unwrap_or(unranked),
                kind: kind.clone(),
            })
            .collect();
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, Ranked { kind, .. }) in kinds.iter().enumerate() {
            by_name
                .entry(kind.plural.to_lowercase())
                .or_default()
                .push(index);
            if kind.singular != kind.plural {
                by_name
                    .entry(kind.singular.to_lowercase())
                    .or_default()
                    .push(index);
            }
        }
        Kinds { kinds, by_name }
    }

    /// The kinds of a Kubernetes 1.36 without any CustomResourceDefinition.
    pub fn builtin() -> Kinds {
        let preferred = BTreeMap::from([("autoscaling".to_owned(), "v2".to_owned())]);
        Kinds::new(builtin_kinds().collect(), &preferred)
    }

    /// The built-in kinds and `more`, behind them.
    pub fn builtin_with(more: Vec<Kind>) -> Kinds {
        let preferred = BTreeMap::from([("autoscaling".to_owned(), "v2".to_owned())]);
        Kinds::new(builtin_kinds().chain(more).collect(), &preferred)
    }

    /// All of them, in discovery order.
    pub fn all(&self) -> impl Iterator<Item = &Kind> {
        self.kinds.iter().map(|ranked| &ranked.kind)
    }

    /// The built-in kinds and those of `crds`, which kube-apiserver lists behind them, by group
    /// name.
    pub fn builtin_and(mut crds: Vec<Crd>) -> Kinds {
        crds.sort_by(|a, b| a.group.cmp(&b.group));
        let mut kinds: Vec<Kind> = builtin_kinds().collect();
        let mut versions: Vec<(String, String)> = Vec::new();
        for crd in &crds {
            for version in crd.versions.iter().filter(|version| version.served) {
                versions.push((crd.group.clone(), version.name.clone()));
            }
        }
        versions.sort_by(|a, b| {
            a.0.cmp(&b.0)
                .then_with(|| precedence(&b.1).cmp(&precedence(&a.1)))
        });
        versions.dedup();
        for (group, version) in versions {
            let of_version = crds.iter().filter(|crd| {
                crd.group == group && crd.versions.iter().any(|v| v.served && v.name == version)
            });
            kinds.extend(of_version.map(|crd| crd.kind(&version)));
        }
        let preferred = BTreeMap::from([("autoscaling".to_owned(), "v2".to_owned())]);
        Kinds::new(kinds, &preferred)
    }

    /// The kind that a word means, in its preferred version (`RESTMapper.ResourceFor`).
    pub fn resource_for(&self, asked: &GroupResource) -> Result<&Kind, NoMatch> {
        let found = self.matching(asked);
        let best = found.iter().map(|ranked| ranked.rank).min();
        let mut best = found.iter().filter(|ranked| Some(ranked.rank) == best);
        match (best.next(), best.next()) {
            (Some(one), None) => Ok(&one.kind),
            (None, _) => Err(NoMatch::Unknown(asked.clone())),
            (Some(one), Some(other)) => {
                let names = [one, other].map(|ranked| ranked.kind.group_resource().to_string());
                Err(NoMatch::Ambiguous {
                    asked: asked.clone(),
                    found: names.join(", "),
                })
            }
        }
    }

    /// The singular of a plural, of whichever group has it first
    /// (`RESTMapper.ResourceSingularizer`).
    pub fn singularize(&self, plural: &str) -> Option<&str> {
        let indices = self.by_name.get(&plural.to_lowercase())?;
        let mut kinds = indices.iter().filter_map(|index| self.kinds.get(*index));
        kinds
            .find(|ranked| ranked.kind.plural == plural)
            .map(|ranked| ranked.kind.singular.as_str())
    }

    /// The kind of a manifest with this `apiVersion` and `kind`.
    pub fn by_kind(&self, api_version: &str, kind: &str) -> Option<&Kind> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let mut kinds = self.kinds.iter().map(|ranked| &ranked.kind);
        kinds.find(|it| it.kind == kind && it.group == group && it.version == version)
    }

    /// The kind of a group by its name, in its preferred version (`RESTMapper.RESTMapping`).
    pub fn of_group(&self, group: &str, kind: &str) -> Option<&Kind> {
        let of_group = |it: &&Ranked| it.kind.kind == kind && it.kind.group == group;
        let found = self.kinds.iter().filter(of_group);
        found.min_by_key(|it| it.rank).map(|it| &it.kind)
    }

    /// `DefaultRESTMapper.ResourcesFor` of each group and version, joined: an exact group first,
    /// and where a version has none of it, a group that begins so.
    fn matching(&self, asked: &GroupResource) -> Vec<&Ranked> {
        let indices = self.by_name.get(&asked.resource.to_lowercase());
        let named = || {
            indices
                .into_iter()
                .flatten()
                .filter_map(|index| self.kinds.get(*index))
        };
        let group = asked.group.to_lowercase();
        // An exact group begins with itself; in its own tables nothing else can.
        named()
            .filter(|ranked| ranked.kind.group.starts_with(&group))
            .collect()
    }
}

impl Crd {
    fn kind(&self, version: &str) -> Kind {
        let singular = match self.names.singular.as_str() {
            "" => self.names.kind.to_lowercase(),
            singular => singular.to_owned(),
        };
        Kind {
            group: self.group.clone(),
            version: version.to_owned(),
            kind: self.names.kind.clone(),
            plural: self.names.plural.clone(),
            singular,
            namespaced: self.scope == "Namespaced",
        }
    }
}

fn builtin_kinds() -> impl Iterator<Item = Kind> {
    let lines = include_str!("kinds/builtin.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| {
        let mut fields = line.split('\t').map(str::to_owned);
        let mut next = || fields.next();
        let (group, version, plural) = (next()?, next()?, next()?);
        let (singular, kind, scope) = (next()?, next()?, next()?);
        let namespaced = scope == "Namespaced";
        Some(Kind {
            group,
            version,
            kind,
            plural,
            singular,
            namespaced,
        })
    })
}

/// The order of versions in a group of CustomResourceDefinitions: `v2`, `v1`, `v1beta2`,
/// `v1alpha1`, then the rest backwards by name
/// (`k8s.io/apimachinery/pkg/version.CompareKubeAwareVersionStrings`). Higher comes first.
fn precedence(version: &str) -> (u8, u64, u64, Reverse<String>) {
    let parsed = || {
        let rest = version.strip_prefix('v')?;
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (major, rest) = rest.split_at(digits);
        let major: u64 = major.parse().ok()?;
        match rest {
            "" => Some((3, major, 0)),
            _ => {
                let (stage, minor) = match rest.strip_prefix("beta") {
                    Some(minor) => (2, minor),
                    None => (1, rest.strip_prefix("alpha")?),
                };
                Some((stage, major, minor.parse().ok()?))
            }
        }
    };
    match parsed() {
        Some((stage, major, minor)) => (stage, major, minor, Reverse(String::new())),
        None => (0, 0, 0, Reverse(version.to_owned())),
    }
}
