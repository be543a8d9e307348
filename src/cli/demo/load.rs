//! The load: as many shoppers as the wished rate needs, who come and leave.

mod shopper;

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{MissedTickBehavior, interval};

use super::http::Http;
use super::rotation::Rotation;
use super::tally::Tally;
use shopper::Shopper;

/// Each shopper takes a step in such a time: something, and then a look into the cart.
const STEP: Duration = Duration::from_secs(1);

/// Requests of a step.
const REQUESTS: f64 = 2.0;

/// How often is looked whether shoppers should come or leave.
const ROUND: Duration = Duration::from_millis(100);

/// What shoppers share.
#[derive(Clone)]
pub(super) struct Shop {
    pub(super) http: Http,
    pub(super) rotation: Rotation,
    pub(super) tally: Tally,
}

/// Keeps the number of shoppers at what `rate` wishes, in requests a second, until its sender is
/// gone. Then each takes a last look into its cart and leaves.
pub(super) async fn run(shop: Shop, rate: watch::Receiver<f64>) {
    let mut shoppers = JoinSet::new();
    let mut present: Vec<watch::Sender<bool>> = Vec::new();
    let mut number = 0_u32;
    let mut tick = interval(ROUND);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while rate.has_changed().is_ok() {
        tick.tick().await;
        let wished = *rate.borrow() / REQUESTS * STEP.as_secs_f64();
        let count = |shoppers: usize| u32::try_from(shoppers).map_or(f64::MAX, f64::from);
        while count(present.len()) < wished.round() {
            let (stays, leaves) = watch::channel(false);
            shoppers.spawn(stay(Shopper::new(number, shop.clone()), leaves));
            present.push(stays);
            number += 1;
        }
        // The youngest leave first, so that some sessions last from the beginning to the end.
        while count(present.len()) > wished.round() {
            if let Some(youngest) = present.pop() {
                youngest.send_replace(true);
            }
        }
        while let Some(left) = shoppers.try_join_next() {
            note(&shop.tally, left);
        }
    }
    for shopper in present {
        shopper.send_replace(true);
    }
    while let Some(left) = shoppers.join_next().await {
        note(&shop.tally, left);
    }
}

/// A shopper that did not leave by itself has seen nothing of what came then, which is a failure.
fn note(tally: &Tally, left: Result<(), JoinError>) {
    if let Err(error) = left {
        tally.failed(format!("a shopper broke down: {error}"));
    }
}

/// One shopper's steps until it is to leave.
async fn stay(mut shopper: Shopper, mut leaves: watch::Receiver<bool>) {
    // Those who come together do not walk in step.
    let mut tick = interval(STEP);
    // Who was kept waiting does not hurry then.
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick.reset_after(STEP.mul_f64(shopper.offset()));
    loop {
        tokio::select! {
            _ = tick.tick() => shopper.step().await,
            _ = leaves.changed() => break shopper.last_look().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_shopper_that_breaks_down_is_a_failure() {
        let tally = Tally::default();
        note(&tally, tokio::spawn(async {}).await);
        assert_eq!(tally.counts().failed, 0);
        note(&tally, tokio::spawn(async { panic!("no cart") }).await);
        assert_eq!(tally.counts().failed, 1);
        let reasons = tally.counts().reasons;
        assert!(reasons[0].contains("no cart"), "{reasons:?}");
    }
}
