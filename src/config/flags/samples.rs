//! Flags of what is remembered of Prometheus' answers.

use std::num::{NonZeroU64, NonZeroUsize};
use std::time::Duration;

use crate::config::values;
use crate::rules::Widen;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Cache")]
pub(in crate::config) struct Samples {
    /// How old an answer of Prometheus may be and still answer for now. Autoscalers that ask the
    /// same share one query, and those that ask regularly find the answer fetched ahead of them.
    /// Add it to your scrape interval to know how late a value may be. 0s asks Prometheus each
    /// time.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = values::duration)]
    pub(in crate::config) query_ttl: Duration,
    /// For how long after --query-ttl the last answer is given while Prometheus fails, with its own
    /// timestamp: a restart goes unnoticed. After that asks fail with the cause, and autoscalers
    /// hold. 0s fails at once.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = values::duration)]
    pub(in crate::config) stale_grace: Duration,
    /// For how many objects one query may be asked: auto, namespace or off. With auto, one query
    /// for all of a namespace, or of all namespaces, stands for those that autoscalers ask for
    /// theirs, wherever the rule's query is proven to give the same, and is given up where it is
    /// too large or too slow. A rule's own `widen` counts more. With off, each ask is its own
    /// query, as in the Go adapter.
    #[arg(long, value_name = "HOW", default_value = "auto", value_parser = values::widen)]
    pub(in crate::config) widening: Widen,
    /// Queries whose answers are remembered. Beyond it those that nobody asks for are forgotten.
    #[arg(long, value_name = "COUNT", default_value = "20000")]
    pub(in crate::config) query_cache_entries: NonZeroU64,
    /// Memory for remembered answers; a row of a metric of pods takes about 80 bytes.
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = values::bytes)]
    pub(in crate::config) query_cache_bytes: u64,
    /// Rows that one query may give. More are an error, and one query for many objects is replaced
    /// by smaller ones.
    #[arg(long, value_name = "COUNT", default_value = "200000")]
    pub(in crate::config) max_rows: NonZeroUsize,
    /// How long the text of one query may be. A longer one is asked in parts where that is proven
    /// to give the same, and else is an error that says so. VictoriaMetrics takes 16KiB
    /// (-search.maxQueryLen), and few proxies take less.
    #[arg(long, value_name = "SIZE", default_value = "16KiB", value_parser = values::bytes)]
    pub(in crate::config) max_query_bytes: u64,
}
