//! The documents, held against what `k8s.io/apiserver` makes of the same lists.

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::api::accept::DiscoveryVersion as Version;
use crate::kinds::Kinds;
use crate::registry::tests::rules;
use crate::registry::{Listings, Snapshot};
use crate::telemetry::Metrics;
use documents::Made;

/// Kinds of every scope, with labels that Go would take for another scope than the kind's.
const RULES: &str = r#"
rules:
- seriesQuery: 'depth{namespace!="",pod!=""}'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)
- seriesQuery: 'homeless{pod!=""}'
  resources: {overrides: {pod: {resource: pod}, node: {resource: node}}}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)
- seriesQuery: 'settled{namespace!="",node!="",class!="",deployment!=""}'
  resources:
    overrides:
      namespace: {resource: namespace}
      node: {resource: node}
      class: {group: storage.k8s.io, resource: storageclass}
      deployment: {group: apps, resource: deployment}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)
externalRules:
- seriesQuery: 'lag{namespace!=""}'
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>})
- seriesQuery: 'age{namespace!=""}'
  name: {as: lag/age}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>})
resourceRules: {cpu: {containerLabel: c}, memory: {containerLabel: c}}
"#;

fn snapshot(text: &str) -> Arc<Snapshot> {
    let kinds = Arc::new(Kinds::builtin());
    Arc::new(Snapshot::build(rules(text), kinds, &Listings::default()))
}

fn shown(metrics: usize) -> Shown {
    Shown {
        groups: Vec::from(ApiGroup::ALL),
        metrics,
        port: 6443,
    }
}

fn documents(snapshot: &Arc<Snapshot>, shown: &Shown) -> Arc<Made> {
    let documents = Documents::default().of(snapshot, shown, &Metrics::new());
    documents.unwrap()
}

fn aggregated(documents: &Made, version: Version) -> Value {
    let body = documents.aggregated(version, &HeaderMap::new());
    serde_json::from_slice(&body.bytes).unwrap()
}

fn list(documents: &Made, version: GroupVersion) -> Value {
    serde_json::from_slice(&documents.resource_list(version).unwrap().bytes).unwrap()
}

fn names(list: &Value) -> Vec<&str> {
    let resources = list["resources"].as_array().unwrap().iter();
    resources.map(|it| it["name"].as_str().unwrap()).collect()
}

/// `ConvertGroupVersionIntoToDiscovery`, written from its source: resources in the order of the
/// list, and an error for a second scope.
fn as_go_groups(list: &Value) -> Result<Vec<Value>, String> {
    let mut found: Vec<Value> = Vec::new();
    let scope = |it: &Value| match it["namespaced"] == true {
        true => "Namespaced",
        false => "Cluster",
    };
    for entry in list["resources"].as_array().unwrap() {
        let name = entry["name"].as_str().unwrap();
        let (parent, subresource) = name.split_once('/').unwrap_or((name, ""));
        if subresource.is_empty() {
            found.push(json!({"resource": parent, "scope": scope(entry),
                "kind": entry["kind"], "verbs": entry["verbs"], "subresources": []}));
            continue;
        }
        let at = found.iter().position(|it| it["resource"] == parent);
        let at = at.unwrap_or_else(|| {
            found.push(
                json!({"resource": parent, "scope": scope(entry), "kind": "",
                "verbs": [], "subresources": []}),
            );
            found.len() - 1
        });
        if found[at]["scope"] != scope(entry) {
            return Err(format!("{name} has another scope"));
        }
        let subresources = found[at]["subresources"].as_array_mut().unwrap();
        subresources.push(json!([subresource, entry["kind"], entry["verbs"]]));
    }
    Ok(found)
}

/// The resources of one version of the aggregated document, in the same words.
fn grouped(document: &Value, group: &str, version: &str) -> Vec<Value> {
    let named = |list: &Value, name: &dyn Fn(&Value) -> bool| {
        let found = list.as_array().unwrap().iter().find(|it| name(it));
        found.unwrap().clone()
    };
    let group_of = named(&document["items"], &|it| it["metadata"]["name"] == group);
    let of_version = named(&group_of["versions"], &|it| it["version"] == version);
    assert_eq!(of_version["freshness"], "Current");
    let resource = |it: &Value| {
        let subresources: Vec<Value> = it["subresources"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|it| {
                let kind = &it["responseKind"];
                assert_eq!(
                    (&kind["group"], &kind["version"]),
                    (&json!(group), &json!(version))
                );
                json!([it["subresource"], kind["kind"], it["verbs"]])
            })
            .collect();
        assert_eq!(it["singularResource"], "");
        json!({"resource": it["resource"], "scope": it["scope"],
            "kind": it["responseKind"]["kind"], "verbs": it["verbs"],
            "subresources": subresources})
    };
    let resources = of_version["resources"].as_array().unwrap();
    resources.iter().map(resource).collect()
}

#[test]
fn both_documents_tell_the_same_and_no_resource_has_two_scopes() {
    let documents = documents(&snapshot(RULES), &shown(2000));
    for document in [Version::V2, Version::V2Beta1].map(|it| aggregated(&documents, it)) {
        for version in GroupVersion::ALL {
            let list = list(&documents, version);
            let mut expected = as_go_groups(&list).unwrap();
            expected.sort_by_key(|it| it["resource"].as_str().unwrap().to_owned());
            let group = version.group().name();
            assert_eq!(grouped(&document, group, version.version()), expected);
        }
    }
    let custom = list(&documents, GroupVersion::CustomV1Beta2);
    let scope = |name: &str| {
        let resources = custom["resources"].as_array().unwrap();
        let found = resources.iter().find(|it| it["name"] == name);
        found.map(|it| it["namespaced"] == true)
    };
    for (name, namespaced) in [
        ("pods/depth", true),
        ("pods/homeless", true),
        ("namespaces/depth", false),
        ("nodes/homeless", false),
        ("nodes/settled", false),
        ("storageclasses.storage.k8s.io/settled", true),
        ("deployments.apps/settled", true),
    ] {
        assert_eq!(scope(name), Some(namespaced), "{name}: {custom}");
    }
}

#[test]
fn a_parent_only_holds_the_place_of_its_subresources() {
    let documents = documents(&snapshot(RULES), &shown(2000));
    let document = aggregated(&documents, Version::V2);
    let groups = document["items"].as_array().unwrap();
    let names: Vec<_> = groups.iter().map(|it| &it["metadata"]["name"]).collect();
    let order = [
        "custom.metrics.k8s.io",
        "external.metrics.k8s.io",
        "metrics.k8s.io",
    ];
    assert_eq!(names, order);
    let versions = groups[0]["versions"].as_array().unwrap();
    let versions: Vec<_> = versions.iter().map(|it| &it["version"]).collect();
    assert_eq!(versions, ["v1beta2", "v1beta1"]);
    let deployments = json!({
        "resource": "deployments.apps",
        "responseKind": {"group": "", "version": "", "kind": ""},
        "scope": "Namespaced", "singularResource": "", "verbs": [],
        "subresources": [{
            "subresource": "settled", "verbs": ["get"],
            "responseKind": {
                "group": "custom.metrics.k8s.io", "version": "v1beta2", "kind": "MetricValueList",
            },
        }],
    });
    assert_eq!(groups[0]["versions"][0]["resources"][0], deployments);
    let lag = &groups[1]["versions"][0]["resources"][0];
    assert_eq!(lag["responseKind"]["kind"], "ExternalMetricValueList");
    assert_eq!(lag["subresources"][0]["subresource"], "age");
}

#[test]
fn the_two_versions_differ_in_name_only() {
    let documents = documents(&snapshot(RULES), &shown(2000));
    let text = |version| {
        let body = documents.aggregated(version, &HeaderMap::new());
        String::from_utf8(body.bytes.to_vec()).unwrap()
    };
    let (v2, v2beta1) = (text(Version::V2), text(Version::V2Beta1));
    let head =
        r#"{"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","metadata""#;
    assert!(v2.starts_with(head), "{v2}");
    assert_eq!(v2.replacen("k8s.io/v2\"", "k8s.io/v2beta1\"", 1), v2beta1);
}

#[test]
fn the_bytes_depend_on_nothing_but_what_is_listed() {
    // The first rule goes to the end of its list.
    let (head, rest) = RULES.split_once("- seriesQuery").unwrap();
    let (first, rest) = rest.split_once("- seriesQuery").unwrap();
    let (others, end) = rest.split_once("externalRules:").unwrap();
    let item = "- seriesQuery";
    let shuffled = format!("{head}{item}{others}{item}{first}externalRules:{end}");
    let (one, other) = (snapshot(RULES), snapshot(&shuffled));
    let (one, other) = (
        documents(&one, &shown(2000)),
        documents(&other, &shown(2000)),
    );
    for version in GroupVersion::ALL {
        let list = |documents: &Made| documents.resource_list(version).map(|body| body.bytes);
        assert_eq!(list(&one), list(&other));
    }
    for version in [Version::V2, Version::V2Beta1] {
        let none = HeaderMap::new();
        let (one, other) = (
            one.aggregated(version, &none),
            other.aggregated(version, &none),
        );
        assert_eq!((one.bytes, one.headers), (other.bytes, other.headers));
    }
}

#[test]
fn lists_are_sorted_by_name() {
    let documents = documents(&snapshot(RULES), &shown(2000));
    for version in GroupVersion::ALL {
        let list = list(&documents, version);
        assert!(names(&list).is_sorted(), "{list}");
    }
}

#[test]
fn a_list_without_metrics_has_one_entry_that_nobody_can_misuse() {
    for (snapshot, shown) in [
        (snapshot("rules: []"), shown(2000)),
        (snapshot(RULES), shown(0)),
    ] {
        let documents = documents(&snapshot, &shown);
        for (version, name) in [
            (GroupVersion::CustomV1Beta1, "pods/custommetrics"),
            (GroupVersion::CustomV1Beta2, "pods/custommetrics"),
            (GroupVersion::ExternalV1Beta1, "externalmetrics"),
        ] {
            let list = list(&documents, version);
            assert_eq!(names(&list), [name]);
            let entry = &list["resources"][0];
            assert_eq!(entry["verbs"], json!(["get"]));
            assert_eq!(entry["singularName"], "");
            assert_eq!(entry.get("shortNames"), None);
        }
        let document = aggregated(&documents, Version::V2);
        let resources = |at: &str| document.pointer(at).unwrap().as_array().unwrap().len();
        assert_eq!(resources("/items/0/versions/0/resources/0/subresources"), 1);
        assert_eq!(resources("/items/1/versions/0/resources"), 1);
        assert_eq!(
            snapshot.external("externalmetrics").map(|it| &it.series),
            None
        );
    }
}

#[test]
fn what_is_listed_is_bounded_and_what_is_left_out_is_counted() {
    let snapshot = snapshot(RULES);
    let metrics = Metrics::new();
    let limited = Documents::default();
    let limited = limited.of(&snapshot, &shown(2), &metrics).unwrap();
    let custom = list(&limited, GroupVersion::CustomV1Beta2);
    assert_eq!(names(&custom), ["namespaces/depth", "nodes/homeless"]);
    let external = list(&limited, GroupVersion::ExternalV1Beta1);
    assert_eq!(names(&external), ["lag", "lag/age"]);
    let all = snapshot.custom_metrics().count();
    assert_eq!(
        metrics.discovery_omitted.get(),
        i64::try_from(all - 2).unwrap()
    );
    let text = metrics.text();
    assert!(
        text.contains("\ntidegauge_discovery_metrics_omitted "),
        "{text}"
    );

    let none = documents(&snapshot, &shown(all));
    assert_eq!(names(&list(&none, GroupVersion::CustomV1Beta2)).len(), all);
}

/// `namespaces` has every metric of `pods` and comes before it.
#[test]
fn a_kind_with_many_metrics_leaves_room_for_all_others() {
    let rule = |number| {
        format!(
            r#"
- seriesQuery: 'depth_{number:02}{{namespace!="",pod!=""}}'
  resources: {{overrides: {{namespace: {{resource: namespace}}, pod: {{resource: pod}}}}}}
  metricsQuery: sum(<<.Series>>{{<<.LabelMatchers>>}}) by (<<.GroupBy>>)"#
        )
    };
    let many: String = (0..20).map(rule).collect();
    let rules = RULES.replacen("rules:", &format!("rules:{many}"), 1);
    let documents = documents(&snapshot(&rules), &shown(13));
    let custom = list(&documents, GroupVersion::CustomV1Beta2);
    // Of the 13, the three kinds that have no more take 1, 1 and 2.
    let expected = [
        "deployments.apps/settled",
        "namespaces/depth",
        "namespaces/depth_00",
        "namespaces/depth_01",
        "namespaces/depth_02",
        "namespaces/depth_03",
        "nodes/homeless",
        "nodes/settled",
        "pods/depth",
        "pods/depth_00",
        "pods/depth_01",
        "pods/depth_02",
        "storageclasses.storage.k8s.io/settled",
    ];
    assert_eq!(names(&custom), expected);
}

#[test]
fn a_group_that_is_switched_off_is_in_no_document() {
    let snapshot = snapshot(RULES);
    let shown = Shown {
        groups: vec![ApiGroup::Resource, ApiGroup::Custom],
        ..shown(2000)
    };
    let documents = documents(&snapshot, &shown);
    let external = GroupVersion::ExternalV1Beta1;
    assert!(documents.resource_list(external).is_none());
    let whole = [
        aggregated(&documents, Version::V2),
        json!(shown.group_list(&snapshot)),
        json!(shown.index(&snapshot)),
    ];
    for document in whole {
        let text = document.to_string();
        assert!(!text.contains("external.metrics.k8s.io"), "{text}");
        assert!(text.contains("custom.metrics.k8s.io"), "{text}");
    }
}

#[test]
fn documents_are_made_once_per_snapshot() {
    let (cache, metrics, shown) = (Documents::default(), Metrics::new(), shown(2000));
    let (one, other) = (snapshot(RULES), snapshot(RULES));
    let first = cache.of(&one, &shown, &metrics).unwrap();
    assert!(Arc::ptr_eq(
        &first,
        &cache.of(&one, &shown, &metrics).unwrap()
    ));
    let second = cache.of(&other, &shown, &metrics).unwrap();
    assert!(!Arc::ptr_eq(&first, &second));
    // The cache keeps no snapshot alive.
    assert_eq!((Arc::strong_count(&one), Arc::strong_count(&other)), (1, 1));
}
