//! Rules and listings into metrics: which rule makes which, and who answers where two make one.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::separable::AtOnce;
use super::{
    Binding, CustomMetrics, Disabled, Known, Labels, Listing, Metric, Shadowed, Survey, Unlisted,
};
use crate::kinds::{GroupResource, Kinds};
use crate::rules::{Rule, RuleId};

/// A snapshot in the making. Rules are added in the order of the file; a later one replaces the
/// metrics of an earlier one.
pub(super) struct Builder<'a> {
    kinds: &'a Kinds,
    pub(super) custom: CustomMetrics,
    pub(super) external: BTreeMap<String, Metric>,
    /// By loser and winner.
    pub(super) shadowed: BTreeMap<(RuleId, RuleId), Shadowed>,
    pub(super) disabled: Vec<Disabled>,
    pub(super) unlisted: Vec<Unlisted>,
    /// Metrics of rules whose series are not there; who replaces one of these shadows nobody.
    quiet: Vec<RuleId>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(kinds: &'a Kinds) -> Builder<'a> {
        Builder {
            kinds,
            custom: BTreeMap::new(),
            external: BTreeMap::new(),
            shadowed: BTreeMap::new(),
            disabled: Vec::new(),
            unlisted: Vec::new(),
            quiet: Vec::new(),
        }
    }

    /// The rules added so far have no series now.
    pub(super) fn quiet_ends(&mut self) {
        let custom = self.custom.values().flat_map(BTreeMap::values);
        let metrics = custom.chain(self.external.values());
        self.quiet = metrics.map(|metric| metric.rule.id.clone()).collect();
        self.quiet.sort();
        self.quiet.dedup();
    }

    pub(super) fn add_custom(&mut self, rule: &Arc<Rule>, known: &Known) {
        let kinds = self.kinds;
        let Some(binding) = self.bind(rule, known, kinds) else {
            return;
        };
        let namespace = binding.label_of(&GroupResource::core("namespaces"));
        // Once for each label: a rule may have thousands of series.
        let mut judged: BTreeMap<String, Arc<AtOnce>> = BTreeMap::new();
        for (series, labels) in &*known_or_assumed(rule, known) {
            let Some(name) = api_name(rule, series) else {
                continue;
            };
            for resource in labels.iter().filter_map(|label| binding.resource_of(label)) {
                let object = binding.label_of(&resource);
                let at_once = object.as_ref().ok().map(|object| {
                    let judged = judged.entry(object.clone()).or_insert_with(|| {
                        let namespace = namespace.as_deref().ok();
                        Arc::new(AtOnce::new(&rule.query, namespace, object))
                    });
                    judged.of_series(&rule.query, series)
                });
                let metric = Metric {
                    rule: Arc::clone(rule),
                    series: series.clone(),
                    labels: Labels {
                        object: Some(object),
                        namespace: namespace.clone(),
                    },
                    at_once,
                };
                let listed = format!("{resource}/{name}");
                let metrics = self.custom.entry(resource).or_default();
                let former = metrics.insert(name.clone(), metric);
                self.note_shadowed(listed, former, rule);
            }
        }
    }

    pub(super) fn add_external(&mut self, rule: &Arc<Rule>, known: &Known) {
        let kinds = self.kinds;
        let Some(binding) = self.bind(rule, known, kinds) else {
            return;
        };
        let namespace = binding.label_of(&GroupResource::core("namespaces"));
        for series in known_or_assumed(rule, known).keys() {
            let Some(name) = api_name(rule, series) else {
                continue;
            };
            let labels = Labels {
                object: None,
                namespace: namespace.clone(),
            };
            let metric = Metric {
                rule: Arc::clone(rule),
                series: series.clone(),
                labels,
                at_once: None,
            };
            let former = self.external.insert(name.clone(), metric);
            self.note_shadowed(name, former, rule);
        }
    }

    fn bind<'r>(&mut self, rule: &'r Rule, known: &Known, kinds: &'r Kinds) -> Option<Binding<'r>> {
        match Binding::new(rule, kinds) {
            Ok(binding) => {
                let broken = known.listing.is_none() && known.failure.is_some();
                if !known.answered || broken {
                    self.unlisted.push(Unlisted {
                        rule: rule.id.clone(),
                        line: rule.line,
                        makes: only_metric(rule),
                        answered: known.answered,
                        cause: known.failure.clone(),
                    });
                }
                Some(binding)
            }
            Err(disabled) => {
                self.disabled.push(disabled);
                None
            }
        }
    }

    fn note_shadowed(&mut self, metric: String, former: Option<Metric>, winner: &Rule) {
        let Some(former) = former.filter(|former| former.rule.id != winner.id) else {
            return;
        };
        let loser = former.rule;
        if self.quiet.binary_search(&loser.id).is_ok() {
            return;
        }
        let shadowed = self.shadowed.entry((loser.id.clone(), winner.id.clone()));
        let shadowed = shadowed.or_insert_with(|| Shadowed {
            loser: (loser.id.clone(), loser.line),
            winner: (winner.id.clone(), winner.line),
            metric,
            count: 0,
        });
        shadowed.count += 1;
    }
}

/// What a series is called in our API; `None` where the rule's filters leave it out.
fn api_name(rule: &Rule, series: &str) -> Option<String> {
    let kept = rule.naming.keeps(series);
    kept.then(|| rule.naming.api_name(series)).flatten()
}

/// What Prometheus answered for `rule`, or what can be told without it.
fn known_or_assumed(rule: &Rule, known: &Known) -> Arc<Listing> {
    let listing = known.listing.as_ref();
    listing.map_or_else(|| Arc::new(Survey::new(rule).assumed()), Arc::clone)
}

/// The one metric that a rule with a literal series name makes.
fn only_metric(rule: &Rule) -> Option<String> {
    let assumed = Survey::new(rule).assumed();
    let (series, _) = assumed.first_key_value()?;
    Some(api_name(rule, series).unwrap_or_default())
}
