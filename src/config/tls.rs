//! Names of TLS versions and cipher suites as Go knows them
//! (`k8s.io/component-base/cli/flag/ciphersuites_flag.go`, `crypto/tls`).
//!
//! All of Go's names are accepted, also of suites no modern library serves, because the published
//! manifests pass them.

use crate::serve::tls::Version;

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
                "--tls-cipher-suites: Cipher suite {name} not supported or doesn't exist"
            ));
        }
        Ok(match name.as_str() {
            old if old.ends_with("_CHACHA20_POLY1305") => format!("{old}_SHA256"),
            name => name.to_owned(),
        })
    };
    names.iter().map(suite).collect()
}
