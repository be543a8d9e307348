//! Three questions, and who asks them: `/livez`, `/readyz`, `/healthz`.
//!
//! - `/livez`: is the process alive? The kubelet kills it if not, so nothing outside counts: a
//!   database that is away is not mended by a restart of everything that uses it.
//! - `/readyz`: can it serve? The Service sends it requests if so. All replicas have the same
//!   dependencies: if one that is away made them not ready, all would be so at once, and what works
//!   without it would be gone as well. So that is *degraded*, and still ready.
//! - `/healthz`: the same with every detail, for people and dashboards.
//!
//! A task asks the dependencies once a second, each within a time; the answers come from memory.
//! They are never slow, and however many ask, the dependencies are asked once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use serde::Serialize;

use crate::Parts;
use crate::configuration::Etcd;
use crate::dependency::{Dependency, Unavailable};
use crate::orders::Orders;
use crate::postgres::Postgres;
use crate::sessions::Sessions;
use crate::settings::Role;
use crate::stop::{Phase, Stop};

const EVERY: Duration = Duration::from_secs(1);

/// A report that is older than this says nothing of now: whoever asks has stopped, or hangs.
const KNOWN_FOR: Duration = Duration::from_secs(5);

/// For the answer of a dependency. Longer is not healthy.
const BUDGET: Duration = Duration::from_millis(300);

/// From good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Ok,
    /// Some of it works.
    Degraded,
    /// None of it does.
    Failed,
}

/// One dependency, as it was last found.
#[derive(Clone, Debug, Serialize)]
struct Finding {
    status: Status,
    latency_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// All of it, as `/healthz` shows it.
#[derive(Clone, Debug, Serialize)]
struct Report {
    #[serde(skip)]
    at: Instant,
    status: Status,
    dependencies: BTreeMap<&'static str, Finding>,
    /// Whether any number of replicas gives the same answers.
    scalable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

/// What is known of everybody's health.
pub(crate) struct Health {
    role: Role,
    sessions: Arc<Sessions>,
    orders: Arc<Orders>,
    postgres: Option<Arc<Postgres>>,
    etcd: Option<Arc<Etcd>>,
    budgets: [Dependency; 3],
    stop: Stop,
    last: ArcSwap<Report>,
}

impl Health {
    pub(crate) fn new(parts: &Parts, role: Role, stop: Stop) -> Health {
        let budget = |name| Dependency::new(name, BUDGET, &parts.metrics);
        let first = Report {
            at: Instant::now(),
            status: Status::Failed,
            dependencies: BTreeMap::new(),
            scalable: false,
            reason: Some("starting"),
        };
        Health {
            role,
            sessions: Arc::clone(&parts.sessions),
            orders: Arc::clone(&parts.orders),
            postgres: parts.postgres.clone(),
            etcd: parts.etcd.clone(),
            budgets: ["redis", "postgres", "etcd"].map(budget),
            stop,
            last: ArcSwap::from_pointee(first),
        }
    }

    /// Asks for ever.
    pub(crate) async fn watch(&self) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        if let Some(reason) = self.not_scalable() {
            tracing::warn!("this must not be scaled: {reason}");
        }
        let mut told = None;
        loop {
            ticks.tick().await;
            let report = self.ask().await;
            // The log has the first one and the changes; the state of each second is a metric's
            // business.
            match report.status {
                now if told == Some(now) => {}
                Status::Ok => tracing::info!("health: ok"),
                _ => tracing::warn!("health: {}", report.text()),
            }
            told = Some(report.status);
            self.last.store(Arc::new(report));
        }
    }

    async fn ask(&self) -> Report {
        let [redis, postgres, etcd] = &self.budgets;
        let redis = async {
            match &*self.sessions {
                Sessions::Redis(asked) if self.role == Role::Web => {
                    Some(timed(asked.ping(redis)).await)
                }
                _ => None,
            }
        };
        let postgres = async {
            match &self.postgres {
                Some(asked) => Some(timed(asked.ping(postgres)).await),
                None => None,
            }
        };
        let etcd = async {
            match &self.etcd {
                Some(asked) => Some(timed(asked.ping(etcd)).await),
                None => None,
            }
        };
        let (redis, postgres, etcd) = tokio::join!(redis, postgres, etcd);
        self.report(redis, postgres, etcd)
    }

    /// Sessions and orders are what it is for, and it fails when neither works. A worker is for
    /// orders alone.
    fn report(
        &self,
        redis: Option<Finding>,
        postgres: Option<Finding>,
        etcd: Option<Finding>,
    ) -> Report {
        let away = |finding: &Option<Finding>| {
            let finding = finding.as_ref();
            finding.is_some_and(|finding| finding.status > Status::Ok)
        };
        let no_sessions = self.role == Role::Worker || away(&redis);
        let status = if no_sessions && away(&postgres) {
            Status::Failed
        } else if away(&redis) || away(&postgres) || away(&etcd) {
            Status::Degraded
        } else {
            Status::Ok
        };
        let reason = self.not_scalable();
        let named = [("redis", redis), ("postgres", postgres), ("etcd", etcd)];
        let named = named
            .into_iter()
            .filter_map(|(name, found)| Some((name, found?)));
        Report {
            at: Instant::now(),
            status,
            dependencies: named.collect(),
            scalable: reason.is_none(),
            reason,
        }
    }

    /// Why there must be one replica only.
    fn not_scalable(&self) -> Option<&'static str> {
        let sessions = self.role == Role::Web && matches!(*self.sessions, Sessions::Here(_));
        match (sessions, self.orders.are_here()) {
            (true, true) => Some(
                "sessions and orders are kept in this process: set REDIS_URL and DATABASE_URL, or \
                 run one replica only",
            ),
            (true, false) => {
                Some("sessions are kept in this process: set REDIS_URL, or run one replica only")
            }
            (false, true) => {
                Some("orders are kept in this process: set DATABASE_URL, or run one replica only")
            }
            (false, false) => None,
        }
    }

    /// The status and a line on it.
    pub(crate) fn ready(&self) -> (Status, String) {
        let last = self.last.load();
        match self.wrong_here(&last) {
            None => (last.status, last.text()),
            Some(wrong) => (Status::Failed, format!("failed: {wrong}")),
        }
    }

    /// What is wrong with this replica, whatever it depends on.
    fn wrong_here(&self, last: &Report) -> Option<&'static str> {
        match self.stop.phase() {
            Phase::Serving if last.at.elapsed() < KNOWN_FOR => None,
            Phase::Serving => Some("the health is not looked at any more"),
            _ => Some("stopping"),
        }
    }

    /// The status and a JSON object.
    pub(crate) fn details(&self) -> (Status, serde_json::Value) {
        let mut report = Report::clone(&self.last.load());
        if let Some(wrong) = self.wrong_here(&report) {
            report.status = Status::Failed;
            report.reason = Some(wrong);
        }
        let text = serde_json::json!(report);
        (report.status, text)
    }
}

impl Report {
    /// `ok`, `degraded: …` or `failed: …`, naming each dependency that is not well.
    fn text(&self) -> String {
        let word = match self.status {
            Status::Ok => return "ok".to_owned(),
            Status::Degraded => "degraded",
            Status::Failed => "failed",
        };
        let errors = self.dependencies.iter().filter_map(|(name, finding)| {
            let error = finding.error.as_deref()?;
            Some(format!("{name}: {error}"))
        });
        let errors: Vec<String> = errors.collect();
        match errors.is_empty() {
            true => format!("{word}: {}", self.reason.unwrap_or_default()),
            false => format!("{word}: {}", errors.join("; ")),
        }
    }
}

async fn timed(ping: impl Future<Output = Result<(), Unavailable>>) -> Finding {
    let began = Instant::now();
    let outcome = ping.await;
    let latency_ms = (began.elapsed().as_secs_f64() * 1e6).round() / 1e3;
    match outcome {
        Ok(()) => Finding {
            status: Status::Ok,
            latency_ms,
            error: None,
        },
        Err(unavailable) => Finding {
            status: Status::Failed,
            latency_ms,
            error: Some(unavailable.reason),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;
    use crate::stop::Stopper;

    #[tokio::test]
    async fn a_report_that_is_old_is_not_health() {
        let settings = Settings::read(&|_| None).unwrap();
        let parts = Parts::new(&settings).unwrap();
        let (_stopper, stop) = Stopper::new().unwrap();
        let health = Health::new(&parts, Role::Web, stop);
        let mut report = health.ask().await;
        health.last.store(Arc::new(report.clone()));
        assert_eq!(health.ready().0, Status::Ok);
        report.at = Instant::now().checked_sub(KNOWN_FOR).unwrap();
        health.last.store(Arc::new(report));
        let (status, text) = health.ready();
        assert_eq!(status, Status::Failed);
        assert_eq!(text, "failed: the health is not looked at any more");
        assert_eq!(health.details().1["status"], "failed");
    }
}
