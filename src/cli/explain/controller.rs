//! What the controller of an HPA needs beyond an answer that has values.

use k8s_openapi::api::autoscaling::v2::{MetricSpec, MetricTarget};

use crate::api::Cause;
use crate::api::explain::{Explanation, State, Step};
use crate::registry::nearest;

/// What `metrics.k8s.io` has (`staging/src/k8s.io/metrics/pkg/apis/metrics`).
const RESOURCES: [&str; 2] = ["cpu", "memory"];

/// By this label KEDA tells its external metrics apart, which its own metrics server answers
/// (`pkg/provider/provider.go` of KEDA).
const KEDA: &str = "scaledobject.keda.sh/name";

/// Why no answer of a tidegauge has the value of a metric.
pub(super) fn refused(metric: &MetricSpec) -> Option<String> {
    let external = metric.external.as_ref();
    let selector = external.and_then(|it| it.metric.selector.as_ref());
    let labels = selector.and_then(|it| it.match_labels.as_ref());
    if let Some(name) = labels.and_then(|it| it.get(KEDA)) {
        return Some(format!(
            "KEDA has made this metric of the ScaledObject {name}, and answers it itself: kubectl \
             describe scaledobject {name} and the log of its operator say more"
        ));
    }
    let name = resource(metric).map(|(name, _)| name)?;
    (!RESOURCES.contains(&name)).then(|| {
        format!(
            "metrics.k8s.io has cpu and memory alone: ask for {name} by a metric of type Pods, \
             Object or External"
        )
    })
}

/// The resource of a metric, and what is wanted of it.
fn resource(metric: &MetricSpec) -> Option<(&str, &MetricTarget)> {
    let of_pod = metric.resource.as_ref();
    let of_container = metric.container_resource.as_ref();
    let of_pod = of_pod.map(|it| (it.name.as_str(), &it.target));
    of_pod.or(of_container.map(|it| (it.name.as_str(), &it.target)))
}

/// The explanation of the answer to a metric, as its controller takes it: a container that one of
/// the pods lacks is an error to it (`getContainerMetrics` in
/// `pkg/controller/podautoscaler/metrics/client.go`).
pub(super) fn judged(mut it: Explanation, metric: &MetricSpec) -> Explanation {
    let (Some(source), Some(usage)) = (&metric.container_resource, &it.usage) else {
        return it;
    };
    let container = source.container.as_str();
    let having = usage.containers.get(container).copied().unwrap_or_default();
    if !it.served || having == usage.pods {
        return it;
    }
    let names = usage.containers.keys().map(String::as_str);
    let near = nearest(container, names);
    let text = format!(
        "{having} of {} pods have a container {container:?}, and one that lacks it is an error to \
         the controller",
        usage.pods
    );
    let counted = usage.containers.iter();
    let lines = counted.map(|(name, count)| format!("{name}: {count} pods"));
    let lines = lines.collect();
    it.steps.push(Step {
        title: "Container".to_owned(),
        state: State::Wrong,
        text: text.clone(),
        lines,
        promql: None,
    });
    let advice = match near.as_slice() {
        [] => {
            "look at the containers of the pods, and at containerLabel in resourceRules".to_owned()
        }
        near => format!("did you mean the container {}?", near.join(", ")),
    };
    it.advice.insert(0, advice);
    it.message = format!("{}, but {text}", it.message);
    it.cause = Some(Cause::NoContainer);
    it.served = false;
    it
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::api::explain::Usage;

    fn explanation(containers: &[(&str, usize)]) -> Explanation {
        let containers = containers.iter();
        let containers = containers.map(|(name, count)| ((*name).to_owned(), *count));
        Explanation {
            path: String::new(),
            served: true,
            code: 200,
            message: "2 values".to_owned(),
            cause: None,
            usage: Some(Usage {
                pods: 2,
                containers: containers.collect::<BTreeMap<_, _>>(),
            }),
            steps: Vec::new(),
            advice: Vec::new(),
        }
    }

    fn metric(spec: serde_json::Value) -> MetricSpec {
        serde_json::from_value(spec).unwrap()
    }

    #[test]
    fn a_container_must_be_in_all_pods() {
        let target = json!({"type": "Utilization", "averageUtilization": 80});
        let of = json!({"name": "cpu", "container": "web", "target": target});
        let of_container = metric(json!({"type": "ContainerResource", "containerResource": of}));
        for (containers, is_served) in [
            (&[("web", 2), ("log", 2)][..], true),
            (&[("web", 1), ("log", 2)], false),
            (&[("wbe", 2)], false),
            (&[("", 2)], false),
        ] {
            let it = judged(explanation(containers), &of_container);
            assert_eq!(it.served, is_served, "{containers:?}");
            assert_eq!(it.cause.is_none(), is_served, "{containers:?}");
        }
        let it = judged(explanation(&[("wbe", 2)]), &of_container);
        assert!(
            it.message.starts_with("2 values, but 0 of 2 pods"),
            "{it:?}"
        );
        assert_eq!(it.advice, ["did you mean the container wbe?"]);
        let of = json!({"name": "cpu", "target": target});
        let of_pods = metric(json!({"type": "Resource", "resource": of}));
        assert!(judged(explanation(&[("wbe", 2)]), &of_pods).served);
    }

    #[test]
    fn what_tidegauge_never_answers_is_told() {
        let target = json!({"type": "AverageValue", "averageValue": 1});
        let resource = |name: &str| {
            let of = json!({"name": name, "target": target});
            metric(json!({"type": "Resource", "resource": of}))
        };
        assert_eq!(refused(&resource("memory")), None);
        assert!(refused(&resource("nvidia.com/gpu")).is_some_and(|it| it.contains("gpu")));
        let external = |labels: serde_json::Value| {
            let of = json!({"name": "s0-prometheus", "selector": {"matchLabels": labels}});
            metric(json!({"type": "External", "external": {"metric": of, "target": target}}))
        };
        assert_eq!(refused(&external(json!({"topic": "a"}))), None);
        let text = refused(&external(json!({KEDA: "web"}))).unwrap();
        assert!(text.contains("ScaledObject web"), "{text}");
    }
}
