//! Manifests that are explained as their controller asks: each type of metric, and what is none.

use serde_json::Value;

use super::command::{DEPLOYMENT, HPA, fed, files};
use super::table::{OBJECTS, RULES, Worlds};
use crate::support::autoscaler::folder;

/// Each type of metric, without a namespace, in several documents.
const EACH_TYPE: &str = "
apiVersion: v1
kind: Service
metadata: {name: front}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  maxReplicas: 5
  metrics:
  - type: Resource
    resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}
  - type: ContainerResource
    containerResource: {name: memory, container: app, target: {type: AverageValue, averageValue: 1}}
  - type: ContainerResource
    containerResource: {name: cpu, container: aap, target: {type: AverageValue, averageValue: 1}}
  - type: Resource
    resource: {name: nvidia.com/gpu, target: {type: AverageValue, averageValue: 1}}
  - type: Object
    object:
      describedObject: {apiVersion: v1, kind: Namespace, name: shop}
      metric: {name: depth}
      target: {type: Value, value: 10}
  - type: Object
    object:
      describedObject: {apiVersion: acme.io/v1, kind: Gauge, name: tide}
      metric: {name: depth}
      target: {type: Value, value: 10}
  - type: External
    external:
      metric: {name: queue_length, selector: {matchLabels: {topic: orders}}}
      target: {type: AverageValue, averageValue: 10}
---
apiVersion: autoscaling/v1
kind: HorizontalPodAutoscaler
metadata: {name: old}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: old}
  maxReplicas: 5
  targetCPUUtilizationPercentage: 80
";

/// CPU and memory of the gauges that the world has.
const RESOURCE_RULES: &str = r#"
resourceRules:
  window: 1m
  cpu:
    containerLabel: container
    containerQuery: 'label_replace(sum(depth{<<.LabelMatchers>>}) by (namespace, pod), "container", "app", "", "")'
    nodeQuery: 'sum(depth{<<.LabelMatchers>>}) by (<<.GroupBy>>)'
    resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}, node: {resource: node}}}
  memory:
    containerLabel: container
    containerQuery: 'label_replace(sum(depth{<<.LabelMatchers>>}) by (namespace, pod), "container", "app", "", "")'
    nodeQuery: 'sum(depth{<<.LabelMatchers>>}) by (<<.GroupBy>>)'
    resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}, node: {resource: node}}}
"#;

#[tokio::test]
async fn each_type_of_metric_is_explained_as_its_controller_takes_the_answer() {
    let worlds = Worlds::start(&[]).await;
    let rules = format!("{RULES}{RESOURCE_RULES}");
    let directory = folder(&[("rules.yaml", &rules), ("objects.yaml", OBJECTS)]);
    let prometheus = format!("--prometheus-url={}", worlds.tap.url);
    let own = [
        "-f=-",
        "-n=shop",
        "-l=app=web",
        "--config=rules.yaml",
        "--standalone=objects.yaml",
        &prometheus,
    ];
    let said = fed(&directory, &own, EACH_TYPE).await;
    assert_eq!(said.code, Some(1), "{}", said.whole());
    for part in [
        "shop/web: metric 1 of 7: Resource cpu\nGET /apis/metrics.k8s.io/v1beta1/namespaces/shop/pods",
        "shop/web: metric 2 of 7: ContainerResource memory\n",
        "✗ 200 2 values, but 0 of 2 pods have a container \"aap\", and one that lacks it is an error \
         to the controller\n  no-container: ",
        "✗ Container: 0 of 2 pods have a container \"aap\"",
        "    app: 2 pods\n",
        "  - did you mean the container app?\n",
        "shop/web: metric 4 of 7: Resource nvidia.com/gpu\n✗ 400 metrics.k8s.io has cpu and memory \
         alone: ask for nvidia.com/gpu by a metric of type Pods, Object or External\n",
        "/namespaces/shop/metrics/depth\n",
        "no kind \"Gauge\" in group \"acme.io\": give its definition in the file, too\n",
        "/namespaces/shop/queue_length?labelSelector=topic%3Dorders\n",
        "shop/old: metric 1 of 1: Resource cpu\n",
    ] {
        assert!(said.stdout.contains(part), "{part}\n{}", said.whole());
    }
    let json = fed(&directory, &[&own[..], &["-o=json"]].concat(), EACH_TYPE).await;
    let all: Value = serde_json::from_str(&json.stdout).unwrap_or_default();
    let served = all
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["served"] == true);
    let expected = [true, true, false, false, true, false, true, true];
    assert_eq!(served.collect::<Vec<_>>(), expected, "{}", json.whole());
}

#[tokio::test]
async fn what_is_no_autoscaler_of_today_is_refused_with_what_to_do() {
    let directory = files();
    let own = ["-", "--config=rules.yaml", "--standalone=objects.yaml"];
    for (manifest, part) in [
        (
            HPA.replace("autoscaling/v2", "autoscaling/v2beta2"),
            "apiVersion \"autoscaling/v2beta2\": write autoscaling/v2 (or v1)",
        ),
        (
            "{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, metadata: {name: web}}".to_owned(),
            "no HorizontalPodAutoscaler in it, but ScaledObject web: KEDA makes one of it, which \
             kubectl get hpa keda-hpa-web -o yaml shows",
        ),
        (
            DEPLOYMENT.to_owned(),
            "standard input: no HorizontalPodAutoscaler in it: -f wants its manifest",
        ),
        (
            HPA.replace("type: Pods", "type: Podz"),
            "spec.metrics[0].type",
        ),
        ("a: [".to_owned(), "standard input"),
    ] {
        let said = fed(&directory, &own, &manifest).await;
        assert_eq!(said.code, Some(2), "{}", said.whole());
        assert!(said.stderr.contains(part), "{part}\n{}", said.whole());
    }
}
