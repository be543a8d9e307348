//! The client against a server that does as told.

use super::*;
use server::{Reply, Server, json};

mod credentials;
mod failures;
pub(super) mod server;

const SECRET: &str = "hunter2";
const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(200);
const ONE: &str = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"42"]}}"#;

fn settings(url: &str) -> Settings {
    Settings {
        url: url.to_owned(),
        timeout: LONG,
        recheck: Duration::ZERO,
        ..Settings::default()
    }
}

fn client(url: &str) -> Client {
    Client::new(&settings(url)).unwrap()
}

async fn ask(client: &Client) -> Result<Answer<Vec<f64>>, Error> {
    let at = Timestamp::from_millisecond(1_690_000_000_500).unwrap();
    client
        .query(
            "up{a=\"b c\"}",
            at,
            Duration::from_millis(9_500),
            Vec::new(),
            |values, sample| {
                values.push(sample.value);
                Ok(())
            },
        )
        .await
}

/// The class and text of the error a query to this server gives.
async fn error_of(client: &Client) -> (&'static str, String) {
    let error = ask(client)
        .await
        .map(|answer| format!("{answer:?}"))
        .unwrap_err();
    (error.class(), error.to_string())
}

/// The error when the server answers every request with this.
async fn error_after(reply: impl Fn() -> Reply + Send + Sync + 'static) -> (&'static str, String) {
    let server = Server::plain(move |_| reply()).await;
    let client = client(&server.url);
    let first = error_of(&client).await;
    assert_eq!(first, error_of(&client).await, "the text must not change");
    first
}

#[tokio::test]
async fn a_get_has_sorted_parameters_and_the_remaining_budget() {
    let server = Server::plain(|_| json("200 OK", ONE)).await;
    let url = server.url.replace("http://", "http://me:pa%20ss@") + "/prefix//deep/?tenant=a%20b";
    let answer = ask(&client(&url)).await.unwrap();
    assert_eq!(
        (answer.kind, answer.samples, answer.value.len()),
        (Kind::Scalar, 1, 1)
    );
    let request = &server.seen()[0];
    let (start, timeout) = request.line.split_once("&timeout=").unwrap();
    assert_eq!(
        start,
        "GET /prefix/deep/api/v1/query?tenant=a%20b&query=up%7Ba%3D%22b+c%22%7D&time=1690000000.5"
    );
    let left: u32 = timeout
        .strip_suffix("ms HTTP/1.1")
        .unwrap()
        .parse()
        .unwrap();
    assert!((5_000..=9_500).contains(&left), "{left}");
    assert_eq!(request.header("authorization"), Some("Basic bWU6cGEgc3M="));
}

#[tokio::test]
async fn a_post_has_them_in_the_body_and_keeps_the_urls_query() {
    let server = Server::plain(|_| json("200 OK", ONE)).await;
    let url = format!("{}?tenant=a", server.url);
    let settings = Settings {
        verb: Verb::Post,
        ..settings(&url)
    };
    ask(&Client::new(&settings).unwrap()).await.unwrap();
    let request = &server.seen()[0];
    assert_eq!(request.line, "POST /api/v1/query?tenant=a HTTP/1.1");
    assert_eq!(
        request.header("content-type"),
        Some("application/x-www-form-urlencoded")
    );
    assert!(
        request
            .body
            .starts_with("query=up%7Ba%3D%22b+c%22%7D&time=1690000000.5&timeout=")
    );
}

#[tokio::test]
async fn a_query_too_long_for_a_url_goes_by_post_by_itself() {
    let server = Server::plain(|_| json("200 OK", ONE)).await;
    let client = client(&server.url);
    for length in [7_000, 8_000, 100_000] {
        let query = "x".repeat(length);
        client
            .query(&query, Timestamp::UNIX_EPOCH, LONG, (), |(), _| Ok(()))
            .await
            .unwrap();
    }
    let lines: Vec<String> = server
        .seen()
        .into_iter()
        .map(|request| request.line)
        .collect();
    assert!(lines[0].starts_with("GET ") && lines[0].len() < 8_190);
    assert!(lines[1].starts_with("POST ") && lines[2].starts_with("POST "));
}

#[tokio::test]
async fn names_and_series_are_looked_up_since_a_start() {
    let server = Server::plain(|request| {
        let list = if request.line.contains("/series") {
            r#"[{"a":"b"}]"#
        } else {
            r#"["a"]"#
        };
        json(
            "200 OK",
            &format!(r#"{{"status":"success","warnings":["w"],"data":{list}}}"#),
        )
    })
    .await;
    let settings = Settings {
        verb: Verb::Post,
        ..settings(&server.url)
    };
    let client = Client::new(&settings).unwrap();
    let start = Timestamp::from_second(7).unwrap();
    let (names, notes) = client
        .label_values("__name__", "{a=\"b\"}", start, LONG)
        .await
        .unwrap();
    assert_eq!((names, notes.warnings.count), (vec!["a".to_owned()], 1));
    assert_eq!(client.labels("x", start, LONG).await.unwrap().0, ["a"]);
    let count = |count: &mut u64, _| {
        *count += 1;
        Ok(())
    };
    assert_eq!(
        client.series("x", start, LONG, 0, count).await.unwrap().0,
        1
    );
    let seen = server.seen();
    assert_eq!(
        seen[0].line,
        "GET /api/v1/label/__name__/values?match%5B%5D=%7Ba%3D%22b%22%7D&start=7 HTTP/1.1"
    );
    assert_eq!(
        (seen[1].line.as_str(), seen[1].body.as_str()),
        ("POST /api/v1/labels HTTP/1.1", "match%5B%5D=x&start=7")
    );
    assert_eq!(seen[2].line, "POST /api/v1/series HTTP/1.1");
}

#[tokio::test]
async fn a_large_answer_is_folded_row_by_row_over_the_network() {
    let rows = 30_000_u32;
    let row = |i| format!(r#"{{"metric":{{"pod":"p{i}"}},"value":[1,"{i}"]}}"#);
    let rows_text = (0..rows).map(row).collect::<Vec<_>>().join(",");
    let body = format!(
        r#"{{"status":"success","data":{{"resultType":"vector","result":[{rows_text}]}}}}"#
    );
    assert!(body.len() > 1 << 20);
    let cut = body[..body.len() - 2].to_owned();
    let server = Server::plain(move |_| json("200 OK", &body)).await;
    let answer = ask(&client(&server.url)).await.unwrap();
    assert_eq!(
        answer.value.iter().sum::<f64>().to_bits(),
        (449_985_000_f64).to_bits()
    );
    assert_eq!(answer.samples, u64::from(rows));
    assert_eq!(
        error_after(move || json("200 OK", &cut)).await.0,
        "truncated"
    );
}

#[tokio::test]
async fn who_folds_may_stop_a_large_answer_early() {
    let vector = r#"{"data":{"resultType":"vector","result":["#;
    let row = r#"{"metric":{},"value":[1,"2"]},"#.repeat(20_000);
    let body = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{vector}");
    let server =
        Server::plain(move |_| Reply::Endless(body.clone().into(), row.clone().into())).await;
    let stop = |rows: &mut u32, _| {
        *rows += 1;
        if *rows > 5_000 {
            Err(Refusal("more than 5000 rows".to_owned()))
        } else {
            Ok(())
        }
    };
    let outcome = client(&server.url)
        .query("x", Timestamp::UNIX_EPOCH, LONG, 0, stop)
        .await;
    assert_eq!(outcome.unwrap_err().to_string(), "more than 5000 rows");
}

#[test]
fn times_are_printed_as_go_prints_them() {
    for (milliseconds, text) in [
        (0, "0"),
        (1_690_000_000_000, "1690000000"),
        (1_500, "1.5"),
        (-1_050, "-1.05"),
        (7, "0.007"),
    ] {
        assert_eq!(
            unix_seconds(Timestamp::from_millisecond(milliseconds).unwrap()),
            text
        );
    }
}
