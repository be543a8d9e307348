//! Work to order: so much CPU, so much waiting, so that load can be seen.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use rustix::time::{ClockId, clock_gettime};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shop;
use super::reply::Refusal;
use crate::settings;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Work {
    cpu: Option<String>,
    time: Option<String>,
}

pub(super) async fn burn(
    State(shop): State<Arc<Shop>>,
    work: Result<Query<Work>, QueryRejection>,
) -> Result<Json<Value>, Refusal> {
    let wrong = |why: String| Refusal::new(StatusCode::BAD_REQUEST, why);
    let Query(work) = work.map_err(|error| wrong(error.body_text()))?;
    let limit = shop.configuration.load().burn_limit;
    let read = |text: Option<String>| match text.as_deref().map(settings::duration).transpose() {
        Ok(duration) if duration.unwrap_or_default() <= limit => Ok(duration.unwrap_or_default()),
        Ok(_) => Err(wrong(format!("at most {limit:?}"))),
        Err(why) => Err(wrong(why)),
    };
    let (cpu, time) = (read(work.cpu)?, read(work.time)?);
    if !cpu.is_zero() {
        // Computing on the threads that answer requests would stop all of them, and the probes.
        let place = Arc::clone(&shop.cores).acquire_owned().await;
        let burnt = tokio::task::spawn_blocking(move || {
            compute(cpu);
            drop(place);
        });
        burnt
            .await
            .map_err(|_| Refusal::later("the work was not done"))?;
    }
    tokio::time::sleep(time).await;
    Ok(Json(json!({
        "cpu_ms": cpu.as_millis(),
        "time_ms": time.as_millis(),
    })))
}

/// Uses `cpu` of this thread's CPU time, however long that takes on a machine that is busy.
fn compute(cpu: Duration) {
    let used =
        || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or(Duration::MAX);
    let end = used().saturating_add(cpu);
    let mut value = 0_u64;
    while used() < end {
        for _ in 0..1000 {
            value = std::hint::black_box(value.wrapping_mul(6_364_136_223_846_793_005) ^ 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_burnt_is_cpu_and_as_much_as_was_asked_for() {
        let cpu = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
        let before = cpu();
        compute(Duration::from_millis(30));
        let used = cpu() - before;
        // How far it goes beyond depends on the machine; ten times is not what was asked for.
        let most = Duration::from_millis(300);
        assert!(
            (Duration::from_millis(30)..most).contains(&used),
            "{used:?}"
        );
    }
}
