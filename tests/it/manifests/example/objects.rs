//! What one may copy into production: pods, their way in and out, and what scales them.

use std::collections::BTreeSet;

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use regex::Regex;
use serde_json::{Value, json};
use tidegauge::autoscale::{Settings, validate};

use super::super::render::{example, example_by, example_with_adapter};
use super::super::schema::fault;
use super::super::security::refused;
use super::super::{arguments, container, flag, list, of_kind, text, the};
use super::{autoscaler, file};

pub(super) fn objects() -> Vec<Value> {
    example().1
}

pub(super) fn named<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let mut of_kind = of_kind(objects, kind).into_iter();
    let found = of_kind.find(|it| it["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("no {kind} {name}"))
}

/// What has pods.
fn workloads(objects: &[Value]) -> Vec<&Value> {
    [
        of_kind(objects, "Deployment"),
        of_kind(objects, "StatefulSet"),
    ]
    .concat()
}

fn pod(workload: &Value) -> &Value {
    &workload["spec"]["template"]["spec"]
}

fn labels(workload: &Value) -> &Value {
    &workload["spec"]["template"]["metadata"]["labels"]
}

/// The workloads whose pods a selector selects. An empty one selects all.
fn selected<'a>(objects: &'a [Value], selector: &Value) -> BTreeSet<&'a str> {
    let wanted = selector.as_object().unwrap();
    let of = |it: &&Value| wanted.iter().all(|(key, value)| labels(it)[key] == *value);
    let selected = workloads(objects).into_iter().filter(of);
    selected.map(|it| text(&it["metadata"]["name"])).collect()
}

#[test]
fn every_pod_is_restricted_probed_and_held_to_limits() {
    let objects = objects();
    for workload in workloads(&objects) {
        let name = text(&workload["metadata"]["name"]);
        let (pod, container) = (pod(workload), container(workload));
        assert_eq!(refused(pod), [""; 0], "{name}");
        let security = &container["securityContext"];
        assert_eq!(security["readOnlyRootFilesystem"], true, "{name}");
        assert_eq!(pod["automountServiceAccountToken"], false, "{name}");
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            let probe = &container[probe];
            assert!(
                probe["httpGet"].is_object() || probe["exec"].is_object(),
                "{name}"
            );
        }
        let resources = &container["resources"];
        for amount in [
            &resources["requests"]["cpu"],
            &resources["requests"]["memory"],
            &resources["limits"]["memory"],
        ] {
            assert!(amount.is_string(), "{name}: {resources}");
        }
        let own = &workload["spec"]["selector"]["matchLabels"];
        assert_eq!(selected(&objects, own), BTreeSet::from([name]));
    }
    let namespace = &the(&objects, "Namespace")["metadata"];
    let level = &namespace["labels"]["pod-security.kubernetes.io/enforce"];
    assert_eq!(level, "restricted");
}

#[test]
fn the_shop_is_spread_and_has_the_time_to_stop() {
    let objects = objects();
    for (name, longest) in [("shop", 30), ("shop-worker", 20)] {
        let deployment = named(&objects, "Deployment", name);
        let (pod, container) = (pod(deployment), container(deployment));
        for spread in list(&pod["topologySpreadConstraints"]) {
            let selector = &spread["labelSelector"]["matchLabels"];
            assert_eq!(selected(&objects, selector), BTreeSet::from([name]));
        }
        let hook = container["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64();
        assert_eq!(hook.is_some(), name == "shop");
        let grace = list(&container["env"])
            .iter()
            .find(|it| it["name"] == "SHUTDOWN_GRACE");
        let grace = text(&grace.unwrap()["value"]).trim_end_matches('s');
        let needed = hook.unwrap_or(0) + grace.parse::<u64>().unwrap();
        assert!(pod["terminationGracePeriodSeconds"].as_u64().unwrap() > needed);
        assert_eq!(pod["terminationGracePeriodSeconds"], longest);
        assert!(deployment["spec"]["replicas"].is_null(), "the HPA's to say");
        assert!(container["resources"]["limits"]["cpu"].is_string());
    }
}

#[test]
fn services_lead_to_ports_of_pods_and_budgets_are_for_the_shop() {
    let objects = objects();
    for (service, behind) in [
        ("shop", "shop"),
        ("redis", "redis"),
        ("postgres", "postgres"),
    ] {
        let service = named(&objects, "Service", service);
        let selected = selected(&objects, &service["spec"]["selector"]);
        assert_eq!(selected, BTreeSet::from([behind]));
        let workloads = workloads(&objects);
        let pods = workloads.iter().find(|it| it["metadata"]["name"] == behind);
        let ports = list(&container(pods.unwrap())["ports"]);
        for port in list(&service["spec"]["ports"]) {
            assert!(
                ports.iter().any(|it| it["name"] == port["targetPort"]),
                "{port}"
            );
        }
    }
    for name in ["shop", "shop-worker"] {
        let budget = named(&objects, "PodDisruptionBudget", name);
        let of = selected(&objects, &budget["spec"]["selector"]["matchLabels"]);
        assert_eq!(of, BTreeSet::from([name]));
    }
}

/// Who may reach which port of a workload's pods: workloads, or `*` for anybody.
fn reaches(objects: &[Value], target: &str) -> BTreeSet<(String, u64)> {
    let mut reaches = BTreeSet::new();
    for policy in of_kind(objects, "NetworkPolicy") {
        let of = &policy["spec"]["podSelector"];
        let all = json!({});
        let of = of.get("matchLabels").unwrap_or(&all);
        if !selected(objects, of).contains(target) {
            continue;
        }
        for rule in policy["spec"]["ingress"].as_array().into_iter().flatten() {
            let mut who = BTreeSet::new();
            for peer in rule["from"].as_array().into_iter().flatten() {
                let of = &peer["podSelector"]["matchLabels"];
                match of.is_object() {
                    true => who.extend(selected(objects, of).into_iter().map(str::to_owned)),
                    false => who.extend([peer["namespaceSelector"]["matchLabels"].to_string()]),
                }
            }
            if rule["from"].is_null() {
                who.insert("*".to_owned());
            }
            for port in list(&rule["ports"]) {
                let port = port["port"].as_u64().unwrap();
                reaches.extend(who.iter().map(|it| (it.clone(), port)));
            }
        }
    }
    reaches
}

#[test]
fn only_the_shop_reaches_its_stores_and_only_prometheus_the_admin_port() {
    let objects = objects();
    let prometheus = r#"{"kubernetes.io/metadata.name":"monitoring"}"#;
    let expected: [(&str, &[(&str, u64)]); 4] = [
        ("redis", &[("shop", 6379)]),
        ("postgres", &[("shop", 5432), ("shop-worker", 5432)]),
        ("shop", &[("*", 8080), (prometheus, 9090)]),
        ("shop-worker", &[(prometheus, 9090)]),
    ];
    for (target, expected) in expected {
        let expected: BTreeSet<_> = expected
            .iter()
            .map(|(who, port)| ((*who).to_owned(), *port))
            .collect();
        assert_eq!(reaches(&objects, target), expected, "{target}");
    }
    // A policy of ingress for every pod makes all others closed.
    let nobody = &named(&objects, "NetworkPolicy", "nobody")["spec"];
    assert_eq!(
        *nobody,
        json!({"podSelector": {}, "policyTypes": ["Ingress"]})
    );
}

#[test]
fn what_a_pod_may_reach_includes_what_its_settings_name() {
    let objects = objects();
    for name in ["shop", "shop-worker"] {
        let policy = named(&objects, "NetworkPolicy", name);
        let mut out = BTreeSet::new();
        for rule in list(&policy["spec"]["egress"]) {
            for peer in rule["to"].as_array().into_iter().flatten() {
                let to = selected(&objects, &peer["podSelector"]["matchLabels"]);
                let port = rule["ports"][0]["port"].to_string();
                out.extend(to.into_iter().map(|it| format!("@{it}:{port}")));
            }
        }
        let environment = list(&container(named(&objects, "Deployment", name))["env"]);
        let urls: Vec<&str> = environment
            .iter()
            .filter(|it| it["name"].as_str().is_some_and(|it| it.ends_with("_URL")))
            .map(|it| text(&it["value"]))
            .collect();
        assert_eq!(urls.len(), out.len(), "{name}: {urls:?}, {out:?}");
        for url in urls {
            assert!(out.iter().any(|it| url.contains(it)), "{name}: {url}");
        }
    }
}

#[test]
fn passwords_are_made_and_every_key_that_is_read_is_there() {
    let objects = objects();
    let secret = the(&objects, "Secret");
    let keys = secret["data"].as_object().unwrap();
    assert_eq!(keys.len(), 2);
    assert_ne!(keys["REDIS_PASSWORD"], keys["POSTGRES_PASSWORD"]);
    for workload in workloads(&objects) {
        for variable in list(&container(workload)["env"]) {
            let of = &variable["valueFrom"]["secretKeyRef"];
            if of.is_object() {
                assert_eq!(of["name"], secret["metadata"]["name"]);
                assert!(keys.contains_key(text(&of["key"])), "{of}");
            }
        }
    }
}

#[test]
fn the_autoscalers_are_valid_and_those_of_workloads_that_are_there() {
    let zero = Settings {
        scale_to_zero: true,
        ..Settings::default()
    };
    let objects = objects();
    for (file, min, settings) in [
        ("hpa.yaml", 2, Settings::default()),
        ("hpa-worker.yaml", 0, zero),
    ] {
        let hpa = autoscaler(file);
        assert_eq!(validate(&hpa, &settings), [""; 0], "{file}");
        assert_eq!(hpa.spec.min_replicas, Some(min));
        let target = &hpa.spec.scale_target_ref;
        named(&objects, &target.kind, &target.name);
    }
    // What is applied is valid in every cluster.
    for hpa in of_kind(&objects, "HorizontalPodAutoscaler") {
        let hpa: HorizontalPodAutoscaler = serde_json::from_value(hpa.clone()).unwrap();
        assert_eq!(validate(&hpa, &Settings::default()), [""; 0]);
    }
    let kinds = autoscaler("hpa.yaml").spec.metrics.unwrap();
    let kinds: Vec<&str> = kinds.iter().map(|it| it.type_.as_str()).collect();
    assert_eq!(kinds, ["Pods", "Resource", "Resource", "Object"]);
}

#[test]
fn monitors_find_the_service_and_the_workers_by_labels_and_ports() {
    let objects = example_with_adapter();
    let monitor = &named(&objects, "ServiceMonitor", "shop")["spec"];
    let service = named(&objects, "Service", "shop");
    for (key, value) in monitor["selector"]["matchLabels"].as_object().unwrap() {
        assert_eq!(service["metadata"]["labels"][key], *value, "{key}");
    }
    let ports = list(&service["spec"]["ports"]);
    let port = &monitor["endpoints"][0]["port"];
    assert!(ports.iter().any(|it| it["name"] == *port), "{port}");
    let monitor = &named(&objects, "PodMonitor", "shop-worker")["spec"];
    let of = selected(&objects, &monitor["selector"]["matchLabels"]);
    assert_eq!(of, BTreeSet::from(["shop-worker"]));
    let ports = list(&container(named(&objects, "Deployment", "shop-worker"))["ports"]);
    let port = &monitor["podMetricsEndpoints"][0]["port"];
    assert!(ports.iter().any(|it| it["name"] == *port), "{port}");
}

#[test]
fn everything_on_one_cluster_has_the_shops_rules_and_ones_own_images() {
    let objects = example_with_adapter();
    for object in &objects {
        assert_eq!(fault(object), None, "{}", object["metadata"]["name"]);
    }
    let own = |deployment: &Value| text(&container(deployment)["image"]).to_owned();
    for deployment in of_kind(&objects, "Deployment") {
        assert!(
            own(deployment).starts_with("registry.example/"),
            "{}",
            own(deployment)
        );
    }
    let adapter = named(&objects, "Deployment", "tidegauge");
    let volume = text(&pod(adapter)["volumes"][0]["configMap"]["name"]);
    let rules = named(&objects, "ConfigMap", volume);
    assert_eq!(rules["data"]["config.yaml"], file("adapter-rules.yaml"));
    let url = flag(&arguments(adapter), "prometheus-url");
    assert_eq!(url, Some("http://prometheus-operated.monitoring.svc:9090"));
    // What the Operator scrapes: the shop, its workers, the adapter.
    let monitors =
        of_kind(&objects, "ServiceMonitor").len() + of_kind(&objects, "PodMonitor").len();
    assert_eq!(monitors, 3);
}

/// As kube-prometheus-stack wants it, where it looks for its own label: without it nothing is scraped,
/// and AdapterDown fires for ever.
#[test]
fn the_label_of_a_release_goes_onto_all_that_the_operator_reads() {
    let hint = Regex::new("(?m)^# (labels:|- pairs: .*)$").unwrap();
    let all = file("with-adapter.kustomization.yaml");
    let objects = example_by(&hint.replace_all(&all, "$1"));
    let monitoring = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n\
                      resources: [tidegauge/manifests/example/monitoring]\n";
    let by_itself = file("monitoring/kustomization.yaml");
    let lines = by_itself.lines().filter_map(|it| hint.captures(it));
    let lines: String = lines.map(|it| format!("{}\n", &it[1])).collect();
    let parts = example_by(&format!("{monitoring}{lines}"));
    for (objects, expected) in [(&objects, 4), (&parts, 3)] {
        let read = ["ServiceMonitor", "PodMonitor", "PrometheusRule"];
        let read = read.map(|kind| of_kind(objects, kind)).concat();
        assert_eq!(read.len(), expected);
        for object in read {
            let release = &object["metadata"]["labels"]["release"];
            assert_eq!(release, "kube-prometheus-stack", "{}", object["metadata"]);
        }
    }
    // It is no part of what selects pods.
    for deployment in of_kind(&objects, "Deployment") {
        assert!(!deployment["spec"].to_string().contains("\"release\""));
    }
}
