//! The table of all rounds, and what the middle ones are to each other.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::procfs;
use super::table::{self, bytes, milliseconds, nanoseconds, thousands};
use super::world::World;

/// One line of the table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Row {
    /// The adapter's relist.
    Relist {
        /// Whether the server may compress.
        compressed: bool,
    },
    /// The control's download.
    Download {
        /// Whether the server may compress.
        compressed: bool,
    },
}

/// What one round cost.
#[derive(Clone, Copy)]
pub struct Cost {
    /// Requests sent.
    pub requests: usize,
    /// Bytes received, headers included.
    pub received: usize,
    /// From the first byte sent to the last one received.
    pub wall: Duration,
    /// The client's time on a CPU.
    pub cpu: Duration,
    /// The same of Prometheus.
    pub server_cpu: Duration,
    /// The most memory the client held since it started, in bytes.
    pub peak_memory: u64,
}

/// All rounds.
pub struct Report {
    rounds: u32,
    listed: usize,
    costs: BTreeMap<Row, Vec<Cost>>,
}

impl Row {
    const ALL: [Row; 4] = [
        Row::Relist { compressed: true },
        Row::Download { compressed: true },
        Row::Relist { compressed: false },
        Row::Download { compressed: false },
    ];

    fn title(self) -> &'static str {
        match self {
            Row::Relist { compressed: true } => "tidegauge, gzip",
            Row::Download { compressed: true } => "`/series`, gzip",
            Row::Relist { compressed: false } => "tidegauge, plain",
            Row::Download { compressed: false } => "`/series`, plain",
        }
    }
}

impl Report {
    /// An empty one; `listed` is what discovery lists.
    pub fn new(rounds: u32, listed: usize) -> Report {
        Report {
            rounds,
            listed,
            costs: BTreeMap::new(),
        }
    }

    /// Notes one round.
    pub fn add(&mut self, row: Row, cost: Cost) {
        self.costs.entry(row).or_default().push(cost);
    }

    /// The whole text. `load` is the load average from before.
    pub async fn finish(&self, world: &World, load: &str) -> String {
        let mut text = format!(
            "# One relist over {} series\n\n\
             {} namespaces × {} pods × {} metrics, with two labels each; the Helm chart's six default\n\
             rules, which have two distinct selectors. {} resources are listed. Median of {} rounds, and\n\
             (least–most). `gzip` is what both really do; `plain` is what they have to decode.\n\n",
            thousands(world.size.series() as u64),
            world.size.namespaces,
            world.size.pods,
            world.size.metrics,
            self.listed,
            self.rounds,
        );
        self.table(&mut text);
        self.ratios(&mut text);
        let version = world.version().await;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let (kernel, now) = (procfs::kernel(), procfs::load_average());
        writeln!(
            text,
            "\nPrometheus {version}, {cores} cores, Linux {kernel}, all on one machine; load average\n\
             {load} before, {now} after. Bytes with headers, counted on the socket. Wall time from the\n\
             first byte sent to the last one received. The control is a Rust client that reads each\n\
             answer whole and decodes it to label maps, a fresh process each time: less than the Go\n\
             adapter does. Prometheus no longer scrapes while this is measured.",
        )
        .unwrap();
        text
    }

    fn table(&self, text: &mut String) {
        let mut lines = vec![vec![
            "client".to_owned(),
            "requests".to_owned(),
            "received".to_owned(),
            "wall time".to_owned(),
            "its CPU".to_owned(),
            "Prometheus' CPU".to_owned(),
            "its peak RSS".to_owned(),
        ]];
        for row in Row::ALL {
            let costs = &self.costs[&row];
            let time = |of: fn(&Cost) -> Duration| {
                spread(costs, |cost| nanoseconds(of(cost)), milliseconds)
            };
            lines.push(vec![
                row.title().to_owned(),
                spread(costs, |cost| cost.requests as u64, thousands),
                spread(costs, |cost| cost.received as u64, bytes),
                time(|cost| cost.wall),
                time(|cost| cost.cpu),
                time(|cost| cost.server_cpu),
                spread(costs, |cost| cost.peak_memory, bytes),
            ]);
        }
        text.push_str(&table::table(&lines));
    }

    fn ratios(&self, text: &mut String) {
        text.push('\n');
        for compressed in [true, false] {
            let ratio = |of: fn(&Cost) -> u64| {
                let ours = median(&self.costs[&Row::Relist { compressed }], of);
                let theirs = median(&self.costs[&Row::Download { compressed }], of);
                let ratio = theirs as f64 / ours.max(1) as f64;
                let places = usize::from(ratio < 10.0);
                format!("{ratio:.places$}")
            };
            writeln!(
                text,
                "{}: {} times less to receive, {} times less wall time,\n\
                 {} times less CPU for the client and {} for Prometheus, {} times less memory.",
                if compressed { "gzip" } else { "plain" },
                ratio(|cost| cost.received as u64),
                ratio(|cost| nanoseconds(cost.wall)),
                ratio(|cost| nanoseconds(cost.cpu)),
                ratio(|cost| nanoseconds(cost.server_cpu)),
                ratio(|cost| cost.peak_memory),
            )
            .unwrap();
        }
    }
}

fn median(costs: &[Cost], of: impl Fn(&Cost) -> u64) -> u64 {
    table::median(costs.iter().map(of))
}

fn spread(costs: &[Cost], of: impl Fn(&Cost) -> u64, show: fn(u64) -> String) -> String {
    table::spread(costs.iter().map(of), show)
}
