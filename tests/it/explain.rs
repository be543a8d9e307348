//! `explain`, over a real Prometheus: each cause by name, what the answer itself says of it, and the
//! command.

mod autoscalers;
mod beside;
mod command;
mod resource;
/// One case for each cause, for whoever shows them.
pub mod table;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use tidegauge::api::{Cause, Explanation};

use crate::support::adapter::{self, Adapter};
use crate::support::apiserver::{ApiServer, Grant};
use crate::support::pki::Authority;
use crate::support::poll;
use crate::support::prometheus::Prometheus;
use crate::support::tap::{Behaviour, Tap};
use table::{BROKEN, CASES, Case, Worlds};

/// A server begins, and hears of its cluster.
const SOON: Duration = Duration::from_secs(30);

/// What the server explains about a path.
async fn explained(adapter: &Adapter, path: &str) -> Explanation {
    let asked = percent_encoding::utf8_percent_encode(path, percent_encoding::NON_ALPHANUMERIC);
    let answer = adapter.get(&format!("/explain?path={asked}")).await;
    serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {}", answer.body))
}

/// All that an explanation says, for messages.
fn told(it: &Explanation) -> String {
    serde_json::to_string_pretty(it).expect("an explanation must be JSON")
}

async fn check(adapter: &Adapter, case: &Case) {
    let it = explained(adapter, case.path).await;
    let told = told(&it);
    assert_eq!(it.cause, Some(case.cause), "{}\n{told}", case.path);
    assert!(!it.served, "{told}");
    // The explanation is about the answer that is given, word by word.
    let answer = adapter.get(case.path).await;
    assert_eq!(answer.status.as_u16(), it.code, "{told}\n{}", answer.body);
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    match it.code {
        200 => {
            assert_eq!(body["items"], serde_json::json!([]), "{told}");
            assert_eq!(case.message, "", "{told}");
        }
        _ if body["kind"] == "Status" => {
            let message = body["message"].as_str().unwrap_or_default();
            assert_eq!(message, it.message, "{told}");
            assert!(message.contains(case.message), "{message}\n{told}");
            // What an event says must be the same from ask to ask.
            let again: Value = serde_json::from_str(&adapter.get(case.path).await.body).unwrap();
            assert_eq!(again["message"], message);
        }
        _ => {}
    }
    let advice = it.advice.join("\n");
    assert!(advice.contains(case.advice), "{}\n{told}", case.advice);
    let all = format!("{told}\n{advice}");
    for part in case.says {
        assert!(all.contains(part), "{part:?} of {}\n{told}", case.path);
    }
}

#[tokio::test]
async fn each_cause_is_named_and_the_status_says_it_too() {
    let worlds = Worlds::start(&[]).await;
    let mut seen = BTreeSet::new();
    for case in CASES {
        check(&worlds.adapter, case).await;
        seen.insert(case.cause);
    }
    for case in BROKEN {
        check(&worlds.broken, case).await;
        seen.insert(case.cause);
    }
    for cause in Cause::NOT_FOUND {
        assert!(seen.contains(&cause), "{cause:?} has no case");
    }
    // An explanation of what is served has no cause, and says what there is.
    let path = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/depth";
    let it = explained(&worlds.adapter, path).await;
    let told = told(&it);
    assert!(it.served && it.code == 200 && it.cause.is_none(), "{told}");
    assert!(told.contains("web-1: 3"), "{told}");
    let query = "sum(depth{namespace=\\\"shop\\\",pod=~\\\"web-1|web-2|web-9\\\"}) by (pod)";
    assert!(told.contains(query), "{told}");
    assert_eq!(it.message, "2 values");
    let it = explained(&worlds.adapter, &path.replace("depth", "raw")).await;
    let told = self::told(&it);
    assert!(it.served, "{told}");
    for part in [
        "1 further rows of an object that has one already",
        "aggregate the query by the labels of objects alone",
        "some are negative",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
}

/// An explanation tells values.
#[tokio::test]
async fn who_may_not_ask_for_a_metric_may_not_have_it_explained() {
    let clients = Authority::new("kubernetes");
    let api = ApiServer::start(&clients, &Authority::new("front-proxy-ca")).await;
    let open = "--authorization-always-allow-paths=/healthz,/readyz,/livez,/explain";
    let adapter = Adapter::over(&api, table::RULES, "http://127.0.0.1:1", &[open]).await;
    let adapter = adapter.unwrap_or_else(|refusal| panic!("{}", refusal.stderr));
    let bob = adapter.caller(Some(&clients.client("bob", &[])), true);
    let ask = async |metric: &str| {
        let path = "%2Fapis%2Fcustom.metrics.k8s.io%2Fv1beta2%2Fnamespaces%2Fshop%2Fpods%2Fa%2F";
        let url = format!("{}/explain?path={path}{metric}", adapter.url);
        let answer = adapter::send(&bob, hyper::Method::GET, &url, &[]).await;
        answer.expect("it must answer")
    };
    api.grant(Grant {
        user: "bob",
        group: "custom.metrics.k8s.io",
        verbs: &["get"],
        resources: &["pods/depth"],
        namespace: Some("shop"),
    });
    let granted = poll::until("the cluster is heard of", SOON, async || {
        match ask("depth").await {
            answer if answer.status == 200 => Ok(answer),
            answer => Err(answer.body),
        }
    });
    assert!(
        granted
            .await
            .body
            .contains("the custom metric depth of pods")
    );
    let refused = ask("waiting").await;
    assert_eq!(refused.status, 403, "{}", refused.body);
    assert!(refused.body.contains("pods/waiting"), "{}", refused.body);
}

#[tokio::test]
async fn a_failing_prometheus_is_named_without_secrets() {
    let worlds = Worlds::start(&[]).await;
    let path = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/depth";
    let refused = |status, kind: &str, text: &str| Behaviour::Answer {
        status,
        content_type: "application/json",
        body: format!("{{\"status\":\"error\",\"errorType\":\"{kind}\",\"error\":\"{text}\"}}"),
    };
    for (behaviour, cause, message) in [
        (
            refused(422, "execution", "many-to-many matching"),
            Cause::PrometheusRefused,
            "execution: many-to-many matching",
        ),
        (
            refused(400, "bad_data", "1:2: parse error"),
            Cause::PrometheusRefused,
            "bad_data: 1:2: parse error",
        ),
        (
            refused(503, "timeout", "query timed out"),
            Cause::PrometheusTimeout,
            "timeout: query timed out",
        ),
        (
            Behaviour::Close,
            Cause::PrometheusUnreachable,
            "ended too early",
        ),
    ] {
        worlds.tap.behave(behaviour);
        let it = explained(&worlds.adapter, path).await;
        worlds.tap.behave(Behaviour::Forward);
        let told = told(&it);
        assert_eq!(it.cause, Some(cause), "{told}");
        assert!(it.message.contains(message), "{told}");
        assert!(!it.advice.is_empty(), "{told}");
    }
}

#[tokio::test]
async fn a_query_that_gives_too_many_rows_is_named_with_the_limit() {
    let worlds = Worlds::start(&["--max-rows=1"]).await;
    let path = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/depth";
    let it = explained(&worlds.adapter, path).await;
    assert_eq!(
        it.message,
        "unable to fetch metrics: the query gives more than 1 series: aggregate them (the query of \
         rules[0] (line 3); --max-rows is 1)"
    );
    let answer = worlds.adapter.get(path).await;
    assert!(answer.body.contains(&it.message), "{}", answer.body);
}

#[tokio::test]
async fn an_explanation_changes_nothing_for_those_who_ask() {
    let worlds = Worlds::start(&[]).await;
    let path = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/depth";
    for _ in 0..3 {
        explained(&worlds.adapter, path).await;
    }
    let counted = async || {
        let metrics = worlds.adapter.get("/metrics").await.body;
        let results = metrics.lines().filter(|line| {
            line.starts_with("tidegauge_query_results_total{") && !line.ends_with(" 0")
        });
        results.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(counted().await, [""; 0]);
    let fresh = explained(&worlds.adapter, path).await;
    assert!(
        told(&fresh).contains("nothing is remembered"),
        "{}",
        told(&fresh)
    );
    assert_eq!(worlds.adapter.get(path).await.status, 200);
    assert_eq!(counted().await.len(), 1);
    let warm = explained(&worlds.adapter, path).await;
    assert!(told(&warm).contains("count as now"), "{}", told(&warm));
}

#[tokio::test]
async fn series_that_ended_before_the_listing_are_found_as_too_old() {
    let hours_ago = jiff::Timestamp::now().as_second() - 3 * 3600;
    let samples = format!(
        "# TYPE old_hits counter\n\
         old_hits_total{{namespace=\"shop\",pod=\"web-1\"}} 1 {hours_ago}\n\
         # EOF\n"
    );
    let prometheus = Prometheus::holding(&samples).await;
    let tap = Tap::start(&prometheus.url).await;
    let rules = r#"
rules:
- seriesQuery: '{__name__=~"^old_.*",namespace!=""}'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: 'sum(rate(<<.Series>>{<<.LabelMatchers>>}[1m])) by (<<.GroupBy>>)'
"#;
    let adapter = Adapter::standalone(table::OBJECTS, rules, &tap.url, &[]).await;
    let adapter = adapter.expect("the rules must load");
    let path = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/old_hits_total";
    let it = explained(&adapter, path).await;
    assert_eq!(it.cause, Some(Cause::SeriesTooOld), "{}", told(&it));
    assert!(
        it.message.contains("Prometheus has 0 series"),
        "{}",
        told(&it)
    );
    assert!(
        it.advice.iter().any(|it| it.contains("--metrics-max-age")),
        "{}",
        told(&it)
    );
}
