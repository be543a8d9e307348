//! The serving certificate: from files, or self-signed as every Kubernetes API server does
//! (`secure_serving.go` `MaybeDefaultWithSelfSignedCerts`, client-go `util/cert`).
//!
//! Promises: a self-signed pair in the directory is used again while it is whole and holds for
//! another 30 days, so restarts do not change it; the key is readable by its owner only; where the
//! directory cannot be written the pair lives in memory.

use std::fs;
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_cert::der::Decode;

use super::tls;
use crate::reload::Contents;

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);
/// As client-go.
const LIFETIME: Duration = Duration::from_secs(365 * 24 * 3_600);
const RENEW_BEFORE: Duration = Duration::from_secs(30 * 24 * 3_600);

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

/// What a self-signed certificate is good for, besides `localhost` and the loopback addresses.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// The address to bind to, if it is a specific one.
    pub address: Option<IpAddr>,
    /// The host's name.
    pub host: Option<String>,
}

/// Where the certificate of [`self_signed`] came from.
#[derive(Debug)]
pub enum Origin {
    /// From the directory, as an earlier process left it.
    Reused,
    /// Made now and written to the directory; `replaced` says what was wrong with the old one.
    Written {
        /// Why the pair that was there is not used any more.
        replaced: Option<String>,
    },
    /// Made now; the directory cannot be written.
    InMemory(io::Error),
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

/// The self-signed pair in `directory` (`apiserver.crt`, `apiserver.key`), made if need be.
pub fn self_signed(
    directory: &Path,
    names: &Names,
    now: SystemTime,
) -> Result<(CertifiedKey, Origin), Error> {
    let (at_certificate, at_key) = (
        directory.join("apiserver.crt"),
        directory.join("apiserver.key"),
    );
    let replaced = match (fs::read(&at_certificate), fs::read(&at_key)) {
        (Ok(certificate), Ok(key)) => match reusable(&certificate, &key, now) {
            Ok(found) => return Ok((found, Origin::Reused)),
            Err(why) => Some(why),
        },
        (Ok(_), Err(_)) => return Err(Error::Half(at_key)),
        (Err(_), Ok(_)) => return Err(Error::Half(at_certificate)),
        (Err(_), Err(_)) => None,
    };
    let (certificate, key) = generate(names, now)?;
    let usable = parse(certificate.as_bytes(), key.as_bytes())?;
    // Key first: a process that dies in between leaves a pair that does not match, which the next
    // one replaces.
    let written = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(directory)
        .and_then(|()| write(&at_key, &key, 0o600))
        .and_then(|()| write(&at_certificate, &certificate, 0o644));
    Ok(match written {
        Ok(()) => (usable, Origin::Written { replaced }),
        Err(e) => (usable, Origin::InMemory(e)),
    })
}

/// The pair, or why it should be replaced.
fn reusable(certificate: &[u8], key: &[u8], now: SystemTime) -> Result<CertifiedKey, String> {
    let pair = parse(certificate, key).map_err(|e| e.to_string())?;
    let leaf = pair.cert.first().ok_or("it is empty")?;
    let end = not_after(leaf).map_err(|e| e.to_string())?;
    if end < now + RENEW_BEFORE {
        return Err(format!(
            "it expires within {} days",
            RENEW_BEFORE.as_secs() / DAY.as_secs()
        ));
    }
    Ok(pair)
}

/// The end of a certificate's life.
pub fn not_after(certificate: &CertificateDer<'_>) -> Result<SystemTime, Error> {
    let certificate = x509_cert::Certificate::from_der(certificate).map_err(Error::X509)?;
    let end = certificate.tbs_certificate().validity().not_after;
    Ok(SystemTime::UNIX_EPOCH + end.to_unix_duration())
}

/// Leaf and throw-away authority, as PEM, and the leaf's key.
fn generate(names: &Names, now: SystemTime) -> Result<(String, String), rcgen::Error> {
    let seconds = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let lifetime = |params: &mut CertificateParams| {
        params.not_before = (now - HOUR).into();
        params.not_after = (now + LIFETIME).into();
    };
    let mut authority = CertificateParams::default();
    lifetime(&mut authority);
    let name = format!("localhost-ca@{seconds}");
    authority.distinguished_name.push(DnType::CommonName, name);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyCertSign,
    ];
    let authority_key = KeyPair::generate()?;
    let authority_pem = authority.self_signed(&authority_key)?.pem();

    let mut leaf = CertificateParams::default();
    lifetime(&mut leaf);
    leaf.distinguished_name
        .push(DnType::CommonName, format!("localhost@{seconds}"));
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.subject_alt_names = alternative_names(names)?;
    let key = KeyPair::generate()?;
    let leaf = leaf.signed_by(&key, &Issuer::new(authority, authority_key))?;
    Ok((leaf.pem() + &authority_pem, key.serialize_pem()))
}

fn alternative_names(names: &Names) -> Result<Vec<SanType>, rcgen::Error> {
    let mut all = vec![SanType::DnsName("localhost".try_into()?)];
    if let Some(host) = names.host.as_deref().filter(|host| *host != "localhost") {
        all.push(SanType::DnsName(host.try_into()?));
    }
    let loopback = [
        IpAddr::from([127, 0, 0, 1]),
        IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
    ];
    all.extend(loopback.map(SanType::IpAddress));
    let address = names
        .address
        .filter(|it| !it.is_unspecified() && !loopback.contains(it));
    all.extend(address.map(SanType::IpAddress));
    Ok(all)
}

/// Writes beside and renames, so that nobody reads half a file, or a key with the wrong mode.
fn write(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let beside = path.with_extension("tmp");
    match fs::remove_file(&beside) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)
}
