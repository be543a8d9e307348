//! A label selector as Go prints it in the controller's messages.

use std::fmt::Write;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

/// `%+v` of a `*metav1.LabelSelector` (its generated `String`).
pub(super) fn selector(selector: Option<&LabelSelector>) -> String {
    let Some(selector) = selector else {
        return "nil".to_owned();
    };
    let mut text = String::from("&LabelSelector{MatchLabels:map[string]string{");
    for (key, value) in selector.match_labels.iter().flatten() {
        write!(text, "{key}: {value},").expect("writing to a String must succeed");
    }
    text.push_str("},MatchExpressions:[]LabelSelectorRequirement{");
    for it in selector.match_expressions.iter().flatten() {
        let values = it.values.as_deref().unwrap_or_default().join(" ");
        let (key, operator) = (&it.key, &it.operator);
        write!(
            text,
            "LabelSelectorRequirement{{Key:{key},Operator:{operator},Values:[{values}],}},"
        )
        .expect("writing to a String must succeed");
    }
    text.push_str("},}");
    text
}
