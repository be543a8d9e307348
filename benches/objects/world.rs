//! A cluster of 50,000 pods in the fake API server, and a Prometheus that always says the same.

use serde_json::json;

use super::support::apiserver::ApiServer;
use super::support::pki::{Authority, Pair};
use super::support::tap::{Behaviour, Tap};

/// How much there is.
#[derive(Clone, Copy)]
pub struct Size {
    pub namespaces: usize,
    /// In each namespace.
    pub workloads: usize,
    /// Of each workload.
    pub pods: usize,
}

/// What the pods' labels have in common.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Labels {
    /// Of every five workloads one is a StatefulSet, whose pods have two labels of their own.
    Usual,
    /// Each pod of each workload has two labels that no other has: no set of labels is shared.
    Own,
}

/// Everything but the adapter.
pub struct World {
    pub size: Size,
    pub api: ApiServer,
    pub prometheus: Tap,
    clients: Authority,
}

impl Size {
    pub const FULL: Size = Size {
        namespaces: 500,
        workloads: 10,
        pods: 10,
    };
    pub const SMALL: Size = Size {
        namespaces: 20,
        workloads: 10,
        pods: 10,
    };

    /// Pods of the whole cluster.
    pub fn all(&self) -> usize {
        self.namespaces * self.workloads * self.pods
    }
}

impl World {
    /// Starts the servers and fills the cluster.
    pub async fn start(size: Size, labels: Labels) -> World {
        let clients = Authority::new("kubernetes");
        let api = ApiServer::start(&clients, &Authority::new("front-proxy-ca")).await;
        for namespace in 0..size.namespaces {
            for workload in 0..size.workloads {
                for pod in 0..size.pods {
                    put(&api, labels, [namespace, workload, pod]);
                }
            }
        }
        api.compact();
        let prometheus = Tap::start("http://127.0.0.1:1").await;
        let metric = json!({"namespace": "team-0", "pod": "svc-0", "container": "main"});
        let rows = [json!({"metric": metric, "value": [1_700_000_000, "1"]})];
        let body = json!({"status": "success", "data": {"resultType": "vector", "result": rows}});
        prometheus.behave(Behaviour::Answer {
            status: 200,
            content_type: "application/json",
            body: body.to_string(),
        });
        World {
            size,
            api,
            prometheus,
            clients,
        }
    }

    /// Who may ask for everything.
    pub fn admin(&self) -> Pair {
        self.clients.client("admin", &["system:masters"])
    }
}

/// One pod as a controller makes it, with eight labels.
fn put(api: &ApiServer, labels: Labels, [namespace, workload, pod]: [usize; 3]) {
    let hash = format!(
        "{:010x}",
        (namespace * 7919 + workload * 104_729) % 0xff_ffff_ffff
    );
    let (name, number) = (format!("svc-{workload}"), pod.to_string());
    let stateful = labels == Labels::Own || workload % 5 == 0;
    let pod = match stateful {
        true => format!("{name}-{namespace}-{number}"),
        false => format!("{name}-{hash}-{:05x}", namespace * 31 + pod * 4099 + 65_536),
    };
    let (instance, version) = (
        format!("{name}-team-{namespace}"),
        format!("1.{workload}.3"),
    );
    let (team, own) = (format!("team-{namespace}"), format!("{pod}-{hash}"));
    let common = [
        ("app.kubernetes.io/name", name.as_str()),
        ("app.kubernetes.io/instance", instance.as_str()),
        ("app.kubernetes.io/version", version.as_str()),
        ("app.kubernetes.io/managed-by", "Helm"),
        ("app.kubernetes.io/part-of", "shop"),
        ("team", team.as_str()),
    ];
    let rest = match stateful {
        true => [
            ("statefulset.kubernetes.io/pod-name", pod.as_str()),
            (
                "controller-revision-hash",
                if labels == Labels::Own {
                    own.as_str()
                } else {
                    hash.as_str()
                },
            ),
        ],
        false => [
            ("pod-template-hash", hash.as_str()),
            ("app.kubernetes.io/component", "server"),
        ],
    };
    let all: Vec<(&str, &str)> = common.into_iter().chain(rest).collect();
    api.put_pod(&format!("team-{namespace}"), &pod, &all);
}
