//! A small shop that can be scaled: the parts, put together.
//!
//! It is the other half of an autoscaler. An HPA can start eight replicas of anything; that eight
//! of them do the work of eight, that none of them loses what a customer was told, and that nobody
//! notices when six of them go again, is in how the service is made. Each file here is about one
//! part of that, and begins with it.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "help, and what keeps us from starting"
)]

mod admin;
mod configuration;
mod dependency;
mod health;
mod metrics;
mod id;
mod orders;
mod postgres;
mod serve;
mod sessions;
mod settings;
mod shop;
mod stop;
mod tls;
mod worker;

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

use configuration::{Etcd, Live};
use health::Health;
use metrics::Metrics;
use orders::Orders;
use postgres::Postgres;
use serve::Limits;
use sessions::Sessions;
use settings::{Role, Settings};
use shop::Shop;
use stop::{Phase, Stopper};
use worker::Worker;

/// Which sources it was built from, where the build says so.
const REVISION: &str = match option_env!("REVISION") {
    Some(revision) if !revision.is_empty() => revision,
    _ => "unknown",
};

fn main() -> ExitCode {
    let argument = std::env::args().nth(1);
    match argument.as_deref() {
        None => {}
        Some("--help" | "-h") => {
            print!("{}", settings::help());
            return ExitCode::SUCCESS;
        }
        Some("--version" | "-V") => {
            println!("example-service {} ({REVISION})", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        Some(other) => {
            eprintln!("example-service: {other:?} is no argument; see --help");
            return ExitCode::from(2);
        }
    }
    let settings = match Settings::read(&|name| std::env::var_os(name)) {
        Ok(settings) => settings,
        Err(wrong) => {
            eprintln!("example-service cannot start with these settings (see --help):\n{wrong}");
            return ExitCode::from(2);
        }
    };
    start_logging(&settings);
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    provider
        .install_default()
        .expect("no TLS provider must have been installed before");
    let ran = tokio::runtime::Runtime::new()
        .context("cannot start threads")
        .and_then(|runtime| {
            let ran = runtime.block_on(run(settings));
            // What still computes for nobody must not keep us longer than the grace.
            runtime.shutdown_background();
            ran
        });
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("example-service: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// To standard error, which is where containers log to.
fn start_logging(settings: &Settings) {
    let builder = tracing_subscriber::fmt()
        .with_max_level(settings.log_level)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .with_writer(std::io::stderr);
    match settings.json_logs {
        true => builder.json().flatten_event(true).init(),
        false => builder.init(),
    }
}

async fn run(settings: Settings) -> anyhow::Result<()> {
    // First of all: a signal that comes while we start must not be missed.
    let (mut stopper, stop) = Stopper::new().context("cannot wait for signals")?;
    let admin = bind("ADMIN_ADDRESS", settings.admin).await?;
    let listener = match settings.role {
        Role::Web => Some(bind("LISTEN_ADDRESS", settings.listen).await?),
        Role::Worker => None,
    };
    let parts = Parts::new(&settings)?;
    let health = Arc::new(Health::new(&parts, settings.role, stop.clone()));
    let mut tasks = JoinSet::new();
    follow(&mut tasks, &parts, &health);
    let limits = Limits {
        connections: settings.max_connections,
        max_age: settings.connection_max_age,
    };
    tracing::info!("admin on http://{}", admin.local_addr()?);
    let routes = admin::router(Arc::clone(&parts.metrics), health);
    // It answers to the very end, for that this replica is not ready any more is to be seen.
    let (leaving, until) = (stop.clone(), Phase::Gone);
    let serving = serve::serve(admin, routes, limits, leaving, until);
    tasks.spawn(named("the admin port", serving));
    let worker = Worker {
        metrics: Arc::clone(&parts.metrics),
        ship_duration: settings.ship_duration,
        stop: stop.clone(),
    };
    let grace = settings.shutdown_grace;
    let orders = Arc::clone(&parts.orders);
    let shipping = async move { worker.ship(&orders).await };
    let open_orders = TaskTracker::new();
    let mut work = match listener {
        None => tokio::spawn(shipping),
        Some(listener) => {
            tracing::info!("listening on http://{}", listener.local_addr()?);
            // Orders of this process are shipped here, for nobody else could.
            if parts.orders.are_here() {
                tasks.spawn(named("the shipping", shipping));
            }
            let shop = Shop::new(parts, &settings, open_orders.clone());
            let routes = shop::router(Arc::new(shop));
            let until = Phase::Draining;
            tokio::spawn(serve::serve(listener, routes, limits, stop, until))
        }
    };
    // None of them ends by itself. Without one this is a replica that looks well and is not.
    let ended = tokio::select! {
        () = stopper.asked() => None,
        Some(ended) = tasks.join_next() => Some(ended.unwrap_or("a task of it")),
        _ = &mut work => Some("the work"),
    };
    if let Some(task) = ended {
        tracing::error!("{task} has ended by itself: stopping");
    }
    let done = async {
        if !work.is_finished()
            && let Err(error) = work.await
        {
            tracing::error!(%error, "the work has broken");
        }
        // Those whose client hung up have no connection that is waited for.
        open_orders.close();
        open_orders.wait().await;
    };
    match stopper.leave(grace, done).await {
        true => tracing::info!("stopped: all that was begun is done"),
        false => tracing::warn!("stopped: not all that was begun is done"),
    }
    is_as_asked(ended)
}

/// An end that nobody asked for is a failure.
fn is_as_asked(ended: Option<&str>) -> anyhow::Result<()> {
    match ended {
        None => Ok(()),
        Some(task) => anyhow::bail!("{task} has ended by itself"),
    }
}

/// A task that says which one it was when it ends.
async fn named(name: &'static str, task: impl Future<Output = ()>) -> &'static str {
    task.await;
    name
}

/// Begins what goes on beside the requests: health, the number of orders, the configuration.
fn follow(tasks: &mut JoinSet<&'static str>, parts: &Parts, health: &Arc<Health>) {
    let health = Arc::clone(health);
    let watch = async move { health.watch().await };
    tasks.spawn(named("the health check", watch));
    let (orders, metrics) = (Arc::clone(&parts.orders), Arc::clone(&parts.metrics));
    let count = async move { orders.count_waiting(&metrics.orders_waiting).await };
    tasks.spawn(named("the count of orders", count));
    if let Some(etcd) = parts.etcd.clone() {
        let follow = async move { etcd.follow().await };
        tasks.spawn(named("the configuration", follow));
    }
}

/// `setting` is the variable that chooses another address.
async fn bind(setting: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    let bound = TcpListener::bind(address).await;
    bound.with_context(|| format!("{setting}: cannot listen on {address}"))
}

/// What the service is made of. Nothing is connected to yet: a replica that cannot start without
/// its database cannot be added while the database is busy, which is when replicas are added.
struct Parts {
    metrics: Arc<Metrics>,
    configuration: Live,
    sessions: Arc<Sessions>,
    orders: Arc<Orders>,
    postgres: Option<Arc<Postgres>>,
    etcd: Option<Arc<Etcd>>,
}

impl Parts {
    fn new(settings: &Settings) -> anyhow::Result<Parts> {
        let metrics = Metrics::new();
        let configuration = Live::default();
        let sessions = Sessions::new(settings.redis.clone(), settings.session_ttl, &metrics);
        let postgres = settings.database.clone();
        let postgres = postgres.map(|config| Postgres::new(config, tls::client(), &metrics));
        let etcd = match settings.etcd.clone() {
            None => None,
            Some(url) => {
                let (prefix, live) = (settings.etcd_prefix.clone(), Arc::clone(&configuration));
                let etcd = Etcd::new(url, prefix, tls::client(), live, &metrics);
                Some(Arc::new(etcd.context("cannot make a client of etcd")?))
            }
        };
        Ok(Parts {
            sessions: Arc::new(sessions.context("cannot make a client of Redis")?),
            orders: Arc::new(Orders::new(postgres.clone())),
            metrics,
            configuration,
            postgres,
            etcd,
        })
    }
}
