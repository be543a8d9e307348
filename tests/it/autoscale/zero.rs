//! To zero, where nobody hears that it was reached.

use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::{EXTERNAL, World, hpa};
use crate::support::autoscaler::{Autoscaler, folder, run};
use crate::support::poll;

/// One replica of an autoscaler that goes to zero at once. It comes back by pods: of none, a hundred
/// percent more are none, in Kubernetes as well, once its period no longer holds the one that went.
fn one() -> TempDir {
    let text = hpa(EXTERNAL)
        .replace("minReplicas: 1", "minReplicas: 0")
        .replacen("type: Percent, value: 100", "type: Pods, value: 4", 1)
        .replace(
            "stabilizationWindowSeconds: 3",
            "stabilizationWindowSeconds: 0",
        );
    folder(&[("hpa.yaml", &text), ("n", "1")])
}

fn once(world: &World, folder: &Path, exec: &str) -> (Option<i32>, String, String) {
    let server = format!("--server={}", world.adapter.url);
    let own = ["-f=hpa.yaml", &server, "--current=cat n", "--memory=m"];
    run(folder, &[&own[..], &["--once", exec]].concat())
}

/// Orders come: it must not stay at zero.
async fn it_comes_back(world: &World, folder: &Path) {
    assert_eq!(std::fs::read_to_string(folder.join("n")).unwrap(), "0\n");
    world.wait(30);
    world.prometheus.wait_for(&["orders_waiting == 30"]).await;
    let (code, out, err) = once(world, folder, super::WRITE);
    assert!(
        code == Some(0) && out.contains("shop/web 0 → "),
        "{out}{err}"
    );
}

#[tokio::test]
async fn a_command_that_scales_to_zero_and_fails_leaves_nothing_there_for_ever() {
    let world = World::start(0).await;
    let folder = one();
    let failing = "--exec=echo {replicas} > n; exit 1";
    let (code, out, _) = once(&world, folder.path(), failing);
    assert_eq!(code, Some(1));
    assert!(out.contains("shop/web 1 → 0 failed: "), "{out}");
    it_comes_back(&world, folder.path()).await;
}

#[tokio::test]
async fn told_to_stop_in_the_middle_of_it_it_knows_what_it_was_about_to_do() {
    let world = World::start(0).await;
    let server = format!("--server={}", world.adapter.url);
    let flags = [
        "-f=hpa.yaml",
        &server,
        "--current=cat n",
        "--memory=m",
        "--exec=echo {replicas} > n; touch begun; exec sleep 60",
    ];
    let mut autoscaler = Autoscaler::start(one(), &flags);
    let begun = async || match autoscaler.path("begun").exists() {
        true => Ok(()),
        false => Err(autoscaler.stderr()),
    };
    poll::until("the command runs", Duration::from_secs(30), begun).await;
    autoscaler.signal("TERM");
    assert_eq!(autoscaler.ended().await.code(), Some(0));
    let folder = autoscaler.path("");
    it_comes_back(&world, &folder).await;
}

#[tokio::test]
async fn nothing_is_scaled_to_zero_that_cannot_be_written_down_first() {
    let world = World::start(0).await;
    let folder = one();
    std::fs::create_dir(folder.path().join("kept")).unwrap();
    let server = format!("--server={}", world.adapter.url);
    let flags = [
        "-f=hpa.yaml",
        &server,
        "--current=mv kept gone; cat n",
        "--memory=kept/m",
        "--once",
        super::WRITE,
    ];
    let (code, out, err) = run(folder.path(), &flags);
    assert_eq!(code, Some(1), "{out}{err}");
    let expected = "shop/web 1 → 0 failed: not to zero: --memory: cannot write kept/m";
    assert!(out.contains(expected), "{out}");
    assert_eq!(
        std::fs::read_to_string(folder.path().join("n")).unwrap(),
        "1"
    );
}
