//! `make bench`: what one relist costs, beside what it costs to download every series instead.
//!
//! A real Prometheus holds 200,000 series. In turns, in one run, two clients ask it about the same
//! six rules: the release binary of the adapter, as a process of its own, and a control that
//! downloads `/api/v1/series` of each distinct `seriesQuery` and decodes it to label maps, as the Go
//! adapter does. Both are counted from outside: bytes by a proxy on the socket, CPU and memory by `/proc`.
//! Each is measured compressed, as both really ask, and plain, which tells what has to be decoded.
//!
//! `BENCH_FAST=1` does the same with 2,000 series, to see that it works; its figures mean nothing.

// A benchmark is a test in all but the harness: a broken assumption ends the run, and it prints.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]
// The files of `tests/support` are shared with `it`, which uses the rest of them.
#![allow(unreachable_pub, dead_code)]

#[path = "../support/procfs.rs"]
mod procfs;
#[path = "../../tests/support/lib.rs"]
mod support;
#[path = "../support/table.rs"]
mod table;

mod control;
mod meter;
mod report;
mod world;

use std::time::{Duration, Instant};

use tidegauge::rules;

use control::Control;
use meter::Meter;
use procfs::Process;
use report::{Cost, Report, Row};
use support::adapter::Adapter;
use support::poll;
use world::{Size, World};

/// The rules both clients work from.
const RULES: &str = include_str!("rules.yaml");
/// No object is needed: listing looks at kinds only.
const OBJECTS: &str = "{apiVersion: v1, kind: Namespace, metadata: {name: default}}";
/// How far back both look. The series have stopped by the time they are asked for.
const MAX_AGE: &str = "1h";
/// The adapter's interval: it is stopped between its turns, and relists as soon as it goes on.
const INTERVAL: &str = "2s";
/// A relist is over when the wire was silent for so long. Below [`INTERVAL`], or two would be one.
const SILENCE: Duration = Duration::from_millis(600);
/// From going on to the end of the relist.
const RELIST: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(("control", rest)) = arguments.get(1).map(String::as_str).zip(arguments.get(2..)) {
        return control::run(rest).await;
    }
    // The one input of this program; cargo starts it, with flags of its own.
    #[allow(clippy::disallowed_methods)]
    let fast = std::env::var("BENCH_FAST").is_ok_and(|value| value == "1");
    let (size, rounds) = if fast {
        (Size::SMALL, 3)
    } else {
        (Size::FULL, 9)
    };
    let load = procfs::load_average();
    let world = World::start(size).await;
    let report = measure(&world, rounds).await.finish(&world, &load).await;
    if fast {
        println!("{report}\n(2,000 series only: these figures mean nothing)");
        return;
    }
    table::keep("relist", &report);
}

/// Each client in turn, `rounds` times, while the other one does nothing.
async fn measure(world: &World, rounds: u32) -> Report {
    let ours = Meter::start(&world.prometheus.url).await;
    let theirs = Meter::start(&world.prometheus.url).await;
    let flags = [
        format!("--metrics-relist-interval={INTERVAL}"),
        format!("--metrics-max-age={MAX_AGE}"),
    ];
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let adapter = Adapter::standalone(OBJECTS, RULES, &ours.url, &flags)
        .await
        .unwrap_or_else(|refusal| panic!("the adapter refuses: {}", refusal.stderr));
    let process = Process::child("tidegauge");
    let control = Control::new(&theirs.url, &series_queries());
    // What it does once, at its start, is no relist.
    ours.silence(SILENCE, RELIST).await;
    adapter.signal("STOP");

    let mut report = Report::new(rounds, listed(&world.size));
    for round in 1..=rounds {
        eprint!("\rround {round} of {rounds} ");
        for compressed in [true, false] {
            ours.compression(compressed);
            let cost = relist(&adapter, &process, &ours, world).await;
            report.add(Row::Relist { compressed }, cost);

            theirs.compression(compressed);
            let cost = download(&control, &theirs, world).await;
            report.add(Row::Download { compressed }, cost);
        }
    }
    eprintln!();
    adapter.signal("CONT");
    listing_is_whole(&adapter, &world.size).await;
    report
}

/// Lets the adapter go on until it has relisted once.
async fn relist(adapter: &Adapter, process: &Process, wire: &Meter, world: &World) -> Cost {
    wire.take();
    let (own, server) = (process.cpu(), world.process.cpu());
    adapter.signal("CONT");
    wire.silence(SILENCE, RELIST).await;
    adapter.signal("STOP");
    let flow = wire.take();
    Cost {
        requests: flow.requests,
        received: flow.received,
        wall: flow.wall,
        cpu: process.cpu() - own,
        server_cpu: world.process.cpu() - server,
        peak_memory: process.peak_memory(),
    }
}

/// One download of everything, by a fresh process.
async fn download(control: &Control, wire: &Meter, world: &World) -> Cost {
    wire.take();
    let server = world.process.cpu();
    let outcome = control.download().await;
    let server_cpu = world.process.cpu() - server;
    assert_eq!(outcome.series, world.size.series(), "what was downloaded");
    let flow = wire.take();
    Cost {
        requests: flow.requests,
        received: flow.received,
        wall: flow.wall,
        cpu: outcome.cpu,
        server_cpu,
        peak_memory: outcome.peak_memory,
    }
}

/// Each `seriesQuery` once, as both adapters ask.
fn series_queries() -> Vec<String> {
    let (rules, _) = rules::parse(RULES).expect("the rules beside this file must be right");
    let mut queries: Vec<String> = rules
        .custom
        .iter()
        .map(|rule| rule.series_query.text.clone())
        .collect();
    queries.sort();
    queries.dedup();
    queries
}

/// How many names discovery lists when all are known: each metric for pods and for namespaces.
fn listed(size: &Size) -> usize {
    2 * size.metrics
}

/// A relist that lists nothing would be cheap too.
async fn listing_is_whole(adapter: &Adapter, size: &Size) {
    let path = "/apis/custom.metrics.k8s.io/v1beta1";
    let started = Instant::now();
    poll::until("everything is listed", RELIST, async || {
        let answer = adapter.get(path).await;
        let document: serde_json::Value =
            serde_json::from_str(&answer.body).map_err(|error| error.to_string())?;
        let found = document["resources"].as_array().map_or(0, Vec::len);
        if found == listed(size) {
            return Ok(());
        }
        let (after, wanted) = (started.elapsed(), listed(size));
        Err(format!("{found} of {wanted} after {after:?}"))
    })
    .await;
}
