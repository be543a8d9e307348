//! The example: the shop, what it needs, and the autoscalers over it.

mod objects;
mod rules;

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;

use super::render::manifests;

/// An autoscaler as its file has it.
fn autoscaler(file: &str) -> HorizontalPodAutoscaler {
    let path = manifests().join("example").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}
