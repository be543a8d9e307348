//! Against a replica that answers what it is told to, and not what is right.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::cli::demo::http::Http;
use crate::cli::demo::rotation::Rotation;
use crate::cli::demo::tally::{Counts, Tally};

const SESSION: &str = "HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n{\"session\":\"a\"}";
const CART: &str = "HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n{\"items\":{}}";
const TEA: &str = "HTTP/1.1 200 OK\r\ncontent-length: 21\r\n\r\n{\"items\":{\"sku-2\":1}}";
const UNKNOWN: &str = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n";
const LATER: &str =
    "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n";

/// A shopper of a shop that answers so, by the beginning of the request: each answer once, the last
/// one of a kind for ever.
async fn shopper(answers: &'static [(&'static str, &'static [&'static str])]) -> Shopper {
    // As the process does at its start; another test may have done it.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut given = vec![0; answers.len()];
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !is_whole(&request) {
                let mut part = [0; 1024];
                let read = connection.read(&mut part).await.unwrap();
                assert!(read > 0, "{request:?}");
                request.extend_from_slice(&part[..read]);
            }
            let request = String::from_utf8(request).unwrap();
            let kind = answers.iter().position(|(it, _)| request.starts_with(it));
            let kind = kind.unwrap_or_else(|| panic!("{request}"));
            let of_kind = answers[kind].1;
            let answer = of_kind[given[kind].min(of_kind.len() - 1)];
            given[kind] += 1;
            let answer = answer.replace("content-length", "connection: close\r\ncontent-length");
            connection.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let rotation = Rotation::default();
    rotation.set("shop-1", &url, true);
    let shop = Shop {
        http: Http::new().unwrap(),
        rotation,
        tally: Tally::default(),
    };
    Shopper::new(0, shop)
}

/// Whether a request is there with its body.
fn is_whole(request: &[u8]) -> bool {
    let request = String::from_utf8_lossy(request).to_lowercase();
    let Some((head, body)) = request.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|it| it.strip_prefix("content-length: "));
    body.len() >= length.map_or(0, |it| it.parse().unwrap())
}

/// What is counted after so many steps.
async fn after(
    steps: usize,
    answers: &'static [(&'static str, &'static [&'static str])],
) -> Counts {
    let mut shopper = shopper(answers).await;
    for _ in 0..steps {
        shopper.step().await;
    }
    shopper.shop.tally.counts()
}

#[tokio::test]
async fn who_is_told_to_come_back_for_a_session_or_a_cart_does_and_nothing_has_failed() {
    let counts = after(
        2,
        &[
            ("POST /session ", &[LATER, SESSION]),
            ("POST /cart/items ", &[LATER]),
            ("GET /cart ", &[LATER, CART]),
        ],
    )
    .await;
    let Counts {
        requests,
        failed,
        put_off,
        ..
    } = counts;
    assert_eq!((requests, failed, put_off), (5, 0, 3), "{counts:?}");
}

#[tokio::test]
async fn what_can_be_answered_without_redis_must_not_be_put_off() {
    let counts = after(
        3,
        &[
            ("POST /session ", &[SESSION]),
            ("POST /cart/items ", &[LATER]),
            ("GET /burn?", &[LATER]),
            ("GET /cart ", &[CART]),
        ],
    )
    .await;
    assert_eq!((counts.failed, counts.put_off), (1, 1), "{counts:?}");
    assert!(counts.reasons[0].starts_with("GET /burn"), "{counts:?}");
}

#[tokio::test]
async fn a_session_that_is_unknown_is_lost_and_its_request_counts() {
    let counts = after(
        2,
        &[
            ("POST /session ", &[SESSION]),
            ("POST /cart/items ", &[UNKNOWN]),
        ],
    )
    .await;
    let Counts {
        requests,
        failed,
        lost,
        ..
    } = counts;
    assert_eq!((requests, failed, lost), (2, 0, 1), "{counts:?}");
}

#[tokio::test]
async fn a_refusal_where_no_session_is_needed_is_a_failure() {
    let counts = after(1, &[("POST /session ", &[UNKNOWN])]).await;
    assert_eq!((counts.requests, counts.failed), (1, 1), "{counts:?}");
    let counts = after(
        3,
        &[
            ("POST /session ", &[SESSION]),
            ("POST /cart/items ", &[LATER]),
            ("GET /burn?", &[UNKNOWN]),
            ("GET /cart ", &[CART]),
        ],
    )
    .await;
    assert_eq!((counts.failed, counts.lost), (1, 0), "{counts:?}");
}

/// The second step buys `sku-2`.
async fn carts(shown: &'static [&'static str]) -> Counts {
    let (session, later): (&[&str], &[&str]) = (&[SESSION], &[LATER]);
    let answers = Box::leak(Box::new([
        ("POST /session ", session),
        ("POST /cart/items ", later),
        ("GET /burn?", shown),
        ("GET /cart ", shown),
    ]));
    after(1 + shown.len(), answers).await
}

#[tokio::test]
async fn what_was_put_off_may_get_into_the_cart_after_a_look_that_did_not_find_it() {
    // Not there, not there, there, and then for good.
    let counts = carts(&[CART, CART, TEA, TEA]).await;
    assert_eq!((counts.failed, counts.lost), (0, 0), "{counts:?}");
    assert_eq!(counts.compared, 4, "{counts:?}");
}

#[tokio::test]
async fn what_was_there_once_must_not_be_gone() {
    let counts = carts(&[CART, TEA, CART]).await;
    assert_eq!(counts.lost, 1, "{counts:?}");
}
