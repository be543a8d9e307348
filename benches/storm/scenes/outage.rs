//! Prometheus is killed, and comes back. Autoscalers go on asking, evenly.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{ROUND, WORKERS};
use crate::ask::{self, Ask};
use crate::client::Client;
use crate::judge::{GRACE, Judge, Tally, Verdict};
use crate::round::{self, Answer};
use crate::server::Program;
use crate::support::poll;
use crate::world::World;

/// How long all is well before, and at least after.
const CALM: Duration = Duration::from_secs(15);
/// Between the end of the grace and where nobody argues: samples' time to live, and a fetch.
const MARGIN: Duration = Duration::from_secs(10);
/// For so long after Prometheus has values what it said before is remembered (`--query-ttl`).
const REMEMBERED: Duration = Duration::from_secs(5);
/// From Prometheus' return until it has values.
const VALUES: Duration = Duration::from_secs(120);
/// How soon after its return there must be a good answer.
pub const SOON: Duration = Duration::from_secs(5);

/// What was seen.
pub struct Outage {
    /// How long Prometheus was to be away.
    pub away: Duration,
    /// The answers, by when they were asked for.
    pub phases: Vec<(Phase, Tally)>,
    /// From Prometheus' return until it had values itself.
    pub values: Duration,
    /// From its return to the first right answer.
    pub good: Option<Duration>,
    /// From its return to the last answer that was not right; `None`: all were.
    pub bad: Option<Duration>,
    /// Requests to Prometheus while it was away.
    pub tries: usize,
    /// Discovery and readiness while it was away: how many were asked for, how many not given.
    pub documents: (usize, usize),
}

/// Parts of the scene.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Phase {
    /// Prometheus is there.
    Before,
    /// It is away, for less than the grace.
    Grace,
    /// It is away, and the grace is just over, or not yet.
    Edge,
    /// It is away for longer.
    Away,
    /// It is back, and has nothing new, or had not just now.
    Blank,
    /// It has values again.
    Back,
}

/// When what happened.
#[derive(Clone, Copy)]
struct Times {
    killed: Instant,
    back: Instant,
    values: Instant,
}

impl Phase {
    pub const ALL: [Phase; 6] = [
        Phase::Before,
        Phase::Grace,
        Phase::Edge,
        Phase::Away,
        Phase::Blank,
        Phase::Back,
    ];

    /// As a line of a table begins.
    pub fn title(self) -> &'static str {
        match self {
            Phase::Before => "before",
            Phase::Grace => "away, within the grace",
            Phase::Edge => "away, at its end",
            Phase::Away => "away, after it",
            Phase::Blank => "back, values are new",
            Phase::Back => "back",
        }
    }
}

impl Times {
    fn phase(&self, at: Instant) -> Phase {
        match at {
            at if at < self.killed => Phase::Before,
            at if at >= self.values + REMEMBERED => Phase::Back,
            at if at >= self.back => Phase::Blank,
            at if at < self.killed + GRACE => Phase::Grace,
            at if at < self.killed + GRACE + MARGIN => Phase::Edge,
            _ => Phase::Away,
        }
    }
}

/// One life of `program`, with Prometheus away for so long; each autoscaler asks once in `period`.
pub async fn measure(
    world: &mut World,
    program: &Program,
    asks: &Arc<[Ask]>,
    period: Duration,
    away: Duration,
) -> Outage {
    eprintln!("prometheus is killed for {away:?}");
    let server = program.start(world).await;
    let client = server.connect(world).await;
    for _ in 0..2 {
        round::once(&client, asks, WORKERS[1], ROUND).await;
        tokio::time::sleep(period / 2).await;
    }
    let (mut times, mut tries, mut documents) = (None, 0, (0, 0));
    let script = async {
        tokio::time::sleep(CALM.min(period)).await;
        world.prometheus.kill();
        let killed = Instant::now();
        world.tap.take_spans();
        documents = look(&client, away).await;
        tries = world.tap.take_spans().len();
        world.prometheus.restart().await;
        let back = Instant::now();
        has_values(world).await;
        times = Some(Times {
            killed,
            back,
            values: Instant::now(),
        });
        tokio::time::sleep(REMEMBERED + CALM.min(period)).await;
    };
    let answers = round::evenly(&client, asks, period, script).await;
    let times = times.unwrap();
    let mut outage = Outage {
        away,
        phases: Phase::ALL.map(|phase| (phase, Tally::default())).into(),
        values: times.values - times.back,
        good: None,
        bad: None,
        tries,
        documents,
    };
    let mut judge = Judge::of(world, Some(times.values - times.killed));
    for answer in &answers {
        outage.add(answer, &asks[answer.ask], times, &mut judge);
    }
    outage
}

impl Outage {
    fn add(&mut self, answer: &Answer, ask: &Ask, times: Times, judge: &mut Judge) {
        let (verdict, age, words) = judge.judge(ask, answer);
        let phase = times.phase(answer.sent);
        if let Some(after) = (answer.sent + answer.took).checked_duration_since(times.back)
            && answer.sent >= times.back
        {
            if verdict == Verdict::Right {
                self.good = Some(self.good.map_or(after, |first| first.min(after)));
            } else {
                self.bad = self.bad.max(Some(after));
            }
        }
        let (_, tally) = self
            .phases
            .iter_mut()
            .find(|(it, _)| *it == phase)
            .expect("every phase must be listed");
        tally.add(verdict, age, words);
    }

    /// The answers of one part.
    pub fn phase(&self, wanted: Phase) -> &Tally {
        let found = self.phases.iter().find(|(phase, _)| *phase == wanted);
        &found.expect("every phase must be listed").1
    }
}

/// Asks for what must not depend on Prometheus each second: how often, and how often in vain.
async fn look(client: &Client, time: Duration) -> (usize, usize) {
    let (started, mut asked, mut failed) = (Instant::now(), 0, 0);
    while started.elapsed() < time {
        for path in ["/readyz", "/apis/custom.metrics.k8s.io/v1beta2"] {
            let answer = client.get(path, ask::of_aggregator()).await;
            asked += 1;
            failed += usize::from(!answer.is_ok_and(|it| it.status.is_success()));
        }
        let rest = time.saturating_sub(started.elapsed());
        tokio::time::sleep(rest.min(Duration::from_secs(1))).await;
    }
    (asked, failed)
}

/// Waits until Prometheus has scraped what is asked for again.
async fn has_values(world: &World) {
    let (last, now) = (world.last_pod(), std::time::SystemTime::now());
    let since = now.duration_since(std::time::UNIX_EPOCH).unwrap();
    let (gauge, rate) = (world.size.gauge_query(last), world.size.rate_query(last));
    let query = format!("timestamp({gauge})");
    poll::until("prometheus has values", VALUES, async || {
        world.number(&rate).await?;
        let scraped = world.number(&query).await?;
        if scraped >= since.as_secs_f64() {
            return Ok(());
        }
        Err(format!("those of {scraped}"))
    })
    .await;
}
