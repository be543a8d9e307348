//! A counter for each of a few words, for what is counted at every request: found without a lock
//! that others wait for, and without a text made for it. No further series can come of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;

/// Counters, all of them there from the start. Clones count in the same.
#[derive(Clone, Debug)]
pub struct Words {
    label: &'static str,
    words: Arc<[&'static str]>,
    counts: Arc<[AtomicU64]>,
}

impl Words {
    /// A counter for each of `words`, which are the values of `label`.
    pub(super) fn new<const N: usize>(label: &'static str, words: [&'static str; N]) -> Words {
        Words {
            label,
            words: Arc::new(words),
            counts: words.iter().map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Counts one more. A word that is none of them would be a mistake of this program, and is
    /// counted nowhere.
    pub fn count(&self, word: &str) {
        let place = self.words.iter().position(|known| *known == word);
        debug_assert!(
            place.is_some(),
            "{word} must be among the values of {}",
            self.label
        );
        if let Some(count) = place.and_then(|place| self.counts.get(place)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often it was counted.
    pub fn get(&self, word: &str) -> u64 {
        let place = self.words.iter().position(|known| *known == word);
        let count = place.and_then(|place| self.counts.get(place));
        count.map_or(0, |count| count.load(Ordering::Relaxed))
    }
}

impl EncodeMetric for Words {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        for (word, count) in self.words.iter().zip(self.counts.iter()) {
            let labels = [(self.label, *word)];
            let count = ConstCounter::new(count.load(Ordering::Relaxed));
            count.encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Counter
    }
}
