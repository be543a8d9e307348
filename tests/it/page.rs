//! The status page of the real process: what it tells after what was asked, what it never lets
//! through, and (`browser`) what a real Chromium makes of it.

mod browser;
mod causes;
mod trouble;

use std::time::Duration;

use hyper::{Method, StatusCode};

use crate::aggregator::{Cluster, REGISTERED, Recorded};
use crate::support::adapter::{self, Adapter, Answer};
use crate::support::aggregator::{ADMIN, AUTOSCALER, BOB};
use crate::support::exporter::Exporter;
use crate::support::html::{faults, text_of};
use crate::support::http_client;
use crate::support::poll;
use crate::support::prometheus::{Prometheus, TargetLabels};
use crate::support::tap::{Behaviour, Tap};

const STATUS: &str = "--status-address=127.0.0.1:0";

const SHOP: &str = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop";

/// A name that would be markup, and a rule that Prometheus refuses.
const RULES: &str = r#"
rules:
- seriesQuery: 'depth{namespace!="",pod!=""}'
  resources: {template: "<<.Resource>>"}
  metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)'
- seriesQuery: 'depth{namespace!="",pod!=""}'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  name: {as: "<b onclick=x>'depth'</b>"}
  metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)'
externalRules:
- seriesQuery: 'Lag{namespace!=""}'
  resources: {overrides: {namespace: {resource: namespace}}}
  metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>}) by (queue)'
"#;

const OBJECTS: &str = r#"
{apiVersion: v1, kind: Pod, metadata: {name: web-a, namespace: shop, labels: {app: web}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: web-b, namespace: shop, labels: {app: web}}}
"#;

const EXPOSITION: &str = "depth{namespace=\"shop\",pod=\"web-a\"} 1.5\n\
                          depth{namespace=\"shop\",pod=\"web-b\"} 20\n\
                          Lag{namespace=\"shop\",queue=\"<script>alert(1)</script>\"} 300\n";

/// Where the status page of this process is.
async fn page_of(adapter: &Adapter) -> String {
    poll::until(
        "the page has an address",
        Duration::from_secs(30),
        async || {
            let log = adapter.stderr();
            let (_, rest) = log.split_once("status page: ").ok_or("not said yet")?;
            let end = rest
                .find("/\n")
                .or_else(|| rest.find("/ "))
                .ok_or("half said")?;
            Ok(rest[..end].to_owned())
        },
    )
    .await
}

async fn get(url: &str, headers: &[(&str, &str)]) -> Answer {
    let answer = adapter::send(&http_client(), Method::GET, url, headers).await;
    answer.unwrap_or_else(|reason| panic!("{url}: {reason}"))
}

/// The page as its reader sees it. Every page that a test looks at is one that everybody can use.
async fn read(url: &str) -> String {
    let answer = get(url, &[]).await;
    assert_eq!(answer.status, StatusCode::OK, "{url}: {}", answer.body);
    assert_eq!(faults(&answer.body), Vec::<String>::new(), "{url}");
    text_of(&answer.body)
}

/// Reads until all of this is on the page.
async fn read_until(url: &str, parts: &[&str]) -> String {
    let read = poll::try_until(url, Duration::from_secs(30), async || {
        let text = read(url).await;
        match parts.iter().find(|part| !text.contains(**part)) {
            None => Ok(text),
            Some(part) => Err(format!("{part}\nis not in\n{text}")),
        }
    });
    read.await.unwrap_or_else(|last| panic!("{last}"))
}

/// An adapter without a cluster over a real Prometheus.
struct World {
    adapter: Adapter,
    page: String,
    prometheus: Prometheus,
    _exporter: Exporter,
}

impl World {
    async fn new() -> World {
        let exporter = Exporter::start(|_| EXPOSITION.to_owned()).await;
        let prometheus = Prometheus::start(&[exporter.address], TargetLabels::Dropped).await;
        prometheus.wait_for(&["depth", "Lag"]).await;
        let flags = [STATUS, "--query-ttl=100ms", "--stale-grace=0s"];
        let adapter = Adapter::standalone(OBJECTS, RULES, &prometheus.url, &flags).await;
        let adapter = adapter.expect("the rules must load");
        let page = page_of(&adapter).await;
        World {
            adapter,
            page,
            prometheus,
            _exporter: exporter,
        }
    }

    async fn ask(&self, path: &str, agent: &str) -> Answer {
        let headers = [("User-Agent", agent)];
        self.adapter.request(Method::GET, path, &headers).await
    }
}

#[tokio::test]
async fn values_callers_rules_and_backends_are_told_as_they_are() {
    let world = World::new().await;
    for _ in 0..3 {
        let path = format!("{SHOP}/pods/*/depth?labelSelector=app%3Dweb");
        let answer = world.ask(&path, "kubectl/v1.36.0 (linux/amd64)").await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    }
    // client-go writes it in lower case.
    let lag = "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/lag";
    assert_eq!(world.ask(lag, "curl/8.5.0").await.status, StatusCode::OK);
    let text = read_until(
        &world.page,
        &[
            "Well",
            "depth pods 1.5 – 20 2 values",
            "3/min kubectl/v1.36.0 for app=web in shop 3/min",
            "Lag external 300",
            "curl/8.5.0 for all in shop",
            "depth namespaces not asked for",
            "rules[0] line 3",
            "Lag{namespace!=\"\"}",
            "Listed",
            "Recent errors None.",
        ],
    )
    .await;
    let (_, backend) = text
        .split_once(" Backends ")
        .expect("the backends must be there");
    assert!(backend.contains("default"), "{backend}");
    assert!(text.contains("rules.yaml read"), "{text}");
}

#[tokio::test]
async fn the_list_can_be_filtered_and_its_order_is_by_name_after_what_is_asked_for() {
    let world = World::new().await;
    world
        .ask(
            "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/Lag",
            "curl",
        )
        .await;
    let text = read_until(&world.page, &["Lag external 300", "depth pods"]).await;
    let place = |part: &str| {
        text.find(part)
            .unwrap_or_else(|| panic!("{part} in {text}"))
    };
    assert!(place("Lag external") < place("depth namespaces"));
    assert!(place("depth namespaces") < place("depth pods"));
    let text = read(&format!("{}/?q=LAG", world.page)).await;
    assert!(
        text.contains("Lag external") && !text.contains("depth pods"),
        "{text}"
    );
    assert!(
        text.contains("1 metric of 5 with \u{201C}LAG\u{201D}"),
        "{text}"
    );
    let text = read(&format!("{}/?q=%3Cscript%3E", world.page)).await;
    assert!(
        text.contains("None of 5 metrics has \u{201C}<script>\u{201D}"),
        "{text}"
    );
}

#[tokio::test]
async fn errors_are_told_once_with_their_count_and_who_had_them_last() {
    let mut world = World::new().await;
    let wrong = format!("{SHOP}/pods/*/depht?labelSelector=app%3Dweb");
    for agent in ["kubectl/v1", "kubectl/v1", "curl/8"] {
        assert_eq!(world.ask(&wrong, agent).await.status, StatusCode::NOT_FOUND);
    }
    let text = read(&world.page).await;
    let (_, errors) = text
        .split_once(" Recent errors ")
        .expect("errors must be there");
    assert!(
        errors.contains(" 3 404 the server could not find the metric depht"),
        "{errors}"
    );
    assert!(
        errors.contains("curl/8") && !errors.contains("kubectl/v1"),
        "{errors}"
    );

    world.prometheus.stop().await;
    let path = format!("{SHOP}/pods/*/depth");
    let failed = poll::try_until(
        "Prometheus is gone",
        Duration::from_secs(30),
        async || match world.ask(&path, "curl/8").await.status {
            StatusCode::SERVICE_UNAVAILABLE => Ok(()),
            status => Err(status.to_string()),
        },
    );
    failed.await.expect("an ask must fail without Prometheus");
    let gone = "The backend default";
    let text = read_until(
        &world.page,
        &["depth pods", "503: unable to fetch metrics", gone],
    )
    .await;
    assert!(!text.starts_with("Well"), "{text}");
}

#[tokio::test]
async fn what_strangers_write_is_shown_and_never_markup() {
    let world = World::new().await;
    let agent = "<script>alert('agent')</script>";
    let name = "%3Cb%20onclick=x%3E'depth'%3C%2Fb%3E";
    let selector = "labelSelector=%22%3E%3Cimg%20src%3Dx%3E";
    for path in [
        format!("{SHOP}/pods/*/{name}"),
        format!("{SHOP}/pods/*/%3Cscript%3E?{selector}"),
        format!("{SHOP}/%3Csvg%20onload=x%3E/*/y"),
        "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/Lag".to_owned(),
    ] {
        world.ask(&path, agent).await;
    }
    let url = format!("{}/?q=", world.page);
    let answer = get(&url, &[]).await;
    for markup in ["<script", "<img", "<svg onload", "<b onclick"] {
        assert!(!answer.body.contains(markup), "{markup}: {}", answer.body);
    }
    let text = read(&url).await;
    for shown in [
        "<script>alert('agent')</script>",
        "<b onclick=x>'depth'</b>",
    ] {
        assert!(text.contains(shown), "{shown}: {text}");
    }
}

#[tokio::test]
async fn nobody_is_served_who_comes_by_another_name_or_wants_to_write() {
    let world = World::new().await;
    let url = format!("{}/", world.page);
    let answer = get(&url, &[]).await;
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
        ("content-type", "text/html; charset=utf-8"),
    ] {
        assert_eq!(answer.headers[name], value);
    }
    let policy = answer.headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    let rebound = get(&url, &[("Host", "evil.example")]).await;
    assert_eq!(rebound.status, StatusCode::MISDIRECTED_REQUEST);
    assert!(!rebound.body.contains("depth"), "{}", rebound.body);
    let loaded = get(
        &url,
        &[
            ("Sec-Fetch-Site", "cross-site"),
            ("Sec-Fetch-Mode", "no-cors"),
        ],
    )
    .await;
    assert_eq!(loaded.status, StatusCode::FORBIDDEN);
    let posted = adapter::send(&http_client(), Method::POST, &url, &[])
        .await
        .unwrap();
    assert_eq!(posted.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(posted.headers["allow"], "GET, HEAD");
    let head = adapter::send(&http_client(), Method::HEAD, &url, &[])
        .await
        .unwrap();
    assert_eq!((head.status, head.body.as_str()), (StatusCode::OK, ""));
    let nothing = get(&format!("{url}metrics"), &[]).await;
    assert_eq!(nothing.status, StatusCode::NOT_FOUND);
    assert_eq!(get(&format!("{url}livez"), &[]).await.body, "ok\n");
}

#[tokio::test]
async fn in_a_cluster_the_hpa_controller_is_known_by_its_user_and_whoever_is_forbidden_is_told() {
    let recorded = Recorded::start().await;
    let url = &recorded.prometheus.url;
    let cluster = Cluster::start(recorded.rules, url, &[STATUS], &REGISTERED).await;
    let page = page_of(&cluster.adapter).await;
    let path = format!("{SHOP}/pods/*/queue_depth?labelSelector=app%3Dweb");
    for user in [&AUTOSCALER, &ADMIN] {
        let answer = cluster.ask(user, &path, &[]).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    }
    let refused = cluster.ask(&BOB, &path, &[]).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let text = read_until(&page, &["HPA controller for app=web in shop", "In step"]).await;
    assert!(text.contains(&format!("as {}", ADMIN.name)), "{text}");
    let (before, errors) = text.split_once(" Recent errors ").unwrap();
    assert!(
        errors.contains(" 403 ") && errors.contains("as bob"),
        "{errors}"
    );
    assert!(
        !before.contains("bob"),
        "one who may not ask is nobody who asks: {before}"
    );
}

#[tokio::test]
async fn without_the_flag_nobody_listens_and_an_address_that_is_open_to_all_is_warned_about() {
    let tap = Tap::start("http://127.0.0.1:1").await;
    tap.behave(Behaviour::Close);
    let start = async |flags: &[&str]| {
        let adapter = Adapter::standalone(OBJECTS, RULES, &tap.url, flags).await;
        adapter.expect("it must start")
    };
    let without = start(&[]).await;
    assert!(
        !without.stderr().contains("status page"),
        "{}",
        without.stderr()
    );
    let open = start(&["--status-address=0.0.0.0:0"]).await;
    let _page = page_of(&open).await;
    assert!(
        open.stderr().contains("whoever reaches this address"),
        "{}",
        open.stderr()
    );
    let local = start(&[STATUS]).await;
    let page = page_of(&local).await;
    assert!(
        !local.stderr().contains("whoever reaches"),
        "{}",
        local.stderr()
    );
    read_until(
        &page,
        &["Not well", "The backend default has not answered for "],
    )
    .await;
}

#[tokio::test]
async fn a_metric_is_explained_step_by_step_for_people_and_for_programs() {
    let world = World::new().await;
    let path = format!("{SHOP}/pods/*/depth?labelSelector=app%3Dweb");
    assert_eq!(world.ask(&path, "curl/8").await.status, StatusCode::OK);
    let html = get(&world.page, &[]).await.body;
    let link = html
        .split('"')
        .find(|it| it.starts_with("/explain?path=") && it.contains("depth"));
    let link = link
        .expect("a metric must have a link")
        .replace("&amp;", "&");
    let text = read(&format!("{}{link}", world.page)).await;
    assert!(
        text.contains("Served") && text.contains("sum(depth"),
        "{text}"
    );
    let json = [("Accept", "application/json")];
    let answer = get(&format!("{}{link}", world.page), &json).await;
    let explained: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(
        (&explained["served"], &explained["code"]),
        (&true.into(), &200.into())
    );

    let wrong = "/explain?path=%2Fapis%2Fcustom.metrics.k8s.io%2Fv1beta2%2Fnamespaces%2Fshop%2Fpods%2F*\
                 %2F%3Cscript%3E";
    let answer = get(&format!("{}{wrong}", world.page), &[]).await;
    assert!(!answer.body.contains("<script"), "{}", answer.body);
    let text = read(&format!("{}{wrong}", world.page)).await;
    assert!(
        text.contains("Not served") && text.contains("no-rule"),
        "{text}"
    );
    assert!(text.contains("<script>"), "{text}");
    let form = read(&format!("{}/explain", world.page)).await;
    assert!(form.contains("API path"), "{form}");
    let long = format!("{}/explain?path={}", world.page, "a".repeat(5000));
    assert_eq!(get(&long, &[]).await.status, StatusCode::URI_TOO_LONG);
    // It is nobody's ask.
    let text = read(&world.page).await;
    assert!(
        text.contains("curl/8") && !text.contains("somebody"),
        "{text}"
    );
}
