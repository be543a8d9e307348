//! The labels of metrics of rules. A rule's place is its label, and another rule stands there after
//! a reload: what was counted of the one must not be taken for the other's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Configuration;
use crate::prometheus::Backend;
use crate::rules::Identity;
use crate::telemetry::Metrics;

/// What stands at each place, as metrics name it.
#[derive(Debug)]
pub(super) struct Labels {
    places: BTreeMap<String, (Identity, Arc<Backend>)>,
    /// Places where nothing stands any more. A request under way may count one once more.
    gone: BTreeSet<String>,
}

impl Labels {
    pub(super) fn new(configuration: &Configuration) -> Labels {
        Labels {
            places: places(configuration),
            gone: BTreeSet::new(),
        }
    }

    /// Other rules are in force: the metrics of places where another rule stands, or none, begin
    /// anew.
    pub(super) fn replace(&mut self, configuration: &Configuration, metrics: &Metrics) {
        let before = std::mem::replace(&mut self.places, places(configuration));
        for (place, rule) in before {
            if self.places.get(&place) != Some(&rule) {
                metrics.forget_rule(&place);
                self.gone.insert(place);
            }
        }
        self.gone.retain(|place| !self.places.contains_key(place));
    }

    /// Forgets what has been counted since of rules that are gone.
    pub(super) fn sweep(&self, metrics: &Metrics) {
        for place in &self.gone {
            metrics.forget_rule(place);
        }
    }
}

fn places(configuration: &Configuration) -> BTreeMap<String, (Identity, Arc<Backend>)> {
    let Configuration { rules, backends } = configuration;
    let of_series = rules
        .series_rules()
        .map(|rule| (rule.id.to_string(), &rule.identity, rule.backend));
    let resource = rules.resource.iter().flat_map(|it| [&it.cpu, &it.memory]);
    let of_resources =
        resource.map(|rule| (rule.origin.rule.clone(), &rule.identity, rule.backend));
    let all = of_series.chain(of_resources);
    let placed = all.filter_map(|(place, identity, backend)| {
        Some((
            place,
            (identity.clone(), Arc::clone(backends.get(backend)?)),
        ))
    });
    placed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prometheus::backend::tests::nobody;
    use crate::rules;
    use crate::telemetry::RuleLabel;

    fn configuration(words: &[&str]) -> Configuration {
        let rule = |word: &&str| format!("- {{seriesQuery: {word}, metricsQuery: x}}\n");
        let text: String = words.iter().map(rule).collect();
        let rules = rules::parse(&format!("rules:\n{text}")).unwrap().0;
        Configuration {
            rules: Arc::new(rules),
            backends: Arc::new(vec![nobody("default")]),
        }
    }

    fn count(metrics: &Metrics, place: usize) {
        let rule = format!("rules[{place}]");
        let label = RuleLabel { rule };
        metrics.rule_failures.get_or_create(&label).inc();
        metrics.rule_up.get_or_create(&label).set(1);
        metrics.samples_ambiguous.get_or_create(&label).inc();
        metrics.samples_not_a_number.get_or_create(&label).inc();
    }

    /// The places that any metric has, of the first three.
    fn counted(metrics: &Metrics) -> Vec<usize> {
        let text = metrics.text();
        let has = |place: &usize| text.contains(&format!("rule=\"rules[{place}]\""));
        (0..3).filter(has).collect()
    }

    #[test]
    fn what_was_counted_of_a_rule_goes_with_it() {
        let metrics = Metrics::new();
        let mut labels = Labels::new(&configuration(&["a", "b", "c"]));
        let count_all = || (0..3).for_each(|place| count(&metrics, place));
        count_all();
        labels.replace(&configuration(&["a", "b", "c"]), &metrics);
        assert_eq!(counted(&metrics), [0, 1, 2]);
        labels.replace(&configuration(&["a", "new", "c"]), &metrics);
        assert_eq!(counted(&metrics), [0, 2]);
        labels.replace(&configuration(&["new"]), &metrics);
        assert_eq!(counted(&metrics), [0; 0]);
        // By requests that were under way.
        count_all();
        labels.sweep(&metrics);
        assert_eq!(counted(&metrics), [0]);
        labels.replace(&configuration(&["new", "b"]), &metrics);
        count(&metrics, 1);
        labels.sweep(&metrics);
        assert_eq!(counted(&metrics), [0, 1]);
    }
}
