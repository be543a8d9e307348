//! What there is to see: an API without a cluster behind it, or a cluster.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures_util::future::join_all;
use k8s_openapi::api::autoscaling::v2::{HorizontalPodAutoscaler, MetricSpec};
use k8s_openapi::api::core::v1::Pod;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::target::group;
use crate::autoscale::answer::{self, Api};
use crate::autoscale::request::{self, Place};
use crate::autoscale::{self, NoValues, Scale, Values};
use crate::config::autoscale::From;
use crate::kinds::{Kind, Kinds};
use crate::kubernetes::WatchLimits;
use crate::kubernetes::client::{self, Client, DEADLINE};
use crate::kubernetes::cluster::Cluster;
use crate::kubernetes::kubeconfig::{Connection, Credentials, Roots};
use crate::kubernetes::scale;
use crate::selector::Selector;
use crate::telemetry::{Metrics, with_causes};

/// The versions of `custom.metrics.k8s.io` that can be read.
const CUSTOM_VERSIONS: [&str; 2] = ["v1beta2", "v1beta1"];

/// Where numbers come from.
#[derive(Debug)]
pub(super) struct World {
    client: Client,
    /// What errors call whom it asks.
    server: String,
    kinds: KnownKinds,
    version: Mutex<Option<Version>>,
    /// For how long it stays known.
    version_ttl: Duration,
}

/// The version of `custom.metrics.k8s.io` to ask, or why there is none; and since when that is
/// known.
#[derive(Debug)]
struct Version {
    found: Result<String, NoValues>,
    since: Instant,
}

#[derive(Debug)]
enum KnownKinds {
    /// Those of a plain Kubernetes, and of the files.
    Fixed(Kinds),
    /// Those that a cluster tells.
    Cluster(Arc<Cluster>),
}

impl World {
    /// Reads what the connection needs, and follows the kinds of a cluster. Nothing is asked of
    /// anybody yet. There is one round of each autoscaler at each `interval`.
    pub(super) fn new(
        from: &From,
        kinds: Kinds,
        interval: Duration,
        tasks: &mut JoinSet<()>,
    ) -> anyhow::Result<World> {
        let unusable = format!("cannot use the credentials for {}", called(from));
        let unusable = || unusable.clone();
        let connection = connection(from)?;
        let client = Client::new(connection.clone()).with_context(unusable)?;
        let kinds = match from {
            From::Server(_) => KnownKinds::Fixed(kinds),
            From::Kubeconfig(_) | From::Pod { .. } => {
                // It watches no objects here.
                let lister = Client::new(connection.clone()).with_context(unusable)?;
                let watcher = Client::for_streams(connection).with_context(unusable)?;
                let cluster = Cluster::new(lister, watcher, WatchLimits::NONE, Metrics::new());
                let cluster = Arc::new(cluster);
                let followed = Arc::clone(&cluster);
                tasks.spawn(async move { followed.follow(|| ()).await });
                KnownKinds::Cluster(cluster)
            }
        };
        let version = Mutex::new(None);
        Ok(World {
            client,
            server: called(from),
            kinds,
            version,
            version_ttl: interval,
        })
    }

    /// Waits for the kinds of a cluster, a while.
    pub(super) async fn known(&self) {
        if let KnownKinds::Cluster(cluster) = &self.kinds {
            // Until then they are those of a plain Kubernetes, which most targets are of.
            let _known = timeout(DEADLINE, cluster.known()).await;
        }
    }

    fn kinds<T>(&self, look: impl FnOnce(&Kinds) -> Option<T>) -> Option<T> {
        match &self.kinds {
            KnownKinds::Fixed(kinds) => look(kinds),
            KnownKinds::Cluster(cluster) => {
                let found = look(&cluster.kinds());
                if found.is_none() {
                    cluster.look_again();
                }
                found
            }
        }
    }

    /// What the scale subresource of the target says.
    pub(super) async fn scale(&self, hpa: &HorizontalPodAutoscaler) -> Result<Scale, String> {
        let path = self.scale_path(hpa)?;
        let found = scale::get(&self.client, &path).await;
        let found = found.map_err(|error| self.text(&error))?;
        let status = found.status.clone().unwrap_or_default();
        Ok(Scale {
            spec_replicas: scale::replicas(&found),
            status_replicas: status.replicas,
            selector: status.selector.unwrap_or_default(),
        })
    }

    /// Sets the replicas of the target by its scale subresource.
    pub(super) async fn set(
        &self,
        hpa: &HorizontalPodAutoscaler,
        from: i32,
        to: i32,
    ) -> Result<(), String> {
        let path = self.scale_path(hpa)?;
        let set = scale::set(&self.client, &path, from, to).await;
        set.map_err(|error| match &error {
            scale::SetError::Client(error) => self.text(error),
            scale::SetError::Overtaken(_) => error.to_string(),
        })
    }

    /// The pods that a selector selects in the namespace of `hpa`.
    pub(super) async fn pods(
        &self,
        hpa: &HorizontalPodAutoscaler,
        selector: &Selector,
    ) -> Result<Vec<Pod>, String> {
        let pods = scale::pods(&self.client, namespace(hpa), selector).await;
        pods.map_err(|error| self.text(&error))
    }

    /// The values of each metric of `hpa`, in their order, all asked for at once.
    pub(super) async fn values(
        &self,
        hpa: &HorizontalPodAutoscaler,
        pods: &Selector,
    ) -> Vec<Result<Values, NoValues>> {
        let metrics = autoscale::metrics(hpa);
        join_all(metrics.iter().map(|it| self.ask(hpa, pods, it))).await
    }

    async fn ask(
        &self,
        hpa: &HorizontalPodAutoscaler,
        pods: &Selector,
        metric: &MetricSpec,
    ) -> Result<Values, NoValues> {
        let api = request::api(metric);
        let custom_version = match api {
            Some(Api::Custom) => self.custom_version().await?,
            _ => String::new(),
        };
        let place = Place {
            namespace: namespace(hpa),
            pods,
            custom_version: &custom_version,
        };
        let plural = |group: &str, kind: &str| {
            let name = |kinds: &Kinds| Some(kinds.of_group(group, kind)?.group_resource());
            self.kinds(name).map(|it| it.to_string())
        };
        let path = request::path(metric, &place, plural)?;
        match (self.client.bytes(&path).await, api) {
            (Ok(body), _) => answer::values(metric, &body),
            (Err(error), Some(api)) => {
                if api == Api::Custom && error.is_not_found() {
                    // The metric, or the version.
                    *self.version.lock().await = None;
                }
                Err(answer::refused(api, &self.text(&error)))
            }
            (Err(error), None) => Err(NoValues(self.text(&error))),
        }
    }

    /// Which version of `custom.metrics.k8s.io` to ask. Who comes while somebody asks takes what he
    /// is told, also that there is none: all wait for one answer, none for one after the other.
    async fn custom_version(&self) -> Result<String, NoValues> {
        let came = Instant::now();
        let mut known = self.version.lock().await;
        if let Some(Version { found, since }) = &*known
            && (*since >= came || found.is_ok() && since.elapsed() < self.version_ttl)
        {
            return found.clone();
        }
        let found = self.ask_version().await;
        *known = Some(Version {
            found: found.clone(),
            since: Instant::now(),
        });
        found
    }

    async fn ask_version(&self) -> Result<String, NoValues> {
        let group = "custom.metrics.k8s.io";
        let found = scale::version_of(&self.client, group, &CUSTOM_VERSIONS).await;
        let found = found.map_err(|error| answer::refused(Api::Custom, &self.text(&error)))?;
        found.ok_or_else(|| {
            let why = format!("no custom metrics API ({group}) registered");
            answer::refused(Api::Custom, &why)
        })
    }

    /// What went wrong, as it should read in a condition: the same each time.
    fn text(&self, error: &client::Error) -> String {
        let server = &self.server;
        match error {
            // As client-go, which shows what the server says and nothing else.
            client::Error::Refused { message, .. } if !message.is_empty() => message.clone(),
            client::Error::Refused { status, .. } => format!("{server} answered {status}"),
            // The levels between have the whole address.
            client::Error::Unreachable(cause) => {
                let mut last: &dyn std::error::Error = cause;
                while let Some(next) = last.source() {
                    last = next;
                }
                format!("{server} cannot be reached: {last}")
            }
            client::Error::Timeout => {
                format!("{server} did not answer within {}s", DEADLINE.as_secs())
            }
            error => with_causes(error),
        }
    }

    fn scale_path(&self, hpa: &HorizontalPodAutoscaler) -> Result<String, String> {
        let target = &hpa.spec.scale_target_ref;
        let group = group(target.api_version.as_deref().unwrap_or_default());
        let kind = &target.kind;
        let found: Option<Kind> = self.kinds(|kinds| kinds.of_group(group, kind).cloned());
        let found = found.ok_or_else(|| {
            format!(
                "unable to determine resource for scale target reference: no matches for kind \
                 {kind:?} in group {group:?}"
            )
        })?;
        Ok(scale::path(&found, namespace(hpa), &target.name))
    }
}

fn connection(from: &From) -> anyhow::Result<Connection> {
    match from {
        From::Server(url) => Ok(Connection {
            server: url.clone(),
            roots: Roots::System,
            server_name: None,
            certificate: None,
            credentials: Credentials::None,
            headers: Vec::new(),
        }),
        From::Kubeconfig(path) => Ok(Connection::from_kubeconfig(path)?),
        From::Pod {
            service: (host, port),
            account,
        } => {
            let port = port.to_string();
            Ok(Connection::in_cluster(Some(host), Some(&port), account)?)
        }
    }
}

/// What errors call whom it asks: the URL of `--server`, without what may be a secret in it.
fn called(from: &From) -> String {
    let From::Server(url) = from else {
        return "the API server".to_owned();
    };
    let Ok(mut url) = reqwest::Url::parse(url) else {
        return "--server".to_owned();
    };
    url.set_query(None);
    // They only fail for URLs without a host, which `--server` has.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    format!("{} (--server)", url.as_str().trim_end_matches('/'))
}

fn namespace(hpa: &HorizontalPodAutoscaler) -> &str {
    hpa.metadata.namespace.as_deref().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_whom_was_asked_and_no_secret() {
        let from = |url: &str| From::Server(url.to_owned());
        let named = called(&from("http://user:secret@127.0.0.1:6443/?token=secret"));
        assert_eq!(named, "http://127.0.0.1:6443 (--server)");
        let named = called(&From::Kubeconfig("config".into()));
        assert_eq!(named, "the API server");
    }
}
