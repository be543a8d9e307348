//! What is taken from the environment, and what is refused by name.

use super::*;

fn read(pairs: &[(&str, &str)]) -> Result<Settings, String> {
    let lookup = |name: &str| {
        let found = pairs.iter().find(|pair| pair.0 == name);
        found.map(|pair| OsString::from(pair.1))
    };
    Settings::read(&lookup)
}

#[test]
fn every_default_is_valid_and_help_lists_every_setting() {
    let settings = read(&[]).unwrap();
    assert_eq!(settings.shutdown_grace, Duration::from_secs(10));
    assert!(settings.redis.is_none() && settings.database.is_none());
    for (name, _, _) in SETTINGS {
        assert!(help().contains(name), "{name}");
    }
}

#[test]
fn all_wrong_settings_are_named_at_once_and_no_password_is_shown() {
    let wrong = read(&[
        ("LISTEN_ADDRESS", "8080"),
        ("ROLE", "cook"),
        ("REDIS_URL", "http://:hunter2@cache"),
        ("DATABASE_URL", "hunter2"),
        ("CONFIG_ETCD_URL", "ftp://root:hunter2@etcd"),
        ("SESSION_TTL", "-3s"),
        ("SHUTDOWN_GRACE", "11m"),
        ("MAX_IN_FLIGHT", "0"),
        ("COOKIE_SECURE", "yes"),
        ("LOG_FORMAT", "xml"),
        ("LOG_LEVEL", "loud"),
    ]);
    let wrong = wrong.err().unwrap();
    let names: Vec<&str> = wrong.lines().filter_map(|l| l.split(':').next()).collect();
    let expected = [
        "LISTEN_ADDRESS",
        "ROLE",
        "REDIS_URL",
        "DATABASE_URL",
        "CONFIG_ETCD_URL",
        "SESSION_TTL",
        "MAX_IN_FLIGHT",
        "SHUTDOWN_GRACE",
        "COOKIE_SECURE",
        "LOG_FORMAT",
        "LOG_LEVEL",
    ];
    assert_eq!(names, expected, "{wrong}");
    assert!(!wrong.contains("hunter2"), "{wrong}");
}

#[test]
fn what_is_no_text_is_refused_and_not_taken_as_not_set() {
    use std::os::unix::ffi::OsStringExt as _;
    let lookup = |name: &str| {
        let password = || OsString::from_vec(b"postgres://shop:caf\xe9@db/shop".to_vec());
        (name == "DATABASE_URL").then(password)
    };
    let wrong = Settings::read(&lookup).err().unwrap();
    assert_eq!(wrong, "DATABASE_URL: is no UTF-8 (not shown)");
}

#[test]
fn a_password_for_etcd_that_would_not_be_used_is_refused() {
    for url in ["http://root:hunter2@etcd:2379", "http://root@etcd:2379"] {
        let wrong = read(&[("CONFIG_ETCD_URL", url)]).err().unwrap();
        assert!(wrong.starts_with("CONFIG_ETCD_URL: has a user"), "{wrong}");
        assert!(!wrong.contains("hunter2"), "{wrong}");
    }
    assert!(read(&[("CONFIG_ETCD_URL", "http://etcd:2379")]).is_ok());
}

#[test]
fn a_worker_without_a_database_is_refused() {
    let wrong = read(&[("ROLE", "worker"), ("DATABASE_URL", "")]);
    assert!(wrong.err().unwrap().contains("DATABASE_URL is not set"));
    let right = read(&[
        ("ROLE", "worker"),
        ("DATABASE_URL", "postgres://shop@db/shop"),
    ]);
    assert_eq!(right.ok().map(|settings| settings.role), Some(Role::Worker));
}
