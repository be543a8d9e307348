//! What fails, since when and whose it is; and what keeps explanations from costing too much.

use std::time::Duration;

use hyper::StatusCode;
use tokio::task::JoinSet;

use super::{EXPOSITION, OBJECTS, RULES, SHOP, STATUS, World, get, page_of, read, read_until};
use crate::support::adapter::Adapter;
use crate::support::exporter::Exporter;
use crate::support::poll;
use crate::support::prometheus::{Prometheus, TargetLabels};
use crate::support::tap::{Behaviour, Tap};

/// As the HPA controller calls itself where nobody is authenticated.
const HPA: &str = "kube-controller-manager/v1.36.0 (linux/amd64) kubernetes/1 \
                   system:serviceaccount:kube-system:horizontal-pod-autoscaler";

/// An adapter over a Prometheus with a tap between them.
struct Tapped {
    adapter: Adapter,
    page: String,
    tap: Tap,
    _prometheus: Prometheus,
    _exporter: Exporter,
}

impl Tapped {
    async fn new() -> Tapped {
        let exporter = Exporter::start(|_| EXPOSITION.to_owned()).await;
        let prometheus = Prometheus::start(&[exporter.address], TargetLabels::Dropped).await;
        prometheus.wait_for(&["depth", "Lag"]).await;
        let tap = Tap::start(&prometheus.url).await;
        let flags = [
            STATUS,
            "--query-ttl=0s",
            "--stale-grace=0s",
            "--metrics-relist-interval=1s",
            // Longer than a test waits for anything.
            "--prometheus-timeout=60s",
            "--request-timeout=120s",
        ];
        let adapter = Adapter::standalone(OBJECTS, RULES, &tap.url, &flags).await;
        let adapter = adapter.expect("the rules must load");
        let page = page_of(&adapter).await;
        Tapped {
            adapter,
            page,
            tap,
            _prometheus: prometheus,
            _exporter: exporter,
        }
    }
}

/// What Prometheus says of a query that it cannot read.
fn refusal() -> Behaviour {
    Behaviour::Answer {
        status: 400,
        content_type: "application/json",
        body: r#"{"status":"error","errorType":"bad_data","error":"no such function"}"#.to_owned(),
    }
}

/// The part of a page between two of its headings.
fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let (_, rest) = text.split_once(from).unwrap_or_else(|| panic!("{text}"));
    rest.split_once(to).unwrap_or_else(|| panic!("{text}")).0
}

#[tokio::test]
async fn an_ask_that_fails_again_and_again_is_named_and_one_that_was_misspelt_once_is_not() {
    let world = World::new().await;
    let unknown = format!("{SHOP}/pods/*/depht?labelSelector=app%3Dweb");
    let answer = world.ask(&unknown, "kubectl/v1.36.0").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    let text = read(&world.page).await;
    assert!(
        text.contains(" Well ") && !text.contains("Failing asks"),
        "{text}"
    );
    assert!(text.contains("could not find the metric depht"), "{text}");
    for _ in 0..3 {
        let answer = world.ask(&unknown, HPA).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
    }
    let text = read(&world.page).await;
    let health = between(&text, " Impaired ", " Failing asks ");
    let who = "HPA controller (not authenticated) for depht of pods, app=web in shop";
    assert!(health.contains("1 ask fails, the longest for "), "{health}");
    assert!(health.contains(who), "{health}");
    let failing = between(&text, " Failing asks ", " Metrics ");
    for part in [
        "1 ask whose last answers were all errors",
        "HPA controller (not authenticated) depht of pods app=web in shop",
        " s 3 404 the server could not find the metric depht",
    ] {
        assert!(failing.contains(part), "{part}\n{failing}");
    }
    // It leads to its explanation.
    let html = get(&world.page, &[]).await.body;
    let mut texts = html.split('"').filter(|it| it.contains("depht"));
    let link = texts.find(|it| it.starts_with("/explain?"));
    let link = link.expect("it must have a link").replace("&amp;", "&");
    let explained = read(&format!("{}{link}", world.page)).await;
    assert!(
        explained.contains("Not served") && explained.contains("depht"),
        "{explained}"
    );
}

#[tokio::test]
async fn an_autoscaler_is_found_by_its_namespace_or_selector() {
    let world = World::new().await;
    for (selector, agent) in [
        ("app%3Dweb", HPA),
        ("app%3Dnone", "KEDA/2"),
        ("tier%3Dx", HPA),
    ] {
        let path = format!("{SHOP}/pods/*/depth?labelSelector={selector}");
        world.ask(&path, agent).await;
    }
    let found = async |query: &str| read(&format!("{}/?q={query}", world.page)).await;
    let text = found("shop+app%3Dweb").await;
    assert!(text.contains("1 metric of 5"), "{text}");
    assert!(text.contains("app=web in shop"), "{text}");
    assert!(
        !text.contains("app=none") && !text.contains("tier=x"),
        "{text}"
    );
    assert!(found("keda").await.contains("app=none in shop"));
    assert!(found("depth+nowhere").await.contains("None of 5 metrics"));
}

#[tokio::test]
async fn a_query_that_is_refused_is_not_a_backend_that_does_not_answer() {
    let world = Tapped::new().await;
    let page = &world.page;
    read_until(page, &["Well", "depth pods"]).await;
    world.tap.behave_for("depth", refusal());
    let text = read_until(page, &["The backend default refused ", "Failing for "]).await;
    assert!(!text.contains("has not answered"), "{text}");
    let health = between(&text, " Impaired ", " Metrics ");
    for part in [
        "no such function",
        "2 of 3 rules fail or are off: rules[0] for ",
        ", rules[1] for ",
    ] {
        assert!(health.contains(part), "{part}\n{health}");
    }
    world.tap.behave_for("depth", Behaviour::Forward);
    let healed = poll::try_until("the rules are well", Duration::from_secs(30), async || {
        let text = read(page).await;
        match text.contains("rules fail or are off") {
            false => Ok(()),
            true => Err(text),
        }
    });
    healed.await.unwrap_or_else(|last| panic!("{last}"));
    world.tap.behave(Behaviour::Close);
    let gone = ["Not well", "The backend default has not answered for "];
    let text = poll::try_until("nobody answers", Duration::from_secs(30), async || {
        let text = read(page).await;
        match gone.iter().find(|part| !text.contains(**part)) {
            // Answers of the last three minutes keep it from being bad.
            Some(_) if text.contains("did not answer") => Ok(text),
            Some(part) => Err(format!("{part}\n{text}")),
            None => Ok(text),
        }
    });
    text.await.unwrap_or_else(|last| panic!("{last}"));
}

#[tokio::test]
async fn explanations_are_few_at_one_time_and_nobody_s_frame_asks_for_one() {
    let world = Tapped::new().await;
    let path = "%2Fapis%2Fcustom.metrics.k8s.io%2Fv1beta2%2Fnamespaces%2Fshop%2Fpods%2F*%2Fdepth";
    let url = format!("{}/explain?path={path}", world.page);
    read_until(&url, &["Served"]).await;
    world.tap.take();
    for destination in ["iframe", "image", "embed"] {
        let framed = [
            ("Sec-Fetch-Site", "cross-site"),
            ("Sec-Fetch-Mode", "navigate"),
            ("Sec-Fetch-Dest", destination),
        ];
        assert_eq!(get(&url, &framed).await.status, StatusCode::FORBIDDEN);
    }
    assert_eq!(world.tap.take_queries(), Vec::<String>::new());
    world.tap.behave_for("sum(depth", Behaviour::Hang);
    let mut asked = JoinSet::new();
    for _ in 0..4 {
        let url = url.clone();
        asked.spawn(async move { get(&url, &[]).await });
    }
    let mut hanging = 0;
    poll::until("four wait", Duration::from_secs(30), async || {
        hanging += world.tap.take_queries().len();
        match hanging {
            4 => Ok(()),
            hanging => Err(format!("{hanging}")),
        }
    })
    .await;
    let refused = get(&url, &[]).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers["retry-after"], "1");
    // The page itself is not held up.
    read(&world.page).await;
    let metrics = world.adapter.get("/metrics").await.body;
    let counted = metrics
        .lines()
        .find(|line| line.contains("limit_reached") && line.contains("\"explanations\""));
    let counted = counted.unwrap_or_else(|| panic!("{metrics}"));
    assert!(!counted.ends_with(" 0"), "{counted}");
    asked.abort_all();
}
