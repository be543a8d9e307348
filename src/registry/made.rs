//! How many metrics each rule makes.

use std::collections::{BTreeMap, BTreeSet};

use super::{Metric, Snapshot};

impl Snapshot {
    /// The number of metrics of each rule, by its name; of one that makes none, zero. A metric of
    /// several kinds is one.
    pub fn made(&self) -> BTreeMap<String, usize> {
        let mut made: BTreeMap<_, BTreeSet<&str>> = BTreeMap::new();
        for rule in self.rules.custom.iter().chain(&self.rules.external) {
            made.entry(&rule.id).or_default();
        }
        let custom = self.custom.values().flatten();
        let all = custom.chain(&self.external);
        for (name, Metric { rule, .. }) in all {
            made.entry(&rule.id).or_default().insert(name);
        }
        let count = made.into_iter();
        count
            .map(|(id, names)| (id.to_string(), names.len()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::kinds::Kinds;
    use crate::registry::Listings;
    use crate::rules;

    #[test]
    fn a_metric_of_several_kinds_is_one_and_a_rule_that_makes_none_is_there() {
        let overrides = |label: &str| format!("{{overrides: {{{label}: {{resource: {label}}}}}}}");
        let (namespace, pod) = (overrides("namespace"), overrides("pod"));
        let rules = format!(
            "rules:\n\
             - {{seriesQuery: depth, metricsQuery: x, resources: {namespace}}}\n\
             - {{seriesQuery: '{{__name__=~\"^a\"}}', metricsQuery: x, resources: {pod}}}\n\
             externalRules:\n\
             - {{query: max(lag), name: {{as: lag}}}}\n"
        );
        let rules = Arc::new(rules::parse(&rules).expect("test rules must parse").0);
        let snapshot = Snapshot::build(rules, Arc::new(Kinds::default()), &Listings::default());
        let made: Vec<_> = snapshot.made().into_iter().collect();
        let of = |rule: &str, count| (rule.to_owned(), count);
        assert_eq!(made.len(), 3, "{made:?}");
        assert!(made.contains(&of("rules[1]", 0)), "{made:?}");
        assert!(made.contains(&of("externalRules[0]", 1)), "{made:?}");
    }
}
