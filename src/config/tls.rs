//! Names of TLS versions and cipher suites as Go knows them
//! (`k8s.io/component-base/cli/flag/ciphersuites_flag.go`, `crypto/tls`).
//!
//! All of Go's names are accepted, also of suites no modern library serves, because the published
//! manifests pass them.

use std::net::IpAddr;

use super::SniFlag;
use crate::serve::tls::{self, Version};

/// Go's suites, then the two names it keeps for old flags.
const CIPHER_SUITES: [&str; 27] = [
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_RSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
];

/// `VersionTLS10` … `VersionTLS13`; empty: 1.2, which is also the oldest served.
pub(super) fn version(name: &str) -> Result<Version, String> {
    match name {
        "" | "VersionTLS10" | "VersionTLS11" | "VersionTLS12" => Ok(Version::Tls12),
        "VersionTLS13" => Ok(Version::Tls13),
        _ => Err(format!(
            "--tls-min-version: unknown tls version {name:?}; write VersionTLS12 or VersionTLS13"
        )),
    }
}

/// Checks the names and gives today's name to the two old ones.
pub(super) fn cipher_suites(names: &[String]) -> Result<Vec<String>, String> {
    let suite = |name: &String| {
        if !CIPHER_SUITES.contains(&name.as_str()) {
            return Err(format!(
                "--tls-cipher-suites: Cipher suite {name} not supported or doesn't exist; those \
                 that exist are {}",
                CIPHER_SUITES.join(", ")
            ));
        }
        Ok(match name.as_str() {
            old if old.ends_with("_CHACHA20_POLY1305") => format!("{old}_SHA256"),
            name => name.to_owned(),
        })
    };
    names.iter().map(suite).collect()
}

/// Go's key exchanges (`crypto/tls` `CurveID`): P-256, P-384, P-521, X25519, and the hybrid ones.
const CURVES: [u16; 7] = [23, 24, 25, 29, 4587, 4588, 4589];

/// Checks the numbers. Those that are not served here do no harm unless there are no others.
pub(super) fn curves(numbers: &[u16]) -> Result<Vec<u16>, String> {
    let served = tls::curves();
    let list = |all: &[u16]| {
        let all: Vec<_> = all.iter().map(u16::to_string).collect();
        all.join(", ")
    };
    if let Some(unknown) = numbers.iter().find(|it| !CURVES.contains(it)) {
        return Err(format!(
            "--tls-curve-preferences: {unknown} is no key exchange of Go's; those are {}",
            list(&CURVES)
        ));
    }
    if !numbers.is_empty() && !numbers.iter().any(|it| served.contains(it)) {
        return Err(format!(
            "--tls-curve-preferences: none of these is served; give one of {}",
            list(&served)
        ));
    }
    Ok(numbers.to_vec())
}

/// `CERT,KEY` or `CERT,KEY:NAME,NAME` (`namedcertkey_flag.go` of k8s.io/component-base).
pub(super) fn sni(text: &str) -> Result<SniFlag, String> {
    let (files, names) = match text.split_once(':') {
        Some((_, names)) if names.trim().is_empty() => {
            return Err("empty names list is not allowed".to_owned());
        }
        Some((files, names)) => (files, names.split(',').map(str::trim).collect()),
        None => (text, Vec::new()),
    };
    let files: Vec<_> = files.split(',').map(str::trim).collect();
    let [certificate, key] = files[..] else {
        return Err("expected comma separated certificate and key file paths".to_owned());
    };
    if certificate.is_empty() || key.is_empty() {
        return Err("expected comma separated certificate and key file paths".to_owned());
    }
    if let Some(name) = names.iter().find(|name| !is_pattern(name)) {
        return Err(format!(
            "{name:?} is no DNS name; write a.example.com or *.example.com"
        ));
    }
    Ok(SniFlag {
        certificate: certificate.into(),
        key: key.into(),
        names: names.iter().map(|it| it.to_ascii_lowercase()).collect(),
    })
}

/// A DNS name, whose first label may be `*`; or an address, which Go takes and clients never send.
fn is_pattern(name: &str) -> bool {
    let label = |it: &str| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        !it.is_empty() && it.bytes().all(allowed)
    };
    let rest = name.strip_prefix("*.").unwrap_or(name);
    rest.split('.').all(label) || name.parse::<IpAddr>().is_ok()
}
