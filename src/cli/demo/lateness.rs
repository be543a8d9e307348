//! How late this process comes to do what it wants to do: a machine that is too slow, or has too
//! much else to do, shows it there first.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// How often it wants to do something.
const EVERY: Duration = Duration::from_millis(100);

/// Nothing of the demo takes as long: whoever is so late was not let on a processor.
const TOO_LATE: Duration = Duration::from_secs(1);

/// What a clock has seen that wanted to be looked at every tenth of a second.
#[derive(Default)]
pub(super) struct Lateness {
    worst: Cell<Duration>,
    times: Cell<u32>,
}

impl Lateness {
    /// Watches for ever.
    pub(super) async fn watch(&self) {
        loop {
            let wanted = Instant::now() + EVERY;
            sleep_until(wanted).await;
            let late = wanted.elapsed();
            self.worst.set(self.worst.get().max(late));
            if late >= TOO_LATE {
                self.times.set(self.times.get() + 1);
            }
        }
    }

    /// What may be why a demo has failed; nothing where it always came in time.
    pub(super) fn excuse(&self) -> Option<String> {
        let (worst, times) = (self.worst.get().as_secs_f64(), self.times.get());
        let times = match times {
            0 => return None,
            1 => "once".to_owned(),
            times => format!("{times} times"),
        };
        Some(format!(
            "The machine may be why: what happens here every {} ms came a second or more late \
             {times}, {worst:.1} s at worst. It was too slow, or had too much else to do. Try \
             again with less beside it, or with more processors: what fails then is no fault of \
             the machine.",
            EVERY.as_millis()
        ))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    /// What is said after waking up so late each time.
    async fn excuse(late: &[u64]) -> Option<String> {
        let lateness = Lateness::default();
        for milliseconds in late {
            let mut watch = std::pin::pin!(lateness.watch());
            assert_eq!(watch.as_mut().now_or_never(), None);
            tokio::time::advance(EVERY + Duration::from_millis(*milliseconds)).await;
            assert_eq!(watch.as_mut().now_or_never(), None);
        }
        lateness.excuse()
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_machine_that_comes_late_is_an_excuse() {
        assert_eq!(excuse(&[0, 20, 900]).await, None);
        let said = excuse(&[0, 4200, 50]).await.unwrap();
        assert!(said.contains("late once, 4.2 s at worst"), "{said}");
        let said = excuse(&[1000, 3000, 2000]).await.unwrap();
        assert!(said.contains("late 3 times, 3.0 s at worst"), "{said}");
    }
}
