//! The command line's subcommands. Without one the server runs, as prometheus-adapter does.

use std::ffi::OsString;
use std::process::ExitCode;

pub mod autoscale;
pub mod check;
pub mod demo;
pub mod explain;
mod processes;
pub mod test;

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
