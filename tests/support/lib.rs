//! What the integration tests share: real servers on loopback, and a wire that can be watched or
//! cut.
//!
//! Nothing here imitates the adapter or Prometheus; the API server is a fake that answers as a real
//! one was recorded. Prometheus and VictoriaMetrics are the real ones, the exporter is what it scrapes, the tap stands
//! between the two and keeps each query, and every process started here dies with the value that
//! owns it, also when a test panics.

pub mod adapter;
pub mod aggregator;
pub mod apiserver;
pub mod autoscaler;
pub mod chromium;
pub mod config_map;
pub mod exporter;
pub mod html;
pub mod pki;
pub mod poll;
pub mod process;
pub mod prometheus;
pub mod protobuf;
pub mod tap;
pub mod victoria;

use std::sync::{Arc, Once};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// Chooses the TLS provider for this process, once. Building a `reqwest` client needs it.
pub fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        rustls::crypto::aws_lc_rs::default_provider()
            .install_default()
            .expect("no other TLS provider must be installed before the tests' own");
    });
}

/// The client's side of TLS: trusts `roots` (PEM) and shows `identity`.
pub fn tls_config(roots: &str, identity: Option<&pki::Pair>) -> rustls::ClientConfig {
    install_crypto();
    let mut store = rustls::RootCertStore::empty();
    let certificates = CertificateDer::pem_slice_iter(roots.as_bytes()).filter_map(Result::ok);
    assert!(
        store.add_parsable_certificates(certificates).0 > 0,
        "no certificate in {roots:?}"
    );
    let builder = rustls::ClientConfig::builder().with_root_certificates(store);
    match identity {
        None => builder.with_no_client_auth(),
        Some(pair) => {
            let chain = CertificateDer::pem_slice_iter(pair.certificate.as_bytes());
            let chain = chain
                .collect::<Result<_, _>>()
                .expect("a certificate must be PEM");
            let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes());
            let key = key.expect("a key must be PEM");
            builder
                .with_client_auth_cert(chain, key)
                .expect("a key must fit its certificate")
        }
    }
}

/// The server's side of TLS, of one that speaks HTTP/2 and HTTP/1.1 and asks for no certificate.
pub fn tls_acceptor(identity: &pki::Pair) -> TlsAcceptor {
    install_crypto();
    let chain = CertificateDer::from_pem_slice(identity.certificate.as_bytes());
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes());
    let mut config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(
            vec![chain.expect("a fresh certificate must be PEM")],
            key.expect("a fresh key must be PEM"),
        )
        .expect("a fresh key must fit its certificate");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

/// A client that trusts `roots` (PEM), shows `identity`, and speaks HTTP/2 or HTTP/1.1 alone.
pub fn https_client(roots: &str, identity: Option<&pki::Pair>, http2: bool) -> reqwest::Client {
    https_builder(roots, identity, http2)
        .build()
        .expect("a client with a whole TLS configuration must build")
}

/// As [`https_client`], to be told more.
pub fn https_builder(
    roots: &str,
    identity: Option<&pki::Pair>,
    http2: bool,
) -> reqwest::ClientBuilder {
    let mut config = tls_config(roots, identity);
    config.alpn_protocols = vec![if http2 {
        b"h2".to_vec()
    } else {
        b"http/1.1".to_vec()
    }];
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(config)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(std::time::Duration::from_secs(60));
    if http2 {
        client.http2_prior_knowledge()
    } else {
        client.http1_only()
    }
}

/// A client that follows no redirect, so that a test sees what the server said.
pub fn http_client() -> reqwest::Client {
    install_crypto();
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(std::time::Duration::from_secs(60))
        .build()
        .expect("a client without options of its own must build")
}
