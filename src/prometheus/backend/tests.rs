//! A backend against servers that do as told.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Semaphore;

use crate::prometheus::tests::server::{Reply, Server, json, typed};
use crate::promql::Enforcer;

use super::*;

const VALUE: &str = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"7"]}]}}"#;
const NAMES: &str = r#"{"status":"success","data":["a"]}"#;
const WARNED: &str = r#"{"status":"success","warnings":["store-2 is away"],"data":{"resultType":"vector","result":[]}}"#;
const PARTIAL: &str =
    r#"{"status":"success","isPartial":true,"data":{"resultType":"vector","result":[]}}"#;
const INFORMED: &str =
    r#"{"status":"success","infos":["a hint"],"data":{"resultType":"vector","result":[]}}"#;
const ANNOTATED: &str = r#"{"status":"success","warnings":["PromQL warning: a mix","PromQL info: no counter"],"data":{"resultType":"vector","result":[]}}"#;
const BOTH: &str = r#"{"status":"success","warnings":["PromQL info: no counter","store-2 is away"],"data":{"resultType":"vector","result":[]}}"#;
const STATED: &str = r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#;
const UNSTATED: &str = r#"{"status":"error","errorType":"not_found","error":"no route"}"#;
const LONG: Duration = Duration::from_secs(30);

/// A server that answers everything as it should.
async fn well() -> Server {
    Server::plain(|request| {
        let query = request.line.contains("/query?") || request.line.contains("/query ");
        json("200 OK", if query { VALUE } else { NAMES })
    })
    .await
}

async fn replying(reply: impl Fn() -> Reply + Send + Sync + 'static) -> Server {
    Server::plain(move |_| reply()).await
}

fn settings(url: &str) -> Settings {
    Settings {
        backend: Some("team-a".to_owned()),
        url: url.to_owned(),
        timeout: LONG,
        ..Settings::default()
    }
}

fn plan(urls: &[&str]) -> Plan {
    Plan {
        name: "team-a".to_owned(),
        replicas: urls.iter().map(|url| settings(url)).collect(),
        concurrency: 20,
        enforced: Enforcer::default(),
        listing_timeout: LONG,
        listing_bytes_max: 1 << 20,
    }
}

/// One that is never asked: a name, for tests of what is remembered.
pub(crate) fn nobody(name: &str) -> Arc<Backend> {
    let plan = Plan {
        name: name.to_owned(),
        ..plan(&[])
    };
    Arc::new(Backend::new(&plan, Metrics::new()).unwrap())
}

fn backend(urls: &[&str]) -> Backend {
    Backend::new(&plan(urls), Metrics::new()).unwrap()
}

async fn within(backend: &Backend, budget: Duration, partial: Partial) -> Result<Vec<f64>, Error> {
    parts(backend, budget, partial, &[]).await
}

async fn parts(
    backend: &Backend,
    budget: Duration,
    partial: Partial,
    further: &[String],
) -> Result<Vec<f64>, Error> {
    let question = Question {
        promql: "up",
        further,
        at: Timestamp::UNIX_EPOCH,
        budget,
        partial,
    };
    let add = |values: &mut Vec<f64>, sample: Sample| {
        values.push(sample.value);
        Ok(())
    };
    let answer = backend.query(question, Vec::new(), add).await;
    answer.map(|answer| answer.value)
}

async fn ask(backend: &Backend) -> Result<Vec<f64>, Error> {
    within(backend, LONG, Partial::Accept).await
}

/// The address of a server that is no more.
async fn gone() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

fn half() -> Reply {
    let length = VALUE.len();
    let start = &VALUE[..length - 20];
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length:";
    Reply::Close(format!("{head} {length}\r\n\r\n{start}").into_bytes())
}

#[tokio::test]
async fn the_next_replica_is_asked_where_it_may_do_better() {
    let replies: [fn() -> Reply; 14] = [
        || typed("404 Not Found", "text/plain", "404 page not found"),
        || typed("401 Unauthorized", "text/plain", ""),
        || typed("200 OK", "text/html", "<html>"),
        || typed("200 OK", "text/plain", "be right back"),
        || json("200 OK", r#"{"status":"success","data":{}}"#),
        || typed("400 Bad Request", "text/plain", ""),
        || json("404 Not Found", UNSTATED),
        || json("200 OK", UNSTATED),
        || {
            typed(
                "302 Found\r\nLocation: https://login.example/",
                "text/plain",
                "",
            )
        },
        || typed("502 Bad Gateway", "text/html", "<html>"),
        || typed("503 Service Unavailable", "text/plain", ""),
        || Reply::Close(Vec::new()),
        half,
        || json("500 Internal Server Error", STATED),
    ];
    for reply in replies {
        let (sick, good) = (replying(reply).await, well().await);
        let backend = backend(&[&sick.url, &good.url]);
        assert_eq!(ask(&backend).await.unwrap(), [7.0]);
        assert_eq!((sick.seen().len(), good.seen().len()), (1, 1));
        // The one that answered is asked first from now on.
        assert_eq!(ask(&backend).await.unwrap(), [7.0]);
        assert_eq!((sick.seen().len(), good.seen().len()), (1, 2));
    }
    let good = well().await;
    let backend = backend(&[&gone().await, &good.url]);
    assert_eq!(ask(&backend).await.unwrap(), [7.0]);
    let names = backend.labels("up", Timestamp::UNIX_EPOCH, LONG).await;
    assert_eq!(names.unwrap().0, ["a"]);
}

#[tokio::test]
async fn what_the_first_replica_has_decided_is_not_asked_again() {
    let replies: [fn() -> Reply; 5] = [
        || json("400 Bad Request", STATED),
        || json("200 OK", STATED),
        || {
            json(
                "422 Unprocessable Entity",
                r#"{"status":"error","errorType":"execution"}"#,
            )
        },
        || {
            json(
                "422 Unprocessable Entity",
                r#"{"status":"error","errorType":"422"}"#,
            )
        },
        || {
            json(
                "200 OK",
                r#"{"data":{"resultType":"string","result":[1,"a"]}}"#,
            )
        },
    ];
    for reply in replies {
        let (first, second) = (replying(reply).await, well().await);
        let backend = backend(&[&first.url, &second.url]);
        for _ in 0..2 {
            assert!(ask(&backend).await.is_err());
        }
        assert_eq!((first.seen().len(), second.seen().len()), (2, 0));
    }
}

#[tokio::test]
async fn a_slow_query_sends_nobody_away_from_a_replica_that_answers() {
    let server = Server::plain(|request| match request.line.contains("slow") {
        true => Reply::Hang(Vec::new()),
        false => json("200 OK", VALUE),
    })
    .await;
    let other = well().await;
    let backend = Arc::new(backend(&[&server.url, &other.url]));
    let slow = {
        let backend = Arc::clone(&backend);
        let budget = Duration::from_secs(2);
        tokio::spawn(
            async move { parts(&backend, budget, Partial::Accept, &["slow".to_owned()]).await },
        )
    };
    while server.seen().len() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(ask(&backend).await.unwrap(), [7.0]);
    assert!(slow.await.unwrap().unwrap_err().is_timeout());
    assert_eq!(ask(&backend).await.unwrap(), [7.0]);
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn what_each_replica_said_is_told_where_time_runs_out_at_the_last() {
    let gone = gone().await;
    let hung = replying(|| Reply::Hang(Vec::new())).await;
    let backend = backend(&[&gone, &hung.url]);
    let short = Duration::from_millis(300);
    let error = within(&backend, short, Partial::Accept).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "backend team-a: none of 2 replicas answers: cannot reach Prometheus at {gone}: \
             connection refused; Prometheus did not answer in the time the request had left"
        )
    );
    assert!(error.is_timeout());
}

#[tokio::test]
async fn a_whole_answer_is_sought_where_an_incomplete_one_is_refused() {
    let (sick, good) = (replying(|| json("200 OK", WARNED)).await, well().await);
    let pair = backend(&[&sick.url, &good.url]);
    assert_eq!(ask(&pair).await.unwrap(), [0.0; 0]);
    let whole = within(&pair, LONG, Partial::Refuse).await.unwrap();
    assert_eq!(whole, [7.0]);
    let all_sick = backend(&[&sick.url, &sick.url]);
    let error = within(&all_sick, LONG, Partial::Refuse).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "backend team-a: none of 2 replicas answers: the backend says its answer is partial: \
         store-2 is away; the backend says its answer is partial: store-2 is away"
    );
}

#[tokio::test]
async fn one_replica_answers_all_parts_of_a_query_and_another_begins_anew() {
    let first = Server::plain(|request| match request.line.contains("part-3") {
        true => typed("503 Service Unavailable", "text/plain", ""),
        false => json("200 OK", VALUE),
    })
    .await;
    let second = replying(|| json("200 OK", &VALUE.replace("\"7\"", "\"8\""))).await;
    let backend = backend(&[&first.url, &second.url]);
    let further = ["part-2".to_owned(), "part-3".to_owned()];
    let rows = parts(&backend, LONG, Partial::Accept, &further).await;
    assert_eq!(rows.unwrap(), [8.0, 8.0, 8.0]);
    assert_eq!((first.seen().len(), second.seen().len()), (3, 3));
}

#[tokio::test]
async fn rows_of_two_replicas_are_never_mixed() {
    let row = r#"{"metric":{},"value":[1,"1"]}"#;
    let many = vec![row; 2_000].join(",");
    let start = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99999999\r\n\r\n\
         {{\"status\":\"success\",\"data\":{{\"resultType\":\"vector\",\"result\":[{many}"
    );
    let torn = replying(move || Reply::Close(start.clone().into_bytes())).await;
    let good = well().await;
    let mut plan = plan(&[&torn.url, &good.url]);
    for replica in &mut plan.replicas {
        replica.response_bytes_max = 1 << 30;
    }
    let backend = Backend::new(&plan, Metrics::new()).unwrap();
    assert_eq!(ask(&backend).await.unwrap(), [7.0]);
    assert_eq!(torn.seen().len(), 1);
}

#[tokio::test]
async fn replicas_share_one_deadline_and_one_that_hangs_is_not_asked_first_again() {
    let (hung, good) = (replying(|| Reply::Hang(Vec::new())).await, well().await);
    let backend = backend(&[&hung.url, &good.url]);
    let short = Duration::from_millis(300);
    let began = std::time::Instant::now();
    let error = within(&backend, short, Partial::Accept).await.unwrap_err();
    assert!(began.elapsed() < LONG / 2);
    assert!(error.is_timeout(), "{error}");
    assert!(good.seen().is_empty());
    assert_eq!(ask(&backend).await.unwrap(), [7.0]);
    assert_eq!(hung.seen().len(), 1);
}

#[tokio::test]
async fn a_query_has_the_time_that_it_is_given_and_its_error_names_that() {
    let server = replying(|| Reply::Hang(Vec::new())).await;
    let mut plan = plan(&[&server.url]);
    let backend = |timeout| {
        plan.replicas[0].timeout = timeout;
        Backend::new(&plan, Metrics::new()).unwrap()
    };
    // That of its rule may be longer than that of the backend, and shorter.
    let given = Duration::from_millis(300);
    for backend in [Duration::from_millis(20), LONG].map(backend) {
        let began = std::time::Instant::now();
        let error = within(&backend, given, Partial::Accept).await.unwrap_err();
        assert!(began.elapsed() >= given);
        assert_eq!(
            error.to_string(),
            "backend team-a: Prometheus did not answer within 0.3s"
        );
    }
}

#[tokio::test]
async fn an_address_that_swallows_everything_is_given_up_for_the_next_one() {
    // No more connections are taken up than wait to be accepted; the next ones are not answered.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = socket.listen(1).unwrap();
    let address = full.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(Ok(connection)) = tokio::time::timeout(
        Duration::from_millis(300),
        tokio::net::TcpStream::connect(address),
    )
    .await
    {
        waiting.push(connection);
    }
    let good = well().await;
    let mut plan = plan(&[&format!("http://{address}"), &good.url]);
    plan.replicas[0].connect_timeout = Some(Duration::from_millis(200));
    let backend = Backend::new(&plan, Metrics::new()).unwrap();
    assert_eq!(ask(&backend).await.unwrap(), [7.0]);
    assert_eq!(good.seen().len(), 1);
}

#[tokio::test]
async fn where_no_replica_answers_each_is_told_in_the_order_of_the_file() {
    let sick = replying(|| typed("502 Bad Gateway", "text/html", "<html>")).await;
    let gone = gone().await;
    let backend = backend(&[&sick.url, &gone]);
    for _ in 0..2 {
        let error = ask(&backend).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "backend team-a: none of 2 replicas answers: Prometheus answered 502 Bad Gateway; \
                 cannot reach Prometheus at {gone}: connection refused"
            )
        );
        assert_eq!(error.class(), "bad_status");
    }
}

#[tokio::test]
async fn errors_name_the_backend_and_its_own_settings() {
    for (reply, expected) in [
        (
            "401 Unauthorized",
            "backend team-a: Prometheus answered 401 Unauthorized: check its `auth`, `headers`, \
             `headersFrom` and `tenant`",
        ),
        (
            "404 Not Found",
            "backend team-a: Prometheus answered 404 Not Found: is the path in its `url` right?",
        ),
        (
            "405 Method Not Allowed",
            "backend team-a: Prometheus answered 405 Method Not Allowed: try the other `verb`",
        ),
        (
            "200 OK",
            "backend team-a: Prometheus answered HTML, not JSON: is its `url` a Prometheus API, or \
             a login page?",
        ),
    ] {
        let server = replying(move || typed(reply, "text/html", "<html>")).await;
        let error = ask(&backend(&[&server.url])).await.unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert!(!error.to_string().contains("--prometheus"));
    }
}

#[tokio::test]
async fn no_more_requests_are_open_than_the_concurrency_and_the_rest_waits_its_turn() {
    let permits = Arc::new(Semaphore::new(0));
    let server = {
        let permits = Arc::clone(&permits);
        Server::plain(move |request| {
            let query = request.line.contains("/query");
            let Reply::Bytes(bytes) = json("200 OK", if query { VALUE } else { NAMES }) else {
                unreachable!("such is a JSON reply")
            };
            Reply::Permitted(Arc::clone(&permits), bytes)
        })
        .await
    };
    let mut plan = plan(&[&server.url]);
    plan.concurrency = 20;
    let metrics = Metrics::new();
    let backend = Arc::new(Backend::new(&plan, Arc::clone(&metrics)).unwrap());
    let asks = (0..2_000).map(|number| {
        let backend = Arc::clone(&backend);
        tokio::spawn(async move {
            match number % 2 {
                0 => ask(&backend).await.map(drop),
                _ => {
                    let names = backend.labels("up", Timestamp::UNIX_EPOCH, LONG);
                    names.await.map(drop)
                }
            }
        })
    });
    let asks: Vec<_> = asks.collect();
    let label = BackendLabel {
        backend: "team-a".to_owned(),
    };
    let waiting = metrics.upstream_waiting.get_or_create_owned(&label);
    while server.seen().len() < 20 || waiting.get() < 1_980 {
        tokio::task::yield_now().await;
    }
    permits.add_permits(2_000);
    for asked in asks {
        asked.await.unwrap().unwrap();
    }
    assert_eq!((server.seen().len(), server.most_open()), (2_000, 20));
    let text = metrics.text();
    for line in [
        r#"tidegauge_upstream_open{backend="team-a"} 0"#,
        r#"tidegauge_upstream_waiting{backend="team-a"} 0"#,
        r#"tidegauge_upstream_requests_total{backend="team-a",kind="query",outcome="ok"} 1000"#,
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
}

#[tokio::test]
async fn a_backend_that_hangs_holds_its_places_and_the_rest_is_told_in_time() {
    let server = replying(|| Reply::Hang(Vec::new())).await;
    let mut plan = plan(&[&server.url]);
    plan.concurrency = 2;
    let metrics = Metrics::new();
    let backend = Arc::new(Backend::new(&plan, Arc::clone(&metrics)).unwrap());
    let holders: Vec<_> = (0..2)
        .map(|_| {
            let backend = Arc::clone(&backend);
            tokio::spawn(async move { ask(&backend).await })
        })
        .collect();
    while server.seen().len() < 2 {
        tokio::task::yield_now().await;
    }
    let text = metrics.text();
    assert!(
        text.contains(r#"tidegauge_upstream_open{backend="team-a"} 2"#),
        "{text}"
    );
    let short = Duration::from_millis(50);
    let error = within(&backend, short, Partial::Accept).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "backend team-a: 2 queries are open at Prometheus and no place came free within 0.05s: \
         they are slow, or its `concurrency` is too low"
    );
    assert_eq!(error.class(), "busy");
    // Whoever hangs up gives the place back.
    holders.iter().for_each(|holder| holder.abort());
    for holder in holders {
        assert!(holder.await.unwrap_err().is_cancelled());
    }
    let error = within(&backend, short, Partial::Accept).await.unwrap_err();
    assert_eq!(error.class(), "timeout");
    assert!(
        metrics
            .text()
            .contains(r#"tidegauge_upstream_open{backend="team-a"} 0"#)
    );
}

#[tokio::test]
async fn a_limit_is_counted_by_its_own_name_and_what_a_relist_asks_has_others() {
    let limits = |backend: &Backend| {
        [
            Limit::PrometheusTimeout,
            Limit::RelistTimeout,
            Limit::MaxRows,
            Limit::ListedNames,
        ]
        .map(|limit| backend.metrics.reached.get(limit))
    };
    let hanging = replying(|| Reply::Hang(Vec::new())).await;
    let (longest, short) = (Duration::from_millis(200), Duration::from_millis(50));
    let mut plan = plan(&[&hanging.url]);
    plan.replicas[0].timeout = longest;
    let hanging = || Backend::new(&plan, Metrics::new()).unwrap();
    let asked = hanging();
    within(&asked, short, Partial::Accept).await.unwrap_err();
    assert_eq!(limits(&asked), [1, 0, 0, 0]);
    // As long as a query may take; what is left of a relist; and more than that.
    let (own, left) = ("within 0.2s", "in the time the request had left");
    for (budget, expected, said) in [
        (longest, [1, 0, 0, 0], own),
        (short, [0, 1, 0, 0], left),
        (longest + short, [0, 1, 0, 0], left),
    ] {
        let asked = hanging();
        let none = |_: &mut (), _| Ok(());
        let answer = asked.series("up", Timestamp::UNIX_EPOCH, budget, (), none);
        let error = answer.await.unwrap_err().to_string();
        assert_eq!(limits(&asked), expected, "{budget:?}");
        assert!(error.ends_with(said), "{error}");
    }
    let series = r#"{"status":"success","data":[{"__name__":"a"}]}"#;
    let server = Server::plain(move |request| match request.line.contains("/series") {
        true => json("200 OK", series),
        false => json("200 OK", VALUE),
    });
    let server = server.await;
    let asked = backend(&[&server.url]);
    let refuse = |_: &mut (), _| Err(Refusal("enough".to_owned()));
    let answer = asked.series("up", Timestamp::UNIX_EPOCH, LONG, (), refuse);
    answer.await.unwrap_err();
    assert_eq!(limits(&asked), [0, 0, 0, 1]);
    let question = Question {
        promql: "up",
        further: &[],
        at: Timestamp::UNIX_EPOCH,
        budget: LONG,
        partial: Partial::Accept,
    };
    let refuse = |_: &mut (), _| Err(Refusal("enough".to_owned()));
    let answer = asked.query(question, (), refuse);
    assert!(answer.await.is_err());
    assert_eq!(limits(&asked), [0, 0, 1, 1]);
}

#[tokio::test]
async fn incomplete_answers_are_counted_and_refused_where_that_is_wanted() {
    for (body, expected) in [
        (
            WARNED,
            Some("backend team-a: the backend says its answer is partial: store-2 is away"),
        ),
        (
            PARTIAL,
            Some("backend team-a: the backend says its answer is partial"),
        ),
        (INFORMED, None),
        (ANNOTATED, None),
        (
            BOTH,
            Some("backend team-a: the backend says its answer is partial: store-2 is away"),
        ),
    ] {
        let server = replying(move || json("200 OK", body)).await;
        let metrics = Metrics::new();
        let backend = Backend::new(&plan(&[&server.url]), Arc::clone(&metrics)).unwrap();
        assert_eq!(ask(&backend).await.unwrap(), [0.0; 0]);
        let refused = within(&backend, LONG, Partial::Refuse).await.err();
        assert_eq!(refused.map(|error| error.to_string()).as_deref(), expected);
        let text = metrics.text();
        let warned = body.matches("PromQL ").count() + body.matches("store-2").count();
        let (warnings, partial) = (warned * 2, u8::from(body == PARTIAL) * 2);
        for line in [
            format!(r#"tidegauge_upstream_warnings_total{{backend="team-a"}} {warnings}"#),
            format!(r#"tidegauge_upstream_partial_responses_total{{backend="team-a"}} {partial}"#),
        ] {
            assert!(text.contains(&line), "{line} in\n{text}");
        }
    }
}

#[tokio::test]
async fn enforced_matchers_are_in_all_that_is_sent_and_nothing_else_is_sent() {
    let server = well().await;
    let mut plan = plan(&[&server.url]);
    plan.enforced = Enforcer::new(vec![("cluster".to_owned(), "prod".to_owned())]);
    let backend = Backend::new(&plan, Metrics::new()).unwrap();
    let start = Timestamp::UNIX_EPOCH;
    ask(&backend).await.unwrap();
    backend
        .label_values("__name__", "up", start, LONG)
        .await
        .unwrap();
    backend.labels("up", start, LONG).await.unwrap();
    let _ = backend.series("up", start, LONG, (), |(), _| Ok(())).await;
    let held = "up%7Bcluster%3D%22prod%22%7D";
    let seen = server.seen();
    assert_eq!(seen.len(), 4);
    for request in &seen {
        let (name, value) = match request.line.contains("/query") {
            true => ("query", held),
            false => ("match%5B%5D", held),
        };
        assert!(
            request.line.contains(&format!("{name}={value}&")),
            "{}",
            request.line
        );
    }
    let refused = backend
        .labels("WITH (x = up) x", start, LONG)
        .await
        .unwrap_err();
    assert_eq!(refused.class(), "not_enforced");
    assert!(refused.to_string().starts_with(
        "backend team-a: cannot put {cluster=\"prod\"} into the query, for it is not understood: "
    ));
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn headers_parameters_and_passwords_of_files_go_with_every_request_and_are_followed() {
    let server = well().await;
    let folder = tempfile::tempdir().unwrap();
    let (password, key) = (folder.path().join("password"), folder.path().join("key"));
    std::fs::write(&password, "hunter2\n").unwrap();
    std::fs::write(&key, "first\n").unwrap();
    let mut plan = plan(&[&format!("{}/p?dedup=true", server.url)]);
    let replica = &mut plan.replicas[0];
    replica.recheck = Duration::ZERO;
    replica.headers = vec![("X-Scope-OrgID".to_owned(), "team-a".to_owned())];
    replica.headers_from = vec![("X-Key".to_owned(), key.clone())];
    replica.query_params = vec![
        ("partial_response".to_owned(), "false".to_owned()),
        ("storeMatch[]".to_owned(), "{a=\"b\"}".to_owned()),
    ];
    replica.basic = Some(("me".to_owned(), password.clone()));
    let mut posting = plan.replicas[0].clone();
    posting.verb = crate::prometheus::Verb::Post;
    let posting = Plan {
        replicas: vec![posting],
        ..plan_of(&plan)
    };
    for plan in [&plan, &posting] {
        let backend = Backend::new(plan, Metrics::new()).unwrap();
        let start = Timestamp::UNIX_EPOCH;
        ask(&backend).await.unwrap();
        backend
            .label_values("__name__", "up", start, LONG)
            .await
            .unwrap();
        backend.labels("up", start, LONG).await.unwrap();
    }
    let seen = server.seen();
    assert_eq!(
        seen.iter().filter(|it| it.line.starts_with("POST")).count(),
        2
    );
    for request in &seen {
        let line = &request.line;
        let given = "?dedup=true&partial_response=false&storeMatch%5B%5D=%7Ba%3D%22b%22%7D";
        assert!(line.contains(given), "{line}");
        assert_eq!(request.header("x-scope-orgid"), Some("team-a"));
        assert_eq!(request.header("x-key"), Some("first"));
        assert_eq!(
            request.header("authorization"),
            Some("Basic bWU6aHVudGVyMg==")
        );
    }
    std::fs::write(&password, "hunter3").unwrap();
    std::fs::write(&key, "second").unwrap();
    let backend = Backend::new(&plan, Metrics::new()).unwrap();
    ask(&backend).await.unwrap();
    let last = server.seen().pop().unwrap();
    assert_eq!(last.header("x-key"), Some("second"));
    assert_eq!(last.header("authorization"), Some("Basic bWU6aHVudGVyMw=="));
    assert!(!format!("{plan:?}").contains("hunter"));
    std::fs::write(&key, "two\nlines").unwrap();
    let error = Backend::new(&plan, Metrics::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "headersFrom.X-Key of backend team-a: {} does not hold the value of a header",
            key.display()
        )
    );
}

fn plan_of(plan: &Plan) -> Plan {
    Plan {
        name: plan.name.clone(),
        replicas: Vec::new(),
        concurrency: plan.concurrency,
        enforced: plan.enforced.clone(),
        listing_timeout: plan.listing_timeout,
        listing_bytes_max: plan.listing_bytes_max,
    }
}

#[tokio::test]
async fn two_backends_never_wait_for_each_other() {
    let (hung, good) = (replying(|| Reply::Hang(Vec::new())).await, well().await);
    let metrics = Metrics::new();
    let mut stuck = plan(&[&hung.url]);
    stuck.concurrency = 1;
    let stuck = Arc::new(Backend::new(&stuck, Arc::clone(&metrics)).unwrap());
    let free = Backend::new(&plan(&[&good.url]), metrics).unwrap();
    let waits: Vec<_> = (0..5)
        .map(|_| {
            let stuck = Arc::clone(&stuck);
            tokio::spawn(async move { ask(&stuck).await })
        })
        .collect();
    while hung.seen().is_empty() {
        tokio::task::yield_now().await;
    }
    let asked = tokio::time::timeout(Duration::from_secs(10), ask(&free)).await;
    assert_eq!(asked.unwrap().unwrap(), [7.0]);
    waits.iter().for_each(|wait| wait.abort());
}

#[tokio::test]
async fn a_replica_that_is_well_again_is_asked_when_the_other_one_fails() {
    let down = Arc::new(AtomicBool::new(true));
    let first = {
        let down = Arc::clone(&down);
        replying(move || match down.load(Ordering::SeqCst) {
            true => typed("503 Service Unavailable", "text/plain", ""),
            false => json("200 OK", VALUE),
        })
        .await
    };
    let second = {
        let down = Arc::clone(&down);
        replying(move || match down.load(Ordering::SeqCst) {
            true => json("200 OK", VALUE),
            false => typed("503 Service Unavailable", "text/plain", ""),
        })
        .await
    };
    let backend = backend(&[&first.url, &second.url]);
    ask(&backend).await.unwrap();
    down.store(false, Ordering::SeqCst);
    ask(&backend).await.unwrap();
    ask(&backend).await.unwrap();
    assert_eq!((first.seen().len(), second.seen().len()), (3, 2));
}

#[test]
fn a_backend_is_what_its_plan_says_and_nothing_else() {
    let with = |change: &dyn Fn(&mut Settings)| {
        let mut plan = plan(&["http://a"]);
        change(&mut plan.replicas[0]);
        plan
    };
    let secret = |text: &str| vec![("name".to_owned(), text.to_owned())];
    let file = || Some(std::path::PathBuf::from("/f"));
    let matcher = |value: &str| Enforcer::new(secret(value));
    let held = |value| Plan {
        enforced: matcher(value),
        ..plan(&["http://a"])
    };
    let settings = [
        with(&|it| it.url = "http://b".to_owned()),
        with(&|it| it.verb = crate::prometheus::Verb::Post),
        with(&|it| it.headers = secret("a")),
        with(&|it| it.headers = secret("b")),
        with(&|it| it.headers_from = vec![("name".to_owned(), "/f".into())]),
        with(&|it| it.query_params = secret("a")),
        with(&|it| it.basic = Some(("me".to_owned(), "/f".into()))),
        with(&|it| it.timeout = LONG / 2),
        with(&|it| it.server_name = Some("a".to_owned())),
        with(&|it| it.response_bytes_max = 1),
    ];
    // Their files need not be there to be compared.
    let of_files = [
        with(&|it| it.token_file = file()),
        with(&|it| it.ca_file = file()),
        with(&|it| it.auth = crate::prometheus::Auth::Kubeconfig("/f".into())),
    ];
    let whole = [
        plan(&["http://a"]),
        plan(&["http://a", "http://a"]),
        held("a"),
        held("b"),
    ];
    let all: Vec<Plan> = whole.into_iter().chain(settings).collect();
    for (index, plan) in all.iter().chain(&of_files).enumerate() {
        let same = all.iter().chain(&of_files).filter(|other| *other == plan);
        assert_eq!(same.count(), 1, "{index}");
    }
    let made = |plan: &Plan| Backend::new(plan, Metrics::new()).ok();
    let made: Vec<Backend> = all.iter().filter_map(made).collect();
    for (index, backend) in made.iter().enumerate() {
        let again = Backend::new(backend.plan(), Metrics::new()).unwrap();
        assert_eq!(made.iter().position(|it| *it == again), Some(index));
    }
}
