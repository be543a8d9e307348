//! The binary, started with the arguments of manifests: ours, the Helm chart's, kube-prometheus'.
//!
//! Whatever it then asks the API server, the roles beside those arguments must allow.

use std::path::Path;
use std::time::Duration;

use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::rbac::{self, Grant, Wish};
use super::render::{COMPONENTS, Tree};
use super::{arguments, of_kind, text, the, the_rules};
use crate::support::adapter::{self, Adapter};
use crate::support::apiserver::{ApiServer, VALID_TOKEN};
use crate::support::exporter::{self, Exporter};
use crate::support::pki::{Authority, Pair};
use crate::support::poll;
use crate::support::prometheus::{Prometheus, TargetLabels};

/// What the Helm chart's and our rules make of the exporter's `http_requests_total`.
const METRICS: [&str; 2] = ["http_requests", "http_requests_per_second"];

/// A way to start prometheus-adapter (`tests/data/replaced/adapters.yaml`).
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Replaced {
    name: String,
    args: Vec<String>,
    rules: String,
    roles: Vec<Value>,
}

fn replaced() -> Vec<Replaced> {
    serde_saphyr::from_str(&data("tests/data/replaced/adapters.yaml")).unwrap()
}

fn data(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// A cluster with a Prometheus that has series.
struct World {
    clients: Authority,
    api: ApiServer,
    prometheus: Prometheus,
    /// Where files of absolute paths are put.
    files: TempDir,
    serving: Authority,
    _exporter: Exporter,
}

impl World {
    async fn new() -> World {
        let (clients, proxies) = (
            Authority::new("kubernetes"),
            Authority::new("front-proxy-ca"),
        );
        let api = ApiServer::start(&clients, &proxies).await;
        let exporter = Exporter::start(|elapsed| exporter::recorded("", elapsed)).await;
        let prometheus = Prometheus::start(&[exporter.address], TargetLabels::Dropped).await;
        prometheus
            .wait_for(&["rate(http_requests_total[1m])"])
            .await;
        World {
            clients,
            api,
            prometheus,
            files: TempDir::new().unwrap(),
            serving: Authority::new("serving"),
            _exporter: exporter,
        }
    }

    /// A server with these arguments, ready. The rules stand in a file of this machine, and so do
    /// certificates; other paths, the port and Prometheus are said after the others, where the last
    /// one wins.
    async fn started(&self, args: &[&str], rules: &str) -> Adapter {
        let directory = self.files.path().to_str().unwrap();
        let Pair { certificate, key } = self.serving.server("tidegauge");
        std::fs::write(self.files.path().join("tls.crt"), certificate).unwrap();
        std::fs::write(self.files.path().join("tls.key"), key).unwrap();
        std::fs::write(self.files.path().join("config.yaml"), rules).unwrap();
        let here = |argument: &&str| match argument.starts_with("--config=") {
            true => format!("--config={directory}/config.yaml"),
            false => argument.replace("/var/run/serving-cert/tls", &format!("{directory}/tls")),
        };
        let here: Vec<String> = args.iter().map(here).collect();
        let here: Vec<&str> = here.iter().map(String::as_str).collect();
        let url = &self.prometheus.url;
        let with_certificate = here.iter().any(|it| it.starts_with("--tls-cert-file"));
        let started = match with_certificate {
            true => {
                let roots = self.serving.pem();
                Adapter::over_with_certificate(&self.api, rules, url, &here, &roots).await
            }
            false => Adapter::over(&self.api, rules, url, &here).await,
        };
        let mut adapter = started.unwrap_or_else(|refusal| panic!("{args:?}: {}", refusal.stderr));
        adapter.ready().await.unwrap();
        adapter
    }

    /// An administrator, by certificate.
    fn client(&self, adapter: &Adapter, args: &[&str]) -> reqwest::Client {
        let admin = self.clients.client("admin", &["system:masters"]);
        match args.iter().any(|it| it.starts_with("--tls-cert-file")) {
            true => crate::support::https_client(&self.serving.pem(), Some(&admin), true),
            false => adapter.caller(Some(&admin), true),
        }
    }

    /// Asks for everything that makes it ask the API server.
    async fn exercise(&self, adapter: &Adapter, args: &[&str]) {
        let client = self.client(adapter, args);
        let get = async |path: &str, headers: &[(&str, &str)]| {
            let url = format!("{}{path}", adapter.url);
            let answer = adapter::send(&client, Method::GET, &url, headers).await;
            answer.unwrap_or_else(|reason| panic!("{path}: {reason}\n{}", adapter.stderr()))
        };
        let custom = "/apis/custom.metrics.k8s.io/v1beta2";
        let listed = get(custom, &[]).await.body;
        let all = "labelSelector=app%3Dweb";
        for metric in METRICS {
            if listed.contains(&format!("\"pods/{metric}\"")) {
                for kind in ["pods", "services"] {
                    let path = format!("{custom}/namespaces/shop/{kind}/*/{metric}?{all}");
                    get(&path, &[]).await;
                }
                get(
                    &format!("{custom}/namespaces/*/metrics/{metric}?{all}"),
                    &[],
                )
                .await;
            }
        }
        for resources in ["nodes", "pods", "namespaces/shop/pods"] {
            get(&format!("/apis/metrics.k8s.io/v1beta1/{resources}"), &[]).await;
        }
        let somebody = crate::support::https_client(&self.roots(adapter, args), None, true);
        let (url, token) = (
            format!("{}{custom}", adapter.url),
            format!("Bearer {VALID_TOKEN}"),
        );
        let headers = [("Authorization", token.as_str())];
        let answer = adapter::send(&somebody, Method::GET, &url, &headers).await;
        assert_eq!(answer.unwrap().status, StatusCode::OK);
    }

    fn roots(&self, adapter: &Adapter, args: &[&str]) -> String {
        match args.iter().any(|it| it.starts_with("--tls-cert-file")) {
            true => self.serving.pem(),
            false => adapter.certificate(),
        }
    }

    /// What it has asked the API server, each thing once, when it has begun to watch.
    async fn wishes(&self, adapter: &Adapter) -> Vec<Wish> {
        let begun = async || {
            let wishes: Vec<Wish> = self.api.seen().iter().map(Wish::of).collect();
            watched(&wishes)
                .then_some(())
                .ok_or_else(|| format!("{wishes:?}\n{}", adapter.stderr()))
        };
        poll::until("pods are watched", Duration::from_secs(30), begun).await;
        let mut wishes = Vec::new();
        for call in self.api.take() {
            let wish = Wish::of(&call);
            if !wishes.contains(&wish) {
                wishes.push(wish);
            }
        }
        wishes
    }
}

fn all_are_allowed(name: &str, wishes: &[Wish], grants: &[Grant]) {
    for wish in wishes {
        let allowed = grants.iter().any(|grant| grant.allows(wish));
        assert!(allowed, "{name}: the roles do not allow {wish:?}");
    }
}

/// Whether pods are followed by a watch.
fn watched(wishes: &[Wish]) -> bool {
    let is_it = |verb: &str, resource: &str| verb == "watch" && resource == "pods";
    wishes
        .iter()
        .any(|it| matches!(it, Wish::Resource { verb, resource, .. } if is_it(verb, resource)))
}

/// Whether something was done with this resource: the test would prove nothing without.
fn touched(wishes: &[Wish], name: &str) -> bool {
    wishes
        .iter()
        .any(|it| matches!(it, Wish::Resource { resource, .. } if resource == name))
}

#[tokio::test]
async fn our_arguments_start_it_and_our_roles_allow_all_that_it_asks() {
    let world = World::new().await;
    let objects = Tree::new().overlay("fresh");
    let rules = text(&the_rules(&objects)["data"]["config.yaml"]);
    let mut args = arguments(the(&objects, "Deployment"));
    // In a pod the service account says it.
    args.push("--service-namespace=tidegauge");
    for api in of_kind(&objects, "APIService") {
        world
            .api
            .add_api_service(text(&api["metadata"]["name"]), api["spec"].clone());
    }
    let adapter = world.started(&args, rules).await;
    world.exercise(&adapter, &args).await;
    for api in of_kind(&objects, "APIService") {
        let name = text(&api["metadata"]["name"]);
        let trusted = async || match world.api.api_service(name)["caBundle"].as_str() {
            Some(_) => Ok(()),
            None => Err(adapter.stderr()),
        };
        poll::until(name, Duration::from_secs(30), trusted).await;
    }
    let wishes = world.wishes(&adapter).await;
    for resource in [
        "apiservices",
        "configmaps",
        "namespaces",
        "nodes",
        "pods",
        "services",
        "subjectaccessreviews",
        "tokenreviews",
    ] {
        assert!(touched(&wishes, resource), "{resource}: {wishes:?}");
    }
    let grants = rbac::grants(&objects, "tidegauge", "tidegauge");
    all_are_allowed("overlays/fresh", &wishes, &grants);
    let without_effect = adapter.stderr().contains("without effect");
    assert!(!without_effect, "{}", adapter.stderr());
}

#[tokio::test]
async fn arguments_of_prometheus_adapter_start_it_and_their_roles_allow_all_that_it_asks() {
    let world = World::new().await;
    for Replaced {
        name,
        args,
        rules,
        roles,
    } in replaced()
    {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let adapter = world.started(&args, &data(&rules)).await;
        world.exercise(&adapter, &args).await;
        let wishes = world.wishes(&adapter).await;
        assert!(touched(&wishes, "pods"), "{name}: {wishes:?}");
        let mut grants = rbac::standard();
        grants.extend(rbac::given(&roles, None));
        all_are_allowed(&name, &wishes, &grants);
    }
}

/// The overlay has the arguments of kube-prometheus, to the letter.
#[test]
fn in_kube_prometheus_the_arguments_stay_as_they_are() {
    let objects = Tree::new().overlay("replace-prometheus-adapter");
    let deployment = the(&objects, "Deployment");
    assert_eq!(
        objects.len(),
        1,
        "everything else stays as kube-prometheus applied it"
    );
    let replaced = replaced();
    let theirs = replaced
        .iter()
        .find(|it| it.name == "kube-prometheus")
        .unwrap();
    assert_eq!(arguments(deployment), theirs.args);
    // What its Service, ServiceAccount, NetworkPolicy and ConfigMap call each other.
    let labels = json!({
        "app.kubernetes.io/component": "metrics-adapter",
        "app.kubernetes.io/name": "prometheus-adapter",
        "app.kubernetes.io/part-of": "kube-prometheus",
    });
    assert_eq!(deployment["spec"]["selector"]["matchLabels"], labels);
    let metadata = &deployment["metadata"];
    assert_eq!(metadata["name"], "prometheus-adapter");
    assert_eq!(metadata["namespace"], "monitoring");
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!(pod["serviceAccountName"], "prometheus-adapter");
    let volumes = pod["volumes"].as_array().unwrap();
    let map = volumes.iter().find(|it| it["name"] == "config").unwrap();
    assert_eq!(map["configMap"]["name"], "adapter-config");
}

#[tokio::test]
async fn every_api_that_can_be_registered_is_served() {
    let world = World::new().await;
    let objects = Tree::new().base_and(&COMPONENTS);
    let rules = text(&the_rules(&objects)["data"]["config.yaml"]);
    let fresh = Tree::new().overlay("fresh");
    let mut args = arguments(the(&fresh, "Deployment"));
    args.push("--service-namespace=tidegauge");
    let adapter = world.started(&args, rules).await;
    let client = world.client(&adapter, &args);
    for api in of_kind(&objects, "APIService") {
        let (group, version) = (text(&api["spec"]["group"]), text(&api["spec"]["version"]));
        let url = format!("{}/apis/{group}/{version}", adapter.url);
        let answer = adapter::send(&client, Method::GET, &url, &[])
            .await
            .unwrap();
        assert_eq!(answer.status, StatusCode::OK, "{url}: {}", answer.body);
    }
}
