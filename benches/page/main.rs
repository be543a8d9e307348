//! `make bench`: how long the status page takes, and what it costs to know who asks.
//!
//! The release binary, as a process of its own over a real Prometheus, has 1,000 rules of one metric
//! each for pods and for namespaces: 2,000 metrics. 1,000 autoscalers ask, each for a metric of its
//! own pods; then a thousand more for one and the same metric; then so many that the journal is full.
//! After each of these the page is fetched, one time after the other. What it costs autoscalers is
//! the time of a thread beside theirs; the journal itself is memory.
//!
//! `BENCH_FAST=1` does the same with few of everything, to see that it works; its figures mean nothing.

// A benchmark is a test in all but the harness: a broken assumption ends the run, and it prints.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]
// The files of `tests/support` and `benches/support` are shared with others, which use the rest.
#![allow(unreachable_pub, dead_code)]

#[path = "../support/latency.rs"]
mod latency;
#[path = "../support/procfs.rs"]
mod procfs;
#[path = "../../tests/support/lib.rs"]
mod support;
#[path = "../support/table.rs"]
mod table;

mod report;
mod world;

use std::time::{Duration, Instant};

use hyper::{Method, StatusCode};

use latency::Latency;
use procfs::Process;
use report::{Cost, Report, View};
use support::{adapter, http_client};
use table::nanoseconds;
use world::{Size, World};

#[tokio::main]
async fn main() {
    // The one input of this program; cargo starts it, with flags of its own.
    #[allow(clippy::disallowed_methods)]
    let fast = std::env::var("BENCH_FAST").is_ok_and(|value| value == "1");
    let (size, rounds, fetches) = match fast {
        true => (Size::SMALL, 2, 20),
        false => (Size::FULL, 5, 200),
    };
    let load = procfs::load_average();
    let world = World::start(size).await;
    let mut report = Report::new(rounds, fetches);
    for round in 1..=rounds {
        measure(&world, round, fetches, &mut report).await;
    }
    let text = report.finish(&size, &load);
    match fast {
        true => println!("{text}\n(few of everything: these figures mean nothing)"),
        false => table::keep("page", &text),
    }
}

/// One life of the adapter.
async fn measure(world: &World, round: u32, fetches: usize, report: &mut Report) {
    let (adapter, page) = world.adapter().await;
    let process = Process::child("tidegauge");
    for view in View::ALL {
        eprintln!("round {round}: {}", view.title());
        let before = process.memory();
        for path in world.asks(view.asks()) {
            let agent = [("User-Agent", world::AUTOSCALER)];
            let answer = adapter.request(Method::GET, &path, &agent).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
        }
        let asked = process.memory();
        let url = format!("{page}{}", view.path());
        let client = http_client();
        let body = fetch(&client, &url).await;
        let part = view.shows();
        assert!(body.contains(part), "{}: {part}", view.title());
        process.forget_peak();
        let (mut times, cpu) = (Vec::new(), process.cpu());
        for _ in 0..fetches {
            let began = Instant::now();
            let again = fetch(&client, &url).await;
            times.push(began.elapsed());
            assert!(again.len() > body.len() / 2);
        }
        let cpu = process.cpu() - cpu;
        let fetches = u32::try_from(fetches).unwrap();
        report.add(
            view,
            Cost {
                bytes: body.len() as u64,
                took: Latency::of(times),
                cpu: nanoseconds(cpu / fetches),
                held: asked.saturating_sub(before),
                after: process.memory(),
                peak: process.peak_memory(),
            },
        );
    }
}

async fn fetch(client: &reqwest::Client, url: &str) -> String {
    let answer = adapter::send(client, Method::GET, url, &[]).await;
    let answer = answer.unwrap_or_else(|reason| panic!("{url}: {reason}"));
    assert_eq!(answer.status, StatusCode::OK, "{url}");
    answer.body
}

/// How long an answer may take on a machine that does much else.
pub const SOON: Duration = Duration::from_secs(120);
