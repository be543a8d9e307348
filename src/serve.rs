//! The server: accepts connections, speaks TLS and HTTP/1.1 or HTTP/2, and gives each request to a
//! handler. Knows neither Kubernetes nor Prometheus.
//!
//! Promises:
//! - everything has a limit (`Limits`); a client that is slow, silent or greedy costs one
//!   connection, and only until a deadline;
//! - a panic in the handler is one answer 500 and a log line; other requests of the same connection
//!   do not notice, for an API server sends all of its requests over one connection;
//! - shutdown is ordered: stop accepting, tell each connection (GOAWAY, `Connection: close`), wait
//!   for requests under way, cut what is left at the deadline and say so;
//! - an answer with `Connection: close` ends its connection in the same good order, in HTTP/2 too:
//!   there it is a GOAWAY, and streams under way are answered;
//! - a client that opens streams and resets them never has more handlers running than streams are
//!   allowed; if it does so without end its connection is closed. Users who cancel make the API
//!   server do it as well, on the one connection of everybody, so what is allowed is plenty.
//!
//! The metrics APIs only read, so the handler gets no body. What a client sends anyway is read up
//! to a limit and thrown away, so that it sees the answer.

pub mod certificate;
mod connection;
mod eager;
mod lifetime;
mod limits;
pub mod sni;
#[cfg(test)]
mod tests;
pub mod tls;
mod unvectored;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response};
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::telemetry::{Limit, Trouble};
use connection::Server;
pub use limits::Limits;

/// Pause after the kernel refuses a connection for lack of resources.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const BACKLOG: i32 = 1024;

/// An answer. Always whole in memory.
pub type Answer = Response<Full<Bytes>>;

/// Who is at the other end.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address; of an IPv4 client that came to a socket of both families, the IPv4 one.
    pub address: SocketAddr,
    /// The certificates it showed, its own first; empty: none. It holds the key of the first one,
    /// and nothing else has been checked.
    pub certificates: Arc<[CertificateDer<'static>]>,
}

/// What is spoken on the socket.
#[derive(Clone, Debug)]
pub enum Security {
    /// HTTP/1.1 without TLS, for loopback.
    Plain,
    /// TLS; ALPN chooses HTTP/2 or HTTP/1.1.
    Tls(Arc<ServerConfig>),
}

/// How serving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every request was answered.
    Drained,
    /// Time was up.
    Cut {
        /// Connections that were still busy.
        connections: usize,
    },
}

/// Binds without blocking; the address is reused as Go does. An unspecified address, `0.0.0.0` as
/// well as `::`, stands for all addresses of both families (`favoriteAddrFamily` of Go's `net`),
/// and for those of IPv4 on a machine without IPv6.
pub fn bind(address: SocketAddr, share_port: bool) -> io::Result<TcpListener> {
    if !address.ip().is_unspecified() {
        return bind_one(address, share_port);
    }
    let port = address.port();
    match bind_one((Ipv6Addr::UNSPECIFIED, port).into(), share_port) {
        Err(error) if is_no_word_on_the_port(&error) => {
            bind_one((Ipv4Addr::UNSPECIFIED, port).into(), share_port)
        }
        bound => bound,
    }
}

fn bind_one(address: SocketAddr, share_port: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        // Whatever the machine's default is.
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(share_port)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Then there may be no IPv6: some machines say so at the socket, others at the bind.
fn is_no_word_on_the_port(error: &io::Error) -> bool {
    use io::ErrorKind::{AddrInUse, PermissionDenied};
    !matches!(error.kind(), AddrInUse | PermissionDenied)
}

/// Serves until `shutdown` completes, then drains.
///
/// `handler` answers one request; it is dropped where the client goes away. `on_panic` makes the
/// answer to a request whose handler panicked.
pub async fn run<H, F, P>(
    listener: TcpListener,
    security: Security,
    handler: H,
    on_panic: P,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) -> Outcome
where
    H: Fn(Request<()>, Peer) -> F + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
    P: Fn() -> Answer + Send + Sync + 'static,
{
    let permits = Arc::new(Semaphore::new(limits.max_connections));
    let server = Arc::new(Server {
        security,
        handler,
        on_panic,
        limits: limits.clone(),
    });
    let stop = CancellationToken::new();
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    let (full, unaccepting) = (Trouble::after(1), Trouble::after(1));
    loop {
        let (permit, stream, address) = tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(ended) = connections.join_next() => {
                log_panic(ended);
                continue;
            }
            accepted = accept(&listener, &permits, &unaccepting) => accepted,
        };
        note_full(&full, permits.available_permits() == 0, &limits);
        let (server, stop) = (Arc::clone(&server), stop.clone());
        connections.spawn(async move {
            server.connection(stream, address, stop).await;
            drop(permit);
        });
    }
    drop(listener);
    stop.cancel();
    let drain = async {
        while let Some(ended) = connections.join_next().await {
            log_panic(ended);
        }
    };
    match timeout(limits.drain_timeout, drain).await {
        Ok(()) => Outcome::Drained,
        Err(_) => {
            let cut = connections.len();
            tracing::warn!(
                connections = cut,
                "drain timeout exceeded, cutting connections"
            );
            connections.shutdown().await;
            Outcome::Cut { connections: cut }
        }
    }
}

/// Counts that further connections wait, and says when that begins and when it is over.
fn note_full(trouble: &Trouble, is_full: bool, limits: &Limits) {
    let (limit, now) = (limits.max_connections, Instant::now());
    if is_full {
        limits.reached.count(Limit::MaxConnections);
        if trouble.failed("full", now) {
            tracing::warn!(limit, "connection limit reached, further ones wait");
        }
    } else if trouble.went_well(now) {
        tracing::info!(limit, "connections do not wait any more");
    }
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
    trouble: &Trouble,
) -> (Option<OwnedSemaphorePermit>, TcpStream, SocketAddr) {
    // The semaphore is never closed: a permit always comes.
    let permit = Arc::clone(permits).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, mut address)) => {
                if trouble.went_well(Instant::now()) {
                    tracing::info!("connections are accepted again");
                }
                address.set_ip(address.ip().to_canonical());
                return (permit, stream, address);
            }
            Err(e) if gone_already(&e) => {}
            Err(error) => {
                if trouble.failed(&error.to_string(), Instant::now()) {
                    tracing::warn!(%error, "cannot accept connections, trying on");
                }
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn gone_already(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

fn log_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "connection ended by a panic");
    }
}
