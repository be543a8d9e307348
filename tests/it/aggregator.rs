//! The server behind the aggregator, as in a cluster: the real process, the front proxy's certificate
//! and headers, one HTTP/2 connection for everybody.
//!
//! `controller` is the HPA controller's loop; `proxied` says what a request looks like when it arrives
//! and what becomes of the answer; `documents` what the cluster learns of our API, and when it takes us
//! for gone; `trace` replays what a real control plane sent.

mod controller;
mod documents;
mod escaped;
mod proxied;
mod trace;

use crate::support::adapter::Adapter;
use crate::support::aggregator::{Aggregator, Target, User};
use crate::support::apiserver::ApiServer;
use crate::support::exporter::{self, Exporter};
use crate::support::pki::Authority;
use crate::support::prometheus::{Prometheus, TargetLabels};
use crate::support::tap::{Behaviour, Tap};
use serde_json::{Value, json};

/// Listed without asking Prometheus anything.
const RULES: &str = r#"
rules:
- seriesQuery: 'queue_depth{namespace!="",pod!=""}'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)
externalRules:
- seriesQuery: 'lag{namespace!=""}'
  metricsQuery: sum(<<.Series>>{<<.LabelMatchers>>})
resourceRules:
  cpu: &resource
    containerQuery: sum(usage{<<.LabelMatchers>>}) by (<<.GroupBy>>)
    nodeQuery: sum(usage{<<.LabelMatchers>>}) by (<<.GroupBy>>)
    resources: {overrides: {node: {resource: node}, namespace: {resource: namespace},
                            pod: {resource: pod}}}
    containerLabel: container
  memory: *resource
"#;

/// The name that the aggregator knows the server by.
pub const SERVICE: &str = "tidegauge.monitoring.svc";
/// The API services of an installation with everything.
pub const REGISTERED: [&str; 5] = [
    "custom.metrics.k8s.io/v1beta2",
    "custom.metrics.k8s.io/v1beta1",
    "external.metrics.k8s.io/v1beta1",
    "metrics.k8s.io/v1beta1",
    "metrics.k8s.io/v1",
];

/// A cluster with the server in it.
pub struct Cluster {
    /// Answers the server.
    pub api: ApiServer,
    /// The server.
    pub adapter: Adapter,
    /// Before it.
    pub aggregator: Aggregator,
}

impl Cluster {
    /// A server that is ready, over these rules and this Prometheus, behind an aggregator.
    pub async fn start(
        rules: &str,
        prometheus_url: &str,
        flags: &[&str],
        registered: &[&str],
    ) -> Cluster {
        let (clients, proxies) = (
            Authority::new("kubernetes"),
            Authority::new("front-proxy-ca"),
        );
        let api = ApiServer::start(&clients, &proxies).await;
        let serving = Authority::new("serving");
        let pair = serving.service(SERVICE);
        let directory = tempfile::TempDir::new().unwrap();
        let path = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let certificate = format!("--tls-cert-file={}", path("tls.crt", &pair.certificate));
        let key = format!("--tls-private-key-file={}", path("tls.key", &pair.key));
        let flags = [flags, &[certificate.as_str(), key.as_str()]].concat();
        let roots = serving.pem();
        let mut adapter =
            Adapter::over_with_certificate(&api, rules, prometheus_url, &flags, &roots)
                .await
                .unwrap();
        adapter.ready().await.unwrap();
        let address = adapter.url.trim_start_matches("https://");
        let target = Target {
            address: address.parse().unwrap(),
            roots,
            name: SERVICE,
            proxy: proxies.client("front-proxy-client", &[]),
        };
        let aggregator = Aggregator::start(&api, target, registered).await;
        Cluster {
            api,
            adapter,
            aggregator,
        }
    }

    /// Asks the API server as this user.
    pub async fn ask(
        &self,
        user: &User,
        path: &str,
        headers: &[(&str, &str)],
    ) -> crate::support::adapter::Answer {
        let client = self.aggregator.client();
        let token = format!("Bearer {}", user.token());
        let headers = [headers, &[("Authorization", token.as_str())]].concat();
        let url = format!("{}{path}", self.aggregator.url());
        let answer = crate::support::adapter::send(&client, hyper::Method::GET, &url, &headers);
        answer.await.unwrap_or_else(|reason| {
            panic!("{path}: {reason}\nit said:\n{}", self.adapter.stderr())
        })
    }
}

/// A Prometheus that answers every query with two pods.
async fn two_pods() -> Tap {
    let tap = Tap::start("http://127.0.0.1:1").await;
    let row = |pod: &str, value: &str| {
        let labels = json!({"namespace": "shop", "pod": pod});
        json!({"metric": labels, "value": [1_700_000_000, value]})
    };
    let rows = [row("web-a", "10"), row("web-b", "20")];
    let body = json!({"status": "success", "data": {"resultType": "vector", "result": rows}});
    tap.behave(Behaviour::Answer {
        status: 200,
        content_type: "application/json",
        body: body.to_string(),
    });
    tap
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// What the recordings were made over: a real Prometheus that scrapes their series.
pub struct Recorded {
    /// Rules for them, as recorded.
    pub rules: &'static str,
    /// The server.
    pub prometheus: Prometheus,
    _exporter: Exporter,
}

impl Recorded {
    /// Starts both, and waits until what takes two scrapes is there.
    pub async fn start() -> Recorded {
        const SERIES: &str = include_str!("../data/recorded/series.prom");
        let exporter = Exporter::start(|elapsed| exporter::recorded(SERIES, elapsed)).await;
        let prometheus = Prometheus::start(&[exporter.address], TargetLabels::Dropped).await;
        prometheus
            .wait_for(&["queue_depth", "rate(http_requests_total[1m])"])
            .await;
        Recorded {
            rules: include_str!("../data/recorded/rules.yaml"),
            prometheus,
            _exporter: exporter,
        }
    }
}
