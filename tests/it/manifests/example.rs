//! The example: the shop and what it needs (`objects`, `programs`), what its series mean to autoscalers
//! (`rules`), what is asked of them (`metrics`), how they are scraped (`scrape`), and who is told
//! (`alerts`); and what the files say of one another (`comments`).

pub(super) mod alerts;
mod comments;
pub(super) mod metrics;
mod objects;
mod programs;
mod rules;
mod scrape;

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use serde_json::Value;

use super::render::manifests;

/// A file of the example.
fn file(name: &str) -> String {
    std::fs::read_to_string(manifests().join("example").join(name)).unwrap()
}

/// A file with one YAML document.
fn yaml(name: &str) -> Value {
    serde_saphyr::from_str(&file(name)).unwrap()
}

/// An autoscaler as its file has it.
fn autoscaler(name: &str) -> HorizontalPodAutoscaler {
    serde_json::from_value(yaml(name)).unwrap()
}
