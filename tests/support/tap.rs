//! A proxy between the adapter and Prometheus that keeps each query, and can turn against the adapter.
//!
//! It answers "which PromQL did this request send?" byte for byte, and it is every bad backend:
//! one that answers errors, HTML, half an answer, far too much, or nothing at all.

pub mod spans;

use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, LOCATION};
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;

use spans::Span;

/// How much [`Behaviour::Flood`] sends: more than any limit on an answer should let in.
pub const FLOOD_BYTES: usize = 200 * 1024 * 1024;

/// What the tap does with a request, after it noted it.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// Hands it on and gives back what came.
    Forward,
    /// Answers this itself: an error of Prometheus, a login page, whatever stands in the way.
    Answer {
        /// HTTP status.
        status: u16,
        /// Value of `Content-Type`.
        content_type: &'static str,
        /// The whole body.
        body: String,
    },
    /// Answers 302 to this URL.
    Redirect(String),
    /// Never answers.
    Hang,
    /// Hands it on, announces the whole answer, sends half and closes.
    Truncate,
    /// Sends [`FLOOD_BYTES`] of a result that never ends well.
    Flood,
    /// Closes the connection without a word.
    Close,
}

/// A request as it reached the tap.
#[derive(Clone, Debug)]
pub struct Seen {
    /// `GET` or `POST`.
    pub method: Method,
    /// The path without the query string.
    pub path: String,
    /// All parameters, of the query string and of a form, decoded, in order.
    pub parameters: Vec<(String, String)>,
    /// The headers.
    pub headers: HeaderMap,
}

impl Seen {
    /// The first value of a parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// A running tap. Clones share what was seen and how it behaves; the last one dropped ends it.
#[derive(Clone)]
pub struct Tap {
    /// `http://127.0.0.1:PORT`, or `https://` with a certificate nobody trusts.
    pub url: String,
    state: Arc<State>,
    _server: Arc<AbortOnDropHandle<()>>,
}

struct State {
    upstream: String,
    client: reqwest::Client,
    behaviour: Mutex<Behaviour>,
    /// Requests with this text in a parameter meet this instead.
    particular: Mutex<Option<(String, Behaviour)>>,
    seen: Mutex<Vec<Seen>>,
    spans: Mutex<Vec<Span>>,
}

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

impl State {
    fn behaviour_for(&self, seen: &Seen) -> Behaviour {
        const LOCK: &str = "no holder of this lock may panic";
        let particular = self.particular.lock().expect(LOCK).clone();
        let concerned = particular.filter(|(text, _)| {
            let mut values = seen.parameters.iter().map(|(_, value)| value);
            values.any(|value| value.contains(text))
        });
        match concerned {
            Some((_, behaviour)) => behaviour,
            None => self.behaviour.lock().expect(LOCK).clone(),
        }
    }
}

impl Tap {
    /// Starts one in front of `upstream` (`http://host:port`), forwarding.
    pub async fn start(upstream: &str) -> Tap {
        Tap::serve(upstream, None).await
    }

    /// As [`start`](Self::start), over TLS with a fresh self-signed certificate for another name.
    pub async fn start_with_wrong_certificate(upstream: &str) -> Tap {
        super::install_crypto();
        let pair = rcgen::generate_simple_self_signed(["somebody-else.example".to_owned()])
            .expect("a self-signed certificate must be possible");
        let key = PrivateKeyDer::Pkcs8(pair.signing_key.serialize_der().into());
        let config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![pair.cert.der().clone()], key)
            .expect("a fresh key must fit its certificate");
        Tap::serve(upstream, Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn serve(upstream: &str, tls: Option<TlsAcceptor>) -> Tap {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a loopback port must be free");
        let address = listener
            .local_addr()
            .expect("a bound socket must have an address");
        let state = Arc::new(State {
            upstream: upstream.trim_end_matches('/').to_owned(),
            client: super::http_client(),
            behaviour: Mutex::new(Behaviour::Forward),
            particular: Mutex::new(None),
            seen: Mutex::new(Vec::new()),
            spans: Mutex::new(Vec::new()),
        });
        let scheme = if tls.is_some() { "https" } else { "http" };
        let server = tokio::spawn(accept(listener, tls, Arc::clone(&state)));
        Tap {
            url: format!("{scheme}://{address}"),
            state,
            _server: Arc::new(AbortOnDropHandle::new(server)),
        }
    }

    /// From now on every request meets this.
    pub fn behave(&self, behaviour: Behaviour) {
        *self
            .state
            .behaviour
            .lock()
            .expect("no holder of this lock may panic") = behaviour;
    }

    /// From now on every request with `text` in a parameter meets this, whatever the others meet.
    pub fn behave_for(&self, text: &str, behaviour: Behaviour) {
        *self
            .state
            .particular
            .lock()
            .expect("no holder of this lock may panic") = Some((text.to_owned(), behaviour));
    }

    /// Everything that came since the last call, in order.
    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(
            &mut *self
                .state
                .seen
                .lock()
                .expect("no holder of this lock may panic"),
        )
    }

    /// The PromQL of each instant query since the last call, in order.
    pub fn take_queries(&self) -> Vec<String> {
        let queries = self
            .take()
            .into_iter()
            .filter(|seen| seen.path == "/api/v1/query");
        queries
            .map(|seen| seen.parameter("query").unwrap_or_default().to_owned())
            .collect()
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _peer)) = listener.accept().await {
        let (tls, state) = (tls.clone(), Arc::clone(&state));
        connections.spawn(async move {
            match tls {
                None => connection(stream, state).await,
                // A client that refuses the certificate ends here, as it should.
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => connection(stream, state).await,
                    Err(_refused) => {}
                },
            }
        });
    }
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin, state: Arc<State>) {
    let service = service_fn(|request| handle(request, Arc::clone(&state)));
    let serving =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // The error is the misbehaviour that a test asked for, or the adapter going away.
    let _ = serving.await;
}

async fn handle(
    request: Request<Incoming>,
    state: Arc<State>,
) -> Result<Response<Body>, std::io::Error> {
    let (parts, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map_err(std::io::Error::other)?
        .to_bytes();
    let open = spans::Open::now(&state, parts.uri.path());
    let is_form = parts.headers.get(CONTENT_TYPE).is_some_and(|value| {
        value
            .as_bytes()
            .starts_with(b"application/x-www-form-urlencoded")
    });
    let mut parameters = decode(parts.uri.query().unwrap_or_default().as_bytes());
    if is_form {
        parameters.extend(decode(&body));
    }
    let seen = Seen {
        method: parts.method.clone(),
        path: parts.uri.path().to_owned(),
        parameters,
        headers: parts.headers.clone(),
    };

    let behaviour = state.behaviour_for(&seen);
    state
        .seen
        .lock()
        .expect("no holder of this lock may panic")
        .push(seen);
    let whole = |bytes: Bytes| {
        Full::new(bytes)
            .map_err(|never| match never {})
            .boxed_unsync()
    };
    let response = Response::builder();
    let response = match behaviour {
        Behaviour::Answer {
            status,
            content_type,
            body,
        } => response
            .status(status)
            .header(CONTENT_TYPE, content_type)
            .body(whole(Bytes::from(body))),
        Behaviour::Redirect(to) => response
            .status(302)
            .header(LOCATION, to)
            .body(whole(Bytes::new())),
        Behaviour::Hang => std::future::pending().await,
        Behaviour::Close => return Err(std::io::Error::other("told to close")),
        Behaviour::Flood => response
            .header(CONTENT_TYPE, "application/json")
            .body(flood()),
        Behaviour::Forward => {
            let (status, headers, bytes) = forward(&state, parts, body).await?;
            let mut response = response.status(status);
            if let Some(value) = headers.get(CONTENT_TYPE) {
                response = response.header(CONTENT_TYPE, value);
            }
            response.body(whole(bytes))
        }
        Behaviour::Truncate => {
            let (status, _, bytes) = forward(&state, parts, body).await?;
            response
                .status(status)
                .header(CONTENT_TYPE, "application/json")
                .header(CONTENT_LENGTH, bytes.len())
                .body(broken(bytes.slice(..bytes.len() / 2)))
        }
    };
    let response = response.map_err(std::io::Error::other)?;
    let held = move |error| {
        let _until_the_body_ends = &open;
        error
    };
    Ok(response.map(|body| body.map_err(held).boxed_unsync()))
}

async fn forward(
    state: &State,
    parts: hyper::http::request::Parts,
    body: Bytes,
) -> Result<(hyper::StatusCode, HeaderMap, Bytes), std::io::Error> {
    let target = parts
        .uri
        .path_and_query()
        .map_or("/", |target| target.as_str());
    let mut headers = parts.headers;
    headers.remove(HOST);
    headers.remove(CONTENT_LENGTH);
    let answer = state
        .client
        .request(parts.method, format!("{}{target}", state.upstream))
        .headers(headers)
        .body(body)
        .send()
        .await
        .map_err(std::io::Error::other)?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let bytes = answer.bytes().await.map_err(std::io::Error::other)?;
    Ok((status, headers, bytes))
}

/// These bytes, then the end of the connection.
fn broken(bytes: Bytes) -> Body {
    let first = futures_util::stream::iter([Ok(Frame::data(bytes))]);
    let second = futures_util::stream::once(async {
        // The server sends what it has while it waits: without a pause it would send nothing.
        tokio::task::yield_now().await;
        Err(std::io::Error::other("told to break off"))
    });
    StreamBody::new(first.chain(second)).boxed_unsync()
}

/// A result with far too many rows, made as it is read.
fn flood() -> Body {
    const HEAD: &[u8] = br#"{"status":"success","data":{"resultType":"vector","result":["#;
    const ROW: &[u8] =
        br#"{"metric":{"namespace":"shop","pod":"web-a"},"value":[1700000000,"1"]},"#;
    let chunk = Bytes::from(ROW.repeat(1024));
    let chunks = FLOOD_BYTES / chunk.len() + 1;
    let rows = futures_util::stream::iter(0..chunks).map(move |_| Ok(Frame::data(chunk.clone())));
    let head = futures_util::stream::iter([Ok(Frame::data(Bytes::from_static(HEAD)))]);
    StreamBody::new(head.chain(rows)).boxed_unsync()
}

/// `application/x-www-form-urlencoded`, as the URL standard parses it.
pub fn decode(encoded: &[u8]) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| {
        let spaced: Vec<u8> = bytes
            .iter()
            .map(|&b| if b == b'+' { b' ' } else { b })
            .collect();
        percent_encoding::percent_decode(&spaced)
            .decode_utf8_lossy()
            .into_owned()
    };
    encoded
        .split(|&b| b == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| match pair.iter().position(|&b| b == b'=') {
            Some(at) => (text(&pair[..at]), text(&pair[at + 1..])),
            None => (text(pair), String::new()),
        })
        .collect()
}
