//! Self-signed pairs: made, used again, replaced.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use crate::serve::certificate::{Error, Names, Origin, not_after, parse, self_signed};

#[test]
fn a_pair_is_made_once_and_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("a/b");
    let now = SystemTime::now();
    let names = Names {
        address: Some([10, 0, 0, 7].into()),
        host: Some("adapter.test".to_owned()),
    };
    let (first, origin) = self_signed(&at, &names, now).unwrap();
    assert!(
        matches!(origin, Origin::Written { replaced: None }),
        "{origin:?}"
    );
    let (second, origin) = self_signed(&at, &names, now).unwrap();
    assert!(matches!(origin, Origin::Reused), "{origin:?}");
    assert_eq!(first.cert, second.cert);
    let mode = std::fs::metadata(at.join("apiserver.key"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let end = not_after(&first.cert[0]).unwrap();
    assert!(end > now + Duration::from_secs(364 * 24 * 3600));
}

#[test]
fn a_pair_about_to_expire_or_broken_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let day = Duration::from_secs(24 * 3600);
    let old = now - day * 336;
    let replaced = |now| match self_signed(dir.path(), &Names::default(), now).unwrap().1 {
        Origin::Written { replaced } => replaced,
        origin => panic!("{origin:?}"),
    };
    assert_eq!(replaced(old), None);
    assert_eq!(replaced(now).as_deref(), Some("it expires within 30 days"));
    std::fs::write(dir.path().join("apiserver.crt"), "nonsense").unwrap();
    let why = replaced(now).unwrap();
    assert_eq!(why, "the certificate file holds no PEM certificate");
    // A certificate whose key is another's.
    let other = tempfile::tempdir().unwrap();
    self_signed(other.path(), &Names::default(), now).unwrap();
    let key = "apiserver.key";
    std::fs::copy(other.path().join(key), dir.path().join(key)).unwrap();
    assert_eq!(
        replaced(now).unwrap(),
        "the key cannot be used with the certificate"
    );
}

#[test]
fn half_a_pair_is_an_error_in_the_words_of_go() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("apiserver.crt"), "x").unwrap();
    let error = self_signed(dir.path(), &Names::default(), SystemTime::now()).unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("error reading /") && text.contains("/apiserver.key, "),
        "{text}"
    );
    assert!(
        text.ends_with("certificate and key must be supplied as a pair"),
        "{text}"
    );
}

#[test]
fn a_directory_that_cannot_be_written_leaves_it_in_memory() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let at = file.path().join("certificates");
    let (_, origin) = self_signed(&at, &Names::default(), SystemTime::now()).unwrap();
    assert!(matches!(origin, Origin::InMemory(_)), "{origin:?}");
}

#[test]
fn files_without_pem_are_refused() {
    assert!(matches!(parse(b"", b""), Err(Error::NoCertificate(None))));
    let dir = tempfile::tempdir().unwrap();
    self_signed(dir.path(), &Names::default(), SystemTime::now()).unwrap();
    let certificate = std::fs::read(dir.path().join("apiserver.crt")).unwrap();
    assert!(matches!(parse(&certificate, b"x"), Err(Error::NoKey(_))));
}
