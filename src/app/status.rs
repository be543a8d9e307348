//! The status page, beside the API: an address of its own, in plain.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::api::Api;
use crate::config::Config;
use crate::journal::Journal;
use crate::page::{Page, Settings};
use crate::serve::{self, Limits, Security};

/// Browsers open some six each. A page is held for each of those who read slowly.
const CONNECTIONS: usize = 16;

/// Lists that were missed before that is told as a fault.
const RELISTS_MISSED: u32 = 3;

/// A page that was asked for, with its port taken.
pub(super) struct StatusPage {
    listener: TcpListener,
    journal: Arc<Journal>,
    relist_limit: Duration,
}

impl StatusPage {
    /// Takes the port, if there is to be a page.
    ///
    /// # Errors
    /// It cannot be had.
    pub(super) fn bind(config: &Config) -> anyhow::Result<Option<StatusPage>> {
        let Some(address) = config.status_address else {
            return Ok(None);
        };
        let listener = serve::bind(address, false)
            .with_context(|| format!("--status-address: failed to listen on {address}"))?;
        let relist = &config.relist;
        Ok(Some(StatusPage {
            listener,
            journal: Arc::new(Journal::new(Timestamp::now())),
            relist_limit: relist.interval * RELISTS_MISSED + relist.timeout,
        }))
    }

    /// What it tells.
    pub(super) fn journal(&self) -> Arc<Journal> {
        Arc::clone(&self.journal)
    }

    /// Serves the page of `api` as long as the process lives, also while it is stopping.
    ///
    /// # Errors
    /// The port has no address.
    pub(super) fn serve(
        self,
        api: &Arc<Api>,
        limits: &Limits,
        tasks: &mut JoinSet<()>,
    ) -> anyhow::Result<()> {
        let address = self.listener.local_addr()?;
        tracing::info!("status page: http://{address}/");
        if !address.ip().is_loopback() {
            tracing::warn!(
                %address,
                "--status-address: the status page is plain HTTP, and whoever reaches this address \
                 sees it; 127.0.0.1 and kubectl port-forward keep it to those who may"
            );
        }
        let settings = Settings {
            address,
            relist_limit: self.relist_limit,
        };
        let page = Arc::new(Page::new(Arc::clone(api), self.journal, settings));
        let handler = move |request: hyper::Request<()>, _peer: serve::Peer| {
            let page = Arc::clone(&page);
            async move { page.answer(&request.into_parts().0).await }
        };
        let limits = Limits {
            max_connections: CONNECTIONS,
            ..limits.clone()
        };
        tasks.spawn(async move {
            let forever = std::future::pending();
            let plain = Security::Plain;
            serve::run(
                self.listener,
                plain,
                handler,
                Page::panicked,
                limits,
                forever,
            )
            .await;
        });
        Ok(())
    }
}
