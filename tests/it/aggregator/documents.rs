//! What the cluster learns of our API, and when it takes us for gone: upstream's tests of the
//! availability controller and of the discovery manager, as far as they are about the server behind
//! (`remote_available_controller_test.go`, `handler_discovery_test.go`).

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Cluster, REGISTERED, RULES, json};
use crate::support::aggregator::ADMIN;
use crate::support::aggregator::discovery::{ACCEPT, Fetched};
use crate::support::tap::{Behaviour, Tap};

/// The rules need nothing of it to be listed.
async fn silent_prometheus() -> Tap {
    let tap = Tap::start("http://127.0.0.1:1").await;
    tap.behave(Behaviour::Hang);
    tap
}

#[tokio::test]
async fn every_version_is_available_in_a_burst_while_prometheus_hangs() {
    let tap = silent_prometheus().await;
    let cluster = Cluster::start(RULES, &tap.url, &[], &REGISTERED).await;
    for _ in 0..3 {
        assert!(cluster.aggregator.probe().await.is_empty());
    }
    let sent = cluster.aggregator.take_sent();
    assert!(sent.len() <= 3 * 5 * REGISTERED.len());
    assert!(sent.iter().all(|sent| sent.header("accept").is_empty()));
    assert_eq!(cluster.aggregator.connections(), 1);
}

/// What clients see of our groups in the merged document: version, freshness, and each resource with
/// its subresources.
async fn seen(cluster: &Cluster) -> Vec<(String, String, Vec<String>)> {
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let answer = cluster.ask(&ADMIN, "/apis", &[("Accept", accept)]).await;
    assert_eq!(answer.media_type(), accept);
    let document = json(&answer.body);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let array = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut seen = Vec::new();
    for group in array(&document["items"]) {
        let name = text(&group["metadata"]["name"]);
        if !REGISTERED.iter().any(|it| it.starts_with(&name)) {
            continue;
        }
        for version in array(&group["versions"]) {
            let mut names = BTreeSet::new();
            for resource in array(&version["resources"]) {
                let (resource, below) = (
                    text(&resource["resource"]),
                    array(&resource["subresources"]),
                );
                names.extend(
                    below
                        .iter()
                        .map(|it| format!("{resource}/{}", text(&it["subresource"]))),
                );
                names.insert(resource);
            }
            seen.push((
                format!("{name}/{}", text(&version["version"])),
                text(&version["freshness"]),
                names.into_iter().collect(),
            ));
        }
    }
    seen
}

/// `TestLegacyFallback`: an aggregator that gets no aggregated document converts the others, and
/// refuses those with a resource of two scopes.
#[tokio::test]
async fn the_documents_of_each_version_convert_to_the_aggregated_one() {
    let tap = silent_prometheus().await;
    let cluster = Cluster::start(RULES, &tap.url, &[], &REGISTERED).await;
    assert_eq!(
        cluster.aggregator.fetch_as("application/json").await,
        Fetched::Legacy
    );
    let custom = [
        "namespaces",
        "namespaces/queue_depth",
        "pods",
        "pods/queue_depth",
    ];
    let expected = [
        &custom[..],
        &custom,
        &["lag"],
        &["nodes", "pods"],
        &["nodes", "pods"],
    ];
    let expected = REGISTERED.iter().zip(expected).map(|(version, names)| {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        ((*version).to_owned(), "Current".to_owned(), names)
    });
    let expected: Vec<_> = expected.collect();
    assert_eq!(seen(&cluster).await, expected);
    assert_eq!(cluster.aggregator.fetch().await, Fetched::Aggregated("v2"));
    assert_eq!(seen(&cluster).await, expected);
}

/// `TestBasic` and `TestNotModified`: one fetch for all groups, by its tag from then on.
#[tokio::test]
async fn the_document_of_all_groups_is_fetched_once_and_then_known_by_its_tag() {
    let tap = silent_prometheus().await;
    let cluster = Cluster::start(RULES, &tap.url, &[], &REGISTERED).await;
    assert_eq!(cluster.aggregator.fetch().await, Fetched::Aggregated("v2"));
    let first = seen(&cluster).await;
    for _ in 0..3 {
        assert_eq!(cluster.aggregator.fetch().await, Fetched::NotModified);
    }
    assert_eq!(seen(&cluster).await, first);
    let paths = cluster
        .aggregator
        .take_sent()
        .into_iter()
        .map(|sent| sent.target);
    assert_eq!(paths.collect::<Vec<_>>(), ["/apis"; 4]);
}

/// `TestV2Beta1Skew`: the aggregators of Kubernetes 1.27 to 1.29 know the beta alone. A document that
/// is known in one version is not taken for known in the other.
#[tokio::test]
async fn an_older_aggregator_gets_the_beta_document() {
    let tap = silent_prometheus().await;
    let cluster = Cluster::start(RULES, &tap.url, &[], &REGISTERED).await;
    let (_, beta) = ACCEPT.split_once(',').unwrap();
    assert_eq!(
        cluster.aggregator.fetch_as(beta).await,
        Fetched::Aggregated("v2beta1")
    );
    let before = seen(&cluster).await;
    assert_eq!(
        cluster.aggregator.fetch_as(beta).await,
        Fetched::NotModified
    );
    assert_eq!(cluster.aggregator.fetch().await, Fetched::Aggregated("v2"));
    assert_eq!(seen(&cluster).await, before);
}

/// `TestAPIServiceStale`: what was known stays and is marked, and is current again with the server.
#[tokio::test]
async fn while_the_server_is_gone_its_versions_are_stale() {
    let tap = silent_prometheus().await;
    let mut cluster = Cluster::start(RULES, &tap.url, &[], &REGISTERED).await;
    cluster.aggregator.fetch().await;
    let before = seen(&cluster).await;
    assert!(
        before
            .iter()
            .all(|(_, freshness, names)| freshness == "Current" && !names.is_empty())
    );
    cluster.adapter.signal("TERM");
    cluster.adapter.ended().await;
    let Fetched::Failed(_) = cluster.aggregator.fetch().await else {
        panic!("nobody is there");
    };
    let stale = before
        .into_iter()
        .map(|(version, _, names)| (version, "Stale".to_owned(), names));
    assert_eq!(seen(&cluster).await, stale.collect::<Vec<_>>());
}
