//! Objects that name each other: labels, ports, volumes, names, versions.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use tidegauge::go;

use super::render::{COMPONENTS, Tree, everything};
use super::{arguments, container, flag, list, of_kind, text, the, the_rules};

/// What kube-prometheus, which an overlay relies on, has applied already.
const OVERLAYS_OF_OTHERS: [&str; 1] = ["overlays/replace-prometheus-adapter"];

/// The sets of objects that are whole in themselves.
fn whole() -> Vec<(String, Vec<Value>)> {
    let all = everything().into_iter();
    all.filter(|(name, _)| !OVERLAYS_OF_OTHERS.contains(&name.as_str()))
        .collect()
}

/// Whether `labels` has all that the selector `wanted` asks for. An empty selector means a mistake.
fn selects(wanted: &Value, labels: &Value) -> bool {
    let wanted = wanted.as_object().expect("a selector must be a mapping");
    !wanted.is_empty() && wanted.iter().all(|(key, value)| labels[key] == *value)
}

fn pod_labels(objects: &[Value]) -> &Value {
    &the(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
}

/// The pod as the API server would keep it.
fn pod(objects: &[Value]) -> &Value {
    &the(objects, "Deployment")["spec"]["template"]["spec"]
}

/// What our own policy lets out.
fn egress(objects: &[Value]) -> BTreeSet<u64> {
    let policies = of_kind(objects, "NetworkPolicy").into_iter();
    let own = policies.filter(|it| it["metadata"]["name"] == "tidegauge");
    own.flat_map(|policy| list(&policy["spec"]["egress"]))
        .flat_map(|rule| list(&rule["ports"]))
        .filter_map(|port| port["port"].as_u64())
        .collect()
}

#[test]
fn every_selector_selects_the_pods() {
    for (name, objects) in everything() {
        let deployment = the(&objects, "Deployment");
        let labels = pod_labels(&objects);
        let mut selectors = vec![&deployment["spec"]["selector"]["matchLabels"]];
        let namespace = &deployment["metadata"]["namespace"];
        let ours = |it: &&Value| it["metadata"]["namespace"] == *namespace;
        for service in of_kind(&objects, "Service") {
            selectors.push(&service["spec"]["selector"]);
        }
        for budget in of_kind(&objects, "PodDisruptionBudget") {
            selectors.push(&budget["spec"]["selector"]["matchLabels"]);
        }
        for policy in of_kind(&objects, "NetworkPolicy").into_iter().filter(ours) {
            selectors.push(&policy["spec"]["podSelector"]["matchLabels"]);
        }
        for spread in pod(&objects)["topologySpreadConstraints"]
            .as_array()
            .into_iter()
            .flatten()
        {
            selectors.push(&spread["labelSelector"]["matchLabels"]);
        }
        for selector in selectors {
            assert!(selects(selector, labels), "{name}: {selector} of {labels}");
        }
    }
    let mistake = serde_json::json!({});
    assert!(
        !selects(&mistake, &mistake),
        "an empty selector is a mistake"
    );
}

#[test]
fn the_service_leads_to_the_port_that_the_binary_listens_on() {
    for (name, objects) in whole() {
        let container = container(the(&objects, "Deployment"));
        let ports = list(&container["ports"]);
        let listens = flag(&arguments(the(&objects, "Deployment")), "secure-port").unwrap();
        let port = list(&the(&objects, "Service")["spec"]["ports"])[0].clone();
        let behind = ports.iter().find(|it| it["name"] == port["targetPort"]);
        let behind = behind.unwrap_or_else(|| panic!("{name}: no port {}", port["targetPort"]));
        assert_eq!(behind["containerPort"].to_string(), listens, "{name}");
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            let get = &container[probe]["httpGet"];
            assert_eq!(get["port"], behind["name"], "{name}: {probe}");
            assert_eq!(get["scheme"], "HTTPS", "{name}: {probe}");
        }
        let policy = of_kind(&objects, "NetworkPolicy");
        let policy = policy
            .iter()
            .find(|it| it["metadata"]["name"] == "tidegauge");
        let open = &policy.unwrap()["spec"]["ingress"][0];
        assert_eq!(open["ports"][0]["port"].to_string(), listens, "{name}");
        assert!(
            open["from"].is_null(),
            "{name}: the control plane is anywhere"
        );
    }
}

/// Probes are anonymous, and nobody but the kubelet's exact paths is let in without a name.
#[test]
fn probes_ask_exactly_the_paths_that_anybody_may_get() {
    for (name, objects) in everything() {
        let container = container(the(&objects, "Deployment"));
        let path = |probe: &str| text(&container[probe]["httpGet"]["path"]).to_owned();
        assert_eq!(path("startupProbe"), "/livez", "{name}");
        assert_eq!(path("livenessProbe"), "/livez", "{name}");
        assert_eq!(path("readinessProbe"), "/readyz", "{name}");
    }
}

#[test]
fn api_services_and_monitors_name_the_service_and_its_port() {
    for (name, objects) in whole() {
        let service = the(&objects, "Service");
        let port = &service["spec"]["ports"][0];
        for api in of_kind(&objects, "APIService") {
            let spec = &api["spec"];
            assert_eq!(
                spec["service"]["name"], service["metadata"]["name"],
                "{name}"
            );
            assert_eq!(
                spec["service"]["namespace"], service["metadata"]["namespace"],
                "{name}"
            );
            assert_eq!(spec["service"]["port"], port["port"], "{name}");
            let expected = format!("{}.{}", text(&spec["version"]), text(&spec["group"]));
            assert_eq!(api["metadata"]["name"], *expected, "{name}");
        }
        for monitor in of_kind(&objects, "ServiceMonitor") {
            let selector = &monitor["spec"]["selector"]["matchLabels"];
            assert!(selects(selector, &service["metadata"]["labels"]), "{name}");
            assert_eq!(
                monitor["metadata"]["namespace"],
                service["metadata"]["namespace"]
            );
            let ports = list(&service["spec"]["ports"]);
            let endpoint = &monitor["spec"]["endpoints"][0]["port"];
            let behind = ports.iter().find(|it| it["name"] == *endpoint);
            let behind = behind.unwrap_or_else(|| panic!("{name}: no port {endpoint}"));
            let open = list(&container(the(&objects, "Deployment"))["ports"]);
            assert!(
                open.iter().any(|it| it["name"] == behind["targetPort"]),
                "{name}"
            );
        }
    }
}

/// Nobody has to trust just anybody: kube-aggregator verifies who answers it, or does not ask.
#[test]
fn no_api_service_skips_the_verification_of_the_certificate() {
    for (name, objects) in everything() {
        for api in of_kind(&objects, "APIService") {
            assert!(api["spec"]["insecureSkipTLSVerify"].is_null(), "{name}");
        }
    }
}

#[test]
fn the_version_that_every_client_knows_and_wants_is_preferred() {
    let objects = Tree::new().base_and(&["custom", "resource", "resource-v1"]);
    let priority = |name: &str| {
        let mut apis = of_kind(&objects, "APIService").into_iter();
        let api = apis.find(|api| api["metadata"]["name"] == name).unwrap();
        api["spec"]["versionPriority"].as_u64().unwrap()
    };
    assert!(priority("v1beta2.custom.metrics.k8s.io") > priority("v1beta1.custom.metrics.k8s.io"));
    assert!(priority("v1beta1.metrics.k8s.io") > priority("v1.metrics.k8s.io"));
}

#[test]
fn every_file_that_a_flag_names_is_mounted() {
    for (name, objects) in everything() {
        let deployment = the(&objects, "Deployment");
        let arguments = arguments(deployment);
        let mounts = list(&container(deployment)["volumeMounts"]);
        let volumes = list(&pod(&objects)["volumes"]);
        for mount in mounts {
            let found = volumes.iter().any(|it| it["name"] == mount["name"]);
            assert!(found, "{name}: no volume {}", mount["name"]);
        }
        let volume = |path: &str| {
            let mount = mounts.iter().find(|it| {
                let rest = path.strip_prefix(text(&it["mountPath"]));
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            });
            let mount = mount.unwrap_or_else(|| panic!("{name}: {path} is not mounted"));
            let volume = volumes.iter().find(|it| it["name"] == mount["name"]);
            (mount, volume.unwrap())
        };
        let (_, config) = volume(flag(&arguments, "config").unwrap());
        assert!(config["configMap"].is_object(), "{name}");
        let (mount, certificates) = volume(flag(&arguments, "cert-dir").unwrap());
        assert!(
            certificates["emptyDir"].is_object() && mount["readOnly"] != true,
            "{name}"
        );
        for file in ["tls-cert-file", "tls-private-key-file"] {
            if let Some(path) = flag(&arguments, file) {
                let certificate = the_certificate(&objects);
                let (_, secret) = volume(path);
                assert_eq!(
                    secret["secret"]["secretName"],
                    certificate["spec"]["secretName"]
                );
            }
        }
    }
}

#[test]
fn the_config_map_of_the_pod_is_there_with_its_file() {
    for (name, objects) in whole() {
        let map = the_rules(&objects);
        let volumes = list(&pod(&objects)["volumes"]).iter();
        let mut named = volumes.filter_map(|it| it["configMap"]["name"].as_str());
        assert_eq!(named.next(), map["metadata"]["name"].as_str(), "{name}");
        let path = flag(&arguments(the(&objects, "Deployment")), "config").unwrap();
        let file = path.rsplit('/').next().unwrap();
        assert!(map["data"][file].is_string(), "{name}: no {file}");
    }
}

#[test]
fn prometheus_and_the_api_server_are_where_the_network_policy_lets_us_go() {
    for (name, objects) in whole() {
        let open = egress(&objects);
        let arguments = arguments(the(&objects, "Deployment"));
        let url = flag(&arguments, "prometheus-url").unwrap();
        let port = url.rsplit(':').next().unwrap().trim_end_matches('/');
        for needed in [53, 443, 6443, port.parse().unwrap()] {
            assert!(open.contains(&needed), "{name}: {needed} of {open:?}");
        }
    }
}

/// A pod that is killed in its drain cuts requests off. Defaults are those of `--help`; Kubernetes' own
/// grace is 30 s.
#[test]
fn a_pod_has_the_time_to_drain() {
    for (name, objects) in everything() {
        let arguments = arguments(the(&objects, "Deployment"));
        let seconds = |flag_name: &str, default: &str| {
            let value = flag(&arguments, flag_name).unwrap_or(default);
            let duration = go::duration::parse_go(value).unwrap();
            Duration::try_from(duration).unwrap().as_secs()
        };
        let delay = seconds("shutdown-delay-duration", "5s");
        let drain = seconds("shutdown-drain-timeout", "20s");
        let grace = &pod(&objects)["terminationGracePeriodSeconds"];
        let grace = grace.as_u64().unwrap_or(30);
        assert!(
            grace > delay + drain,
            "{name}: {grace} s for {delay} s and {drain} s"
        );
    }
}

/// An APIService of a group that is not served fails for ever, and with it discovery of the cluster.
#[test]
fn every_registered_group_is_switched_on() {
    for (name, objects) in everything() {
        let arguments = arguments(the(&objects, "Deployment"));
        let Some(groups) = flag(&arguments, "api-groups") else {
            continue;
        };
        let groups: BTreeSet<&str> = groups.split(',').collect();
        let apis = of_kind(&objects, "APIService").into_iter();
        let registered: BTreeSet<&str> = apis.map(|api| text(&api["spec"]["group"])).collect();
        assert_eq!(registered, groups, "{name}");
    }
}

/// The certificate is verified by one of two ways, never by both and never by none.
#[test]
fn every_install_that_registers_an_api_says_how_its_certificate_is_trusted() {
    for (name, objects) in everything() {
        let arguments = arguments(the(&objects, "Deployment"));
        let own = arguments.contains(&"--manage-apiservice");
        let given = flag(&arguments, "tls-cert-file").is_some();
        assert!(!(own && given), "{name}");
        if name.starts_with("overlays/") && !OVERLAYS_OF_OTHERS.contains(&name.as_str()) {
            assert!(own || given, "{name}");
        }
    }
}

#[test]
fn one_replica_stays_while_nodes_are_drained_and_versions_rolled_out() {
    for (name, objects) in whole() {
        let spec = &the(&objects, "Deployment")["spec"];
        let replicas = spec["replicas"].as_u64().unwrap();
        let budget = &the(&objects, "PodDisruptionBudget")["spec"];
        let kept = budget["minAvailable"].as_u64().unwrap();
        assert!(kept >= 1 && kept < replicas, "{name}: {kept} of {replicas}");
        assert_eq!(
            spec["strategy"]["rollingUpdate"]["maxUnavailable"], 0,
            "{name}"
        );
    }
}

#[test]
fn image_and_labels_have_the_version_of_this_package() {
    let version = env!("CARGO_PKG_VERSION");
    for (name, objects) in everything() {
        let deployment = the(&objects, "Deployment");
        let image = text(&container(deployment)["image"]);
        assert_eq!(image, format!("tidegauge:{version}"), "{name}");
        for labels in [&deployment["metadata"]["labels"], pod_labels(&objects)] {
            assert_eq!(labels["app.kubernetes.io/version"], version, "{name}");
        }
    }
}

fn the_certificate(objects: &[Value]) -> &Value {
    let certificates = of_kind(objects, "Certificate").into_iter();
    let mut serving = certificates.filter(|it| it["metadata"]["name"] == "tidegauge");
    serving.next().expect("there must be a serving certificate")
}

/// kube-aggregator asks for `SVC.NS.svc` and looks at no common name.
#[test]
fn the_certificate_is_for_the_names_of_the_service() {
    let objects = Tree::new().base_and(&COMPONENTS);
    let certificate = the_certificate(&objects);
    let metadata = &the(&objects, "Service")["metadata"];
    let (name, namespace) = (text(&metadata["name"]), text(&metadata["namespace"]));
    let names = [
        name.to_owned(),
        format!("{name}.{namespace}"),
        format!("{name}.{namespace}.svc"),
    ];
    assert_eq!(certificate["spec"]["dnsNames"], serde_json::json!(names));
    assert!(list(&certificate["spec"]["usages"]).contains(&"server auth".into()));
    for api in of_kind(&objects, "APIService") {
        let from = &api["metadata"]["annotations"]["cert-manager.io/inject-ca-from"];
        let certificate = text(&certificate["metadata"]["name"]);
        assert_eq!(from, &format!("{namespace}/{certificate}"));
    }
    let tls = &the(&objects, "ServiceMonitor")["spec"]["endpoints"][0]["tlsConfig"];
    assert_eq!(tls["serverName"], names[2]);
    assert_eq!(
        tls["ca"]["secret"]["name"],
        certificate["spec"]["secretName"]
    );
}

/// Every name of an issuer or authority leads to one that is there.
#[test]
fn every_certificate_has_its_issuer() {
    let objects = Tree::new().base_and(&["cert-manager"]);
    let name = |it: &&Value| it["metadata"]["name"].clone();
    let issuers: Vec<Value> = of_kind(&objects, "Issuer").iter().map(name).collect();
    let certificates = of_kind(&objects, "Certificate");
    let secrets: Vec<&Value> = certificates
        .iter()
        .map(|it| &it["spec"]["secretName"])
        .collect();
    for certificate in &certificates {
        assert!(issuers.contains(&certificate["spec"]["issuerRef"]["name"]));
    }
    for issuer in of_kind(&objects, "Issuer") {
        let ca = &issuer["spec"]["ca"]["secretName"];
        assert!(ca.is_null() || secrets.contains(&ca), "{ca}");
    }
}

/// README's way to another namespace.
#[test]
fn another_namespace_is_one_replacement_away() {
    let tree = Tree::new();
    tree.replace("namespace: tidegauge", "namespace: elsewhere");
    for name in ["fresh", "cert-manager", "beside-keda"] {
        for object in tree.overlay(name) {
            let all = object.to_string();
            assert!(
                !all.contains("\"namespace\":\"tidegauge\""),
                "{name}: {all}"
            );
        }
    }
    let objects = tree.base_and(&COMPONENTS);
    for object in &objects {
        let namespace = &object["metadata"]["namespace"];
        let known = ["elsewhere", "kube-system", "monitoring"];
        assert!(
            namespace.is_null() || known.contains(&text(namespace)),
            "{object}"
        );
        let all = object.to_string();
        for old in ["\"namespace\":\"tidegauge\"", "tidegauge.svc", "NAMESPACE"] {
            assert!(
                !all.contains(old) || all.contains("tidegauge.elsewhere.svc"),
                "{all}"
            );
        }
    }
    assert_eq!(the(&objects, "Namespace")["metadata"]["name"], "elsewhere");
    let names = &the_certificate(&objects)["spec"]["dnsNames"];
    assert_eq!(names[2], "tidegauge.elsewhere.svc");
    let policies = of_kind(&objects, "NetworkPolicy").into_iter();
    let mut of_prometheus = policies.filter(|it| it["metadata"]["namespace"] == "monitoring");
    let from = &of_prometheus.next().unwrap()["spec"]["ingress"][0]["from"][0];
    let name = &from["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"];
    assert_eq!(name, "elsewhere");
    assert!(selects(
        &from["podSelector"]["matchLabels"],
        pod_labels(&objects)
    ));
}
