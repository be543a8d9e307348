//! The metrics of `tidegauge autoscale` itself, and the small server that shows them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use anyhow::Context;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::decision::{Cause, Outcome, Told};
use crate::serve::{self, Answer, Limits, Security};

/// Connections at a time.
const CONNECTIONS_MAX: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    namespace: String,
    name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    namespace: String,
    name: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CauseLabels {
    namespace: String,
    name: String,
    cause: &'static str,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    current: Family<Of, Gauge>,
    desired: Family<Of, Gauge>,
    decisions: Family<OutcomeLabels, Counter>,
    errors: Family<CauseLabels, Counter>,
    last_success: Family<Of, Gauge<f64, AtomicU64>>,
    lines_left_out: Counter,
}

impl Metrics {
    /// All of them, without a series. Errors of the autoscalers `of` begin at zero, so that the
    /// first one can be seen to be one.
    pub(super) fn new(of: impl Iterator<Item = (String, String)>) -> Arc<Metrics> {
        let mut metrics = Metrics {
            registry: Registry::with_prefix("tidegauge_autoscale"),
            current: Family::default(),
            desired: Family::default(),
            decisions: Family::default(),
            errors: Family::default(),
            last_success: Family::default(),
            lines_left_out: Counter::default(),
        };
        let r = &mut metrics.registry;
        r.register(
            "current_replicas",
            "Replicas that the target was set to when it was last looked at",
            metrics.current.clone(),
        );
        r.register(
            "desired_replicas",
            "Replicas that the target was last decided to have",
            metrics.desired.clone(),
        );
        r.register(
            "decisions",
            "Rounds by what came of them: scaled_out, scaled_in, would_scale (dry run), held \
             (nothing to change), read_failed (nothing changed, for something could not be read), \
             act_failed (the replicas could not be set)",
            metrics.decisions.clone(),
        );
        r.register(
            "errors",
            "Rounds in which something could not be read or set: scale (how many replicas there \
             are), metrics (the metrics or the pods), act (setting the replicas)",
            metrics.errors.clone(),
        );
        r.register(
            "last_success_timestamp_seconds",
            "When all was last read and what was decided was done",
            metrics.last_success.clone(),
        );
        r.register(
            "lines_left_out",
            "Lines that were not written, for nobody reads standard output",
            metrics.lines_left_out.clone(),
        );
        for (namespace, name) in of {
            for cause in [Cause::Scale, Cause::Metrics, Cause::Act] {
                let labels = CauseLabels {
                    namespace: namespace.clone(),
                    name: name.clone(),
                    cause: cause.name(),
                };
                drop(metrics.errors.get_or_create(&labels));
            }
        }
        Arc::new(metrics)
    }

    /// Counts a round.
    pub(super) fn count(&self, told: &Told) {
        let (namespace, name) = (told.namespace.clone(), told.name.clone());
        let of = Of {
            namespace: namespace.clone(),
            name: name.clone(),
        };
        // What nobody could tell stays as it was: the time of the last success says how old it is.
        if let Some(current) = told.current {
            // What was set is what there is now.
            let now = told.desired.filter(|_| told.acted).unwrap_or(current);
            self.current.get_or_create(&of).set(now.into());
        }
        if let Some(desired) = told.desired {
            self.desired.get_or_create(&of).set(desired.into());
        }
        let outcome = OutcomeLabels {
            namespace: namespace.clone(),
            name: name.clone(),
            outcome: told.outcome().name(),
        };
        self.decisions.get_or_create(&outcome).inc();
        if let Some(cause) = told.cause() {
            let cause = CauseLabels {
                namespace,
                name,
                cause: cause.name(),
            };
            self.errors.get_or_create(&cause).inc();
        } else {
            let seconds = told.time.as_duration().as_secs_f64();
            self.last_success.get_or_create(&of).set(seconds);
        }
    }

    /// Counts a line that was not written.
    pub(super) fn count_left_out(&self) {
        self.lines_left_out.inc();
    }

    /// In the OpenMetrics text format.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail, and no metric here refuses to be encoded.
        if let Err(error) = prometheus_client::encoding::text::encode(&mut text, &self.registry) {
            tracing::error!(%error, "the autoscaler's own metrics cannot be encoded");
        }
        text
    }
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Outcome::ScaledOut => "scaled_out",
            Outcome::ScaledIn => "scaled_in",
            Outcome::WouldScale => "would_scale",
            Outcome::ActFailed => "act_failed",
            Outcome::ReadFailed => "read_failed",
            Outcome::Held => "held",
        }
    }
}

impl Cause {
    fn name(self) -> &'static str {
        match self {
            Cause::Scale => "scale",
            Cause::Metrics => "metrics",
            Cause::Act => "act",
        }
    }
}

/// Takes the address; what is returned serves for ever.
pub(super) fn serve(
    address: SocketAddr,
    metrics: Arc<Metrics>,
) -> anyhow::Result<impl Future<Output = ()>> {
    let listener = serve::bind(address, false).with_context(|| {
        format!(
            "--metrics-address: cannot listen on {address} (another one? port 0 takes any that is \
             free)"
        )
    })?;
    let address = listener.local_addr()?;
    tracing::info!("metrics on http://{address}/metrics");
    let limits = Limits {
        max_connections: CONNECTIONS_MAX,
        ..Limits::default()
    };
    Ok(async move {
        let handler = move |request: hyper::Request<()>, _peer| {
            let answer = answer(request.uri().path(), &metrics);
            async move { answer }
        };
        let broken = || plain(StatusCode::INTERNAL_SERVER_ERROR, "broken\n".to_owned());
        let stop = std::future::pending();
        serve::run(listener, Security::Plain, handler, broken, limits, stop).await;
    })
}

fn answer(path: &str, metrics: &Metrics) -> Answer {
    match path {
        "/metrics" => {
            let mut answer = plain(StatusCode::OK, metrics.text());
            let form = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            let headers = answer.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(form));
            answer
        }
        "/livez" | "/healthz" => plain(StatusCode::OK, "ok\n".to_owned()),
        _ => plain(
            StatusCode::NOT_FOUND,
            "there are /metrics and /livez\n".to_owned(),
        ),
    }
}

fn plain(status: StatusCode, text: String) -> Answer {
    let mut answer = Response::new(text.into());
    *answer.status_mut() = status;
    let form = HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(CONTENT_TYPE, form);
    answer
}
