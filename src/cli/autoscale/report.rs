//! What is told of rounds: lines on standard output, metrics, the memory file. A disk may be slow,
//! so nobody who has other things to do does this.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::decision::{Act, Told};
use super::lines::Lines;
use super::metrics::Metrics;
use super::remembered::{File, Remembered};
use crate::config::LogFormat;

/// Reports that the reporter has yet to hear; who has one more waits.
const WAITING_MAX: usize = 64;

/// One round, and what it leaves to the next.
#[derive(Debug)]
pub(super) struct Heard {
    /// `NAMESPACE/NAME`
    pub(super) key: String,
    pub(super) told: Told,
    pub(super) remembered: Remembered,
}

/// What there is to hear.
#[derive(Debug)]
pub(super) enum Report {
    Round(Box<Heard>),
    /// Something is about to be done.
    Ahead {
        key: String,
        remembered: Box<Remembered>,
        /// Where to say that it is written, or why not.
        written: oneshot::Sender<Result<(), String>>,
    },
}

/// The way to the reporter.
#[derive(Clone, Debug)]
pub(super) struct Reports(mpsc::Sender<Report>);

/// Hears of all rounds.
#[derive(Debug)]
pub(super) struct Reporter {
    output: LogFormat,
    lines: Lines,
    metrics: Arc<Metrics>,
    file: Option<File>,
    /// The last round of each autoscaler.
    last: BTreeMap<String, Told>,
    /// Whether the memory file could not be written the last time.
    is_forgetful: bool,
}

/// A way to a reporter.
pub(super) fn reports() -> (Reports, mpsc::Receiver<Report>) {
    let (sender, reports) = mpsc::channel(WAITING_MAX);
    (Reports(sender), reports)
}

impl Reports {
    /// Tells of a round; whether anybody heard.
    pub(super) async fn round(&self, heard: Heard) -> bool {
        self.0.send(Report::Round(Box::new(heard))).await.is_ok()
    }

    /// Has written down what is to be known even if nobody lives to tell of what is done next.
    pub(super) async fn ahead(&self, key: String, remembered: Remembered) -> Result<(), String> {
        let (written, answer) = oneshot::channel();
        let report = Report::Ahead {
            key,
            remembered: Box::new(remembered),
            written,
        };
        let gone = "nobody is there to write the memory file";
        self.0.send(report).await.map_err(|_| gone)?;
        answer.await.map_err(|_| gone)?
    }
}

impl Reporter {
    pub(super) fn new(
        output: LogFormat,
        metrics: Arc<Metrics>,
        file: Option<File>,
    ) -> std::io::Result<Reporter> {
        Ok(Reporter {
            output,
            lines: Lines::new(std::io::stdout())?,
            metrics,
            file,
            last: BTreeMap::new(),
            is_forgetful: false,
        })
    }

    /// Hears all, and waits until all is written; whether all went well.
    pub(super) fn hear_all(mut self, mut reports: mpsc::Receiver<Report>) -> bool {
        let mut is_well = true;
        while let Some(report) = reports.blocking_recv() {
            match report {
                Report::Round(heard) => is_well &= self.hear(*heard),
                Report::Ahead {
                    key,
                    remembered,
                    written,
                } => {
                    // Who asked may have been told to stop.
                    let _ = written.send(self.keep(&key, *remembered));
                }
            }
        }
        self.lines.finish();
        is_well
    }

    /// Tells of a round; whether all went well in it.
    fn hear(&mut self, heard: Heard) -> bool {
        let Heard {
            key,
            told,
            remembered,
        } = heard;
        self.metrics.count(&told);
        let last = self.last.get(&key);
        let line = match self.output {
            LogFormat::Json => Some(serde_json::to_string(&told).unwrap_or_default()),
            LogFormat::Text => told.is_news_after(last).then(|| told.line()),
        };
        if line.is_some_and(|it| !self.lines.print(it)) {
            self.metrics.count_left_out();
        }
        if let Act::Failed(error) = &told.act {
            tracing::error!(autoscaler = key, error, "the replicas could not be set");
        }
        let is_kept = self.keep(&key, remembered).is_ok();
        let is_well = told.error.is_none();
        self.last.insert(key, told);
        is_well && is_kept
    }

    fn keep(&mut self, key: &str, remembered: Remembered) -> Result<(), String> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        let kept = file.keep(key, remembered);
        let kept = kept.map_err(|error| format!("{error:#}"));
        let was_forgetful = std::mem::replace(&mut self.is_forgetful, kept.is_err());
        match &kept {
            Ok(()) if was_forgetful => tracing::info!("--memory: can be written again"),
            Err(error) if !was_forgetful => {
                tracing::error!(error, "a restart would forget the last rounds");
            }
            _ => {}
        }
        kept
    }
}
