//! A server that answers as a test says, byte by byte, over plain TCP or TLS.

use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

/// What came in.
#[derive(Clone, Debug, Default)]
pub(super) struct Request {
    /// `GET /path?query HTTP/1.1`.
    pub(super) line: String,
    /// Names in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// What goes out.
pub(super) enum Reply {
    /// These bytes, then the connection is kept.
    Bytes(Vec<u8>),
    /// These bytes, then the connection is closed.
    Close(Vec<u8>),
    /// The first bytes, then the second for as long as the client reads.
    Endless(Vec<u8>, Vec<u8>),
    /// These bytes, and then nothing ever.
    Hang(Vec<u8>),
}

/// `status` with a JSON body.
pub(super) fn json(status: &str, body: &str) -> Reply {
    typed(status, "application/json", body)
}

/// `status` with any body.
pub(super) fn typed(status: &str, kind: &str, body: &str) -> Reply {
    let length = body.len();
    Reply::Bytes(
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .into_bytes(),
    )
}

type Handler = Arc<dyn Fn(&Request) -> Reply + Send + Sync>;

/// A running server; it stops with the test's runtime.
pub(super) struct Server {
    pub(super) url: String,
    seen: Arc<Mutex<Vec<Request>>>,
    connections: Arc<Mutex<usize>>,
}

impl Server {
    pub(super) async fn plain(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::start(None, Arc::new(handler)).await
    }

    pub(super) async fn tls(
        config: ServerConfig,
        handler: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::start(
            Some(tokio_rustls::TlsAcceptor::from(Arc::new(config))),
            Arc::new(handler),
        )
        .await
    }

    /// Everything asked so far.
    pub(super) fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }

    async fn start(tls: Option<tokio_rustls::TlsAcceptor>, handler: Handler) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let seen: Arc<Mutex<Vec<Request>>> = Arc::default();
        let connections: Arc<Mutex<usize>> = Arc::default();
        let (log, count) = (seen.clone(), connections.clone());
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                *count.lock().unwrap() += 1;
                let (tls, handler, log) = (tls.clone(), handler.clone(), log.clone());
                tokio::spawn(async move {
                    match tls {
                        None => converse(socket, handler, log).await,
                        Some(tls) => match tls.accept(socket).await {
                            Ok(socket) => converse(socket, handler, log).await,
                            Err(_) => None,
                        },
                    }
                });
            }
        });
        Self {
            url: format!("{scheme}://{address}"),
            seen,
            connections,
        }
    }
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    socket: S,
    handler: Handler,
    log: Arc<Mutex<Vec<Request>>>,
) -> Option<()> {
    let mut socket = BufReader::new(socket);
    loop {
        let request = read(&mut socket).await?;
        log.lock().unwrap().push(request.clone());
        match handler(&request) {
            Reply::Bytes(bytes) => socket.write_all(&bytes).await.ok()?,
            Reply::Close(bytes) => {
                socket.write_all(&bytes).await.ok()?;
                socket.shutdown().await.ok()?;
                return None;
            }
            Reply::Endless(first, more) => {
                socket.write_all(&first).await.ok()?;
                loop {
                    socket.write_all(&more).await.ok()?;
                }
            }
            Reply::Hang(bytes) => {
                socket.write_all(&bytes).await.ok()?;
                socket.flush().await.ok()?;
                std::future::pending::<()>().await;
            }
        }
        socket.flush().await.ok()?;
    }
}

async fn read<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut BufReader<S>) -> Option<Request> {
    let mut request = Request::default();
    loop {
        let mut line = String::new();
        if socket.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        match line.split_once(": ") {
            Some((name, value)) if !request.line.is_empty() => {
                request
                    .headers
                    .push((name.to_lowercase(), value.to_owned()));
            }
            _ => request.line = line.to_owned(),
        }
    }
    let length = request
        .header("content-length")
        .map_or(0, |text| text.parse().unwrap());
    let mut body = vec![0; length];
    socket.read_exact(&mut body).await.ok()?;
    request.body = String::from_utf8(body).unwrap();
    Some(request)
}

/// A certificate authority of a test.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A chain and key in PEM.
pub(super) struct Pair {
    pub(super) certificate: String,
    pub(super) key: String,
    key_der: PrivateKeyDer<'static>,
    der: rustls::pki_types::CertificateDer<'static>,
}

impl Authority {
    pub(super) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(super) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for `name`, valid from 2000 to the end of `until`.
    pub(super) fn issue(&self, name: &str, until: i32) -> Pair {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 12, 31);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &*self.0).unwrap();
        Pair {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            key_der: key.into(),
            der: certificate.der().clone(),
        }
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        roots
    }
}

/// A server with this certificate, which wants one of `clients` if given.
pub(super) fn server_config(pair: &Pair, clients: Option<&Authority>) -> ServerConfig {
    let provider = Arc::new(default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => builder.with_client_cert_verifier(
            WebPkiClientVerifier::builder_with_provider(Arc::new(authority.roots()), provider)
                .build()
                .unwrap(),
        ),
    };
    builder
        .with_single_cert(vec![pair.der.clone()], pair.key_der.clone_key())
        .unwrap()
}
