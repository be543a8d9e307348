//! Relists: how long they take, and since when each backend's rules are listed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::BackendLabel;

/// The relists of all backends. Clones count in the same.
#[derive(Clone, Debug)]
pub struct Relists {
    /// Relists begun.
    pub begun: Counter,
    took: Family<BackendLabel, Histogram>,
    listed: Listed,
}

/// When all rules of each backend were last listed, in seconds since the epoch.
#[derive(Clone, Debug, Default)]
struct Listed(Arc<Mutex<BTreeMap<String, Option<i64>>>>);

impl Default for Relists {
    fn default() -> Relists {
        Relists {
            begun: Counter::default(),
            took: Family::new_with_constructor(seconds),
            listed: Listed::default(),
        }
    }
}

/// Up to more than `--relist-timeout`, which is 30 s if nobody says otherwise.
fn seconds() -> Histogram {
    Histogram::new([
        0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0,
    ])
}

impl Relists {
    pub(super) fn register(&self, own: &mut Registry) {
        own.register("relists", "Relists begun", self.begun.clone());
        own.register(
            "relist_duration_seconds",
            "How long it took to list all rules of a backend, well or not",
            self.took.clone(),
        );
        own.register_collector(Box::new(self.listed.clone()));
    }

    /// It took so long to ask about all rules of a backend.
    pub fn ended(&self, backend: &str, took: Duration) {
        let backend = backend.to_owned();
        let took_by = self.took.get_or_create(&BackendLabel { backend });
        took_by.observe(took.as_secs_f64());
    }

    /// All rules of a backend were last listed at `at`, in seconds since the epoch; `None`: they
    /// never were.
    pub fn listed(&self, backend: &str, at: Option<i64>) {
        self.listed.lock().insert(backend.to_owned(), at);
    }

    /// No rule asks this backend any more.
    pub fn forget(&self, backend: &str) {
        self.listed.lock().remove(backend);
        let backend = backend.to_owned();
        self.took.remove(&BackendLabel { backend });
    }

    /// When the rules of the backend that is furthest behind were last all listed, in seconds since
    /// the epoch; `None`: those of one never were.
    pub fn oldest(&self) -> Option<i64> {
        let listed = self.listed.lock();
        let all: Option<Vec<i64>> = listed.values().copied().collect();
        all?.into_iter().min()
    }
}

impl Listed {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Option<i64>>> {
        // Nothing that holds this lock can panic and leave half a change behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for Listed {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let name = "relist_last_success_timestamp_seconds";
        let help = "When all rules of a backend were last listed; none where they never were.";
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (backend, at) in &*self.lock() {
            if let Some(at) = at {
                let labels = [("backend", backend.as_str())];
                ConstGauge::new(*at).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Metrics;

    #[test]
    fn each_backend_has_its_own_and_the_oldest_is_told_once_all_have_one() {
        let metrics = Metrics::new();
        let relists = &metrics.relists;
        assert_eq!(relists.oldest(), None);
        relists.listed("default", Some(1_700_000_100));
        relists.listed("eu", None);
        assert_eq!(relists.oldest(), None);
        let line = |backend| {
            format!("tidegauge_relist_last_success_timestamp_seconds{{backend=\"{backend}\"}} ")
        };
        assert!(metrics.text().contains(&(line("default") + "1700000100\n")));
        assert!(!metrics.text().contains(&line("eu")), "{}", metrics.text());
        relists.listed("eu", Some(1_700_000_000));
        relists.ended("eu", Duration::from_millis(20));
        assert_eq!(relists.oldest(), Some(1_700_000_000));
        let took = "tidegauge_relist_duration_seconds_bucket{le=\"0.025\",backend=\"eu\"} 1\n";
        assert!(metrics.text().contains(took), "{}", metrics.text());
        relists.forget("eu");
        assert_eq!(relists.oldest(), Some(1_700_000_100));
        assert!(!metrics.text().contains("backend=\"eu\""));
    }
}
