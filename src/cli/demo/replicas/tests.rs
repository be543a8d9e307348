//! How replicas are started, found and ended, without one of them.

use std::os::unix::fs::PermissionsExt as _;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

#[test]
fn the_addresses_are_read_from_a_log_for_people_and_one_for_machines() {
    for (shop, admin) in [
        (
            "2026-01-01T00:00:00Z  INFO listening on http://127.0.0.1:1234",
            "2026-01-01T00:00:00Z  INFO admin on http://127.0.0.1:1235 version=1",
        ),
        (
            r#"{"level":"INFO","message":"listening on http://127.0.0.1:1234"}"#,
            r#"{"message":"admin on http://127.0.0.1:1235","level":"INFO"}"#,
        ),
    ] {
        let addresses = Addresses::default();
        addresses.hear("starting");
        addresses.hear(shop);
        addresses.hear(admin);
        let url = |url: &OnceLock<String>| url.get().cloned().unwrap();
        assert_eq!(url(&addresses.shop), "http://127.0.0.1:1234");
        assert_eq!(url(&addresses.admin), "http://127.0.0.1:1235");
    }
}

#[test]
fn a_path_with_a_quote_is_one_word() {
    let path = std::path::Path::new("/tmp/it's here");
    assert_eq!(quoted(path), r"'/tmp/it'\''s here'");
}

/// What is always ready, whatever happens.
async fn ready_for_ever() -> String {
    // As the process does at its start; another test may have done it.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            assert!(connection.read(&mut [0; 1024]).await.unwrap() > 0);
            let answer = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok";
            connection.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    url
}

#[tokio::test]
async fn a_replica_that_ends_gets_no_requests_though_it_says_that_it_is_ready() {
    let group = Group::new("test").unwrap();
    let url = ready_for_ever().await;
    let script = format!(
        "#!/bin/sh\ntrap '' TERM\necho listening on {url}\necho admin on {url}\n\
         while :; do sleep 1000; done\n"
    );
    let program = group.write("service", &script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    let (http, rotation) = (Http::new().unwrap(), Rotation::default());
    let replicas = Replicas::new(program, "", http, &group, rotation.clone());
    let (mut replicas, seen) = replicas.unwrap();
    let deadline = Instant::now() + PATIENCE;
    while seen.borrow().ready < 2 {
        assert!(Instant::now() < deadline, "{:?}", *seen.borrow());
        replicas.round(&group).await.unwrap();
        Replicas::pause().await;
    }
    group.write(REPLICAS_FILE, "1\n").unwrap();
    for _ in 0..2 {
        replicas.round(&group).await.unwrap();
        let expected = Seen {
            running: 2,
            ready: 1,
            degraded: 0,
        };
        assert_eq!(*seen.borrow(), expected);
    }
    group.end().await.unwrap();
}

/// Whoever was sent to a replica just before it was told to end must still be served: a probe that
/// is waited for keeps nobody from seeing it go.
#[test]
fn a_replica_serves_on_for_longer_than_a_probe_may_take() {
    assert!(PROBE_TIME < GRACE / 3);
}
