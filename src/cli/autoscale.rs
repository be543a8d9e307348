//! `tidegauge autoscale`: the HorizontalPodAutoscaler for places without its controller.
//!
//! The algorithm is `crate::autoscale`; here is what stands around it. `manifests` reads the files,
//! `world` asks a metrics API and a cluster, `command` runs the commands of the user, `round` puts
//! them together for one autoscaler. Each autoscaler has a task of its own, so that one whose
//! command hangs delays no other; one reporter hears of all rounds, and alone writes standard
//! output, the metrics and the memory file.
//!
//! Promises: what could not be read changes nothing; told to stop, it stops at once, and kills a
//! command that runs; what is about to be done is written down first; who reads standard output
//! holds nothing up.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use tokio::task::{JoinError, JoinHandle, JoinSet, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{cannot_start, stopped_in};
use crate::app::stop::told_to_stop;
use crate::config::LogFormat;
use crate::config::autoscale::Autoscale;
use crate::telemetry;
use manifests::key;
use report::{Heard, Reporter, Reports, reports};
use round::Autoscaler;

mod command;
mod decision;
mod lines;
pub(super) mod manifests;
mod metrics;
mod remembered;
mod report;
mod round;
mod start;
pub(super) mod target;
mod world;

/// With `--once`: something could not be read, set or written. Without: a task of ours has ended.
const FAILED: u8 = 1;

/// The flags or the files cannot be used.
const UNUSABLE: u8 = 2;

/// How long what was done last may take to be written, once it is time to stop.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Runs it until it is told to stop, or once.
pub async fn run(arguments: &[OsString]) -> ExitCode {
    let flags = match Autoscale::from_process() {
        Ok(flags) => flags,
        Err(stop) => return stopped_in(LogFormat::asked_for(arguments), &stop),
    };
    let format = flags.log.format;
    let json = format == LogFormat::Json;
    let started = telemetry::start_logging(json, flags.log.verbosity);
    let mut background = JoinSet::new();
    match started.and_then(|()| start::start(flags, &mut background)) {
        Ok(run) => {
            let is_well = run.rounds(&mut background).await;
            background.shutdown().await;
            ExitCode::from(if is_well { 0 } else { FAILED })
        }
        Err(error) => {
            cannot_start(format, &format!("tidegauge autoscale: {error:#}"));
            ExitCode::from(UNUSABLE)
        }
    }
}

/// All that was read and opened at the start.
struct Run {
    once: bool,
    interval: Duration,
    autoscalers: Vec<Autoscaler>,
    reporter: Reporter,
}

impl Run {
    /// Makes rounds until each autoscaler has made its one, or it is told to stop; whether all went
    /// well.
    async fn rounds(self, background: &mut JoinSet<()>) -> bool {
        let (reports, heard) = reports();
        let mut reporter = spawn_blocking(move || self.reporter.hear_all(heard));
        let mut tasks = JoinSet::new();
        for autoscaler in self.autoscalers {
            let pace = (!self.once).then_some(self.interval);
            tasks.spawn(rounds_of(autoscaler, pace, reports.clone()));
        }
        drop(reports);
        let is_well = tokio::select! {
            is_well = all_told(&mut tasks, &mut reporter) => return is_well,
            Some(Err(error)) = background.join_next() => ended(&error),
            () = told_to_stop() => {
                tracing::info!("told to stop");
                !self.once
            }
        };
        // A round that is under way ends here.
        tasks.shutdown().await;
        // Nobody may read standard output.
        let _written = timeout(LAST_WORDS, reporter).await;
        is_well
    }
}

/// Waits until each autoscaler has made its rounds and all is told of them; whether all went well.
async fn all_told(tasks: &mut JoinSet<()>, reporter: &mut JoinHandle<bool>) -> bool {
    while let Some(end) = tasks.join_next().await {
        // One that ends early has panicked: whoever started us is to start us again, rather than to
        // be one autoscaler short without a word.
        if let Err(error) = end {
            return ended(&error);
        }
    }
    reporter.await.unwrap_or_else(|error| ended(&error))
}

/// One round, or one at each `pace`.
async fn rounds_of(mut autoscaler: Autoscaler, pace: Option<Duration>, reports: Reports) {
    autoscaler.shared.world.known().await;
    let mut ticks = pace.map(|pace| {
        let mut ticks = interval(pace);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks
    });
    loop {
        if let Some(ticks) = &mut ticks {
            ticks.tick().await;
        }
        let told = autoscaler.round(&reports).await;
        let heard = Heard {
            key: key(&autoscaler.hpa),
            told,
            remembered: autoscaler.remembered(),
        };
        if !reports.round(heard).await || ticks.is_none() {
            return;
        }
    }
}

fn ended(error: &JoinError) -> bool {
    tracing::error!(%error, "stopping: a task has ended");
    false
}
