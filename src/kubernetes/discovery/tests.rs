//! Recorded discovery documents of a real kube-apiserver 1.36.

use serde_json::Value;

use super::*;
use crate::kinds::GroupResource;

const RECORDED: &str = include_str!("../../../tests/data/recorded/apiserver.jsonl");

/// What was answered to a path with a media type that begins so.
fn recorded(path: &str, accept: &str) -> String {
    let lines = RECORDED
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut answers = lines.filter(|it| it["path"] == path);
    let found = answers
        .find(|it| it["accept"].as_str().unwrap().starts_with(accept))
        .unwrap();
    found["resp"].as_str().unwrap().to_owned()
}

fn aggregated() -> Discovered {
    let mut found = Discovered::default();
    for path in ["/api", "/apis"] {
        let text = recorded(path, "application/json;g=apidiscovery");
        match serde_json::from_str(&text).unwrap() {
            Document::Aggregated { items } => found.read_aggregated(items),
            _ => panic!("{path} must be aggregated"),
        }
    }
    found
}

fn of<'a>(found: &'a Discovered, group: &str, version: &str) -> &'a [Kind] {
    let mut versions = found.versions.iter();
    let one = versions
        .find(|it| it.group == group && it.version == version)
        .unwrap();
    one.kinds.as_deref().unwrap()
}

#[test]
fn a_recorded_cluster_has_the_kinds_of_a_plain_kubernetes() {
    let found = aggregated();
    assert!(found.missing().is_empty());
    let kinds = found.kinds();
    for word in [
        "pods",
        "node",
        "deployments.apps",
        "ingress",
        "storageclass.storage",
        "cronjobs",
    ] {
        let word = GroupResource::parse(word);
        let builtin = Kinds::builtin();
        assert_eq!(
            kinds.resource_for(&word).unwrap(),
            builtin.resource_for(&word).unwrap()
        );
    }
    let autoscaler = GroupResource::parse("hpa");
    assert!(
        kinds.resource_for(&autoscaler).is_err(),
        "short names mean nothing"
    );
    let autoscaler = GroupResource::parse("horizontalpodautoscalers");
    assert_eq!(kinds.resource_for(&autoscaler).unwrap().version, "v2");
}

#[test]
fn both_forms_of_the_documents_say_the_same() {
    let found = aggregated();
    let versions = [
        ("", "v1"),
        ("apps", "v1"),
        ("batch", "v1"),
        ("autoscaling", "v2"),
        ("networking.k8s.io", "v1"),
        ("apiregistration.k8s.io", "v1"),
        ("apiextensions.k8s.io", "v1"),
    ];
    for (group, version) in versions {
        let text = recorded(&root(group, version), JSON);
        let list: ResourceList = serde_json::from_str(&text).unwrap();
        assert_eq!(
            list.kinds(group, version),
            of(&found, group, version),
            "{group}/{version}"
        );
    }
    let Document::Groups { groups } =
        serde_json::from_str(&recorded("/apis", "application/json")).unwrap()
    else {
        panic!("plain JSON must be a list of groups");
    };
    let plain = groups.iter().map(|group| group.name.as_str());
    let mut listed: Vec<&str> = found.versions.iter().map(|it| it.group.as_str()).collect();
    listed.dedup();
    assert_eq!(
        listed.into_iter().skip(1).collect::<Vec<_>>(),
        plain.collect::<Vec<_>>()
    );
}

#[test]
fn a_group_whose_server_is_away_keeps_its_kinds_and_metrics_are_no_kinds() {
    let read = |resources: &str, freshness: &str| {
        let text = format!(
            r#"{{"kind":"APIGroupDiscoveryList","items":[
              {{"metadata":{{"name":"acme.io"}},
                "versions":[{{"version":"v1","resources":[{resources}],"freshness":"{freshness}"}}]}},
              {{"metadata":{{"name":"custom.metrics.k8s.io"}},"versions":[{{"version":"v1beta1",
                "resources":[{{"resource":"pods","scope":"","responseKind":{{"kind":""}}}}]}}]}}]}}"#
        );
        let mut found = Discovered::default();
        match serde_json::from_str(&text).unwrap() {
            Document::Aggregated { items } => found.read_aggregated(items),
            _ => panic!("it must be aggregated"),
        }
        found
    };
    let gauge = r#"{"resource":"gauges","scope":"Namespaced","responseKind":{"kind":"Gauge"}}"#;
    let before = read(gauge, "Current");
    assert_eq!(before.versions.len(), 1);
    assert_eq!(of(&before, "acme.io", "v1")[0].singular, "gauge");
    let mut away = read("", "Stale");
    assert_eq!(away.missing(), ["acme.io/v1"]);
    away.complete(&before);
    assert_eq!(away, before);
    // A group that is gone is gone.
    let mut gone = Discovered::default();
    gone.complete(&before);
    assert!(gone.versions.is_empty());
}
