//! Asks on one connection: by so many workers one after the other, or in even steps of time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use hyper::StatusCode;
use hyper::body::Bytes;
use tokio::task::JoinSet;

use super::ask::Ask;
use super::client::Client;
use super::latency::Latency;

/// What came of one ask.
pub struct Answer {
    /// Its place among all asks.
    pub ask: usize,
    /// When it was sent.
    pub sent: Instant,
    /// From the request to the last byte.
    pub took: Duration,
    /// When the answer was there.
    pub came: SystemTime,
    /// Status and body, or why there is none.
    pub got: Result<(StatusCode, Bytes), String>,
}

/// What came of all.
pub struct Round {
    /// From the first request to the last answer.
    pub wall: Duration,
    /// In no order.
    pub answers: Vec<Answer>,
}

impl Round {
    /// Answers a second.
    pub fn rate(&self) -> f64 {
        self.answers.len() as f64 / self.wall.as_secs_f64()
    }

    /// How long they took.
    pub fn latency(&self) -> Latency {
        Latency::of(self.answers.iter().map(|answer| answer.took).collect())
    }
}

/// Sends one ask.
pub async fn ask(client: &Client, asks: &[Ask], number: usize) -> Answer {
    let ask = &asks[number];
    let sent = Instant::now();
    let got = client.get(&ask.target, ask.headers.clone()).await;
    Answer {
        ask: number,
        sent,
        took: sent.elapsed(),
        came: SystemTime::now(),
        got: got
            .map(|fetched| (fetched.status, fetched.body))
            .map_err(|error| format!("no answer: {error}")),
    }
}

/// All asks once, by `workers`, as far as that goes in this time.
pub async fn once(
    client: &Arc<Client>,
    asks: &Arc<[Ask]>,
    workers: usize,
    time: Duration,
) -> Round {
    work(client, asks, workers, asks.len(), time).await
}

/// All asks again and again, by `workers`, for this time.
pub async fn again(
    client: &Arc<Client>,
    asks: &Arc<[Ask]>,
    workers: usize,
    time: Duration,
) -> Round {
    work(client, asks, workers, usize::MAX, time).await
}

async fn work(
    client: &Arc<Client>,
    asks: &Arc<[Ask]>,
    workers: usize,
    limit: usize,
    time: Duration,
) -> Round {
    let next = Arc::new(AtomicUsize::new(0));
    let started = Instant::now();
    let mut all = JoinSet::new();
    for _ in 0..workers {
        let (client, asks, next) = (Arc::clone(client), Arc::clone(asks), Arc::clone(&next));
        all.spawn(async move {
            let mut answers = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= limit || started.elapsed() >= time {
                    return answers;
                }
                answers.push(ask(&client, &asks, number % asks.len()).await);
            }
        });
    }
    let mut answers = Vec::new();
    while let Some(worker) = all.join_next().await {
        answers.extend(worker.unwrap());
    }
    Round {
        wall: started.elapsed(),
        answers,
    }
}

/// All asks again and again, each once in `period`, until `end` says that it is enough.
pub async fn evenly(
    client: &Arc<Client>,
    asks: &Arc<[Ask]>,
    period: Duration,
    end: impl Future<Output = ()>,
) -> Vec<Answer> {
    let mut step = tokio::time::interval(period / u32::try_from(asks.len()).unwrap());
    let mut under_way = JoinSet::new();
    let mut answers = Vec::new();
    let mut next = 0;
    tokio::pin!(end);
    loop {
        tokio::select! {
            () = &mut end => break,
            _ = step.tick() => {
                let (client, asks, number) = (Arc::clone(client), Arc::clone(asks), next);
                next = (next + 1) % asks.len();
                under_way.spawn(async move { ask(&client, &asks, number).await });
            }
            Some(answer) = under_way.join_next() => answers.push(answer.unwrap()),
        }
    }
    while let Some(answer) = under_way.join_next().await {
        answers.push(answer.unwrap());
    }
    answers
}
