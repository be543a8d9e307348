//! Redis away for a while, in the middle of it all.

use std::cell::Cell;
use std::time::Duration;

use anyhow::bail;
use tokio::sync::watch;
use tokio::time::timeout;

use super::ending::Away;
use super::processes::Group;
use super::replicas::Seen;
use super::servers::{self, REDIS, Servers};
use super::story::Stage;

/// How long Redis may take to end, and the replicas to tell.
const PATIENCE: Duration = Duration::from_secs(60);

/// Redis away for a while, if that is wanted.
pub(super) struct Outage {
    pub(super) wanted: bool,
    pub(super) redis_port: u16,
    /// Whether it is away.
    pub(super) away: Cell<bool>,
    /// Whether nothing of it is left to come.
    pub(super) done: Cell<bool>,
    /// What the replicas said.
    pub(super) said: Cell<Away>,
}

impl Outage {
    /// Stops Redis when the ebb begins, until every replica has told; and starts it again.
    pub(super) async fn run(
        &self,
        group: &Group,
        servers: &Servers,
        mut seen: watch::Receiver<Seen>,
        mut stage: watch::Receiver<Stage>,
    ) -> anyhow::Result<()> {
        if !self.wanted {
            return Ok(());
        }
        stage.wait_for(|stage| *stage >= Stage::Ebb).await?;
        self.away.set(true);
        let redis = servers.take(REDIS)?;
        redis.stop(PATIENCE).await?;
        let all = |seen: &Seen| seen.running > 0 && seen.degraded == seen.running;
        let what = "every replica says that it is degraded";
        let degraded = wait_for(what, &mut seen, all).await?.degraded;
        servers.put(servers::redis(group, self.redis_port)?);
        let none = |seen: &Seen| seen.degraded == 0 && seen.ready == seen.running;
        let what = "every replica says that it is well again";
        let well = wait_for(what, &mut seen, none).await?.ready;
        self.said.set(Away { degraded, well });
        self.away.set(false);
        self.done.set(true);
        Ok(())
    }
}

async fn wait_for(
    what: &str,
    seen: &mut watch::Receiver<Seen>,
    mut so: impl FnMut(&Seen) -> bool,
) -> anyhow::Result<Seen> {
    match timeout(PATIENCE, seen.wait_for(|seen| so(seen))).await {
        Ok(Ok(seen)) => return Ok(*seen),
        Ok(Err(_)) => bail!("{what}: the replicas are gone"),
        Err(_) => {}
    }
    bail!("{what}: not within {PATIENCE:?}: {:?}", *seen.borrow())
}
