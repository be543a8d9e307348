//! Whose certificates are believed: the cluster's ConfigMap, or files, followed while they change.
//!
//! kube-apiserver publishes its authorities in `kube-system/extension-apiserver-authentication`
//! (`authentication_dynamic_request_header.go`). A flag that names a bundle stands in place of the
//! ConfigMap's. Promises: a change is in force without a restart and for connections that are open,
//! because every request is judged anew; what cannot be read or parsed leaves the last good state;
//! an authority that is not known makes nobody trusted, not everybody.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use hyper::HeaderMap;
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use thiserror::Error;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::User;
use super::identity::{self, HeaderNames, Subject};
use crate::kubernetes;
use crate::pace::Pace;
use crate::telemetry::with_causes;

mod material;

use material::Material;
pub use material::Sources;

/// How often the sources are read again.
const REFRESH: Duration = Duration::from_secs(30);

/// The least time between two reads, however many certificates are refused.
const WAKE_PAUSE: Duration = Duration::from_secs(5);

/// Whom to believe, now.
pub struct Trust {
    current: ArcSwap<Authorities>,
    known: AtomicBool,
    asked: Notify,
}

/// Whose signatures count. `None`: nobody's.
#[derive(Default)]
pub(super) struct Authorities {
    clients: Option<Bundle>,
    proxies: Option<Proxies>,
}

/// Certificates that sign others.
struct Bundle(Arc<dyn ClientCertVerifier>);

/// Who may name users in headers.
struct Proxies {
    bundle: Bundle,
    /// Empty: any.
    allowed_names: Vec<String>,
    headers: HeaderNames,
}

/// Why a certificate is not believed.
#[derive(Debug, Error)]
pub(super) enum Error {
    /// The chain does not lead to the authority, or is not valid now, or not for clients.
    #[error("the client certificate does not verify")]
    Certificate(#[source] rustls::Error),
    /// A front proxy of another name.
    #[error("the client certificate's name {0:?} is not that of a front proxy")]
    NotAProxy(String),
    /// The subject or a header is no text.
    #[error(transparent)]
    Identity(#[from] identity::Error),
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
    /// Reads the files that `sources` names; they must be good. The cluster is not asked yet.
    ///
    /// # Errors
    /// A file that cannot be read or used.
    pub async fn new(sources: &Sources) -> anyhow::Result<Trust> {
        let (files, complete) = sources.files().await?;
        let authorities = Authorities::new(&files)?;
        Ok(Trust {
            current: ArcSwap::from_pointee(authorities),
            known: AtomicBool::new(complete),
            asked: Notify::new(),
        })
    }

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

    /// Keeps the authorities current, for ever.
    pub async fn follow(&self, sources: Sources) {
        let mut pace = Pace::new(REFRESH);
        let mut state = State::default();
        loop {
            let started = Instant::now();
            let failed = self.refresh(&sources, &mut state).await;
            let next = Instant::now() + pace.pause(failed);
            let woken = async {
                self.asked.notified().await;
                sleep_until(started + WAKE_PAUSE).await;
            };
            tokio::select! {
                () = sleep_until(next) => {}
                () = woken => {}
            }
        }
    }

    /// Returns whether it failed.
    async fn refresh(&self, sources: &Sources, state: &mut State) -> bool {
        let read = sources.read(state.material.as_ref()).await;
        let next = read.and_then(|found| {
            let same = state.material.as_ref() == Some(&found);
            let authorities = if same {
                None
            } else {
                Some(Authorities::new(&found)?)
            };
            Ok((found, authorities))
        });
        match next {
            Ok((found, authorities)) => {
                if let Some(authorities) = authorities {
                    self.current.store(Arc::new(authorities));
                    tracing::info!("{found}");
                } else if state.failure.is_some() {
                    tracing::info!("whom the cluster trusts can be read again");
                }
                self.known.store(true, Ordering::Relaxed);
                *state = State {
                    material: Some(found),
                    failure: None,
                };
                false
            }
            Err(error) => {
                let text = with_causes(&error);
                if state.failure.as_ref() != Some(&text) {
                    tracing::warn!(error = text, "whom the cluster trusts cannot be read");
                    state.failure = Some(text);
                }
                if sources.tolerates_failure() {
                    self.known.store(true, Ordering::Relaxed);
                }
                true
            }
        }
    }
}

#[derive(Default)]
struct State {
    material: Option<Material>,
    failure: Option<String>,
}

impl Authorities {
    fn new(material: &Material) -> Result<Authorities, Unusable> {
        let clients = material.client_ca.as_deref();
        let clients = clients
            .map(|pem| Bundle::new(material::CLIENT_CA, pem))
            .transpose()?;
        let proxies = material.proxies.as_ref().map(|proxies| {
            Ok(Proxies {
                bundle: Bundle::new(material::PROXY_CA, &proxies.ca)?,
                allowed_names: proxies.allowed_names.clone(),
                headers: proxies.headers.clone(),
            })
        });
        Ok(Authorities {
            clients,
            proxies: proxies.transpose()?,
        })
    }

    /// The user whom the certificates prove: named by a front proxy, or the certificate's own. None
    /// where there is no certificate, or no authority to judge it by.
    ///
    /// # Errors
    /// A certificate that proves nobody.
    pub(super) fn identify(
        &self,
        headers: &HeaderMap,
        certificates: &[CertificateDer<'static>],
        now: UnixTime,
    ) -> Result<Option<User>, Error> {
        let Some((certificate, chain)) = certificates.split_first() else {
            return Ok(None);
        };
        let by_proxy = match &self.proxies {
            Some(proxies) => proxies.identify(headers, certificate, chain, now),
            None => Ok(None),
        };
        // A proxy whose headers cannot be read is not its own user instead.
        if matches!(by_proxy, Ok(Some(_)) | Err(Error::Identity(_))) {
            return by_proxy;
        }
        let by_certificate = match &self.clients {
            Some(bundle) => bundle.identify(certificate, chain, now),
            None => Ok(None),
        };
        match (by_proxy, by_certificate) {
            (_, Ok(Some(user))) => Ok(Some(user)),
            (Ok(_), by_certificate) => by_certificate,
            (Err(error), _) => Err(error),
        }
    }
}

impl Proxies {
    fn identify(
        &self,
        headers: &HeaderMap,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Option<User>, Error> {
        self.bundle.verify(certificate, chain, now)?;
        let name = Subject::of(certificate)?.common_name;
        if !self.allowed_names.is_empty() && !self.allowed_names.contains(&name) {
            return Err(Error::NotAProxy(name));
        }
        Ok(identity::proxied(headers, &self.headers)?)
    }
}

impl Bundle {
    fn new(what: &'static str, pem: &[u8]) -> Result<Bundle, Unusable> {
        let mut roots = RootCertStore::empty();
        // As Go: what cannot be parsed is passed over, and one must be left.
        roots.add_parsable_certificates(CertificateDer::pem_slice_iter(pem).filter_map(Result::ok));
        if roots.is_empty() {
            return Err(Unusable::Bundle(what));
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        Ok(Bundle(
            verifier.build().map_err(|e| Unusable::Verifier(what, e))?,
        ))
    }

    /// Whether the chain leads here and is meant for clients. That the peer has the key was proven
    /// in the handshake.
    fn verify(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let verified = self.0.verify_client_cert(certificate, chain, now);
        verified.map(drop).map_err(Error::Certificate)
    }

    fn identify(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Option<User>, Error> {
        self.verify(certificate, chain, now)?;
        Ok(identity::certified(certificate)?)
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
