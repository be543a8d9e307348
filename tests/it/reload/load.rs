//! Rules that are swapped as a kubelet swaps them, good and bad by turns, while 200 requests a second
//! come in: none of them fails, each is answered wholly by one set of rules, and after each swap
//! the state is as it should be.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hyper::StatusCode;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::*;

/// From one request to the next.
const BETWEEN: Duration = Duration::from_millis(5);

/// What became of the requests.
#[derive(Default)]
struct Tally {
    sent: AtomicU64,
    documents: AtomicU64,
}

/// Asks for the metric that stays, and now and then for the document that lists all, until it is
/// told to stop.
async fn load(adapter: Arc<Adapter>, stop: CancellationToken, tally: Arc<Tally>) {
    let mut tick = interval(BETWEEN);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut open = JoinSet::new();
    while !stop.is_cancelled() {
        tick.tick().await;
        let number = tally.sent.fetch_add(1, Ordering::Relaxed);
        let adapter = Arc::clone(&adapter);
        let is_document = number.is_multiple_of(20);
        tally
            .documents
            .fetch_add(u64::from(is_document), Ordering::Relaxed);
        open.spawn(async move {
            match is_document {
                true => lists_one_turn(&adapter).await,
                false => assert_eq!(value(&adapter, "stays").await, Ok("8".to_owned())),
            }
        });
        while let Some(done) = open.try_join_next() {
            done.expect("no request may fail");
        }
    }
    while let Some(done) = open.join_next().await {
        done.expect("no request may fail");
    }
}

/// The rules of one turn make a pair: never one of the one and one of the other.
async fn lists_one_turn(adapter: &Adapter) {
    let answer = adapter.get("/apis/custom.metrics.k8s.io/v1beta2").await;
    assert_eq!(answer.status, StatusCode::OK);
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    let names = body["resources"].as_array().unwrap().iter();
    let names = names.filter_map(|it| it["name"].as_str()?.strip_prefix("pods/"));
    let names: Vec<&str> = names.collect();
    let turn = names
        .iter()
        .find_map(|name| name.strip_prefix("left_"))
        .unwrap();
    let expected = [&format!("left_{turn}"), &format!("right_{turn}"), "stays"];
    assert_eq!(names, expected);
}

fn good(turn: u32) -> String {
    let pair = ["left", "right"].map(|side| sum_of("depth", &format!("{side}_{turn}"), 1));
    let stays = sum_of("level", "stays", 1);
    // It stands elsewhere each time.
    match turn % 2 {
        0 => rules(&[stays, pair.concat()]),
        _ => rules(&[pair.concat(), stays]),
    }
}

fn bad(turn: u32) -> String {
    match turn % 3 {
        0 => good(turn).replace("metricsQuery", "metricQuery"),
        1 => good(turn) + "- [",
        _ => good(turn).replace("<<.GroupBy>>", "<<.GroupBy"),
    }
}

/// Swaps until `length` has passed. How often, and how many requests were answered meanwhile.
async fn by_turns(length: Duration) -> (u32, u64) {
    let world = World::start().await;
    let mut mounted = ConfigMap::new(&[("rules.yaml", &good(0))]);
    let adapter = Arc::new(world.adapter("", &[&mounted.flag("rules.yaml")]).await);
    assert_eq!(value(&adapter, "stays").await.unwrap(), "8");
    world.tap.take();
    let (stop, tally) = (CancellationToken::new(), Arc::new(Tally::default()));
    let load = tokio::spawn(load(Arc::clone(&adapter), stop.clone(), Arc::clone(&tally)));
    let end = Instant::now() + length;
    let mut turn = 0;
    while Instant::now() < end {
        let (before, at) = (
            hash(&adapter).await,
            own_metric(&adapter, SUCCEEDED_AT).await,
        );
        mounted.swap(&[("rules.yaml", &bad(turn + 1))]);
        until_successful(&adapter, false).await;
        assert_eq!(hash(&adapter).await, before);
        assert_eq!(own_metric(&adapter, SUCCEEDED_AT).await, at);
        assert_eq!(
            value(&adapter, &format!("left_{turn}")).await,
            Ok("3".to_owned())
        );
        assert_eq!(
            status(&adapter, &format!("left_{}", turn + 1)).await,
            StatusCode::NOT_FOUND
        );

        turn += 1;
        mounted.swap(&[("rules.yaml", &good(turn))]);
        until_successful(&adapter, true).await;
        assert_ne!(hash(&adapter).await, before);
        for side in ["left", "right"] {
            assert_eq!(
                value(&adapter, &format!("{side}_{turn}")).await,
                Ok("3".to_owned())
            );
            let gone = format!("{side}_{}", turn - 1);
            assert_eq!(status(&adapter, &gone).await, StatusCode::NOT_FOUND);
        }
        assert!(!load.is_finished(), "{}", adapter.stderr());
    }
    stop.cancel();
    load.await.expect("no request may fail");
    let log = adapter.stderr();
    let count = |what: &str| log.matches(what).count();
    let turns = usize::try_from(turn).unwrap();
    assert_eq!(count("the rules in force stay"), turns, "{log}");
    assert_eq!(count("rules reloaded"), turns, "{log}");
    // The rule that stays was asked about before, and never again.
    assert_eq!(queries(&world.tap.take(), "level"), 0);
    (2 * turn, tally.sent.load(Ordering::Relaxed))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swapped_good_and_bad_by_turns_under_load_no_request_fails() {
    let (swaps, _) = by_turns(Duration::from_secs(12)).await;
    assert!(swaps >= 4, "{swaps}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute"]
async fn for_a_minute_no_request_fails() {
    let (swaps, requests) = by_turns(Duration::from_secs(60)).await;
    println!("{swaps} swaps, {requests} requests");
    assert!(
        swaps >= 20 && requests >= 200 * 55,
        "{swaps} swaps, {requests} requests"
    );
}
