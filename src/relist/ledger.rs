//! What is known of each rule's series. It outlasts a reload of the rules: a rule is found again by
//! what it says and by whom it is asked of, not by where it stands.

use std::collections::HashMap;
use std::sync::Arc;

use super::Configuration;
use super::news::Told;
use crate::prometheus::Backend;
use crate::registry::{Known, Listings};
use crate::rules::{Identity, Rule};

/// One rule asked of one backend.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) identity: Identity,
    pub(super) backend: Arc<Backend>,
}

/// The rules that say the same, nearly always one, and what is known of their series.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) rules: Vec<Arc<Rule>>,
    pub(super) known: Known,
    pub(super) told: Told,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    entries: HashMap<Key, Entry>,
}

impl Ledger {
    /// Nothing is known yet of the rules of `configuration`.
    pub(super) fn new(configuration: &Configuration) -> Ledger {
        let mut ledger = Ledger::default();
        ledger.replace(configuration);
        ledger
    }

    /// Takes the rules of `configuration` for those there were. What was known of a rule that is
    /// still there is known of it, and so is what was known of one that has another query or other
    /// names for the same series; the others are given, in the order of the files, each once.
    #[expect(
        clippy::mutable_key_type,
        reason = "a backend is compared by its plan, which never changes"
    )]
    pub(super) fn replace(&mut self, configuration: &Configuration) -> Vec<Arc<Rule>> {
        let mut before = std::mem::take(&mut self.entries);
        let surveyed = before.iter().filter_map(|(key, entry)| {
            let survey = entry.rules.first()?.survey.clone();
            let known = entry.known.answered.then(|| entry.known.clone())?;
            Some(((survey, Arc::clone(&key.backend)), known))
        });
        let surveyed: HashMap<_, Known> = surveyed.collect();
        let mut fresh = Vec::new();
        for rule in configuration.rules.series_rules() {
            let key = configuration.key(rule);
            let entry = self.entries.entry(key.clone()).or_insert_with(|| {
                if let Some(former) = before.remove(&key) {
                    let rules = Vec::new();
                    return Entry { rules, ..former };
                }
                let survey = (rule.survey.clone(), Arc::clone(&key.backend));
                let known = surveyed.get(&survey).cloned();
                if known.is_none() {
                    fresh.push(Arc::clone(rule));
                }
                Entry {
                    known: known.unwrap_or_default(),
                    ..Entry::default()
                }
            });
            entry.rules.push(Arc::clone(rule));
        }
        fresh
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Entry> {
        self.entries.get(key)
    }

    pub(super) fn get_mut(&mut self, key: &Key) -> Option<&mut Entry> {
        self.entries.get_mut(key)
    }

    /// All of it, in the order of the rules of `configuration`.
    pub(super) fn listings(&self, configuration: &Configuration) -> Listings {
        let known = |rule: &Arc<Rule>| {
            let entry = self.get(&configuration.key(rule));
            entry.map(|it| it.known.clone()).unwrap_or_default()
        };
        let of = |rules: &[Arc<Rule>]| rules.iter().map(known).collect();
        Listings {
            custom: of(&configuration.rules.custom),
            external: of(&configuration.rules.external),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prometheus::backend::tests::nobody;
    use crate::rules;

    /// A rule for each word, in this order, all asked of the backend of this name.
    fn configuration(words: &[&str], backend: &str) -> Configuration {
        let rule = |word: &&str| format!("- {{seriesQuery: {word}, metricsQuery: x}}\n");
        let text: String = words.iter().map(rule).collect();
        let rules = rules::parse(&format!("rules:\n{text}")).unwrap().0;
        Configuration {
            rules: Arc::new(rules),
            backends: Arc::new(vec![nobody(backend)]),
        }
    }

    fn answer_all(ledger: &mut Ledger) {
        for (key, entry) in &mut ledger.entries {
            entry.known.answered = true;
            entry.known.failure = Some(format!("{:?}", key.identity));
        }
    }

    fn words(rules: &[Arc<Rule>]) -> Vec<&str> {
        let rules = rules.iter();
        rules.map(|it| it.series_query.text.as_str()).collect()
    }

    fn known(ledger: &Ledger, configuration: &Configuration) -> Vec<bool> {
        let listings = ledger.listings(configuration);
        listings.custom.iter().map(|it| it.answered).collect()
    }

    #[test]
    fn what_is_known_of_a_rule_moves_with_it() {
        let mut ledger = Ledger::new(&configuration(&["a", "b", "c"], "x"));
        answer_all(&mut ledger);
        let next = configuration(&["new", "c", "a"], "x");
        assert_eq!(words(&ledger.replace(&next)), ["new"]);
        assert_eq!(known(&ledger, &next), [false, true, true]);
        for rule in &next.rules.custom[1..] {
            let entry = ledger.get(&next.key(rule)).unwrap();
            // Its own, not that of the rule that stood there.
            assert_eq!(entry.known.failure, Some(format!("{:?}", rule.identity)));
            assert_eq!(entry.rules[0].id, rule.id);
        }
        // One that was gone is as new when it comes back.
        assert_eq!(words(&ledger.replace(&configuration(&["b"], "x"))), ["b"]);
    }

    /// Rules of this text each.
    fn saying(rules: &[&str]) -> Configuration {
        let text: String = rules.iter().map(|rule| format!("- {rule}\n")).collect();
        let rules = rules::parse(&format!("rules:\n{text}")).unwrap().0;
        Configuration {
            rules: Arc::new(rules),
            ..configuration(&[], "x")
        }
    }

    #[test]
    fn a_rule_with_another_query_or_other_names_for_the_same_series_is_not_asked_about_again() {
        let mut ledger = Ledger::new(&saying(&["{seriesQuery: a, metricsQuery: x}"]));
        // Nothing is known that could be handed on.
        let next = saying(&["{seriesQuery: a, metricsQuery: y}"]);
        assert_eq!(words(&ledger.replace(&next)), ["a"]);
        answer_all(&mut ledger);
        let next = saying(&[
            "{seriesQuery: a, metricsQuery: z, ttl: 1s, seriesFilters: [{is: b}]}",
            "{seriesQuery: a, metricsQuery: z, name: {as: other}}",
            "{seriesQuery: a, metricsQuery: z, resources: {template: 'k_<<.Resource>>'}}",
        ]);
        let fresh = ledger.replace(&next);
        let fresh: Vec<usize> = fresh.iter().map(|rule| rule.id.index).collect();
        assert_eq!(fresh, [2]);
        assert_eq!(known(&ledger, &next), [true, true, false]);
        let elsewhere = Configuration {
            rules: Arc::clone(&next.rules),
            ..configuration(&[], "y")
        };
        assert_eq!(ledger.replace(&elsewhere).len(), 3);
    }

    #[test]
    fn a_rule_that_is_asked_of_another_backend_is_another_rule() {
        let mut ledger = Ledger::new(&configuration(&["a"], "x"));
        answer_all(&mut ledger);
        assert!(ledger.replace(&configuration(&["a"], "x")).is_empty());
        let next = configuration(&["a"], "y");
        assert_eq!(words(&ledger.replace(&next)), ["a"]);
        assert_eq!(known(&ledger, &next), [false]);
    }

    #[test]
    fn rules_that_say_the_same_are_asked_about_once() {
        let twice = configuration(&["a", "b", "a"], "x");
        let mut ledger = Ledger::default();
        assert_eq!(words(&ledger.replace(&twice)), ["a", "b"]);
        answer_all(&mut ledger);
        assert_eq!(known(&ledger, &twice), [true, true, true]);
        let key = twice.key(&twice.rules.custom[0]);
        assert_eq!(ledger.get(&key).unwrap().rules.len(), 2);
    }
}
