//! The command line's subcommands. Without one the server runs, as prometheus-adapter does.

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use crate::config::Stop;

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
        Some("autoscale") => Some(autoscale::run().await),
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
