//! What is told of rounds: lines on standard output, metrics, the memory file.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;

use super::decision::{Act, Told};
use super::metrics::Metrics;
use super::remembered::{File, Remembered};
use crate::config::LogFormat;

/// One round, and what it leaves to the next.
#[derive(Debug)]
pub(super) struct Heard {
    /// `NAMESPACE/NAME`
    pub(super) key: String,
    pub(super) told: Told,
    pub(super) remembered: Remembered,
}

/// Hears of all rounds.
#[derive(Debug)]
pub(super) struct Reporter {
    output: LogFormat,
    metrics: Arc<Metrics>,
    file: Option<File>,
    /// The last round of each autoscaler.
    last: BTreeMap<String, Told>,
    /// Whether the memory file could not be written the last time.
    is_forgetful: bool,
}

impl Reporter {
    pub(super) fn new(output: LogFormat, metrics: Arc<Metrics>, file: Option<File>) -> Reporter {
        Reporter {
            output,
            metrics,
            file,
            last: BTreeMap::new(),
            is_forgetful: false,
        }
    }

    /// Tells of a round; whether all went well in it.
    pub(super) fn hear(&mut self, heard: Heard) -> bool {
        let Heard {
            key,
            told,
            remembered,
        } = heard;
        self.metrics.count(&told);
        let last = self.last.get(&key);
        match self.output {
            LogFormat::Json => print(&serde_json::to_string(&told).unwrap_or_default()),
            LogFormat::Text if told.is_news_after(last) => print(&told.line()),
            LogFormat::Text => {}
        }
        if let Act::Failed(error) = &told.act {
            tracing::error!(autoscaler = key, error, "the replicas could not be set");
        }
        let is_kept = self.keep(&key, remembered);
        let is_well = told.error.is_none();
        self.last.insert(key, told);
        is_well && is_kept
    }

    fn keep(&mut self, key: &str, remembered: Remembered) -> bool {
        let Some(file) = &mut self.file else {
            return true;
        };
        let kept = file.keep(key, remembered);
        let was_forgetful = std::mem::replace(&mut self.is_forgetful, kept.is_err());
        match kept {
            Ok(()) if was_forgetful => tracing::info!("--memory: can be written again"),
            Err(error) if !was_forgetful => {
                let error = format!("{error:#}");
                tracing::error!(error, "a restart would forget the last rounds");
            }
            _ => {}
        }
        !self.is_forgetful
    }
}

/// Nobody listening (`| head`) is no reason to stop scaling.
fn print(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
