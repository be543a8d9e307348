//! Commands that fail, hang or print nonsense change nothing, and say so.

use std::io::Write as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{EXTERNAL, WRITE, World, acted, hpa};
use crate::support::autoscaler::{Autoscaler, folder};
use crate::support::poll;

/// So many seconds, and a part of one that nobody else sleeps for.
fn seconds(seconds: u32) -> String {
    format!("{seconds}.{}", std::process::id())
}

/// Whether somebody runs `sleep` for so many seconds.
fn sleeps(seconds: &str) -> bool {
    let command = format!("sleep\0{seconds}\0");
    let processes = std::fs::read_dir("/proc").expect("there must be /proc");
    let mut commands = processes.flatten().map(|it| it.path().join("cmdline"));
    // What is no process has none, and one may end meanwhile.
    commands.any(|it| std::fs::read(it).is_ok_and(|it| it == command.as_bytes()))
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
    let (behind, before) = (seconds(86_001), seconds(86_002));
    let exec =
        format!("--exec=echo pulling; sleep {behind} & sleep {before}; echo {{replicas}} > n");
    let mut autoscaler = world.autoscaler(EXTERNAL, &exec, &["--command-timeout=300ms"]);
    let is_failure = |it: &Value| it["reason"] == "FailedRescale";
    let (_, failed) = autoscaler.round("it fails", 0, is_failure).await;
    let message = failed["message"].as_str().unwrap();
    let expected =
        "the command did not end within 0.3s and was killed (--command-timeout): pulling";
    assert!(message.starts_with(expected), "{message}");
    // The next try may be under way.
    autoscaler.signal("TERM");
    assert_eq!(autoscaler.ended().await.code(), Some(0));
    let gone = async || match sleeps(&behind) || sleeps(&before) {
        true => Err("they still sleep".to_owned()),
        false => Ok(()),
    };
    poll::until("all are gone", Duration::from_secs(10), gone).await;
}

#[tokio::test]
async fn told_to_stop_it_stops_at_once_and_leaves_no_command_behind() {
    let world = World::start(40).await;
    let seconds = seconds(86_003);
    let exec = format!("--exec=sleep {seconds}; echo {{replicas}} > n");
    let mut autoscaler = world.autoscaler(EXTERNAL, &exec, &[]);
    let begun = async || match sleeps(&seconds) {
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
    assert!(!sleeps(&seconds));
    assert_eq!(autoscaler.read("n"), "2\n");
}

#[tokio::test]
async fn what_a_command_leaves_in_the_background_lives_on_and_holds_nothing_up() {
    let world = World::start(40).await;
    let seconds = seconds(5);
    let exec = format!("--exec=sleep {seconds} & echo {{replicas}} > n");
    let autoscaler = world.autoscaler(EXTERNAL, &exec, &["--command-timeout=4s"]);
    let (_, out) = autoscaler.round("it scales out", 0, acted).await;
    assert_eq!(out["desired"], 4);
    assert!(sleeps(&seconds));
}

#[tokio::test]
async fn a_reader_that_is_stuck_stops_neither_the_rounds_nor_the_end() {
    let world = World::start(40).await;
    let server = format!("--server={}", world.adapter.url);
    let names = ["web", "api", "cart", "mail"];
    let hpas = names.map(|it| hpa(EXTERNAL).replace("name: web", &format!("name: {it}")));
    let folder = folder(&[("hpa.yaml", &hpas.join("\n---\n"))]);
    // Nobody reads it, and it is full before the first round.
    let (reader, writer) = std::io::pipe().unwrap();
    let mut filler = writer.try_clone().unwrap();
    let filler = std::thread::spawn(move || filler.write_all(&[b' '; 1 << 20]));
    let flags = [
        "-f=hpa.yaml",
        &server,
        "--current=echo >> rounds; echo 2",
        "--exec=: {replicas}",
        "--interval=100ms",
        "-o=json",
    ];
    let mut autoscaler = Autoscaler::start_heard(folder, &flags, writer.into());
    // More than wait for anybody who tells of them.
    let made = async || match autoscaler.read("rounds").len() {
        100.. => Ok(()),
        made => Err(format!("{made} rounds: {}", autoscaler.stderr())),
    };
    poll::until("there are rounds", Duration::from_secs(60), made).await;
    autoscaler.signal("TERM");
    assert_eq!(autoscaler.ended().await.code(), Some(0));
    drop(reader);
    filler.join().unwrap().unwrap_err();
}
