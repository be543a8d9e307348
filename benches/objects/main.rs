//! `make bench`: what it costs to know the names and labels of 50,000 pods, and to be asked.
//!
//! The release binary of the adapter runs as a process of its own over the fake API server of the
//! integration tests, which answers in the shape of the real one. Each round of each row starts a
//! fresh process, reads its memory, asks once, waits until the pods are watched, reads its memory
//! again, and then asks a thousand times for ten pods each. The control is the same binary without
//! watches: a list for each ask, as the Go adapter would without its informer.
//!
//! `BENCH_FAST=1` does the same with 2,000 pods, to see that it works; its figures mean nothing.

// A benchmark is a test in all but the harness: a broken assumption ends the run, and it prints.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]
// The files of `tests/support` and `benches/support` are shared with others, which use the rest.
#![allow(unreachable_pub, dead_code)]

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

use procfs::Process;
use report::{CEILING, Cost, Report, Row};
use support::adapter::{self, Adapter};
use support::poll;
use world::{Labels, Size, World};

/// A custom metric of pods, and the resource metrics of pods.
const RULES: &str = include_str!("rules.yaml");
/// Asks once the pods are known.
const ASKS: usize = 1_000;
/// From the first ask until no ask is a list.
const SYNC: Duration = Duration::from_secs(120);
/// Each ask sends the query of its own objects: that it names them all is what shows that they are
/// known.
const EACH_ASKS: [&str; 2] = ["--query-ttl=0s", "--widening=off"];
/// Between two reads of memory that must agree.
const CALM: Duration = Duration::from_millis(300);

#[tokio::main]
async fn main() {
    // The one input of this program; cargo starts it, with flags of its own.
    #[allow(clippy::disallowed_methods)]
    let fast = std::env::var("BENCH_FAST").is_ok_and(|value| value == "1");
    let (size, rounds) = if fast {
        (Size::SMALL, 2)
    } else {
        (Size::FULL, 5)
    };
    let load = procfs::load_average();
    let usual = World::start(size, Labels::Usual).await;
    let own = World::start(size, Labels::Own).await;
    let mut report = Report::new(rounds);
    for round in 1..=rounds {
        for row in Row::ALL {
            eprint!("\rround {round} of {rounds}: {:30}", row.title());
            let world = if row == Row::Own { &own } else { &usual };
            report.add(row, measure(world, row).await);
        }
    }
    eprintln!();
    let text = report.finish(&size, &load);
    if fast {
        println!("{text}\n(2,000 pods only: these figures mean nothing)");
        return;
    }
    table::keep("objects", &text);
    for row in [Row::Watched, Row::Both, Row::Own] {
        let held = report.held(row);
        assert!(held < CEILING, "{}: {held} bytes", row.title());
    }
}

/// One life of the adapter.
async fn measure(world: &World, row: Row) -> Cost {
    let mut flags = EACH_ASKS.to_vec();
    if row == Row::Listed {
        flags.push("--object-watch-idle=0s");
    }
    let mut adapter = Adapter::over(&world.api, RULES, &world.prometheus.url, &flags)
        .await
        .unwrap_or_else(|refusal| panic!("the adapter refuses: {}", refusal.stderr));
    adapter.ready().await.unwrap();
    let asker = Asker {
        client: adapter.caller(Some(&world.admin()), true),
        adapter: &adapter,
        world,
        row,
    };
    // What a first answer costs is not what objects cost: this one needs none of them.
    asker.get("/apis/custom.metrics.k8s.io/v1beta2").await;
    let process = Process::child("tidegauge");
    let before = calm_memory(&process).await;
    process.forget_peak();

    let started = Instant::now();
    asker.ask(0).await;
    let mut synced = Duration::ZERO;
    if row != Row::Listed {
        let watches = if row == Row::Both { 2 } else { 1 };
        poll::until("the pods are watched", SYNC, async || {
            match world.api.open_watches() {
                open if open == watches => Ok(()),
                open => Err(format!("{open} watches")),
            }
        })
        .await;
        synced = started.elapsed();
        poll::until("no ask is a list", SYNC, async || {
            world.api.take();
            asker.ask(0).await;
            match asker.calls() {
                0 => Ok(()),
                calls => Err(format!("{calls} calls for one ask")),
            }
        })
        .await;
    }
    let after = calm_memory(&process).await;
    let peak = process.peak_memory();

    world.api.take();
    let (began, cpu) = (Instant::now(), process.cpu());
    for number in 0..ASKS {
        asker.ask(number).await;
    }
    Cost {
        before,
        after,
        peak,
        synced,
        calls: asker.calls(),
        asked: began.elapsed(),
        cpu: process.cpu() - cpu,
    }
}

struct Asker<'a> {
    client: reqwest::Client,
    adapter: &'a Adapter,
    world: &'a World,
    row: Row,
}

impl Asker<'_> {
    /// As an autoscaler: the ten pods of one workload.
    async fn ask(&self, number: usize) {
        let (namespace, size) = (number % self.world.size.namespaces, &self.world.size);
        let workload = number % size.workloads;
        let selector = format!("labelSelector=app.kubernetes.io%2Fname%3Dsvc-{workload}");
        self.world.prometheus.take();
        self.get(&format!(
            "/apis/custom.metrics.k8s.io/v1beta2/namespaces/team-{namespace}/pods/*/queue_depth?{selector}"
        ))
        .await;
        let queries = self.world.prometheus.take_queries();
        let names = queries[0].matches(&format!("svc-{workload}-")).count();
        assert_eq!(names, size.pods, "{queries:?}");
        if self.row == Row::Both {
            self.get(&format!(
                "/apis/metrics.k8s.io/v1beta1/namespaces/team-{namespace}/pods?{selector}"
            ))
            .await;
        }
    }

    async fn get(&self, path: &str) {
        let url = format!("{}{path}", self.adapter.url);
        let answer = adapter::send(&self.client, Method::GET, &url, &[]).await;
        let answer = answer.unwrap_or_else(|reason| panic!("{path}: {reason}"));
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
    }

    /// What was asked of the API server about pods since it was last looked at.
    fn calls(&self) -> usize {
        let calls = self.world.api.take();
        let of_pods = calls.iter().filter(|call| call.path.ends_with("/pods"));
        of_pods.count()
    }
}

/// The memory of a process that does nothing.
async fn calm_memory(process: &Process) -> u64 {
    let mut last = 0;
    poll::until("the process is calm", SYNC, async || {
        tokio::time::sleep(CALM).await;
        let now = process.memory();
        if now.abs_diff(std::mem::replace(&mut last, now)) < 64 << 10 {
            return Ok(now);
        }
        Err(format!("{now} bytes"))
    })
    .await
}
