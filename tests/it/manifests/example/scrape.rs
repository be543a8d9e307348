//! How a Prometheus without the Operator finds the shop.
//!
//! Debian's Prometheus is built without Kubernetes' service discovery. So VictoriaMetrics reads those
//! parts, and Prometheus gets targets with the labels that the discovery would give them.

use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::super::command::run;
use super::super::render::example;
use super::super::{container, list, of_kind, text};
use super::file;
use crate::support::exporter::Exporter;
use crate::support::pki::Authority;
use crate::support::poll;
use crate::support::prometheus::Prometheus;

/// The configuration with targets in the place of Kubernetes' discovery.
fn with_targets(targets: impl Fn(&Value) -> Value) -> String {
    let mut configuration = super::yaml("monitoring/prometheus.yaml");
    for job in configuration["scrape_configs"].as_array_mut().unwrap() {
        let found = targets(job);
        let job = job.as_object_mut().unwrap();
        job.remove("kubernetes_sd_configs");
        job.insert("static_configs".to_owned(), json!([found]));
    }
    configuration.to_string()
}

#[test]
fn the_configuration_is_one_that_prometheus_and_victoriametrics_read() {
    let directory = TempDir::new().unwrap();
    let write = |name: &str, text: &str| {
        std::fs::write(directory.path().join(name), text).unwrap();
    };
    write(
        "prometheus.json",
        &with_targets(|_| json!({"targets": ["127.0.0.1:1"]})),
    );
    let check = ["check", "config", "--syntax-only", "prometheus.json"];
    run(directory.path(), "promtool", &check);
    // Rules and alerts are not VictoriaMetrics' to read.
    let whole = file("monitoring/prometheus.yaml");
    let (_, jobs) = whole.split_once("scrape_configs:").unwrap();
    // It reads the authority at once.
    write("ca.crt", &Authority::new("tidegauge-ca").pem());
    let jobs = jobs.replace("/etc/prometheus/tidegauge/", "");
    write("scrape.yaml", &format!("scrape_configs:{jobs}"));
    let check = [
        "-promscrape.config=scrape.yaml",
        "-dryRun",
        "-loggerLevel=ERROR",
    ];
    run(directory.path(), "victoria-metrics", &check);
    let configuration = super::yaml("monitoring/prometheus.yaml");
    for job in list(&configuration["scrape_configs"]) {
        for discovery in job["kubernetes_sd_configs"]
            .as_array()
            .into_iter()
            .flatten()
        {
            assert!(
                ["endpointslice", "pod"].contains(&text(&discovery["role"])),
                "{job}"
            );
        }
    }
}

/// Annotations as the discovery names them.
fn annotations(of: &str, object: &Value) -> serde_json::Map<String, Value> {
    let annotations = object["annotations"].as_object().unwrap().iter();
    let name = |key: &str| key.replace(['.', '/', '-'], "_");
    annotations
        .map(|(key, value)| {
            (
                format!("__meta_kubernetes_{of}_annotation_{}", name(key)),
                value.clone(),
            )
        })
        .collect()
}

/// Annotations of this object, for a target that listens elsewhere than a pod would.
fn target(of: &str, object: &Value, port: u16, labels: Value) -> Value {
    let mut all = annotations(of, object);
    let annotated = format!("__meta_kubernetes_{of}_annotation_prometheus_io_port");
    assert_eq!(all[&annotated], "9090", "the port admin");
    all.insert(annotated, json!(port.to_string()));
    for (name, value) in labels.as_object().unwrap() {
        all.insert(format!("__meta_kubernetes_{name}"), value.clone());
    }
    // Both ports of the Service, as the discovery has a target for each.
    json!({"targets": ["127.0.0.1:8080", "127.0.0.1:9090"], "labels": all})
}

#[tokio::test]
async fn what_is_annotated_is_scraped_once_and_has_the_labels_that_rules_expect() {
    let objects = example().1;
    let named = |kind: &str, name: &str| {
        let mut all = of_kind(&objects, kind).into_iter();
        all.find(|it| it["metadata"]["name"] == name).unwrap()
    };
    let exporter = Exporter::start(|_| "shop_orders_waiting 3\n".to_owned()).await;
    let port = exporter.address.port();
    let service = &named("Service", "shop")["metadata"];
    let worker = named("Deployment", "shop-worker");
    let template = &worker["spec"]["template"]["metadata"];
    let configuration = with_targets(|job| match text(&job["job_name"]) {
        "services" => {
            let labels = json!({"namespace": "shop", "service_name": "shop", "pod_name": "shop-a",
                "pod_container_name": "shop", "pod_node_name": "node-1"});
            target("service", service, port, labels)
        }
        "pods" => {
            let labels = json!({"namespace": "shop", "pod_name": "shop-worker-a", "pod_phase": "Running",
                "pod_container_name": container(worker)["name"], "pod_node_name": "node-1"});
            target("pod", template, port, labels)
        }
        _ => json!({"targets": []}),
    });
    let configuration = configuration.replace("\"15s\"", "\"1s\"");
    let configuration = configuration.replace("[\"alerts.yaml\"]", "[]");
    let prometheus = Prometheus::configured(&configuration).await;
    let expected = [
        json!({"__name__": "shop_orders_waiting", "container": "shop", "job": "pods",
            "namespace": "shop", "node": "node-1", "pod": "shop-worker-a"}),
        json!({"__name__": "shop_orders_waiting", "container": "shop", "job": "shop",
            "namespace": "shop", "node": "node-1", "pod": "shop-a", "service": "shop"}),
    ];
    let scraped = async || {
        let mut samples = prometheus.query("sort(shop_orders_waiting)").await?;
        for sample in &mut samples {
            let instance = sample["metric"]["instance"].take();
            assert_eq!(instance, format!("127.0.0.1:{port}"));
            sample["metric"].as_object_mut().unwrap().remove("instance");
        }
        let mut found: Vec<Value> = samples.iter().map(|it| it["metric"].clone()).collect();
        found.sort_by_key(|it| it["job"].to_string());
        match found == expected {
            true => Ok(()),
            false => Err(format!("{found:?}")),
        }
    };
    poll::until("both are scraped", Duration::from_secs(30), scraped).await;
}
