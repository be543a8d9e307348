//! The rules: whether they can be listed, what they make, and what their answers lack.

use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::{Metrics, RuleLabel};

/// For rounds over all rules, which have a deadline of their own.
pub(super) fn relist_seconds() -> Histogram {
    Histogram::new([
        0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0,
    ])
}

impl Metrics {
    pub(super) fn register_rules(&self, own: &mut Registry) {
        own.register("relists", "Relists begun", self.relists.clone());
        own.register(
            "relist_duration_seconds",
            "How long it took to list all rules of a backend, whether that went well or not",
            self.relist_took.clone(),
        );
        own.register(
            "relist_last_success_timestamp_seconds",
            "When all rules of a backend were last listed",
            self.relist_success.clone(),
        );
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
            "relist_last_timestamp_seconds",
            "When all rules were last listed, of the backend where that is longest ago",
            self.relist_timestamp.clone(),
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
    /// Shows a rule no longer: the file does not have it any more.
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
