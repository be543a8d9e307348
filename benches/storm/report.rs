//! The tables of all scenes.

use std::fmt::Write as _;
use std::time::Duration;

use super::judge::Verdict;
use super::population::Size;
use super::procfs;
use super::requirements;
use super::scenes::cold::Cold;
use super::scenes::outage::Outage;
use super::scenes::steady::Steady;
use super::scenes::{CONTROL, Row, Sample};
use super::table::{bytes, milliseconds, nanoseconds, spread, table, thousands};

/// All that was seen.
pub struct Report {
    pub size: Size,
    pub crowd_size: Size,
    /// First rounds.
    pub cold: Vec<Cold>,
    /// With an access review for each kind of ask, with one for all, and the peer.
    pub steady: Vec<Steady>,
    /// Prometheus away, for a short time first.
    pub outages: Vec<Outage>,
    /// Ten times as many autoscalers and pods.
    pub crowd: Steady,
    /// Which Prometheus, and its share of a core while nobody asks.
    pub prometheus: (String, f64),
    /// Load average before everything.
    pub load: String,
}

/// How cells of a line are made from all rounds.
struct Cells<'a>(&'a Row);

impl Cells<'_> {
    fn of(&self, of: impl Fn(&Sample) -> u64, show: fn(u64) -> String) -> String {
        spread(self.0.samples.iter().map(of), show)
    }

    /// What only a server costs that knows Prometheus and Kubernetes.
    fn beyond(&self, of: impl Fn(&Sample) -> u64, show: fn(u64) -> String) -> String {
        match self.0.server.as_str() {
            CONTROL => String::new(),
            _ => self.of(of, show),
        }
    }

    fn latency(&self) -> [String; 3] {
        [
            self.of(|it| it.latency.p50, milliseconds),
            self.of(|it| it.latency.p99, milliseconds),
            self.of(|it| it.latency.max, milliseconds),
        ]
    }

    /// How many of all answers were not as they should be.
    fn not_right(&self) -> String {
        if self.0.server == CONTROL {
            return String::new();
        }
        let mut parts = Vec::new();
        for verdict in Verdict::ALL.into_iter().filter(|it| *it != Verdict::Right) {
            let counts = self.0.samples.iter().map(|it| it.tally.count(verdict));
            match counts.sum::<usize>() {
                0 => {}
                count => parts.push(format!("{count} {}", verdict.title())),
            }
        }
        match parts.is_empty() {
            true => "0".to_owned(),
            false => parts.join(", "),
        }
    }

    fn begin(&self) -> Vec<String> {
        vec![self.0.server.clone(), self.0.workers.to_string()]
    }
}

impl Report {
    /// The whole text, and whether every number was right.
    pub fn finish(&self) -> (String, bool) {
        let Size {
            namespaces, pods, ..
        } = self.size;
        let count = |count: usize| thousands(count as u64);
        let mut text = format!(
            "# A storm of autoscalers\n\n\
             {} autoscalers, each asking for the {pods} pods of an app by label; {} pods in {namespaces} namespaces,\n\
             {} series in a real Prometheus {}, which scrapes on. They ask for one gauge; where\n\
             Prometheus is killed, and in the crowd, every other one for a rate. Each answer is read: all pods,\n\
             their own values, the time these are from. One HTTP/2 connection over TLS, asks as kube-aggregator\n\
             was recorded to send those of the HPA controller. The control is a process with the same hyper and\n\
             rustls that gives the same bytes from memory. Medians, and (least–most).\n",
            count(self.size.autoscalers()),
            count(self.size.all_pods()),
            count(self.size.series()),
            self.prometheus.0,
        );
        self.cold_table(&mut text);
        text += "\n## A round every so often, as autoscalers ask\n\n";
        let rounds = |steady: &[Steady]| {
            let rows = steady.iter().flat_map(|it| &it.rounds);
            table(&rounds_lines(rows))
        };
        text += &rounds(&self.steady);
        text += "\n## Back to back\n\n";
        let rows = self.steady.iter().flat_map(|it| &it.back_to_back);
        text += &table(&back_to_back_lines(rows));
        for outage in &self.outages {
            outage_table(&mut text, outage);
        }
        writeln!(
            text,
            "\n## {} autoscalers, {} pods\n",
            count(self.crowd_size.autoscalers()),
            count(self.crowd_size.all_pods()),
        )
        .unwrap();
        text += &rounds(std::slice::from_ref(&self.crowd));
        let peaks = self.steady.iter().map(|it| {
            let server = &it.rounds[0].server;
            format!("{server} {}", bytes(it.peak))
        });
        let peaks: Vec<String> = peaks.collect();
        writeln!(
            text,
            "\nPeak RSS (`VmHWM`) of the processes that went through the rounds: {}; with {} pods {}.",
            peaks.join(", "),
            count(self.crowd_size.all_pods()),
            bytes(self.crowd.peak),
        )
        .unwrap();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let (kernel, now) = (procfs::kernel(), procfs::load_average());
        writeln!(
            text,
            "\n{cores} cores, Linux {kernel}, all on one machine: asks, servers, Prometheus and the fake API\n\
             server; load average {} before, {now} after. While nobody asks, Prometheus takes {:.1} % of a core,\n\
             which its figures are without.",
            self.load,
            self.prometheus.1 * 100.0,
        )
        .unwrap();
        let requirements = requirements::all(self);
        text += "\n## What was aimed at\n\n";
        for requirement in &requirements {
            writeln!(text, "{requirement}").unwrap();
        }
        (text, requirements.iter().all(|it| it.met || !it.grave))
    }

    fn cold_table(&self, text: &mut String) {
        text.push_str("\n## The first round of a fresh process\n\n");
        let head = ["server", "workers", "round", "p50", "p99", "max"];
        let more = ["queries", "open at once", "lists", "watches", "reviews"];
        let rest = ["peak RSS", "relist: requests", "relist: time", "not right"];
        let mut lines = vec![owned(&[&head[..], &more, &rest].concat())];
        for cold in &self.cold {
            let cells = Cells(&cold.row);
            let mut line = cells.begin();
            line.push(cells.of(|it| it.wall, milliseconds));
            line.extend(cells.latency());
            for of in [
                |it: &Sample| it.cost.queries,
                |it: &Sample| it.cost.open,
                |it: &Sample| it.cost.lists,
                |it: &Sample| it.cost.watches,
                |it: &Sample| it.cost.reviews,
            ] {
                line.push(cells.of(|it| of(it) as u64, thousands));
            }
            line.push(spread(cold.peaks.iter().copied(), bytes));
            let relists = || cold.relists.iter().map(|it| it.relist);
            line.push(spread(relists().map(|it| it.0 as u64), thousands));
            line.push(spread(relists().map(|it| nanoseconds(it.1)), milliseconds));
            line.push(cells.not_right());
            lines.push(line);
        }
        text.push_str(&table(&lines));
    }
}

fn rounds_lines<'a>(rows: impl Iterator<Item = &'a Row>) -> Vec<Vec<String>> {
    let head = ["server", "workers", "round", "p50", "p99", "max"];
    let more = ["CPU an answer", "queries", "Prometheus CPU", "lists"];
    let rest = ["watches", "reviews", "not right"];
    let mut lines = vec![owned(&[&head[..], &more, &rest].concat())];
    for row in rows {
        let cells = Cells(row);
        let mut line = cells.begin();
        line.push(cells.of(|it| it.wall, milliseconds));
        line.extend(cells.latency());
        line.push(cells.of(Sample::cpu, microseconds));
        line.push(cells.beyond(|it| it.cost.queries as u64, thousands));
        line.push(cells.beyond(|it| nanoseconds(it.cost.prometheus), milliseconds));
        line.push(cells.beyond(|it| it.cost.lists as u64, thousands));
        line.push(cells.beyond(|it| it.cost.watches as u64, thousands));
        line.push(cells.beyond(|it| it.cost.reviews as u64, thousands));
        line.push(cells.not_right());
        lines.push(line);
    }
    lines
}

fn back_to_back_lines<'a>(rows: impl Iterator<Item = &'a Row>) -> Vec<Vec<String>> {
    let head = ["server", "workers", "answers a second", "p50", "p99", "max"];
    let more = ["CPU an answer", "queries a second", "not right"];
    let mut lines = vec![owned(&[&head[..], &more].concat())];
    for row in rows {
        let cells = Cells(row);
        let mut line = cells.begin();
        line.push(cells.of(|it| whole(it.rate), thousands));
        line.extend(cells.latency());
        line.push(cells.of(Sample::cpu, microseconds));
        let queries = |it: &Sample| it.cost.queries as f64 / it.cost.wall.as_secs_f64();
        line.push(cells.beyond(|it| whole(queries(it)), thousands));
        line.push(cells.not_right());
        lines.push(line);
    }
    lines
}

fn outage_table(text: &mut String, outage: &Outage) {
    let away = outage.away.as_secs();
    writeln!(text, "\n## Prometheus killed for {away} s, and back\n").unwrap();
    let mut head = vec!["asked".to_owned(), "answers".to_owned()];
    head.extend(Verdict::ALL.map(|verdict| verdict.title().to_owned()));
    head.push("oldest value".to_owned());
    let mut lines = vec![head];
    for (phase, tally) in &outage.phases {
        let mut line = vec![phase.title().to_owned(), tally.all().to_string()];
        line.extend(Verdict::ALL.map(|verdict| tally.count(verdict).to_string()));
        line.push(format!("{:.1} s", tally.oldest.as_secs_f64()));
        lines.push(line);
    }
    *text += &table(&lines);
    let seconds = |time: Duration| format!("after {:.1} s", time.as_secs_f64());
    let good = outage.good.map_or("never".to_owned(), seconds);
    let bad = outage.bad.map_or("never".to_owned(), seconds);
    let (asked, failed) = outage.documents;
    writeln!(
        text,
        "\nFrom the moment it was ready again: Prometheus had new values itself {}, our first right answer\n\
         came {good}, the last one that was not right {bad}. While it was away it was sent {} requests, and\n\
         of {asked} asks for readiness and discovery {failed} failed.",
        seconds(outage.values),
        outage.tries,
    )
    .unwrap();
    for (phase, tally) in &outage.phases {
        for (verdict, words) in tally.words() {
            let (phase, verdict) = (phase.title(), verdict.title());
            writeln!(text, "- {phase}, {verdict}: {words}").unwrap();
        }
    }
}

fn owned(head: &[&str]) -> Vec<String> {
    head.iter().map(|&cell| cell.to_owned()).collect()
}

/// Nanoseconds as microseconds.
pub fn microseconds(nanoseconds: u64) -> String {
    format!("{:.1} µs", nanoseconds as f64 / 1e3)
}

/// A rate without its fraction.
fn whole(rate: f64) -> u64 {
    // No machine answers so many that this would matter.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let whole = rate as u64;
    whole
}
