//! The server: accepts connections, speaks TLS and HTTP/1.1 or HTTP/2, and gives each request to a
//! handler. Knows neither Kubernetes nor Prometheus.
//!
//! Promises:
//! - everything has a limit (`Limits`); a client that is slow, silent or greedy costs one
//!   connection, and only until a deadline;
//! - a panic in the handler is one answer 500 and a log line; other requests of the same connection
//!   do not notice, for an API server sends all of its requests over one connection;
//! - shutdown is ordered: stop accepting, tell each connection (GOAWAY, `Connection: close`), wait
//!   for requests under way, cut what is left at the deadline and say so.
//!
//! The metrics APIs only read, so the handler gets no body. What a client sends anyway is read up
//! to a limit and thrown away, so that it sees the answer.

pub mod certificate;
mod lifetime;
mod limits;
#[cfg(test)]
mod tests;
pub mod tls;

use std::any::Any;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_LENGTH, HeaderValue};
use hyper::rt::{Read, Write};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use lifetime::{Running, drive};
pub use limits::Limits;

/// Pause after the kernel refuses a connection for lack of resources.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const BACKLOG: u32 = 1024;
/// A body is never read, so its window is the least that HTTP/2 starts with.
const STREAM_WINDOW: u32 = 65_535;
/// Streams that the protocol library itself resets. It never forgets one while the connection
/// lives, and then ends the connection of everybody: an API server's lives for weeks.
const LOCAL_RESETS: usize = 100_000;

/// An answer. Always whole in memory.
pub type Answer = Response<Full<Bytes>>;

/// Who is at the other end.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address.
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

/// Binds without blocking; the address is reused as Go does.
pub fn bind(address: SocketAddr, share_port: bool) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(share_port)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
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
    let server = Arc::new(Server {
        security,
        handler,
        on_panic,
        limits,
    });
    let permits = Arc::new(Semaphore::new(limits.max_connections));
    let stop = CancellationToken::new();
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    let mut full = false;
    loop {
        let (permit, stream, address) = tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(ended) = connections.join_next() => {
                log_panic(ended);
                continue;
            }
            accepted = accept(&listener, &permits) => accepted,
        };
        let now_full = permits.available_permits() == 0;
        if now_full && !full {
            let limit = limits.max_connections;
            tracing::warn!(limit, "connection limit reached, further ones wait");
        }
        full = now_full;
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

struct Server<H, P> {
    security: Security,
    handler: H,
    on_panic: P,
    limits: Limits,
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> (Option<OwnedSemaphorePermit>, TcpStream, SocketAddr) {
    // The semaphore is never closed: a permit always comes.
    let permit = Arc::clone(permits).acquire_owned().await.ok();
    let mut complained = false;
    loop {
        match listener.accept().await {
            Ok((stream, address)) => return (permit, stream, address),
            Err(e) if gone_already(&e) => {}
            Err(error) => {
                if !complained {
                    tracing::warn!(%error, "cannot accept connections, trying on");
                }
                complained = true;
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

impl<H, F, P> Server<H, P>
where
    H: Fn(Request<()>, Peer) -> F + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
    P: Fn() -> Answer + Send + Sync + 'static,
{
    async fn connection(
        self: Arc<Self>,
        stream: TcpStream,
        address: SocketAddr,
        stop: CancellationToken,
    ) {
        // An answer is one write: waiting for more only delays it.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%address, %error, "cannot set TCP_NODELAY");
        }
        let Security::Tls(config) = &self.security else {
            let peer = Peer {
                address,
                certificates: Arc::default(),
            };
            return self.http1(TokioIo::new(stream), peer, stop).await;
        };
        let handshake = TlsAcceptor::from(Arc::clone(config)).accept(stream);
        let stream = tokio::select! {
            () = stop.cancelled() => return,
            stream = timeout(self.limits.handshake_timeout, handshake) => match stream {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => {
                    return tracing::debug!(%address, %error, "TLS handshake failed");
                }
                Err(_) => return tracing::debug!(%address, "TLS handshake took too long"),
            },
        };
        let (_, session) = stream.get_ref();
        let certificates = session.peer_certificates().unwrap_or_default();
        let certificates = certificates
            .iter()
            .cloned()
            .map(CertificateDer::into_owned)
            .collect();
        let http2 = session.alpn_protocol() == Some(b"h2");
        let peer = Peer {
            address,
            certificates,
        };
        let stream = TokioIo::new(stream);
        match http2 {
            true => self.http2(stream, peer, stop).await,
            false => self.http1(stream, peer, stop).await,
        }
    }

    async fn http1<I>(self: Arc<Self>, io: I, peer: Peer, stop: CancellationToken)
    where
        I: Read + Write + Unpin + Send + 'static,
    {
        let limits = self.limits;
        let header_bytes = usize::try_from(limits.max_header_bytes).unwrap_or(usize::MAX);
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(limits.read_timeout)
            .max_headers(limits.max_headers)
            .max_header_size(header_bytes)
            .max_buf_size(header_bytes.max(8192));
        let (running, seen) = watch::channel(0);
        let service = service_fn(move |request| {
            Arc::clone(&self).answer(request, peer.clone(), Running::start(&running))
        });
        drive(
            builder.serve_connection(io, service),
            seen,
            limits.idle_timeout,
            stop,
        )
        .await;
    }

    async fn http2<I>(self: Arc<Self>, io: I, peer: Peer, stop: CancellationToken)
    where
        I: Read + Write + Unpin + Send + 'static,
    {
        let limits = self.limits;
        let streams = usize::try_from(limits.http2_max_streams).unwrap_or(usize::MAX);
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .max_header_list_size(limits.max_header_bytes)
            .max_concurrent_streams(limits.http2_max_streams)
            .initial_stream_window_size(STREAM_WINDOW)
            .keep_alive_interval(limits.http2_ping_interval)
            .keep_alive_timeout(limits.http2_ping_interval / 2)
            // Users who cancel make the API server reset streams, all on this connection.
            .max_pending_accept_reset_streams(streams)
            .max_local_error_reset_streams(LOCAL_RESETS);
        let (running, seen) = watch::channel(0);
        let service = service_fn(move |request| {
            Arc::clone(&self).answer(request, peer.clone(), Running::start(&running))
        });
        drive(
            builder.serve_connection(io, service),
            seen,
            limits.idle_timeout,
            stop,
        )
        .await;
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: Peer,
        _running: Running,
    ) -> Result<Answer, Infallible> {
        let (parts, body) = request.into_parts();
        let head = parts.method == Method::HEAD;
        let (method, path) = (parts.method.clone(), parts.uri.path().to_owned());
        if !body.is_end_stream() {
            let read = discard(body, self.limits.max_body_bytes);
            if timeout(self.limits.read_timeout, read).await.is_err() {
                tracing::debug!(address = %peer.address, "request body took too long");
            }
        }
        let work = async { (self.handler)(Request::from_parts(parts, ()), peer).await };
        let answer = AssertUnwindSafe(work)
            .catch_unwind()
            .await
            .unwrap_or_else(|panic| {
                let what = panic_text(panic.as_ref());
                tracing::error!(%method, path, panic = what, "handler panicked, answering 500");
                (self.on_panic)()
            });
        Ok(if head { without_body(answer) } else { answer })
    }
}

/// Reads a body that nobody wants.
async fn discard(mut body: Incoming, limit: usize) {
    let mut seen = 0_usize;
    while let Some(Ok(frame)) = body.frame().await {
        seen = seen.saturating_add(frame.data_ref().map_or(0, Bytes::len));
        if seen > limit {
            return;
        }
    }
}

/// The answer to HEAD: headers of the whole one. hyper does this for HTTP/1.1 only.
fn without_body(answer: Answer) -> Answer {
    let (mut parts, body) = answer.into_parts();
    if let Some(length) = body.size_hint().exact() {
        parts
            .headers
            .entry(CONTENT_LENGTH)
            .or_insert_with(|| HeaderValue::from(length));
    }
    Response::from_parts(parts, Full::default())
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("not a text")
}
