//! The discovery documents over HTTP, as kube-aggregator and the availability controller ask for
//! them, and API groups that are switched off.

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::adapter::{Adapter, Answer};
use crate::support::tap::{Behaviour, Tap};

/// Listed without asking Prometheus anything.
const RULES: &str = r#"
rules:
- seriesQuery: 'queue_depth{namespace!="",pod!=""}'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)
externalRules:
- seriesQuery: 'lag{namespace!=""}'
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>})
resourceRules: {cpu: {containerLabel: c}, memory: {containerLabel: c}}
"#;

const V2: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const V2BETA1: &str = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";

const LISTS: [&str; 5] = [
    "/apis/custom.metrics.k8s.io/v1beta1",
    "/apis/custom.metrics.k8s.io/v1beta2",
    "/apis/external.metrics.k8s.io/v1beta1",
    "/apis/metrics.k8s.io/v1beta1",
    "/apis/metrics.k8s.io/v1",
];

async fn adapter(rules: &str, prometheus: &str, flags: &[&str]) -> Adapter {
    let objects = "{apiVersion: v1, kind: Namespace, metadata: {name: shop}}";
    match Adapter::standalone(objects, rules, prometheus, flags).await {
        Ok(adapter) => adapter,
        Err(refusal) => panic!("it ended with {}:\n{}", refusal.status, refusal.stderr),
    }
}

/// Where nothing answers.
const NOWHERE: &str = "http://127.0.0.1:9";

async fn apis(adapter: &Adapter, accept: &str, known: Option<&str>) -> Answer {
    let mut headers = vec![("Accept", accept)];
    headers.extend(known.map(|tag| ("If-None-Match", tag)));
    adapter.request(Method::GET, "/apis", &headers).await
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    let value = answer.headers.get(name);
    value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

fn json(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap()
}

fn names(list: &Value) -> Vec<&str> {
    let resources = list["resources"].as_array().unwrap().iter();
    resources.map(|it| it["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_aggregator_gets_all_groups_at_once_and_nothing_twice() {
    let adapter = adapter(RULES, NOWHERE, &[]).await;
    let both = format!("{V2},{V2BETA1}");
    let peer = format!("{V2};profile=nopeer,{V2BETA1},application/json");
    for (accept, media_type, version) in [
        (both.as_str(), V2, "v2"),
        (&peer, V2, "v2"),
        (V2BETA1, V2BETA1, "v2beta1"),
    ] {
        let answer = apis(&adapter, accept, None).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        assert_eq!(answer.media_type(), media_type);
        let body = json(&answer);
        assert_eq!(body["kind"], "APIGroupDiscoveryList");
        assert_eq!(body["apiVersion"], format!("apidiscovery.k8s.io/{version}"));
        let groups: Vec<_> = body["items"].as_array().unwrap().iter().collect();
        assert_eq!(groups.len(), 3, "{body}");
        assert_eq!(
            (header(&answer, "vary"), header(&answer, "cache-control")),
            ("Accept", "public")
        );
        let tag = header(&answer, "etag");
        let hash = tag.trim_matches('"');
        assert_eq!((tag.len(), hash.len()), (130, 128), "{tag}");
        assert!(
            hash.bytes().all(|b| b"0123456789ABCDEF".contains(&b)),
            "{tag}"
        );

        let again = apis(&adapter, accept, Some(tag)).await;
        assert_eq!((again.status, &*again.body), (StatusCode::NOT_MODIFIED, ""));
        assert_eq!((header(&again, "etag"), again.media_type()), (tag, ""));
        assert_eq!(
            (header(&again, "vary"), header(&again, "cache-control")),
            ("Accept", "public")
        );
        let other = apis(&adapter, accept, Some("\"0\"")).await;
        assert_eq!((other.status, &other.body), (StatusCode::OK, &answer.body));
    }
}

#[tokio::test]
async fn whoever_takes_no_aggregated_document_gets_the_plain_one_or_406() {
    let adapter = adapter(RULES, NOWHERE, &[]).await;
    let unknown = "application/json;g=apidiscovery.k8s.io;v=v9;as=APIGroupDiscoveryList";
    for (accept, status, kind) in [
        ("application/json", 200, "APIGroupList"),
        (&format!("{unknown},application/json"), 200, "APIGroupList"),
        (unknown, 406, "Status"),
    ] {
        let answer = apis(&adapter, accept, None).await;
        assert_eq!(answer.media_type(), "application/json", "{accept}");
        assert_eq!(
            (answer.status.as_u16(), &json(&answer)["kind"]),
            (status, &json!(kind))
        );
    }
    // One group alone has no aggregated form.
    let headers = [("Accept", V2)];
    for path in ["/apis/custom.metrics.k8s.io", LISTS[0]] {
        let answer = adapter.request(Method::GET, path, &headers).await;
        assert_eq!(answer.status, StatusCode::NOT_ACCEPTABLE, "{path}");
    }
}

#[tokio::test]
async fn discovery_answers_from_memory_while_prometheus_hangs() {
    let tap = Tap::start(NOWHERE).await;
    tap.behave(Behaviour::Hang);
    let adapter = adapter(RULES, &tap.url, &[]).await;
    let asked = tap.take().len();
    // The availability controller sends no `Accept` at all, five at a time.
    for path in LISTS
        .into_iter()
        .chain(["/apis", "/apis/metrics.k8s.io", "/readyz"])
    {
        let probes = [(); 5].map(|()| adapter.request(Method::GET, path, &[]));
        for answer in futures_util::future::join_all(probes).await {
            assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
        }
    }
    let aggregated = apis(&adapter, V2, None).await;
    assert_eq!(aggregated.status, StatusCode::OK);
    assert!(
        aggregated.body.contains("queue_depth"),
        "{}",
        aggregated.body
    );
    assert!(
        asked > 0 && tap.take().is_empty(),
        "discovery must ask nobody"
    );
}

#[tokio::test]
async fn a_group_without_metrics_lists_one_entry_that_is_not_there_when_asked_for() {
    let adapter = adapter("rules: []", NOWHERE, &[]).await;
    for (list, name) in [
        (LISTS[0], "pods/custommetrics"),
        (LISTS[1], "pods/custommetrics"),
        (LISTS[2], "externalmetrics"),
    ] {
        let answer = adapter.get(list).await;
        assert_eq!(names(&json(&answer)), [name]);
    }
    for (path, message) in [
        (
            "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/web/custommetrics",
            "the server could not find the metric custommetrics for pods: no rule makes it",
        ),
        (
            "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/externalmetrics",
            "the server could not find the metric externalmetrics: no rule makes it",
        ),
    ] {
        let answer = adapter.get(path).await;
        let body = json(&answer);
        assert_eq!(
            (answer.status, &body["reason"]),
            (StatusCode::NOT_FOUND, &json!("NotFound"))
        );
        assert_eq!(body["message"], message);
    }
    // Nor are there resource metrics without their rules.
    assert_eq!(adapter.get(LISTS[3]).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_group_that_is_switched_off_does_not_exist_and_is_not_asked_about() {
    let off = |groups: &str| format!("--api-groups={groups}");
    let custom = "custom.metrics.k8s.io";
    let external = "external.metrics.k8s.io";
    let resource = "metrics.k8s.io";
    for (groups, gone, left, series) in [
        ([custom, resource], external, custom, "lag"),
        ([external, resource], custom, external, "queue_depth"),
        ([custom, external], resource, custom, ""),
    ] {
        let tap = Tap::start(NOWHERE).await;
        let empty = r#"{"status":"success","data":[]}"#;
        tap.behave(Behaviour::Answer {
            status: 200,
            content_type: "application/json",
            body: empty.to_owned(),
        });
        let flag = off(&groups.join(","));
        let adapter = adapter(RULES, &tap.url, &[&flag]).await;
        let asked = format!("{:?}", tap.take());
        let other = if series == "lag" {
            "queue_depth"
        } else {
            "lag"
        };
        assert!(asked.contains(other), "{groups:?}: {asked}");
        assert!(
            series.is_empty() || !asked.contains(series),
            "{groups:?}: {asked}"
        );

        let version = |group: &str| format!("/apis/{group}/v1beta1");
        assert_eq!(adapter.get(&version(left)).await.status, StatusCode::OK);
        for path in [
            format!("/apis/{gone}"),
            version(gone),
            format!("{}/namespaces/shop/lag", version(gone)),
            format!("{}/namespaces/shop/pods/web/queue_depth", version(gone)),
            format!("{}/nodes", version(gone)),
            format!("/openapi/v3/apis/{gone}/v1beta1"),
        ] {
            let answer = adapter.get(&path).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
            assert!(json(&answer)["paths"].is_array(), "{path}: {}", answer.body);
        }
        let aggregated = apis(&adapter, V2, None).await.body;
        for document in ["/apis", "/openapi/v2", "/openapi/v3", "/"] {
            let text = adapter.get(document).await.body + &aggregated;
            // `metrics.k8s.io` is the end of the others' names.
            let named = [format!("/{gone}"), format!("\"{gone}")];
            assert!(
                !named.iter().any(|name| text.contains(name)),
                "{document}: {text}"
            );
            assert!(text.contains(left), "{document}: {text}");
        }
        let said = adapter.stderr();
        assert!(said.contains("the API group is switched off"), "{said}");
    }
}

#[tokio::test]
async fn metrics_beyond_the_limit_of_the_documents_can_be_asked_for() {
    let tap = Tap::start(NOWHERE).await;
    let sample = json!({"metric": {"pod": "web"}, "value": [1_700_000_000, "7"]});
    let vector = json!({"resultType": "vector", "result": [sample]});
    tap.behave(Behaviour::Answer {
        status: 200,
        content_type: "application/json",
        body: json!({"status": "success", "data": vector}).to_string(),
    });
    let adapter = adapter(RULES, &tap.url, &["--discovery-max-metrics=1"]).await;
    for list in &LISTS[..2] {
        let listed = json(&adapter.get(list).await);
        assert_eq!(names(&listed), ["namespaces/queue_depth"]);
    }
    assert_eq!(names(&json(&adapter.get(LISTS[2]).await)), ["lag"]);
    let path = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/web/queue_depth";
    let answer = adapter.get(path).await;
    assert_eq!(json(&answer)["items"][0]["value"], "7", "{}", answer.body);
    let metrics = adapter.get("/metrics").await.body;
    let omitted = "\ntidegauge_discovery_metrics_omitted 1\n";
    assert!(metrics.contains(omitted), "{metrics}");
    let said = adapter.stderr();
    assert_eq!(said.matches("--discovery-max-metrics").count(), 1, "{said}");
}
