//! How long a connection lives: until its client ends it, the server stops, an answer asks for its
//! end, nothing has been asked on it for so long, or its client does nothing but cancel.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper_util::server::graceful::GracefulConnection;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::Limits;
use super::eager::Eager;
use crate::telemetry::{Limit, Reached};

/// What is known of one connection while it lives.
pub(super) struct Lifetime {
    requests: Mutex<Requests>,
    /// Told when the last of them has ended. Only who sees some running listens: a connection that
    /// is woken for each request of its own does half of its work twice.
    rests: Notify,
    /// One for each request that may run; a stream that was reset gives its own back only when its
    /// handler has ended, as in Go.
    slots: Semaphore,
    /// Good order: no new requests, those under way are answered.
    end: CancellationToken,
    /// No order at all.
    cut: CancellationToken,
    cancels: Mutex<Allowance>,
    idle_timeout: Duration,
    address: SocketAddr,
    reached: Reached,
}

/// Those under way.
struct Requests {
    running: usize,
    /// When the last one ended.
    ended: Instant,
}

impl Lifetime {
    /// One that begins now, of the client at `address`, and ends with `stop` if not before.
    pub(super) fn new(limits: &Limits, address: SocketAddr, stop: &CancellationToken) -> Lifetime {
        let slots = usize::try_from(limits.http2_max_streams).unwrap_or(usize::MAX);
        Lifetime {
            requests: Mutex::new(Requests {
                running: 0,
                ended: Instant::now(),
            }),
            rests: Notify::new(),
            slots: Semaphore::new(slots.min(Semaphore::MAX_PERMITS)),
            end: stop.child_token(),
            cut: CancellationToken::new(),
            cancels: Mutex::new(Allowance::new(
                limits.max_cancels,
                limits.cancels_per_second,
            )),
            idle_timeout: limits.idle_timeout,
            address,
            reached: limits.reached.clone(),
        }
    }

    /// Waits until one more request may run, and counts it from now on.
    pub(super) async fn start(&self) -> Running<'_> {
        // Counted while it waits: the connection is not idle.
        self.requests().running += 1;
        let mut running = Running {
            lifetime: self,
            slot: None,
            finished: false,
        };
        // The semaphore is never closed: a permit always comes.
        running.slot = self.slots.acquire().await.ok();
        if self.slots.available_permits() == 0 {
            self.reached.count(Limit::Http2MaxStreams);
        }
        running
    }

    /// Ends the connection in good order.
    pub(super) fn end(&self) {
        self.end.cancel();
    }

    /// Says so once: a client that is cut comes back, and there is a counter.
    fn note_cut(&self) {
        let (address, what) = (self.address, "its client cancels requests without end");
        self.reached.count(Limit::Cancels);
        match self.reached.get(Limit::Cancels) {
            1 => tracing::warn!(%address, "connection cut: {what}; further ones are counted only"),
            _ => tracing::debug!(%address, "connection cut: {what}"),
        }
    }

    /// Completes when no request has been running for so long, and for as long from now on.
    async fn idle(&self) {
        let began = Instant::now();
        loop {
            // From here on it hears of an end.
            let rests = self.rests.notified();
            let since = {
                let requests = self.requests();
                (requests.running == 0).then(|| requests.ended.max(began))
            };
            match since.map(|since| since + self.idle_timeout) {
                Some(end) if end <= Instant::now() => return,
                Some(end) => sleep_until(end).await,
                None => rests.await,
            }
        }
    }

    fn requests(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs a connection to its end, with the requests that it gives to `requests`; ends it in good
/// order when told to or when idle.
pub(super) async fn drive<C>(connection: C, requests: &Eager, lifetime: &Lifetime)
where
    C: GracefulConnection<Error = hyper::Error>,
{
    let mut connection = pin!(connection);
    let address = lifetime.address;
    let ended = async {
        tokio::select! {
            ended = poll_fn(|context| requests.poll(connection.as_mut(), context)) => {
                return ended;
            }
            () = lifetime.end.cancelled() => {}
            () = lifetime.idle() => {}
        }
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            ended = poll_fn(|context| requests.poll(connection.as_mut(), context)) => ended,
            // Who does not read its last answer is not waited for.
            () = lifetime.idle() => {
                tracing::debug!(%address, "connection cut: its client does not read");
                Ok(())
            }
        }
    };
    tokio::select! {
        ended = ended => if let Err(error) = ended {
            if error.is_parse_too_large() {
                lifetime.reached.count(Limit::HeaderBytes);
            }
            tracing::debug!(%address, %error, "connection ended");
        },
        () = lifetime.cut.cancelled() => {
            lifetime.note_cut();
        }
    }
}

/// One request while it lives. Dropped before [`Running::finish`] it was cancelled.
pub(super) struct Running<'a> {
    lifetime: &'a Lifetime,
    slot: Option<SemaphorePermit<'a>>,
    finished: bool,
}

impl Running<'_> {
    /// There is an answer.
    pub(super) fn finish(mut self) {
        self.finished = true;
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let rests = {
            let mut requests = self.lifetime.requests();
            requests.running -= 1;
            requests.ended = Instant::now();
            requests.running == 0
        };
        if rests {
            self.lifetime.rests.notify_waiters();
        }
        // At the end of the connection everything is cancelled, which is nobody's fault.
        if self.finished || self.lifetime.end.is_cancelled() {
            return;
        }
        let cancels = self.lifetime.cancels.lock();
        let mut cancels = cancels.unwrap_or_else(PoisonError::into_inner);
        if !cancels.take(Instant::now()) {
            self.lifetime.cut.cancel();
        }
    }
}

/// So many at once, and so many more each second.
struct Allowance {
    left: f64,
    most: f64,
    per_second: f64,
    counted: Instant,
}

impl Allowance {
    fn new(most: u32, per_second: u32) -> Allowance {
        Allowance {
            left: f64::from(most),
            most: f64::from(most),
            per_second: f64::from(per_second),
            counted: Instant::now(),
        }
    }

    /// Takes one, if there is one left.
    fn take(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.counted).as_secs_f64();
        self.counted = now;
        self.left = (self.left + passed * self.per_second).min(self.most) - 1.0;
        self.left >= 0.0
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn no_more_requests_run_than_streams_are_allowed() {
        let limits = Limits {
            http2_max_streams: 1,
            ..Limits::default()
        };
        let nobody = SocketAddr::from(([127, 0, 0, 1], 0));
        let lifetime = Lifetime::new(&limits, nobody, &CancellationToken::new());
        let first = lifetime.start().await;
        // Its stream may be gone: it runs until it ends.
        assert!(lifetime.start().now_or_never().is_none());
        drop(first);
        assert!(lifetime.start().now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_when_nothing_ran_for_so_long_and_not_woken_before() {
        let limits = Limits {
            idle_timeout: Duration::from_secs(60),
            ..Limits::default()
        };
        let nobody = SocketAddr::from(([127, 0, 0, 1], 0));
        let lifetime = Arc::new(Lifetime::new(&limits, nobody, &CancellationToken::new()));
        let asked = Arc::clone(&lifetime);
        tokio::spawn(async move {
            // Longer than the limit, then many, the last of which ends after 190 s.
            let running = asked.start().await;
            tokio::time::sleep(Duration::from_secs(90)).await;
            running.finish();
            for _ in 0..100 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                asked.start().await.finish();
            }
        });
        tokio::task::yield_now().await;
        let (began, mut polls) = (Instant::now(), 0);
        let mut idle = pin!(lifetime.idle());
        poll_fn(|context| {
            polls += 1;
            idle.as_mut().poll(context)
        })
        .await;
        assert_eq!(began.elapsed().as_secs(), 90 + 100 + 60);
        assert!(polls <= 8, "{polls} polls");
    }

    #[test]
    fn an_allowance_is_spent_and_comes_back_with_time() {
        let mut allowance = Allowance::new(3, 2);
        let start = allowance.counted;
        let taken = |allowance: &mut Allowance, at| {
            let now = start + Duration::from_millis(at);
            (0..10).take_while(|_| allowance.take(now)).count()
        };
        assert_eq!(taken(&mut allowance, 0), 3);
        allowance.left = 0.0;
        assert_eq!(taken(&mut allowance, 1_000), 2);
        allowance.left = 0.0;
        assert_eq!(taken(&mut allowance, 60_000), 3);
    }
}
