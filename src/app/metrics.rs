//! Our own metrics at an address of their own, in plain.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::api::Api;
use crate::serve::{self, Limits, Security};

/// Prometheus opens one or two, a kubelet one for each probe.
const CONNECTIONS_MAX: usize = 64;

/// Takes the port, if there is to be one.
///
/// # Errors
/// It cannot be had.
pub(super) fn bind(address: Option<SocketAddr>) -> anyhow::Result<Option<TcpListener>> {
    let bound = address.map(|address| {
        serve::bind(address, false).with_context(|| {
            format!(
                "--metrics-address: failed to listen on {address} (another one? port 0 takes any \
                 that is free)"
            )
        })
    });
    bound.transpose()
}

/// Serves the metrics of `api` as long as the process lives, also while it is stopping: how that
/// goes is worth to be seen.
///
/// # Errors
/// The port has no address.
pub(super) fn serve(
    listener: TcpListener,
    api: &Arc<Api>,
    limits: &Limits,
    tasks: &mut JoinSet<()>,
) -> anyhow::Result<()> {
    let address = listener.local_addr()?;
    tracing::info!("own metrics: http://{address}/metrics");
    let api = Arc::clone(api);
    let handler = move |request: hyper::Request<()>, _peer: serve::Peer| {
        let api = Arc::clone(&api);
        async move { api.answer_plain(&request.into_parts().0).await }
    };
    let limits = Limits {
        max_connections: CONNECTIONS_MAX,
        ..limits.clone()
    };
    tasks.spawn(async move {
        let forever = std::future::pending();
        let plain = Security::Plain;
        serve::run(listener, plain, handler, Api::panicked, limits, forever).await;
    });
    Ok(())
}
