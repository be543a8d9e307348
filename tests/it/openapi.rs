//! The OpenAPI documents over HTTP: what kube-aggregator and `kubectl explain` ask, and how they keep
//! what they got.

use hyper::{Method, StatusCode};
use serde_json::Value;

use crate::support::adapter::{Adapter, Answer};

const RULES: &str = "resourceRules: {cpu: {containerLabel: c}, memory: {containerLabel: c}}";

async fn adapter(rules: &str) -> Adapter {
    // Nothing here asks Prometheus anything.
    let started =
        Adapter::standalone("{kind: List, items: []}", rules, "http://127.0.0.1:9", &[]).await;
    started.expect("the rules must load")
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    let value = answer
        .headers
        .get(name)
        .map(|value| value.to_str().unwrap());
    value.unwrap_or_default()
}

fn json(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap()
}

async fn get(adapter: &Adapter, path: &str, headers: &[(&str, &str)]) -> Answer {
    adapter.request(Method::GET, path, headers).await
}

#[tokio::test]
async fn a_document_that_has_not_changed_is_not_sent_again() {
    let adapter = adapter(RULES).await;
    for path in [
        "/openapi/v2",
        "/openapi/v3",
        "/openapi/v3/apis/metrics.k8s.io/v1beta1",
    ] {
        let first = get(&adapter, path, &[("Accept", "application/json")]).await;
        assert_eq!(
            (first.status, first.media_type()),
            (StatusCode::OK, "application/json")
        );
        assert_eq!(header(&first, "cache-control"), "no-cache, private");
        let etag = header(&first, "etag");
        assert!(
            etag.len() > 2 && etag.starts_with('"') && etag.ends_with('"'),
            "{etag}"
        );
        let again = get(&adapter, path, &[("If-None-Match", etag)]).await;
        assert_eq!(
            (again.status, again.body.as_str()),
            (StatusCode::NOT_MODIFIED, "")
        );
        // kube-aggregator takes a 304 without the tag for an error.
        assert_eq!(header(&again, "etag"), etag);
        let other = get(&adapter, path, &[("If-None-Match", "\"0\"")]).await;
        assert_eq!((other.status, &other.body), (StatusCode::OK, &first.body));
    }
}

#[tokio::test]
async fn the_index_leads_to_documents_that_may_be_kept() {
    let adapter = adapter(RULES).await;
    let index = json(&get(&adapter, "/openapi/v3", &[]).await);
    let paths = index["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 10);
    for (name, entry) in paths {
        let url = entry["serverRelativeURL"].as_str().unwrap();
        let answer = get(&adapter, url, &[]).await;
        assert_eq!(answer.status, StatusCode::OK, "{url}");
        assert_eq!(json(&answer)["openapi"], "3.0.0");
        assert_eq!(header(&answer, "cache-control"), "public, immutable");
        assert!(
            header(&answer, "expires").ends_with(" GMT"),
            "{:?}",
            answer.headers
        );
        assert_eq!(header(&answer, "vary"), "Accept");
        let hash = header(&answer, "etag").trim_matches('"');
        assert_eq!(url, format!("/openapi/v3/{name}?hash={hash}"));
        // Go sends a stale hash away with a 301, on which kube-aggregator fails.
        let stale = get(&adapter, &format!("/openapi/v3/{name}?hash=0"), &[]).await;
        assert_eq!((stale.status, &stale.body), (StatusCode::OK, &answer.body));
        assert_eq!(header(&stale, "cache-control"), "no-cache, private");
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_described_and_only_json_is_written() {
    let adapter = adapter("rules: []").await;
    for path in [
        "/openapi/v3/apis/metrics.k8s.io/v1beta1",
        "/openapi/v3/nope",
        "/openapi/v4",
    ] {
        assert_eq!(
            get(&adapter, path, &[]).await.status,
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
    let protobuf = (
        "Accept",
        "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
    );
    let answer = get(&adapter, "/openapi/v2", &[protobuf]).await;
    assert_eq!(
        (answer.status, &json(&answer)["reason"]),
        (StatusCode::NOT_ACCEPTABLE, &"NotAcceptable".into())
    );
}
