//! Rules of several backends: each is asked of its own with what belongs there, one that is ill
//! harms no other, replicas stand in for each other, and what a backend is held to is in all that
//! it is asked.

use std::time::Duration;

use futures_util::future::join_all;
use hyper::{Method, StatusCode};
use serde_json::Value;

use crate::support::adapter::{Adapter, EACH_ASK};
use crate::support::exporter::Exporter;
use crate::support::poll;
use crate::support::prometheus::{Prometheus, TargetLabels};
use crate::support::tap::spans::most_open;
use crate::support::tap::{Behaviour, Seen, Tap};

const OBJECTS: &str = "{apiVersion: v1, kind: Pod, metadata: {name: web-a, namespace: shop}}";
const PATIENCE: Duration = Duration::from_secs(30);

/// Two servers that have the same series with other values, each behind a tap.
struct World {
    _exporters: [Exporter; 2],
    _servers: [Prometheus; 2],
    a: Tap,
    b: Tap,
}

impl World {
    async fn start() -> World {
        let text = |value: u8| {
            let depth = |team: &str, value: u8| {
                format!(
                    "depth{{namespace=\"shop\",pod=\"web-a\",team=\"{team}\"}} {value}\n\
                     of_{team}{{namespace=\"shop\",pod=\"web-a\",team=\"{team}\"}} {value}\n"
                )
            };
            depth("a", value) + &depth("b", value + 100)
        };
        let exporters = [
            Exporter::start(move |_| text(1)).await,
            Exporter::start(move |_| text(2)).await,
        ];
        let [first, second] = &exporters;
        let servers = [
            Prometheus::start(&[first.address], TargetLabels::Dropped).await,
            Prometheus::start(&[second.address], TargetLabels::Dropped).await,
        ];
        for server in &servers {
            server.wait_for(&["depth", "of_b"]).await;
        }
        World {
            a: Tap::start(&servers[0].url).await,
            b: Tap::start(&servers[1].url).await,
            _exporters: exporters,
            _servers: servers,
        }
    }

    async fn adapter(&self, rules: &str, flags: &[&str]) -> Adapter {
        let rules = rules
            .replace("URL_A", &self.a.url)
            .replace("URL_B", &self.b.url);
        let flags = [EACH_ASK, flags].concat();
        // Nobody listens where the flags say: no rule is asked there.
        let started = Adapter::standalone(OBJECTS, &rules, "http://127.0.0.1:1", &flags).await;
        started.expect("the rules must load")
    }
}

/// A rule over pods with a metric of this name, asked of this backend.
fn rule(series_query: &str, name: &str, backend: &str) -> String {
    format!(
        "- seriesQuery: '{series_query}'\n  name: {{as: '{name}'}}\n  backend: {backend}\n  \
         resources: {{overrides: {{namespace: {{resource: namespace}}, pod: {{resource: pod}}}}}}\n  \
         metricsQuery: 'sum(<<.Series>>{{<<.LabelMatchers>>}}) by (<<.GroupBy>>)'\n"
    )
}

fn path(metric: &str) -> String {
    format!("/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/web-a/{metric}")
}

/// The value of a metric, or the status and the message.
async fn value(adapter: &Adapter, metric: &str) -> Result<String, (StatusCode, String)> {
    let answer = adapter.get(&path(metric)).await;
    let body: Value = serde_json::from_str(&answer.body).expect("an answer must be JSON");
    match answer.status {
        StatusCode::OK => Ok(body["items"][0]["value"].as_str().unwrap().to_owned()),
        status => Err((status, body["message"].as_str().unwrap().to_owned())),
    }
}

async fn until_value(adapter: &Adapter, metric: &str, expected: &str) {
    poll::until(
        "the metric has its value",
        PATIENCE,
        async || match value(adapter, metric).await {
            Ok(found) if found == expected => Ok(()),
            other => Err(format!("{other:?}\n{}", adapter.stderr())),
        },
    )
    .await;
}

const TWO: &str = "
backends:
  a:
    url: URL_A?dedup=true
    tenant: team-a
    queryParams: {partial_response: 'false'}
  b:
    url: URL_B
    tenant: team-b
    headers: {X-Extra: yes}
    queryParams: {partial_response: 'true'}
    verb: POST
rules:
";

fn two() -> String {
    let rules = ["a", "b"].map(|backend| {
        // Listed by names, and by labels.
        rule(
            "depth{namespace!=\"\",pod!=\"\"}",
            &format!("depth_{backend}"),
            backend,
        ) + &rule(
            "{__name__=~\"of_.\",pod!=\"\"}",
            &format!("${{1}}_{backend}"),
            backend,
        )
        .replace("{as:", "{matches: '^(of_.)$', as:")
    });
    TWO.to_owned() + &rules.concat()
}

#[tokio::test]
async fn each_rule_is_asked_of_its_own_backend_with_its_tenant_and_parameters() {
    let world = World::start().await;
    let adapter = world.adapter(&two(), &[]).await;
    for (metric, expected) in [
        ("depth_a", "102"),
        ("depth_b", "104"),
        ("of_a_a", "1"),
        ("of_a_b", "2"),
    ] {
        until_value(&adapter, metric, expected).await;
    }
    let of = |seen: &Seen, name: &str| {
        let value = seen.headers.get(name).map(|value| value.to_str().unwrap());
        value.map(str::to_owned)
    };
    for (tap, tenant, extra, partial, dedup) in [
        (&world.a, "team-a", None, "false", Some("true")),
        (&world.b, "team-b", Some("yes"), "true", None),
    ] {
        let seen = tap.take();
        for look_up in [
            "/api/v1/query",
            "/api/v1/labels",
            "/api/v1/label/__name__/values",
        ] {
            assert!(seen.iter().any(|it| it.path == look_up), "{look_up}");
        }
        for it in &seen {
            assert_eq!(of(it, "x-scope-orgid").as_deref(), Some(tenant), "{it:?}");
            assert_eq!(of(it, "x-extra").as_deref(), extra, "{it:?}");
            assert_eq!(it.parameter("partial_response"), Some(partial), "{it:?}");
            assert_eq!(it.parameter("dedup"), dedup, "{it:?}");
            // Look-ups of values are by GET whatever the verb, for servers offer nothing else.
            let posted = tenant == "team-b" && !it.path.ends_with("/values");
            assert_eq!(it.method == Method::POST, posted, "{it:?}");
        }
    }
}

#[tokio::test]
async fn what_one_backend_says_never_answers_for_another() {
    let world = World::start().await;
    // The same text is asked of both, at the same time and from memory.
    let adapter = world.adapter(&two(), &["--query-ttl=1m"]).await;
    until_value(&adapter, "depth_a", "102").await;
    until_value(&adapter, "depth_b", "104").await;
    let asks = (0..200).map(|number| {
        let adapter = &adapter;
        async move {
            let (metric, expected) = [("depth_a", "102"), ("depth_b", "104")][number % 2];
            assert_eq!(value(adapter, metric).await.as_deref(), Ok(expected));
        }
    });
    join_all(asks).await;
    world.a.behave(Behaviour::Close);
    world.b.behave(Behaviour::Close);
    for (metric, expected) in [("depth_a", "102"), ("depth_b", "104")] {
        assert_eq!(value(&adapter, metric).await.as_deref(), Ok(expected));
    }
}

#[tokio::test]
async fn a_backend_that_is_away_is_named_and_harms_no_other() {
    let world = World::start().await;
    let adapter = world.adapter(&two(), &[]).await;
    until_value(&adapter, "depth_a", "102").await;
    until_value(&adapter, "depth_b", "104").await;
    world.a.behave(Behaviour::Close);
    let (status, message) = value(&adapter, "depth_a").await.unwrap_err();
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        message,
        "unable to fetch metrics: backend a: the answer of Prometheus ended too early"
    );
    assert_eq!(value(&adapter, "depth_b").await.as_deref(), Ok("104"));
    let metrics = adapter.get("/metrics").await.body;
    for line in [
        r#"tidegauge_upstream_requests_total{backend="a",kind="query",outcome="truncated"} 1"#,
        r#"tidegauge_upstream_open{backend="b"} 0"#,
        r#"tidegauge_upstream_waiting{backend="default"} 0"#,
    ] {
        assert!(metrics.contains(line), "{line} in\n{metrics}");
    }
    let asked = format!("/explain?path={}", path("depth_a"));
    let explained = adapter.get(&asked).await.body;
    assert!(
        explained.contains("whether backends.a.url (line 3) leads there from here"),
        "{explained}"
    );
}

#[tokio::test]
async fn a_backend_that_hangs_delays_neither_the_list_nor_the_asks_of_another() {
    let world = World::start().await;
    world.a.behave(Behaviour::Hang);
    // One whose relist would take minutes, with more rules than may be asked about at one time.
    let mut rules = two();
    for number in 0..30 {
        let selector = format!("{{__name__=~\"of_{number}\",pod!=\"\"}}");
        rules += &rule(&selector, &format!("n{number}"), "a");
    }
    let flags = &["--prometheus-timeout=60s", "--relist-timeout=300s"];
    let adapter = world.adapter(&rules, flags).await;
    until_value(&adapter, "of_a_b", "2").await;
    // What is asked of the other fills its places and waits for them.
    let hung = (0..40).map(|_| {
        adapter.get(
            "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/web-a/depth_a?timeout=2s",
        )
    });
    let good = async {
        for _ in 0..50 {
            assert_eq!(value(&adapter, "depth_b").await.as_deref(), Ok("104"));
        }
    };
    let (hung, ()) = tokio::join!(join_all(hung), good);
    for answer in hung {
        assert_eq!(
            answer.status,
            StatusCode::GATEWAY_TIMEOUT,
            "{}",
            answer.body
        );
    }
    world.a.behave(Behaviour::Forward);
    assert!(most_open(&world.a.take_spans()) <= 20);
}

#[tokio::test]
async fn replicas_stand_in_for_each_other() {
    let world = World::start().await;
    let rules = "backends:\n  pair: {urls: [URL_A, URL_B]}\nrules:\n".to_owned()
        + &rule("depth{namespace!=\"\",pod!=\"\"}", "depth", "pair");
    let adapter = world.adapter(&rules, &[]).await;
    assert_eq!(value(&adapter, "depth").await.as_deref(), Ok("102"));
    let sick = Behaviour::Answer {
        status: 502,
        content_type: "text/html",
        body: "<html>bad gateway</html>".to_owned(),
    };
    for behaviour in [sick, Behaviour::Close, Behaviour::Truncate] {
        world.a.behave(behaviour.clone());
        assert_eq!(value(&adapter, "depth").await.as_deref(), Ok("104"));
        world.a.behave(Behaviour::Forward);
        world.b.behave(behaviour);
        assert_eq!(value(&adapter, "depth").await.as_deref(), Ok("102"));
        world.b.behave(Behaviour::Forward);
    }
    world.a.behave(Behaviour::Close);
    world.b.behave(Behaviour::Close);
    let (status, message) = value(&adapter, "depth").await.unwrap_err();
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let early = "the answer of Prometheus ended too early";
    assert_eq!(
        message,
        format!(
            "unable to fetch metrics: backend pair: none of 2 replicas answers: {early}; {early}"
        )
    );
}

#[tokio::test]
async fn a_cold_start_opens_no_more_queries_than_the_concurrency() {
    let world = World::start().await;
    world.a.behave(Behaviour::Hang);
    let rules = "backends:\n  slow: {url: URL_A, concurrency: 5, timeout: 2s}\nrules: []\n\
                 externalRules:\n- seriesQuery: 'depth'\n  backend: slow\n  \
                 resources: {namespaced: false}\n  metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>})'\n";
    let adapter = world
        .adapter(rules, &["--max-requests-inflight=1000"])
        .await;
    let asks = (0..300).map(|number| {
        let adapter = &adapter;
        async move {
            let path = format!(
                "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/depth\
                 ?labelSelector=number%3D{number}"
            );
            adapter.get(&path).await
        }
    });
    let answers = join_all(asks).await;
    let mut busy = 0;
    for answer in &answers {
        assert!(answer.status.is_server_error(), "{answer:?}");
        if answer.body.contains(
            "backend slow: 5 queries are open at Prometheus and no place came free within 2s",
        ) {
            busy += 1;
        }
    }
    assert!(busy > 0, "nobody of {} was told why", answers.len());
    world.a.behave(Behaviour::Forward);
    let spans = world.a.take_spans();
    // What is given up here is seen to end there a moment later: those five, and the next.
    assert!(most_open(&spans) <= 10, "{} were open", most_open(&spans));
}

const HELD: &str = "
backends:
  held: {url: URL_A, enforceMatchers: {team: a}}
rules:
";

#[tokio::test]
async fn a_backend_that_is_held_to_one_team_gives_nothing_of_another() {
    let world = World::start().await;
    let rules = HELD.to_owned()
        + &rule("depth{namespace!=\"\",pod!=\"\"}", "depth", "held")
        + &rule("{__name__=~\"of_.\",pod!=\"\"}", "", "held").replace("{as: ''}", "{}");
    let adapter = world.adapter(&rules, &[]).await;
    until_value(&adapter, "of_a", "1").await;
    assert_eq!(value(&adapter, "depth").await.as_deref(), Ok("1"));
    // That there is another team cannot be told.
    let listed = adapter
        .get("/apis/custom.metrics.k8s.io/v1beta2")
        .await
        .body;
    assert!(
        listed.contains("pods/of_a") && !listed.contains("of_b"),
        "{listed}"
    );
    let asked = world.a.take();
    assert!(!asked.is_empty());
    for seen in &asked {
        let text = seen
            .parameter("query")
            .or(seen.parameter("match[]"))
            .unwrap();
        assert!(text.contains("team=\"a\""), "{text}");
    }
    let (status, message) = value(&adapter, "depth?metricLabelSelector=team%3Db")
        .await
        .unwrap_err();
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(
        message,
        "backend held: the query asks for team=\"b\", and this backend is held to team=\"a\""
    );
    assert_eq!(
        value(&adapter, "depth?metricLabelSelector=team%3Da")
            .await
            .as_deref(),
        Ok("1")
    );
    let queries = world.a.take_queries();
    assert_eq!(
        queries,
        ["sum(depth{team=\"a\",namespace=\"shop\",pod=\"web-a\"}) by (pod)"]
    );
}

#[tokio::test]
async fn an_incomplete_answer_is_an_error_where_the_rule_says_so() {
    let world = World::start().await;
    let wide = rule("depth{namespace!=\"\",pod!=\"\"}", "taken", "a");
    let strict = rule("depth{namespace!=\"\",pod!=\"\"}", "refused", "a") + "  partial: refuse\n";
    let rules = "backends: {a: {url: URL_A}}\nrules:\n".to_owned() + &wide + &strict;
    let adapter = world.adapter(&rules, &[]).await;
    until_value(&adapter, "refused", "102").await;
    let body = r#"{"status":"success","warnings":["store 2: connection refused"],"data":
        {"resultType":"vector","result":[{"metric":{"pod":"web-a"},"value":[1,"7"]}]}}"#;
    world.a.behave(Behaviour::Answer {
        status: 200,
        content_type: "application/json",
        body: body.to_owned(),
    });
    assert_eq!(value(&adapter, "taken").await.as_deref(), Ok("7"));
    let (status, message) = value(&adapter, "refused").await.unwrap_err();
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        message,
        "unable to fetch metrics: backend a: the backend says its answer is partial: store 2: \
         connection refused"
    );
}
