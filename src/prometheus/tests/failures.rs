//! Each way to fail, its class and its text, and recovery.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::AsyncWriteExt;

use super::server::{Reply, Server, json, typed};
use super::*;

#[tokio::test]
async fn a_stated_error_is_told_whatever_the_status() {
    let body = r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#;
    for status in [
        "200 OK",
        "400 Bad Request",
        "422 Unprocessable",
        "500 Oops",
        "503 Busy",
    ] {
        let told = error_after(move || json(status, body)).await;
        assert_eq!(
            told,
            ("refused", "bad_data: parse error".to_owned()),
            "{status}"
        );
    }
    let timeout = r#"{"status":"error","errorType":"timeout","error":"query timed out"}"#;
    let server = Server::plain(|_| json("503 Busy", timeout)).await;
    assert!(ask(&client(&server.url)).await.unwrap_err().is_timeout());
}

#[tokio::test]
async fn another_status_is_told_with_advice() {
    let html = "<html>nginx</html>";
    let told = |status, text: &str| (status, text.to_owned());
    for (status, expected) in [
        (
            "502 Bad Gateway",
            told("bad_status", "Prometheus answered 502 Bad Gateway"),
        ),
        (
            "404 Not Found",
            told(
                "bad_status",
                "Prometheus answered 404 Not Found: is the path in --prometheus-url right?",
            ),
        ),
        (
            "400 Bad Request",
            told(
                "bad_status",
                "Prometheus answered 400 Bad Request without a reason: is it http:// or https://?",
            ),
        ),
        (
            "403 Forbidden",
            told(
                "auth",
                "Prometheus answered 403 Forbidden: check --prometheus-token-file, \
                 --prometheus-header, the user in --prometheus-url, or the auth flags",
            ),
        ),
    ] {
        assert_eq!(
            error_after(move || typed(status, "text/html", html)).await,
            expected
        );
    }
    // A success in the body does not make up for the status.
    assert_eq!(error_after(|| json("500 Oops", ONE)).await.0, "bad_status");
}

#[tokio::test]
async fn a_web_page_text_and_strange_or_short_json_are_told_apart() {
    let page = "\n <!doctype html>";
    let told = error_after(move || typed("200 OK", "text/html", page)).await;
    assert_eq!(
        told.1,
        "Prometheus answered HTML, not JSON: is --prometheus-url a Prometheus API, or a login page?"
    );
    assert_eq!(
        error_after(|| typed("200 OK", "text/plain", "ok")).await.0,
        "not_json"
    );
    assert_eq!(error_after(|| json("200 OK", "{}")).await.0, "malformed");
    let cut = error_after(|| json("200 OK", &ONE[..40])).await;
    assert_eq!(
        cut,
        (
            "truncated",
            "the answer of Prometheus ended too early".to_owned()
        )
    );
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n";
    assert_eq!(
        error_after(move || Reply::Close(format!("{head}{ONE}").into()))
            .await
            .0,
        "truncated"
    );
    assert_eq!(
        error_after(|| Reply::Close(Vec::new())).await.0,
        "truncated"
    );
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_names_its_target_without_its_query() {
    let told = error_after(|| {
        let location = format!("https://me:{SECRET}@login.example/realm?state={SECRET}");
        Reply::Bytes(
            format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n")
                .into(),
        )
    })
    .await;
    let text = "Prometheus redirects to https://login.example/realm: set --prometheus-url to the \
                Prometheus API itself";
    assert_eq!(told, ("redirect", text.to_owned()));
}

#[tokio::test]
async fn an_answer_over_the_limit_is_refused_whether_it_states_its_length_or_not() {
    let limit = 4 << 20;
    let text = "the answer of Prometheus is larger than 4194304 bytes: ask for fewer series, or \
                raise --prometheus-max-response-bytes";
    let vector = r#"{"status":"success","data":{"resultType":"vector","result":["#;
    let row = r#"{"metric":{"pod":"p"},"value":[1,"2"]},"#;
    let chunk = format!("{:x}\r\n{}\r\n", row.len() * 100, row.repeat(100)).into_bytes();
    let chunked = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{vector}\r\n",
        vector.len()
    )
    .into_bytes();
    let stated = b"HTTP/1.1 200 OK\r\ncontent-length: 200000000\r\n\r\n".to_vec();
    for (head, more) in [(chunked, chunk), (stated, b" ".to_vec())] {
        let server = Server::plain(move |_| Reply::Endless(head.clone(), more.clone())).await;
        let settings = Settings {
            response_bytes_max: limit,
            ..settings(&server.url)
        };
        let told = error_of(&Client::new(&settings).unwrap()).await;
        assert_eq!(told, ("too_large", text.to_owned()));
    }
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_at_the_deadline_and_recovers_by_itself() {
    let hung = Arc::new(AtomicBool::new(true));
    for before in [
        "",
        "HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{\"status\":",
    ] {
        hung.store(true, Ordering::SeqCst);
        let state = hung.clone();
        let server = Server::plain(move |_| {
            if state.load(Ordering::SeqCst) {
                Reply::Hang(before.into())
            } else {
                json("200 OK", ONE)
            }
        })
        .await;
        let settings = Settings {
            timeout: SHORT,
            ..settings(&server.url)
        };
        let client = Client::new(&settings).unwrap();
        let error = ask(&client).await.unwrap_err();
        assert_eq!(error.to_string(), "Prometheus did not answer within 0.2s");
        assert!(error.is_timeout());
        let fold = |(): &mut (), _| Ok(());
        let less = Duration::from_millis(100);
        let error = client
            .query("x", Timestamp::UNIX_EPOCH, less, (), fold)
            .await
            .unwrap_err();
        let text = "Prometheus did not answer in the time the request had left";
        assert_eq!(
            (error.class(), error.to_string().as_str()),
            ("timeout", text)
        );
        hung.store(false, Ordering::SeqCst);
        // On a busy machine one attempt may miss the short deadline.
        let mut recovered = false;
        for _ in 0..20 {
            recovered |= ask(&client).await.is_ok();
        }
        assert!(recovered);
    }
}

#[tokio::test]
async fn a_hung_connection_is_not_used_again() {
    let server = Server::plain(|request| {
        if request.line.contains("hang") {
            Reply::Hang(Vec::new())
        } else {
            json("200 OK", ONE)
        }
    })
    .await;
    let client = client(&server.url);
    let fold = |(): &mut (), _| Ok(());
    assert!(
        client
            .query("hang", Timestamp::UNIX_EPOCH, SHORT, (), fold)
            .await
            .is_err()
    );
    for _ in 0..5 {
        ask(&client).await.unwrap();
    }
    // The hung one and one that is kept.
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_server_that_is_not_there_or_speaks_something_else_is_told() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let (class, text) = error_of(&client(&format!("http://me:{SECRET}@{address}/x?y=z"))).await;
    assert_eq!(class, "unreachable");
    assert_eq!(
        text,
        format!("cannot reach Prometheus at http://{address}: connection refused")
    );

    // A label over 63 bytes is refused without asking a name server.
    let host = "x".repeat(64);
    let (_, text) = error_of(&client(&format!("http://{host}:9090"))).await;
    let reason = "its host name does not resolve";
    assert_eq!(
        text,
        format!("cannot reach Prometheus at http://{host}:9090: {reason}")
    );

    let (class, text) =
        error_after(|| Reply::Close(b"\x15\x03\x01\x00\x02\x02\x46".to_vec())).await;
    assert_eq!(class, "unreachable");
    assert!(
        text.ends_with("it does not speak HTTP there (http:// instead of https://?)"),
        "{text}"
    );

    let plain = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = plain.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut socket, _) = plain.accept().await.unwrap();
        let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        std::future::pending::<()>().await;
    });
    let (class, text) = error_of(&client(&format!("https://{address}"))).await;
    assert_eq!(class, "tls");
    assert!(
        text.ends_with("it does not speak TLS (https:// instead of http://?)"),
        "{text}"
    );
}
