//! How long a connection lives: until its client ends it, the server stops, or nothing has been
//! asked on it for so long.

use std::pin::pin;
use std::time::Duration;

use hyper_util::server::graceful::GracefulConnection;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Runs a connection to its end; ends it in good order when told to or when idle.
pub(super) async fn drive<C>(
    connection: C,
    running: watch::Receiver<usize>,
    idle_timeout: Duration,
    stop: CancellationToken,
) where
    C: GracefulConnection<Error = hyper::Error>,
{
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        () = idle(running, idle_timeout) => {
            connection.as_mut().graceful_shutdown();
            // Who does not read its last answer is not waited for.
            match timeout(idle_timeout, connection).await {
                Ok(ended) => ended,
                Err(_) => return tracing::debug!("connection cut: its client does not read"),
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}

/// Completes when no request has been running for so long.
async fn idle(mut running: watch::Receiver<usize>, limit: Duration) {
    loop {
        if running.wait_for(|count| *count == 0).await.is_err() {
            return;
        }
        tokio::select! {
            () = sleep(limit) => return,
            _ = running.changed() => {}
        }
    }
}

/// Counts one request while it lives.
pub(super) struct Running(watch::Sender<usize>);

impl Running {
    pub(super) fn start(count: &watch::Sender<usize>) -> Running {
        count.send_modify(|count| *count += 1);
        Running(count.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}
