//! All that an answer is made of, without a server: for a command that asks by itself, once.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::rules::{self, Loaded};
use super::{KINDS_GRACE, asking, cluster, relist_of, samples};
use crate::api::{self, Api, Explanation, Rooms};
use crate::auth::Auth;
use crate::config::Config;
use crate::kubernetes::Kubernetes;
use crate::kubernetes::apiservices::Trusted;
use crate::kubernetes::standalone::Objects;
use crate::registry::{Listings, Registry, Snapshot};
use crate::relist::{Configuration, Wake};
use crate::telemetry::Metrics;
use crate::widening::Widening;

/// How long the first list is waited for. The relist itself waits for ten seconds.
const LISTED_WITHIN: Duration = Duration::from_secs(15);

/// Between two looks whether it is there.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// The rules over one Prometheus, and objects.
pub struct Aside {
    api: Api,
    /// They end with it.
    _tasks: JoinSet<()>,
}

impl Aside {
    /// Reads the rules and asks Prometheus what there is. The objects are `thought`, or those that
    /// the flags name.
    ///
    /// # Errors
    /// Files or flags that cannot be used; the text says what to do. A Prometheus that cannot be
    /// asked is none: the explanations say so.
    pub async fn new(config: &Config, thought: Option<Objects>) -> anyhow::Result<Aside> {
        let metrics = Metrics::new();
        let (
            _,
            Loaded {
                configuration,
                state,
                ..
            },
        ) = rules::read(config, &metrics, None)?;
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
        let rooms = Rooms {
            registry: Arc::new(Registry::new(snapshot)),
            auth: Arc::new(Auth::Off),
            kubernetes: world,
            trusted: Trusted::default(),
            widening: Arc::new(Widening::new(config.samples.widening, Arc::clone(&metrics))),
            samples: Arc::new(samples(config, &metrics)),
            wake,
            config: Arc::new(ArcSwap::from_pointee(state)),
            metrics,
            journal: None,
        };
        let (relist, _changes) = relist_of(configuration, &rooms, &config.relist);
        let _known = timeout(KINDS_GRACE, rooms.kubernetes.known()).await;
        let registry = Arc::clone(&rooms.registry);
        tasks.spawn(relist.run());
        let patience = Instant::now() + LISTED_WITHIN;
        while !registry.is_listed() && Instant::now() < patience {
            sleep(BETWEEN_LOOKS).await;
        }
        let limits = api::Limits {
            in_flight: config.serving.max_requests_inflight,
            timeout: config.serving.request_timeout,
        };
        let shown = api::Shown {
            groups: config.api.groups.clone(),
            metrics: config.api.discovery_max_metrics,
            port: 0,
        };
        Ok(Aside {
            api: Api::new(rooms, limits, asking(config), shown),
            _tasks: tasks,
        })
    }

    /// Why the answer to a path and query is what it is.
    pub async fn explain(&self, path_and_query: &str) -> Explanation {
        self.api.explain(path_and_query).await
    }
}
