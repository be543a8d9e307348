//! The loop of the HPA controller in miniature (`horizontal.go`): five workers, one HTTP/2
//! connection to the API server, and no patience with wrong numbers.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use hyper::Method;
use serde_json::Value;
use tokio::task::JoinSet;

use super::{Cluster, REGISTERED, RULES, two_pods};
use crate::support::adapter;
use crate::support::aggregator::AUTOSCALER;
use crate::support::poll;

/// `--concurrent-horizontal-pod-autoscaler-syncs`
const WORKERS: usize = 5;
/// Answers that each worker must have before and after.
const SOME: usize = 20;
const SOON: Duration = Duration::from_secs(60);

/// What the workers have seen.
#[derive(Default)]
struct Seen {
    right: [AtomicUsize; WORKERS],
    /// Errors while the API server was there from before the request to after its answer.
    unexcused: std::sync::Mutex<Vec<String>>,
    failed: [AtomicUsize; WORKERS],
    wrong: std::sync::Mutex<Vec<String>>,
    /// How often it went or came.
    turns: AtomicUsize,
    away: AtomicBool,
}

/// What the Pods metric of one HPA reads: each pod and its value (`metrics/client.go`).
fn values(body: &str) -> BTreeSet<(String, String)> {
    let list: Value = serde_json::from_str(body).unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let items = list["items"].as_array().into_iter().flatten();
    items
        .map(|item| (text(&item["describedObject"]["name"]), text(&item["value"])))
        .collect()
}

/// Asks for the pods' metric again and again.
async fn work(worker: usize, client: reqwest::Client, url: String, seen: Arc<Seen>) {
    let token = format!("Bearer {}", AUTOSCALER.token());
    let headers = [
        ("Authorization", token.as_str()),
        ("Accept", "application/json"),
    ];
    let right = BTreeSet::from(
        [("web-a", "10"), ("web-b", "20")].map(|(pod, value)| (pod.to_owned(), value.to_owned())),
    );
    loop {
        let turn = seen.turns.load(Ordering::SeqCst);
        let was_away = seen.away.load(Ordering::SeqCst);
        let answer = adapter::send(&client, Method::GET, &url, &headers).await;
        let excused = was_away || seen.turns.load(Ordering::SeqCst) != turn;
        let failed = match answer {
            Ok(answer) if answer.status == 200 => {
                if values(&answer.body) == right {
                    seen.right[worker].fetch_add(1, Ordering::SeqCst);
                } else {
                    seen.wrong.lock().unwrap().push(answer.body);
                }
                continue;
            }
            Ok(answer) => answer.body,
            Err(reason) => reason,
        };
        seen.failed[worker].fetch_add(1, Ordering::SeqCst);
        if !excused {
            seen.unexcused.lock().unwrap().push(failed);
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_server_that_goes_and_comes_makes_errors_while_it_is_away_and_never_a_wrong_number()
{
    let tap = two_pods().await;
    let mut cluster = Cluster::start(RULES, &tap.url, &[], &REGISTERED).await;
    let seen = Arc::new(Seen::default());
    let client = cluster.aggregator.client();
    let mut workers = JoinSet::new();
    for worker in 0..WORKERS {
        let version = if worker % 2 == 0 {
            "v1beta2"
        } else {
            "v1beta1"
        };
        let selector = ["app%3Dweb", "app+in+%28web%2Cother%29", "app%21%3Dteller"][worker % 3];
        let url = format!(
            "{}/apis/custom.metrics.k8s.io/{version}/namespaces/shop/pods/*/queue_depth\
             ?labelSelector={selector}",
            cluster.aggregator.url()
        );
        workers.spawn(work(worker, client.clone(), url, Arc::clone(&seen)));
    }
    // A question that was put while the API server was away may still be waited for when it is back:
    // only when each worker has had answers, each question has been put anew.
    let counted = async |counters: &[AtomicUsize; WORKERS], what: &str| {
        let from = counters.each_ref().map(|it| it.load(Ordering::SeqCst));
        poll::until(what, SOON, async || {
            let now = counters.each_ref().map(|it| it.load(Ordering::SeqCst));
            let fresh = now.iter().zip(from).map(|(now, from)| now - from);
            match fresh.min().unwrap_or_default() {
                SOME.. => Ok(()),
                few => Err(format!(
                    "{few}: {:?}",
                    seen.unexcused.lock().unwrap().last()
                )),
            }
        })
        .await;
    };
    for _ in 0..2 {
        counted(&seen.right, "numbers come").await;
        seen.away.store(true, Ordering::SeqCst);
        seen.turns.fetch_add(1, Ordering::SeqCst);
        cluster.aggregator.stop().await;
        cluster.api.stop();
        counted(&seen.failed, "errors come").await;
        cluster.api.resume().await;
        cluster.aggregator.resume().await;
        counted(&seen.right, "numbers come again").await;
        seen.turns.fetch_add(1, Ordering::SeqCst);
        seen.away.store(false, Ordering::SeqCst);
    }
    counted(&seen.right, "numbers come to the end").await;
    workers.shutdown().await;
    assert_eq!(*seen.wrong.lock().unwrap(), [""; 0]);
    assert_eq!(*seen.unexcused.lock().unwrap(), [""; 0]);
    // One before each time that the API server went, and one after the last.
    assert_eq!(cluster.aggregator.connections(), 3);
}
