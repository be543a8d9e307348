//! The Pod Security standard "restricted", field by field
//! (<https://kubernetes.io/docs/concepts/security/pod-security-standards/>).

use serde_json::{Value, json};

use super::render::everything;
use super::{container, of_kind};

/// The volumes that "restricted" allows.
const VOLUMES: [&str; 8] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

/// What "restricted" would refuse of a pod.
pub(super) fn refused(pod: &Value) -> Vec<String> {
    let mut refused = Vec::new();
    let mut must = |holds: bool, what: &str| {
        if !holds {
            refused.push(what.to_owned());
        }
    };
    let set = |value: &Value| !value.is_null() && *value != json!(false);
    for shared in ["hostNetwork", "hostPID", "hostIPC"] {
        must(!set(&pod[shared]), shared);
    }
    for volume in pod["volumes"].as_array().into_iter().flatten() {
        let mut kinds = volume.as_object().into_iter().flatten();
        let allowed = kinds.all(|(key, _)| key == "name" || VOLUMES.contains(&key.as_str()));
        must(allowed, "volumes");
    }
    must(pod["securityContext"]["sysctls"].is_null(), "sysctls");
    let containers = ["containers", "initContainers", "ephemeralContainers"]
        .into_iter()
        .flat_map(|kind| pod[kind].as_array().into_iter().flatten());
    for container in containers {
        let own = &container["securityContext"];
        // What a container does not say, its pod says.
        let either = |field: &str| match &own[field] {
            Value::Null => &pod["securityContext"][field],
            said => said,
        };
        must(!set(&own["privileged"]), "privileged");
        must(
            own["allowPrivilegeEscalation"] == false,
            "allowPrivilegeEscalation",
        );
        must(either("runAsNonRoot") == true, "runAsNonRoot");
        must(either("runAsUser") != 0, "runAsUser");
        must(either("seLinuxOptions").is_null(), "seLinuxOptions");
        must(either("windowsOptions").is_null(), "windowsOptions");
        must(either("appArmorProfile").is_null(), "appArmorProfile");
        must(
            own["procMount"].is_null() || own["procMount"] == "Default",
            "procMount",
        );
        let seccomp = &either("seccompProfile")["type"];
        must(
            seccomp == "RuntimeDefault" || seccomp == "Localhost",
            "seccompProfile",
        );
        must(
            own["capabilities"]["drop"] == json!(["ALL"]),
            "capabilities.drop",
        );
        must(own["capabilities"]["add"].is_null(), "capabilities.add");
        let ports = container["ports"].as_array().into_iter().flatten();
        for port in ports {
            must(!set(&port["hostPort"]), "hostPort");
        }
    }
    refused
}

#[test]
fn every_pod_passes_restricted() {
    for (name, objects) in everything() {
        for deployment in of_kind(&objects, "Deployment") {
            let pod = &deployment["spec"]["template"]["spec"];
            assert_eq!(refused(pod), [""; 0], "{name}");
            let own = &container(deployment)["securityContext"];
            assert_eq!(own["readOnlyRootFilesystem"], true, "{name}");
        }
    }
}

#[test]
fn the_namespace_holds_its_pods_to_restricted() {
    for (name, objects) in everything() {
        for namespace in of_kind(&objects, "Namespace") {
            let labels = &namespace["metadata"]["labels"];
            let level = &labels["pod-security.kubernetes.io/enforce"];
            assert_eq!(level, "restricted", "{name}");
        }
    }
}

#[test]
fn what_restricted_forbids_is_found() {
    let strict = json!({
        "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{"securityContext": {
            "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
        }}],
        "volumes": [{"name": "a", "emptyDir": {}}],
    });
    assert_eq!(refused(&strict), [""; 0]);
    let own = "/containers/0/securityContext";
    let cases: [(&str, &str, Value, &str); 10] = [
        ("", "hostNetwork", json!(true), "hostNetwork"),
        ("/volumes/0", "hostPath", json!({"path": "/"}), "volumes"),
        (
            "/securityContext",
            "runAsNonRoot",
            json!(false),
            "runAsNonRoot",
        ),
        ("/securityContext", "runAsUser", json!(0), "runAsUser"),
        (
            "/securityContext",
            "seccompProfile",
            json!({"type": "Unconfined"}),
            "seccompProfile",
        ),
        (own, "privileged", json!(true), "privileged"),
        (
            own,
            "allowPrivilegeEscalation",
            Value::Null,
            "allowPrivilegeEscalation",
        ),
        (own, "capabilities", json!({}), "capabilities.drop"),
        (own, "procMount", json!("Unmasked"), "procMount"),
        (
            "/containers/0",
            "ports",
            json!([{"hostPort": 1}]),
            "hostPort",
        ),
    ];
    for (place, field, value, expected) in cases {
        let mut pod = strict.clone();
        pod.pointer_mut(place).unwrap()[field] = value;
        assert_eq!(refused(&pod), [expected]);
    }
}
