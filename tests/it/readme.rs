//! The commands of README.md: each is run here, or says that it needs what a test has not.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use tempfile::TempDir;

use crate::support::poll;
use crate::support::process::Process;
use crate::support::prometheus::{Prometheus, history};

/// Where a part begins whose text says that its commands need a cluster, and where it ends.
const IN_A_CLUSTER: [(&str, &str); 2] = [
    ("## Install\n", "## The example\n"),
    ("## Moving from prometheus-adapter\n", "## Rules\n"),
];

/// What a comment says of a command that is not run.
const NOT_HERE: [&str; 3] = ["cluster", "docker", "internet"];

/// Run by whoever runs this test, by `tests/example`, or by hand.
const ELSEWHERE: [&str; 3] = [
    "make demo",
    "make test",
    "cargo run --release --features example --bin example-service",
];

const RULES: &str = "
rules:
- seriesQuery: 'queue_depth{namespace!=\"\",pod!=\"\"}'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)'
";
const OBJECTS: &str = "
apiVersion: v1
kind: Pod
metadata: {name: shop-1, namespace: shop, labels: {app: shop}}
";
const HPA: &str = "
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: shop, namespace: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: shop}
  minReplicas: 1
  maxReplicas: 10
  metrics:
  - type: Pods
    pods: {metric: {name: queue_depth}, target: {type: AverageValue, averageValue: '10'}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, namespace: shop}
spec:
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec: {containers: [{name: shop, image: shop}]}
";

/// Stands for Docker: one replica, and what is wanted goes to a file.
const DOCKER: &str = "#!/bin/sh\n[ \"$2\" = inspect ] && echo 1 || echo \"$@\" > scaled\n";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn readme() -> String {
    std::fs::read_to_string(root().join("README.md")).unwrap()
}

/// The commands of a text, each on one line.
fn commands(text: &str) -> Vec<String> {
    let blocks = text.split("```console\n").skip(1);
    let blocks = blocks.map(|block| block.split("```").next().unwrap());
    let lines = blocks.flat_map(|block| {
        let block = block.replace("\\\n", " ");
        let lines = block.lines().map(str::to_owned);
        lines.collect::<Vec<_>>()
    });
    let commands = lines.filter_map(|line| line.strip_prefix("$ ").map(str::to_owned));
    commands.collect()
}

/// A command and what stands behind it.
fn parts(command: &str) -> (&str, &str) {
    let (command, comment) = command.split_once("   #").unwrap_or((command, ""));
    (command.trim(), comment)
}

/// Those that can be run here, in order.
fn here() -> Vec<String> {
    let mut text = readme();
    for (from, to) in IN_A_CLUSTER {
        let (before, rest) = text.split_once(from).unwrap();
        let (_, after) = rest.split_once(to).unwrap();
        text = format!("{before}{to}{after}");
    }
    let commands = commands(&text).into_iter().filter(|command| {
        let (command, comment) = parts(command);
        let is_elsewhere = ELSEWHERE.iter().any(|it| command.starts_with(it));
        !is_elsewhere && !NOT_HERE.iter().any(|it| comment.contains(it))
    });
    commands.map(|it| parts(&it).0.to_owned()).collect()
}

/// A command as a person gives it, in this directory, whose `bin` comes first.
fn command_of(directory: &Path, command: &str) -> Command {
    let mut shell = Command::new("sh");
    let command = format!("PATH=\"$PWD/bin:$PATH\"; {command}");
    shell.args(["-c", &command]).current_dir(directory);
    shell
}

/// Runs it to its end.
fn shell(directory: &Path, command: &str) -> Output {
    let output = command_of(directory, command).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {told}");
    output
}

/// A place with the files that README tells to make, and the checkout's manifests.
fn place() -> TempDir {
    let place = TempDir::new().unwrap();
    let write = |name: &str, text: &str| {
        let path: PathBuf = place.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    for (name, text) in [
        ("rules.yaml", RULES),
        ("objects.yaml", OBJECTS),
        ("hpa.yaml", HPA),
        ("bin/docker", DOCKER),
    ] {
        write(name, text);
    }
    write("tidegauge/README.md", "");
    let manifests = root().join("manifests");
    shell(
        place.path(),
        &format!(
            "chmod +x bin/docker && cp -r '{0}' tidegauge/ && cp -r '{0}' . && ln -s '{1}' bin/tidegauge",
            manifests.display(),
            env!("CARGO_BIN_EXE_tidegauge")
        ),
    );
    place
}

#[test]
fn each_command_is_run_here_or_says_what_it_needs() {
    let kinds = [
        "cargo run --release -- --config=rules.yaml",
        "kubectl --server=http://127.0.0.1:6443 get --raw",
        "kubectl kustomize ",
        "cp tidegauge/manifests/",
        "for name in REDIS_PASSWORD",
        "tidegauge autoscale ",
    ];
    for command in here() {
        let is_run = kinds.iter().any(|kind| command.starts_with(kind));
        assert!(
            is_run,
            "README.md: nothing runs `{command}`: run it in tests/it/readme.rs"
        );
    }
}

#[tokio::test]
async fn what_needs_no_cluster_does_what_it_says() {
    let series = "queue_depth{pod=\"shop-1\"} 25\n";
    let prometheus = Prometheus::holding(&history("", series, "namespace=\"shop\"")).await;
    let place = place();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port().to_string();
    drop(free);
    let mut adapter = None;
    for command in here() {
        let command = command
            .replace("cargo run --release --", "exec tidegauge")
            .replace("http://localhost:9090", &prometheus.url)
            .replace("6443", &port);
        if command.starts_with("exec tidegauge") {
            let shell = command_of(place.path(), &command);
            let log = place.path().join("adapter");
            adapter = Some(Process::start(shell, &log).unwrap());
            let list = format!("http://127.0.0.1:{port}/apis/custom.metrics.k8s.io/v1beta2");
            poll::until(
                "the metric is listed",
                Duration::from_secs(30),
                async || {
                    let answer = reqwest::get(&list).await.map_err(|it| it.to_string())?;
                    let text = answer.text().await.map_err(|it| it.to_string())?;
                    match text.contains("pods/queue_depth") {
                        true => Ok(()),
                        false => Err(text),
                    }
                },
            )
            .await;
            continue;
        }
        let command = match command.starts_with("tidegauge autoscale") {
            true => format!("{command} --once"),
            false => command,
        };
        let output = shell(place.path(), &command);
        let told = String::from_utf8_lossy(&output.stdout);
        if command.contains("--raw") {
            assert!(told.contains("queue_depth"), "{command}: {told}");
        }
        if command.contains("kustomize") {
            assert!(told.contains("\nkind: "), "{command}: {told}");
        }
    }
    assert!(adapter.is_some(), "the adapter must have been started");
    let scaled = std::fs::read_to_string(place.path().join("scaled")).unwrap();
    assert_eq!(
        scaled.trim(),
        "service scale --detach shop=3",
        "25 for 10 each"
    );
}
