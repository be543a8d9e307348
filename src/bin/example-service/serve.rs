//! Connections: so many at a time, none for ever, and none cut while it has a request.
//!
//! An elastic service needs one thing more than others: a client with a kept-alive connection stays
//! with the replica that it has, and one that was added gets nothing from it. So a connection is
//! ended after a while, by telling the client with its last answer, which loses no request.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::stop::{Phase, Stop};

/// For the head of a request. Who sends one byte a second keeps a connection no longer; it ends
/// idle connections as well, so it is longer than proxies keep theirs.
const HEAD_WITHIN: Duration = Duration::from_secs(75);

/// After a failed accept: too many open files do not get fewer by trying on.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub connections: usize,
    pub max_age: Duration,
}

/// Serves `router` until a phase of the way out, and comes back when the last request is answered.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    stop: Stop,
    until: Phase,
) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let open = TaskTracker::new();
    loop {
        // First a place, then a connection: those who wait do so in the system's queue.
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            next = next => next,
            () = stop.reached(until) => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let connection =
                    connection(stream, router.clone(), limits.max_age, stop.clone(), until);
                open.spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    open.close();
    open.wait().await;
}

async fn connection(
    stream: TcpStream,
    router: Router,
    max_age: Duration,
    stop: Stop,
    until: Phase,
) {
    // Answers are small and whole: there is nothing to wait for.
    let _ = stream.set_nodelay(true);
    let opened = Instant::now();
    let leaving = stop.clone();
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = router.call(request);
        let leaving = leaving.clone();
        async move {
            let mut answer: Response<Body> = answer.await?;
            if opened.elapsed() >= max_age || leaving.phase() > Phase::Serving {
                let close = HeaderValue::from_static("close");
                answer.headers_mut().insert(header::CONNECTION, close);
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.reached(until) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}
