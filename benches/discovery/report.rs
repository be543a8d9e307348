//! The table: of each round the 50th and 99th percentile and the longest, of those the middle.

use std::fmt::Write as _;
use std::time::Duration;

use super::latency::Latency;
use super::table::{self, bytes, milliseconds, nanoseconds, thousands};
use super::{Document, procfs};

/// What the aggregator gives a document is 5 s; this is what we aim at, for the 99th percentile.
const AIM: Duration = Duration::from_millis(5);

/// All rounds.
pub struct Report {
    rounds: u32,
    fetches: usize,
    metrics: usize,
    waiting: usize,
    rows: Vec<Row>,
}

/// One document from both servers.
struct Row {
    document: Document,
    bytes: usize,
    /// The adapter's and the control's, each round.
    rounds: [Vec<Latency>; 2],
}

impl Report {
    /// An empty one.
    pub fn new(rounds: u32, fetches: usize, metrics: usize, waiting: usize) -> Report {
        Report {
            rounds,
            fetches,
            metrics,
            waiting,
            rows: Vec::new(),
        }
    }

    /// Notes the fetches of one document in one round: the adapter's, and the control's.
    pub fn add(&mut self, document: Document, bytes: usize, times: [Vec<Duration>; 2]) {
        let found = self.rows.iter().position(|row| row.document == document);
        let at = found.unwrap_or_else(|| {
            self.rows.push(Row {
                document,
                bytes,
                rounds: [Vec::new(), Vec::new()],
            });
            self.rows.len() - 1
        });
        for (rounds, times) in self.rows[at].rounds.iter_mut().zip(times) {
            rounds.push(Latency::of(times));
        }
    }

    /// The whole text. `load` is the load average from before.
    pub fn finish(&self, load: &str) -> String {
        let mut text = format!(
            "# Discovery while Prometheus hangs\n\n\
             {} metrics of pods and of namespaces and {} external ones; Prometheus takes connections and\n\
             never answers, relists wait for it, and so do {} asks for values. One HTTP/2 connection over\n\
             TLS, one fetch at a time, {} a round. Median of {} rounds, and (least–most).\n\n",
            thousands(self.metrics as u64),
            thousands(self.metrics as u64),
            self.waiting,
            self.fetches,
            self.rounds,
        );
        text.push_str(&table::table(&self.lines()));
        let worst = self.rows.iter().map(|row| {
            let p99 = table::median(row.rounds[0].iter().map(|it| it.p99));
            (p99, row.document.title)
        });
        let (p99, title) = worst.max().unwrap();
        let verdict = if p99 < nanoseconds(AIM) {
            "under"
        } else {
            "NOT under"
        };
        writeln!(
            text,
            "\nThe slowest 99th percentile, of {title}, is {}: {verdict} the {} aimed at.",
            milliseconds(p99),
            milliseconds(nanoseconds(AIM)),
        )
        .unwrap();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let (kernel, now) = (procfs::kernel(), procfs::load_average());
        writeln!(
            text,
            "\n{cores} cores, Linux {kernel}, all on one machine; load average {load} before, {now} after.\n\
             Bytes as on the wire, without headers. From the request to the last byte of the answer. The\n\
             control is a process with the same hyper and rustls that gives the same bytes from memory."
        )
        .unwrap();
        text
    }

    fn lines(&self) -> Vec<Vec<String>> {
        let head = ["document", "bytes", "server", "p50", "p99", "max"];
        let mut lines = vec![head.map(str::to_owned).to_vec()];
        for row in &self.rows {
            for (server, rounds) in ["tidegauge", "control"].into_iter().zip(&row.rounds) {
                let spread =
                    |of: fn(&Latency) -> u64| table::spread(rounds.iter().map(of), milliseconds);
                lines.push(vec![
                    row.document.title.to_owned(),
                    bytes(row.bytes as u64),
                    server.to_owned(),
                    spread(|it| it.p50),
                    spread(|it| it.p99),
                    spread(|it| it.max),
                ]);
            }
        }
        lines
    }
}
