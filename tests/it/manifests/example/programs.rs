//! The programs behind the manifests: what the example service knows of its settings and series, and that
//! Redis takes what it is given.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::super::render::manifests;
use super::super::{container, list, text};
use super::file;
use super::metrics::OTHERS;
use super::objects::{named, objects};
use crate::support::poll;
use crate::support::process::Process;

/// What a source of the example service says in quotes.
fn quoted(source: &str) -> BTreeSet<String> {
    let path = manifests().join("../src/bin/example-service").join(source);
    let text = std::fs::read_to_string(path).unwrap();
    let quoted = regex::Regex::new(r#""([A-Za-z_]+)""#).unwrap();
    quoted
        .captures_iter(&text)
        .map(|it| it[1].to_owned())
        .collect()
}

#[test]
fn the_shop_knows_every_setting_that_it_is_given() {
    let (objects, settings) = (objects(), quoted("settings.rs"));
    for name in ["shop", "shop-worker"] {
        for variable in list(&container(named(&objects, "Deployment", name))["env"]) {
            let name = text(&variable["name"]);
            let is_part = name.ends_with("_PASSWORD");
            assert!(is_part || settings.contains(name), "{name}");
        }
    }
}

#[test]
fn the_shop_has_every_series_that_is_asked_for() {
    let registered = quoted("metrics.rs");
    for (name, _) in OTHERS {
        let is_shops = ["http_", "dependency_", "shop_", "process_"];
        // The library appends these.
        let plain = name.trim_end_matches("_total").trim_end_matches("_info");
        if is_shops.iter().any(|it| name.starts_with(it)) {
            assert!(registered.contains(plain), "{name}");
        }
    }
}

/// The pod's own command, with directories of this machine.
#[tokio::test]
async fn redis_takes_its_configuration_and_lets_nobody_in_without_the_password() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().to_str().unwrap();
    let here = |text: &str| {
        let text = text.replace("/etc/redis", path).replace("/run/redis", path);
        text.replace("dir /data", &format!("dir {path}"))
    };
    std::fs::write(
        directory.path().join("redis.conf"),
        here(&file("redis.conf")),
    )
    .unwrap();
    let objects = objects();
    let container = container(named(&objects, "StatefulSet", "redis"));
    // By its socket alone: no port is taken.
    let socket = format!("{path}/socket");
    let script = here(text(&container["command"][2])) + &format!(" --port 0 --unixsocket {socket}");
    let script = script.replace("redis.conf\n ", "redis.conf ");
    let mut command = Command::new("sh");
    command
        .args(["-ec", &script])
        .env("REDIS_PASSWORD", "secret0123");
    let redis = Process::start(command, &directory.path().join("stderr")).unwrap();
    let probe = text(&container["readinessProbe"]["exec"]["command"][2]);
    let probe = probe.replace("redis-cli", &format!("redis-cli -s {socket}"));
    let ready = |password: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-c", &probe]).env("REDISCLI_AUTH", password);
        shell.output().unwrap().status.success()
    };
    let answers = async || match ready("secret0123") {
        true => Ok(()),
        false => Err(redis.stderr()),
    };
    poll::until("redis is ready", Duration::from_secs(30), answers).await;
    assert!(!ready("other") && !ready(""), "nobody without the password");
    let kept = directory.path().join("appendonlydir");
    assert!(kept.exists(), "changes are appended to a file");
}
