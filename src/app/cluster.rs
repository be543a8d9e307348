//! The world of a real cluster: clients of its API server, kinds and trust that are followed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use tokio::task::JoinSet;

use crate::auth::{self, Auth, Delegated, Sources, Trust};
use crate::config::{AuthenticationFlags, Config, KubernetesFlags};
use crate::kubernetes::cluster::Cluster;
use crate::kubernetes::kubeconfig::{Connection, Error};
use crate::kubernetes::{Client, Kubernetes, WatchLimits};
use crate::relist::Wake;
use crate::telemetry::Metrics;

const UNUSABLE: &str = "cannot use the credentials for the API server";

/// Starts to follow the cluster; a change of kinds wakes the relist. Only files are read before
/// this returns: an API server that is away does not keep us from starting.
pub(super) async fn follow(
    config: &Config,
    metrics: &Arc<Metrics>,
    wake: Arc<Wake>,
    tasks: &mut JoinSet<()>,
) -> anyhow::Result<(Arc<Kubernetes>, Auth)> {
    let (authentication, authorization) = (&config.authentication, &config.authorization);
    // Each has a client of its own: lists that hang never hold up a review.
    let client = |own: &Option<PathBuf>| client(&config.kubernetes, own.as_deref());
    let lister = client(&config.kubernetes.kubeconfig)?;
    let authenticator = Arc::new(client(&authentication.kubeconfig)?);
    let authorizer = Arc::new(client(&authorization.kubeconfig)?);

    let sources = sources(authentication, &authenticator);
    let (trust, follower) = Trust::new(sources, metrics.certificates.clone()).await?;
    tasks.spawn(follower.run());

    let watched = config.kubernetes.watched;
    let cluster = world(lister, watched, config, metrics, wake, tasks)?;
    let watched = Arc::clone(&cluster);
    tasks.spawn(async move { watched.watch_objects().await });
    let settings = auth::Settings {
        token_ttl: authentication.token_cache_ttl,
        allowed_ttl: authorization.allowed_ttl,
        denied_ttl: authorization.denied_ttl,
        always_allow_paths: authorization.always_allow_paths.clone(),
        broad_checks: authorization.broad_checks,
    };
    let reviews = &metrics.reviews;
    let delegated = Delegated::new(trust, authenticator, authorizer, settings, reviews);
    Ok((
        Arc::new(Kubernetes::Cluster(cluster)),
        Auth::Delegated(Box::new(delegated)),
    ))
}

/// The cluster of one who only looks: each ask for objects is a list.
pub(super) fn seen(
    config: &Config,
    metrics: &Arc<Metrics>,
    wake: Arc<Wake>,
    tasks: &mut JoinSet<()>,
) -> anyhow::Result<Arc<Kubernetes>> {
    let lister = client(&config.kubernetes, None)?;
    let cluster = world(lister, WatchLimits::NONE, config, metrics, wake, tasks)?;
    Ok(Arc::new(Kubernetes::Cluster(cluster)))
}

/// The cluster, whose kinds are followed.
fn world(
    lister: Client,
    watched: WatchLimits,
    config: &Config,
    metrics: &Arc<Metrics>,
    wake: Arc<Wake>,
    tasks: &mut JoinSet<()>,
) -> anyhow::Result<Arc<Cluster>> {
    let watcher = Client::for_streams(connection(&config.kubernetes, None)?).context(UNUSABLE)?;
    let cluster = Cluster::new(lister, watcher, watched, Arc::clone(metrics));
    let cluster = Arc::new(cluster);
    let followed = Arc::clone(&cluster);
    tasks.spawn(async move { followed.follow(|| wake.ask()).await });
    Ok(cluster)
}

/// The namespace of our service: as the flag or the environment says, else the pod's own.
pub(super) fn service_namespace(config: &Config) -> Option<String> {
    let of_account = || {
        let path = config.kubernetes.service_account.join("namespace");
        let text = std::fs::read_to_string(path).ok()?;
        Some(text.trim().to_owned()).filter(|it| !it.is_empty())
    };
    config.serving.service_namespace.clone().or_else(of_account)
}

/// By its own kubeconfig, else by the lister's, else as the pod's service account.
pub(super) fn client(flags: &KubernetesFlags, own: Option<&Path>) -> anyhow::Result<Client> {
    Client::new(connection(flags, own)?).context(UNUSABLE)
}

fn connection(flags: &KubernetesFlags, own: Option<&Path>) -> anyhow::Result<Connection> {
    match own.or(flags.kubeconfig.as_deref()) {
        Some(path) => Ok(Connection::from_kubeconfig(path)?),
        None => {
            let host = flags.service.as_ref().map(|(host, _)| host.as_str());
            let port = flags.service.as_ref().map(|(_, port)| port.to_string());
            let connection = Connection::in_cluster(host, port.as_deref(), &flags.service_account);
            connection.map_err(outside)
        }
    }
}

fn outside(error: Error) -> anyhow::Error {
    let error = anyhow::Error::from(error);
    error.context(
        "no cluster to serve: give --lister-kubeconfig=FILE to reach one from outside, or \
         --standalone=OBJECTS.yaml to work without one",
    )
}

fn sources(flags: &AuthenticationFlags, client: &Arc<Client>) -> Sources {
    let useless = flags.useless_proxy_flags.join(" ");
    if !useless.is_empty() {
        tracing::warn!(
            flags = useless,
            "without --requestheader-client-ca-file these flags have no effect: the cluster says \
             which front proxies are believed, and by which headers"
        );
    }
    Sources {
        lookup: (!flags.skip_lookup).then(|| Arc::clone(client)),
        tolerate_failure: flags.tolerate_lookup_failure,
        client_ca_file: flags.client_ca_file.clone(),
        requestheader_client_ca_file: flags.requestheader_client_ca_file.clone(),
        username_headers: flags.username_headers.clone(),
        uid_headers: flags.uid_headers.clone(),
        group_headers: flags.group_headers.clone(),
        extra_headers_prefix: flags.extra_headers_prefix.clone(),
        allowed_names: flags.allowed_names.clone(),
    }
}
