//! `tidegauge demo`: the whole loop on one machine, visibly.
//!
//! A load swells and ebbs; replicas of the example service follow it, for `tidegauge autoscale`
//! asks the adapter, the adapter asks Prometheus, and Prometheus scrapes the replicas. All of them
//! are real processes. Each shopper of the load checks at every step that its cart is what it put
//! there, whichever replica answers; a failed request or a lost session fails the demo.
//!
//! `story` says what the load does, `record` is what was seen, `chart` and `svg` draw it, `screen`
//! shows it. `processes` sees to it that nothing outlives the demo, `servers` and `replicas` are
//! what runs, `load` is the shoppers, who go where `rotation` says and count in `tally`; `run` puts
//! them together, and `lateness` tells whether the machine keeps up.

use std::ffi::OsString;
use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;

use super::processes::{self, Group};
use super::{NOBODY_READS, stopped};
use crate::app::stop::told_to_stop;
use crate::config::demo::Demo;
use lateness::Lateness;
use screen::Screen;

mod autoscaler;
mod chart;
mod ending;
mod http;
mod lateness;
mod load;
mod opening;
mod outage;
mod record;
mod replicas;
mod rotation;
mod run;
mod screen;
mod servers;
mod story;
mod svg;
mod tally;

/// As of a process that SIGINT ended.
const STOPPED: u8 = 130;

/// Runs the demo to its end, or until it is told to stop. `arguments` are those after `demo`.
pub async fn run(arguments: &[OsString]) -> ExitCode {
    let options = match Demo::from_process(arguments) {
        Ok(options) => options,
        Err(stop) => return stopped(&stop),
    };
    let group = match Group::new("demo") {
        Ok(group) => group,
        Err(error) => return failed(&error),
    };
    let mut screen = Screen::new(options.plain);
    // Known once the claims were checked; with --keep, Ctrl-C comes after that.
    let mut verdict = None;
    let lateness = Lateness::default();
    let outcome = tokio::select! {
        outcome = run::run(&options, &group, &mut screen, &mut verdict) => outcome,
        () = lateness.watch() => Ok(()),
        () = told_to_stop() => {
            // Where the terminal has echoed ^C.
            let _ = screen.say("\nTold to stop.");
            Ok(())
        }
    };
    let ended = group.end().await;
    let outcome = outcome.and(ended);
    let has_failed = outcome.is_err() || verdict == Some(false);
    let code = match outcome {
        Ok(()) => match verdict {
            Some(true) => ExitCode::SUCCESS,
            Some(false) => ExitCode::FAILURE,
            None => ExitCode::from(STOPPED),
        },
        Err(error) => failed(&error),
    };
    if let Some(excuse) = lateness.excuse().filter(|_| has_failed) {
        let _ = writeln!(std::io::stderr(), "\n{excuse}");
    }
    code
}

fn failed(error: &anyhow::Error) -> ExitCode {
    let kind = error
        .downcast_ref::<std::io::Error>()
        .map(std::io::Error::kind);
    if kind == Some(ErrorKind::BrokenPipe) {
        return ExitCode::from(NOBODY_READS);
    }
    // Nobody listening is no reason to fail otherwise.
    let _ = writeln!(std::io::stderr(), "\ntidegauge demo: {error:#}");
    ExitCode::FAILURE
}
