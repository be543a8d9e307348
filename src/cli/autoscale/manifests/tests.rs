//! What is read of manifests, and what is said of wrong ones.

use proptest::prelude::*;

use super::*;
use crate::cli::autoscale::target::Target;

const V2: &str = "
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web, namespace: shop, creationTimestamp: null, annotations: {a: b}}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  maxReplicas: 5
  metrics:
  - type: Resource
    resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}
  - type: Object
    object:
      describedObject: {apiVersion: v1, kind: Service, name: web}
      metric: {name: latency, selector: {matchLabels: {q: p99}}}
      target: {type: Value, value: 0.5}
  behavior: {scaleDown: {policies: [{type: Pods, value: 1, periodSeconds: 60}]}}
status: {desiredReplicas: 3, currentMetrics: null}
";

const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  selector: {matchExpressions: [{key: app, operator: In, values: [web]}]}
  template:
    metadata: {labels: {app: web, tier: front}}
    spec: {containers: [{name: app, resources: {requests: {cpu: 1, memory: 64Mi}}}]}
";

fn manifests(text: &str) -> Result<Manifests, String> {
    let settings = Settings {
        scale_to_zero: true,
        ..Settings::default()
    };
    read(
        &[("f.yaml".to_owned(), text.to_owned())],
        "default",
        &settings,
    )
}

#[test]
fn an_autoscaler_is_read_as_kubectl_reads_it() {
    let read = manifests(V2).unwrap();
    let [hpa] = read.autoscalers.as_slice() else {
        panic!("{read:?}");
    };
    assert_eq!(key(hpa), "shop/web");
    let metrics = hpa.spec.metrics.as_ref().unwrap();
    let value = metrics[1].object.as_ref().unwrap().target.value.as_ref();
    assert_eq!(value.unwrap().0, "0.5");
    // What was seen elsewhere is not what is seen here.
    assert_eq!(hpa.status, None);
}

#[test]
fn lists_and_several_documents_are_read_and_others_left_alone() {
    let indented = V2.replace('\n', "\n  ");
    let list = format!(
        "kind: List\napiVersion: v1\nitems:\n- {}",
        indented.trim_start()
    );
    let service = "{apiVersion: v1, kind: Service, metadata: {name: web}}";
    let text = format!("---\n{list}\n---\n{service}\n---\n{DEPLOYMENT}\n---\n");
    let read = manifests(&text).unwrap();
    assert_eq!((read.autoscalers.len(), read.workloads.len()), (1, 1));
    assert_eq!(read.unused, ["Service web"]);
    let target = Target::find(&read.autoscalers[0], 0, &read.workloads).unwrap();
    assert_eq!(target.selector.to_string(), "app in (web)");
}

#[test]
fn version_one_is_the_same_with_processor_time_alone() {
    let text = "
apiVersion: autoscaling/v1
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 2
  maxReplicas: 5
  targetCPUUtilizationPercentage: 60
";
    let read = manifests(text).unwrap();
    let hpa = &read.autoscalers[0];
    assert_eq!(key(hpa), "default/web");
    let metric = &hpa.spec.metrics.as_ref().unwrap()[0];
    let target = &metric.resource.as_ref().unwrap().target;
    assert_eq!(
        (metric.type_.as_str(), target.average_utilization),
        ("Resource", Some(60))
    );
    let annotated = text.replace(
        "{name: web}\nspec",
        "{name: web, annotations: {autoscaling.alpha.kubernetes.io/behavior: '{}'}}\nspec",
    );
    let told = manifests(&annotated).unwrap_err();
    assert!(
        told.contains("write the object in autoscaling/v2"),
        "{told}"
    );
}

#[test]
fn every_mistake_is_told_with_its_place() {
    for (from, to, expected) in [
        (
            "maxReplicas: 5",
            "maxReplicas: 5\n  minReplica: 2",
            "spec.minReplica: unknown field, minReplicas is meant?",
        ),
        (
            "periodSeconds",
            "period",
            "spec.behavior.scaleDown.policies[0].period: unknown field",
        ),
        (
            "value: 0.5",
            "value: much",
            "spec.metrics[1].object.target.value",
        ),
        ("maxReplicas: 5", "maxReplicas: five", "expected i32"),
        (
            "autoscaling/v2",
            "autoscaling/v2beta2",
            "write autoscaling/v2 (or v1)",
        ),
        (
            "namespace: shop",
            "namespace: Shop",
            "metadata.namespace: \"Shop\" is no name",
        ),
        (
            "name: web}\n  max",
            "name: 'a\"b'}\n  max",
            "spec.scaleTargetRef.name: \"a\\\"b\" is no name",
        ),
        (
            "kind: Deployment",
            "kind: $(reboot)",
            "spec.scaleTargetRef.kind: \"$(reboot)\" is no kind",
        ),
        ("kind: HorizontalPodAutoscaler", "kin: x", "has no kind"),
    ] {
        let text = V2.replace(from, to);
        assert_ne!(text, V2, "{from}");
        let told = manifests(&text).unwrap_err();
        assert!(told.contains(expected), "{expected:?} is not in {told}");
        assert!(told.starts_with("f.yaml: document 1"), "{told}");
    }
    let told = manifests(&format!("{V2}---\n{V2}")).unwrap_err();
    assert_eq!(told, "HorizontalPodAutoscaler shop/web is defined twice");
    let other = V2.replace(
        "{name: web, namespace: shop, ",
        "{name: other, namespace: shop, ",
    );
    let told = manifests(&format!("{V2}---\n{other}")).unwrap_err();
    assert!(
        told.contains("shop/other: another one scales the same Deployment web"),
        "{told}"
    );
    let told = manifests(&DEPLOYMENT.replace("values: [web]", "values: [api]")).unwrap_err();
    assert!(
        told.contains("app in (api) does not select the labels"),
        "{told}"
    );
}

#[test]
fn the_target_is_that_of_the_reference_and_needed_where_a_metric_is_of_pods() {
    let text = format!("{V2}---\n{DEPLOYMENT}");
    for (from, to) in [
        ("kind: Deployment\nmetadata", "kind: StatefulSet\nmetadata"),
        ("apiVersion: apps/v1\nkind", "apiVersion: acme.io/v1\nkind"),
        (
            "{name: web, namespace: shop}\nspec:\n  selector",
            "{name: web}\nspec:\n  selector",
        ),
    ] {
        let other = text.replace(from, to);
        assert_ne!(other, text, "{from}");
        let read = manifests(&other).unwrap();
        let told = Target::find(&read.autoscalers[0], 0, &read.workloads).unwrap_err();
        assert!(
            told.contains("apps/v1 Deployment web, namespace shop"),
            "{told}"
        );
    }
    // A metric of an object is of nobody's pods.
    let mut read = manifests(V2).unwrap();
    read.autoscalers[0].spec.metrics.as_mut().unwrap().remove(0);
    assert!(Target::find(&read.autoscalers[0], 0, &[]).is_ok());
}

proptest! {
    #[test]
    fn a_damaged_file_is_read_or_refused_and_no_mistake_goes_unsaid(
        from in 0..V2.len(),
        length in 1..40_usize,
        put in "[a-z0-9:{} \n-]{0,6}",
    ) {
        let until = from.saturating_add(length).min(V2.len());
        let text = format!("{}{put}{}", &V2[..from], &V2[until..]);
        match manifests(&text) {
            Ok(read) => prop_assert!(!read.autoscalers.is_empty()),
            Err(told) => prop_assert!(!told.is_empty()),
        }
    }
}
