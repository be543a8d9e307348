//! How many requests are open at one backend, and who waits.

use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};

use super::Error;

/// Lets so many in at a time, the first that came first.
pub(super) struct Gate {
    places: Semaphore,
    size: usize,
    open: Gauge,
    waiting: Gauge,
}

/// A place among the open ones, until it is dropped.
pub(super) struct Place<'g> {
    _permit: SemaphorePermit<'g>,
    _open: Counted<'g>,
}

/// Counts as long as it lives: a future may be dropped wherever it waits.
struct Counted<'g>(&'g Gauge);

impl<'g> Counted<'g> {
    fn new(gauge: &'g Gauge) -> Counted<'g> {
        gauge.inc();
        Counted(gauge)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Gate {
    pub(super) fn new(size: usize, open: Gauge, waiting: Gauge) -> Gate {
        Gate {
            places: Semaphore::new(size),
            size,
            open,
            waiting,
        }
    }

    /// A place, as soon as one is free and at most after `longest`; and how long that took.
    pub(super) async fn enter(&self, longest: Duration) -> Result<(Place<'_>, Duration), Error> {
        let (permit, waited) = match self.places.try_acquire() {
            Ok(permit) => (permit, Duration::ZERO),
            Err(_) => {
                let began = Instant::now();
                let _waiting = Counted::new(&self.waiting);
                let acquired = timeout(longest, self.places.acquire()).await;
                let busy = |_| Error::Busy {
                    open: self.size,
                    waited: whole_seconds(longest),
                };
                // Nobody closes it.
                let permit = acquired.map_err(busy)?.map_err(|_| Error::Deadline)?;
                (permit, began.elapsed())
            }
        };
        let place = Place {
            _permit: permit,
            _open: Counted::new(&self.open),
        };
        Ok((place, waited))
    }
}

/// Texts of errors do not change from one attempt to the next, and budgets do, by milliseconds.
fn whole_seconds(duration: Duration) -> Duration {
    let nearest = duration.as_secs_f64().round();
    if nearest < 1.0 || !nearest.is_finite() {
        duration
    } else {
        Duration::try_from_secs_f64(nearest).unwrap_or(duration)
    }
}
