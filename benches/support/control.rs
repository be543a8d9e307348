//! The control: the same answers from a server that knows nothing else, in a process of its own.
//!
//! It is this program, started again with other arguments: hyper and rustls as the adapter has them,
//! and for each path one status, its headers, and one body from a file. It reads the same requests and
//! writes the same answers, so what it does not take is what the adapter adds.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_LENGTH, DATE, HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::client::Fetched;
use super::support::pki::Authority;

/// A running control. Dropping it ends it.
pub struct Control {
    /// `https://127.0.0.1:PORT`
    pub url: String,
    /// What signed its certificate, PEM.
    pub roots: String,
    process: Child,
    _directory: TempDir,
}

/// The argument that makes this program a control.
pub const ARGUMENT: &str = "control";

impl Control {
    /// Starts one that gives these answers, each at its path and query.
    pub async fn start<'a>(answers: impl IntoIterator<Item = (&'a str, &'a Fetched)>) -> Control {
        let directory = TempDir::new().unwrap();
        let authority = Authority::new("control");
        let pair = authority.server("control");
        let write = |name: &str, bytes: &[u8]| {
            std::fs::write(directory.path().join(name), bytes).unwrap();
        };
        write("tls.crt", pair.certificate.as_bytes());
        write("tls.key", pair.key.as_bytes());
        let mut heads = Vec::new();
        for (number, (target, answer)) in answers.into_iter().enumerate() {
            write(&number.to_string(), &answer.body);
            heads.push(Head::of(target, answer));
        }
        write(HEADS, &serde_json::to_vec(&heads).unwrap());
        let mut process = Command::new(std::env::current_exe().unwrap())
            .arg(ARGUMENT)
            .current_dir(directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        let stdout = process.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut url).unwrap();
        Control {
            url: url.trim().to_owned(),
            roots: authority.pem(),
            process,
            _directory: directory,
        }
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // Both fail only when it is gone already, which is what is wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What is known of one answer besides its body.
#[derive(serde::Serialize, serde::Deserialize)]
struct Head {
    target: String,
    status: u16,
    headers: Vec<(String, String)>,
}

/// Where they are.
const HEADS: &str = "heads.json";

impl Head {
    fn of(target: &str, answer: &Fetched) -> Head {
        // The library adds these.
        let own = |name: &HeaderName| [CONTENT_LENGTH, DATE].contains(name);
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        let headers = answer.headers.iter().filter(|(name, _)| !own(name));
        Head {
            target: target.to_owned(),
            status: answer.status.as_u16(),
            headers: headers
                .map(|(name, value)| (name.to_string(), text(value)))
                .collect(),
        }
    }

    fn response(&self, body: Vec<u8>) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap();
        let header = |(name, value): &(String, String)| {
            (
                name.parse::<HeaderName>().unwrap(),
                value.parse::<HeaderValue>().unwrap(),
            )
        };
        *response.headers_mut() = self.headers.iter().map(header).collect::<HeaderMap>();
        response
    }
}

/// The process itself.
pub async fn run() {
    super::support::install_crypto();
    let read = |name: &str| std::fs::read(name).unwrap();
    let heads: Vec<Head> = serde_json::from_slice(&read(HEADS)).unwrap();
    let answers = heads.iter().enumerate().map(|(number, head)| {
        (
            head.target.clone(),
            head.response(read(&number.to_string())),
        )
    });
    let answers: Arc<HashMap<String, Response<Full<Bytes>>>> = Arc::new(answers.collect());
    let certificate = CertificateDer::from_pem_slice(&read("tls.crt")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(&read("tls.key")).unwrap();
    let mut config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tls = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("https://{}", listener.local_addr().unwrap());
    loop {
        let (stream, _peer) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (tls, answers) = (tls.clone(), Arc::clone(&answers));
        tokio::spawn(async move {
            let stream = TokioIo::new(tls.accept(stream).await.unwrap());
            let service = service_fn(move |request: Request<Incoming>| {
                let target = request.uri().path_and_query().unwrap().as_str();
                let response = answers[target].clone();
                async move { Ok::<_, std::convert::Infallible>(response) }
            });
            let http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            // The error is the end of the benchmark.
            let _ = http.serve_connection(stream, service).await;
        });
    }
}
