//! The table: of each round the 50th and 99th percentile and the longest, of those the middle.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::latency::Latency;
use super::procfs;
use super::table::{bytes, median, milliseconds, spread, table, thousands};
use super::world::Size;

/// What a page may take, in nanoseconds.
const AIM: u64 = 10_000_000;

/// Who has asked before the page is looked at, beside those before them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// Nobody.
    None,
    /// As many autoscalers as rules, each for its own metric.
    Own,
    /// As many for one metric.
    Same,
    /// So many that the journal forgets the oldest.
    Full,
}

/// What is looked at, in this order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum View {
    Empty,
    First,
    Later,
    Found,
    Same,
    Full,
}

impl View {
    /// In the order of the table.
    pub const ALL: [View; 6] = [
        View::Empty,
        View::First,
        View::Later,
        View::Found,
        View::Same,
        View::Full,
    ];

    /// Its name there.
    pub fn title(self) -> &'static str {
        match self {
            View::Empty => "nobody has asked",
            View::First => "1,000 ask, each for its own",
            View::Later => "the same, page 3",
            View::Found => "the same, one of them found",
            View::Same => "and 1,000 more for one metric",
            View::Full => "the journal is full",
        }
    }

    /// Where it is.
    pub fn path(self) -> &'static str {
        match self {
            View::Later => "/?page=3",
            View::Found => "/?q=team-7+name%3Dservice-107",
            _ => "/",
        }
    }

    /// Who asks before it is looked at.
    pub fn asks(self) -> Asks {
        match self {
            View::Empty | View::Later | View::Found => Asks::None,
            View::First => Asks::Own,
            View::Same => Asks::Same,
            View::Full => Asks::Full,
        }
    }

    /// What must be on it.
    pub fn shows(self) -> &'static str {
        match self {
            View::Empty => "those that are asked for first",
            View::First => "HPA controller",
            View::Later => "Page 3 of",
            View::Found => "name=service-107 in team-7",
            View::Same => " others; find them by namespace",
            // The last that were asked.
            View::Full => "tier!=4",
        }
    }
}

/// What one view cost in one round.
#[derive(Clone, Copy)]
pub struct Cost {
    pub bytes: u64,
    pub took: Latency,
    /// The adapter's time on a CPU for a page, in nanoseconds.
    pub cpu: u64,
    /// What the asks before it have added to the adapter's memory.
    pub held: u64,
    /// Memory after the last page.
    pub after: u64,
    /// The most while pages were made.
    pub peak: u64,
}

/// All rounds.
pub struct Report {
    rounds: u32,
    fetches: usize,
    costs: BTreeMap<View, Vec<Cost>>,
}

impl Report {
    /// An empty one.
    pub fn new(rounds: u32, fetches: usize) -> Report {
        Report {
            rounds,
            fetches,
            costs: BTreeMap::new(),
        }
    }

    /// Notes one view of one round.
    pub fn add(&mut self, view: View, cost: Cost) {
        self.costs.entry(view).or_default().push(cost);
    }

    /// The whole text. `load` is the load average from before.
    pub fn finish(&self, size: &Size, load: &str) -> String {
        let head = [
            "page",
            "bytes",
            "p50",
            "p99",
            "max",
            "CPU of one",
            "asks held",
            "RSS after",
            "peak",
        ];
        let mut lines = vec![head.map(str::to_owned).to_vec()];
        for (view, costs) in &self.costs {
            let each = |of: fn(&Cost) -> u64, show| spread(costs.iter().map(of), show);
            lines.push(vec![
                view.title().to_owned(),
                each(|it| it.bytes, bytes),
                each(|it| it.took.p50, milliseconds),
                each(|it| it.took.p99, milliseconds),
                each(|it| it.took.max, milliseconds),
                each(|it| it.cpu, milliseconds),
                each(|it| it.held, bytes),
                each(|it| it.after, bytes),
                each(|it| it.peak, bytes),
            ]);
        }
        let mut text = format!(
            "# The status page\n\n\
             {} rules, each of a metric of pods and of namespaces; each of {} workloads has an\n\
             autoscaler. One connection, one page at a time, {} a round. Median of {} rounds, each a\n\
             fresh process, and (least–most).\n\n",
            thousands(size.rules as u64 + 1),
            thousands(size.rules as u64),
            self.fetches,
            self.rounds,
        );
        text += &table(&lines);
        let middle = |view: &View| median(self.costs[view].iter().map(|it| it.took.p50));
        let slowest = View::ALL.iter().map(|view| (middle(view), view.title()));
        let (slowest, title) = slowest.max().unwrap();
        let verdict = if slowest < AIM { "under" } else { "NOT under" };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let (kernel, now) = (procfs::kernel(), procfs::load_average());
        writeln!(
            text,
            "\nThe slowest, \"{title}\", takes {}: {verdict} the {} aimed at.\n\n\
             {cores} cores, Linux {kernel}, all on one machine; load average {load} before, {now} after.\n\
             From the request to the last byte of the page. RSS is `VmRSS`, the peak `VmHWM`; \"asks held\"\n\
             is what the asks between this page and the one before have added, also to what is remembered\n\
             of Prometheus' answers.",
            milliseconds(slowest),
            milliseconds(AIM),
        )
        .unwrap();
        text
    }
}
