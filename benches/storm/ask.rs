//! What the autoscalers ask, as kube-aggregator was recorded to hand it on.

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use serde_json::Value;

use super::population::{Pod, Size};

/// What a cluster's control plane was recorded to send.
const TRACE: &str = include_str!("../../tests/data/recorded/hpa-trace.jsonl");

/// What one autoscaler asks.
#[derive(Clone)]
pub struct Ask {
    /// Path and query as on the wire.
    pub target: String,
    /// All headers.
    pub headers: HeaderMap,
    /// Which metric it is.
    pub metric: &'static str,
    /// The pods it is about.
    pub pods: Vec<Pod>,
}

/// One for each autoscaler, of these metrics in turn.
pub fn all(size: Size, metrics: &[&'static str]) -> Vec<Ask> {
    let recorded = recorded();
    let pods: Vec<Pod> = size.pods_of(0..size.namespaces).collect();
    let apps = pods.chunks(size.pods).enumerate();
    let asks = apps.map(|(number, pods)| {
        let metric = metrics[number % metrics.len()];
        let (namespace, app) = (pods[0].namespace(), pods[0].app());
        let path =
            format!("/apis/custom.metrics.k8s.io/v1beta2/namespaces/{namespace}/pods/%2A/{metric}");
        let mut headers = recorded.clone();
        headers.insert("x-forwarded-uri", path.parse().unwrap());
        Ask {
            target: format!("{path}?labelSelector=app%3D{app}"),
            headers,
            metric,
            pods: pods.to_vec(),
        }
    });
    asks.collect()
}

/// As kube-aggregator asks for itself.
pub fn of_aggregator() -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("accept", "application/json"),
        ("user-agent", "Go-http-client/2.0"),
        ("x-remote-user", "system:kube-aggregator"),
        ("x-remote-group", "system:masters"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
}

/// The headers of a recorded ask for pods by their labels.
fn recorded() -> HeaderMap {
    let mut lines = TRACE
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let is_it = |line: &Value| {
        let path = line["path"].as_str().unwrap_or_default();
        path.contains("/pods/%2A/") && path.contains("?labelSelector=")
    };
    let line = lines.find(is_it).expect("an ask for pods must be recorded");
    let headers = line["headers"].as_object().unwrap().iter();
    let headers = headers.filter(|(name, _)| *name != "Host");
    let headers = headers.map(|(name, value)| {
        let name: HeaderName = name.parse().unwrap();
        (name, value.as_str().unwrap().parse().unwrap())
    });
    headers.collect()
}
