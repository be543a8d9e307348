//! The TLS policy of every client here: whom we trust and what certificate we show.
//!
//! Rustls with aws-lc-rs, named explicitly, so that no process-wide default decides. TLS 1.2 and
//! 1.3, as client-go. The peer's certificate is always verified, unless a kubeconfig says
//! `insecure-skip-tls-verify`; even then its handshake signature is.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature,
    verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// Whose signature on a server's certificate we accept.
#[derive(Clone, Copy)]
pub enum Trust<'a> {
    /// The operating system's roots (`SSL_CERT_FILE` and `SSL_CERT_DIR` are honoured).
    System,
    /// Only the certificates in this PEM text.
    Pem(&'a [u8]),
    /// Anybody's. A kubeconfig must have asked for it.
    Anybody,
}

/// A client certificate chain and its key, both PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// The chain, leaf first.
    pub certificate: Vec<u8>,
    /// Its private key: PKCS#8, PKCS#1 or SEC1.
    pub key: Vec<u8>,
}

/// Why a TLS policy cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The trust bundle has no certificate in it.
    #[error("no certs found")]
    NoRoots,
    /// The chain or the key is not PEM of the right kind.
    #[error("failed to read TLS key pair: {0}")]
    KeyPair(&'static str),
    /// Rustls refuses the pair, usually because the key is another certificate's.
    #[error("failed to read TLS key pair")]
    Refused(#[source] rustls::Error),
    /// The name to verify is neither a DNS name nor an IP address.
    #[error("tls-server-name {0:?} is not a DNS name or an IP address")]
    ServerName(String),
    /// The verifier cannot be built from these roots.
    #[error("the trusted certificates cannot be used")]
    Verifier(#[source] rustls::client::VerifierBuilderError),
}

/// Builds the policy. `server_name`, when given, is what the peer's certificate must be valid for,
/// instead of the host in the URL (kubeconfig's `tls-server-name`).
pub fn client_config(
    trust: Trust<'_>,
    identity: Option<&Identity>,
    server_name: Option<&str>,
) -> Result<ClientConfig, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("aws-lc-rs must support TLS 1.2 and 1.3");
    let builder = match (trust, server_name) {
        (Trust::Anybody, _) => {
            let anybody = Anybody {
                algorithms: provider.signature_verification_algorithms,
            };
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(anybody))
        }
        (_, None) => builder.with_root_certificates(roots(trust)?),
        (_, Some(name)) => {
            let named = Named::new(roots(trust)?, name, provider)?;
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(named))
        }
    };
    match identity {
        None => Ok(builder.with_no_client_auth()),
        Some(identity) => {
            let (chain, key) = parse_identity(identity)?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(Error::Refused)
        }
    }
}

fn roots(trust: Trust<'_>) -> Result<RootCertStore, Error> {
    let mut store = RootCertStore::empty();
    match trust {
        Trust::Pem(pem) => {
            // Go's AppendCertsFromPEM passes over what it cannot parse and wants one at least.
            let found = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok);
            if store.add_parsable_certificates(found).0 == 0 {
                return Err(Error::NoRoots);
            }
        }
        Trust::System => {
            // None at all is no error yet: a plain http:// server needs none, and an https:// one
            // is refused at the handshake with a text that says what to set.
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        Trust::Anybody => {}
    }
    Ok(store)
}

type Chain = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn parse_identity(identity: &Identity) -> Result<Chain, Error> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&identity.certificate)
        .collect::<Result<_, _>>()
        .map_err(|_| Error::KeyPair("the certificate is not valid PEM"))?;
    if chain.is_empty() {
        return Err(Error::KeyPair(
            "there is no certificate in the certificate's PEM",
        ));
    }
    let key = PrivateKeyDer::from_pem_slice(&identity.key)
        .map_err(|_| Error::KeyPair("there is no private key in the key's PEM"))?;
    Ok((chain, key))
}

/// Verifies the peer against a fixed name, whatever host was dialled.
#[derive(Debug)]
struct Named {
    name: ServerName<'static>,
    inner: Arc<WebPkiServerVerifier>,
}

impl Named {
    fn new(roots: RootCertStore, name: &str, provider: Arc<CryptoProvider>) -> Result<Self, Error> {
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_| Error::ServerName(name.to_owned()))?;
        let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(Error::Verifier)?;
        Ok(Self { name, inner })
    }
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _dialled: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.inner
            .verify_server_cert(end_entity, intermediates, &self.name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// Accepts any certificate whose owner signed the handshake.
#[derive(Debug)]
struct Anybody {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _dialled: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
