//! The process's log: lines on standard error, for people or for machines.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::IsTerminal;
use std::panic;

use tracing_subscriber::EnvFilter;

/// Starts logging to standard error: lines for people, or one JSON object a line. `verbosity` is
/// klog's: 0 is normal, 6 shows each upstream query. From then on a panic is a line of it, too.
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
    started.map_err(|e| anyhow::anyhow!("cannot start logging: {e}"))?;
    panic::set_hook(Box::new(|panicked| {
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("without a name");
        let place = panicked.location().map(ToString::to_string);
        // Only where RUST_BACKTRACE asks for it.
        let backtrace = Backtrace::capture();
        let is_wanted = backtrace.status() == BacktraceStatus::Captured;
        let backtrace = is_wanted.then(|| backtrace.to_string());
        let text = panic_text(panicked.payload());
        tracing::error!(panic = text, place, thread, backtrace, "panicked");
    }));
    Ok(())
}

/// What a panic said.
pub fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("not a text")
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

#[cfg(test)]
mod tests {
    use std::process::Command;

    use serde_json::Value;

    use super::*;

    #[test]
    #[ignore = "it is the process that the next test looks at"]
    fn a_process_in_which_something_panics() {
        start_logging(true, 0).unwrap();
        let worker = std::thread::Builder::new().name("worker".to_owned());
        let ended = worker.spawn(|| assert_eq!(1, 2, "two\nlines"));
        ended.unwrap().join().unwrap_err();
    }

    #[test]
    fn a_panic_is_one_line_of_a_log_in_json() {
        let this = std::env::current_exe().unwrap();
        let process = "telemetry::logging::tests::a_process_in_which_something_panics";
        let output = Command::new(this)
            .args(["--exact", "--ignored", "--nocapture", process])
            .env_remove("RUST_BACKTRACE")
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let lines: Vec<Value> = said
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{said}")))
            .collect();
        let [line] = lines.as_slice() else {
            panic!("{said}")
        };
        assert_eq!(line["level"], "ERROR");
        assert_eq!(line["thread"], "worker");
        assert!(line["panic"].as_str().unwrap().contains("two\nlines"));
        let place = line["place"].as_str().unwrap();
        assert!(place.starts_with("src/telemetry/logging.rs:"), "{place}");
        assert!(line.get("backtrace").is_none(), "{line}");
    }
}
