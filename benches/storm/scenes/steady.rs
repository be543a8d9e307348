//! Round after round, as autoscalers ask, and as fast as it goes; beside it, in turns, the control.

use std::sync::Arc;
use std::time::Duration;

use super::{ROUND, Row, Sample, WORKERS};
use crate::ask::Ask;
use crate::client::{Client, Fetched};
use crate::control::Control;
use crate::cost::{Cost, While};
use crate::judge::Judge;
use crate::procfs::Process;
use crate::round::{self, Round};
use crate::server::{Program, Server};
use crate::world::World;

/// How often, and for how long.
#[derive(Clone, Copy)]
pub struct Plan {
    /// Between the beginnings of two rounds.
    pub period: Duration,
    /// Rounds for each number of workers.
    pub rounds: usize,
    /// How long it goes as fast as it can, and how often; no time, not at all.
    pub slice: Duration,
    pub slices: usize,
}

/// What was seen.
pub struct Steady {
    /// A round each period.
    pub rounds: Vec<Row>,
    /// As fast as it goes.
    pub back_to_back: Vec<Row>,
    /// The most memory of this process, in bytes.
    pub peak: u64,
}

/// A server that is asked.
struct Asked {
    client: Arc<Client>,
    asks: Arc<[Ask]>,
}

/// The control and its connection.
struct Beside {
    asked: Asked,
    control: Control,
}

/// A life of `program`; beside it the control, where there is to be one.
pub async fn measure(
    world: &World,
    program: &Program,
    asks: &Arc<[Ask]>,
    workers: &[usize],
    plan: Plan,
    with_control: bool,
) -> Steady {
    let server = program.start(world).await;
    let asked = Asked {
        client: server.connect(world).await,
        asks: Arc::clone(asks),
    };
    // Twice, in time for an autoscaler: what is asked regularly is known to be.
    let first = round::once(&asked.client, asks, WORKERS[1], ROUND).await;
    tokio::time::sleep(plan.period).await;
    round::once(&asked.client, asks, WORKERS[1], ROUND).await;
    let beside = match with_control {
        true => Some(beside(&asked, &first).await),
        false => None,
    };
    let mut scene = Scene {
        world,
        server: &server,
        program,
        asked,
        beside,
        judge: Judge::of(world, None),
    };
    Steady {
        rounds: scene.rounds(workers, plan).await,
        back_to_back: scene.back_to_back(workers, plan).await,
        peak: server.usage().peak_memory(),
    }
}

/// A control that gives the answers of this round, with the headers that they have.
async fn beside(asked: &Asked, round: &Round) -> Beside {
    let (client, asks) = (&asked.client, &asked.asks);
    let headers = client.get(&asks[0].target, asks[0].headers.clone()).await;
    let headers = headers.unwrap().headers;
    let mut answers: Vec<Option<Fetched>> = vec![None; asks.len()];
    for answer in &round.answers {
        let (status, body) = answer.got.clone().unwrap();
        assert_eq!(status, 200, "the control gives right answers only");
        answers[answer.ask] = Some(Fetched {
            status,
            headers: headers.clone(),
            body,
        });
    }
    let answers = answers.iter().map(|it| it.as_ref().unwrap());
    let targets = asks.iter().map(|ask| ask.target.as_str());
    let control = Control::start(targets.zip(answers)).await;
    let client = Arc::new(Client::connect(&control.url, &control.roots, None).await);
    let asks = Arc::clone(asks);
    Beside {
        asked: Asked { client, asks },
        control,
    }
}

struct Scene<'a> {
    world: &'a World,
    server: &'a Server,
    program: &'a Program,
    asked: Asked,
    beside: Option<Beside>,
    judge: Judge,
}

impl Scene<'_> {
    /// A round each period, with each number of workers in turn.
    async fn rounds(&mut self, workers: &[usize], plan: Plan) -> Vec<Row> {
        let mut rows = self.rows(workers);
        let mut due = tokio::time::interval(plan.period);
        for number in 1..=plan.rounds {
            for (place, &workers) in workers.iter().enumerate() {
                let title = &self.program.title;
                let rounds = plan.rounds;
                eprint!("\rround {number} of {rounds}, {title}, {workers} workers ");
                due.tick().await;
                let cost = While::begin(self.world, self.server);
                let round = self.asked.ask(workers, None).await;
                if let Some(beside) = &self.beside {
                    rows[1][place].samples.push(beside.ask(workers, None).await);
                }
                // What is done for the next round is part of what this one costs.
                let rest = plan.period.saturating_sub(cost.elapsed());
                tokio::time::sleep(rest.mul_f64(0.98)).await;
                let cost = cost.end();
                let asks = Arc::clone(&self.asked.asks);
                let sample = Sample::of(&round, &asks, &mut self.judge, cost);
                rows[0][place].samples.push(sample);
            }
        }
        finished(rows)
    }

    /// As fast as it goes, in turns.
    async fn back_to_back(&mut self, workers: &[usize], plan: Plan) -> Vec<Row> {
        let mut rows = self.rows(workers);
        for number in 1..=plan.slices {
            for (place, &workers) in workers.iter().enumerate() {
                let (title, slices) = (&self.program.title, plan.slices);
                eprint!("\rslice {number} of {slices}, {title}, {workers} workers ");
                let cost = While::begin(self.world, self.server);
                let round = self.asked.ask(workers, Some(plan.slice)).await;
                let cost = cost.end();
                if let Some(beside) = &self.beside {
                    let sample = beside.ask(workers, Some(plan.slice)).await;
                    rows[1][place].samples.push(sample);
                }
                let asks = Arc::clone(&self.asked.asks);
                let sample = Sample::of(&round, &asks, &mut self.judge, cost);
                rows[0][place].samples.push(sample);
            }
        }
        finished(rows)
    }

    /// Empty ones: the server's, and the control's where there is one.
    fn rows(&self, workers: &[usize]) -> Vec<Vec<Row>> {
        let of = |server: &str| {
            let rows = workers.iter().map(|&workers| Row {
                server: server.to_owned(),
                workers,
                samples: Vec::new(),
            });
            rows.collect()
        };
        match self.beside {
            Some(_) => vec![of(&self.program.title), of(super::CONTROL)],
            None => vec![of(&self.program.title)],
        }
    }
}

/// In order, without those that never had a turn.
fn finished(rows: Vec<Vec<Row>>) -> Vec<Row> {
    eprintln!();
    let rows = rows.into_iter().flatten();
    rows.filter(|row| !row.samples.is_empty()).collect()
}

impl Asked {
    /// Everything once, or again and again for this time.
    async fn ask(&self, workers: usize, time: Option<Duration>) -> Round {
        match time {
            None => round::once(&self.client, &self.asks, workers, ROUND).await,
            Some(time) => round::again(&self.client, &self.asks, workers, time).await,
        }
    }
}

impl Beside {
    async fn ask(&self, workers: usize, time: Option<Duration>) -> Sample {
        let process = Process::of(self.control.id());
        let before = process.cpu_ever();
        let round = self.asked.ask(workers, time).await;
        let cost = Cost {
            cpu: process.cpu_ever() - before,
            ..Cost::default()
        };
        Sample::of_control(&round, cost)
    }
}
