//! One connection: handshake, HTTP, and each request through the handler.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderValue};
use hyper::rt::{Read, Write};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::pki_types::CertificateDer;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::eager::Eager;
use super::lifetime::{Lifetime, drive};
use super::unvectored::Unvectored;
use super::{Answer, Limits, Peer, Security};
use crate::telemetry::{Limit, panic_text};

/// A body is never read, so its window is the least that HTTP/2 starts with.
const STREAM_WINDOW: u32 = 65_535;
/// Streams that the protocol library itself resets. It never forgets one while the connection
/// lives, and then ends the connection of everybody: an API server's lives for weeks.
const LOCAL_RESETS: usize = 100_000;
/// The least that the library takes.
const HTTP1_BUFFER_MIN: usize = 8192;

/// What all connections share.
pub(super) struct Server<H, P> {
    pub(super) security: Security,
    pub(super) handler: H,
    pub(super) on_panic: P,
    pub(super) limits: Limits,
}

impl<H, F, P> Server<H, P>
where
    H: Fn(Request<()>, Peer) -> F + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
    P: Fn() -> Answer + Send + Sync + 'static,
{
    /// Serves it to its end; `stop` asks for that.
    pub(super) async fn connection(
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
            return self.http1(TokioIo::new(stream), peer, &stop).await;
        };
        let handshake = TlsAcceptor::from(Arc::clone(config)).accept(stream);
        let stream = tokio::select! {
            () = stop.cancelled() => return,
            stream = timeout(self.limits.handshake_timeout, handshake) => match stream {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => {
                    return tracing::debug!(%address, %error, "TLS handshake failed");
                }
                Err(_) => {
                    self.limits.reached.count(Limit::HandshakeTimeout);
                    return tracing::debug!(%address, "TLS handshake took too long");
                }
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
        match http2 {
            true => self.http2(stream, peer, &stop).await,
            false => self.http1(TokioIo::new(stream), peer, &stop).await,
        }
    }

    async fn http1<I>(self: Arc<Self>, io: I, peer: Peer, stop: &CancellationToken)
    where
        I: Read + Write + Unpin + Send + 'static,
    {
        let limits = self.limits.clone();
        let header_bytes = usize::try_from(limits.max_header_bytes).unwrap_or(usize::MAX);
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(limits.read_timeout)
            .max_headers(limits.max_headers)
            .max_header_size(header_bytes)
            .max_buf_size(header_bytes.max(HTTP1_BUFFER_MIN));
        let lifetime = Arc::new(Lifetime::new(&limits, peer.address, stop));
        let lives = Arc::clone(&lifetime);
        let service = service_fn(move |request| {
            Arc::clone(&self).answer(request, peer.clone(), Arc::clone(&lives))
        });
        let connection = builder.serve_connection(io, service);
        drive(connection, &Eager::default(), &lifetime).await;
    }

    async fn http2(
        self: Arc<Self>,
        stream: TlsStream<TcpStream>,
        peer: Peer,
        stop: &CancellationToken,
    ) {
        let io = TokioIo::new(Unvectored(stream));
        let limits = self.limits.clone();
        let requests = Eager::default();
        let streams = usize::try_from(limits.http2_max_streams).unwrap_or(usize::MAX);
        let mut builder = http2::Builder::new(requests.clone());
        builder
            .timer(TokioTimer::new())
            .max_header_list_size(limits.max_header_bytes)
            .max_concurrent_streams(limits.http2_max_streams)
            .initial_stream_window_size(STREAM_WINDOW)
            .keep_alive_interval(limits.http2_ping_interval)
            .keep_alive_timeout(limits.http2_ping_interval / 2)
            // Users who cancel make the API server reset streams, all on this connection. These
            // are only the ones that were reset before we looked at them.
            .max_pending_accept_reset_streams(streams)
            .max_local_error_reset_streams(LOCAL_RESETS);
        let lifetime = Arc::new(Lifetime::new(&limits, peer.address, stop));
        let lives = Arc::clone(&lifetime);
        let service = service_fn(move |request| {
            Arc::clone(&self).answer(request, peer.clone(), Arc::clone(&lives))
        });
        let connection = builder.serve_connection(io, service);
        drive(connection, &requests, &lifetime).await;
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: Peer,
        lifetime: Arc<Lifetime>,
    ) -> Result<Answer, Infallible> {
        let running = lifetime.start().await;
        let (parts, body) = request.into_parts();
        let (head, version) = (parts.method == Method::HEAD, parts.version);
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
        running.finish();
        let mut answer = if head { without_body(answer) } else { answer };
        if version == Version::HTTP_2 && takes_close(answer.headers_mut()) {
            lifetime.end();
        }
        Ok(answer)
    }
}

/// Removes `Connection`, which HTTP/2 does not know; whether it said `close`. In HTTP/1.1 the
/// library does as it says.
fn takes_close(headers: &mut HeaderMap) -> bool {
    headers
        .remove(CONNECTION)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"))
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
