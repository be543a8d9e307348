//! The front proxy's side: one HTTP/2 connection over TLS, each answer read whole and left packed.
//!
//! As little as asks can be sent with: the server shares the machine with whoever measures it.

use std::io::Read;

use flate2::read::GzDecoder;
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::{HeaderMap, Method, Request, StatusCode};
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
#[derive(Clone)]
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

    /// GET with these headers.
    ///
    /// # Errors
    /// The connection has ended, or breaks off.
    pub async fn get(&self, path: &str, headers: HeaderMap) -> Result<Fetched, hyper::Error> {
        let uri = format!("https://{}{path}", self.authority);
        let mut request = Request::new(Empty::new());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = uri.parse().unwrap();
        *request.headers_mut() = headers;
        let mut requests = self.requests.clone();
        requests.ready().await?;
        let (parts, body) = requests.send_request(request).await?.into_parts();
        Ok(Fetched {
            status: parts.status,
            headers: parts.headers,
            body: body.collect().await?.to_bytes(),
        })
    }
}
