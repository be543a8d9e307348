//! Waiting without guessing: ask again until it is so, or fail at a deadline with the last reason.

use std::time::{Duration, Instant};

/// Between two tries. Short, because every test waits for something at least once.
const PAUSE: Duration = Duration::from_millis(20);

/// Asks `probe` until it answers `Ok`, and gives that. `Err` says why not yet.
///
/// # Errors
/// The last reason, with `what` and the time, when `within` has passed.
pub async fn try_until<T>(
    what: &str,
    within: Duration,
    mut probe: impl AsyncFnMut() -> Result<T, String>,
) -> Result<T, String> {
    let deadline = Instant::now() + within;
    let mut last = "it was never tried".to_owned();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match tokio::time::timeout(left, probe()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(reason)) => last = reason,
            Err(_) => {}
        }
        // A probe that never waits is never cut off by the time-out above.
        if Instant::now() >= deadline {
            return Err(format!("{what}: not within {within:?}: {last}"));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// As [`try_until`], and panics where that gives an error.
pub async fn until<T>(
    what: &str,
    within: Duration,
    probe: impl AsyncFnMut() -> Result<T, String>,
) -> T {
    match try_until(what, within, probe).await {
        Ok(value) => value,
        Err(reason) => panic!("{reason}"),
    }
}
