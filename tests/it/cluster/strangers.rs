//! A connection of somebody who is not known ends after its answer; a front proxy's never does,
//! for all users of an API server share it. And strangers take nobody's place.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::{Request, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{AUTOSCALER, DEPTH, World, ask_with};
use crate::support::adapter::Adapter;
use crate::support::apiserver::{Conduct, VALID_TOKEN};
use crate::support::pki::{Authority, Pair};
use crate::support::tls_config;

/// One HTTP/2 connection, and how it ends.
struct Connection {
    requests: SendRequest<Empty<Bytes>>,
    ended: JoinHandle<hyper::Result<()>>,
    authority: String,
}

impl Connection {
    async fn open(adapter: &Adapter, identity: Option<&Pair>) -> Connection {
        let uri: Uri = adapter.url.parse().unwrap();
        let authority = uri.authority().unwrap().to_string();
        let mut config = tls_config(&adapter.certificate(), identity);
        config.alpn_protocols = vec![b"h2".to_vec()];
        let stream = TcpStream::connect(&authority).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream);
        let io = TokioIo::new(stream.await.unwrap());
        let (requests, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        Connection {
            requests,
            ended: tokio::spawn(connection),
            authority,
        }
    }

    async fn ask(&mut self, path: &str, headers: &[(&str, &str)]) -> u16 {
        let mut request = Request::get(format!("https://{}{path}", self.authority));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Empty::new()).unwrap();
        let answer = self.requests.send_request(request).await.unwrap();
        let status = answer.status().as_u16();
        assert_eq!(
            answer.headers().get("connection"),
            None,
            "HTTP/2 has no such header"
        );
        answer.into_body().collect().await.unwrap();
        status
    }

    /// Whether the server ends it, in good order.
    async fn ends(self) {
        let ended = timeout(Duration::from_secs(20), self.ended).await;
        ended.expect("it must end").unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_strangers_connection_ends_after_its_answer() {
    let world = World::new().await;
    let adapter = world.ready(&[]).await;
    let stranger = Authority::new("kubernetes").client("admin", &["system:masters"]);
    let bad = [("Authorization", "Bearer nonsense")];
    for (identity, headers, path, code) in [
        (None, &[][..], "/livez", 200),
        (None, &[], "/metrics", 403),
        (None, &bad[..], "/livez", 401),
        (Some(&stranger), &[], "/livez", 401),
    ] {
        let mut connection = Connection::open(&adapter, identity).await;
        assert_eq!(connection.ask(path, headers).await, code);
        connection.ends().await;
    }
}

#[tokio::test]
async fn the_connection_of_a_front_proxy_or_of_a_user_goes_on() {
    let world = World::new().await;
    let adapter = world.ready(&[]).await;
    let user = |name| {
        [
            ("X-Remote-User", name),
            ("X-Remote-Group", "system:unauthenticated"),
        ]
    };
    let (anonymous, eve) = (user("system:anonymous"), user("eve"));
    let mut proxy = Connection::open(&adapter, Some(&world.proxy())).await;
    for (headers, path, code) in [
        // Without a user's name it is refused, and stays.
        (&[][..], "/livez", 401),
        (&anonymous[..], DEPTH, 403),
        (&anonymous, "/livez", 200),
        (&[("Authorization", "Bearer nonsense")], DEPTH, 401),
        (&eve, DEPTH, 403),
    ] {
        for _ in 0..2 {
            assert_eq!(proxy.ask(path, headers).await, code, "{path} {headers:?}");
        }
    }
    assert!(!proxy.ended.is_finished());

    let bob = world.clients.client("bob", &[]);
    let mut bob = Connection::open(&adapter, Some(&bob)).await;
    let bearer = format!("Bearer {VALID_TOKEN}");
    let mut account = Connection::open(&adapter, None).await;
    for _ in 0..3 {
        assert_eq!(bob.ask(DEPTH, &[]).await, 403);
        assert_eq!(account.ask(DEPTH, &[("Authorization", &bearer)]).await, 200);
    }
}

/// Garbage tokens, while the API server is slow to say so.
#[tokio::test]
async fn strangers_who_wait_to_be_known_keep_nobody_else_away() {
    let world = World::new().await;
    let adapter = world
        .ready(&["--authentication-token-webhook-cache-ttl=1h"])
        .await;
    let bearer = format!("Bearer {VALID_TOKEN}");
    let account = [("Authorization", bearer.as_str())];
    let known = ask_with(&adapter, None, DEPTH, &account).await;
    assert_eq!(known.status, 200, "{}", known.body);

    world
        .api
        .conduct("/apis/authentication.k8s.io/", Conduct::Hang);
    let mut strangers = JoinSet::new();
    for connection in 0..5 {
        let client = adapter.caller(None, true);
        for number in 0..240 {
            let ask = client.get(format!("{}{DEPTH}", adapter.url));
            let ask = ask.bearer_auth(format!("nonsense-{connection}-{number}"));
            strangers.spawn(async { ask.send().await.unwrap().status().as_u16() });
        }
    }
    // A thousand wait, and whoever comes then is told at once.
    let first = strangers.join_next().await.unwrap().unwrap();
    assert_eq!(first, 429);
    let group = "/apis/custom.metrics.k8s.io/v1beta2";
    let user = |name| ("X-Remote-User", name);
    let (aggregator, autoscaler) = (user("system:aggregator"), user(AUTOSCALER));
    let masters = ("X-Remote-Group", "system:masters");
    let (proxy, admin) = (world.proxy(), world.admin());
    for (identity, headers, path) in [
        (None, &[][..], "/livez"),
        (None, &[], "/readyz"),
        (Some(&proxy), &[aggregator, masters], group),
        (Some(&proxy), &[autoscaler], DEPTH),
        (Some(&admin), &[], DEPTH),
        (None, &account, DEPTH),
    ] {
        let answer = ask_with(&adapter, identity, path, headers).await;
        assert_eq!(answer.status, 200, "{path} {headers:?}: {}", answer.body);
    }
}
