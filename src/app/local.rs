//! The API within a process, over a Prometheus and objects alone: no port, no cluster, nothing in
//! the background. For commands that look once, by the way that requests take.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwap;
use http_body_util::BodyExt;
use hyper::Request;
use jiff::Timestamp;

use super::backends;
use crate::api::route::ApiGroup;
use crate::api::{self, Api, Rooms};
use crate::auth::Auth;
use crate::config::UpstreamFlags;
use crate::kubernetes::Kubernetes;
use crate::kubernetes::apiservices::Trusted;
use crate::kubernetes::standalone::Objects;
use crate::registry::{Registry, Snapshot};
use crate::relist::{self, Wake};
use crate::reload::config::ConfigState;
use crate::rules::{Rules, Widen};
use crate::samples::{self, Policy, Samples};
use crate::telemetry::Metrics;
use crate::widening::Widening;

/// The longest that one ask may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Rows of an answer and bytes of a query: as the server has them by default.
const ROWS_MAX: usize = 200_000;
const QUERY_BYTES_MAX: usize = 16 << 10;

/// What is remembered is of no use here.
const SAMPLES: samples::Limits = samples::Limits {
    entries: 100,
    bytes: 64 << 20,
};

/// The names of one moment, and whom to ask.
pub(crate) struct Local {
    registry: Arc<Registry>,
    kubernetes: Arc<Kubernetes>,
    metrics: Arc<Metrics>,
}

/// An answer: its status and its body.
pub(crate) type Answer = (u16, Vec<u8>);

impl Local {
    /// Lists what the Prometheus of `flags` holds for `rules`. Every backend is that one.
    ///
    /// # Errors
    /// The flags cannot be used, or a rule cannot be listed.
    pub(crate) async fn open(
        rules: &Arc<Rules>,
        objects: &Arc<Objects>,
        flags: UpstreamFlags<'_>,
    ) -> anyhow::Result<Local> {
        let metrics = Metrics::new();
        let backends = backends::all_one(flags, rules, &metrics)?;
        let kinds = Arc::clone(objects.kinds());
        let settings = relist::Settings {
            interval: flags.relist.interval,
            // All that there ever was.
            max_age: Duration::MAX,
            deadline: flags.relist.timeout,
        };
        let listings = relist::once(rules, &backends, &kinds, settings).await;
        let mut all = listings.custom.iter().chain(&listings.external);
        if let Some(failure) = all.find_map(|known| known.failure.as_ref()) {
            anyhow::bail!("the rules cannot be listed: {failure}");
        }
        let snapshot = Snapshot::build(Arc::clone(rules), kinds, &listings);
        let snapshot = snapshot.over(Arc::new(backends));
        Ok(Local {
            registry: Arc::new(Registry::new(snapshot)),
            kubernetes: Arc::new(Kubernetes::Standalone(Arc::new(ArcSwap::new(Arc::clone(
                objects,
            ))))),
            metrics,
        })
    }

    /// What the API would answer to a GET of `path` at some moment. Nothing is remembered.
    ///
    /// # Errors
    /// The path is none.
    pub(crate) async fn get(&self, path: &str, at: Timestamp) -> anyhow::Result<Answer> {
        let request = Request::get(path).header("Accept", "application/json");
        let request = request
            .body(())
            .with_context(|| format!("asking for {path}"))?;
        let api = self.api(at);
        let response = api.answer(&request.into_parts().0, &[]).await;
        let code = response.status().as_u16();
        let body = response.into_body().collect().await?.to_bytes();
        Ok((code, body.to_vec()))
    }

    fn api(&self, at: Timestamp) -> Api {
        let metrics = &self.metrics;
        let fetch = samples::fetch_at(at);
        let rooms = Rooms {
            registry: Arc::clone(&self.registry),
            auth: Arc::new(Auth::Off),
            kubernetes: Arc::clone(&self.kubernetes),
            trusted: Trusted::default(),
            widening: Arc::new(Widening::new(Widen::Off, Arc::clone(metrics))),
            samples: Arc::new(Samples::new(SAMPLES, fetch, metrics.cache.clone())),
            wake: Arc::new(Wake::default()),
            config: Arc::new(ArcSwap::from_pointee(ConfigState::new(&[], at))),
            metrics: Arc::clone(metrics),
            journal: None,
        };
        let limits = api::Limits {
            in_flight: 1,
            timeout: TIMEOUT,
        };
        let asking = api::Asking {
            policy: Policy {
                ttl: Duration::ZERO,
                stale_grace: Duration::ZERO,
            },
            rows_max: ROWS_MAX,
            bytes_max: QUERY_BYTES_MAX,
            max_age: Duration::MAX,
        };
        let shown = api::Shown {
            groups: ApiGroup::ALL.to_vec(),
            metrics: 0,
            port: 0,
        };
        Api::new(rooms, limits, asking, shown)
    }
}
