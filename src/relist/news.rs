//! What the log is told of rules that cannot be listed: a line for each cause, however many rules
//! it is about, and none for what was told before.

use std::collections::{BTreeMap, BTreeSet};

use crate::rules::{Rule, RuleId};

/// Causes that are told of one rule before it is listed again. One that fails in so many ways is
/// told enough about.
const CAUSES_MAX: usize = 8;

/// Rules that a line names.
const NAMED_MAX: usize = 10;

/// Lines about causes at one time.
const LINES_MAX: usize = 20;

/// Where a rule stands, and in which line of its file.
type Place = (RuleId, usize);

/// What has come up since the log was told last.
#[derive(Debug, Default)]
pub(super) struct News {
    /// The rules that cannot be listed, by the cause.
    failed: BTreeMap<String, Vec<Place>>,
    listed: Vec<Place>,
}

/// The causes that were told of one rule since it was listed last.
#[derive(Debug, Default)]
pub(super) struct Told(BTreeSet<String>);

impl News {
    /// A rule cannot be listed, for this cause.
    pub(super) fn failed(&mut self, rule: &Rule, told: &mut Told, cause: &str) {
        if told.0.len() < CAUSES_MAX && told.0.insert(cause.to_owned()) {
            let rules = self.failed.entry(cause.to_owned()).or_default();
            rules.push(place(rule));
        }
    }

    /// A rule is listed.
    pub(super) fn listed(&mut self, rule: &Rule, told: &mut Told) {
        if !told.0.is_empty() {
            *told = Told::default();
            self.listed.push(place(rule));
        }
    }

    /// Tells the log.
    pub(super) fn tell(&mut self) {
        let News { failed, listed } = std::mem::take(self);
        let further = failed.len().saturating_sub(LINES_MAX);
        for (error, rules) in failed.into_iter().take(LINES_MAX) {
            let rules = named(rules);
            tracing::warn!(
                rules,
                error,
                "cannot be listed; the names that there were stay"
            );
        }
        if further > 0 {
            tracing::warn!(further, "rules cannot be listed for further causes");
        }
        if !listed.is_empty() {
            tracing::info!(rules = named(listed), "listed again");
        }
    }
}

fn place(rule: &Rule) -> Place {
    (rule.id.clone(), rule.line)
}

/// As people find them, in the order of the files.
fn named(mut rules: Vec<Place>) -> String {
    rules.sort();
    let named = rules.iter().take(NAMED_MAX);
    let named: Vec<String> = named
        .map(|(id, line)| format!("{id} (line {line})"))
        .collect();
    let named = named.join(", ");
    match rules.len().saturating_sub(NAMED_MAX) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules;

    #[test]
    fn a_cause_is_told_of_all_its_rules_at_once_and_of_each_once_until_it_is_listed() {
        let text = "- {seriesQuery: x, metricsQuery: x}\n".repeat(12);
        let rules = rules::parse(&format!("rules:\n{text}")).unwrap().0.custom;
        let mut told: Vec<Told> = rules.iter().map(|_| Told::default()).collect();
        let mut news = News::default();
        for cause in ["refused", "timeout", "refused", "timeout"] {
            for (rule, told) in rules.iter().zip(&mut told) {
                news.failed(rule, told, cause);
            }
        }
        news.failed.get_mut("refused").unwrap().reverse();
        let refused = news.failed["refused"].clone();
        assert_eq!((news.failed.len(), refused.len()), (2, 12));
        assert!(named(refused.clone()).starts_with("rules[0] (line 2), rules[1] (line 3), "));
        assert!(named(refused).ends_with(", rules[9] (line 11) and 2 more"));
        news.tell();
        news.failed(&rules[0], &mut told[0], "refused");
        assert!(news.failed.is_empty());
        news.listed(&rules[0], &mut told[0]);
        news.listed(&rules[0], &mut told[0]);
        assert_eq!(news.listed, [place(&rules[0])]);
        news.failed(&rules[0], &mut told[0], "refused");
        assert_eq!(news.failed.len(), 1);
    }

    #[test]
    fn a_rule_that_fails_in_ever_other_ways_is_told_of_some() {
        let rules = rules::parse("rules: [{seriesQuery: x, metricsQuery: x}]\n")
            .unwrap()
            .0;
        let (mut news, mut told) = (News::default(), Told::default());
        for number in 0..1000 {
            news.failed(&rules.custom[0], &mut told, &number.to_string());
        }
        assert_eq!(news.failed.len(), CAUSES_MAX);
    }
}
