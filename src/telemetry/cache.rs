//! What is remembered of Prometheus' answers.

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::words::Words;
use super::{Limit, Reached};

/// The memory for answers. Clones count in the same.
#[derive(Clone, Debug)]
pub struct Cache {
    /// Queries that are remembered, about.
    pub entries: Gauge,
    /// What they count for, in bytes.
    pub bytes: Gauge,
    /// What they may.
    pub bytes_max: Gauge,
    evictions: Words,
    reached: Reached,
}

/// Why a query is not remembered any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evicted {
    /// Nobody asked for it.
    Idle,
    /// There was no room for it.
    Size,
}

impl Cache {
    /// Empty; what finds no room is counted in `reached`, too.
    pub fn new(reached: &Reached) -> Cache {
        Cache {
            entries: Gauge::default(),
            bytes: Gauge::default(),
            bytes_max: Gauge::default(),
            evictions: Words::new("cause", ["idle", "size"]),
            reached: reached.clone(),
        }
    }

    /// A query is forgotten.
    pub fn evicted(&self, cause: Evicted) {
        match cause {
            Evicted::Idle => self.evictions.count("idle"),
            Evicted::Size => {
                self.evictions.count("size");
                self.reached.count(Limit::QueryCache);
            }
        }
    }

    pub(super) fn register(&self, own: &mut Registry) {
        own.register(
            "query_cache_entries",
            "Queries whose rows are remembered",
            self.entries.clone(),
        );
        own.register(
            "query_cache_bytes",
            "What remembered queries count for; each counts for its share of --query-cache-bytes \
             among --query-cache-entries at least",
            self.bytes.clone(),
        );
        own.register(
            "query_cache_max_bytes",
            "What they may count for (--query-cache-bytes)",
            self.bytes_max.clone(),
        );
        own.register(
            "query_cache_evictions",
            "Queries that were forgotten: idle, for nobody asked, or size, for there was no room",
            self.evictions.clone(),
        );
    }
}
