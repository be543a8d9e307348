//! The process's log: lines on standard error, for people or for machines.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts logging to standard error: lines for people, or one JSON object a line. `verbosity` is
/// klog's: 0 is normal, 6 shows each upstream query.
///
/// # Errors
/// When logging was started before.
pub fn start_logging(json: bool, verbosity: u8) -> anyhow::Result<()> {
    let level = match verbosity {
        0..=5 => "tidegauge=info,warn",
        6..=9 => "tidegauge=debug,info",
        _ => "tidegauge=trace,debug",
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(level))
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let started = match json {
        true => builder.json().flatten_event(true).try_init(),
        false => builder.with_target(false).try_init(),
    };
    started.map_err(|e| anyhow::anyhow!("cannot start logging: {e}"))
}

/// An error with all its causes on one line: each level says only its own part.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
