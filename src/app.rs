//! The composition root of the server: builds every room from the bottom up, owns the background
//! tasks, and starts and stops in order.
//!
//! Order of start: bind, read and check everything, publish what is known without asking anyone,
//! serve, relist, follow the rules. Order of stop: readiness turns red, a while for the cluster to
//! hear of it, no new connections, requests under way are answered, exit.

use std::cell::Cell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::api::{self, Api, Rooms};
use crate::auth::Auth;
use crate::config::{Config, RelistFlags, ServingFlags};
use crate::kubernetes::Kubernetes;
use crate::kubernetes::apiservices::Trusted;
use crate::kubernetes::standalone::{self, Objects};
use crate::registry::{Listings, Registry, Snapshot};
use crate::relist::{self, Changes, Configuration, Relist, Wake};
use crate::reload;
use crate::samples::{self, Policy, Samples};
use crate::serve::{self, Limits, Outcome, Security};
use crate::telemetry::Metrics;
use crate::widening::Widening;
use status::StatusPage;

pub(crate) mod backends;
mod certificates;
mod cluster;
/// The API within a process.
pub(crate) mod local;
mod metrics;
/// The rules files of a server.
pub(crate) mod rules;
/// When to stop.
pub mod stop;
mod status;

use rules::Files;

/// How often files are looked at.
const FOLLOW_EVERY: Duration = Duration::from_secs(2);

/// How long the first relist waits for the cluster's kinds.
const KINDS_GRACE: Duration = Duration::from_secs(5);

/// Runs the server until it is told to stop.
///
/// # Errors
/// Whatever keeps it from starting; the text says what to do.
pub async fn run(config: Config) -> anyhow::Result<()> {
    if !config.ignored.is_empty() {
        tracing::info!(
            flags = config.ignored.join(" "),
            "accepted for compatibility, without effect"
        );
    }
    if !config.strays.is_empty() {
        tracing::warn!(
            arguments = config.strays.join(" "),
            "arguments that are no flags have no effect; a switch is written --flag or --flag=false"
        );
    }
    let config = Arc::new(config);
    let metrics = Metrics::new();
    let ports = Ports::bind(&config)?;
    let journal = ports.page.as_ref().map(StatusPage::journal);
    let files = Files::open(&config, &metrics, journal.as_ref())?;
    let mut tasks = JoinSet::new();
    let wake = Arc::new(Wake::default());
    let (world, auth) = match &config.standalone {
        Some(path) => (
            follow_objects(path.clone(), Arc::clone(&wake), &mut tasks)?,
            Auth::Off,
        ),
        None => cluster::follow(&config, &metrics, Arc::clone(&wake), &mut tasks).await?,
    };
    let (security, trusted) = match &config.standalone {
        Some(_) => (Security::Plain, Trusted::default()),
        None => certificates::security(&config, &world, &metrics, &mut tasks)?,
    };
    let Configuration { rules, backends } = files.configuration.clone();
    let snapshot = Snapshot::build(rules, world.kinds(), &Listings::default()).over(backends);
    let rooms = Rooms {
        registry: Arc::new(Registry::new(snapshot)),
        auth: Arc::new(auth),
        kubernetes: world,
        trusted,
        widening: Arc::new(Widening::new(config.samples.widening, Arc::clone(&metrics))),
        samples: Arc::new(samples(&config, &metrics)),
        wake,
        config: Arc::clone(&files.state),
        metrics,
        journal,
    };
    let (relist, changes) = relist_of(files.configuration.clone(), &rooms, &config.relist);
    let world = Arc::clone(&rooms.kubernetes);
    tasks.spawn(async move {
        // A list made with other kinds than the cluster's would soon have to be made again.
        let _known = timeout(KINDS_GRACE, world.known()).await;
        relist.run().await;
    });
    tasks.spawn(files.follow(changes, Arc::clone(&rooms.samples)));
    let asking = asking(&config);
    serve(ports, security, &config, asking, rooms, tasks).await
}

/// What is taken before anything else begins.
struct Ports {
    api: TcpListener,
    metrics: Option<TcpListener>,
    page: Option<StatusPage>,
}

impl Ports {
    fn bind(config: &Config) -> anyhow::Result<Ports> {
        Ok(Ports {
            api: bind(&config.serving)?,
            metrics: metrics::bind(config.metrics_address)?,
            page: StatusPage::bind(config)?,
        })
    }
}

fn bind(flags: &ServingFlags) -> anyhow::Result<TcpListener> {
    let address = SocketAddr::new(flags.bind_address, flags.secure_port);
    serve::bind(address, flags.permit_port_sharing).with_context(|| {
        format!(
            "failed to create listener: failed to listen on {address} (another --secure-port? 0 \
             takes any that is free)"
        )
    })
}

/// Reads the objects file and follows it; a change of kinds wakes the relist.
fn follow_objects(
    path: PathBuf,
    wake: Arc<Wake>,
    tasks: &mut JoinSet<()>,
) -> anyhow::Result<Arc<Kubernetes>> {
    let paths = vec![path.clone()];
    let seen = reload::read(&paths)?;
    let objects = parse_objects(&seen).with_context(|| format!("{}", path.display()))?;
    note_objects(&objects);
    let published = Arc::new(ArcSwap::from_pointee(objects));
    let kubernetes = Arc::new(Kubernetes::Standalone(Arc::clone(&published)));
    tasks.spawn(async move {
        let publish = |objects: Objects| {
            note_objects(&objects);
            published.store(Arc::new(objects));
            wake.ask();
        };
        reload::follow("objects", paths, FOLLOW_EVERY, seen, parse_objects, publish).await;
    });
    Ok(kubernetes)
}

fn parse_objects(contents: &reload::Contents) -> Result<Objects, standalone::Error> {
    Objects::parse(contents.first().map(Vec::as_slice).unwrap_or_default())
}

fn note_objects(objects: &Objects) {
    tracing::info!(objects = objects.len(), "objects loaded");
    for unknown in objects.unknown() {
        tracing::warn!("objects file: {unknown}");
    }
}

/// What is remembered of the backends.
fn samples(config: &Config, metrics: &Metrics) -> Samples {
    let limits = samples::Limits {
        entries: config.samples.entries,
        bytes: config.samples.bytes,
    };
    Samples::new(limits, samples::fetch(), metrics.cache.clone())
}

/// How asks are made into queries.
fn asking(config: &Config) -> api::Asking {
    api::Asking {
        policy: Policy {
            ttl: config.samples.query_ttl,
            stale_grace: config.samples.stale_grace,
        },
        rows_max: config.samples.rows_max,
        bytes_max: config.samples.query_bytes_max,
        max_age: config.relist.max_age,
    }
}

fn relist_of(
    configuration: Configuration,
    rooms: &Rooms,
    flags: &RelistFlags,
) -> (Relist, Changes) {
    let settings = relist::Settings {
        interval: flags.interval,
        max_age: flags.max_age,
        deadline: flags.timeout,
    };
    Relist::new(
        configuration,
        Arc::clone(&rooms.kubernetes),
        Arc::clone(&rooms.registry),
        Arc::clone(&rooms.metrics),
        Arc::clone(&rooms.wake),
        settings,
    )
}

async fn serve(
    ports: Ports,
    security: Security,
    config: &Config,
    asking: api::Asking,
    rooms: Rooms,
    mut tasks: JoinSet<()>,
) -> anyhow::Result<()> {
    let flags = &config.serving;
    let address = ports.api.local_addr()?;
    let scheme = match security {
        Security::Plain => "http",
        Security::Tls(_) => "https",
    };
    let limits = api::Limits {
        in_flight: flags.max_requests_inflight,
        timeout: flags.request_timeout,
    };
    let shown = api::Shown {
        groups: config.api.groups.clone(),
        metrics: config.api.discovery_max_metrics,
        port: address.port(),
    };
    let server_limits = server_limits(flags, &rooms.metrics);
    let api = Arc::new(Api::new(rooms, limits, asking, shown));
    tracing::info!("listening on {scheme}://{address}");
    if let Some(plain) = ports.metrics {
        metrics::serve(plain, &api, &server_limits, &mut tasks)?;
    }
    if let Some(page) = ports.page {
        page.serve(&api, &server_limits, &mut tasks)?;
    }

    let handler = {
        let api = Arc::clone(&api);
        move |request: hyper::Request<()>, peer: serve::Peer| {
            let api = Arc::clone(&api);
            async move {
                api.answer(&request.into_parts().0, &peer.certificates)
                    .await
            }
        }
    };
    let broken = Cell::new(false);
    let stop = async { broken.set(to_stop(&api, flags.shutdown_delay, &mut tasks).await) };
    match serve::run(
        ports.api,
        security,
        handler,
        Api::panicked,
        server_limits,
        stop,
    )
    .await
    {
        Outcome::Drained => tracing::info!("stopped"),
        Outcome::Cut { connections } => {
            tracing::warn!(
                connections,
                "stopped; the drain timeout cut connections off"
            );
        }
    }
    match broken.get() {
        true => bail!("a background task has ended; the log says why"),
        false => Ok(()),
    }
}

fn server_limits(flags: &ServingFlags, metrics: &Metrics) -> Limits {
    Limits {
        max_connections: flags.max_connections,
        http2_max_streams: flags.http2_max_streams,
        drain_timeout: flags.drain_timeout,
        reached: metrics.reached.clone(),
        ..Limits::default()
    }
}

/// Completes when nothing new may begin; whether that is because a background task has ended.
async fn to_stop(api: &Api, delay: Duration, tasks: &mut JoinSet<()>) -> bool {
    let broken = tokio::select! {
        () = stop::told_to_stop() => false,
        () = ended(tasks) => true,
    };
    // Not ready from here on; whoever has not heard of it yet is served.
    api.stop();
    if broken {
        tracing::error!("stopping: a background task has ended");
    } else if !delay.is_zero() {
        tracing::info!(
            ?delay,
            "stopping: not ready any more, serving on for a while"
        );
        sleep(delay).await;
    }
    tracing::info!("stopping: answering what is under way");
    broken
}

/// No background task ends by itself: one that does has panicked.
async fn ended(tasks: &mut JoinSet<()>) {
    if let Some(Err(error)) = tasks.join_next().await {
        tracing::error!(%error, "background task");
    }
}
