//! The front proxy's side: one HTTP/2 connection over TLS, each answer read whole and left packed.

use std::io::Read;

use flate2::read::GzDecoder;
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::support::pki::Pair;
use super::support::tls_config;

/// A connection.
pub struct Client {
    requests: SendRequest<Empty<Bytes>>,
    authority: String,
}

/// An answer.
pub struct Fetched {
    /// HTTP status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// As it came, perhaps packed.
    pub body: Bytes,
}

impl Fetched {
    /// The document's tag.
    pub fn etag(&self) -> Option<&str> {
        self.headers.get("etag")?.to_str().ok()
    }

    /// The body unpacked.
    pub fn text(&self) -> String {
        let packed = self.headers.get("content-encoding");
        let mut text = String::new();
        match packed {
            Some(_) => GzDecoder::new(&self.body[..]).read_to_string(&mut text),
            None => (&self.body[..]).read_to_string(&mut text),
        }
        .unwrap();
        text
    }
}

impl Client {
    /// Connects to `https://127.0.0.1:PORT`.
    pub async fn connect(url: &str, roots: &str, identity: Option<&Pair>) -> Client {
        let authority = url.trim_start_matches("https://").to_owned();
        let mut tls = tls_config(roots, identity);
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let stream = TcpStream::connect(&authority).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let tls = TlsConnector::from(std::sync::Arc::new(tls));
        let stream = tls.connect(name, stream).await.unwrap();
        let (requests, driver) = handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(driver);
        Client {
            requests,
            authority,
        }
    }

    /// GET as kube-aggregator asks.
    pub async fn get(&self, path: &str, accept: &str, etag: Option<&str>) -> Fetched {
        let mut request = Request::get(format!("https://{}{path}", self.authority))
            .header("accept", accept)
            .header("accept-encoding", "gzip")
            .header("x-remote-user", "system:kube-aggregator")
            .header("x-remote-group", "system:masters");
        if let Some(etag) = etag {
            request = request.header("if-none-match", etag);
        }
        let mut requests = self.requests.clone();
        requests.ready().await.unwrap();
        let request = request.body(Empty::new()).unwrap();
        let answer = requests.send_request(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        Fetched {
            status: parts.status,
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
    }
}
