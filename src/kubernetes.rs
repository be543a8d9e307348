//! Kubernetes as we need it: which kinds there are, what the objects are called, who may do what.
//!
//! There are two worlds, and [`Kubernetes`] is either: a cluster, or a file with objects. The rest
//! of this room says how to reach a cluster: `kubeconfig` says where a server is and what proves
//! our identity there; `transport` turns that into an HTTP client and keeps both current while
//! files rotate; `client` adds deadlines and limits; `exec` runs credential plugins; `tls` is the
//! one place that decides whom a client trusts. The Prometheus client uses `transport` and what it
//! stands on, because `--prometheus-auth-incluster` and `--prometheus-auth-config` ask for a
//! cluster's credentials.

/// Our authority in the `caBundle` of our APIServices.
pub mod apiservices;
/// Requests to the API server.
pub mod client;
/// The world of a real cluster.
pub mod cluster;
mod discovery;
/// Credential plugins (`client.authentication.k8s.io`).
pub mod exec;
/// Where a server is and what we prove ourselves with: kubeconfig files and in-cluster accounts.
pub mod kubeconfig;
/// Labels of objects.
pub mod labels;
/// Objects of a cluster: watched while they are asked for.
pub mod objects;
/// Token reviews, access reviews, and whom the cluster trusts.
pub mod reviews;
/// How many replicas a workload is set to, and its pods.
pub mod scale;
/// Objects from a file: no cluster at all.
pub mod standalone;
/// A TLS client policy from roots, a client certificate and a server name.
pub mod tls;
/// An HTTP client that follows rotating certificates and tokens.
pub mod transport;

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::kinds::{Kind, Kinds};
use crate::selector::Selector;
pub use client::{Client, Error};
use cluster::Cluster;
use labels::Labels;
pub use objects::{WatchLimits, Watched};
use standalone::Objects;

/// What is known of an object. Texts are shared with other objects that have the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Object {
    /// Empty for an object that is in no namespace.
    pub namespace: Arc<str>,
    /// `metadata.name`
    pub name: Arc<str>,
    /// `metadata.labels`
    pub labels: Labels,
}

/// Where kinds and names of objects come from.
#[derive(Debug)]
pub enum Kubernetes {
    /// A file, followed while it changes.
    Standalone(Arc<ArcSwap<Objects>>),
    /// An API server.
    Cluster(Arc<Cluster>),
}

impl Kubernetes {
    /// The kinds there are now.
    pub fn kinds(&self) -> Arc<Kinds> {
        match self {
            Kubernetes::Standalone(objects) => Arc::clone(objects.load().kinds()),
            Kubernetes::Cluster(cluster) => cluster.kinds(),
        }
    }

    /// Whether names of objects can be had: false until a cluster has told its kinds.
    pub fn is_known(&self) -> bool {
        match self {
            Kubernetes::Standalone(_) => true,
            Kubernetes::Cluster(cluster) => cluster.is_known(),
        }
    }

    /// Waits until it is so.
    pub async fn known(&self) {
        match self {
            Kubernetes::Standalone(_) => {}
            Kubernetes::Cluster(cluster) => cluster.known().await,
        }
    }

    /// How the watches of objects are; without a cluster there are none.
    pub fn watches(&self) -> Vec<Watched> {
        match self {
            Kubernetes::Standalone(_) => Vec::new(),
            Kubernetes::Cluster(cluster) => cluster.watches(),
        }
    }

    /// A kind is asked for that is not known: it may be new.
    pub fn look_again(&self) {
        match self {
            // The file is followed anyway.
            Kubernetes::Standalone(_) => {}
            Kubernetes::Cluster(cluster) => cluster.look_again(),
        }
    }

    /// The names of the objects of `kind` that `selector` matches; `namespace` is `None` for all.
    ///
    /// # Errors
    /// A cluster that does not list them. Never an empty list for that.
    pub async fn names(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        selector: &Selector,
    ) -> Result<Vec<String>, Error> {
        match self {
            Kubernetes::Standalone(objects) => Ok(objects.load().names(kind, namespace, selector)),
            Kubernetes::Cluster(cluster) => cluster.names(kind, namespace, selector).await,
        }
    }

    /// All objects of `kind`, as [`names`](Self::names) chooses among them; `namespace` is `None`
    /// for all.
    ///
    /// # Errors
    /// A cluster that does not list them.
    pub async fn all(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
    ) -> Result<Vec<Arc<Object>>, Error> {
        match self {
            Kubernetes::Standalone(objects) => Ok(objects.load().all(kind, namespace)),
            Kubernetes::Cluster(cluster) => cluster.all(kind, namespace).await,
        }
    }

    /// The objects of `kind` that `selector` matches, or of them the one called `name`, by
    /// namespace and name; pods only while their `status.phase` is `Running`. `namespace` is `None`
    /// for all.
    ///
    /// # Errors
    /// A cluster that does not list them.
    pub async fn running(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        selector: &Selector,
        name: Option<&str>,
    ) -> Result<Vec<Arc<Object>>, Error> {
        match self {
            Kubernetes::Standalone(objects) => {
                Ok(objects.load().running(kind, namespace, |object| {
                    selector.holds(|key| object.labels.get(key))
                        && name.is_none_or(|name| *name == *object.name)
                }))
            }
            Kubernetes::Cluster(cluster) => cluster.running(kind, namespace, selector, name).await,
        }
    }
}
