//! TLS of the server: versions, cipher suites, ALPN, and which certificate is shown.
//!
//! Promises: a client certificate is requested and never required. In the handshake the client
//! only proves that it holds the key; whether anybody believes the certificate is judged per
//! request (`RequestClientCert` in Go's `secure_serving.go`), because the bundles to judge it by
//! change while connections live, and because certificates of a third party are as good as none.

use std::sync::Arc;

use super::sni::Certificates;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    CryptoProvider, SupportedKxGroup, WebPkiSupportedAlgorithms, verify_tls12_signature,
    verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme, version};

/// How to speak TLS.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The oldest version.
    pub min_version: Version,
    /// Suites of TLS 1.2 by their IANA names; empty: all. Names that rustls does not serve count
    /// for nothing. Suites of TLS 1.3 are always served, as in Go.
    pub cipher_suites: Vec<String>,
    /// Key exchanges by their number in TLS; empty: all.
    pub curves: Vec<u16>,
    /// Offer HTTP/2 besides HTTP/1.1?
    pub http2: bool,
}

/// A TLS version that can be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 1.2
    Tls12,
    /// 1.3
    Tls13,
}

/// The server's configuration; the certificate is looked up at each handshake.
pub fn server_config(
    certificates: Certificates,
    settings: &Settings,
) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(provider(settings));
    let versions: &[_] = match settings.min_version {
        Version::Tls12 => &[&version::TLS12, &version::TLS13],
        Version::Tls13 => &[&version::TLS13],
    };
    let verifier = AnyCertificate(provider.signature_verification_algorithms);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(Arc::new(certificates));
    if settings.http2 {
        config.alpn_protocols.push(b"h2".to_vec());
    }
    config.alpn_protocols.push(b"http/1.1".to_vec());
    Ok(config)
}

/// The one crypto provider of the process.
pub(super) fn default_provider() -> CryptoProvider {
    rustls::crypto::aws_lc_rs::default_provider()
}

/// The key exchanges that can be served, by their number in TLS (`NamedGroup` of RFC 8446, Go's
/// `tls.CurveID`).
pub fn curves() -> Vec<u16> {
    let provider = default_provider();
    provider
        .kx_groups
        .iter()
        .map(|it| u16::from(it.name()))
        .collect()
}

fn provider(settings: &Settings) -> CryptoProvider {
    let mut provider = default_provider();
    let (cipher_suites, curves) = (&settings.cipher_suites, &settings.curves);
    if !curves.is_empty() {
        let wanted = |it: &&dyn SupportedKxGroup| curves.contains(&u16::from(it.name()));
        provider.kx_groups.retain(wanted);
    }
    if !cipher_suites.is_empty() {
        provider.cipher_suites.retain(|suite| {
            let name = suite.suite().as_str();
            suite.tls13().is_some()
                || cipher_suites
                    .iter()
                    .any(|wanted| Some(wanted.as_str()) == name)
        });
    }
    provider
}

/// Takes any certificate whose key the client holds.
#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    /// No hints: a client with one certificate shows it whoever signed it.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
