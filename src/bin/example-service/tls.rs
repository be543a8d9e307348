//! TLS to dependencies: by the authorities that the system trusts, and never without checking.

/// As a client; `SSL_CERT_FILE` names another file of authorities.
pub(crate) fn client() -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in found.errors {
        tracing::warn!(%error, "some certificate authorities of the system cannot be read");
    }
    roots.add_parsable_certificates(found.certs);
    rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth()
}
