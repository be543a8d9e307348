//! What a while cost: us, Prometheus and the API server.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use hyper::Method;

use super::procfs::Process;
use super::server::Server;
use super::support::apiserver::Call;
use super::support::tap::spans::{Span, most_open};
use super::world::World;

const QUERY: &str = "/api/v1/query";

/// A while that has begun.
pub struct While<'a> {
    world: &'a World,
    usage: Process,
    started: Instant,
    cpu: Duration,
    prometheus: Duration,
}

/// What it was.
#[derive(Clone, Default)]
pub struct Cost {
    /// How long it was.
    pub wall: Duration,
    /// Time on a CPU of what is measured.
    pub cpu: Duration,
    /// Queries at Prometheus.
    pub queries: usize,
    /// The most requests that were open at Prometheus at the same time.
    pub open: usize,
    /// Requests to Prometheus for names, and from the first to the end of the last.
    pub relist: (usize, Duration),
    /// Prometheus' time on a CPU beyond what it takes while nobody asks.
    pub prometheus: Duration,
    /// Lists of objects, at the API server.
    pub lists: usize,
    /// Watches that began.
    pub watches: usize,
    /// Reviews of access and of tokens.
    pub reviews: usize,
    /// The most reviews of one and the same access.
    pub repeated: usize,
    /// All other calls.
    pub others: usize,
}

impl<'a> While<'a> {
    /// Begins now; what was before is forgotten.
    pub fn begin(world: &'a World, server: &Server) -> While<'a> {
        let usage = server.usage();
        world.tap.take();
        world.tap.take_spans();
        world.api.take();
        While {
            world,
            started: Instant::now(),
            cpu: usage.cpu_ever(),
            prometheus: world.process().cpu_ever(),
            usage,
        }
    }

    /// How long it has been.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// What it cost until now.
    pub fn end(self) -> Cost {
        let wall = self.started.elapsed();
        let used = self
            .world
            .process()
            .cpu_ever()
            .saturating_sub(self.prometheus);
        let idle = wall.mul_f64(self.world.idle);
        let mut cost = Cost {
            wall,
            cpu: self.usage.cpu_ever() - self.cpu,
            prometheus: used.saturating_sub(idle),
            ..Cost::default()
        };
        cost.add_spans(&self.world.tap.take_spans());
        self.world.tap.take();
        cost.add_calls(&self.world.api.take());
        cost
    }
}

impl Cost {
    /// Requests to Prometheus.
    pub fn add_spans(&mut self, spans: &[Span]) {
        let (queries, names): (Vec<&Span>, Vec<&Span>) =
            spans.iter().partition(|span| span.path == QUERY);
        let first = names.iter().map(|span| span.from).min();
        let last = names.iter().map(|span| span.until).max();
        let relisted = first.zip(last).map(|(first, last)| last - first);
        self.queries = queries.len();
        self.relist = (names.len(), relisted.unwrap_or_default());
        self.open = most_open(spans);
    }

    fn add_calls(&mut self, calls: &[Call]) {
        let mut asked: HashMap<String, usize> = HashMap::new();
        for call in calls {
            let reviews = call.path.ends_with("reviews");
            let objects = call.method == Method::GET && call.plural() == "pods";
            if call.is_watch() {
                self.watches += 1;
            } else if objects {
                self.lists += 1;
            } else if reviews {
                self.reviews += 1;
                *asked.entry(call.body["spec"].to_string()).or_default() += 1;
            } else {
                self.others += 1;
            }
        }
        self.repeated = asked.into_values().max().unwrap_or_default();
    }
}
