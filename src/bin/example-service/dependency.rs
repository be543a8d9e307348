//! One way to ask anything outside of this process: within a time, measured, and its failure named.
//!
//! A dependency that hangs is worse than one that is away, for it takes its callers' places with
//! it. So no call goes out without a deadline; `dependency_request_duration_seconds` has them all.

use std::error::Error;
use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::metrics::{DependencyLabels, Metrics};

/// What answers for us; its name is a label value and is shown by the health check.
#[derive(Clone)]
pub(crate) struct Dependency {
    pub name: &'static str,
    within: Duration,
    metrics: Arc<Metrics>,
}

/// A dependency gave no answer that could be used.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{dependency}: {reason}")]
pub(crate) struct Unavailable {
    pub dependency: &'static str,
    /// Without secrets: shown to operators.
    pub reason: String,
}

impl Dependency {
    /// One that gets `within` for each call.
    pub(crate) fn new(name: &'static str, within: Duration, metrics: &Arc<Metrics>) -> Dependency {
        Dependency {
            name,
            within,
            metrics: Arc::clone(metrics),
        }
    }

    /// The failure of it, for `reason`.
    pub(crate) fn unavailable(&self, reason: impl Display) -> Unavailable {
        Unavailable {
            dependency: self.name,
            reason: reason.to_string(),
        }
    }

    /// Does `work`, which is one `operation` of a few known ones.
    ///
    /// # Errors
    /// What `work` failed with, or that it took too long.
    pub(crate) async fn call<T, E: Error>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Unavailable> {
        let labels = DependencyLabels {
            dependency: self.name,
            operation,
        };
        let began = Instant::now();
        let outcome = match tokio::time::timeout(self.within, work).await {
            Ok(outcome) => outcome.map_err(|error| self.unavailable(with_causes(&error))),
            Err(_) => {
                let reason = format!("no answer to {operation} within {:?}", self.within);
                Err(self.unavailable(reason))
            }
        };
        let durations = &self.metrics.dependency_duration;
        let took = began.elapsed().as_secs_f64();
        durations.get_or_create(&labels).observe(took);
        if outcome.is_err() {
            self.metrics.dependency_errors.get_or_create(&labels).inc();
        }
        outcome
    }
}

/// An error with its causes on one line. Some libraries say the cause in the error itself.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
