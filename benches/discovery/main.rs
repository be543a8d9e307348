//! `make bench`: how fast discovery is answered while Prometheus hangs.
//!
//! kube-aggregator takes an API for gone whose documents do not come, so they must come from memory,
//! whatever Prometheus does. The release binary, as a process of its own, has a registry of 1,000
//! metrics and a Prometheus that never answers; relists wait for it, and so do autoscalers' asks.
//! The front proxy fetches each document over one HTTP/2 connection. In turns, in one run, it fetches
//! the same bytes from a control: a bare server of hyper and rustls, which says what the wire costs.
//!
//! `BENCH_FAST=1` does the same with few requests, to see that it works; its figures mean nothing.

// A benchmark is a test in all but the harness: a broken assumption ends the run, and it prints.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]
// The files of `tests/support` and of `benches/support` are shared with programs that use the rest.
#![allow(unreachable_pub, dead_code)]

#[path = "../support/client.rs"]
mod client;
#[path = "../support/control.rs"]
mod control;
#[path = "../support/latency.rs"]
mod latency;
#[path = "../support/procfs.rs"]
mod procfs;
#[path = "../../tests/support/lib.rs"]
mod support;
#[path = "../support/table.rs"]
mod table;

mod report;

use std::fmt::Write as _;
use std::time::Instant;

use hyper::HeaderMap;
use hyper::header::HeaderValue;

use client::{Client, Fetched};
use control::Control;
use report::Report;
use support::adapter::Adapter;
use support::aggregator::discovery::ACCEPT;
use support::apiserver::ApiServer;
use support::pki::Authority;
use support::tap::{Behaviour, Tap};

/// How many metrics the registry has, each of pods and of namespaces.
const METRICS: usize = 1_000;
/// Asks for values that wait for Prometheus while discovery is measured.
const WAITING: usize = 50;

/// What is fetched.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Document {
    /// How it stands in the table.
    pub title: &'static str,
    path: &'static str,
    accept: &'static str,
    /// Whether the fetcher has it already and says so.
    known: bool,
}

const DOCUMENTS: [Document; 5] = [
    Document {
        title: "`/apis`, aggregated",
        path: "/apis",
        accept: ACCEPT,
        known: false,
    },
    Document {
        title: "`/apis`, aggregated, known (304)",
        path: "/apis",
        accept: ACCEPT,
        known: true,
    },
    Document {
        title: "`/apis`",
        path: "/apis",
        accept: "application/json",
        known: false,
    },
    Document {
        title: "`/apis/custom.metrics.k8s.io/v1beta2`",
        path: "/apis/custom.metrics.k8s.io/v1beta2",
        accept: "application/json",
        known: false,
    },
    Document {
        title: "`/apis/external.metrics.k8s.io/v1beta1`",
        path: "/apis/external.metrics.k8s.io/v1beta1",
        accept: "application/json",
        known: false,
    },
];

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).map(String::as_str) == Some(control::ARGUMENT) {
        return control::run().await;
    }
    // The one input of this program; cargo starts it, with flags of its own.
    #[allow(clippy::disallowed_methods)]
    let fast = std::env::var("BENCH_FAST").is_ok_and(|value| value == "1");
    let (rounds, fetches) = if fast { (3, 20) } else { (9, 500) };
    let report = measure(rounds, fetches).await;
    if fast {
        println!("{report}\n(few requests: these figures mean nothing)");
        return;
    }
    table::keep("discovery", &report);
}

async fn measure(rounds: u32, fetches: usize) -> String {
    let load = procfs::load_average();
    let (clients, proxies) = (
        Authority::new("kubernetes"),
        Authority::new("front-proxy-ca"),
    );
    let api = ApiServer::start(&clients, &proxies).await;
    let prometheus = Tap::start("http://127.0.0.1:1").await;
    prometheus.behave(Behaviour::Hang);
    let flags = ["--metrics-relist-interval=1s"];
    let mut adapter = Adapter::over(&api, &rules(), &prometheus.url, &flags)
        .await
        .unwrap_or_else(|refusal| panic!("the adapter refuses: {}", refusal.stderr));
    adapter.ready().await.unwrap();
    let proxy = proxies.client("front-proxy-client", &[]);
    let ours = Client::connect(&adapter.url, &adapter.certificate(), Some(&proxy)).await;

    let mut all = Vec::new();
    for document in DOCUMENTS {
        let fetched = fetch(&ours, document).await;
        check(document, &fetched);
        all.push((document, fetched));
    }
    // Two documents are at one path, and differ by what the client accepts.
    let targets: Vec<String> = (0..all.len()).map(|number| format!("/{number}")).collect();
    let answers = all.iter().map(|(_, answer)| answer);
    let control = Control::start(targets.iter().map(String::as_str).zip(answers)).await;
    let theirs = Client::connect(&control.url, &control.roots, None).await;

    let waiting = wait_for_prometheus(&adapter, &proxy);
    let mut report = Report::new(rounds, fetches, METRICS, waiting.len());
    for round in 1..=rounds {
        eprint!("\rround {round} of {rounds} ");
        for (target, (document, known)) in targets.iter().zip(&all) {
            let etag = known.etag().filter(|_| document.known);
            let mut times = [Vec::new(), Vec::new()];
            for _ in 0..fetches {
                let started = Instant::now();
                let fetched = get(&ours, document.path, *document, etag).await;
                times[0].push(started.elapsed());
                assert_eq!((fetched.status, &fetched.body), (known.status, &known.body));
            }
            for _ in 0..fetches {
                let started = Instant::now();
                let fetched = get(&theirs, target, *document, None).await;
                times[1].push(started.elapsed());
                assert_eq!((fetched.status, &fetched.body), (known.status, &known.body));
            }
            report.add(*document, known.body.len(), times);
        }
    }
    eprintln!();
    assert!(
        waiting.iter().all(|ask| !ask.is_finished()),
        "an ask did not wait for Prometheus"
    );
    report.finish(&load)
}

/// As kube-aggregator asks.
async fn get(client: &Client, path: &str, document: Document, etag: Option<&str>) -> Fetched {
    let mut headers = HeaderMap::new();
    let mut add = |name: &'static str, value: &str| {
        headers.insert(name, HeaderValue::from_str(value).unwrap());
    };
    add("accept", document.accept);
    add("accept-encoding", "gzip");
    add("x-remote-user", "system:kube-aggregator");
    add("x-remote-group", "system:masters");
    if let Some(etag) = etag {
        add("if-none-match", etag);
    }
    client.get(path, headers).await.unwrap()
}

async fn fetch(client: &Client, document: Document) -> Fetched {
    let fetched = get(client, document.path, document, None).await;
    if !document.known {
        return fetched;
    }
    let etag = fetched
        .etag()
        .expect("the document must have an ETag")
        .to_owned();
    let mut known = get(client, document.path, document, Some(&etag)).await;
    known.headers.insert("etag", etag.parse().unwrap());
    known
}

/// An empty document would be fast too.
fn check(document: Document, fetched: &Fetched) {
    let Document { title, known, .. } = document;
    assert_eq!(fetched.status, if known { 304 } else { 200 }, "{title}");
    let whole = match title {
        "`/apis`" | "`/apis`, aggregated, known (304)" => 0,
        "`/apis/external.metrics.k8s.io/v1beta1`" => METRICS,
        _ => 2 * METRICS,
    };
    let metrics = fetched.text().matches("\"get\"").count();
    assert!(metrics >= whole, "{title}: {metrics} of {whole} metrics");
}

/// Each of a literal name, which is listed without Prometheus.
fn rules() -> String {
    let mut rules = "rules:\n".to_owned();
    for number in 0..METRICS {
        writeln!(
            rules,
            "- seriesQuery: 'service_requests_in_flight_{number:04}{{namespace!=\"\",pod!=\"\"}}'\n  \
             resources: {{overrides: {{namespace: {{resource: namespace}}, pod: {{resource: pod}}}}}}\n  \
             metricsQuery: sum(<<.Series>>{{<<.LabelMatchers>>}}) by (<<.GroupBy>>)"
        )
        .unwrap();
    }
    rules.push_str("externalRules:\n");
    for number in 0..METRICS {
        writeln!(
            rules,
            "- seriesQuery: 'queue_messages_ready_{number:04}{{namespace!=\"\"}}'\n  \
             metricsQuery: sum(<<.Series>>{{<<.LabelMatchers>>}})"
        )
        .unwrap();
    }
    rules
}

/// Autoscalers that ask for a value, and wait.
fn wait_for_prometheus(
    adapter: &Adapter,
    proxy: &support::pki::Pair,
) -> Vec<tokio_util::task::AbortOnDropHandle<()>> {
    let client = adapter.caller(Some(proxy), true);
    let path = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/web-a";
    let asks = (0..WAITING).map(|number| {
        let url = format!(
            "{}{path}/service_requests_in_flight_{number:04}",
            adapter.url
        );
        let client = client.clone();
        tokio_util::task::AbortOnDropHandle::new(tokio::spawn(async move {
            // It has an answer when Prometheus' time is over, and asks again, as an autoscaler does.
            loop {
                let ask = client
                    .get(&url)
                    .header("x-remote-user", "admin")
                    .header("x-remote-group", "system:masters");
                let answer = ask.send().await.unwrap();
                assert_eq!(answer.status(), 504, "nobody answers");
            }
        }))
    });
    asks.collect()
}
