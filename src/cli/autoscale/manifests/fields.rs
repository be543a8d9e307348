//! Fields that nobody knows, as kubectl refuses them: a word written wrongly would else be left out
//! in silence.

use serde::Serialize;
use serde_json::Value;

/// What may be meant by a field that is not known.
const KNOWN: [&str; 26] = [
    "averageUtilization",
    "averageValue",
    "behavior",
    "container",
    "containerResource",
    "describedObject",
    "external",
    "matchExpressions",
    "matchLabels",
    "maxReplicas",
    "metric",
    "metrics",
    "minReplicas",
    "object",
    "periodSeconds",
    "pods",
    "policies",
    "resource",
    "scaleDown",
    "scaleTargetRef",
    "scaleUp",
    "selectPolicy",
    "selector",
    "stabilizationWindowSeconds",
    "target",
    "tolerance",
];

/// How near a word must be to be meant.
const NEAR: f64 = 0.8;

/// Each field of `written` below `spec` and `metadata` that its `read` form does not have.
pub(super) fn unknown(written: &Value, read: &impl Serialize) -> Vec<String> {
    let mut found = Vec::new();
    let read = serde_json::to_value(read).unwrap_or_default();
    for part in ["metadata", "spec"] {
        compare(&written[part], &read[part], part, &mut found);
    }
    found
}

fn compare(written: &Value, read: &Value, path: &str, found: &mut Vec<String>) {
    match (written, read) {
        (Value::Object(written), Value::Object(read)) => {
            for (name, value) in written.iter().filter(|(_, value)| !value.is_null()) {
                let path = format!("{path}.{name}");
                match read.get(name) {
                    Some(read) => compare(value, read, &path, found),
                    None => found.push(format!("{path}: unknown field{}", hint(name))),
                }
            }
        }
        (Value::Array(written), Value::Array(read)) => {
            for (at, (written, read)) in written.iter().zip(read).enumerate() {
                compare(written, read, &format!("{path}[{at}]"), found);
            }
        }
        _ => {}
    }
}

fn hint(name: &str) -> String {
    let near = KNOWN.map(|known| (strsim::normalized_damerau_levenshtein(name, known), known));
    let best = near.into_iter().max_by(|a, b| a.0.total_cmp(&b.0));
    let best = best.filter(|(nearness, _)| *nearness >= NEAR);
    best.map(|(_, known)| format!(", {known} is meant?"))
        .unwrap_or_default()
}
