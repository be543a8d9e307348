//! `make bench`: a thousand autoscalers at one adapter, and what that costs everybody.
//!
//! A real Prometheus scrapes 200,000 series of 5,000 pods; the fake API server of the integration
//! tests has the pods, answers reviews and counts calls; the release binary is a process of its own.
//! A thousand autoscalers ask for the pods of their app by label, over one HTTP/2 connection, with the
//! headers that a cluster was recorded to send: a fresh process at once, then round after round, as
//! fast as it goes, while Prometheus is killed for half a minute and for five, and ten times as many.
//! In turns, in one run, a bare server of hyper and rustls gives the same bytes.
//!
//! Every answer is read. A wrong number ends the run with an error; what is slow or costs too much is
//! printed as such, for machines are noisy.
//!
//! `BENCH_FAST=1` does everything small, to see that it works; its figures mean nothing. `PEER=PATH`
//! takes another adapter through the first scenes, such as the Go adapter, with `PEER_FLAGS` beside
//! its own.

// A benchmark is a test in all but the harness: a broken assumption ends the run, and it prints.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]
// The files of `tests/support` and `benches/support` are shared with others, which use the rest.
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

mod ask;
mod cost;
mod judge;
mod population;
mod report;
mod requirements;
mod round;
mod scenes;
mod server;
mod world;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use ask::Ask;
use population::{GAUGE, RATE, Size};
use report::Report;
use scenes::steady::{self, Plan, Steady};
use scenes::{WORKERS, cold, outage};
use server::Program;
use world::World;

/// One review for a whole API group, instead of one for each kind of ask.
const BROAD: &str = "--authorization-broad-checks";

/// How much of everything.
struct Scale {
    size: Size,
    crowd: Size,
    /// How long Prometheus is watched while nobody asks.
    calm: Duration,
    /// Fresh processes for each number of workers.
    lives: usize,
    steady: Plan,
    crowd_rounds: usize,
    /// How long Prometheus is away.
    outages: &'static [Duration],
}

const FULL: Scale = Scale {
    size: Size::FULL,
    crowd: Size::CROWD,
    calm: Duration::from_secs(15),
    lives: 3,
    steady: Plan {
        period: Duration::from_secs(15),
        rounds: 4,
        slice: Duration::from_secs(3),
        slices: 5,
    },
    crowd_rounds: 4,
    outages: &[Duration::from_secs(30), Duration::from_secs(300)],
};

const FAST: Scale = Scale {
    size: Size::SMALL,
    crowd: Size::SMALL_CROWD,
    calm: Duration::from_secs(1),
    lives: 1,
    steady: Plan {
        period: Duration::from_secs(2),
        rounds: 2,
        slice: Duration::from_millis(500),
        slices: 1,
    },
    crowd_rounds: 1,
    outages: &[Duration::from_secs(5)],
};

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).map(String::as_str) == Some(control::ARGUMENT) {
        control::run().await;
        return ExitCode::SUCCESS;
    }
    // The inputs of this program; cargo starts it, with flags of its own.
    #[allow(clippy::disallowed_methods)]
    let variable = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    let fast = variable("BENCH_FAST").as_deref() == Some("1");
    let flags = variable("PEER_FLAGS").unwrap_or_default();
    let peer = variable("PEER").map(|path| Program::peer(&path, &flags));
    let (text, right) = measure(if fast { &FAST } else { &FULL }, peer.as_ref())
        .await
        .finish();
    if fast {
        println!("{text}\n(few of everything: these figures mean nothing)");
    } else {
        table::keep("storm", &text);
    }
    if right {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

async fn measure(scale: &Scale, peer: Option<&Program>) -> Report {
    let load = procfs::load_average();
    let broad = Program::ours("tidegauge, broad checks", &[BROAD]);
    let ours = Program::ours("tidegauge", &[]);
    let mut world = World::start(scale.size, scale.calm).await;
    let prometheus = (world.version().await, world.idle);
    let asks: Arc<[Ask]> = ask::all(scale.size, &[GAUGE]).into();

    let mut cold = Vec::new();
    for workers in [WORKERS[0], WORKERS[1], asks.len()] {
        cold.push(cold::measure(&world, &broad, &asks, workers, scale.lives).await);
        if let Some(peer) = peer {
            cold.push(cold::measure(&world, peer, &asks, workers, 1).await);
        }
    }
    let steady = all_steady(scale, &world, [&broad, &ours], peer, &asks).await;
    let asks: Arc<[Ask]> = ask::all(scale.size, &[GAUGE, RATE]).into();
    let mut outages = Vec::new();
    for &away in scale.outages {
        let period = scale.steady.period;
        outages.push(outage::measure(&mut world, &broad, &asks, period, away).await);
    }
    drop(world);
    Report {
        size: scale.size,
        crowd_size: scale.crowd,
        cold,
        steady,
        outages,
        crowd: crowd(scale, &broad).await,
        prometheus,
        load,
    }
}

/// With broad checks and the control beside it, without, and the peer.
async fn all_steady(
    scale: &Scale,
    world: &World,
    ours: [&Program; 2],
    peer: Option<&Program>,
    asks: &Arc<[Ask]>,
) -> Vec<Steady> {
    let plan = scale.steady;
    let rounds_only = Plan { slices: 0, ..plan };
    let mut all = vec![
        steady::measure(world, ours[0], asks, &WORKERS, plan, true).await,
        steady::measure(world, ours[1], asks, &WORKERS[..1], rounds_only, false).await,
    ];
    if let Some(peer) = peer {
        all.push(steady::measure(world, peer, asks, &WORKERS, plan, false).await);
    }
    all
}

/// Ten times as many autoscalers and pods.
async fn crowd(scale: &Scale, program: &Program) -> Steady {
    let world = World::start(scale.crowd, Duration::from_secs(1)).await;
    let asks: Arc<[Ask]> = ask::all(scale.crowd, &[GAUGE, RATE]).into();
    let plan = Plan {
        rounds: scale.crowd_rounds,
        slices: 0,
        ..scale.steady
    };
    steady::measure(&world, program, &asks, &WORKERS[..1], plan, false).await
}
