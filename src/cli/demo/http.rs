//! Questions by HTTP, and what is asked for again until it is there.

use std::time::Duration;

use anyhow::{Context, bail};
use tokio::time::{Instant, sleep};

/// How long anything may take to come up on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

const PAUSE: Duration = Duration::from_millis(200);

/// The demo's client, with its connections.
#[derive(Clone)]
pub(super) struct Http(reqwest::Client);

impl Http {
    pub(super) fn new() -> anyhow::Result<Http> {
        // All that is asked is on this machine. The status page tells who asks.
        let client = reqwest::Client::builder()
            .no_proxy()
            .user_agent(concat!("tidegauge-demo/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Http(client.context("making an HTTP client")?))
    }

    pub(super) fn client(&self) -> &reqwest::Client {
        &self.0
    }

    /// The body of a GET, or an error where its status is none of success.
    pub(super) async fn get(&self, url: &str) -> anyhow::Result<String> {
        let answer = self.0.get(url).send().await?;
        Ok(answer.error_for_status()?.text().await?)
    }
}

/// Polls until there is something. An error of `poll` is the end of it.
pub(super) async fn until<T>(
    what: &str,
    mut poll: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = poll().await? {
            return Ok(found);
        }
        if Instant::now() > deadline {
            bail!("{what}: not within {PATIENCE:?}");
        }
        sleep(PAUSE).await;
    }
}
