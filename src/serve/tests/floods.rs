//! Clients that want too much: of streams, of resets, of headers, of patience.

use std::sync::atomic::Ordering;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::frames::{ACK, Frames, GOAWAY, HEADERS, PING, RESET, SETTINGS, frame, get, reset};
use super::support::{Client, Running, raw, read, request, security, settings};
use super::*;

const LONG: Duration = Duration::from_secs(10);

/// Waits until so many requests wait for their answer.
async fn waiting(server: &Running, count: usize) {
    let all = async {
        while server.handler.waiting.load(Ordering::SeqCst) != count {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, all).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_who_cancel_do_not_end_the_connection_of_the_others() {
    let (security, chain) = security(&settings());
    let limits = Limits::default();
    let server = Running::start(security, limits);
    let mut sender = Client::new(&chain, &["h2"]).http2(&server).await;
    let other = tokio::spawn(sender.send_request(request("/wait")));
    waiting(&server, 1).await;
    for _ in 0..20 {
        let users: Vec<_> = (0..100)
            .map(|_| tokio::spawn(sender.send_request(request("/wait"))))
            .collect();
        waiting(&server, 101).await;
        users.iter().for_each(tokio::task::JoinHandle::abort);
        waiting(&server, 1).await;
    }
    assert_eq!(server.handler.dropped.load(Ordering::SeqCst), 2_000);
    server.handler.release.notify_waiters();
    assert_eq!(read(async { other.await.unwrap() }).await.0, 200);
    assert_eq!(read(sender.send_request(request("/"))).await.0, 200);
}

#[tokio::test]
async fn a_client_that_only_cancels_is_cut_and_the_others_go_on() {
    let (security, chain) = security(&settings());
    let limits = Limits {
        max_cancels: 100,
        cancels_per_second: 0,
        ..Limits::default()
    };
    let server = Running::start(security, limits);
    let client = Client::new(&chain, &["h2"]);
    let (mut flood, mut other) = (client.http2(&server).await, client.http2(&server).await);
    let mut cancelled = 0;
    // One at a time, and each is seen by the handler before it is cancelled.
    while cancelled < 200 {
        let mut asked = tokio::spawn(flood.send_request(request("/wait")));
        tokio::select! {
            ended = &mut asked => {
                ended.unwrap().expect_err("nobody answers it");
                break;
            }
            () = waiting(&server, 1) => asked.abort(),
        }
        waiting(&server, 0).await;
        cancelled += 1;
    }
    assert!((100..110).contains(&cancelled), "cut after {cancelled}");
    assert_eq!(read(other.send_request(request("/"))).await.0, 200);
}

#[tokio::test]
async fn a_connection_whose_requests_take_all_its_streams_is_counted() {
    let (security, chain) = security(&settings());
    let limits = Limits {
        http2_max_streams: 3,
        ..Limits::default()
    };
    let reached = limits.reached.clone();
    let server = Running::start(security, limits);
    let mut sender = Client::new(&chain, &["h2"]).http2(&server).await;
    let mut open = Vec::new();
    for expected in [0, 0, 1] {
        open.push(tokio::spawn(sender.send_request(request("/wait"))));
        waiting(&server, open.len()).await;
        assert_eq!(reached.get(Limit::Http2MaxStreams), expected);
    }
    server.handler.release.notify_waiters();
    for answer in open {
        assert_eq!(read(async { answer.await.unwrap() }).await.0, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_resets_never_has_more_handlers_running_than_streams_are_allowed() {
    let (security, chain) = security(&settings());
    let limits = Limits {
        http2_max_streams: 10,
        ..Limits::default()
    };
    let server = Running::start(security, limits);
    let mut other = Client::new(&chain, &["h2"]).http2(&server).await;
    let flood = Frames::start(&chain, &server).await;
    let (mut reader, mut writer) = tokio::io::split(flood.0);
    let writing = tokio::spawn(async move {
        for n in 0..20_000 {
            let pair = [get(2 * n + 1, "/wait", "localhost"), reset(2 * n + 1)].concat();
            if writer.write_all(&pair).await.is_err() || writer.flush().await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
        // The server closes with it, if it has not already.
        let _closed = writer.shutdown().await;
    });
    let _said = timeout(LONG, reader.read_to_end(&mut Vec::new()))
        .await
        .unwrap();
    writing.await.unwrap();
    waiting(&server, 0).await;
    let most = server.handler.most.load(Ordering::SeqCst);
    assert!(most <= 10, "{most} handlers at a time");
    assert_eq!(read(other.send_request(request("/"))).await.0, 200);
}

#[tokio::test]
async fn a_burst_of_streams_that_were_reset_before_we_looked_is_ended_with_a_reason() {
    let (security, chain) = security(&settings());
    let server = Running::start(security, Limits::default());
    let mut other = Client::new(&chain, &["h2"]).http2(&server).await;
    let mut flood = Frames::start(&chain, &server).await;
    let burst: Vec<u8> = (0..1_000)
        .flat_map(|n| [get(2 * n + 1, "/wait", "localhost"), reset(2 * n + 1)].concat())
        .collect();
    flood.send(&burst).await;
    let goaway = timeout(LONG, flood.find(|it| it.kind == GOAWAY)).await;
    let goaway = goaway.unwrap().expect("it must say why");
    let enhance_your_calm = 11_u32.to_be_bytes();
    assert_eq!(goaway.payload[4..8], enhance_your_calm);
    assert!(
        timeout(LONG, flood.find(|_| false))
            .await
            .unwrap()
            .is_none()
    );
    waiting(&server, 0).await;
    assert_eq!(read(other.send_request(request("/"))).await.0, 200);
}

#[tokio::test]
async fn a_stream_too_many_is_refused_and_may_be_tried_again() {
    let (security, chain) = security(&settings());
    let limits = Limits {
        http2_max_streams: 3,
        ..Limits::default()
    };
    let server = Running::start(security, limits);
    let mut client = Frames::start(&chain, &server).await;
    let told = client.find(|it| it.kind == SETTINGS && it.flags == 0).await;
    let told = told.unwrap().payload;
    // SETTINGS_MAX_CONCURRENT_STREAMS
    assert!(
        told.chunks(6).any(|it| it == [0, 3, 0, 0, 0, 3]),
        "{told:?}"
    );
    let four: Vec<u8> = (0..4)
        .flat_map(|n| get(2 * n + 1, "/wait", "localhost"))
        .collect();
    client.send(&four).await;
    let refused = client.find(|it| it.kind == RESET).await.unwrap();
    let refused_stream = 7_u32.to_be_bytes();
    assert_eq!(
        (refused.stream, &refused.payload[..]),
        (7, &refused_stream[..])
    );
    waiting(&server, 3).await;
    client.send(&reset(1)).await;
    waiting(&server, 2).await;
    client.send(&get(9, "/", "localhost")).await;
    assert!(client.find(|it| it.kind == HEADERS).await.is_some());
}

#[tokio::test]
async fn a_ping_is_answered_while_every_stream_hangs() {
    let (security, chain) = security(&settings());
    let server = Running::start(security, Limits::default());
    let mut client = Frames::start(&chain, &server).await;
    let all: Vec<u8> = (0..250)
        .flat_map(|n| get(2 * n + 1, "/wait", "localhost"))
        .collect();
    client.send(&all).await;
    waiting(&server, 250).await;
    client.send(&frame(PING, 0, 0, b"anybody?")).await;
    let pong = timeout(LONG, client.find(|it| it.kind == PING && it.flags == ACK)).await;
    assert_eq!(pong.unwrap().unwrap().payload, b"anybody?");
}

/// kube-aggregator asks for the address of the service and names it by its DNS name in TLS.
#[tokio::test]
async fn the_authority_need_not_be_the_name_in_the_handshake() {
    let (security, chain) = security(&settings());
    let server = Running::start(security, Limits::default());
    let mut client = Frames::start(&chain, &server).await;
    client.send(&get(1, "/", "10.96.0.17:443")).await;
    let answer = client.find(|it| it.kind == HEADERS).await.unwrap();
    // ":status: 200" of HPACK's static table.
    assert_eq!(answer.payload[0], 0x88, "{answer:?}");
}

#[tokio::test]
async fn too_many_headers_are_refused_in_both_versions() {
    let limits = Limits {
        max_headers: 50,
        max_header_bytes: 4096,
        ..Limits::default()
    };
    let headers: String = (0..60).map(|n| format!("x-{n}: y\r\n")).collect();
    let reached = limits.reached.clone();
    let server = Running::start(Security::Plain, limits.clone());
    let answer = raw(
        &server,
        &format!("GET / HTTP/1.1\r\nhost: x\r\n{headers}\r\n"),
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let counted = async {
        while reached.get(Limit::HeaderBytes) == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, counted).await.unwrap();

    let (security, chain) = security(&settings());
    let server = Running::start(security, limits);
    let mut sender = Client::new(&chain, &["h2"]).http2(&server).await;
    let mut request_of = |bytes: usize| {
        let mut request = request("/");
        let value = "y".repeat(bytes).parse().unwrap();
        request.headers_mut().insert("x-long", value);
        sender.send_request(request)
    };
    assert_eq!(read(request_of(2_000)).await.0, 200);
    assert_eq!(request_of(8_000).await.unwrap().status(), 431);
    assert_eq!(read(request_of(2_000)).await.0, 200);
}

#[tokio::test]
async fn headers_that_come_byte_by_byte_are_not_waited_for_without_end() {
    let limits = Limits {
        read_timeout: Duration::from_millis(100),
        ..Limits::default()
    };
    let server = Running::start(Security::Plain, limits);
    let mut stream = server.tcp().await;
    let dripping = async {
        for byte in b"GET / HTTP/1.1\r\n"
            .iter()
            .chain(b"x-slow: y\r\n".iter().cycle())
        {
            if stream.write_all(&[*byte]).await.is_err() {
                return;
            }
            // Each in time, all together never.
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LONG, dripping).await.unwrap();
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for_without_end() {
    let limits = Limits {
        read_timeout: Duration::from_millis(50),
        ..Limits::default()
    };
    let server = Running::start(Security::Plain, limits);
    let request = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nx";
    let answer = timeout(LONG, raw(&server, request)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn a_client_that_never_begins_http2_or_never_ends_its_headers_is_let_go() {
    let (security, chain) = security(&settings());
    let limits = Limits {
        idle_timeout: Duration::from_millis(100),
        ..Limits::default()
    };
    let server = Running::start(security, limits);
    let mut silent = Client::new(&chain, &["h2"]).connect(&server).await.unwrap();
    let mut said = Vec::new();
    let ended = timeout(LONG, silent.read_to_end(&mut said)).await;
    assert!(ended.is_ok());

    let mut endless = Frames::start(&chain, &server).await;
    let mut headers = get(1, "/", "localhost");
    // Without END_HEADERS.
    headers[4] = 1;
    endless.send(&headers).await;
    assert!(
        timeout(LONG, endless.find(|_| false))
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answer_is_let_go() {
    let limits = Limits {
        idle_timeout: Duration::from_millis(50),
        max_connections: 1,
        ..Limits::default()
    };
    let server = Running::start(Security::Plain, limits);
    let mut deaf = server.tcp().await;
    let large = b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n";
    deaf.write_all(large).await.unwrap();
    let next = raw(
        &server,
        "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    );
    let next = timeout(LONG, next)
        .await
        .expect("must not wait for the deaf one");
    assert!(next.starts_with("HTTP/1.1 200 "), "{next}");
}
