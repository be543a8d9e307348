//! The examples for places without Kubernetes: what their files say of each other, their rules over a
//! real Prometheus, and their commands with stubs of the tools that they run (`commands`).

mod commands;

use std::collections::BTreeSet;
use std::path::PathBuf;

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use serde_json::{Value, json};
use tempfile::TempDir;
use tidegauge::autoscale::{Settings, validate};

use super::command::run;
use super::render::manifests;
use super::{list, text};
use crate::support::adapter::Adapter;
use crate::support::prometheus::{Prometheus, history};

fn folder() -> PathBuf {
    manifests().join("swarm")
}

fn file(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap()
}

fn yaml(name: &str) -> Value {
    serde_saphyr::from_str(&file(name)).unwrap()
}

fn autoscalers() -> Vec<HorizontalPodAutoscaler> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(&file("hpa.yaml")).unwrap();
    let documents = documents.into_iter();
    documents
        .map(|it| serde_json::from_value(it).unwrap())
        .collect()
}

/// Two replicas with 15 and 45 requests a second, all within 0.1 s, that use 0.1 and 0.3 cores.
const RISING: &str = r#"
http_requests_total{service="shop",instance="a",method="GET",route="/",code="200"} 15
http_requests_total{service="shop",instance="b",method="GET",route="/",code="200"} 45
http_request_duration_seconds_bucket{service="shop",instance="a",method="GET",route="/",le="0.1"} 15
http_request_duration_seconds_bucket{service="shop",instance="a",method="GET",route="/",le="+Inf"} 15
http_request_duration_seconds_bucket{service="shop",instance="b",method="GET",route="/",le="0.1"} 45
http_request_duration_seconds_bucket{service="shop",instance="b",method="GET",route="/",le="+Inf"} 45
process_cpu_seconds_total{service="shop",instance="a"} 0.1
process_cpu_seconds_total{service="shop",instance="b"} 0.3
process_cpu_seconds_total{service="shop-worker",instance="c"} 0.9
"#;
const STILL: &str = r#"
shop_orders_waiting{service="shop",instance="a"} 24
shop_orders_waiting{service="shop",instance="b"} 25
"#;

/// The metrics server of the examples, over that.
struct Server {
    adapter: Adapter,
    _prometheus: Prometheus,
}

impl Server {
    async fn start() -> Server {
        let prometheus = Prometheus::holding(&history(RISING, STILL, r#"namespace="shop""#)).await;
        let (objects, rules) = (file("objects.yaml"), file("rules.yaml"));
        let adapter = Adapter::standalone(&objects, &rules, &prometheus.url, &[]).await;
        Server {
            adapter: adapter.unwrap_or_else(|refusal| panic!("{}", refusal.stderr)),
            _prometheus: prometheus,
        }
    }
}

#[tokio::test]
async fn the_metrics_of_the_service_are_what_one_computes_by_hand() {
    let server = Server::start().await;
    let custom = "custom.metrics.k8s.io/v1beta2/namespaces/shop/services/shop";
    for (path, expected) in [
        (format!("{custom}/http_requests_per_second"), "60"),
        (format!("{custom}/cpu_cores"), "400m"),
        (format!("{custom}/http_request_duration_seconds_p99"), "99m"),
        (
            "external.metrics.k8s.io/v1beta1/namespaces/shop/shop_orders_waiting".to_owned(),
            "25",
        ),
    ] {
        let answer = server.adapter.get(&format!("/apis/{path}")).await;
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(body["items"][0]["value"], expected, "{path}: {body}");
        assert_eq!(body["items"].as_array().map(Vec::len), Some(1), "{body}");
    }
}

#[test]
fn the_autoscalers_are_valid_and_of_metrics_that_the_rules_make() {
    let zero = Settings {
        scale_to_zero: true,
        ..Settings::default()
    };
    let rules = yaml("rules.yaml");
    let made = |kind: &str| -> BTreeSet<String> {
        let rules = list(&rules[kind]).iter();
        rules
            .map(|rule| text(&rule["name"]["as"]).to_owned())
            .collect()
    };
    let (custom, external) = (made("rules"), made("externalRules"));
    let (mut asked_custom, mut asked_external) = (BTreeSet::new(), BTreeSet::new());
    for hpa in autoscalers() {
        assert_eq!(validate(&hpa, &zero), [""; 0]);
        for metric in hpa.spec.metrics.unwrap() {
            asked_custom.extend(metric.object.map(|it| it.metric.name));
            asked_external.extend(metric.external.map(|it| it.metric.name));
            assert!(
                metric.pods.is_none() && metric.resource.is_none(),
                "nobody knows pods"
            );
        }
    }
    assert_eq!((asked_custom, asked_external), (custom, external));
}

/// The ports that a unit's replicas take, by their numbers.
fn ports(unit: &str, replicas: i32) -> Vec<String> {
    let text = file(&format!("systemd/{unit}@.service"));
    let address = text
        .lines()
        .find_map(|line| line.strip_prefix("Environment=ADMIN_ADDRESS="));
    let address = |number: i32| address.unwrap().replace("%i", &number.to_string());
    (1..=replicas).map(address).collect()
}

#[test]
fn prometheus_on_the_machine_looks_at_every_replica_that_there_may_be() {
    let configuration = yaml("systemd/prometheus.yaml");
    for hpa in autoscalers() {
        let name = hpa.metadata.name.unwrap();
        let jobs = list(&configuration["scrape_configs"]);
        let job = jobs.iter().find(|it| it["job_name"] == *name).unwrap();
        let scraped = &job["static_configs"][0];
        assert_eq!(
            scraped["labels"],
            json!({"namespace": "shop", "service": name})
        );
        let targets: Vec<&str> = list(&scraped["targets"]).iter().map(text).collect();
        assert_eq!(targets, ports(&name, hpa.spec.max_replicas));
    }
}

/// What is only started is gone after a reboot, and no autoscaler starts what is at zero.
#[test]
fn a_reboot_starts_as_many_units_as_there_must_be() {
    let readme = file("README.md");
    let enabled = readme
        .lines()
        .find_map(|line| line.strip_prefix("# systemctl enable --now "));
    let enabled: Vec<&str> = enabled.unwrap().split(' ').collect();
    for unit in &enabled {
        let template = unit.trim_end_matches(|it: char| it.is_ascii_digit());
        let text = file(&format!("systemd/{template}.service"));
        let wanted = text.split("\n[Install]\n").nth(1);
        assert_eq!(wanted, Some("WantedBy=multi-user.target\n"), "{unit}");
    }
    for hpa in autoscalers() {
        let unit = format!("{}@", hpa.spec.scale_target_ref.name);
        let there = enabled.iter().filter(|it| it.starts_with(&unit)).count();
        let least = hpa.spec.min_replicas.unwrap().max(1);
        assert_eq!(there, usize::try_from(least).unwrap(), "{unit}");
        // Given up by systemd, they would be gone as well.
        let text = file(&format!("systemd/{unit}.service"));
        assert!(text.contains("\nStartLimitIntervalSec=0\n"), "{unit}");
        assert!(text.contains("\nRestartSec="), "{unit}");
    }
    assert!(enabled.contains(&"tidegauge"));
}

#[test]
fn promtool_takes_the_scrape_configurations() {
    for name in ["prometheus.yaml", "systemd/prometheus.yaml"] {
        run(&folder(), "promtool", &["check", "config", name]);
    }
}

#[test]
fn the_stack_has_a_service_for_each_autoscaler_and_every_file_that_it_names() {
    let stack = yaml("stack.yaml");
    let services = stack["services"].as_object().unwrap();
    for hpa in autoscalers() {
        let service = &services[&hpa.spec.scale_target_ref.name];
        let replicas = service["deploy"]["replicas"].as_i64().unwrap();
        let bounds = hpa.spec.min_replicas.unwrap()..=hpa.spec.max_replicas;
        assert!(bounds.contains(&i32::try_from(replicas).unwrap()));
        // The target alone: where nothing runs, scaling is off until somebody starts one.
        assert!(replicas > 0);
    }
    let configs = stack["configs"].as_object().unwrap();
    for config in configs.values() {
        assert!(folder().join(text(&config["file"])).exists(), "{config}");
    }
    for (name, service) in services {
        for config in service["configs"].as_array().into_iter().flatten() {
            assert!(
                configs.contains_key(text(&config["source"])),
                "{name}: {config}"
            );
        }
        let networks = service["networks"].as_array().into_iter().flatten();
        let networks: Vec<&str> = networks.map(text).collect();
        assert_eq!(networks, ["shop"], "{name}");
        let secret = service["environment"].to_string();
        assert!(
            !secret.contains("PASSWORD\":\"") || secret.contains("${"),
            "{name}: {secret}"
        );
    }
    // Only one has the socket, there is one of it, and it is where the socket is a manager's.
    let with_socket: Vec<&String> = services
        .iter()
        .filter(|(_, service)| service["volumes"].to_string().contains("docker.sock"))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(with_socket, ["autoscaler"]);
    let deploy = &services["autoscaler"]["deploy"];
    assert_eq!(deploy["replicas"], 1);
    assert_eq!(
        deploy["placement"]["constraints"],
        json!(["node.role == manager"])
    );
    assert_eq!(deploy["update_config"]["order"], "stop-first");
    // Prometheus finds the services by their names.
    let configuration = yaml("prometheus.yaml");
    for job in list(&configuration["scrape_configs"]) {
        let name = text(&job["dns_sd_configs"][0]["names"][0]);
        assert!(
            services.contains_key(name.strip_prefix("tasks.").unwrap()),
            "{name}"
        );
    }
}

#[test]
fn the_task_may_do_what_its_command_does_and_no_more() {
    let policy: Value = serde_json::from_str(&file("ecs-policy.json")).unwrap();
    let allowed: BTreeSet<&str> = list(&policy["Statement"][0]["Action"])
        .iter()
        .map(text)
        .collect();
    let word = regex::Regex::new(r"aws ecs ([a-z-]+)").unwrap();
    let script = file("ecs.sh");
    let done = word.captures_iter(&script).map(|found| {
        let words = found[1]
            .split('-')
            .map(|it| it[..1].to_uppercase() + &it[1..]);
        format!("ecs:{}", words.collect::<String>())
    });
    let done: BTreeSet<String> = done.collect();
    assert_eq!(allowed, done.iter().map(String::as_str).collect());
    let services: Vec<&str> = list(&policy["Statement"][0]["Resource"])
        .iter()
        .map(|it| text(it).rsplit('/').next().unwrap())
        .collect();
    let targets: Vec<String> = autoscalers()
        .into_iter()
        .map(|it| it.spec.scale_target_ref.name)
        .collect();
    assert_eq!(services, targets);
    let task: Value = serde_json::from_str(&file("ecs-task.json")).unwrap();
    let container = &task["containerDefinitions"][0];
    assert_eq!(container["command"][0], "ecs.sh");
    assert_eq!(container["essential"], true);
}

#[test]
fn what_the_task_names_is_made_by_the_commands_of_readme() {
    let task: Value = serde_json::from_str(&file("ecs-task.json")).unwrap();
    let container = &task["containerDefinitions"][0];
    let role = |key: &str| text(&task[key]).rsplit('/').next().unwrap();
    let log = &container["logConfiguration"]["options"]["awslogs-group"];
    let readme = file("README.md").replace("\\\n    ", "");
    for command in [
        format!("export IMAGE={}", text(&container["image"])),
        "docker build --target aws --tag \"$IMAGE\" manifests/swarm".to_owned(),
        "docker push \"$IMAGE\"".to_owned(),
        format!("aws logs create-log-group --log-group-name {}", text(log)),
        format!("aws iam create-role --role-name {}", role("taskRoleArn")),
        format!(
            "aws iam put-role-policy --role-name {}",
            role("taskRoleArn")
        ),
        format!(
            "aws iam create-role --role-name {}",
            role("executionRoleArn")
        ),
        format!(
            "aws iam attach-role-policy --role-name {}",
            role("executionRoleArn")
        ),
    ] {
        assert!(readme.contains(&format!("$ {command}")), "{command}");
    }
    let paths = regex::Regex::new(r"file://(\S+)").unwrap();
    for found in paths.captures_iter(&readme) {
        let path = manifests().join("..").join(&found[1]);
        let parsed: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert!(parsed.is_object(), "{}", &found[1]);
    }
    let trust: Value = serde_json::from_str(&file("ecs-trust.json")).unwrap();
    let who = &trust["Statement"][0]["Principal"]["Service"];
    assert_eq!(who, "ecs-tasks.amazonaws.com");
}

#[test]
fn the_image_has_every_script_and_readme_names_every_file() {
    let dockerfile = file("Dockerfile");
    let readme = file("README.md");
    let entries = std::fs::read_dir(folder()).unwrap();
    for name in entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()) {
        if name.ends_with(".sh") {
            assert!(dockerfile.contains(&name), "{name}");
            let all = [
                &dockerfile,
                &readme,
                &file("stack.yaml"),
                &file("ecs-task.json"),
            ];
            assert!(all.iter().any(|it| it.contains(&name)), "{name}");
        }
        let is_obvious = ["README.md", "Dockerfile", "systemd"].contains(&name.as_str());
        assert!(
            is_obvious || readme.contains(&format!("`{name}`")),
            "{name}"
        );
    }
    let tag = format!("tidegauge:{}", env!("CARGO_PKG_VERSION"));
    assert!(dockerfile.contains(&tag), "{tag}");
}

/// Either of the two is started, and neither outlives the other.
#[test]
fn server_and_command_end_together() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().to_str().unwrap();
    for (server, command, both) in [
        ("exec sleep 600", "exit 3", true),
        ("exit 3", "exec sleep 600", true),
    ] {
        for (name, script) in [("tidegauge", server), ("command", command)] {
            let text = format!("#!/bin/sh\necho $$ > {path}/{name}.pid\n{script}\n");
            commands::tool(directory.path(), name, &text);
        }
        let script = folder().join("with-server.sh");
        let line = format!(
            "PATH={path}:$PATH PROMETHEUS_URL=http://127.0.0.1:1 {} command; \
             for it in tidegauge command; do kill -0 $(cat {path}/$it.pid) 2>&1 || echo gone; done",
            script.display()
        );
        let printed = run(directory.path(), "sh", &["-uc", &line]);
        assert_eq!(printed.matches("gone").count() == 2, both, "{printed}");
    }
}
