//! Spellings, priorities and custom resources.

use proptest::prelude::*;

use super::*;

fn crd(group: &str, plural: &str, kind: &str, versions: &[&str]) -> Crd {
    let versions: Vec<_> = versions
        .iter()
        .map(|name| serde_json::json!({"name": name, "served": true}))
        .collect();
    serde_json::from_value(serde_json::json!({
        "group": group, "scope": "Namespaced", "versions": versions,
        "names": {"plural": plural, "kind": kind},
    }))
    .unwrap()
}

fn found(kinds: &Kinds, word: &str) -> Result<String, String> {
    let kind = kinds
        .resource_for(&GroupResource::parse(word))
        .map_err(|e| e.to_string())?;
    Ok(format!("{} {}", kind.api_version(), kind.plural))
}

#[test]
fn any_spelling_of_a_kind_is_understood() {
    let kinds = Kinds::builtin();
    for (word, meant) in [
        ("pods", "/v1 pods"),
        ("pod", "/v1 pods"),
        ("Pods", "/v1 pods"),
        ("pods.", "/v1 pods"),
        ("endpoints", "/v1 endpoints"),
        ("deployments", "apps/v1 deployments"),
        ("deployment.apps", "apps/v1 deployments"),
        (
            "horizontalpodautoscaler",
            "autoscaling/v2 horizontalpodautoscalers",
        ),
        ("storageclass.storage", "storage.k8s.io/v1 storageclasses"),
        ("ingress", "networking.k8s.io/v1 ingresses"),
        // The core group comes first, whatever else has the name.
        ("events", "/v1 events"),
        ("events.events.k8s.io", "events.k8s.io/v1 events"),
    ] {
        assert_eq!(found(&kinds, word).as_deref(), Ok(meant), "{word}");
    }
}

#[test]
fn an_unknown_word_is_refused_in_gos_words() {
    let kinds = Kinds::builtin();
    for (word, text) in [
        ("po", "no matches for /, Resource=po"),
        ("widgets", "no matches for /, Resource=widgets"),
        (
            "deployments.v1.apps",
            "no matches for v1.apps/, Resource=deployments",
        ),
        ("gauge.acme.io", "no matches for acme.io/, Resource=gauge"),
    ] {
        assert_eq!(found(&kinds, word).unwrap_err(), text);
    }
}

#[test]
fn custom_resources_come_behind_what_is_built_in() {
    let kinds = Kinds::builtin_and(vec![
        crd("zoo.io", "pods", "ZooPod", &["v1"]),
        crd(
            "acme.io",
            "gauges",
            "Gauge",
            &["v1alpha1", "v1beta1", "v2beta1"],
        ),
        crd("acme.io", "dials", "Dial", &["v1"]),
    ]);
    assert_eq!(found(&kinds, "pods").as_deref(), Ok("/v1 pods"));
    assert_eq!(
        found(&kinds, "pods.zoo.io").as_deref(),
        Ok("zoo.io/v1 pods")
    );
    assert_eq!(
        found(&kinds, "gauge").as_deref(),
        Ok("acme.io/v2beta1 gauges")
    );
    assert_eq!(
        found(&kinds, "dial.acme").as_deref(),
        Ok("acme.io/v1 dials")
    );
    assert_eq!(
        kinds.by_kind("acme.io/v1alpha1", "Gauge").unwrap().plural,
        "gauges"
    );
    assert_eq!(kinds.singularize("gauges"), Some("gauge"));
}

#[test]
fn one_name_for_two_kinds_of_a_version_is_ambiguous() {
    let kinds = Kinds::builtin_and(vec![
        crd("acme.io", "fish", "Fishes", &["v1"]),
        crd("acme.io", "fishes", "Fish", &["v1"]),
    ]);
    let text = found(&kinds, "fish").unwrap_err();
    assert_eq!(
        text,
        "/, Resource=fish matches multiple resources: fish.acme.io, fishes.acme.io"
    );
}

#[test]
fn versions_stand_in_kubernetes_order() {
    let mut versions = [
        "v1",
        "foo10",
        "v11beta2",
        "v3beta1",
        "v10",
        "v12alpha1",
        "v11alpha2",
        "foo1",
        "v10beta3",
        "v2",
    ];
    versions.sort_by_key(|version| Reverse(precedence(version)));
    // The example of "Versions in CustomResourceDefinitions" in the Kubernetes documentation.
    assert_eq!(
        versions,
        [
            "v10",
            "v2",
            "v1",
            "v11beta2",
            "v10beta3",
            "v3beta1",
            "v12alpha1",
            "v11alpha2",
            "foo1",
            "foo10"
        ]
    );
}

proptest! {
    #[test]
    fn every_kind_is_found_by_its_plural_and_singular_with_its_group(index in 0usize..60) {
        let kinds = Kinds::builtin();
        let kind = &kinds.kinds[index].kind;
        for word in [&kind.plural, &kind.singular] {
            let asked = GroupResource { group: kind.group.clone(), resource: word.to_uppercase() };
            prop_assert_eq!(&kinds.resource_for(&asked).unwrap().plural, &kind.plural);
        }
    }

    #[test]
    fn no_word_panics(word in "\\PC*") {
        let _ = Kinds::builtin().resource_for(&GroupResource::parse(&word));
    }
}
