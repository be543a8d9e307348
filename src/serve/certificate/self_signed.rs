//! The self-signed pair that every Kubernetes API server makes for itself where it is given none
//! (`secure_serving.go` `MaybeDefaultWithSelfSignedCerts`, client-go `util/cert`).
//!
//! Promises: a pair in the directory is used again while it is whole, holds for another 30 days and
//! is good for all the names wanted, so restarts do not change it; the key is readable by its owner
//! only; where the directory cannot be written the pair lives in memory; a process that runs on
//! renews it 30 days before its end, and shows the new one only when whoever has to trust it has
//! heard of it, or when the old one is about to end. A pair that somebody else put into the
//! directory is never overwritten.

use std::fs;
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::sign::CertifiedKey;
use tokio::time::{sleep, timeout};

use super::{Error, OWN_AUTHORITY, is_self_made, names, not_after, parse};
use crate::telemetry::with_causes;

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);
/// As client-go.
const LIFETIME: Duration = Duration::from_secs(365 * 24 * 3_600);
const RENEW_BEFORE: Duration = Duration::from_secs(30 * 24 * 3_600);
/// How long before the end of the old one the new one is shown, whoever has heard of it.
const SHOW_BEFORE: Duration = DAY;

/// Certificate and key file in `directory` that somebody put there: they are used as they are, as
/// in Go. Those that an API server made for itself do not count.
pub fn foreign(directory: &Path) -> Option<(PathBuf, PathBuf)> {
    let (at_certificate, at_key) = places(directory);
    let (certificate, key) = (fs::read(&at_certificate).ok()?, fs::read(&at_key).ok()?);
    let pair = parse(&certificate, &key).ok()?;
    let authority = pair.cert.last()?;
    (!is_self_made(authority)).then_some((at_certificate, at_key))
}

/// What a self-signed certificate is good for, besides `localhost` and the loopback addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// The address to bind to, if it is a specific one.
    pub address: Option<IpAddr>,
    /// DNS names.
    pub dns: Vec<String>,
}

impl Names {
    /// Those of a Kubernetes service, in each form that clients in the cluster use; the API server
    /// wants `SVC.NS.svc`. Without a namespace only the short one.
    pub fn of_service(name: &str, namespace: Option<&str>) -> Names {
        let mut dns = vec![name.to_owned()];
        if let Some(namespace) = namespace {
            let suffixes = ["", ".svc", ".svc.cluster.local"];
            dns.extend(suffixes.map(|suffix| format!("{name}.{namespace}{suffix}")));
        }
        Names { address: None, dns }
    }

    fn alternative(&self) -> Result<Vec<SanType>, rcgen::Error> {
        let dns = self.all_dns().into_iter();
        let dns: Result<Vec<_>, _> = dns
            .map(|name| Ok::<_, rcgen::Error>(SanType::DnsName(name.try_into()?)))
            .collect();
        let addresses = self.all_addresses().into_iter().map(SanType::IpAddress);
        Ok(dns?.into_iter().chain(addresses).collect())
    }

    fn all_dns(&self) -> Vec<String> {
        let mut all = vec!["localhost".to_owned()];
        all.extend(self.dns.iter().filter(|it| *it != "localhost").cloned());
        all
    }

    fn all_addresses(&self) -> Vec<IpAddr> {
        let mut all = vec![
            IpAddr::from([127, 0, 0, 1]),
            IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
        ];
        let own = self.address;
        let own = own.filter(|it| !it.is_unspecified() && !all.contains(it));
        all.extend(own);
        all
    }
}

/// Where the certificate of [`SelfSigned::open`] came from.
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

/// A pair whose certificate we signed, and where it is kept.
pub struct SelfSigned {
    directory: PathBuf,
    names: Names,
    pair: Pair,
}

/// PEM, and what it says.
struct Pair {
    /// The leaf, then its authority.
    certificate: String,
    key: String,
    usable: CertifiedKey,
    end: SystemTime,
}

impl Pair {
    fn authority(&self) -> String {
        let begin = self.certificate.rfind("-----BEGIN ");
        self.certificate[begin.unwrap_or_default()..].to_owned()
    }
}

impl SelfSigned {
    /// The pair in `directory` (`apiserver.crt`, `apiserver.key`), made if need be.
    ///
    /// # Errors
    /// Half a pair in the directory, or names that cannot stand in a certificate.
    pub fn open(
        directory: &Path,
        names: &Names,
        now: SystemTime,
    ) -> Result<(SelfSigned, Origin), Error> {
        let (at_certificate, at_key) = places(directory);
        let kept = |pair| SelfSigned {
            directory: directory.to_owned(),
            names: names.clone(),
            pair,
        };
        let replaced = match (fs::read(&at_certificate), fs::read(&at_key)) {
            (Ok(certificate), Ok(key)) => match reusable(certificate, key, names, now) {
                Ok(found) => return Ok((kept(found), Origin::Reused)),
                Err(why) => Some(why),
            },
            (Ok(_), Err(_)) => return Err(Error::Half(at_key)),
            (Err(_), Ok(_)) => return Err(Error::Half(at_certificate)),
            (Err(_), Err(_)) => None,
        };
        let made = kept(generate(names, now)?);
        let origin = match made.write() {
            Ok(()) => Origin::Written { replaced },
            Err(e) => Origin::InMemory(e),
        };
        Ok((made, origin))
    }

    /// What to serve with.
    pub fn key(&self) -> CertifiedKey {
        self.pair.usable.clone()
    }

    /// Whom to trust for it, PEM: the authority that signed this certificate and nothing else.
    pub fn authority(&self) -> String {
        self.pair.authority()
    }

    /// Renews the pair for ever. `clock` tells the time. `announce` is given the authorities to
    /// trust from then on, the coming one last, and completes when all who must have heard of them;
    /// `show` is given the new key to serve with.
    pub async fn renew(
        mut self,
        clock: impl Fn() -> SystemTime,
        mut announce: impl AsyncFnMut(Vec<String>),
        mut show: impl FnMut(CertifiedKey),
    ) {
        loop {
            // A machine may sleep, and its clock may be set: no single long wait.
            sleep(HOUR).await;
            let now = clock();
            if now + RENEW_BEFORE < self.pair.end {
                continue;
            }
            let next = match generate(&self.names, now) {
                Ok(next) => next,
                Err(error) => {
                    let error = with_causes(&error);
                    tracing::error!(error, "cannot renew the self-signed certificate, trying on");
                    continue;
                }
            };
            let old = std::mem::replace(&mut self.pair, next);
            let patience = old.end.duration_since(now + SHOW_BEFORE);
            let announced = announce(vec![old.authority(), self.authority()]);
            if timeout(patience.unwrap_or_default(), announced)
                .await
                .is_err()
            {
                tracing::warn!("nobody could be told of the new self-signed certificate in time");
            }
            show(self.key());
            match self.write() {
                Ok(()) => tracing::info!("renewed the self-signed certificate"),
                Err(error) => {
                    tracing::info!(%error, "renewed the self-signed certificate in memory only");
                }
            }
            let _told = timeout(HOUR, announce(vec![self.authority()])).await;
        }
    }

    fn write(&self) -> io::Result<()> {
        if foreign(&self.directory).is_some() {
            let text = "somebody has put a pair of their own there, for the next start";
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
        }
        let (at_certificate, at_key) = places(&self.directory);
        // Key first: a process that dies in between leaves a pair that does not match, which the
        // next one replaces.
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(&self.directory)
            .and_then(|()| write(&at_key, &self.pair.key, 0o600))
            .and_then(|()| write(&at_certificate, &self.pair.certificate, 0o644))
    }
}

impl std::fmt::Debug for SelfSigned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SelfSigned")
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

fn places(directory: &Path) -> (PathBuf, PathBuf) {
    (
        directory.join("apiserver.crt"),
        directory.join("apiserver.key"),
    )
}

/// The pair, or why it should be replaced.
fn reusable(
    certificate: Vec<u8>,
    key: Vec<u8>,
    wanted: &Names,
    now: SystemTime,
) -> Result<Pair, String> {
    let text = |bytes| String::from_utf8(bytes).map_err(|_| "it is not text".to_owned());
    let pair = pair(text(certificate)?, text(key)?).map_err(|e| e.to_string())?;
    if pair.end < now + RENEW_BEFORE {
        let days = RENEW_BEFORE.as_secs() / DAY.as_secs();
        return Err(format!("it expires within {days} days"));
    }
    let leaf = pair.usable.cert.first().ok_or("it is empty")?;
    let (dns, addresses) = names(leaf).map_err(|e| e.to_string())?;
    let missing = |name: &String| Err(format!("it is not good for {name}"));
    if let Some(name) = wanted.all_dns().iter().find(|it| !dns.contains(it)) {
        return missing(name);
    }
    let all = wanted.all_addresses();
    match all.iter().find(|it| !addresses.contains(it)) {
        Some(address) => missing(&address.to_string()),
        None => Ok(pair),
    }
}

fn pair(certificate: String, key: String) -> Result<Pair, Error> {
    let usable = parse(certificate.as_bytes(), key.as_bytes())?;
    let leaf = usable.cert.first().ok_or(Error::NoCertificate(None))?;
    let end = not_after(leaf)?;
    Ok(Pair {
        certificate,
        key,
        usable,
        end,
    })
}

/// A leaf and its authority, whose key is thrown away.
fn generate(names: &Names, now: SystemTime) -> Result<Pair, Error> {
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
    authority.distinguished_name = named(&format!("{OWN_AUTHORITY}{seconds}"));
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyCertSign,
    ];
    let authority_key = KeyPair::generate()?;
    let authority_pem = authority.self_signed(&authority_key)?.pem();

    let mut leaf = CertificateParams::default();
    lifetime(&mut leaf);
    leaf.distinguished_name = named(&format!("tidegauge@{seconds}"));
    // Two authorities made in one second have one name.
    leaf.use_authority_key_identifier_extension = true;
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.subject_alt_names = names.alternative()?;
    let key = KeyPair::generate()?;
    let leaf = leaf.signed_by(&key, &Issuer::new(authority, authority_key))?;
    pair(leaf.pem() + &authority_pem, key.serialize_pem())
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
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
