//! Which certificate is shown: the one for the name that the client asks for in the handshake, else
//! the first (`--tls-sni-cert-key`, `dynamiccertificates/named_certificates.go` of
//! k8s.io/apiserver).
//!
//! Promises, as in Go: an exact name comes before a wildcard, a name that was given before one that
//! was read from the certificate, an earlier certificate before a later one; `*` stands for the
//! first label only. A certificate may be replaced at any time, and so are the names read from it.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::certificate::names;

/// A certificate to show, which may be exchanged at any time.
pub struct Certificate(ArcSwap<Shown>);

struct Shown {
    key: Arc<CertifiedKey>,
    /// Its DNS names, in lower case.
    names: Vec<String>,
}

/// All that there are to show.
#[derive(Debug)]
pub struct Certificates {
    /// For clients that ask for no name or for another: the aggregator says `SVC.NS.svc`, probes
    /// say nothing.
    pub first: Arc<Certificate>,
    /// The others.
    pub named: Vec<Named>,
}

/// One for clients that ask for it.
#[derive(Debug)]
pub struct Named {
    /// DNS names, with `*` for a first label that may be anything; empty: those in the certificate.
    pub names: Vec<String>,
    /// What is shown.
    pub certificate: Arc<Certificate>,
}

impl Certificate {
    /// Shows this certificate from the start.
    pub fn new(first: CertifiedKey) -> Arc<Certificate> {
        Arc::new(Certificate(ArcSwap::from_pointee(Shown::new(first))))
    }

    /// Shows this one from the next handshake on.
    pub fn replace(&self, next: CertifiedKey) {
        self.0.store(Arc::new(Shown::new(next)));
    }

    fn key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.load().key)
    }
}

impl Shown {
    fn new(key: CertifiedKey) -> Shown {
        let names = key.cert.first().and_then(|leaf| names(leaf).ok());
        let names = names.map(|(dns, _)| dns).unwrap_or_default();
        Shown {
            key: Arc::new(key),
            names: names.iter().map(|it| it.to_ascii_lowercase()).collect(),
        }
    }
}

impl Certificates {
    /// The one for `asked`, which is in lower case as rustls has it.
    fn find(&self, asked: &str) -> Option<&Named> {
        let wildcard = asked.split_once('.').map(|(_, rest)| format!("*.{rest}"));
        let given = |it: &Named, name: &str| it.names.iter().any(|own| own == name);
        let read = |it: &Named, name: &str| {
            it.names.is_empty() && it.certificate.0.load().names.iter().any(|own| own == name)
        };
        let mut names = [Some(asked.to_owned()), wildcard].into_iter().flatten();
        names.find_map(|name| {
            let explicit = self.named.iter().find(|it| given(it, &name));
            explicit.or_else(|| self.named.iter().find(|it| read(it, &name)))
        })
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let asked = hello.server_name().map(str::to_ascii_lowercase);
        let named = asked.and_then(|asked| self.find(asked.trim_end_matches('.')));
        Some(named.map_or_else(|| self.first.key(), |it| it.certificate.key()))
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Certificate").finish()
    }
}
