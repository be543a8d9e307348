//! Bundles as they come about, and as people leave them.

use std::sync::LazyLock;
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
    // The first was pushed out, for its replica never looked; it comes back at the end.
    let again = merge(&full, &one(&all[0]), now);
    let last = entries(&again).last().unwrap();
    assert_eq!(last.der, entries(&all[0]).next().unwrap().der);
    assert_eq!(entries(&again).count(), OWN_MAX + 1);
}

#[test]
fn a_replica_that_lives_on_is_never_pushed_out_by_those_that_come_and_go() {
    let now = SystemTime::now();
    let ours = authority(now);
    let der = entries(&ours).next().unwrap().der;
    let mut bundle = merge("", &one(&ours), now);
    let mut writes = 0;
    for _ in 0..OWN_MAX * 2 {
        bundle = merge(&bundle, &one(&authority(now)), now);
        assert!(entries(&bundle).any(|it| it.der == der));
        let next = merge(&bundle, &one(&ours), now);
        writes += usize::from(next != bundle);
        bundle = next;
    }
    // It moves seldom.
    assert_eq!(writes, OWN_MAX * 2 / (NEWER_MAX + 1));
}

/// What stands in a bundle.
struct Known {
    pem: String,
    expired: bool,
    own: bool,
}

/// RFC 5280 allows 20 bytes; Go reads more.
fn with_long_serial() -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.serial_number = Some(rcgen::SerialNumber::from_slice(&[1; 40]));
    params.self_signed(&key).unwrap().pem()
}

fn expired_foreign() -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.not_after = (SystemTime::now() - YEAR).into();
    params.self_signed(&key).unwrap().pem()
}

static POOL: LazyLock<Vec<Known>> = LazyLock::new(|| {
    let now = SystemTime::now();
    let known = |pem, expired, own| Known { pem, expired, own };
    vec![
        known(authority(now), false, true),
        known(authority(now), false, true),
        known(authority(now - YEAR * 2), true, true),
        known(foreign(), false, false),
        known(foreign(), false, false),
        known(with_long_serial(), false, false),
        known(expired_foreign(), true, false),
    ]
});

#[test]
fn an_authority_that_only_others_can_read_stays() {
    let now = SystemTime::now();
    let theirs = with_long_serial();
    let der = CertificateDer::from_pem_slice(theirs.as_bytes()).unwrap();
    assert!(not_after(&der).is_err(), "else this tests nothing");
    let merged = merge(&theirs, &one(&authority(now)), now);
    assert!(entries(&merged).any(|it| it.der == der));
}

/// How somebody wrote it down.
#[derive(Clone, Copy, Debug)]
enum Form {
    Plain,
    Crlf,
    Commented,
    /// Without its end, as after a bad copy.
    Truncated,
    /// Without its beginning.
    Beheaded,
}

fn written(pem: &str, form: Form) -> String {
    let third = pem.len() / 3;
    match form {
        Form::Plain => pem.to_owned(),
        Form::Crlf => pem.replace('\r', "").replace('\n', "\r\n"),
        Form::Commented => format!("# whose it is: -----\n{pem}\n\n"),
        Form::Truncated => format!("{}\n", &pem[..third]),
        Form::Beheaded => pem[third * 2..].to_owned(),
    }
}

fn forms() -> impl Strategy<Value = Form> {
    use Form::{Beheaded, Commented, Crlf, Plain, Truncated};
    prop_oneof![
        Just(Plain),
        Just(Crlf),
        Just(Commented),
        Just(Truncated),
        Just(Beheaded)
    ]
}

proptest! {
    #[test]
    fn whatever_stands_in_a_bundle_merging_adds_ours_and_loses_nothing_of_use(
        parts in prop::collection::vec((0..POOL.len(), forms()), 0..12),
    ) {
        let now = SystemTime::now();
        let bundle: String = parts.iter().map(|(at, form)| written(&POOL[*at].pem, *form)).collect();
        let ours = one(&POOL[0].pem);
        let merged = merge(&bundle, &ours, now);
        let found: Vec<_> = entries(&merged).map(|it| it.der).collect();
        let times = |known: &Known| {
            let der = CertificateDer::from_pem_slice(known.pem.as_bytes()).unwrap();
            found.iter().filter(|it| **it == der).count()
        };
        for (at, known) in POOL.iter().enumerate() {
            let whole = |form: &Form| !matches!(form, Form::Truncated | Form::Beheaded);
            let there = parts.iter().any(|(it, form)| *it == at && whole(form));
            let stays = at == 0 || (there && !known.expired);
            prop_assert_eq!(times(known), usize::from(stays), "{}: {:?}", at, parts);
        }
        prop_assert!(entries(&merged).filter(|it| it.own).count() <= OWN_MAX);
        prop_assert_eq!(entries(&merged).filter(|it| it.own).count(),
            POOL.iter().filter(|it| it.own).map(times).sum::<usize>());
        prop_assert_eq!(merge(&merged, &ours, now), merged);
    }

    #[test]
    fn no_text_makes_it_panic_and_merging_again_changes_nothing(
        bundle in "\\PC{0,40}|(-----(BEGIN|END) CERTIFICATE-----\n?[A-Za-z]{0,8}\n?){0,6}",
    ) {
        let now = SystemTime::now();
        let merged = merge(&bundle, &[], now);
        prop_assert_eq!(merge(&merged, &[], now), merged);
    }
}
