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
async fn documents_are_written_in_json_and_in_protocol_buffers() {
    let adapter = adapter(RULES).await;
    for (path, version) in [
        ("/openapi/v2", "v2"),
        ("/openapi/v3/apis/metrics.k8s.io/v1beta1", "v3"),
    ] {
        let protobuf =
            |dot| format!("application/com.github.proto-openapi.spec.{version}{dot}v1.0+protobuf");
        let plain = get(&adapter, path, &[]).await;
        assert_eq!(plain.media_type(), "application/json");
        let (old, new) = (protobuf('@'), protobuf('.'));
        for accept in [&old, &new, &format!("{old},application/json;q=0.5")] {
            let answer = get(&adapter, path, &[("Accept", accept)]).await;
            assert_eq!(
                (answer.status, answer.media_type()),
                (StatusCode::OK, &*new),
                "{accept}"
            );
            assert_eq!(header(&answer, "vary"), "Accept");
            // The tag is that of the document's state, as in Go.
            assert_eq!(header(&answer, "etag"), header(&plain, "etag"));
            // Field 1 is the version of OpenAPI.
            let head = if version == "v2" {
                "\n\u{3}2.0\u{12}"
            } else {
                "\n\u{5}3.0.0\u{12}"
            };
            assert!(answer.body.starts_with(head), "{accept}");
            let tag = header(&answer, "etag").to_owned();
            let headers = [("Accept", accept.as_str()), ("If-None-Match", &tag)];
            let again = get(&adapter, path, &headers).await;
            assert_eq!((again.status, &*again.body), (StatusCode::NOT_MODIFIED, ""));
        }
        for accept in [
            "*/*",
            "application/*",
            "application/json, */*",
            "text/html, */*;q=0.1",
        ] {
            let answer = get(&adapter, path, &[("Accept", accept)]).await;
            assert_eq!(
                (answer.status, &answer.body),
                (StatusCode::OK, &plain.body),
                "{accept}"
            );
        }
        for accept in [
            "text/html",
            "application/yaml",
            "application/vnd.kubernetes.protobuf",
        ] {
            let answer = get(&adapter, path, &[("Accept", accept)]).await;
            assert_eq!(answer.status, StatusCode::NOT_ACCEPTABLE);
            // Written as the client reads errors: in JSON, YAML or protocol buffers.
            for part in ["NotAcceptable", &new] {
                assert!(answer.body.contains(part), "{accept}: {}", answer.body);
            }
        }
    }
    // The index has one form, whatever is asked for, as in Go.
    let index = get(&adapter, "/openapi/v3", &[("Accept", "text/html")]).await;
    assert_eq!(
        (index.status, index.media_type()),
        (StatusCode::OK, "application/json")
    );
}

#[tokio::test]
async fn what_is_not_there_is_not_described() {
    let adapter = adapter("rules: []").await;
    for path in [
        "/openapi/v3/apis/metrics.k8s.io/v1beta1",
        "/openapi/v3/nope",
        "/openapi/v4",
    ] {
        let status = get(&adapter, path, &[]).await.status;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
    }
}
