//! Commands that fail, hang or print nonsense change nothing, and say so.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{EXTERNAL, WRITE, World, acted};
use crate::support::poll;

/// Whether somebody runs `sleep` for so many seconds.
fn sleeps(seconds: &str) -> bool {
    let found = Command::new("pgrep")
        .args(["-f", &format!("^sleep {seconds}$")])
        .output();
    found.expect("pgrep must be there").status.success()
}

#[tokio::test]
async fn a_command_that_fails_is_told_with_its_words_and_tried_again() {
    let world = World::start(40).await;
    let exec = "--exec=test -e engine || { echo no engine for $HPA_NAME >&2; exit 3; }; \
                echo $CURRENT_REPLICAS {namespace} {target} $TARGET_KIND ${replicas}. > words; \
                echo $REPLICAS > n";
    let autoscaler = world.autoscaler(EXTERNAL, exec, &[]);
    let is_failure = |it: &Value| it["reason"] == "FailedRescale";
    let (at, failed) = autoscaler.round("it fails", 0, is_failure).await;
    assert_eq!(
        failed["message"],
        "the command ended with exit code 3: no engine for web (wanted: external metric \
         orders_waiting(nil) above target)"
    );
    assert_eq!(
        (&failed["acted"], &failed["current"]),
        (&json!(false), &json!(2))
    );
    autoscaler.round("it fails again", at + 1, is_failure).await;
    autoscaler.write("engine", "");
    let (_, out) = autoscaler.round("it scales out", at, acted).await;
    assert_eq!(out["desired"], 4);
    assert_eq!(autoscaler.read("n"), "4\n");
    assert_eq!(autoscaler.read("words"), "2 shop web Deployment .\n");
}

#[tokio::test]
async fn a_number_that_cannot_be_read_changes_nothing() {
    let world = World::start(40).await;
    let autoscaler = world.autoscaler(EXTERNAL, WRITE, &[]);
    let (mut at, _) = autoscaler.round("it scales out", 0, acted).await;
    let printed = [
        "",
        "4/4",
        "four",
        "-1",
        "4.0",
        "99999999999",
        "4 5",
        "Error: no daemon",
    ];
    for printed in printed {
        autoscaler.write("n", printed);
        let quoted = format!("printed {printed:?}:");
        let is_it = |it: &Value| it["message"].as_str().unwrap_or_default().contains(&quoted);
        let (round, held) = autoscaler.round(printed, at, is_it).await;
        assert_eq!(held["reason"], "FailedGetScale", "{held}");
        assert_eq!(
            (&held["current"], &held["acted"]),
            (&Value::Null, &json!(false))
        );
        at = round;
    }
    std::fs::remove_file(autoscaler.path("n")).unwrap();
    let is_it = |it: &Value| {
        it["message"]
            .as_str()
            .unwrap_or_default()
            .contains("exit code 1")
    };
    autoscaler.round("there is no file", at, is_it).await;
    assert!(autoscaler.told()[at..].iter().all(|it| !acted(it)));
    autoscaler.write("n", " 2 \n");
    let (_, out) = autoscaler.round("it goes on", at, acted).await;
    assert_eq!(out["desired"], 4);
}

#[tokio::test]
async fn a_command_that_hangs_is_killed_with_all_that_it_started() {
    let world = World::start(40).await;
    let exec = "--exec=echo pulling; sleep 86001 & sleep 86002; echo {replicas} > n";
    let mut autoscaler = world.autoscaler(EXTERNAL, exec, &["--command-timeout=300ms"]);
    let is_failure = |it: &Value| it["reason"] == "FailedRescale";
    let (_, failed) = autoscaler.round("it fails", 0, is_failure).await;
    let message = failed["message"].as_str().unwrap();
    let expected =
        "the command did not end within 0.3s and was killed (--command-timeout): pulling";
    assert!(message.starts_with(expected), "{message}");
    // The next try may be under way.
    autoscaler.signal("TERM");
    assert_eq!(autoscaler.ended().await.code(), Some(0));
    let gone = async || match sleeps("86001") || sleeps("86002") {
        true => Err("they still sleep".to_owned()),
        false => Ok(()),
    };
    poll::until("all are gone", Duration::from_secs(10), gone).await;
}

#[tokio::test]
async fn told_to_stop_it_stops_at_once_and_leaves_no_command_behind() {
    let world = World::start(40).await;
    let exec = "--exec=touch begun; sleep 86003; echo {replicas} > n";
    let mut autoscaler = world.autoscaler(EXTERNAL, exec, &[]);
    let begun = async || match autoscaler.path("begun").exists() {
        true => Ok(()),
        false => Err(autoscaler.stderr()),
    };
    poll::until("the command runs", Duration::from_secs(30), begun).await;
    let told = Instant::now();
    autoscaler.signal("TERM");
    let status = autoscaler.ended().await;
    assert_eq!(status.code(), Some(0), "{}", autoscaler.stderr());
    let waited = told.elapsed();
    assert!(waited < Duration::from_secs(10), "{waited:?}");
    assert!(!sleeps("86003"));
    assert_eq!(autoscaler.read("n"), "2\n");
}

#[tokio::test]
async fn what_a_command_leaves_in_the_background_lives_on_and_holds_nothing_up() {
    let world = World::start(40).await;
    let exec = "--exec=sleep 5.86004 & echo {replicas} > n";
    let autoscaler = world.autoscaler(EXTERNAL, exec, &["--command-timeout=4s"]);
    let (_, out) = autoscaler.round("it scales out", 0, acted).await;
    assert_eq!(out["desired"], 4);
    assert!(sleeps("5.86004"));
}
