//! The API within a process: no port, nobody is asked who he is. For commands that ask by
//! themselves, by the way that requests take.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwap;
use http_body_util::BodyExt;
use hyper::Request;
use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::rules::{self, Loaded};
use super::{KINDS_GRACE, asking, backends, cluster, relist_of};
use crate::api::explain::Busy;
use crate::api::route::ApiGroup;
use crate::api::{self, Api, Asking, Explanation, Rooms, Shown};
use crate::auth::Auth;
use crate::config::{Config, UpstreamFlags};
use crate::kubernetes::Kubernetes;
use crate::kubernetes::apiservices::Trusted;
use crate::kubernetes::standalone::Objects;
use crate::registry::{Listings, Registry, Snapshot};
use crate::relist::{self, Configuration, Wake};
use crate::reload::config::ConfigState;
use crate::rules::{Rules, Widen};
use crate::samples::{self, Policy, Samples};
use crate::telemetry::Metrics;
use crate::widening::Widening;

/// The longest that an ask of some moment may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Rows of an answer and bytes of a query: as the server has them by default.
const ROWS_MAX: usize = 200_000;
const QUERY_BYTES_MAX: usize = 16 << 10;

/// What is remembered is of no use at some moment.
const SAMPLES: samples::Limits = samples::Limits {
    entries: 100,
    bytes: 64 << 20,
};

/// How long the first list is waited for. The relist itself waits for ten seconds.
const LISTED_WITHIN: Duration = Duration::from_secs(15);

/// Between two looks whether it is there.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// The rules over a Prometheus, and objects.
pub(crate) struct Local {
    rooms: Rooms,
    limits: api::Limits,
    asking: Asking,
    shown: Shown,
    /// They end with it.
    _tasks: JoinSet<()>,
}

/// An answer: its status and its body.
pub(crate) type Answer = (u16, Vec<u8>);

impl Local {
    /// Lists once what the Prometheus of `flags` holds for `rules`. Every backend is that one, and
    /// nothing is asked in the background.
    ///
    /// # Errors
    /// The flags cannot be used, or a rule cannot be listed.
    pub(crate) async fn listed(
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
        let objects = ArcSwap::new(Arc::clone(objects));
        let samples = Samples::new(SAMPLES, samples::fetch(), metrics.cache.clone());
        let rooms = rooms(
            snapshot.over(Arc::new(backends)),
            Arc::new(Kubernetes::Standalone(Arc::new(objects))),
            samples,
            Widen::Off,
            ConfigState::new(&[], Timestamp::now()),
            (Arc::new(Wake::default()), metrics),
        );
        Ok(Local {
            rooms,
            limits: api::Limits {
                in_flight: 1,
                timeout: TIMEOUT,
            },
            asking: Asking {
                policy: Policy {
                    ttl: Duration::ZERO,
                    stale_grace: Duration::ZERO,
                },
                rows_max: ROWS_MAX,
                bytes_max: QUERY_BYTES_MAX,
                max_age: Duration::MAX,
            },
            shown: Shown {
                groups: ApiGroup::ALL.to_vec(),
                metrics: 0,
                port: 0,
            },
            _tasks: JoinSet::new(),
        })
    }

    /// What a server with these flags would answer from: reads the rules, and asks Prometheus what
    /// there is, now and later. The objects are `thought`, or those that the flags name.
    ///
    /// # Errors
    /// Files or flags that cannot be used; the text says what to do. A Prometheus that cannot be
    /// asked is none: the explanations say so.
    pub(crate) async fn following(
        config: &Config,
        thought: Option<Objects>,
    ) -> anyhow::Result<Local> {
        let metrics = Metrics::new();
        let (_, loaded) = rules::read(config, &metrics, None)?;
        let Loaded {
            configuration,
            state,
            ..
        } = loaded;
        let mut tasks = JoinSet::new();
        let wake = Arc::new(Wake::default());
        let world = match (thought, &config.standalone) {
            (Some(objects), _) => {
                let objects = ArcSwap::from_pointee(objects);
                Arc::new(Kubernetes::Standalone(Arc::new(objects)))
            }
            (None, Some(path)) => {
                super::follow_objects(path.clone(), Arc::clone(&wake), &mut tasks)?
            }
            (None, None) => cluster::seen(config, &metrics, Arc::clone(&wake), &mut tasks)?,
        };
        let Configuration { rules, backends } = configuration.clone();
        let snapshot = Snapshot::build(rules, world.kinds(), &Listings::default()).over(backends);
        let samples = super::samples(config, &metrics);
        let widen = config.samples.widening;
        let rooms = rooms(snapshot, world, samples, widen, state, (wake, metrics));
        let (relist, _changes) = relist_of(configuration, &rooms, &config.relist);
        let _known = timeout(KINDS_GRACE, rooms.kubernetes.known()).await;
        tasks.spawn(relist.run());
        let patience = Instant::now() + LISTED_WITHIN;
        while !rooms.registry.is_listed() && Instant::now() < patience {
            sleep(BETWEEN_LOOKS).await;
        }
        Ok(Local {
            rooms,
            limits: api::Limits {
                in_flight: config.serving.max_requests_inflight,
                timeout: config.serving.request_timeout,
            },
            asking: asking(config),
            shown: Shown {
                groups: config.api.groups.clone(),
                metrics: config.api.discovery_max_metrics,
                port: 0,
            },
            _tasks: tasks,
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
        let cache = self.rooms.metrics.cache.clone();
        let api = self.api(Rooms {
            samples: Arc::new(Samples::new(SAMPLES, samples::fetch_at(at), cache)),
            ..self.rooms.clone()
        });
        let response = api.answer(&request.into_parts().0, &[]).await;
        let code = response.status().as_u16();
        let body = response.into_body().collect().await?.to_bytes();
        Ok((code, body.to_vec()))
    }

    /// Why the answer to a path and query is what it is.
    ///
    /// # Errors
    /// Others have too much explained at the same time.
    pub(crate) async fn explain(&self, path_and_query: &str) -> Result<Explanation, Busy> {
        let api = self.api(self.rooms.clone());
        api.explain(path_and_query).await
    }

    fn api(&self, rooms: Rooms) -> Api {
        Api::new(rooms, self.limits, self.asking.clone(), self.shown.clone())
    }
}

/// What an answer is made of where nobody is asked who he is, and nobody looks on.
fn rooms(
    snapshot: Snapshot,
    kubernetes: Arc<Kubernetes>,
    samples: Samples,
    widen: Widen,
    state: ConfigState,
    (wake, metrics): (Arc<Wake>, Arc<Metrics>),
) -> Rooms {
    Rooms {
        registry: Arc::new(Registry::new(snapshot)),
        auth: Arc::new(Auth::Off),
        kubernetes,
        trusted: Trusted::default(),
        widening: Arc::new(Widening::new(widen, Arc::clone(&metrics))),
        samples: Arc::new(samples),
        wake,
        config: Arc::new(ArcSwap::from_pointee(state)),
        metrics,
        journal: None,
    }
}
