//! What an explanation says where something else is wrong as well: rules that are refused, questions
//! that Prometheus does not answer, too many explanations at one time.

use std::cell::Cell;

use futures_util::future::join_all;
use hyper::StatusCode;
use tidegauge::api::explain::State;
use tidegauge::api::{Cause, Explanation};

use super::command::run;
use super::table::{OBJECTS, RULES, Worlds};
use super::{SOON, explained, told};
use crate::support::adapter::Adapter;
use crate::support::autoscaler::folder;
use crate::support::poll;
use crate::support::tap::Behaviour;

const SHOP: &str = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop";

/// Whether it says that the rules in force are not those of the files.
fn is_of_older_rules(it: &Explanation) -> bool {
    let first = it.steps.first();
    let is_told = first.is_some_and(|step| step.title == "Rules files");
    let advice = it.advice.first();
    is_told && advice.is_some_and(|text| text.starts_with("mend the rules files"))
}

#[tokio::test]
async fn rules_that_are_refused_are_told_in_every_explanation() {
    let worlds = Worlds::start(&[]).await;
    let adapter = &worlds.adapter;
    let served = format!("{SHOP}/pods/*/depth");
    adapter.rewrite(
        "rules.yaml",
        &RULES.replacen("metricsQuery", "metricQuery", 1),
    );
    let is_refused = async || {
        let it = explained(adapter, &served).await;
        match is_of_older_rules(&it) {
            true => Ok(it),
            false => Err(told(&it)),
        }
    };
    let it = poll::until("the new rules are refused", SOON, is_refused).await;
    assert!(it.served, "{}", told(&it));
    let step = &it.steps[0];
    assert_eq!(step.state, State::Note);
    assert!(
        step.text
            .contains("those in force are older than the files"),
        "{step:?}"
    );
    let [line] = step.lines.as_slice() else {
        panic!("{step:?}");
    };
    for text in [line, &it.advice[0]] {
        assert!(text.contains("rules.yaml:5:3"), "{text}");
        assert!(text.contains("metricQuery"), "{text}");
    }
    for path in [
        &*format!("{SHOP}/pods/*/dpth"),
        &*format!("{SHOP}/pods/*/depth?labelSelector=app%3Dnobody"),
        "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/queue_length",
        "/apis/metrics.k8s.io/v1beta1/nodes",
        "/metrics",
    ] {
        let it = explained(adapter, path).await;
        assert!(is_of_older_rules(&it), "{}", told(&it));
    }
    let server = format!("--server={}", adapter.url);
    let said = run(&folder(&[]), &["pods/depth", "-n=shop", &server]).await;
    assert!(said.stdout.contains("! Rules files: "), "{}", said.stdout);

    adapter.rewrite("rules.yaml", RULES);
    let is_well = async || match is_of_older_rules(&explained(adapter, &served).await) {
        true => Err("still refused".to_owned()),
        false => Ok(()),
    };
    poll::until("the old rules are back", SOON, is_well).await;
}

#[tokio::test]
async fn questions_without_an_answer_lead_to_no_cause() {
    let worlds = Worlds::start(&[]).await;
    // Each further question counts something, and no query of the rules does.
    let text = "query processing would load too many samples into memory";
    worlds.tap.behave_for(
        "count",
        Behaviour::Answer {
            status: 422,
            content_type: "application/json",
            body: format!(
                "{{\"status\":\"error\",\"errorType\":\"execution\",\"error\":\"{text}\"}}"
            ),
        },
    );
    for (path, cause) in [
        ("pods/web-1/depth_once", Cause::NoRows),
        ("pods/*/ticks", Cause::NoRows),
        ("pods/web-1/exported", Cause::NoRows),
        ("pods/*/depth?labelSelector=app%3Dlonely", Cause::NoRows),
        // That of the listing.
        ("pods/*/http_gone_per_second", Cause::NoSeries),
        ("pods/*/waiting", Cause::NoObjectLabel),
    ] {
        let it = explained(&worlds.adapter, &format!("{SHOP}/{path}")).await;
        let told = told(&it);
        assert_eq!(it.cause, Some(cause), "{told}");
        let asked = format!("why there is nothing cannot be found out: execution: {text}");
        assert!(told.contains(&asked), "{told}");
        for wrong in [
            "Prometheus has 0 series called",
            "holds no sample",
            "the label exported",
        ] {
            assert!(!told.contains(wrong), "{wrong}\n{told}");
        }
    }
}

#[tokio::test]
async fn explanations_have_a_limit_of_their_own() {
    let worlds = Worlds::start(&["--prometheus-timeout=5s", "--max-requests-inflight=1"]).await;
    let adapter = &worlds.adapter;
    worlds.tap.take_queries();
    worlds.tap.behave(Behaviour::Hang);
    let path = format!("/explain?path={SHOP}/pods/web-1/depth");
    let made = join_all((0..4).map(|_| adapter.get(&path)));
    let too_many = async {
        let seen = Cell::new(0);
        let all_ask = async || {
            seen.set(seen.get() + worlds.tap.take_queries().len());
            match seen.get() {
                4.. => Ok(()),
                count => Err(count.to_string()),
            }
        };
        poll::until("all places are taken", SOON, all_ask).await;
        let refused = adapter.get(&path).await;
        let server = format!("--server={}", adapter.url);
        let said = run(&folder(&[]), &["pods/web-1/depth", "-n=shop", &server]).await;
        // The place of asks is nobody's.
        worlds.tap.behave(Behaviour::Forward);
        let ask = adapter.get(&format!("{SHOP}/pods/web-1/depth")).await;
        (refused, said, ask)
    };
    let (made, (refused, said, ask)) = tokio::join!(made, too_many);
    for answer in made {
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    let text =
        "4 explanations are being made, as many as may be at one time: ask again in a second";
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.body.contains(text), "{}", refused.body);
    assert_eq!(refused.headers.get("retry-after").unwrap(), "1");
    assert_eq!(said.code, Some(1), "{}", said.whole());
    assert!(said.stderr.contains(text), "{}", said.whole());
    assert_eq!(ask.status, 200, "{}", ask.body);
    let metrics = adapter.get("/metrics").await.body;
    let counted = metrics.lines().find_map(|line| {
        line.strip_prefix("tidegauge_limit_reached_total{limit=\"explanations\"} ")
    });
    let counted: u64 = counted.unwrap_or_default().parse().unwrap_or_default();
    assert!(counted >= 2, "{metrics}");
}

/// Rules that make values of nothing, and one that asks as of long ago.
const OF_NOTHING: &str = r#"
rules:
- seriesQuery: 'depth'
  name: {as: "deep"}
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>} > 100) by (<<.GroupBy>>)'
  onEmpty: zero
- seriesQuery: 'depth_nan'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)'
  nonFinite: zero
- seriesQuery: 'depth'
  name: {as: "of_yore"}
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)'
  offsetFromNow: 1h
externalRules:
- seriesQuery: 'queue_length'
  name: {as: "queue"}
  resources: {overrides: {namespace: {resource: namespace}}}
  metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>} > 100)'
  onEmpty: zero
"#;

#[tokio::test]
async fn a_zero_that_a_rule_makes_of_nothing_is_told_as_such() {
    let worlds = Worlds::start(&[]).await;
    let adapter = Adapter::standalone(OBJECTS, OF_NOTHING, &worlds.tap.url, &[]).await;
    let adapter = adapter.unwrap_or_else(|refusal| panic!("{}", refusal.stderr));
    let external = "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/queue";
    for (path, parts) in [
        (
            &*format!("{SHOP}/pods/web-1/deep"),
            &[
                "there is no row: onEmpty: zero of rules[0] (line 3) makes it 0",
                "web-1: 0",
                "is there, and the query gives nothing of it",
            ][..],
        ),
        (
            external,
            &[
                "there is no row: onEmpty: zero of externalRules[0] (line 18) makes it 0",
                "is there, and the query gives nothing of it",
            ],
        ),
        (
            &*format!("{SHOP}/pods/web-1/depth_nan"),
            &["1 that are no numbers count as 0: nonFinite: zero says so"],
        ),
    ] {
        let it = explained(&adapter, path).await;
        assert!(it.served && it.cause.is_none(), "{}", told(&it));
        for part in parts {
            assert!(told(&it).contains(part), "{part}\n{}", told(&it));
        }
        let rows = it.steps.iter().filter(|step| step.title == "Rows");
        assert!(
            rows.into_iter().all(|step| step.state != State::Wrong),
            "{}",
            told(&it)
        );
    }
    let it = explained(&adapter, &format!("{SHOP}/pods/web-1/of_yore")).await;
    assert_eq!(it.cause, Some(Cause::NoSeries), "{}", told(&it));
    let text = "the query is asked as of 1h ago (offsetFromNow)";
    assert!(told(&it).contains(text), "{}", told(&it));
}
