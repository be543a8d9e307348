//! Each object is what Kubernetes, the Prometheus Operator or cert-manager knows.
//!
//! An API server drops a field that it does not know, silently or with a warning; here it is an
//! error. Kubernetes' own objects go through the types that are generated from its OpenAPI document
//! and back: what does not come back is unknown or has the wrong form.

use std::collections::BTreeMap;

use k8s_openapi::api::{apps, autoscaling, core, networking, policy, rbac};
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::render::{everything, examples};

/// Why an object is not what it says it is.
pub(super) fn fault(object: &Value) -> Option<String> {
    let key = format!("{} {}", object["apiVersion"], object["kind"]).replace('"', "");
    match key.as_str() {
        "v1 ConfigMap" => through::<core::v1::ConfigMap>(object),
        "v1 Namespace" => through::<core::v1::Namespace>(object),
        "v1 Service" => through::<core::v1::Service>(object),
        "v1 ServiceAccount" => through::<core::v1::ServiceAccount>(object),
        "v1 Secret" => through::<core::v1::Secret>(object),
        "apps/v1 Deployment" => through::<apps::v1::Deployment>(object),
        "apps/v1 StatefulSet" => through::<apps::v1::StatefulSet>(object),
        "autoscaling/v2 HorizontalPodAutoscaler" => {
            through::<autoscaling::v2::HorizontalPodAutoscaler>(object)
        }
        "policy/v1 PodDisruptionBudget" => through::<policy::v1::PodDisruptionBudget>(object),
        "networking.k8s.io/v1 NetworkPolicy" => through::<networking::v1::NetworkPolicy>(object),
        "rbac.authorization.k8s.io/v1 ClusterRole" => through::<rbac::v1::ClusterRole>(object),
        "rbac.authorization.k8s.io/v1 ClusterRoleBinding" => {
            through::<rbac::v1::ClusterRoleBinding>(object)
        }
        "rbac.authorization.k8s.io/v1 Role" => through::<rbac::v1::Role>(object),
        "rbac.authorization.k8s.io/v1 RoleBinding" => through::<rbac::v1::RoleBinding>(object),
        "apiregistration.k8s.io/v1 APIService" => {
            through::<apiregistration::v1::APIService>(object)
        }
        "monitoring.coreos.com/v1 ServiceMonitor" => through::<ServiceMonitor>(object),
        "monitoring.coreos.com/v1 PodMonitor" => through::<PodMonitor>(object),
        "monitoring.coreos.com/v1 PrometheusRule" => through::<PrometheusRule>(object),
        "cert-manager.io/v1 Certificate" => through::<Certificate>(object),
        "cert-manager.io/v1 Issuer" => through::<Issuer>(object),
        _ => Some(format!("nothing here knows {key}")),
    }
}

/// Reads `object` as a `T`, writes it again, and says what was lost or changed.
fn through<T: DeserializeOwned + Serialize>(object: &Value) -> Option<String> {
    match serde_json::from_value::<T>(object.clone()) {
        Err(error) => Some(error.to_string()),
        Ok(read) => lost(object, &serde_json::to_value(read).unwrap(), ""),
    }
}

/// The first place where `after` lacks something of `before`.
fn lost(before: &Value, after: &Value, at: &str) -> Option<String> {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => before.iter().find_map(|(name, value)| {
            let at = format!("{at}.{name}");
            match after.get(name) {
                Some(after) => lost(value, after, &at),
                None => Some(format!("{at} is not known")),
            }
        }),
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => before
            .iter()
            .zip(after)
            .enumerate()
            .find_map(|(index, (before, after))| lost(before, after, &format!("{at}[{index}]"))),
        _ if before == after => None,
        _ => Some(format!("{at}: {before} is read as {after}")),
    }
}

// Of the custom resources, what we use (their reference documentation has the rest).

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Resource<Spec> {
    api_version: String,
    kind: String,
    metadata: k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
    spec: Spec,
}

type ServiceMonitor = Resource<MonitorSpec>;
type PodMonitor = Resource<PodMonitorSpec>;
type PrometheusRule = Resource<RuleSpec>;
type Certificate = Resource<CertificateSpec>;
type Issuer = Resource<IssuerSpec>;

/// <https://prometheus-operator.dev/docs/api-reference/api/>
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct MonitorSpec {
    selector: k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector,
    endpoints: Vec<Endpoint>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Endpoint {
    port: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scheme: Option<String>,
    path: String,
    interval: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bearer_token_file: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tls_config: Option<TlsConfig>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct PodMonitorSpec {
    selector: k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector,
    pod_metrics_endpoints: Vec<Endpoint>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleSpec {
    groups: Vec<RuleGroup>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleGroup {
    name: String,
    rules: Vec<AlertingRule>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AlertingRule {
    alert: String,
    expr: String,
    #[serde(rename = "for")]
    pending: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct TlsConfig {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    insecure_skip_verify: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    server_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ca: Option<SecretOrConfigMap>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct SecretOrConfigMap {
    secret: core::v1::SecretKeySelector,
}

/// <https://cert-manager.io/docs/reference/api-docs/>
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct CertificateSpec {
    secret_name: String,
    issuer_ref: IssuerRef,
    duration: String,
    private_key: PrivateKey,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    renew_before: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    common_name: Option<String>,
    #[serde(rename = "isCA", default, skip_serializing_if = "Option::is_none")]
    is_ca: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    usages: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dns_names: Option<Vec<String>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct PrivateKey {
    algorithm: String,
    size: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rotation_policy: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct IssuerRef {
    group: String,
    kind: String,
    name: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct IssuerSpec {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    self_signed: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ca: Option<Value>,
}

#[test]
fn every_object_is_known_to_kubernetes_field_by_field() {
    for (name, objects) in everything().into_iter().chain(examples()) {
        for object in objects {
            let fault = fault(&object);
            assert!(
                fault.is_none(),
                "{name}: {} {}: {}",
                object["kind"],
                object["metadata"]["name"],
                fault.unwrap_or_default()
            );
        }
    }
}

#[test]
fn every_object_is_named_once() {
    for (name, objects) in everything().into_iter().chain(examples()) {
        let id = |it: &Value| format!("{}/{}", it["kind"], it["metadata"]);
        let mut ids: Vec<String> = objects.iter().map(id).collect();
        ids.sort();
        let all = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), all, "{name}");
    }
}

#[test]
fn a_field_that_is_misspelt_or_misplaced_is_found() {
    let service = |port: Value| {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"},
            "spec": {"ports": [port]}})
    };
    let fine = service(json!({"port": 443, "targetPort": "https"}));
    assert_eq!(fault(&fine), None);
    let misspelt = service(json!({"port": 443, "targetport": "https"}));
    assert_eq!(
        fault(&misspelt).as_deref(),
        Some(".spec.ports[0].targetport is not known")
    );
    assert!(fault(&service(json!({"port": "443"}))).is_some());
    let elsewhere = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"},
        "spec": {"ports": [{"port": 443}]}, "selector": {}});
    assert_eq!(fault(&elsewhere).as_deref(), Some(".selector is not known"));
    let unknown = json!({"apiVersion": "v2", "kind": "Service", "metadata": {"name": "a"}});
    assert!(fault(&unknown).is_some());
}
