//! Real sockets, real TLS, both versions of HTTP.

mod addresses;
mod certificates;
mod floods;
mod frames;
mod sni;
mod support;

use std::sync::atomic::Ordering;

use hyper::Method;
use hyper::client::conn::http1 as client1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::sni::Certificate;
use super::tls::{Settings, Version};
use super::*;
use support::{Client, Running, one, pair, raw, read, request, security, settings};

#[tokio::test]
async fn alpn_chooses_the_version_of_http() {
    let (security, chain) = security(&settings());
    let server = Running::start(security, Limits::default());
    let mut sender = Client::new(&chain, &["h2", "http/1.1"])
        .http2(&server)
        .await;
    assert_eq!(
        read(sender.send_request(request("/"))).await,
        (200, "hello".to_owned())
    );

    let stream = Client::new(&chain, &["http/1.1"])
        .connect(&server)
        .await
        .unwrap();
    let (mut sender, connection) = client1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    assert_eq!(
        read(sender.send_request(request("/"))).await,
        (200, "hello".to_owned())
    );
}

#[tokio::test]
async fn without_http2_only_http1_is_offered() {
    let (security, chain) = security(&Settings {
        http2: false,
        ..settings()
    });
    let server = Running::start(security, Limits::default());
    let stream = Client::new(&chain, &["h2", "http/1.1"])
        .connect(&server)
        .await
        .unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
}

#[tokio::test]
async fn a_panic_is_one_500_and_its_siblings_live() {
    let (security, chain) = security(&settings());
    let server = Running::start(security, Limits::default());
    let mut sender = Client::new(&chain, &["h2"]).http2(&server).await;
    let waiting = tokio::spawn(sender.send_request(request("/wait")));
    server.handler.entered.notified().await;
    let panicked = read(sender.send_request(request("/panic"))).await;
    assert_eq!(panicked, (500, "panicked".to_owned()));
    server.handler.release.notify_one();
    assert_eq!(
        read(async { waiting.await.unwrap() }).await,
        (200, "waited".to_owned())
    );
}

#[tokio::test]
async fn a_client_certificate_is_wanted_and_never_needed_or_judged() {
    for versions in [rustls::ALL_VERSIONS, &[&rustls::version::TLS12]] {
        let (security, chain) = security(&settings());
        let server = Running::start(security, Limits::default());
        // Its own authority: nobody the server has heard of.
        for (identity, count) in [(None, "0"), (Some(pair()), "2")] {
            let client = Client::with(&chain, &["h2"], versions, identity);
            let mut sender = client.http2(&server).await;
            let answer = read(sender.send_request(request("/peer"))).await;
            assert_eq!(answer, (200, count.to_owned()));
        }
    }
}

#[tokio::test]
async fn a_client_that_does_not_hold_its_key_is_refused() {
    let (security, chain) = security(&settings());
    let server = Running::start(security, Limits::default());
    let (stolen, (_, key)) = (pair().0, pair());
    let provider = tls::default_provider();
    let key = provider.key_provider.load_private_key(key).unwrap();
    let mut client = Client::new(&chain, &["http/1.1"]);
    let stolen = rustls::sign::CertifiedKey::new(stolen, key);
    client.config.client_auth_cert_resolver =
        Arc::new(rustls::sign::SingleCertAndKey::from(stolen));
    // TLS 1.3 clients learn of it with the first read.
    let failed = match client.connect(&server).await {
        Err(_) => true,
        Ok(mut stream) => {
            stream
                .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
                .await
                .unwrap();
            stream.read_u8().await.is_err()
        }
    };
    assert!(failed);
}

#[tokio::test]
async fn the_oldest_version_and_the_cipher_suites_are_kept_to() {
    let tls13 = Settings {
        min_version: Version::Tls13,
        ..settings()
    };
    let (secured, chain) = security(&tls13);
    let server = Running::start(secured, Limits::default());
    let old = |chain: &[_]| Client::with(chain, &["h2"], &[&rustls::version::TLS12], None);
    assert!(old(&chain).connect(&server).await.is_err());
    Client::new(&chain, &["h2"]).connect(&server).await.unwrap();

    let suite = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384";
    let one = Settings {
        cipher_suites: vec![suite.to_owned()],
        ..settings()
    };
    let (secured, chain) = security(&one);
    let server = Running::start(secured, Limits::default());
    let stream = old(&chain).connect(&server).await.unwrap();
    let negotiated = stream.get_ref().1.negotiated_cipher_suite().unwrap();
    assert_eq!(negotiated.suite().as_str(), Some(suite));
    Client::with(&chain, &["h2"], &[&rustls::version::TLS13], None)
        .connect(&server)
        .await
        .unwrap();
}

#[tokio::test]
async fn the_key_exchanges_are_kept_to() {
    let p384 = Settings {
        curves: vec![24, 25],
        ..settings()
    };
    let (secured, chain) = security(&p384);
    let server = Running::start(secured, Limits::default());
    for versions in [rustls::ALL_VERSIONS, &[&rustls::version::TLS12]] {
        let client = Client::with(&chain, &["h2"], versions, None);
        let stream = client.connect(&server).await.unwrap();
        let group = stream.get_ref().1.negotiated_key_exchange_group().unwrap();
        assert_eq!(group.name(), rustls::NamedGroup::secp384r1);
    }
}

#[tokio::test]
async fn a_replaced_certificate_is_shown_at_the_next_handshake() {
    let parse = |(chain, key)| {
        rustls::sign::CertifiedKey::from_der(chain, key, &tls::default_provider()).unwrap()
    };
    let (first, second) = (pair(), pair());
    let trusted = second.0.clone();
    let shown = Certificate::new(parse(first));
    let config = tls::server_config(one(Arc::clone(&shown)), &settings()).unwrap();
    let server = Running::start(Security::Tls(Arc::new(config)), Limits::default());
    let client = Client::new(&trusted, &["h2"]);
    assert!(client.connect(&server).await.is_err());
    shown.replace(parse(second));
    client.connect(&server).await.unwrap();
}

#[tokio::test]
async fn renewed_certificate_files_are_served_without_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let make = || {
        let now = std::time::SystemTime::now();
        let names = certificate::Names::default();
        certificate::SelfSigned::open(dir.path(), &names, now)
            .unwrap()
            .0
            .key()
    };
    let first = make();
    let paths = ["apiserver.crt", "apiserver.key"].map(|name| dir.path().join(name));
    let seen = crate::reload::read(&paths).unwrap();
    let shown = Certificate::new(certificate::parse_files(&seen).unwrap());
    let config = tls::server_config(one(Arc::clone(&shown)), &settings()).unwrap();
    let server = Running::start(Security::Tls(Arc::new(config)), Limits::default());
    let renewed = Arc::new(tokio::sync::Notify::new());
    let told = Arc::clone(&renewed);
    let publish = move |next| {
        shown.replace(next);
        told.notify_one();
    };
    let every = Duration::from_millis(1);
    let parse = certificate::parse_files;
    let follow = crate::reload::follow("pair", paths.to_vec(), every, seen, parse, publish);
    let task = tokio::spawn(follow);
    for path in &paths {
        std::fs::remove_file(path).unwrap();
    }
    let second = make();
    timeout(Duration::from_secs(10), renewed.notified())
        .await
        .unwrap();
    assert!(
        Client::new(&first.cert, &["h2"])
            .connect(&server)
            .await
            .is_err()
    );
    Client::new(&second.cert, &["h2"])
        .connect(&server)
        .await
        .unwrap();
    task.abort();
}

#[tokio::test]
async fn a_user_in_900_groups_is_heard_over_both_versions() {
    let groups = |mut request: Request<http_body_util::Empty<Bytes>>| {
        for group in 0..900 {
            let value = format!("group-{group}-{}", "x".repeat(100));
            request
                .headers_mut()
                .append("x-remote-group", value.parse().unwrap());
        }
        request
    };
    let (security, chain) = security(&settings());
    let server = Running::start(security, Limits::default());
    let mut sender = Client::new(&chain, &["h2"]).http2(&server).await;
    let answer = read(sender.send_request(groups(request("/headers")))).await;
    assert_eq!(answer, (200, "900".to_owned()));
    let stream = Client::new(&chain, &["http/1.1"])
        .connect(&server)
        .await
        .unwrap();
    let (mut sender, connection) = client1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let answer = read(sender.send_request(groups(request("/headers")))).await;
    assert_eq!(answer, (200, "900".to_owned()));
}

#[tokio::test]
async fn an_answer_that_closes_ends_its_connection_in_good_order() {
    let (security, chain) = security(&settings());
    let server = Running::start(security, Limits::default());
    let client = Client::new(&chain, &["h2"]);
    let (mut sender, mut other) = (client.http2(&server).await, client.http2(&server).await);
    let waiting = tokio::spawn(sender.send_request(request("/wait")));
    server.handler.entered.notified().await;
    let response = sender.send_request(request("/close")).await.unwrap();
    assert!(response.headers().get("connection").is_none());
    assert_eq!(read(async { Ok::<_, ()>(response) }).await.1, "bye");
    // GOAWAY: this client opens no stream any more, and the one under way is answered.
    let goaway = async { while sender.send_request(request("/")).await.is_ok() {} };
    timeout(Duration::from_secs(10), goaway).await.unwrap();
    server.handler.release.notify_one();
    let answered = read(async { waiting.await.unwrap() }).await;
    assert_eq!(answered, (200, "waited".to_owned()));
    assert_eq!(read(other.send_request(request("/"))).await.0, 200);

    let server = Running::start(Security::Plain, Limits::default());
    let answer = raw(&server, "GET /close HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
}

#[tokio::test]
async fn headers_without_end_are_refused() {
    let limits = Limits {
        max_header_bytes: 16_384,
        ..Limits::default()
    };
    let server = Running::start(Security::Plain, limits);
    let endless = format!("GET / HTTP/1.1\r\nhost: x\r\na: {}", "x".repeat(20_000));
    assert!(raw(&server, &endless).await.starts_with("HTTP/1.1 431 "));
}

#[tokio::test]
async fn a_silent_client_is_let_go() {
    let limits = Limits {
        handshake_timeout: Duration::from_millis(50),
        read_timeout: Duration::from_millis(50),
        idle_timeout: Duration::from_millis(50),
        ..Limits::default()
    };
    let (secured, chain) = security(&settings());
    let secured = Running::start(secured, limits.clone());
    let plain = Running::start(Security::Plain, limits);
    assert_eq!(raw(&secured, "").await, "");
    assert_eq!(raw(&plain, "GET / HTTP/1.1\r\nho").await, "");
    // HTTP/2: after an answer, nothing more.
    let mut sender = Client::new(&chain, &["h2"]).http2(&secured).await;
    read(sender.send_request(request("/"))).await;
    let closed = async {
        while sender.ready().await.is_ok() {
            tokio::task::yield_now().await
        }
    };
    timeout(Duration::from_secs(10), closed).await.unwrap();
}

#[tokio::test]
async fn an_unwanted_body_is_swallowed_and_the_connection_lives() {
    let server = Running::start(Security::Plain, Limits::default());
    let mut stream = server.tcp().await;
    let head = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2097152\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![b'x'; 2 << 20]).await.unwrap();
    let next = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.write_all(next.as_bytes()).await.unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).await.unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200 ").count(), 2, "{answers}");
}

#[tokio::test]
async fn a_body_without_end_costs_its_client_the_connection() {
    let limits = Limits {
        max_body_bytes: 1000,
        ..Limits::default()
    };
    let server = Running::start(Security::Plain, limits);
    let mut stream = server.tcp().await;
    let head = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&[b'x'; 2000]).await.unwrap();
    let mut answer = String::new();
    let closed = timeout(Duration::from_secs(10), stream.read_to_string(&mut answer)).await;
    closed.expect("must not wait for the rest").unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn head_has_the_headers_of_the_whole_and_no_body() {
    let server = Running::start(Security::Plain, Limits::default());
    let head = "HEAD / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let answer = raw(&server, head).await;
    assert!(
        answer.contains("content-length: 5\r\n") && answer.ends_with("\r\n\r\n"),
        "{answer}"
    );
    let (security, chain) = security(&settings());
    let server = Running::start(security, Limits::default());
    let mut sender = Client::new(&chain, &["h2"]).http2(&server).await;
    let mut head = request("/");
    *head.method_mut() = Method::HEAD;
    assert_eq!(read(sender.send_request(head)).await, (200, String::new()));
}

#[tokio::test]
async fn one_connection_too_many_waits_for_another_to_end() {
    let server = Running::start(
        Security::Plain,
        Limits {
            max_connections: 1,
            ..Limits::default()
        },
    );
    let mut first = server.tcp().await;
    first
        .write_all(b"GET /wait HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    server.handler.entered.notified().await;
    let mut second = server.tcp().await;
    second
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let early = timeout(Duration::from_millis(50), second.read_u8()).await;
    assert!(early.is_err(), "answered beyond the limit");
    server.handler.release.notify_one();
    let mut answer = String::new();
    second.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn shutdown_waits_for_requests_under_way_and_takes_no_new_ones() {
    let (security, chain) = security(&settings());
    let mut server = Running::start(security, Limits::default());
    let mut sender = Client::new(&chain, &["h2"]).http2(&server).await;
    let mut idle = Client::new(&chain, &["h2"]).http2(&server).await;
    read(idle.send_request(request("/"))).await;
    let mut silent = server.tcp().await;
    let waiting = tokio::spawn(sender.send_request(request("/wait")));
    server.handler.entered.notified().await;
    server.stop();
    // The silent one is closed once the server knows; then nobody listens any more.
    assert_eq!(silent.read(&mut [0]).await.unwrap_or(0), 0);
    assert!(TcpStream::connect(server.address).await.is_err());
    server.handler.release.notify_one();
    assert_eq!(
        read(async { waiting.await.unwrap() }).await,
        (200, "waited".to_owned())
    );
    assert_eq!(server.outcome.await.unwrap(), Outcome::Drained);
}

/// `SO_REUSEADDR`, which is what `--permit-address-sharing` asks Go for.
#[tokio::test]
async fn a_port_that_was_just_left_can_be_taken_again() {
    let mut server = Running::start(Security::Plain, Limits::default());
    let mut stream = server.tcp().await;
    let get = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.write_all(get).await.unwrap();
    // The server closes first: its end of this connection stays in TIME_WAIT.
    stream.read_to_end(&mut Vec::new()).await.unwrap();
    server.stop();
    server.outcome.await.unwrap();
    bind(server.address, false).unwrap();
}

#[tokio::test]
async fn an_idle_http1_connection_does_not_hold_up_shutdown() {
    let mut server = Running::start(Security::Plain, Limits::default());
    let mut stream = server.tcp().await;
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    stream.read_u8().await.unwrap();
    let _never_spoke = server.tcp().await;
    server.stop();
    let outcome = timeout(Duration::from_secs(10), server.outcome).await;
    assert_eq!(outcome.unwrap().unwrap(), Outcome::Drained);
}

#[tokio::test]
async fn an_http1_answer_during_shutdown_says_that_it_is_the_last() {
    let mut server = Running::start(Security::Plain, Limits::default());
    let mut stream = server.tcp().await;
    let mut idle = server.tcp().await;
    stream
        .write_all(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    server.handler.entered.notified().await;
    server.stop();
    assert_eq!(idle.read(&mut [0]).await.unwrap_or(0), 0);
    server.handler.release.notify_one();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
}

#[tokio::test]
async fn a_request_that_outlasts_the_drain_is_cut_and_counted() {
    let limits = Limits {
        drain_timeout: Duration::from_millis(20),
        ..Limits::default()
    };
    let mut server = Running::start(Security::Plain, limits);
    let mut stream = server.tcp().await;
    stream
        .write_all(b"GET /wait HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    server.handler.entered.notified().await;
    server.stop();
    assert_eq!(
        server.outcome.await.unwrap(),
        Outcome::Cut { connections: 1 }
    );
    assert_eq!(server.handler.dropped.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_client_that_goes_away_ends_its_work() {
    let (security, chain) = security(&settings());
    let server = Running::start(security, Limits::default());
    let mut sender = Client::new(&chain, &["h2"]).http2(&server).await;
    let waiting = tokio::spawn(sender.send_request(request("/wait")));
    server.handler.entered.notified().await;
    waiting.abort();
    let gone = async {
        while server.handler.dropped.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), gone).await.unwrap();
    assert_eq!(
        read(sender.send_request(request("/"))).await,
        (200, "hello".to_owned())
    );
}
