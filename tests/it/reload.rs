//! Rules that change while the adapter runs: what stays keeps all that is known of it, what changes
//! answers for itself, and what is bad changes nothing. `load` does it under load.

use std::time::Duration;

use hyper::StatusCode;
use serde_json::Value;

use crate::support::adapter::Adapter;
use crate::support::config_map::ConfigMap;
use crate::support::exporter::Exporter;
use crate::support::poll;
use crate::support::prometheus::{Prometheus, TargetLabels};
use crate::support::tap::{Behaviour, Seen, Tap};

mod load;
mod races;

const OBJECTS: &str = "{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: shop}}";
const PATIENCE: Duration = Duration::from_secs(30);
const EXPOSITION: &str = "depth{namespace=\"shop\",pod=\"a\",team=\"x\"} 1\n\
                          depth{namespace=\"shop\",pod=\"a\",team=\"y\"} 2\n\
                          level{namespace=\"shop\",pod=\"a\"} 8\n";

/// A real Prometheus behind a tap.
struct World {
    _exporter: Exporter,
    _prometheus: Prometheus,
    tap: Tap,
}

impl World {
    async fn start() -> World {
        let exporter = Exporter::start(|_| EXPOSITION.to_owned()).await;
        let prometheus = Prometheus::start(&[exporter.address], TargetLabels::Dropped).await;
        prometheus.wait_for(&["depth", "level"]).await;
        World {
            tap: Tap::start(&prometheus.url).await,
            _exporter: exporter,
            _prometheus: prometheus,
        }
    }

    async fn adapter(&self, rules: &str, flags: &[&str]) -> Adapter {
        let started = Adapter::standalone(OBJECTS, rules, &self.tap.url, flags).await;
        started.expect("the rules must load")
    }
}

/// A rule over pods: its series, its metric, its query, and what else it says.
fn rule(series: &str, name: &str, query: &str, rest: &str) -> String {
    format!(
        "- seriesQuery: '{series}'\n  name: {{as: '{name}'}}\n  resources: {{overrides: {{namespace: \
         {{resource: namespace}}, pod: {{resource: pod}}}}}}\n  metricsQuery: '{query}'\n{rest}"
    )
}

/// One over a series of a literal name, remembered for an hour.
fn sum_of(series: &str, name: &str, factor: u32) -> String {
    let query = format!("sum(<<.Series>>{{<<.LabelMatchers>>}}) by (<<.GroupBy>>) * {factor}");
    rule(
        &format!("{series}{{namespace!=\"\",pod!=\"\"}}"),
        name,
        &query,
        "  ttl: 1h\n",
    )
}

fn rules(all: &[String]) -> String {
    format!("rules:\n{}", all.concat())
}

fn path(metric: &str) -> String {
    format!("/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/a/{metric}")
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

async fn status(adapter: &Adapter, metric: &str) -> StatusCode {
    value(adapter, metric)
        .await
        .err()
        .map_or(StatusCode::OK, |(status, _)| status)
}

/// The value of one of our own metrics, by the beginning of its line.
async fn own_metric(adapter: &Adapter, line: &str) -> Option<f64> {
    let text = adapter.get("/metrics").await.body;
    let mut lines = text.lines();
    lines.find_map(|it| it.strip_prefix(line)?.trim().parse().ok())
}

const SUCCESSFUL: &str = "tidegauge_config_last_reload_successful ";
const SUCCEEDED_AT: &str = "tidegauge_config_last_reload_success_timestamp_seconds ";

/// The hash of the rules in force.
async fn hash(adapter: &Adapter) -> String {
    let text = adapter.get("/metrics").await.body;
    let begin = "tidegauge_config_hash{hash=\"";
    let all: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix(begin))
        .collect();
    assert_eq!(all.len(), 1, "{all:?}");
    let (hash, value) = all[0].split_once("\"}").unwrap();
    assert_eq!(value.trim(), "1");
    hash.to_owned()
}

/// Waits until other rules than those of `former` are in force.
async fn until_reloaded(adapter: &Adapter, former: &str) -> String {
    let changed = async || match hash(adapter).await {
        now if now == former => Err(format!("it is {now}\n{}", adapter.stderr())),
        now => Ok(now),
    };
    poll::until("other rules are in force", PATIENCE, changed).await
}

/// Waits until the last reload went so.
async fn until_successful(adapter: &Adapter, wanted: bool) {
    let done = async || match own_metric(adapter, SUCCESSFUL).await {
        Some(value) if (value > 0.5) == wanted => Ok(()),
        other => Err(format!("{other:?}\n{}", adapter.stderr())),
    };
    poll::until("the reload has gone so", PATIENCE, done).await;
}

/// Puts other rules into the adapter's file and waits until they are in force.
async fn reload(adapter: &Adapter, rules: &str) {
    let former = hash(adapter).await;
    adapter.replace("rules.yaml", rules);
    adapter.signal("HUP");
    until_reloaded(adapter, &former).await;
}

/// How many queries asked for this series.
fn queries(seen: &[Seen], series: &str) -> usize {
    let about = |seen: &&Seen| {
        seen.parameter("query")
            .is_some_and(|query| query.contains(series))
    };
    seen.iter().filter(about).count()
}

#[tokio::test]
async fn a_rule_that_stays_keeps_its_rows_wherever_it_stands_and_a_changed_one_has_its_own() {
    let world = World::start().await;
    let (depth, level) = (sum_of("depth", "depth", 1), sum_of("level", "level", 1));
    let adapter = world.adapter(&rules(&[depth, level.clone()]), &[]).await;
    assert_eq!(value(&adapter, "depth").await.unwrap(), "3");
    assert_eq!(value(&adapter, "level").await.unwrap(), "8");
    world.tap.take();

    // One more at the top: all others have another number. And one that says something else.
    let top = sum_of("other", "other", 1);
    let next = rules(&[top, level, sum_of("depth", "depth", 10)]);
    reload(&adapter, &next).await;
    assert_eq!(value(&adapter, "level").await.unwrap(), "8");
    assert_eq!(value(&adapter, "depth").await.unwrap(), "30");
    let seen = world.tap.take();
    assert_eq!((queries(&seen, "level"), queries(&seen, "depth")), (0, 1));

    // Gone: from the documents as well, at once, and from our own metrics.
    reload(&adapter, &rules(&[sum_of("level", "level", 1)])).await;
    assert_eq!(status(&adapter, "depth").await, StatusCode::NOT_FOUND);
    let discovery = adapter
        .get("/apis/custom.metrics.k8s.io/v1beta2")
        .await
        .body;
    assert!(discovery.contains("level") && !discovery.contains("depth"));
    assert_eq!(
        own_metric(&adapter, "tidegauge_rule_up{rule=\"rules[0]\"} ").await,
        Some(1.0)
    );
    assert_eq!(
        own_metric(&adapter, "tidegauge_rule_up{rule=\"rules[1]\"} ").await,
        None
    );
    assert_eq!(value(&adapter, "level").await.unwrap(), "8");
    assert_eq!(queries(&world.tap.take(), "level"), 0);
}

#[tokio::test]
async fn what_is_not_listed_yet_is_not_known_yet_and_what_was_stays() {
    let world = World::start().await;
    let of = |name: &str| {
        let series = format!("{{__name__=~\"{name}\",namespace!=\"\"}}");
        rule(
            &series,
            "",
            "<<.Series>>{<<.LabelMatchers>>}",
            "  ttl: 1h\n",
        )
    };
    let adapter = world.adapter(&rules(&[of("lev.*")]), &[]).await;
    let listed = async || match value(&adapter, "level").await {
        Ok(value) => Ok(value),
        Err(error) => Err(format!("{error:?}")),
    };
    assert_eq!(poll::until("it is listed", PATIENCE, listed).await, "8");

    world.tap.behave(Behaviour::Close);
    reload(&adapter, &rules(&[of("dep.*"), of("lev.*")])).await;
    // Prometheus is away: the one is remembered, and of the other nobody knows.
    assert_eq!(value(&adapter, "level").await.unwrap(), "8");
    let (status, message) = value(&adapter, "depth").await.unwrap_err();
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{message}");
    assert!(message.contains("not known yet"), "{message}");

    // It is back: nobody waits for the interval, which is ten minutes.
    world.tap.behave(Behaviour::Forward);
    let found = async || match value(&adapter, "depth").await {
        Err((StatusCode::SERVICE_UNAVAILABLE, message)) => Err(message),
        found => Ok(found),
    };
    // Two rows of one pod: the later one counts.
    poll::until("it is listed", PATIENCE, found).await.unwrap();
}

#[tokio::test]
async fn a_bad_file_changes_nothing_and_says_where_it_is_wrong_once() {
    let world = World::start().await;
    let good = rules(&[sum_of("depth", "depth", 1)]);
    let adapter = world.adapter(&good, &[]).await;
    let (hash_before, at) = (
        hash(&adapter).await,
        own_metric(&adapter, SUCCEEDED_AT).await,
    );
    let said = |what: &str| adapter.stderr().matches(what).count();
    const REFUSED: &str = "the rules files have mistakes, the rules in force stay";

    adapter.rewrite("rules.yaml", &good.replace("metricsQuery", "metricQuery"));
    until_successful(&adapter, false).await;
    assert_eq!(value(&adapter, "depth").await.unwrap(), "3");
    assert_eq!(hash(&adapter).await, hash_before);
    assert_eq!(own_metric(&adapter, SUCCEEDED_AT).await, at);
    let log = adapter.stderr();
    for part in [
        "rules.yaml:5:3",
        "rules[0]",
        "did you mean `metricsQuery`?",
        REFUSED,
    ] {
        assert!(log.contains(part), "{part} is not in:\n{log}");
    }
    // Whoever asks for it is told again.
    assert_eq!(said(REFUSED), 1);
    adapter.signal("HUP");
    let twice = async || match said(REFUSED) {
        2 => Ok(()),
        count => Err(count.to_string()),
    };
    poll::until("it is said again", PATIENCE, twice).await;

    // Gone altogether.
    std::fs::remove_file(adapter.path("rules.yaml")).unwrap();
    let missing = async || match said("No such file or directory") {
        1 => Ok(()),
        count => Err(format!("{count}\n{}", adapter.stderr())),
    };
    poll::until("it says that the file is gone", PATIENCE, missing).await;
    assert_eq!(own_metric(&adapter, SUCCESSFUL).await, Some(0.0));
    assert_eq!(value(&adapter, "depth").await.unwrap(), "3");

    adapter.rewrite("rules.yaml", &good);
    until_successful(&adapter, true).await;
    assert_eq!(said("the rules files are again what is in force"), 1);
    adapter.signal("HUP");
    let told = async || match said("the rules files are as they were") {
        1 => Ok(()),
        count => Err(count.to_string()),
    };
    poll::until("it says that nothing has changed", PATIENCE, told).await;
    assert_eq!(said("rules reloaded"), 0);
}

#[tokio::test]
async fn a_directory_of_files_is_read_as_one_and_refused_as_one() {
    let world = World::start().await;
    let backends = format!("backends: {{other: {{url: '{}'}}}}\n", world.tap.url);
    let of = |name: &str| rules(&[sum_of("depth", name, 1) + "  backend: other\n"]);
    let (one, two, three) = (of("one"), of("two"), of("three"));
    let mut mounted = ConfigMap::new(&[("backends.yaml", &backends), ("one.yaml", &one)]);
    let flag = format!("--config={}", mounted.path().display());
    let adapter = world.adapter("", &[&flag]).await;
    assert_eq!(value(&adapter, "one").await.unwrap(), "3");
    let up = |file: &str| format!("tidegauge_rule_up{{rule=\"{file}:rules[0]\"}} ");
    assert_eq!(own_metric(&adapter, &up("one.yaml")).await, Some(1.0));

    // One more, one changed.
    let before = hash(&adapter).await;
    mounted.swap(&[
        ("backends.yaml", &backends),
        ("one.yaml", &three),
        ("two.yml", &two),
    ]);
    let before = until_reloaded(&adapter, &before).await;
    assert_eq!(value(&adapter, "two").await.unwrap(), "3");
    assert_eq!(value(&adapter, "three").await.unwrap(), "3");
    assert_eq!(status(&adapter, "one").await, StatusCode::NOT_FOUND);

    // One is bad: what is good in the others waits.
    let bad = "rules: [{nonsense: 1}]\n";
    mounted.swap(&[
        ("backends.yaml", &backends),
        ("one.yaml", &one),
        ("two.yml", bad),
    ]);
    until_successful(&adapter, false).await;
    assert_eq!(hash(&adapter).await, before);
    assert_eq!(status(&adapter, "one").await, StatusCode::NOT_FOUND);
    assert_eq!(value(&adapter, "two").await.unwrap(), "3");
    assert!(
        adapter.stderr().contains("two.yml:1:"),
        "{}",
        adapter.stderr()
    );

    // It is gone.
    mounted.swap(&[("backends.yaml", &backends), ("one.yaml", &one)]);
    until_reloaded(&adapter, &before).await;
    until_successful(&adapter, true).await;
    assert_eq!(value(&adapter, "one").await.unwrap(), "3");
    assert_eq!(status(&adapter, "two").await, StatusCode::NOT_FOUND);
    assert_eq!(own_metric(&adapter, &up("two.yml")).await, None);
}

/// Rules with one backend, `other`, of this text.
fn asked_of(backend: &str) -> String {
    let rule = sum_of("depth", "depth", 1) + "  backend: other\n";
    format!("backends: {{other: {{{backend}}}}}\nrules:\n{rule}")
}

#[tokio::test]
async fn rows_of_a_backend_that_has_become_another_never_answer() {
    let world = World::start().await;
    let elsewhere = Tap::start("http://127.0.0.1:1").await;
    let sample = r#"{"metric":{"pod":"a"},"value":[1700000000,"7"]}"#;
    elsewhere.behave(Behaviour::Answer {
        status: 200,
        content_type: "application/json",
        body: format!(
            r#"{{"status":"success","data":{{"resultType":"vector","result":[{sample}]}}}}"#
        ),
    });
    let url = |url: &str| format!("url: '{url}'");
    let held = |team: &str| format!("{}, enforceMatchers: {{team: {team}}}", url(&world.tap.url));
    let tenant = |name: &str| format!("{}, tenant: {name}", url(&world.tap.url));
    let adapter = world.adapter(&asked_of(&url(&world.tap.url)), &[]).await;
    assert_eq!(value(&adapter, "depth").await.unwrap(), "3");
    for (backend, expected) in [
        (held("x"), "1"),
        (held("y"), "2"),
        (url(&elsewhere.url), "7"),
        (tenant("t"), "3"),
        (held("x"), "1"),
    ] {
        world.tap.take();
        reload(&adapter, &asked_of(&backend)).await;
        assert_eq!(
            value(&adapter, "depth").await.unwrap(),
            expected,
            "{backend}"
        );
        // Rows hold for an hour: it is one question for each backend that there has been.
        assert_eq!(value(&adapter, "depth").await.unwrap(), expected);
        let asked = queries(&world.tap.take(), "depth");
        assert_eq!(asked, usize::from(expected != "7"), "{backend}");
    }
}

#[tokio::test]
async fn a_backend_that_is_gone_is_asked_no_more() {
    let world = World::start().await;
    let gone = Tap::start(&world.tap.url).await;
    let flags = &["--metrics-relist-interval=1s", "--query-ttl=1s"];
    let rule = sum_of("depth", "depth", 1).replace("  ttl: 1h\n", "  backend: other\n");
    let backend = format!("backends: {{other: {{url: '{}'}}}}\n", gone.url);
    let adapter = world
        .adapter(&format!("{backend}rules:\n{rule}"), flags)
        .await;
    let open = "tidegauge_upstream_open{backend=\"other\"} ";
    assert!(own_metric(&adapter, open).await.is_some());
    // Asked so regularly that rows are fetched ahead.
    for _ in 0..5 {
        assert_eq!(value(&adapter, "depth").await.unwrap(), "3");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    reload(&adapter, &rules(&[sum_of("level", "level", 1)])).await;
    assert_eq!(own_metric(&adapter, open).await, None);
    // What was under way is no matter; afterwards there is silence while others are asked.
    let relists = async |count| {
        let begun = own_metric(&adapter, "tidegauge_relists_total ")
            .await
            .unwrap();
        let more = async || match own_metric(&adapter, "tidegauge_relists_total ").await {
            Some(now) if now >= begun + count => Ok(()),
            other => Err(format!("{other:?}")),
        };
        poll::until("there are more relists", PATIENCE, more).await;
    };
    relists(1.0).await;
    gone.take();
    relists(3.0).await;
    assert!(gone.take().is_empty());
}

#[tokio::test]
async fn what_a_new_backend_lacks_may_come_later_than_the_rules() {
    let world = World::start().await;
    let adapter = world
        .adapter(&rules(&[sum_of("level", "level", 1)]), &[])
        .await;
    let token = adapter.path("token");
    let with = format!(
        "url: '{}', auth: {{tokenFile: '{}'}}",
        world.tap.url,
        token.display()
    );
    adapter.replace("rules.yaml", &asked_of(&with));
    until_successful(&adapter, false).await;
    assert_eq!(status(&adapter, "depth").await, StatusCode::NOT_FOUND);
    let said = adapter.stderr();
    assert!(
        said.contains("the backend other (line 1 of the rules file) cannot be used"),
        "{said}"
    );
    // A mounted Secret follows some time after a ConfigMap: nobody has to touch the rules again.
    adapter.replace("token", "secret-token");
    until_successful(&adapter, true).await;
    assert_eq!(value(&adapter, "depth").await.unwrap(), "3");
    assert!(!adapter.stderr().contains("secret-token"));
}

#[tokio::test]
async fn resource_metrics_come_and_go_with_their_rules() {
    let world = World::start().await;
    let series = rules(&[sum_of("depth", "depth", 1)]);
    let adapter = world.adapter(&series, &[]).await;
    let path = "/apis/metrics.k8s.io/v1beta1";
    assert_eq!(adapter.get(path).await.status, StatusCode::NOT_FOUND);
    let rule = "{containerQuery: 'sum(c{<<.LabelMatchers>>}) by (<<.GroupBy>>)', nodeQuery: 'sum(n{<<.LabelMatchers>>}) by (<<.GroupBy>>)', containerLabel: container, resources: {overrides: {node: {resource: node}, namespace: {resource: namespace}, pod: {resource: pod}}}}";
    let resource = format!("resourceRules: {{cpu: {rule}, memory: {rule}}}\n");
    reload(&adapter, &format!("{series}{resource}")).await;
    assert_eq!(adapter.get(path).await.status, StatusCode::OK);
    for document in ["/apis", "/openapi/v2"] {
        assert!(
            adapter.get(document).await.body.contains("/metrics.k8s.io")
                || adapter
                    .get(document)
                    .await
                    .body
                    .contains("\"metrics.k8s.io\""),
            "{document}"
        );
    }
    reload(&adapter, &series).await;
    assert_eq!(adapter.get(path).await.status, StatusCode::NOT_FOUND);
    assert!(
        !adapter
            .get("/apis")
            .await
            .body
            .contains("\"metrics.k8s.io\"")
    );
}

#[tokio::test]
async fn a_group_that_is_switched_off_stays_so() {
    let world = World::start().await;
    let flags = &["--api-groups=external.metrics.k8s.io"];
    let external =
        |name: &str| format!("externalRules:\n- {{name: {{as: {name}}}, query: 'sum(depth)'}}\n");
    let both = |name: &str| rules(&[sum_of("depth", "depth", 1)]) + &external(name);
    let adapter = world.adapter(&both("one"), flags).await;
    reload(&adapter, &both("two")).await;
    let two = "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/two";
    assert_eq!(adapter.get(two).await.status, StatusCode::OK);
    assert_eq!(
        adapter.get(&path("depth")).await.status,
        StatusCode::NOT_FOUND
    );
    let custom = "/apis/custom.metrics.k8s.io/v1beta2";
    assert_eq!(adapter.get(custom).await.status, StatusCode::NOT_FOUND);
}
