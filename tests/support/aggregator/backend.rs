//! The one connection to the server behind: HTTP/2 over TLS, with the front proxy's certificate.
//!
//! Go keeps one transport for each TLS configuration, so that all API services of one server, and
//! all users, share a connection (client-go `transport/cache.go`). The TLS name is `SVC.NS.svc`, the
//! authority of each request the address (`proxy.go`).

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use super::super::pki::Pair;
use super::super::tls_config;

/// Go's transport: PING after so long without a frame, and the end so long after it.
const SILENCE: Duration = Duration::from_secs(30);
const ANSWER: Duration = Duration::from_secs(15);

/// Where the aggregated server is and how it is known.
pub struct Target {
    /// Where it listens.
    pub address: SocketAddr,
    /// What signs its certificate, PEM (`spec.caBundle`).
    pub roots: String,
    /// `SVC.NS.svc`
    pub name: &'static str,
    /// The front proxy's certificate.
    pub proxy: Pair,
}

/// A request as it left.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Path and query as on the wire.
    pub target: String,
    /// All of its headers.
    pub headers: HeaderMap,
}

impl Sent {
    /// The values of a header, in order.
    pub fn header(&self, name: &str) -> Vec<&str> {
        let values = self.headers.get_all(name).iter();
        values.filter_map(|value| value.to_str().ok()).collect()
    }
}

/// An answer, read whole.
pub struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it came, compressed or not.
    pub body: Bytes,
}

impl Answer {
    /// A header's text, or nothing.
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).and_then(|it| it.to_str().ok());
        value.unwrap_or_default()
    }
}

/// The way to the aggregated server.
pub(super) struct Backend {
    target: Target,
    tls: Arc<rustls::ClientConfig>,
    connection: tokio::sync::Mutex<Option<Connection>>,
    /// The API server is away. What it was about to send when it went is not sent.
    asleep: AtomicBool,
    /// Connections ever made.
    dialed: AtomicUsize,
    sent: Mutex<Vec<Sent>>,
}

struct Connection {
    requests: SendRequest<Full<Bytes>>,
    _driver: AbortOnDropHandle<()>,
}

impl Backend {
    pub(super) fn new(target: Target) -> Backend {
        let mut tls = tls_config(&target.roots, Some(&target.proxy));
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Backend {
            target,
            tls: Arc::new(tls),
            connection: tokio::sync::Mutex::new(None),
            asleep: AtomicBool::new(false),
            dialed: AtomicUsize::new(0),
            sent: Mutex::new(Vec::new()),
        }
    }

    /// `IP:port`, the authority of each request.
    pub(super) fn authority(&self) -> String {
        self.target.address.to_string()
    }

    pub(super) fn dialed(&self) -> usize {
        self.dialed.load(Ordering::Relaxed)
    }

    pub(super) fn take_sent(&self) -> Vec<Sent> {
        std::mem::take(&mut *self.sent.lock().expect("no holder of this lock may panic"))
    }

    /// Ends the connection, as the end of the API server does; nothing is sent until it is
    /// [`awake`](Self::wake) again.
    pub(super) async fn hang_up(&self) {
        let mut connection = self.connection.lock().await;
        self.asleep.store(true, Ordering::SeqCst);
        *connection = None;
    }

    /// Goes on after [`hang_up`](Self::hang_up).
    pub(super) fn wake(&self) {
        self.asleep.store(false, Ordering::SeqCst);
    }

    /// Asks without a body, with these headers, as the API server's own controllers do.
    pub(super) async fn get(
        &self,
        target: &str,
        headers: &[(&str, &str)],
    ) -> Result<Answer, String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: HeaderName = name.parse().expect("an own header's name must be one");
            let value = HeaderValue::from_str(value).expect("an own header's value must be one");
            map.append(name, value);
        }
        self.send(Method::GET, target, map, Bytes::new()).await
    }

    /// Sends a request on the one connection, which is made where there is none, and reads the
    /// answer whole. A request that the connection did not take goes to the next one.
    pub(super) async fn send(
        &self,
        method: Method,
        target: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, String> {
        let sent = Sent {
            target: target.to_owned(),
            headers: headers.clone(),
        };
        self.sent
            .lock()
            .expect("no holder of this lock may panic")
            .push(sent);
        let uri = format!("https://{}{target}", self.target.address);
        let mut request = Request::builder().method(method).uri(uri);
        *request.headers_mut().ok_or("not a target")? = headers;
        let mut request = request
            .body(Full::new(body))
            .map_err(|error| error.to_string())?;
        for _ in 0..2 {
            let mut requests = self.requests().await?;
            match requests.try_send_request(request).await {
                Ok(answer) => {
                    let (parts, body) = answer.into_parts();
                    let body = body.collect().await.map_err(|error| format!("{error:?}"))?;
                    return Ok(Answer {
                        status: parts.status,
                        headers: parts.headers,
                        body: body.to_bytes(),
                    });
                }
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(format!("{:?}", failed.into_error())),
                },
            }
        }
        Err("the connection ended twice".to_owned())
    }

    async fn requests(&self) -> Result<SendRequest<Full<Bytes>>, String> {
        let mut connection = self.connection.lock().await;
        if self.asleep.load(Ordering::SeqCst) {
            return Err("the API server is away".to_owned());
        }
        if let Some(open) = connection.as_mut()
            && open.requests.ready().await.is_ok()
        {
            return Ok(open.requests.clone());
        }
        let fresh = self.dial().await?;
        let requests = fresh.requests.clone();
        *connection = Some(fresh);
        Ok(requests)
    }

    async fn dial(&self) -> Result<Connection, String> {
        self.dialed.fetch_add(1, Ordering::Relaxed);
        let stream = TcpStream::connect(self.target.address)
            .await
            .map_err(|error| format!("dial tcp {}: {error}", self.target.address))?;
        let name =
            ServerName::try_from(self.target.name).expect("a service's name must be a DNS name");
        let stream = TlsConnector::from(Arc::clone(&self.tls))
            .connect(name, stream)
            .await
            .map_err(|error| format!("tls: {error}"))?;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (requests, driver) = Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(SILENCE)
            .keep_alive_timeout(ANSWER)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| format!("http2: {error}"))?;
        let driver = tokio::spawn(async move {
            // Each request on it has its own error.
            let _ = driver.await;
        });
        Ok(Connection {
            requests,
            _driver: AbortOnDropHandle::new(driver),
        })
    }
}
