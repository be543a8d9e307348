//! Self-signed pairs: made, used again, replaced.

use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::serve::certificate::{self, Error, Names, Origin, SelfSigned, not_after, parse};

#[test]
fn a_pair_is_made_once_and_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("a/b");
    let now = SystemTime::now();
    let names = Names {
        address: Some([10, 0, 0, 7].into()),
        ..Names::of_service("adapter", Some("shop"))
    };
    let (first, origin) = SelfSigned::open(&at, &names, now).unwrap();
    assert!(
        matches!(origin, Origin::Written { replaced: None }),
        "{origin:?}"
    );
    let (second, origin) = SelfSigned::open(&at, &names, now).unwrap();
    assert!(matches!(origin, Origin::Reused), "{origin:?}");
    let (first, second) = (first.key(), second.key());
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
    let replaced = |now| match SelfSigned::open(dir.path(), &Names::default(), now)
        .unwrap()
        .1
    {
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
    SelfSigned::open(other.path(), &Names::default(), now).unwrap();
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
    let error = SelfSigned::open(dir.path(), &Names::default(), SystemTime::now()).unwrap_err();
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
    let (_, origin) = SelfSigned::open(&at, &Names::default(), SystemTime::now()).unwrap();
    assert!(matches!(origin, Origin::InMemory(_)), "{origin:?}");
}

#[test]
fn files_without_pem_are_refused() {
    assert!(matches!(parse(b"", b""), Err(Error::NoCertificate(None))));
    let dir = tempfile::tempdir().unwrap();
    SelfSigned::open(dir.path(), &Names::default(), SystemTime::now()).unwrap();
    let certificate = std::fs::read(dir.path().join("apiserver.crt")).unwrap();
    assert!(matches!(parse(&certificate, b"x"), Err(Error::NoKey(_))));
}

#[test]
fn a_pair_is_good_for_each_name_of_the_service_and_for_loopback() {
    let dir = tempfile::tempdir().unwrap();
    let names = Names {
        address: Some([10, 0, 0, 7].into()),
        ..Names::of_service("tidegauge", Some("monitoring"))
    };
    let (pair, _) = SelfSigned::open(dir.path(), &names, SystemTime::now()).unwrap();
    let (dns, addresses) = certificate::names(&pair.key().cert[0]).unwrap();
    let wanted = [
        "localhost",
        "tidegauge",
        "tidegauge.monitoring",
        "tidegauge.monitoring.svc",
        "tidegauge.monitoring.svc.cluster.local",
    ];
    assert_eq!(dns, wanted);
    let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["127.0.0.1", "::1", "10.0.0.7"]);
}

#[test]
fn a_pair_that_lacks_a_name_is_replaced_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let open = |names: &Names| {
        let opened = SelfSigned::open(dir.path(), names, SystemTime::now()).unwrap();
        match opened.1 {
            Origin::Written { replaced } => replaced,
            Origin::Reused => Some("reused".to_owned()),
            Origin::InMemory(error) => panic!("{error}"),
        }
    };
    let of = |namespace| Names::of_service("tidegauge", Some(namespace));
    assert_eq!(open(&of("old")), None);
    assert_eq!(
        open(&of("new")).unwrap(),
        "it is not good for tidegauge.new"
    );
    assert_eq!(open(&of("new")).unwrap(), "reused");
    // Fewer names are no reason.
    assert_eq!(open(&Names::default()).unwrap(), "reused");
    let moved = Names {
        address: Some([10, 0, 0, 7].into()),
        ..of("new")
    };
    assert_eq!(open(&moved).unwrap(), "it is not good for 10.0.0.7");
}

#[test]
fn a_pair_that_somebody_else_put_there_is_recognized() {
    let dir = tempfile::tempdir().unwrap();
    let places = ["apiserver.crt", "apiserver.key"].map(|name| dir.path().join(name));
    assert_eq!(certificate::foreign(dir.path()), None);
    SelfSigned::open(dir.path(), &Names::default(), SystemTime::now()).unwrap();
    assert_eq!(certificate::foreign(dir.path()), None);
    // The Go adapter made this one, in the same directory.
    put(dir.path(), "localhost-ca@1764155555");
    assert_eq!(certificate::foreign(dir.path()), None);
    put(dir.path(), "Example CA");
    let [certificate, key] = places;
    assert_eq!(certificate::foreign(dir.path()), Some((certificate, key)));
}

/// Puts a pair there whose certificate somebody of this name signed.
fn put(dir: &std::path::Path, name: &str) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(["a.example.com".to_owned()]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    let certificate = params.self_signed(&key).unwrap().pem();
    std::fs::write(dir.join("apiserver.crt"), certificate).unwrap();
    std::fs::write(dir.join("apiserver.key"), key.serialize_pem()).unwrap();
}

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// What a renewal did, with the day it did it.
#[derive(Default)]
struct Seen {
    announced: Vec<(u64, Vec<String>)>,
    shown: Vec<(u64, rustls::sign::CertifiedKey)>,
}

/// Renews a fresh pair in virtual time; each announcement is heard after `hears`.
async fn renewal(dir: &std::path::Path, hears: Duration, days: u32) -> (String, Arc<Mutex<Seen>>) {
    renewal_while(dir, hears, days, |_| {}).await
}

/// The same; `meanwhile` happens to the directory after the pair was opened.
async fn renewal_while(
    dir: &std::path::Path,
    hears: Duration,
    days: u32,
    meanwhile: impl FnOnce(&std::path::Path),
) -> (String, Arc<Mutex<Seen>>) {
    let (begin, real) = (Instant::now(), SystemTime::now());
    // To the hour: the end of a certificate is cut to the second.
    let day = move || (begin.elapsed() + HOUR).as_secs() / DAY.as_secs();
    let (own, _) = SelfSigned::open(dir, &Names::default(), real).unwrap();
    let first = own.authority();
    let seen = Arc::new(Mutex::new(Seen::default()));
    let (announced, shown) = (Arc::clone(&seen), Arc::clone(&seen));
    meanwhile(dir);
    let renew = own.renew(
        move || real + begin.elapsed(),
        async move |authorities| {
            announced
                .lock()
                .unwrap()
                .announced
                .push((day(), authorities));
            tokio::time::sleep(hears).await;
        },
        move |key| shown.lock().unwrap().shown.push((day(), key)),
    );
    let _running_on = tokio::time::timeout(DAY * days, renew).await;
    (first, seen)
}

#[tokio::test(start_paused = true)]
async fn a_running_process_renews_its_pair_and_shows_it_when_it_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let (_, seen) = renewal(dir.path(), DAY * 3, 334).await;
    assert!(seen.lock().unwrap().announced.is_empty());

    let dir = tempfile::tempdir().unwrap();
    let (first, seen) = renewal(dir.path(), DAY * 3, 345).await;
    let seen = seen.lock().unwrap();
    let [(335, both), (338, new)] = &seen.announced[..] else {
        panic!("{:?}", seen.announced);
    };
    assert_eq!((&both[0], &both[1]), (&first, &new[0]));
    assert!(both.len() == 2 && new.len() == 1 && new[0] != first);
    let [(338, shown)] = &seen.shown[..] else {
        panic!("{} shown", seen.shown.len());
    };
    // The next process goes on with it.
    let later = SystemTime::now() + DAY * 345;
    let (kept, origin) = SelfSigned::open(dir.path(), &Names::default(), later).unwrap();
    assert!(matches!(origin, Origin::Reused), "{origin:?}");
    assert_eq!(kept.key().cert, shown.cert);
}

#[tokio::test(start_paused = true)]
async fn a_pair_is_not_shown_beyond_its_end_although_nobody_could_be_told() {
    let dir = tempfile::tempdir().unwrap();
    let (_, seen) = renewal(dir.path(), DAY * 1000, 366).await;
    let shown: Vec<_> = seen.lock().unwrap().shown.iter().map(|it| it.0).collect();
    assert_eq!(shown, [364]);
}

#[tokio::test(start_paused = true)]
async fn renewal_goes_on_year_after_year() {
    let dir = tempfile::tempdir().unwrap();
    let (_, seen) = renewal(dir.path(), Duration::ZERO, 1100).await;
    let shown: Vec<_> = seen.lock().unwrap().shown.iter().map(|it| it.0).collect();
    assert_eq!(shown.len(), 3, "{shown:?}");
}

#[tokio::test(start_paused = true)]
async fn a_pair_that_somebody_put_there_meanwhile_is_not_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let read = || ["apiserver.crt", "apiserver.key"].map(|it| std::fs::read(dir.path().join(it)));
    let mut theirs = None;
    let (_, seen) = renewal_while(dir.path(), Duration::ZERO, 345, |dir| {
        put(dir, "Example CA");
        theirs = Some(read().map(Result::unwrap));
    })
    .await;
    assert_eq!(
        seen.lock().unwrap().shown.len(),
        1,
        "it is renewed in memory"
    );
    assert_eq!(read().map(Result::unwrap), theirs.unwrap());
}
