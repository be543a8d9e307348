//! A fresh process meets all autoscalers at once, while it knows nothing.

use std::sync::Arc;

use super::{ROUND, Row, Sample};
use crate::ask::Ask;
use crate::cost::{Cost, While};
use crate::judge::Judge;
use crate::round;
use crate::server::Program;
use crate::world::World;

/// First rounds.
pub struct Cold {
    pub row: Row,
    /// The most memory of each life, in bytes.
    pub peaks: Vec<u64>,
    /// What each asked Prometheus before it was ready.
    pub relists: Vec<Cost>,
}

/// `lives` processes, one after the other, each with its first round by `workers`.
pub async fn measure(
    world: &World,
    program: &Program,
    asks: &Arc<[Ask]>,
    workers: usize,
    lives: usize,
) -> Cold {
    let mut judge = Judge::of(world, None);
    let mut cold = Cold {
        row: Row {
            server: program.title.clone(),
            workers,
            samples: Vec::new(),
        },
        peaks: Vec::new(),
        relists: Vec::new(),
    };
    for life in 1..=lives {
        eprint!(
            "\rcold, {}, {workers} workers, {life} of {lives} ",
            program.title
        );
        world.tap.take_spans();
        let server = program.start(world).await;
        let mut relist = Cost::default();
        relist.add_spans(&world.tap.take_spans());
        let client = server.connect(world).await;
        let cost = While::begin(world, &server);
        let round = round::once(&client, asks, workers, ROUND).await;
        let cost = cost.end();
        let sample = Sample::of(&round, asks, &mut judge, cost);
        cold.row.samples.push(sample);
        cold.peaks.push(server.usage().peak_memory());
        cold.relists.push(relist);
    }
    eprintln!();
    cold
}
