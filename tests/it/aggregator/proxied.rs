//! One request on its way through the aggregator, and its answer on the way back.

use hyper::StatusCode;

use super::{Cluster, REGISTERED, RULES, json, two_pods};
use crate::support::aggregator::proxy::AUDIT_ID;
use crate::support::aggregator::{ADMIN, AUTOSCALER, BOB, Sent};

const PODS: &str = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods";

#[tokio::test]
async fn a_request_arrives_as_the_aggregator_was_recorded_to_send_it_and_is_answered() {
    let tap = two_pods().await;
    let cluster = Cluster::start(RULES, &tap.url, &[], &REGISTERED).await;
    cluster.api.take();
    let path = format!("{PODS}/*/queue_depth?labelSelector=app%20in%20(web,api)");
    let answer = cluster.ask(&AUTOSCALER, &path, &[]).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(json(&answer.body)["items"].as_array().unwrap().len(), 2);
    assert_eq!(answer.headers["audit-id"], AUDIT_ID);

    let sent = cluster.aggregator.take_sent();
    let [sent] = &sent[..] else {
        panic!("{sent:?}");
    };
    let target = format!("{PODS}/%2A/queue_depth?labelSelector=app+in+%28web%2Capi%29");
    assert_eq!(sent.target, target);
    let extra = "x-remote-extra-authentication.kubernetes.io%2Fcredential-id";
    for (name, value) in [
        ("x-remote-user", AUTOSCALER.name),
        ("x-remote-uid", AUTOSCALER.uid),
        ("x-remote-group", "system:authenticated"),
        (extra, "JTI=cde46766-716d-4fbe-b82c-7b12167bd49d"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-for", "127.0.0.1"),
        ("accept-encoding", "gzip"),
    ] {
        assert_eq!(sent.header(name), [value], "{name}");
    }
    assert_eq!(sent.header("authorization"), [""; 0]);
    // Access is reviewed for the metric of all pods, whatever the star's spelling.
    let reviews = cluster.api.take_reviews("/subjectaccessreviews");
    assert_eq!(reviews.len(), 1);
    assert_eq!(reviews[0]["resourceAttributes"]["name"], "*");
    // This cluster's ConfigMap names no header of uids, so there is none to believe.
    assert!(reviews[0]["uid"].is_null());
}

#[tokio::test]
async fn who_a_client_claims_to_be_is_dropped_and_each_group_and_extra_arrives() {
    let tap = two_pods().await;
    let cluster = Cluster::start(RULES, &tap.url, &[], &REGISTERED).await;
    cluster.api.take();
    let claims = [
        ("X-Remote-User", "admin"),
        ("X-Remote-Uid", "0"),
        ("X-Remote-Group", "system:masters"),
        ("X-Remote-Extra-Scopes", "all"),
        ("Impersonate-User", "admin"),
    ];
    let path = format!("{PODS}/web-a/queue_depth");
    let answer = cluster.ask(&BOB, &path, &claims).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}", answer.body);
    let message = "pods.custom.metrics.k8s.io \"web-a\" is forbidden: User \"bob\" cannot get resource \
                   \"pods/queue_depth\" in API group \"custom.metrics.k8s.io\" in the namespace \"shop\"";
    assert_eq!(json(&answer.body)["message"], message);
    let sent = cluster.aggregator.take_sent();
    assert_eq!(sent[0].header("x-remote-group"), BOB.groups);
    let review = &cluster.api.take_reviews("/subjectaccessreviews")[0];
    assert_eq!(review["user"], "bob");
    assert_eq!(review["groups"], serde_json::json!(BOB.groups));
    let extra = serde_json::json!({"example.org/team mates": ["anna", "carl"]});
    assert_eq!(review["extra"], extra);
}

#[tokio::test]
async fn all_users_and_all_groups_of_the_api_share_one_connection() {
    let tap = two_pods().await;
    let cluster = Cluster::start(RULES, &tap.url, &[], &REGISTERED).await;
    let path = format!("{PODS}/*/queue_depth");
    let custom = "/apis/custom.metrics.k8s.io/v1beta1";
    let external = "/apis/external.metrics.k8s.io/v1beta1";
    for _ in 0..10 {
        let (one, two, three, four) = tokio::join!(
            cluster.ask(&ADMIN, &path, &[]),
            cluster.ask(&AUTOSCALER, &path, &[]),
            cluster.ask(&BOB, custom, &[]),
            cluster.ask(&BOB, external, &[]),
        );
        for answer in [one, two, three, four] {
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        }
    }
    assert_eq!(cluster.aggregator.take_sent().len(), 40);
    assert_eq!(cluster.aggregator.connections(), 1);
}

/// The aggregator answers 502 in our place if we ever do.
#[tokio::test]
async fn nothing_redirects_not_even_a_slash_too_much_or_a_document_of_yesterday() {
    let tap = two_pods().await;
    let cluster = Cluster::start(RULES, &tap.url, &[], &REGISTERED).await;
    for path in [
        "/apis/custom.metrics.k8s.io/v1beta2/".to_owned(),
        format!("{PODS}/web-a/queue_depth/"),
        format!("{PODS}//web-a/queue_depth"),
        format!("{PODS}/../queue_depth"),
        "/openapi/v3/apis/custom.metrics.k8s.io/v1beta2?hash=OLD".to_owned(),
        "/openapi/v3/apis/external.metrics.k8s.io/v1beta1".to_owned(),
    ] {
        let answer = cluster.ask(&ADMIN, &path, &[]).await;
        assert!(
            answer.status != 502 && !answer.status.is_redirection(),
            "{path}"
        );
        assert!(answer.status.as_u16() < 500, "{path}: {}", answer.body);
    }
    assert!(!cluster.aggregator.take_sent().is_empty());
}

#[tokio::test]
async fn a_slash_in_a_segment_is_a_slash_like_others_and_what_go_cannot_parse_is_gone() {
    let tap = two_pods().await;
    let cluster = Cluster::start(RULES, &tap.url, &[], &REGISTERED).await;
    let path = format!("{PODS}/web-a%2Fqueue_depth?b=2&a;b=1&a=1");
    let answer = cluster.ask(&ADMIN, &path, &[]).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let targets: Vec<String> = cluster
        .aggregator
        .take_sent()
        .into_iter()
        .map(|sent: Sent| sent.target)
        .collect();
    assert_eq!(targets, [format!("{PODS}/web-a/queue_depth?a=1&b=2")]);
}

#[tokio::test]
async fn while_the_server_is_gone_clients_get_what_the_aggregator_says() {
    let tap = two_pods().await;
    let mut cluster = Cluster::start(RULES, &tap.url, &[], &REGISTERED).await;
    cluster.adapter.signal("TERM");
    cluster.adapter.ended().await;
    let path = format!("{PODS}/*/queue_depth");
    let answer = cluster.ask(&ADMIN, &path, &[]).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    let reason = "error trying to reach service: dial tcp 127.0.0.1:";
    assert!(answer.body.starts_with(reason), "{}", answer.body);
    assert_eq!(cluster.aggregator.probe().await.len(), REGISTERED.len());
    let answer = cluster.ask(&ADMIN, &path, &[]).await;
    assert_eq!(answer.body, "service unavailable\n");
    let group = "/apis/custom.metrics.k8s.io";
    assert_eq!(cluster.ask(&ADMIN, group, &[]).await.status, StatusCode::OK);
}
