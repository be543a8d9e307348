//! Whose certificates are believed: the cluster's ConfigMap, or files, followed while they change.
//!
//! kube-apiserver publishes its authorities in `kube-system/extension-apiserver-authentication`
//! (`authentication_dynamic_request_header.go`). A flag that names a bundle stands in place of the
//! ConfigMap's. Promises: a change is in force without a restart and for connections that are open,
//! because every request is judged by what is believed now; what cannot be read or parsed leaves
//! the last good state, and only of its own part: clients and front proxies are followed each for
//! itself; an authority that is not known makes nobody trusted, not everybody.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use thiserror::Error;
use tokio::sync::Notify;

use crate::kubernetes;
use crate::telemetry::Certificates;

mod authorities;
mod follow;
mod material;
mod proof;

pub(super) use authorities::Authorities;
use authorities::{Bundle, Proxies};
pub use follow::Follower;
pub use material::Sources;

/// Whom to believe, now.
pub struct Trust {
    current: ArcSwap<Authorities>,
    known: AtomicBool,
    asked: Notify,
    /// When the authorities end.
    ends: Certificates,
}

/// Why the sources cannot be used.
#[derive(Debug, Error)]
enum Unusable {
    #[error(
        "cannot read the ConfigMap kube-system/extension-apiserver-authentication; bind the Role \
         extension-apiserver-authentication-reader there, or give --authentication-skip-lookup"
    )]
    Lookup(#[source] kubernetes::Error),
    #[error("cannot read {}", .0.display())]
    File(PathBuf, #[source] std::io::Error),
    #[error("{0}: not a list of names")]
    Names(&'static str, #[source] serde_json::Error),
    #[error("{0}: no certificate in it can be used")]
    Bundle(&'static str),
    #[error("{0}: the certificates cannot be used")]
    Verifier(&'static str, #[source] rustls::server::VerifierBuilderError),
}

impl Trust {
    /// Whether all sources have been read once.
    pub fn is_known(&self) -> bool {
        self.known.load(Ordering::Relaxed)
    }

    /// A certificate was refused: there may be a new authority.
    pub(super) fn look_again(&self) {
        self.asked.notify_one();
    }

    pub(super) fn current(&self) -> Arc<Authorities> {
        self.current.load_full()
    }

    fn believe_clients(&self, clients: Option<Bundle>) {
        let certificates = clients.as_ref().map_or(0, Bundle::len);
        let end = clients.as_ref().and_then(Bundle::end);
        self.ends.ends(material::CLIENT_CA, end);
        let clients = clients.map(Arc::new);
        self.current.rcu(|now| Authorities {
            clients: clients.clone(),
            proxies: now.proxies.clone(),
        });
        self.note(material::CLIENT_CA, certificates);
    }

    fn believe_proxies(&self, proxies: Option<Proxies>) {
        let certificates = proxies.as_ref().map_or(0, Proxies::len);
        let end = proxies.as_ref().and_then(Proxies::end);
        self.ends.ends(material::PROXY_CA, end);
        let proxies = proxies.map(Arc::new);
        self.current.rcu(|now| Authorities {
            clients: now.clients.clone(),
            proxies: proxies.clone(),
        });
        self.note(material::PROXY_CA, certificates);
    }

    fn note(&self, what: &'static str, certificates: usize) {
        match certificates {
            0 => tracing::info!(what, "no authority is known: no certificate is believed"),
            _ => tracing::info!(what, certificates, "authorities in use"),
        }
        if self.current().every_client_is_a_proxy() {
            tracing::warn!(
                "requestheader-client-ca-file and client-ca-file share a certificate, and \
                 requestheader-allowed-names is empty: every client with a certificate may act as \
                 anybody; give the front proxy's name to kube-apiserver \
                 (--requestheader-allowed-names)"
            );
        }
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust")
            .field("known", &self.known)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
