//! What to do next: texts that more than one step gives.

use std::time::Duration;

use crate::kinds::GroupResource;
use crate::registry::nearest;
use crate::rules::Association;

/// Where paths of metrics begin.
pub(super) fn paths() -> String {
    "ask for a path such as /apis/custom.metrics.k8s.io/v1beta2/namespaces/NAMESPACE/pods/*/METRIC \
     or /apis/external.metrics.k8s.io/v1beta1/namespaces/NAMESPACE/METRIC"
        .to_owned()
}

pub(super) fn group_off(group: &str) -> String {
    match group {
        "metrics.k8s.io" => "metrics.k8s.io is served where the rules file has resourceRules and \
                             --api-groups does not leave the group out"
            .to_owned(),
        group => format!("--api-groups leaves {group} out: add it there, or leave the flag away"),
    }
}

pub(super) fn did_you_mean(names: &[String]) -> String {
    format!("did you mean {}?", names.join(", "))
}

/// A label that seems to hold what the label `expected` of a rule should. Of two overrides for one
/// kind the first counts, so that it helps nothing to add another.
pub(super) fn name_label(
    (rule, association): (&str, &Association),
    expected: &str,
    sibling: &str,
    kind: &GroupResource,
) -> String {
    let resource = match kind.group.as_str() {
        "" => format!("{{resource: {}}}", kind.resource),
        group => format!("{{group: {group}, resource: {}}}", kind.resource),
    };
    let exported = match sibling.strip_prefix("exported_") {
        Some(own) => format!(
            "; or set honor_labels: true in the scrape configuration, so that {sibling} stays {own}"
        ),
        None => String::new(),
    };
    let overrides = format!("resources.overrides of {rule}");
    let old = association.override_of(expected);
    let what = match (old, association.override_of(sibling)) {
        (Some(old), Some(new)) => format!(
            "take {expected} (line {}) out of {overrides}, for of two labels for one kind the \
             first counts, and {sibling} (line {}) does not",
            old.line, new.line
        ),
        (Some(old), None) => format!(
            "replace {expected} (line {}) in {overrides} by {sibling}: {resource}",
            old.line
        ),
        (None, _) => format!("add it to {overrides}, as {sibling}: {resource}"),
    };
    format!("the series carry the label {sibling:?}: {what}{exported}")
}

/// The series are in these namespaces, and not in the one that is `wanted`.
pub(super) fn other_namespace(
    selector: &str,
    (label, wanted): (&str, &str),
    there: &[&String],
) -> String {
    let near = nearest(wanted, there.iter().map(|it| it.as_str()));
    match (near.first(), there) {
        (Some(one), _) => format!("did you mean -n {one}?"),
        (None, [one]) => format!("did you mean -n {one}? or is {selector} scraped in {wanted}?"),
        (None, []) => format!(
            "the series have no label {label}: set it by relabelling, so that they say in which \
             namespace they are"
        ),
        (None, there) => format!(
            "ask in a namespace that has the series (-n), such as {}; or look whether {selector} \
             is scraped in {wanted}",
            some(there)
        ),
    }
}

/// A window that holds two samples even if one is missing.
pub(super) fn wider_window(window: Duration, spacing: Duration) -> String {
    let wanted = rounded(spacing * 4);
    format!(
        "a rate needs two samples in its window, and [{}] holds one at most, for they are about {} \
         apart: write [{}], four times that, so that one missed scrape does no harm",
        shown(window),
        shown(rounded(spacing)),
        shown(wanted)
    )
}

/// To whole seconds, one at least.
fn rounded(duration: Duration) -> Duration {
    let half = Duration::from_millis(500);
    Duration::from_secs((duration + half).as_secs().max(1))
}

/// Where series may be that are not in Prometheus.
pub(super) fn look_for(series: &str) -> String {
    format!(
        "look in Prometheus whether {series} is scraped: its target may be down, or the name \
         another one"
    )
}

/// As PromQL writes durations, to the millisecond.
pub(super) fn shown(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        _ if duration.subsec_millis() > 0 => format!("{}ms", duration.as_millis()),
        0 => "0s".to_owned(),
        _ if seconds.is_multiple_of(3600) => format!("{}h", seconds / 3600),
        _ if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        _ => format!("{seconds}s"),
    }
}

/// Some names, and how many more there are.
pub(super) fn some<T: ToString>(names: &[T]) -> String {
    const MAX: usize = 6;
    let told: Vec<String> = names.iter().take(MAX).map(ToString::to_string).collect();
    match names.len().saturating_sub(MAX) {
        0 => told.join(", "),
        more => format!("{} and {more} more", told.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_added_or_put_in_the_place_of_the_one_that_counts() {
        let told = |resources: &str| {
            let text = format!(
                "rules:\n- seriesQuery: a\n  metricsQuery: <<.Series>>\n  resources:\n    \
                 {resources}"
            );
            let (rules, _) = crate::rules::parse(&text).unwrap();
            let association = &rules.custom[0].association;
            let of_rule = ("rules[0] (line 2)", association);
            name_label(of_rule, "pod_name", "pod", &GroupResource::core("pods"))
        };
        let start = "the series carry the label \"pod\": ";
        let add = "add it to resources.overrides of rules[0] (line 2), as pod: {resource: pods}";
        let template = "template: '<<.Resource>>_name'";
        assert_eq!(told(template), format!("{start}{add}"));
        let replace = "replace pod_name (line 7) in resources.overrides of rules[0] (line 2) by \
                       pod: {resource: pods}";
        let one =
            "overrides:\n      namespace: {resource: namespace}\n      pod_name: {resource: pod}\n";
        assert_eq!(told(one), format!("{start}{replace}"));
        let two = told(&format!("{one}      pod: {{resource: pod}}\n"));
        let take = "take pod_name (line 7) out of resources.overrides of rules[0] (line 2), for of \
                    two labels for one kind the first counts, and pod (line 8) does not";
        assert_eq!(two, format!("{start}{take}"));
    }

    #[test]
    fn a_window_is_told_with_the_spacing_of_samples() {
        let text = wider_window(Duration::from_secs(15), Duration::from_secs(30));
        assert!(
            text.contains("[15s]") && text.contains("30s apart"),
            "{text}"
        );
        assert!(text.contains("[2m]"), "{text}");
        assert_eq!(shown(Duration::from_secs(5400)), "90m");
        assert_eq!(shown(Duration::from_secs(7200)), "2h");
        assert_eq!(shown(Duration::from_millis(1500)), "1500ms");
        assert_eq!(shown(Duration::ZERO), "0s");
    }
}
