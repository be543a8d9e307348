//! A server that answers as a test says, byte by byte, over plain TCP or TLS.

use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// What came in.
#[derive(Clone, Debug, Default)]
pub(in crate::prometheus) struct Request {
    /// `GET /path?query HTTP/1.1`.
    pub(in crate::prometheus) line: String,
    /// Names in lower case.
    pub(in crate::prometheus) headers: Vec<(String, String)>,
    pub(in crate::prometheus) body: String,
}

impl Request {
    pub(in crate::prometheus) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// What goes out.
pub(in crate::prometheus) enum Reply {
    /// These bytes, then the connection is kept.
    Bytes(Vec<u8>),
    /// These bytes, then the connection is closed.
    Close(Vec<u8>),
    /// The first bytes, then the second for as long as the client reads.
    Endless(Vec<u8>, Vec<u8>),
    /// These bytes, and then nothing ever.
    Hang(Vec<u8>),
    /// These bytes, once there is a permit for them.
    Permitted(Arc<Semaphore>, Vec<u8>),
}

/// `status` with a JSON body.
pub(in crate::prometheus) fn json(status: &str, body: &str) -> Reply {
    typed(status, "application/json", body)
}

/// `status` with any body.
pub(in crate::prometheus) fn typed(status: &str, kind: &str, body: &str) -> Reply {
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
pub(in crate::prometheus) struct Server {
    pub(in crate::prometheus) url: String,
    seen: Arc<Mutex<Vec<Request>>>,
    connections: Arc<Mutex<usize>>,
    open: Arc<Mutex<Open>>,
}

/// Requests that are read and not answered.
#[derive(Default)]
struct Open {
    now: usize,
    most: usize,
}

impl Server {
    pub(in crate::prometheus) async fn plain(
        handler: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::start(None, Arc::new(handler)).await
    }

    pub(in crate::prometheus) async fn tls(
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
    pub(in crate::prometheus) fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    pub(in crate::prometheus) fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }

    /// The most requests that were open at one time.
    pub(in crate::prometheus) fn most_open(&self) -> usize {
        self.open.lock().unwrap().most
    }

    async fn start(tls: Option<tokio_rustls::TlsAcceptor>, handler: Handler) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let seen: Arc<Mutex<Vec<Request>>> = Arc::default();
        let connections: Arc<Mutex<usize>> = Arc::default();
        let open: Arc<Mutex<Open>> = Arc::default();
        let (log, count, opened) = (seen.clone(), connections.clone(), open.clone());
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                *count.lock().unwrap() += 1;
                let (tls, handler) = (tls.clone(), handler.clone());
                let log = (log.clone(), opened.clone());
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
            open,
        }
    }
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    socket: S,
    handler: Handler,
    (log, open): (Arc<Mutex<Vec<Request>>>, Arc<Mutex<Open>>),
) -> Option<()> {
    let mut socket = BufReader::new(socket);
    loop {
        let request = read(&mut socket).await?;
        log.lock().unwrap().push(request.clone());
        {
            let mut open = open.lock().unwrap();
            open.now += 1;
            open.most = open.most.max(open.now);
        }
        let mut reply = handler(&request);
        if let Reply::Permitted(permits, bytes) = reply {
            permits.acquire().await.unwrap().forget();
            reply = Reply::Bytes(bytes);
        }
        if !matches!(reply, Reply::Hang(_)) {
            open.lock().unwrap().now -= 1;
        }
        match reply {
            Reply::Permitted(..) => unreachable!("it has been permitted above"),
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
pub(in crate::prometheus) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A chain and key in PEM.
pub(in crate::prometheus) struct Pair {
    pub(in crate::prometheus) certificate: String,
    pub(in crate::prometheus) key: String,
    key_der: PrivateKeyDer<'static>,
    der: rustls::pki_types::CertificateDer<'static>,
}

impl Authority {
    pub(in crate::prometheus) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(in crate::prometheus) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for `name`, valid from 2000 to the end of `until`.
    pub(in crate::prometheus) fn issue(&self, name: &str, until: i32) -> Pair {
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
pub(in crate::prometheus) fn server_config(
    pair: &Pair,
    clients: Option<&Authority>,
) -> ServerConfig {
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
