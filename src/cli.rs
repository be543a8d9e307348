//! The command line's subcommands. Without one the server runs, as prometheus-adapter does.

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use crate::config::{LogFormat, Stop};
use crate::telemetry;

pub mod autoscale;
pub mod check;
pub mod demo;
pub mod explain;
mod processes;
pub mod test;

/// As of a process that wrote where nobody reads.
const NOBODY_READS: u8 = 141;

/// Runs the subcommand that the arguments name, or `None` where they name none.
pub async fn run(arguments: &[OsString]) -> Option<ExitCode> {
    match arguments.get(1).and_then(|first| first.to_str()) {
        Some("autoscale") => Some(autoscale::run(arguments).await),
        Some("explain") => Some(explain::run().await),
        Some("check") => Some(check::run().await),
        Some("test") => Some(test::run().await),
        Some("demo") => Some(demo::run(&arguments[2..]).await),
        _ => None,
    }
}

/// Says why a command line has led to nothing: help to standard output, what is wrong to standard
/// error. The exit code to end with.
pub fn stopped(stop: &Stop) -> ExitCode {
    match stop {
        Stop::Asked(text) => written(text, stop.code()),
        Stop::Wrong(text) => {
            // Nobody listening is no reason to fail otherwise.
            let _ = std::io::stderr().write_all(text.as_bytes());
            ExitCode::from(stop.code())
        }
    }
}

/// Says why a command has come to nothing. The exit code to end with.
fn failed(command: &str, error: &anyhow::Error, code: u8) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "tidegauge {command}: {error:#}");
    ExitCode::from(code)
}

/// Prints what was asked for; nobody who reads is an end of its own.
fn written(text: &str, code: u8) -> ExitCode {
    let mut output = std::io::stdout().lock();
    match output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
    {
        Ok(()) => ExitCode::from(code),
        Err(_) => ExitCode::from(NOBODY_READS),
    }
}

/// The same of a process that logs: what is wrong is told as it logs.
pub fn stopped_in(format: LogFormat, stop: &Stop) -> ExitCode {
    match stop {
        Stop::Asked(_) => stopped(stop),
        Stop::Wrong(text) => {
            cannot_start(format, text);
            ExitCode::from(stop.code())
        }
    }
}

/// Says why a process that logs ends: to people, or as one more line of its log, whether that has
/// begun or not.
pub fn cannot_start(format: LogFormat, text: &str) {
    let text = text.trim_end();
    match format {
        LogFormat::Text => {
            // Nobody listening is no reason to fail otherwise.
            let _ = writeln!(std::io::stderr(), "{text}");
        }
        LogFormat::Json => {
            let _begun = telemetry::start_logging(true, 0);
            tracing::error!("{text}");
        }
    }
}
