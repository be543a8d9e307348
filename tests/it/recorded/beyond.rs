//! The same world as the recording's, asked what no recorded exchange shows.

use hyper::StatusCode;
use serde_json::Value;

use super::{RULES, SERIES, World, differences};
use crate::support::http_client;
use crate::support::tap::Behaviour;

#[tokio::test]
async fn a_rising_counter_is_served_at_the_rate_that_prometheus_computes() {
    let world = World::start(SERIES, RULES).await;
    // While the first minute fills, the rate over a minute only grows: before ≤ served ≤ after.
    let promql = "sum(rate(http_requests_total{namespace=\"shop\",pod=\"web-b\"}[1m])) by (pod)";
    let rate = async || {
        let rows = world.prometheus.query(promql).await.unwrap();
        rows[0]["value"][1]
            .as_str()
            .unwrap()
            .parse::<f64>()
            .unwrap()
    };
    let before = rate().await;
    let path = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/web-b";
    let answer = world
        .adapter
        .get(&format!("{path}/http_requests_per_second"))
        .await;
    let after = rate().await;
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    let value = body["items"][0]["value"]
        .as_str()
        .expect("a value must be there");
    let milli: f64 = match value.strip_suffix('m') {
        Some(milli) => milli.parse().unwrap(),
        None => value.parse::<f64>().unwrap() * 1000.0,
    };
    // A quantity is rounded to milli.
    let range = (before * 1000.0 - 1.0)..=(after * 1000.0 + 1.0);
    assert!(
        range.contains(&milli),
        "{value} is not within {before}..={after}"
    );
    assert_eq!(world.tap.take_queries(), [promql]);
}

#[tokio::test]
async fn what_no_exchange_shows_follows_the_table_too() {
    let world = World::start(SERIES, RULES).await;
    let unknown = "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/nope";
    refuses(
        &world,
        unknown,
        404,
        "NotFound",
        differences::EXTERNAL_UNKNOWN,
    )
    .await;
    let depth = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/web-a/queue_depth";
    let dotted = format!("{depth}?metricLabelSelector=app.kubernetes.io%2Fname%3Dweb");
    refuses(
        &world,
        &dotted,
        400,
        "BadRequest",
        differences::LABEL_NOT_EXPRESSIBLE,
    )
    .await;
    assert_eq!(world.tap.take_queries(), Vec::<String>::new());
}

#[tokio::test]
async fn a_sample_of_1e16_and_above_is_served_exactly() {
    const HUGE: &str = "queue_depth{namespace=\"shop\",pod=\"web-a\"} 1e+16\n\
                        queue_depth{namespace=\"shop\",pod=\"web-b\"} -2.5e+19\n\
                        queue_depth{namespace=\"shop\",pod=\"web-c\"} 1e+22\n";
    let world = World::start(HUGE, RULES).await;
    let path = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/queue_depth";
    let body: Value = serde_json::from_str(&world.adapter.get(path).await.body).unwrap();
    let values: Vec<_> = body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| &i["value"])
        .collect();
    assert_eq!(values, ["10P", "-25E", "10000E"]);
}

#[tokio::test]
async fn a_pod_of_which_something_is_not_known_is_left_out_and_by_name_the_cause_is_told() {
    const SERIES: &str = "queue_depth{namespace=\"shop\",pod=\"web-a\"} 1\n\
        cpu_cores{namespace=\"bank\",pod=\"teller-a\",container=\"app\"} -0.5\n\
        cpu_cores{namespace=\"shop\",pod=\"web-a\",container=\"app\"} 0.5\n\
        cpu_cores{namespace=\"shop\",pod=\"web-b\",container=\"app\"} NaN\n\
        container_memory_working_set_bytes{namespace=\"bank\",pod=\"teller-a\",container=\"app\"} 2048\n\
        container_memory_working_set_bytes{namespace=\"shop\",pod=\"web-a\",container=\"app\"} 2048\n\
        container_memory_working_set_bytes{namespace=\"shop\",pod=\"web-a\",container=\"new\"} 3\n\
        container_memory_working_set_bytes{namespace=\"shop\",pod=\"web-b\",container=\"app\"} 1\n\
        node_cpu_cores{node=\"node-1\"} 2\n\
        node_cpu_cores{node=\"node-2\"} +Inf\n\
        node_memory_working_set_bytes{node=\"node-2\"} 1\n";
    let world = World::start(SERIES, RULES).await;
    let get = async |path: &str| {
        let answer = world
            .adapter
            .get(&format!("/apis/metrics.k8s.io/v1beta1/{path}"))
            .await;
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        (answer.status.as_u16(), body)
    };
    let (status, body) = get("pods").await;
    let items = body["items"].as_array().unwrap();
    assert_eq!((status, items.len()), (200, 1), "{body}");
    assert_eq!(items[0]["metadata"]["name"], "teller-a");
    let containers = serde_json::json!([{"name": "app", "usage": {"cpu": "0", "memory": "2Ki"}}]);
    assert_eq!(items[0]["containers"], containers);
    for list in ["nodes", "namespaces/shop/pods"] {
        assert_eq!(get(list).await.1["items"], serde_json::json!([]), "{list}");
    }
    for (path, kind, name, cause) in [
        (
            "namespaces/shop/pods/web-a",
            "podmetrics",
            "shop/web-a",
            ": there is no sample of the CPU of container \"new\"",
        ),
        (
            "namespaces/shop/pods/web-b",
            "podmetrics",
            "shop/web-b",
            ": the sample of the CPU of container \"app\" is not a number (NaN)",
        ),
        ("namespaces/shop/pods/web-c", "podmetrics", "shop/web-c", ""),
        (
            "nodes/node-1",
            "nodemetrics",
            "node-1",
            ": there is no sample of its memory",
        ),
        (
            "nodes/node-2",
            "nodemetrics",
            "node-2",
            ": the sample of its CPU is not a number (+Inf)",
        ),
    ] {
        let (status, body) = get(path).await;
        let message = format!("{kind}.metrics.k8s.io \"{name}\" not found{cause}");
        assert_eq!((status, body["message"].as_str()), (404, Some(&*message)));
        assert_eq!(body["details"]["group"], "metrics.k8s.io");
    }
}

#[tokio::test]
async fn field_selectors_choose_pods_before_anything_is_asked() {
    let world = World::start(SERIES, RULES).await;
    for (selector, pods, queries) in [
        ("metadata.name%3Dweb-b", vec!["web-b"], 2),
        (
            "metadata.name!%3Dweb-b,metadata.namespace%3Dshop",
            vec!["web-a"],
            2,
        ),
        ("metadata.namespace%3Dbank", vec!["teller-a"], 2),
        ("metadata.name%3Dnobody", vec![], 0),
    ] {
        world.tap.take();
        let path = format!("/apis/metrics.k8s.io/v1beta1/pods?fieldSelector={selector}");
        let body: Value = serde_json::from_str(&world.adapter.get(&path).await.body).unwrap();
        let items = body["items"].as_array().unwrap();
        let names: Vec<_> = items
            .iter()
            .map(|pod| pod["metadata"]["name"].clone())
            .collect();
        assert_eq!(names, pods, "{selector}");
        assert_eq!(world.tap.take_queries().len(), queries, "{selector}");
    }
    let path = "/apis/metrics.k8s.io/v1beta1/nodes?fieldSelector=spec.x%3D1";
    assert_eq!(
        world.adapter.get(path).await.status,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn a_sick_prometheus_is_an_error_with_its_cause_and_never_an_empty_answer() {
    let mut world = World::start(SERIES, RULES).await;
    let custom = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods";
    let asks = [
        format!("{custom}/web-a/queue_depth"),
        format!("{custom}/*/queue_depth"),
        "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/lag".to_owned(),
        "/apis/metrics.k8s.io/v1beta1/nodes".to_owned(),
        "/apis/metrics.k8s.io/v1beta1/nodes/node-1".to_owned(),
        "/apis/metrics.k8s.io/v1beta1/pods".to_owned(),
        "/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods/web-a".to_owned(),
    ];
    let answer = |status, content_type, body: &str| Behaviour::Answer {
        status,
        content_type,
        body: body.to_owned(),
    };
    let error = r#"{"status":"error","errorType":"execution","error":"the cause itself"}"#;
    let cases = [
        (
            "an error of its own",
            answer(422, "application/json", error),
            "the cause itself",
        ),
        (
            "a proxy's page",
            answer(200, "text/html", "<html>log in</html>"),
            "",
        ),
        (
            "a proxy's failure",
            answer(502, "text/plain", "bad gateway"),
            "502",
        ),
        (
            "a redirect",
            Behaviour::Redirect("http://127.0.0.1:1/login".to_owned()),
            "",
        ),
        ("a closed connection", Behaviour::Close, ""),
        ("half an answer", Behaviour::Truncate, ""),
        ("an answer without end", Behaviour::Flood, ""),
    ];
    for (name, behaviour, cause) in cases {
        world.tap.behave(behaviour);
        for ask in &asks {
            let answer = world.adapter.get(ask).await;
            let body: Value = serde_json::from_str(&answer.body).expect("a Status must be JSON");
            assert_eq!(
                answer.status,
                StatusCode::SERVICE_UNAVAILABLE,
                "{name}: {ask}: {body}"
            );
            assert_eq!(
                body["reason"], "ServiceUnavailable",
                "{name}: {ask}: {body}"
            );
            let message = body["message"]
                .as_str()
                .expect("a Status must have a message");
            assert!(
                !message.is_empty() && message.contains(cause),
                "{name}: {ask}: {message}"
            );
        }
    }
    world.tap.behave(Behaviour::Forward);
    world.prometheus.kill();
    for ask in &asks {
        assert_eq!(
            world.adapter.get(ask).await.status,
            StatusCode::SERVICE_UNAVAILABLE,
            "{ask}"
        );
    }
    // Discovery and readiness answer from memory: a sick Prometheus makes no sick cluster.
    for path in ["/apis/custom.metrics.k8s.io/v1beta2", "/readyz", "/livez"] {
        assert_eq!(
            world.adapter.get(path).await.status,
            StatusCode::OK,
            "{path}"
        );
    }
    world.prometheus.restart().await;
    world.prometheus.wait_for(&["queue_depth"]).await;
    assert_eq!(world.adapter.get(&asks[0]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn told_to_end_it_ends_well_and_answers_nobody_any_more() {
    let mut world = World::start(SERIES, RULES).await;
    world.adapter.signal("TERM");
    let status = world.adapter.ended().await;
    assert!(
        status.success(),
        "it ended with {status}:\n{}",
        world.adapter.stderr()
    );
    assert!(http_client().get(&world.adapter.url).send().await.is_err());
}

/// GET of a path that must answer this failure.
async fn refuses(world: &World, path: &str, status: u16, reason: &str, message: &str) {
    let answer = world.adapter.get(path).await;
    let body: Value = serde_json::from_str(&answer.body).expect("a Status must be JSON");
    assert_eq!(
        (
            answer.status.as_u16(),
            body["reason"].as_str(),
            body["message"].as_str()
        ),
        (status, Some(reason), Some(message)),
        "{path}"
    );
}
