//! Metrics of the rules files: which are in force, and whether newer ones were refused.

use std::sync::atomic::AtomicU64;

use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// What is in force, and since when.
#[derive(Clone, Debug, Default)]
pub struct ConfigMetrics {
    successful: Gauge,
    succeeded_at: Gauge<f64, AtomicU64>,
    hash: Family<HashLabel, Gauge>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HashLabel {
    hash: String,
}

impl ConfigMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "config_last_reload_successful",
            "Whether the rules that stand in the files now are in force: 0 where they were refused \
             and older ones stay",
            self.successful.clone(),
        );
        registry.register(
            "config_last_reload_success_timestamp_seconds",
            "When rules were last read and found good",
            self.succeeded_at.clone(),
        );
        registry.register(
            "config_hash",
            "1 for the rules in force: the first digits of the SHA-256 of their files. Replicas \
             with the same rules have the same",
            self.hash.clone(),
        );
    }

    /// What stands in the files is in force since `at`, and known by this hash.
    pub fn succeeded(&self, hash: &str, at: Timestamp) {
        let hash = hash.to_owned();
        let label = HashLabel { hash };
        if self.hash.get(&label).is_none() {
            self.hash.clear();
        }
        self.hash.get_or_create(&label).set(1);
        self.successful.set(1);
        self.succeeded_at.set(at.as_second() as f64);
    }

    /// What stands in the files is refused.
    pub fn failed(&self) {
        self.successful.set(0);
    }
}
