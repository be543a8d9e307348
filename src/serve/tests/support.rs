//! A server with a handler that can be told when to answer, and clients for it.

use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::BodyExt;
use http_body_util::Empty;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::client::conn::http2 as client2;
use hyper::header::{CONNECTION, HeaderValue};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, oneshot};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::super::certificate::{Names, SelfSigned};
use super::super::sni::{Certificate, Certificates};
use super::super::tls::{Settings, Version};
use super::super::*;

pub(super) fn text(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    Response::builder()
        .status(status)
        .body(Full::new(text.into()))
        .unwrap()
}

pub(super) fn server_error() -> Answer {
    text(StatusCode::INTERNAL_SERVER_ERROR, "panicked")
}

/// What the handler of these tests does depends on the path.
pub(super) struct Handler {
    pub(super) entered: Notify,
    pub(super) release: Notify,
    /// Waiting requests that are over, whatever way.
    pub(super) dropped: AtomicUsize,
    /// Those that are not.
    pub(super) waiting: AtomicUsize,
    /// The most that there were at one time.
    pub(super) most: AtomicUsize,
}

pub(super) struct Waiting(Arc<Handler>);

impl Waiting {
    fn new(handler: Arc<Handler>) -> Waiting {
        let now = handler.waiting.fetch_add(1, Ordering::SeqCst) + 1;
        handler.most.fetch_max(now, Ordering::SeqCst);
        Waiting(handler)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
        self.0.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

impl Handler {
    async fn answer(self: Arc<Self>, request: Request<()>, peer: Peer) -> Answer {
        match request.uri().path() {
            "/panic" => panic!("deliberate"),
            "/wait" => {
                let _count = Waiting::new(Arc::clone(&self));
                self.entered.notify_one();
                self.release.notified().await;
                text(StatusCode::OK, "waited")
            }
            "/close" => {
                let mut answer = text(StatusCode::OK, "bye");
                let close = HeaderValue::from_static("close");
                answer.headers_mut().insert(CONNECTION, close);
                answer
            }
            "/large" => text(StatusCode::OK, vec![b'x'; 64 << 20]),
            "/headers" => text(StatusCode::OK, request.headers().len().to_string()),
            "/peer" => text(StatusCode::OK, peer.certificates.len().to_string()),
            _ => text(StatusCode::OK, "hello"),
        }
    }
}

pub(super) struct Running {
    pub(super) address: SocketAddr,
    pub(super) handler: Arc<Handler>,
    stop: Option<oneshot::Sender<()>>,
    pub(super) outcome: tokio::task::JoinHandle<Outcome>,
}

impl Running {
    pub(super) fn start(security: Security, limits: Limits) -> Running {
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0)), false).unwrap();
        let address = listener.local_addr().unwrap();
        let handler = Arc::new(Handler {
            entered: Notify::new(),
            release: Notify::new(),
            dropped: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let shared = Arc::clone(&handler);
        let handle = move |request, peer| Arc::clone(&shared).answer(request, peer);
        let shutdown = async move {
            let _ = stopped.await;
        };
        let run = run(listener, security, handle, server_error, limits, shutdown);
        Running {
            address,
            handler,
            stop: Some(stop),
            outcome: tokio::spawn(run),
        }
    }

    pub(super) fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    pub(super) async fn tcp(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

pub(super) fn pair() -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    use rustls::pki_types::pem::PemObject;
    let dir = tempfile::tempdir().unwrap();
    SelfSigned::open(dir.path(), &Names::default(), std::time::SystemTime::now()).unwrap();
    let read = |name| std::fs::read(dir.path().join(name)).unwrap();
    let certificate = read("apiserver.crt");
    let chain = CertificateDer::pem_slice_iter(&certificate);
    let key = PrivateKeyDer::from_pem_slice(&read("apiserver.key")).unwrap();
    (chain.map(Result::unwrap).collect(), key)
}

/// A server's security, and the chain that clients trust.
pub(super) fn security(settings: &Settings) -> (Security, Vec<CertificateDer<'static>>) {
    let (chain, key) = pair();
    let provider = tls::default_provider();
    let certified = rustls::sign::CertifiedKey::from_der(chain.clone(), key, &provider).unwrap();
    let certificates = one(Certificate::new(certified));
    let config = tls::server_config(certificates, settings).unwrap();
    (Security::Tls(Arc::new(config)), chain)
}

/// Shown to everybody.
pub(super) fn one(certificate: Arc<Certificate>) -> Certificates {
    Certificates {
        first: certificate,
        named: Vec::new(),
    }
}

pub(super) fn settings() -> Settings {
    Settings {
        min_version: Version::Tls12,
        cipher_suites: Vec::new(),
        curves: Vec::new(),
        http2: true,
    }
}

pub(super) struct Client {
    pub(super) config: ClientConfig,
}

impl Client {
    pub(super) fn new(chain: &[CertificateDer<'static>], alpn: &[&str]) -> Client {
        Client::with(chain, alpn, rustls::ALL_VERSIONS, None)
    }

    pub(super) fn with(
        chain: &[CertificateDer<'static>],
        alpn: &[&str],
        versions: &[&'static rustls::SupportedProtocolVersion],
        identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    ) -> Client {
        let mut roots = RootCertStore::empty();
        roots.add(chain.last().unwrap().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(tls::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match identity {
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap(),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Client { config }
    }

    pub(super) async fn connect(&self, server: &Running) -> io::Result<TlsStream<TcpStream>> {
        self.connect_as("localhost", server).await
    }

    /// Asks for this name.
    pub(super) async fn connect_as(
        &self,
        name: &str,
        server: &Running,
    ) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let connector = TlsConnector::from(Arc::new(self.config.clone()));
        connector.connect(name, server.tcp().await).await
    }

    pub(super) async fn http2(&self, server: &Running) -> client2::SendRequest<Empty<Bytes>> {
        let stream = self.connect(server).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let mut builder = client2::Builder::new(TokioExecutor::new());
        builder.max_header_list_size(1 << 20);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender
    }
}

pub(super) fn request(path: &str) -> Request<Empty<Bytes>> {
    Request::get(format!("https://localhost{path}"))
        .body(Empty::new())
        .unwrap()
}

pub(super) async fn read<E: std::fmt::Debug>(
    response: impl Future<Output = Result<Response<Incoming>, E>>,
) -> (u16, String) {
    let response = response.await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// Sends text over plain HTTP/1.1 and reads until the server closes.
pub(super) async fn raw(server: &Running, request: &str) -> String {
    let mut stream = server.tcp().await;
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}
