//! The rules: whether they can be listed, what they make, and what their answers lack.

use std::collections::BTreeMap;

use prometheus_client::registry::Registry;

use super::{Metrics, RuleLabel};

impl Metrics {
    pub(super) fn register_rules(&self, own: &mut Registry) {
        own.register(
            "rule_list_failures",
            "Failed listings of a rule; it keeps its last names",
            self.rule_failures.clone(),
        );
        own.register(
            "rule_up",
            "Whether a rule's last listing succeeded",
            self.rule_up.clone(),
        );
        own.register(
            "rule_metrics",
            "Metrics that a rule makes",
            self.rule_metrics.clone(),
        );
        own.register(
            "rule_empty_answers",
            "Answers without any value, although Prometheus was asked",
            self.rule_empty.clone(),
        );
        own.register(
            "metrics_listed",
            "Metrics that can be asked for",
            self.metrics_listed.clone(),
        );
        own.register(
            "discovery_metrics_omitted",
            "Metrics that discovery documents do not list, for there are more than their limit",
            self.discovery_omitted.clone(),
        );
        own.register(
            "samples_not_a_number",
            "Rows that answers lack because the sample is NaN, infinite or a native histogram",
            self.samples_not_a_number.clone(),
        );
        own.register(
            "samples_ambiguous",
            "Rows that named an object a second time; the last one counts",
            self.samples_ambiguous.clone(),
        );
    }

    /// Shows how many metrics each rule makes.
    pub fn show_made(&self, made: &BTreeMap<String, usize>) {
        for (rule, count) in made {
            let rule = rule.clone();
            let gauge = self.rule_metrics.get_or_create_owned(&RuleLabel { rule });
            gauge.set(i64::try_from(*count).unwrap_or(i64::MAX));
        }
    }

    /// The rule that stood there is gone, or another one stands there now: what was counted of it
    /// ends. Each family with a [`RuleLabel`] is named here.
    pub fn forget_rule(&self, rule: &str) {
        let label = RuleLabel {
            rule: rule.to_owned(),
        };
        self.rule_up.remove(&label);
        self.rule_metrics.remove(&label);
        self.rule_failures.remove(&label);
        self.rule_empty.remove(&label);
        self.samples_not_a_number.remove(&label);
        self.samples_ambiguous.remove(&label);
    }
}
