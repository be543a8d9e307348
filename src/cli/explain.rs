//! `tidegauge explain`: why a metric has the value it has, or none.
//!
//! `source` explains one path: by the rules and a Prometheus, in this process, or by asking a
//! tidegauge that runs. `manifests` makes the paths that an HPA's controller asks, `controller`
//! says what it makes of the answers. `text` prints.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

use super::{failed, stopped, written};
use crate::api::explain::{Explanation, yaml};
use crate::config::explain::{Explain, Output, What};
use crate::telemetry;
use manifests::Manifest;
use source::Source;

mod controller;
mod manifests;
mod source;
mod text;
mod thought;

/// A metric has no value, or it could not be found out.
const NOT_SERVED: u8 = 1;

/// The flags or the files cannot be used.
const UNUSABLE: u8 = 2;

/// When one who waits is told that something happens.
const PATIENCE: Duration = Duration::from_secs(2);

/// Explains what the arguments of this process name.
pub async fn run() -> ExitCode {
    let flags = match Explain::from_process() {
        Ok(flags) => flags,
        Err(stop) => return stopped(&stop),
    };
    if flags.verbosity > 0
        && let Err(error) = telemetry::start_logging(false, flags.verbosity)
    {
        return failed("explain", &error, UNUSABLE);
    }
    let found = match patiently(explained(&flags)).await {
        Ok(found) => found,
        Err(Trouble { unusable, error }) => {
            let code = if unusable { UNUSABLE } else { NOT_SERVED };
            return failed("explain", &error, code);
        }
    };
    let is_served = found.iter().all(|it| it.explanation.served);
    match printed(&flags, &found) {
        Ok(text) => written(&text, if is_served { 0 } else { NOT_SERVED }),
        Err(error) => failed("explain", &error.into(), NOT_SERVED),
    }
}

/// One explanation, and what it is about where there are several.
struct Found {
    title: Option<String>,
    explanation: Explanation,
}

/// Why there is none.
struct Trouble {
    /// Whether flags or files are at fault.
    unusable: bool,
    error: anyhow::Error,
}

impl Trouble {
    fn unusable(error: anyhow::Error) -> Trouble {
        Trouble {
            unusable: true,
            error,
        }
    }

    fn failed(error: anyhow::Error) -> Trouble {
        Trouble {
            unusable: false,
            error,
        }
    }
}

async fn explained(flags: &Explain) -> Result<Vec<Found>, Trouble> {
    let named = match &flags.what {
        What::Path(path) => {
            let source = Source::new(&flags.whom, &[]).await;
            let source = source.map_err(Trouble::unusable)?;
            let explanation = source.explain(path).await.map_err(Trouble::failed)?;
            let title = None;
            return Ok(vec![Found { title, explanation }]);
        }
        What::Manifests(named) => named,
    };
    let manifest = Manifest::read(named, &flags.whom).await;
    let manifest = manifest.map_err(Trouble::unusable)?;
    let source = Source::new(&flags.whom, &manifest.pods()).await;
    let source = source.map_err(Trouble::unusable)?;
    let mut found = Vec::new();
    for ask in manifest.asks() {
        let explanation = match ask.path {
            Ok(path) => {
                let explanation = source.explain(&path).await.map_err(Trouble::failed)?;
                controller::judged(explanation, &ask.metric)
            }
            Err(why) => Explanation::of_no_path(&why),
        };
        let title = Some(ask.title);
        found.push(Found { title, explanation });
    }
    Ok(found)
}

/// Waits for something, and says so where it takes long.
#[expect(clippy::print_stderr, reason = "somebody waits")]
async fn patiently<T>(work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    if let Ok(done) = timeout(PATIENCE, &mut work).await {
        return done;
    }
    eprintln!("asking Prometheus …");
    work.await
}

/// What is printed.
fn printed(flags: &Explain, found: &[Found]) -> serde_json::Result<String> {
    let is_list = matches!(flags.what, What::Manifests(_));
    let value = || -> serde_json::Result<Value> {
        let all = found.iter().map(|it| &it.explanation);
        match (is_list, found.first()) {
            (false, Some(one)) => serde_json::to_value(&one.explanation),
            _ => serde_json::to_value(all.collect::<Vec<_>>()),
        }
    };
    match flags.output {
        Output::Json => Ok(format!("{}\n", serde_json::to_string_pretty(&value()?)?)),
        Output::Yaml => Ok(yaml(&value()?)),
        Output::Text => {
            let color = std::io::stdout().is_terminal() && !flags.plain;
            let texts = found.iter().map(|it| {
                let title = it.title.as_deref();
                text::shown(title, &it.explanation, color)
            });
            Ok(texts.collect::<Vec<String>>().join("\n"))
        }
    }
}
