//! What README tells an administrator to write and apply is what works.

use serde_json::Value;

use super::render::{COMPONENTS, METRICS_PORT, OVERLAYS, OWN_AUTHORITY, Tree};
use super::schema::fault;
use super::{arguments, container, flag, text, the};

const README: &str = include_str!("../../../README.md");

/// The code block with this text in it.
fn block(mark: &str) -> &'static str {
    let blocks = README.split("```yaml\n").skip(1);
    let mut bodies = blocks.map(|rest| rest.split("```").next().unwrap());
    let found = bodies.find(|body| body.contains(mark));
    found.unwrap_or_else(|| panic!("README has no block with {mark}"))
}

#[test]
fn the_kustomization_of_ones_own_takes_image_prometheus_and_rules() {
    let rules = "rules: []\n";
    let own = [
        ("kustomization.yaml", block("# kustomization.yaml")),
        ("config.yaml", rules),
    ];
    let objects = Tree::new().beside("tidegauge", &own);
    let deployment = the(&objects, "Deployment");
    let image = text(&container(deployment)["image"]);
    assert!(image.starts_with("registry.example/tidegauge:"), "{image}");
    let arguments = arguments(deployment);
    let urls = arguments
        .iter()
        .filter(|it| it.starts_with("--prometheus-url"));
    assert_eq!(urls.count(), 1, "{arguments:?}");
    let url = flag(&arguments, "prometheus-url").unwrap();
    assert!(url.contains("prometheus-operated"), "{url}");
    let map = the(&objects, "ConfigMap");
    assert_eq!(map["data"]["config.yaml"], rules);
    let volumes = &deployment["spec"]["template"]["spec"]["volumes"];
    assert_eq!(volumes[0]["configMap"]["name"], map["metadata"]["name"]);
}

#[test]
fn the_role_for_own_kinds_is_known_to_kubernetes_and_binds_our_account() {
    let text = block("tidegauge-own-kinds");
    let objects: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
    for object in &objects {
        assert_eq!(fault(object), None);
    }
    let fresh = Tree::new().overlay("fresh");
    let account = &the(&fresh, "ServiceAccount")["metadata"];
    let subject = &objects[1]["subjects"][0];
    assert_eq!(subject["name"], account["name"]);
    assert_eq!(subject["namespace"], account["namespace"]);
    assert_eq!(
        objects[1]["roleRef"]["name"],
        objects[0]["metadata"]["name"]
    );
}

#[test]
fn every_overlay_and_component_is_explained() {
    for name in OVERLAYS {
        assert!(README.contains(&format!("`overlays/{name}`")), "{name}");
    }
    // Those that are obvious stand in one line, by their last name.
    for name in COMPONENTS.iter().chain(&[OWN_AUTHORITY, METRICS_PORT]) {
        let named = ["", "components/"].map(|folder| format!("`{folder}{name}`"));
        assert!(named.iter().any(|it| README.contains(it)), "{name}");
    }
}
