//! Whose signatures count, and whom a client's certificates prove. Asks nobody.

use std::sync::Arc;

use hyper::HeaderMap;
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use thiserror::Error;

use super::Unusable;
use super::material::{self, ProxyMaterial};
use super::proof::{self, Proofs};
use crate::auth::User;
use crate::auth::identity::{self, HeaderNames, Subject};

/// Whose signatures count. `None`: nobody's.
#[derive(Clone, Default)]
pub(in crate::auth) struct Authorities {
    pub(super) clients: Option<Arc<Bundle>>,
    pub(super) proxies: Option<Arc<Proxies>>,
}

/// Certificates that sign others.
pub(super) struct Bundle {
    pub(super) roots: Vec<Root>,
    /// What they were found to have signed.
    proofs: Proofs,
}

pub(super) struct Root {
    certificate: CertificateDer<'static>,
    /// From and until when it may sign, in seconds since 1970.
    valid: (u64, u64),
    verifier: Arc<dyn ClientCertVerifier>,
}

/// Who may name users in headers.
pub(super) struct Proxies {
    bundle: Bundle,
    /// Empty: any.
    allowed_names: Vec<String>,
    headers: HeaderNames,
}

/// Why a certificate is not believed.
#[derive(Debug, Error)]
pub(in crate::auth) enum Error {
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

impl Authorities {
    /// The user whom the certificates prove: named by a front proxy, or the certificate's own. None
    /// where there is no certificate, or no authority to judge it by.
    ///
    /// # Errors
    /// A certificate that proves nobody.
    pub(in crate::auth) fn identify(
        &self,
        headers: &HeaderMap,
        certificates: &[CertificateDer<'static>],
        now: UnixTime,
    ) -> Result<Option<User>, Error> {
        if certificates.is_empty() {
            return Ok(None);
        }
        let by_proxy = match &self.proxies {
            Some(proxies) => proxies.identify(headers, certificates, now),
            None => Ok(None),
        };
        // A proxy whose headers cannot be read is not its own user instead.
        if matches!(by_proxy, Ok(Some(_)) | Err(Error::Identity(_))) {
            return by_proxy;
        }
        let by_certificate = match &self.clients {
            Some(bundle) => bundle.identify(certificates, now),
            None => Ok(None),
        };
        match (by_proxy, by_certificate) {
            (_, Ok(Some(user))) => Ok(Some(user)),
            (Ok(_), by_certificate) => by_certificate,
            (Err(error), _) => Err(error),
        }
    }

    /// Whether the certificates are a front proxy's, whomever it names.
    pub(in crate::auth) fn is_proxy(
        &self,
        certificates: &[CertificateDer<'static>],
        now: UnixTime,
    ) -> bool {
        let proxies = self.proxies.as_ref();
        proxies.is_some_and(|it| it.verify(certificates, now).is_ok())
    }

    /// Whether every client whose certificate is believed may name any user, because front proxies
    /// have the same authority and no names of their own. kube-apiserver since 1.35 does not start
    /// so.
    pub(super) fn every_client_is_a_proxy(&self) -> bool {
        let (Some(clients), Some(proxies)) = (&self.clients, &self.proxies) else {
            return false;
        };
        let shared = |root: &Root| {
            let mut others = proxies.bundle.roots.iter();
            others.any(|other| other.certificate == root.certificate)
        };
        proxies.allowed_names.is_empty() && clients.roots.iter().any(shared)
    }
}

impl Proxies {
    pub(super) fn new(material: &ProxyMaterial) -> Result<Proxies, Unusable> {
        Ok(Proxies {
            bundle: Bundle::new(material::PROXY_CA, &material.ca)?,
            allowed_names: material.allowed_names.clone(),
            headers: material.headers.clone(),
        })
    }

    pub(super) fn len(&self) -> usize {
        self.bundle.len()
    }

    pub(super) fn end(&self) -> Option<u64> {
        self.bundle.end()
    }

    fn verify(&self, certificates: &[CertificateDer<'_>], now: UnixTime) -> Result<(), Error> {
        let name = &self.bundle.verify(certificates, now)?.common_name;
        if !self.allowed_names.is_empty() && !self.allowed_names.contains(name) {
            return Err(Error::NotAProxy(name.clone()));
        }
        Ok(())
    }

    fn identify(
        &self,
        headers: &HeaderMap,
        certificates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Option<User>, Error> {
        self.verify(certificates, now)?;
        Ok(identity::proxied(headers, &self.headers)?)
    }
}

impl Bundle {
    pub(super) fn new(what: &'static str, pem: &[u8]) -> Result<Bundle, Unusable> {
        let mut roots = Vec::new();
        // As Go: what cannot be parsed is passed over, and one must be left.
        for certificate in CertificateDer::pem_slice_iter(pem).filter_map(Result::ok) {
            if let Some(root) = Root::new(certificate) {
                roots.push(root.map_err(|error| Unusable::Verifier(what, error))?);
            }
        }
        if roots.is_empty() {
            return Err(Unusable::Bundle(what));
        }
        Ok(Bundle {
            roots,
            proofs: Proofs::default(),
        })
    }

    /// Whose the client's own certificate is, if the chain leads here and is meant for clients.
    /// That the peer has the key was proven in the handshake.
    fn verify(
        &self,
        certificates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Arc<Subject>, Error> {
        if let Some((subject, root)) = self.proofs.find(certificates, now)
            && self.roots[root].is_valid(now)
        {
            return Ok(subject);
        }
        let unknown = rustls::CertificateError::UnknownIssuer;
        let mut refusal = rustls::Error::InvalidCertificate(unknown);
        let Some((certificate, chain)) = certificates.split_first() else {
            return Err(Error::Certificate(refusal));
        };
        let roots = self.roots.iter().enumerate();
        for (place, root) in roots.filter(|(_, root)| root.is_valid(now)) {
            match root.verifier.verify_client_cert(certificate, chain, now) {
                Ok(_) => {
                    let subject = Arc::new(Subject::of(certificate)?);
                    self.proofs.add(certificates, place, &subject);
                    return Ok(subject);
                }
                // Of several refusals the one that is about more than the issuer says most.
                Err(error) if error != refusal => refusal = error,
                Err(_) => {}
            }
        }
        Err(Error::Certificate(refusal))
    }

    fn identify(
        &self,
        certificates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Option<User>, Error> {
        let subject = self.verify(certificates, now)?;
        let certificate = certificates.first();
        Ok(certificate.and_then(|it| identity::certified(it, &subject)))
    }

    pub(super) fn len(&self) -> usize {
        self.roots.len()
    }

    /// When nobody is believed any more, in seconds since 1970: the last one's end. While an
    /// authority is replaced the old one stands beside the new one.
    pub(super) fn end(&self) -> Option<u64> {
        self.roots.iter().map(|root| root.valid.1).max()
    }
}

impl Root {
    /// `None`: it cannot be parsed.
    fn new(
        certificate: CertificateDer<'static>,
    ) -> Option<Result<Root, rustls::server::VerifierBuilderError>> {
        let valid = proof::times(&certificate)?;
        let mut store = RootCertStore::empty();
        store.add(certificate.clone()).ok()?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider);
        let root = |verifier| Root {
            certificate,
            valid,
            verifier,
        };
        Some(verifier.build().map(root))
    }

    /// Go judges the authority's own time, too, which rustls does not.
    pub(super) fn is_valid(&self, now: UnixTime) -> bool {
        let (from, until) = self.valid;
        (from..=until).contains(&now.as_secs())
    }
}
