//! What the cluster is asked about a request, how often, and what happens when it does not answer.

use std::time::Duration;

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use super::{AUTOSCALER, DEPTH, PODS, World, ask, ask_with, status};
use crate::support::adapter::{self, Adapter};
use crate::support::apiserver::{Conduct, Grant, VALID_TOKEN};
use crate::support::poll;

const ACCESS: &str = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
const TOKENS: &str = "/apis/authentication.k8s.io/v1/tokenreviews";

/// The front proxy's headers for the autoscaler, as a real aggregator sends them.
const HEADERS: [(&str, &str); 4] = [
    ("X-Remote-User", AUTOSCALER),
    ("X-Remote-Uid", "caaa0796"),
    ("X-Remote-Group", "system:authenticated"),
    (
        "X-Remote-Extra-Authentication.kubernetes.io%2fcredential-Id",
        "JTI=cde46766",
    ),
];

async fn as_autoscaler(world: &World, adapter: &Adapter, path: &str) -> u16 {
    ask_with(adapter, Some(&world.proxy()), path, &HEADERS)
        .await
        .status
        .as_u16()
}

#[tokio::test]
async fn each_route_is_reviewed_with_the_attributes_of_a_go_server() {
    let world = World::new().await;
    // Since Kubernetes 1.32; the recorded ConfigMap has no header for it.
    let uid = "requestheader-uid-headers";
    world.api.publish(uid, r#"["X-Remote-Uid"]"#);
    let adapter = world.ready(&[]).await;
    let custom = |resource: &str, name: &str, metric: &str| {
        json!({"resourceAttributes": {
            "verb": "get", "group": "custom.metrics.k8s.io", "version": "v1beta2",
            "namespace": "shop", "resource": resource, "name": name, "subresource": metric}})
    };
    let path = |path: &str| json!({"nonResourceAttributes": {"path": path, "verb": "get"}});
    let group = "/apis/custom.metrics.k8s.io/v1beta2";
    let cases = [
        (DEPTH.to_owned(), custom("pods", "*", "queue_depth")),
        (
            DEPTH.replace('*', "%2A").replace("app", "apq"),
            custom("pods", "*", "queue_depth"),
        ),
        (
            format!("{PODS}/web-a/queue_depth"),
            custom("pods", "web-a", "queue_depth"),
        ),
        (
            format!("{group}/namespaces/shop/metrics/budget"),
            json!({"resourceAttributes": {
                "verb": "get", "group": "custom.metrics.k8s.io", "version": "v1beta2",
                "namespace": "shop", "resource": "metrics", "name": "budget"}}),
        ),
        (
            format!("{group}/nodes/node-1/load"),
            json!({"resourceAttributes": {
                "verb": "get", "group": "custom.metrics.k8s.io", "version": "v1beta2",
                "resource": "nodes", "name": "node-1", "subresource": "load"}}),
        ),
        (
            "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/lag".to_owned(),
            json!({"resourceAttributes": {
                "verb": "list", "group": "external.metrics.k8s.io", "version": "v1beta1",
                "namespace": "shop", "resource": "lag"}}),
        ),
        ("/apis".to_owned(), path("/apis")),
        (group.to_owned(), path(group)),
        ("/metrics".to_owned(), path("/metrics")),
        ("/readyz/ping".to_owned(), path("/readyz/ping")),
    ];
    let mut known: Vec<Value> = Vec::new();
    for (asked, attributes) in cases {
        let _code = as_autoscaler(&world, &adapter, &asked).await;
        let mut expected = json!({
            "user": AUTOSCALER, "uid": "caaa0796", "groups": ["system:authenticated"],
            "extra": {"authentication.kubernetes.io/credential-id": ["JTI=cde46766"]},
        });
        for (key, value) in attributes.as_object().unwrap() {
            expected[key] = value.clone();
        }
        let reviews = world.api.take_reviews("/subjectaccessreviews");
        if known.contains(&expected) {
            assert!(reviews.is_empty(), "{asked} is the same question");
        } else {
            assert_eq!(reviews, std::slice::from_ref(&expected), "{asked}");
            known.push(expected);
        }
    }
}

#[tokio::test]
async fn equal_questions_are_one_review_and_its_answer_holds_for_a_while() {
    let world = World::new().await;
    let adapter = world.ready(&[]).await;
    let client = adapter.caller(None, true);
    let url = format!("{}{PODS}/web-a/queue_depth", adapter.url);
    let bearer = format!("Bearer {VALID_TOKEN}");
    let headers = [("Authorization", bearer.as_str())];
    let asks = (0..50).map(|_| adapter::send(&client, Method::GET, &url, &headers));
    for answer in futures_util::future::join_all(asks).await {
        assert_eq!(answer.unwrap().status, StatusCode::OK);
    }
    for _ in 0..5 {
        let answer = adapter::send(&client, Method::GET, &url, &headers)
            .await
            .unwrap();
        assert_eq!(answer.status, StatusCode::OK);
    }
    let paths: Vec<String> = world.api.take().into_iter().map(|call| call.path).collect();
    assert_eq!(paths, [TOKENS, ACCESS], "55 requests");

    // Another object is another question; a refusal holds as a permission does.
    let bob = world.clients.client("bob", &[]);
    for _ in 0..3 {
        assert_eq!(
            ask(&adapter, Some(&bob), DEPTH).await.status,
            StatusCode::FORBIDDEN
        );
    }
    let other = format!("{}{PODS}/web-b/queue_depth", adapter.url);
    adapter::send(&client, Method::GET, &other, &headers)
        .await
        .unwrap();
    assert_eq!(world.api.take_reviews("/subjectaccessreviews").len(), 2);
}

#[tokio::test]
async fn an_answer_that_is_old_is_asked_again() {
    let world = World::new().await;
    let adapter = world
        .ready(&[
            "--authentication-token-webhook-cache-ttl=0s",
            "--authorization-webhook-cache-authorized-ttl=0s",
        ])
        .await;
    let bearer = format!("Bearer {VALID_TOKEN}");
    for _ in 0..2 {
        let headers = [("Authorization", bearer.as_str())];
        let path = format!("{PODS}/web-a/queue_depth");
        assert_eq!(
            ask_with(&adapter, None, &path, &headers).await.status,
            StatusCode::OK
        );
    }
    let paths: Vec<String> = world.api.take().into_iter().map(|call| call.path).collect();
    assert_eq!(paths, [TOKENS, ACCESS, TOKENS, ACCESS]);
}

#[tokio::test]
async fn a_review_that_fails_allows_nothing_and_is_not_remembered() {
    let world = World::new().await;
    let adapter = world.ready(&[]).await;
    world.tap.take();
    // Trouble that passes is waited for: these do not.
    for conduct in [Conduct::Refuse(403), Conduct::Refuse(401)] {
        world.api.conduct(ACCESS, conduct);
        let answer = ask_with(&adapter, Some(&world.proxy()), DEPTH, &HEADERS).await;
        let (code, message) = status(&answer);
        assert_eq!(code, 500, "{conduct:?}: {message}");
        let begins = "Internal Server Error: \"";
        assert!(message.starts_with(begins) && message.contains("the access review failed: "));
    }
    world.api.conduct(ACCESS, Conduct::Hang);
    let late = format!("{DEPTH}&timeout=300ms");
    assert_eq!(as_autoscaler(&world, &adapter, &late).await, 504);
    assert!(world.tap.take_queries().is_empty());
    // The always-allowed paths and the masters need nobody's word.
    assert_eq!(ask(&adapter, None, "/readyz").await.body, "ok");
    assert_eq!(
        ask(&adapter, Some(&world.admin()), DEPTH).await.status,
        StatusCode::OK
    );

    world.api.conduct(ACCESS, Conduct::Well);
    // The review that hangs is shared until its own deadline; after it the question is put again.
    poll::until(
        "the autoscaler is served again",
        Duration::from_secs(30),
        async || match as_autoscaler(&world, &adapter, &late).await {
            200 => Ok(()),
            code => Err(code.to_string()),
        },
    )
    .await;

    world.api.conduct(TOKENS, Conduct::Refuse(403));
    let bearer = format!("Bearer {VALID_TOKEN}");
    let headers = [("Authorization", bearer.as_str())];
    assert_eq!(
        ask_with(&adapter, None, DEPTH, &headers).await.status,
        StatusCode::UNAUTHORIZED
    );
    world.api.conduct(TOKENS, Conduct::Well);
    assert_eq!(
        ask_with(&adapter, None, DEPTH, &headers).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn acting_as_another_needs_a_review_of_that() {
    let world = World::new().await;
    let adapter = world.ready(&[]).await;
    let bob = world.clients.client("bob", &[]);
    let headers = [
        ("Impersonate-User", "admin"),
        ("Impersonate-Group", "system:masters"),
    ];
    let refused = ask_with(&adapter, Some(&bob), "/metrics", &headers).await;
    let text = "users \"admin\" is forbidden: User \"bob\" cannot impersonate resource \"users\" in \
                API group \"\" at the cluster scope";
    assert_eq!(status(&refused), (403, text.to_owned()));
    let reviews = world.api.take_reviews("/subjectaccessreviews");
    let asked = json!({"verb": "impersonate", "resource": "users", "name": "admin"});
    assert_eq!(reviews.len(), 1);
    assert_eq!(reviews[0]["resourceAttributes"], asked);

    let admin = world.admin();
    let as_bob = [("Impersonate-User", "bob")];
    let refused = ask_with(&adapter, Some(&admin), "/metrics", &as_bob).await;
    assert_eq!(
        status(&refused),
        (
            403,
            "forbidden: User \"bob\" cannot get path \"/metrics\"".to_owned()
        )
    );
    let groups = [("Impersonate-Group", "system:masters")];
    assert_eq!(
        ask_with(&adapter, Some(&bob), "/metrics", &groups)
            .await
            .status
            .as_u16(),
        500
    );
}

#[tokio::test]
async fn trouble_of_the_api_server_that_passes_costs_a_caller_nothing_but_time() {
    for conduct in [
        Conduct::Fail,
        Conduct::Close,
        Conduct::Refuse(429),
        Conduct::Refuse(503),
    ] {
        let world = World::new().await;
        let adapter = world.ready(&[]).await;
        world.api.conduct("/apis/auth", conduct);
        let bearer = format!("Bearer {VALID_TOKEN}");
        let headers = [("Authorization", bearer.as_str())];
        let one = format!("{PODS}/web-a/queue_depth");
        let asked = ask_with(&adapter, None, &one, &headers);
        let passes = async {
            poll::until("a review was tried", Duration::from_secs(20), async || {
                let calls = world.api.seen();
                let tried = calls.iter().any(|call| call.path == TOKENS);
                tried.then_some(()).ok_or_else(|| format!("{calls:?}"))
            })
            .await;
            world.api.conduct("/apis/auth", Conduct::Well);
        };
        let (answer, ()) = tokio::join!(asked, passes);
        assert_eq!(
            answer.status,
            StatusCode::OK,
            "{conduct:?}: {}",
            answer.body
        );
        let reviews = world.api.take_reviews("/tokenreviews").len();
        assert!(reviews >= 2, "{conduct:?}: {reviews}");
    }
}

/// As many autoscalers of one service account, each with its own namespace, object and metric.
#[tokio::test]
async fn with_broad_checks_a_thousand_autoscalers_cost_a_handful_of_reviews() {
    let world = World::new().await;
    let forever = "--authorization-webhook-cache-authorized-ttl=1h";
    let adapter = world
        .ready(&["--authorization-broad-checks", forever])
        .await;
    let client = adapter.caller(Some(&world.proxy()), true);
    let custom = "/apis/custom.metrics.k8s.io";
    let ask = async |number: usize| {
        let path = match number % 3 {
            0 => format!("{custom}/v1beta2/namespaces/ns-{number}/pods/*/metric_{number}"),
            1 => format!("{custom}/v1beta1/namespaces/ns-{number}/services/s/metric_{number}"),
            _ => format!("/apis/external.metrics.k8s.io/v1beta1/namespaces/n/metric_{number}"),
        };
        let url = format!("{}{path}", adapter.url);
        let answer = adapter::send(&client, Method::GET, &url, &HEADERS).await;
        let answer = answer.unwrap();
        // They are allowed, and Prometheus knows none of them.
        assert_eq!(answer.status.as_u16(), 404, "{path}: {}", answer.body);
    };
    for first in (0..1000).step_by(50) {
        futures_util::future::join_all((first..first + 50).map(&ask)).await;
    }
    let reviews = world.api.take_reviews("/subjectaccessreviews");
    let asked: Vec<_> = reviews.iter().map(|it| &it["resourceAttributes"]).collect();
    let all = |verb: &str, group: &str| {
        json!({"verb": verb, "group": group, "version": "*", "resource": "*",
            "name": "tidegauge:any"})
    };
    let (custom, external) = (
        all("get", "custom.metrics.k8s.io"),
        all("list", "external.metrics.k8s.io"),
    );
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(
        asked.contains(&&custom) && asked.contains(&&external),
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_broad_no_is_remembered_and_a_broad_error_allows_nothing() {
    let world = World::new().await;
    let forever = "--authorization-webhook-cache-unauthorized-ttl=1h";
    let adapter = world
        .ready(&["--authorization-broad-checks", forever])
        .await;
    world.api.grant(Grant {
        user: "bob",
        group: "custom.metrics.k8s.io",
        verbs: &["get"],
        resources: &["pods/queue_depth"],
        namespace: Some("shop"),
    });
    let bob = world.clients.client("bob", &[]);
    for (pod, reviews) in [("web-a", 2), ("web-b", 1), ("web-c", 1)] {
        let answer = ask(&adapter, Some(&bob), &format!("{PODS}/{pod}/queue_depth")).await;
        assert_ne!(answer.status, StatusCode::FORBIDDEN, "{}", answer.body);
        let asked = world.api.take_reviews("/subjectaccessreviews");
        assert_eq!(asked.len(), reviews, "{pod}: {asked:?}");
    }
    let eve = world.clients.client("eve", &[]);
    world.api.conduct(ACCESS, Conduct::Refuse(403));
    let (code, message) = status(&ask(&adapter, Some(&eve), DEPTH).await);
    assert_eq!(code, 500, "{message}");
    assert_eq!(world.api.take_reviews("/subjectaccessreviews").len(), 1);
}

/// Not even a yes: nobody fills the memory of answers with what he makes up.
#[tokio::test]
async fn an_answer_about_a_very_long_question_is_not_kept() {
    let world = World::new().await;
    let adapter = world.ready(&[]).await;
    let metric = "m".repeat(10_001);
    for (metric, reviews) in [(metric.as_str(), 2), ("m", 1)] {
        for _ in 0..2 {
            let path = format!("{PODS}/web-a/{metric}");
            assert_eq!(as_autoscaler(&world, &adapter, &path).await, 404);
        }
        assert_eq!(
            world.api.take_reviews("/subjectaccessreviews").len(),
            reviews
        );
    }
}

#[tokio::test]
async fn a_token_that_nobody_has_any_more_is_refused_when_its_answer_is_old() {
    let world = World::new().await;
    let adapter = world
        .ready(&["--authentication-token-webhook-cache-ttl=5s"])
        .await;
    let bearer = format!("Bearer {VALID_TOKEN}");
    let headers = [("Authorization", bearer.as_str())];
    let path = format!("{PODS}/web-a/queue_depth");
    let code = async || {
        ask_with(&adapter, None, &path, &headers)
            .await
            .status
            .as_u16()
    };
    assert_eq!(code().await, 200);
    world.api.revoke(VALID_TOKEN);
    poll::until(
        "the token is refused",
        Duration::from_secs(30),
        async || match code().await {
            401 => Ok(()),
            code => Err(code.to_string()),
        },
    )
    .await;
    // Asked once when it was new, and once when the answer was old; a no is kept as a yes is.
    assert_eq!(code().await, 401);
    assert_eq!(world.api.take_reviews("/tokenreviews").len(), 2);
}
