//! What was aimed at, what was seen, and whether that is enough.

use std::fmt;
use std::time::Duration;

use super::judge::{Tally, Verdict};
use super::report::{Report, microseconds};
use super::scenes::outage::{Outage, Phase, SOON};
use super::scenes::steady::Steady;
use super::scenes::{Row, Sample, WORKERS};
use super::table::{bytes, median, milliseconds};

/// Requests that may be open at Prometheus (`--prometheus-concurrency`, its default).
const OPEN: usize = 20;
/// Queries that a round may cost, however many ask.
const QUERIES: u64 = 5;
/// Access reviews that a round may cost where a whole API group is asked for first.
const BROAD_REVIEWS: u64 = 5;
/// Of the control's answers a second.
const SHARE: f64 = 0.6;
/// Times the control's 99th percentile.
const SLOWER: f64 = 2.0;
/// Our time on a CPU of one answer, in nanoseconds.
const CPU: u64 = 100_000;
/// A round of five workers.
const ROUND: Duration = Duration::from_millis(300);
/// Memory, in bytes, with all pods and with ten times as many.
const MEMORY: u64 = 30_000_000;
const CROWD_MEMORY: u64 = 150_000_000;

/// One of them.
pub struct Requirement {
    text: String,
    seen: String,
    /// Whether it is so.
    pub met: bool,
    /// Whether numbers are wrong, or Prometheus in danger, where it is not.
    pub grave: bool,
}

impl fmt::Display for Requirement {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.met { '✓' } else { '✗' };
        write!(to, "- {sign} {}: {}", self.text, self.seen)
    }
}

/// In the order of the scenes.
pub fn all(report: &Report) -> Vec<Requirement> {
    let mut all = vec![right(report), open(report)];
    let [broad, narrow] = [&report.steady[0], &report.steady[1]];
    steady(&mut all, broad);
    let five = &broad.rounds[0];
    let round = median(five.samples.iter().map(|it| it.wall));
    all.push(light(
        format!("a round with {} workers under {ROUND:?}", five.workers),
        milliseconds(round),
        Duration::from_nanos(round) < ROUND,
    ));
    calls(&mut all, broad, narrow);
    for (what, peak, limit) in [
        ("peak RSS", broad.peak.max(narrow.peak), MEMORY),
        ("peak RSS with the crowd", report.crowd.peak, CROWD_MEMORY),
    ] {
        let text = format!("{what} at most {}", bytes(limit));
        all.push(light(text, bytes(peak), peak <= limit));
    }
    for outage in &report.outages {
        outages(&mut all, outage);
    }
    all
}

/// Wherever Prometheus is there, every answer is right.
fn right(report: &Report) -> Requirement {
    let steady = report.steady.iter().take(2).chain([&report.crowd]);
    let rows = steady.flat_map(|it| it.rounds.iter().chain(&it.back_to_back));
    let ours = report
        .cold
        .iter()
        .map(|it| &it.row)
        .filter(|it| is_ours(it));
    let samples = rows.filter(|row| is_ours(row)).chain(ours);
    let tallies = samples.flat_map(|row| &row.samples).map(|it| &it.tally);
    let (mut all, mut harmful, mut words) = (0, 0, String::new());
    for tally in tallies {
        all += tally.all();
        harmful += tally.harmful();
        for (verdict, said) in tally.words().filter(|(verdict, _)| verdict.harms()) {
            words = format!(", such as {}: {said}", verdict.title());
        }
    }
    Requirement {
        text: "while Prometheus is there no answer is wrong, zero, empty or 404".to_owned(),
        seen: format!("{harmful} of {all}{words}"),
        met: harmful == 0,
        grave: true,
    }
}

fn open(report: &Report) -> Requirement {
    let ours = report.cold.iter().filter(|it| is_ours(&it.row));
    let samples = ours.flat_map(|it| &it.row.samples);
    let most = samples.map(|it| it.cost.open).max().unwrap_or_default();
    Requirement {
        text: format!("cold, at most {OPEN} requests open at Prometheus"),
        seen: most.to_string(),
        met: most <= OPEN,
        grave: true,
    }
}

/// Beside the control, as fast as it goes.
fn steady(all: &mut Vec<Requirement>, broad: &Steady) {
    for workers in WORKERS {
        let mut rows = broad.back_to_back.iter().filter(|it| it.workers == workers);
        let (Some(ours), Some(control)) = (rows.next(), rows.next()) else {
            continue;
        };
        let rate = |row: &Row| middle(row.samples.iter().map(|it| it.rate));
        let share = rate(ours) / rate(control);
        all.push(light(
            format!(
                "{workers} workers: at least {:.0} % of the control's answers a second",
                SHARE * 100.0
            ),
            format!("{:.0} %", share * 100.0),
            share >= SHARE,
        ));
        let p99 = |row: &Row| median(row.samples.iter().map(|it| it.latency.p99)) as f64;
        let slower = p99(ours) / p99(control);
        all.push(light(
            format!("{workers} workers: at most {SLOWER} times the control's 99th percentile"),
            format!("{slower:.1} times"),
            slower <= SLOWER,
        ));
        let cpu = median(ours.samples.iter().map(Sample::cpu));
        all.push(light(
            format!(
                "{workers} workers: at most {} of our CPU an answer",
                microseconds(CPU)
            ),
            microseconds(cpu),
            cpu <= CPU,
        ));
    }
    for row in broad.rounds.iter().filter(|row| is_ours(row)) {
        let cpu = median(row.samples.iter().map(Sample::cpu));
        all.push(light(
            format!(
                "{} workers, with all that is done between rounds: at most {} of our CPU an answer",
                row.workers,
                microseconds(CPU)
            ),
            microseconds(cpu),
            cpu <= CPU,
        ));
    }
}

/// What a round costs others.
fn calls(all: &mut Vec<Requirement>, broad: &Steady, narrow: &Steady) {
    let most = |steady: &Steady, of: fn(&Sample) -> usize| {
        let rows = steady.rounds.iter().filter(|row| is_ours(row));
        let counts = rows.flat_map(|row| &row.samples).map(of);
        counts.max().unwrap_or_default() as u64
    };
    for (text, seen, limit) in [
        (
            format!("at most {QUERIES} Prometheus queries a round"),
            most(broad, |it| it.cost.queries).max(most(narrow, |it| it.cost.queries)),
            QUERIES,
        ),
        (
            "no list of objects".to_owned(),
            most(broad, |it| it.cost.lists).max(most(narrow, |it| it.cost.lists)),
            0,
        ),
        (
            "at most one review of the same access a round".to_owned(),
            most(narrow, |it| it.cost.repeated),
            1,
        ),
        (
            format!("with broad checks at most {BROAD_REVIEWS} reviews a round"),
            most(broad, |it| it.cost.reviews),
            BROAD_REVIEWS,
        ),
    ] {
        all.push(light(text, seen.to_string(), seen <= limit));
    }
}

fn outages(all: &mut Vec<Requirement>, outage: &Outage) {
    let away = outage.away.as_secs();
    let mut harmful = Tally::default();
    for (phase, tally) in &outage.phases {
        for verdict in Verdict::ALL.into_iter().filter(|it| it.harms()) {
            // Where Prometheus itself has nothing yet, to say so is no lie.
            let honest = matches!(verdict, Verdict::Empty | Verdict::NotFound);
            if !(*phase == Phase::Blank && honest) {
                for _ in 0..tally.count(verdict) {
                    harmful.add(verdict, Duration::ZERO, String::new());
                }
            }
        }
    }
    let counts = Verdict::ALL.into_iter().filter(|it| it.harms());
    let counts = counts.map(|it| format!("{} {}", harmful.count(it), it.title()));
    all.push(Requirement {
        text: format!("killed for {away} s: no answer is wrong, zero, empty or 404"),
        seen: counts.collect::<Vec<_>>().join(", "),
        met: harmful.all() == 0,
        grave: true,
    });
    let grace = outage.phase(Phase::Grace);
    let refused = grace.count(Verdict::Refused) + grace.count(Verdict::Failed);
    all.push(light(
        format!("killed for {away} s: within the grace every answer is right or stale"),
        format!("{refused} errors of {} answers", grace.all()),
        refused == 0,
    ));
    let after = outage.phase(Phase::Away);
    if after.all() > 0 {
        let given = after.all() - after.count(Verdict::Refused);
        all.push(Requirement {
            text: format!("killed for {away} s: after the grace 503 with the cause"),
            seen: format!("{given} others of {} answers", after.all()),
            met: given == 0,
            grave: true,
        });
    }
    let good = outage.good.map(|after| after.saturating_sub(outage.values));
    all.push(light(
        format!("killed for {away} s: first right answer within {SOON:?} of new values"),
        good.map_or("none".to_owned(), |after| {
            format!("{:.1} s", after.as_secs_f64())
        }),
        good.is_some_and(|after| after <= SOON),
    ));
}

/// One that is about speed and cost.
fn light(text: String, seen: String, met: bool) -> Requirement {
    Requirement {
        text,
        seen,
        met,
        grave: false,
    }
}

fn is_ours(row: &Row) -> bool {
    row.server.starts_with("tidegauge")
}

fn middle(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
