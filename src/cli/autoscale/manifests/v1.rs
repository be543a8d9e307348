//! `autoscaling/v1` as `autoscaling/v2` (`pkg/apis/autoscaling/v1/conversion.go`).

use serde_json::{Value, json};

/// What the API server keeps the rest of a newer object in.
const ANNOTATIONS: [&str; 2] = [
    "autoscaling.alpha.kubernetes.io/metrics",
    "autoscaling.alpha.kubernetes.io/behavior",
];

/// The same object in v2. One whose annotations say more than its spec is refused.
pub(super) fn as_v2(mut document: Value) -> Result<Value, String> {
    let annotations = &document["metadata"]["annotations"];
    if let Some(name) = ANNOTATIONS
        .iter()
        .find(|it| annotations.get(**it).is_some())
    {
        return Err(format!(
            "metadata.annotations: {name} is not read: write the object in autoscaling/v2 (kubectl \
             get hpa.v2.autoscaling -o yaml shows it)"
        ));
    }
    document["apiVersion"] = json!("autoscaling/v2");
    if let Some(spec) = document["spec"].as_object_mut()
        && let Some(percent) = spec.remove("targetCPUUtilizationPercentage")
    {
        let target = json!({"type": "Utilization", "averageUtilization": percent});
        let resource = json!({"name": "cpu", "target": target});
        spec.insert(
            "metrics".to_owned(),
            json!([{"type": "Resource", "resource": resource}]),
        );
    }
    Ok(document)
}
