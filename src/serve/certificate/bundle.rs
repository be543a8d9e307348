//! The bundle of authorities by which clients judge our certificates, when there are several of us.
//!
//! Each replica signs its own certificate with an authority of its own, whose key nobody has any
//! more. Whoever talks to any of them must trust all: so the bundle is the sum of them. Each
//! replica adds its own and takes away only what is of no use: this needs no shared secret, no
//! leader and no right beyond writing the bundle. The other way, one authority in a Secret, would
//! put a signing key where it can be read, and would need the right to write Secrets.
//!
//! Authorities of replicas that are gone stay until they expire, but never more than the last
//! [`OWN_MAX`] of our kind. So that those of replicas that live are not pushed out, each replica
//! puts its own at the end when the bundle is filling up and many newer ones stand behind it.

use std::time::SystemTime;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::{is_own_authority, not_after};

/// Authorities of our kind in a bundle: replicas at a time, and those that went. One is about
/// 0.7 KB, and an object of the cluster may have more than 1 MB.
const OWN_MAX: usize = 128;

/// How many newer ones of our kind stand behind one that lives, at most.
const NEWER_MAX: usize = OWN_MAX / 2;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// How the DER of a certificate begins (X.690, 8.9).
const SEQUENCE: u8 = 0x30;

/// `bundle` with `ours` in it, and without what is expired, twice there, or not a certificate.
/// Foreign authorities stay, also such as only others can read. All PEM; equal to `bundle` where
/// nothing has to change.
pub fn merge(bundle: &str, ours: &[String], now: SystemTime) -> String {
    let mut kept: Vec<Entry<'_>> = Vec::new();
    let there = entries(bundle).filter(|entry| entry.end.is_none_or(|end| end > now));
    for entry in there.chain(ours.iter().flat_map(|pem| entries(pem))) {
        if !kept.iter().any(|it| it.der == entry.der) {
            kept.push(entry);
        }
    }
    let wanted: Vec<_> = ours.iter().flat_map(|pem| entries(pem)).collect();
    let is_wanted = |entry: &Entry<'_>| wanted.iter().any(|it| it.der == entry.der);
    let own = kept.iter().filter(|it| it.own).count();
    let mut newer = own;
    let (mut kept, renewed): (Vec<_>, Vec<_>) = kept.into_iter().partition(|entry| {
        newer -= usize::from(entry.own);
        !(entry.own && newer > NEWER_MAX && is_wanted(entry))
    });
    kept.extend(renewed);
    let mut surplus = own.saturating_sub(OWN_MAX);
    kept.retain(|entry| {
        let goes = surplus > 0 && entry.own && !is_wanted(entry);
        surplus -= usize::from(goes);
        !goes
    });
    kept.iter().map(|it| format!("{}\n", it.text)).collect()
}

/// One certificate of a bundle.
struct Entry<'a> {
    text: &'a str,
    der: CertificateDer<'static>,
    /// `None`: it cannot be read here. Go may be able to.
    end: Option<SystemTime>,
    own: bool,
}

fn entries(bundle: &str) -> impl Iterator<Item = Entry<'_>> {
    let mut rest = bundle;
    let texts = std::iter::from_fn(move || {
        let end = rest.find(END)? + END.len();
        let (these, others) = rest.split_at(end);
        rest = others;
        // The last one: one before it has lost its end.
        Some(&these[these.rfind(BEGIN).unwrap_or(end)..])
    });
    texts.filter_map(|text| {
        let der = CertificateDer::from_pem_slice(text.as_bytes()).ok()?;
        if der.first() != Some(&SEQUENCE) {
            return None;
        }
        Some(Entry {
            end: not_after(&der).ok(),
            own: is_own_authority(&der),
            text,
            der,
        })
    })
}

#[cfg(test)]
mod tests;
