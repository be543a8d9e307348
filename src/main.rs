//! The `tidegauge` process: arguments, logging, exit code.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use tidegauge::config::{Config, LogFormat};
use tidegauge::{app, cli, telemetry};

/// The configuration cannot be used.
const CANNOT_START: u8 = 1;

/// What is still computed when all is answered is not worth waiting for.
const LAST_WAIT: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    // The first and only one: whoever builds a TLS configuration without naming a provider gets
    // this one.
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    provider
        .install_default()
        .expect("no provider must have been installed before");
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            let format = LogFormat::asked_for(&arguments);
            cli::cannot_start(format, &format!("tidegauge: cannot start threads: {error}"));
            return ExitCode::from(CANNOT_START);
        }
    };
    let code = runtime.block_on(run(&arguments));
    runtime.shutdown_timeout(LAST_WAIT);
    code
}

async fn run(arguments: &[OsString]) -> ExitCode {
    if let Some(code) = cli::run(arguments).await {
        return code;
    }
    let config = match Config::from_process() {
        Ok(config) => config,
        Err(stop) => return cli::stopped_in(LogFormat::asked_for(arguments), &stop),
    };
    let format = config.log.format;
    let json = format == LogFormat::Json;
    let outcome = match telemetry::start_logging(json, config.log.verbosity) {
        Ok(()) => app::run(config).await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            cli::cannot_start(format, &format!("tidegauge: {error:#}"));
            ExitCode::from(CANNOT_START)
        }
    }
}
