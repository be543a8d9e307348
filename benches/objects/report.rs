//! The table: the middle of all rounds, and between what they lay.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::procfs;
use super::table::{bytes, median, milliseconds, nanoseconds, spread, table, thousands};
use super::world::Size;

/// What the store of 50,000 pods may cost, in bytes.
pub const CEILING: u64 = 40_000_000;

/// One line of the table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Row {
    /// Custom metrics ask: all pods are watched.
    Watched,
    /// Resource metrics ask too: the running pods are watched as well.
    Both,
    /// No two pods have the same labels.
    Own,
    /// The control: nothing is watched.
    Listed,
}

/// What one round cost.
#[derive(Clone, Copy)]
pub struct Cost {
    /// RSS before the first ask, in bytes.
    pub before: u64,
    /// RSS once the pods are known.
    pub after: u64,
    /// The most in between.
    pub peak: u64,
    /// From the first ask until the pods are known.
    pub synced: Duration,
    /// Calls about pods, for all asks after that.
    pub calls: usize,
    /// How long those asks took, one after the other.
    pub asked: Duration,
    /// The adapter's time on a CPU for them.
    pub cpu: Duration,
}

/// All rounds.
pub struct Report {
    rounds: u32,
    costs: BTreeMap<Row, Vec<Cost>>,
}

impl Row {
    /// In the order of the table.
    pub const ALL: [Row; 4] = [Row::Watched, Row::Both, Row::Own, Row::Listed];

    /// Its name there.
    pub fn title(self) -> &'static str {
        match self {
            Row::Watched => "watched",
            Row::Both => "watched, and those that run",
            Row::Own => "watched, all labels differ",
            Row::Listed => "a list for each ask",
        }
    }
}

impl Cost {
    fn held(&self) -> u64 {
        self.after.saturating_sub(self.before)
    }
}

impl Report {
    /// An empty one.
    pub fn new(rounds: u32) -> Report {
        Report {
            rounds,
            costs: BTreeMap::new(),
        }
    }

    /// Notes one round.
    pub fn add(&mut self, row: Row, cost: Cost) {
        self.costs.entry(row).or_default().push(cost);
    }

    /// What the objects cost, in bytes.
    pub fn held(&self, row: Row) -> u64 {
        median(self.each(row, Cost::held))
    }

    /// The whole text. `load` is the load average from before.
    pub fn finish(&self, size: &Size, load: &str) -> String {
        let pods = size.all() as u64;
        let mut lines = vec![
            [
                "",
                "RSS before",
                "RSS with pods",
                "difference",
                "a pod",
                "peak",
                "known after",
            ]
            .into_iter()
            .chain(["calls", "1,000 asks", "CPU of them"])
            .map(str::to_owned)
            .collect::<Vec<String>>(),
        ];
        for row in Row::ALL {
            let each =
                |of: fn(&Cost) -> u64, show: fn(u64) -> String| spread(self.each(row, of), show);
            lines.push(vec![
                row.title().to_owned(),
                each(|cost| cost.before, bytes),
                each(|cost| cost.after, bytes),
                each(Cost::held, bytes),
                bytes(self.held(row) / pods),
                each(|cost| cost.peak, bytes),
                each(|cost| nanoseconds(cost.synced), milliseconds),
                each(|cost| cost.calls as u64, |count| count.to_string()),
                each(|cost| nanoseconds(cost.asked), milliseconds),
                each(|cost| nanoseconds(cost.cpu), milliseconds),
            ]);
        }
        let mut text = format!(
            "# The names and labels of {} pods\n\n\
             {} namespaces × {} workloads × {} pods with eight labels each; each item of a list is as\n\
             large as a recorded one, with its managed fields. Each ask is for the ten pods of one\n\
             workload. Median of {} rounds, each a fresh process, and (least–most).\n\n",
            thousands(pods),
            size.namespaces,
            size.workloads,
            size.pods,
            self.rounds,
        );
        text += &table(&lines);
        self.ratios(&mut text);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let (kernel, now) = (procfs::kernel(), procfs::load_average());
        writeln!(
            text,
            "\nRSS is `VmRSS`, the peak `VmHWM` since just before the first ask. Of every five workloads\n\
             one is a StatefulSet, whose pods' labels differ; in the third row all pods' do. \"And those\n\
             that run\" asks for a custom metric and for resource metrics, which is two watches and two\n\
             asks. Calls are those to the API server about pods. {cores} cores, Linux {kernel}, all on one\n\
             machine with the fake API server; load average {load} before, {now} after.",
        )
        .unwrap();
        text
    }

    fn ratios(&self, text: &mut String) {
        let of = |row, of: fn(&Cost) -> u64| median(self.each(row, of)).max(1) as f64;
        let cpu = |row| of(row, |cost| nanoseconds(cost.cpu));
        let wall = |row| of(row, |cost| nanoseconds(cost.asked));
        let worst = [Row::Watched, Row::Both, Row::Own].map(|row| self.held(row));
        let worst = worst.into_iter().max().unwrap_or_default();
        writeln!(
            text,
            "\nA list for each ask takes {:.1} times the CPU and {:.1} times the time of an ask that is\n\
             answered from memory. The ceiling is {}; the most is {}, {:.0} % of it.",
            cpu(Row::Listed) / cpu(Row::Watched),
            wall(Row::Listed) / wall(Row::Watched),
            bytes(CEILING),
            bytes(worst),
            worst as f64 * 100.0 / CEILING as f64,
        )
        .unwrap();
    }

    fn each(&self, row: Row, of: impl Fn(&Cost) -> u64) -> Vec<u64> {
        self.costs[&row].iter().map(of).collect()
    }
}
