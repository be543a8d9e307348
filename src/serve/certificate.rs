//! The serving certificate: read from files, or self-signed.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::SystemTime;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use super::tls;
use crate::reload::Contents;

mod bundle;
mod self_signed;

pub use bundle::merge;
pub use self_signed::{Names, Origin, SelfSigned, foreign};

/// How the common name of each authority begins that a process of ours made.
const OWN_AUTHORITY: &str = "tidegauge-ca@";

/// Why there is no certificate to serve with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// One file of a pair is there, the other is not.
    #[error("error reading {0}, certificate and key must be supplied as a pair")]
    Half(PathBuf),
    /// The certificate file holds no certificate.
    #[error("the certificate file holds no PEM certificate")]
    NoCertificate(#[source] Option<rustls::pki_types::pem::Error>),
    /// The key file holds no key.
    #[error("the key file holds no PEM private key")]
    NoKey(#[source] rustls::pki_types::pem::Error),
    /// The two do not belong together, or the key is of a kind that cannot be served.
    #[error("the key cannot be used with the certificate")]
    Pair(#[source] rustls::Error),
    /// The certificate is not X.509.
    #[error("the certificate is not valid X.509")]
    X509(#[source] x509_cert::der::Error),
    /// The pair could not be made.
    #[error("cannot make a self-signed certificate")]
    Generate(#[from] rcgen::Error),
}

/// Makes a key to serve with of two PEM texts: leaf first, then its chain.
pub fn parse(certificate: &[u8], key: &[u8]) -> Result<CertifiedKey, Error> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
    let chain = chain.map_err(|e| Error::NoCertificate(Some(e)))?;
    if chain.is_empty() {
        return Err(Error::NoCertificate(None));
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(Error::NoKey)?;
    CertifiedKey::from_der(chain, key, &tls::default_provider()).map_err(Error::Pair)
}

/// The same, of the contents of certificate file and key file, as [`crate::reload`] has them.
pub fn parse_files(contents: &Contents) -> Result<CertifiedKey, Error> {
    match contents.as_slice() {
        [certificate, key] => parse(certificate, key),
        _ => Err(Error::NoCertificate(None)),
    }
}

/// The end of a certificate's life.
pub fn not_after(certificate: &CertificateDer<'_>) -> Result<SystemTime, Error> {
    let certificate = x509_cert::Certificate::from_der(certificate).map_err(Error::X509)?;
    let end = certificate.tbs_certificate().validity().not_after;
    Ok(SystemTime::UNIX_EPOCH + end.to_unix_duration())
}

/// The subject's alternative names; the common name counts for nothing, as for every client today.
pub fn names(certificate: &CertificateDer<'_>) -> Result<(Vec<String>, Vec<IpAddr>), Error> {
    let certificate = x509_cert::Certificate::from_der(certificate).map_err(Error::X509)?;
    let extension = certificate
        .tbs_certificate()
        .get_extension::<SubjectAltName>()
        .map_err(Error::X509)?;
    let (mut dns, mut addresses) = (Vec::new(), Vec::new());
    for name in extension.iter().flat_map(|(_, names)| &names.0) {
        match name {
            GeneralName::DnsName(name) => dns.push(name.to_string()),
            GeneralName::IpAddress(bytes) => addresses.extend(address(bytes.as_bytes())),
            _ => {}
        }
    }
    Ok((dns, addresses))
}

/// Whether this is an authority that one of our processes made for itself.
fn is_own_authority(certificate: &CertificateDer<'_>) -> bool {
    common_name(certificate).is_some_and(|name| name.starts_with(OWN_AUTHORITY))
}

/// Whether this is an authority that an API server made for itself: Go's are called `HOST-ca@TIME`.
fn is_self_made(certificate: &CertificateDer<'_>) -> bool {
    let name = common_name(certificate);
    let time = name.as_deref().and_then(|it| it.rsplit_once("-ca@"));
    time.is_some_and(|(_, time)| !time.is_empty() && time.bytes().all(|it| it.is_ascii_digit()))
}

/// Of a subject that has nothing else.
fn common_name(certificate: &CertificateDer<'_>) -> Option<String> {
    let certificate = x509_cert::Certificate::from_der(certificate).ok()?;
    let name = certificate.tbs_certificate().subject().to_string();
    name.strip_prefix("CN=").map(str::to_owned)
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    let v6 = || <[u8; 16]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| v6()).ok()
}
