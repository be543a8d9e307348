//! The bundle of authorities by which clients judge our certificates, when there are several of us.
//!
//! Each replica signs its own certificate with an authority of its own, whose key nobody has any
//! more. Whoever talks to any of them must trust all: so the bundle is the sum of them. Each
//! replica adds its own and takes away only what is of no use: this needs no shared secret, no
//! leader and no right beyond writing the bundle. The other way, one authority in a Secret, would
//! put a signing key where it can be read, and would need the right to write Secrets.
//!
//! Authorities of replicas that are gone stay until they expire, but never more than the last
//! [`OWN_MAX`] of our kind; a replica whose own was pushed out adds it again.

use std::time::SystemTime;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::{is_own_authority, not_after};

/// Authorities of our kind in a bundle: replicas at a time, and those that went.
const OWN_MAX: usize = 32;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// `bundle` with `ours` in it, and without what is expired, twice there, or not a certificate.
/// Foreign authorities stay. All PEM; equal to `bundle` where nothing has to change.
pub fn merge(bundle: &str, ours: &[String], now: SystemTime) -> String {
    let mut kept: Vec<Entry<'_>> = Vec::new();
    let there = entries(bundle).filter(|entry| entry.end > now);
    for entry in there.chain(ours.iter().flat_map(|pem| entries(pem))) {
        if !kept.iter().any(|it| it.der == entry.der) {
            kept.push(entry);
        }
    }
    let mut surplus = kept.iter().filter(|it| it.own).count();
    surplus = surplus.saturating_sub(OWN_MAX);
    let wanted: Vec<_> = ours.iter().flat_map(|pem| entries(pem)).collect();
    kept.retain(|entry| {
        let goes = surplus > 0 && entry.own && !wanted.iter().any(|it| it.der == entry.der);
        surplus -= usize::from(goes);
        !goes
    });
    kept.iter().map(|it| format!("{}\n", it.text)).collect()
}

/// One certificate of a bundle.
struct Entry<'a> {
    text: &'a str,
    der: CertificateDer<'static>,
    end: SystemTime,
    own: bool,
}

fn entries(bundle: &str) -> impl Iterator<Item = Entry<'_>> {
    let mut rest = bundle;
    let texts = std::iter::from_fn(move || {
        let begin = rest.find(BEGIN)?;
        let length = rest[begin..].find(END)? + END.len();
        let text = &rest[begin..begin + length];
        rest = &rest[begin + length..];
        Some(text)
    });
    texts.filter_map(|text| {
        let der = CertificateDer::from_pem_slice(text.as_bytes()).ok()?;
        Some(Entry {
            end: not_after(&der).ok()?,
            own: is_own_authority(&der),
            text,
            der,
        })
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::serve::certificate::{Names, SelfSigned};

    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

    fn authority(now: SystemTime) -> String {
        let nowhere = std::path::Path::new("/dev/null/nowhere");
        let made = SelfSigned::open(nowhere, &Names::default(), now).unwrap();
        made.0.authority()
    }

    fn foreign() -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.not_after = (SystemTime::now() + YEAR).into();
        params.self_signed(&key).unwrap().pem()
    }

    fn one(authority: &str) -> Vec<String> {
        vec![authority.to_owned()]
    }

    #[test]
    fn each_replica_adds_its_own_and_nothing_is_written_twice() {
        let now = SystemTime::now();
        let (a, b, theirs) = (authority(now), authority(now), foreign());
        let first = merge(&theirs, &one(&a), now);
        let both = merge(&first, &one(&b), now);
        let trimmed = |pem: &str| pem.replace('\r', "").trim_end().to_owned() + "\n";
        assert_eq!(both, trimmed(&theirs) + &trimmed(&a) + &trimmed(&b));
        for ours in [&a, &b] {
            assert_eq!(merge(&both, &one(ours), now), both);
        }
        let doubled = format!("a comment\n{both}{both}");
        assert_eq!(merge(&doubled, &one(&a), now), both);
    }

    #[test]
    fn what_is_expired_goes_and_what_is_no_certificate() {
        let now = SystemTime::now();
        let (old, new) = (authority(now - YEAR * 2), authority(now));
        let broken = format!("{BEGIN}\nAAAA\n{END}\n");
        let merged = merge(&format!("{old}{broken}"), &one(&new), now);
        assert_eq!(merged, merge("", &one(&new), now));
    }

    #[test]
    fn the_bundle_has_a_limit_for_our_kind_that_foreign_ones_do_not_count_for() {
        let now = SystemTime::now();
        let all: Vec<_> = (0..OWN_MAX + 3).map(|_| authority(now)).collect();
        let theirs = foreign();
        let full = all
            .iter()
            .fold(theirs, |bundle, it| merge(&bundle, &one(it), now));
        assert_eq!(entries(&full).count(), OWN_MAX + 1);
        assert_eq!(entries(&full).filter(|it| !it.own).count(), 1);
        // The first was pushed out, and comes back at the end.
        let again = merge(&full, &one(&all[0]), now);
        let last = entries(&again).last().unwrap();
        assert_eq!(last.der, entries(&all[0]).next().unwrap().der);
        assert_eq!(entries(&again).count(), OWN_MAX + 1);
    }

    proptest! {
        #[test]
        fn no_bundle_makes_it_panic_and_merging_again_changes_nothing(
            bundle in "\\PC{0,40}|(-----(BEGIN|END) CERTIFICATE-----\n?[A-Za-z]{0,8}\n?){0,6}",
        ) {
            let now = SystemTime::now();
            let merged = merge(&bundle, &[], now);
            prop_assert_eq!(merge(&merged, &[], now), merged);
        }
    }
}
