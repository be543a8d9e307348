//! `tidegauge explain` as a user runs it.

use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::table::{OBJECTS, RULES, Worlds};
use crate::support::apiserver::ApiServer;
use crate::support::autoscaler::folder;
use crate::support::pki::Authority;

/// How it ended, and what it said.
pub(super) struct Said {
    pub(super) code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Said {
    pub(super) fn whole(&self) -> String {
        let Said {
            code,
            stdout,
            stderr,
        } = self;
        format!("{code:?}\n{stdout}\n{stderr}")
    }
}

pub(super) async fn run(directory: &TempDir, arguments: &[&str]) -> Said {
    fed(directory, arguments, "").await
}

/// The same, with this on its standard input.
pub(super) async fn fed(directory: &TempDir, arguments: &[&str], input: &str) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegauge"));
    command
        .current_dir(directory.path())
        .arg("explain")
        .args(arguments)
        .env_remove("KUBERNETES_SERVICE_HOST")
        .env_remove("KUBERNETES_SERVICE_PORT")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let started = command.spawn();
    let mut process = started.expect("the binary that cargo built must start");
    let mut stdin = process.stdin.take().expect("it must have an input");
    // One that does not read it has its reasons.
    let _unread = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    let output = process.wait_with_output();
    let output = output.await.expect("its output must be readable");
    Said {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

pub(super) const HPA: &str = "
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web, namespace: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 1
  maxReplicas: 5
  metrics:
  - type: Pods
    pods:
      metric: {name: depth}
      target: {type: AverageValue, averageValue: 10}
  - type: External
    external:
      metric: {name: queue_length}
      target: {type: Value, value: 10}
  - type: Object
    object:
      describedObject: {apiVersion: v1, kind: Service, name: front}
      metric: {name: latency}
      target: {type: Value, value: 10}
";

pub(super) const DEPLOYMENT: &str = "
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: web}]}
";

/// A folder with the files of the world.
pub(super) fn files() -> TempDir {
    let whole = format!("{HPA}{DEPLOYMENT}");
    let more = format!("{OBJECTS}{DEPLOYMENT}");
    folder(&[
        ("rules.yaml", RULES),
        ("objects.yaml", OBJECTS),
        ("hpa.yaml", HPA),
        ("whole.yaml", &whole),
        ("deployment.yaml", DEPLOYMENT),
        ("more.yaml", &more),
    ])
}

#[tokio::test]
async fn names_alone_are_explained_without_a_cluster() {
    let worlds = Worlds::start(&[]).await;
    let directory = files();
    let prometheus = format!("--prometheus-url={}", worlds.tap.url);
    let rules = "--config=rules.yaml";
    let path = "pods/depth";
    let here = [path, "-n", "shop", "-l", "app=web", rules, &prometheus];
    let said = run(&directory, &[&here[..], &["--name=web-1,web-7"]].concat()).await;
    assert_eq!(said.code, Some(0), "{}", said.whole());
    for part in [
        "✓ 200 1 value",
        "rules[0] (line 3): makes it of the series depth, for namespaces, pods",
        "    sum(depth{namespace=\"shop\",pod=~\"web-1|web-7\"}) by (pod)\n",
        "web-1: 3",
        "web-7: no row",
    ] {
        assert!(said.stdout.contains(part), "{part}\n{}", said.whole());
    }
    assert!(!said.stdout.contains('\x1b'), "{}", said.stdout);

    let said = run(
        &directory,
        &["pods/dpth", "-n=shop", "--name=web-1", rules, &prometheus],
    )
    .await;
    assert_eq!(said.code, Some(1), "{}", said.whole());
    assert!(
        said.stdout.contains("What to do\n  - did you mean depth?"),
        "{}",
        said.whole()
    );

    let json = [
        "external/queue_length",
        "-n",
        "shop",
        "-o",
        "json",
        rules,
        &prometheus,
    ];
    let said = run(&directory, &json).await;
    let it: Value =
        serde_json::from_str(&said.stdout).unwrap_or_else(|_| panic!("{}", said.whole()));
    assert_eq!(
        (&it["served"], &it["code"], &it["cause"]),
        (&true.into(), &200.into(), &Value::Null)
    );
    let yaml = [
        "external/queue_length",
        "-n",
        "shop",
        "-o=yaml",
        rules,
        &prometheus,
    ];
    let said = run(&directory, &yaml).await;
    assert!(said.stdout.contains("\nserved: true\n"), "{}", said.whole());

    let said = run(&directory, &["pods/depth", rules, &prometheus]).await;
    assert_eq!(said.code, Some(2), "{}", said.whole());
    assert!(
        said.stderr.contains("whose are the pods?"),
        "{}",
        said.whole()
    );
    let said = run(
        &directory,
        &["external/a", "--config=absent.yaml", &prometheus],
    )
    .await;
    assert_eq!(said.code, Some(2), "{}", said.whole());
    assert!(said.stderr.contains("absent.yaml"), "{}", said.whole());
}

#[tokio::test]
async fn an_hpa_is_explained_metric_by_metric_as_its_controller_asks() {
    let worlds = Worlds::start(&[]).await;
    let directory = files();
    let prometheus = format!("--prometheus-url={}", worlds.tap.url);
    let own = [
        "--config=rules.yaml",
        "--standalone=objects.yaml",
        &prometheus,
    ];
    let said = run(&directory, &[&["-f", "whole.yaml"], &own[..]].concat()).await;
    assert_eq!(said.code, Some(0), "{}", said.whole());
    for part in [
        "shop/web: metric 1 of 3: Pods depth\n",
        "/namespaces/shop/pods/%2A/depth?labelSelector=app%3Dweb\n",
        "✓ 200 2 values",
        "metric 2 of 3: External queue_length\n",
        "metric 3 of 3: Object latency\n",
        "/namespaces/shop/services/front/latency\n",
    ] {
        assert!(said.stdout.contains(part), "{part}\n{}", said.whole());
    }
    // The Deployment is in a file of its own, or among the objects.
    let apart = ["-f", "deployment.yaml", "-f", "hpa.yaml"];
    let among = [
        "-f=hpa.yaml",
        "--config=rules.yaml",
        "--standalone=more.yaml",
        &prometheus,
    ];
    for args in [[&apart[..], &own[..]].concat(), among.to_vec()] {
        let said = run(&directory, &args).await;
        assert_eq!(said.code, Some(0), "{}", said.whole());
        let path = "pods/%2A/depth?labelSelector=app%3Dweb\n";
        assert!(said.stdout.contains(path), "{}", said.whole());
    }
    // Without it somebody has to say which pods are meant.
    let said = run(&directory, &[&["hpa.yaml"], &own[..]].concat()).await;
    assert_eq!(said.code, Some(2), "{}", said.whole());
    assert!(
        said.stderr.contains("-l which pods are meant"),
        "{}",
        said.whole()
    );
    let nobody = ["hpa.yaml", "-l", "app=nobody", "-o", "json"];
    let said = run(&directory, &[&nobody[..], &own[..]].concat()).await;
    assert_eq!(said.code, Some(1), "{}", said.whole());
    let all: Value = serde_json::from_str(&said.stdout).unwrap();
    let causes = all.as_array().unwrap().iter().map(|it| &it["cause"]);
    let expected = [Value::from("no-objects"), Value::Null, Value::Null];
    assert_eq!(causes.cloned().collect::<Vec<_>>(), expected);
    // Names that are thought of are those of the autoscaler's pods.
    let thought = [
        "whole.yaml",
        "--name=web-2",
        "--config=rules.yaml",
        &prometheus,
    ];
    let said = run(&directory, &thought).await;
    assert_eq!(said.code, Some(0), "{}", said.whole());
    assert!(said.stdout.contains("web-2: 4"), "{}", said.whole());
}

#[tokio::test]
async fn a_server_explains_what_it_answers_and_who_may_not_ask_is_told() {
    let worlds = Worlds::start(&[]).await;
    let directory = files();
    let server = format!("--server={}", worlds.adapter.url);
    let said = run(
        &directory,
        &["pods/depth", "-n", "shop", "-l", "app=web", &server],
    )
    .await;
    assert_eq!(said.code, Some(0), "{}", said.whole());
    assert!(said.stdout.contains("✓ 200 2 values"), "{}", said.whole());
    let said = run(&directory, &["pods/depth", "--server=http://127.0.0.1:1"]).await;
    assert_eq!(said.code, Some(1), "{}", said.whole());
    assert!(
        said.stderr.contains("http://127.0.0.1:1"),
        "{}",
        said.whole()
    );

    let clients = Authority::new("kubernetes");
    let api = ApiServer::start(&clients, &Authority::new("front-proxy-ca")).await;
    let secured = crate::support::adapter::Adapter::over(&api, RULES, &worlds.tap.url, &[]).await;
    let mut secured = secured.unwrap_or_else(|refusal| panic!("{}", refusal.stderr));
    secured.ready().await.expect("it must run");
    std::fs::write(directory.path().join("ca.crt"), secured.certificate()).unwrap();
    std::fs::write(directory.path().join("token"), "nobodys").unwrap();
    let server = format!("--server={}", secured.url);
    let asked = [
        "pods/depth",
        "-n=shop",
        &server,
        "--certificate-authority=ca.crt",
    ];
    let said = run(&directory, &[&asked[..], &["--token-file=token"]].concat()).await;
    assert_eq!(said.code, Some(1), "{}", said.whole());
    assert!(said.stdout.contains("unauthorized: "), "{}", said.whole());
    let said = run(&directory, &asked).await;
    assert_eq!(said.code, Some(1), "{}", said.whole());
    assert!(said.stdout.contains("forbidden: "), "{}", said.whole());
    assert!(
        said.stdout.contains("nonResourceURL /explain"),
        "{}",
        said.whole()
    );
}

#[tokio::test]
async fn the_pods_of_a_cluster_are_those_that_its_api_server_lists() {
    let worlds = Worlds::start(&[]).await;
    let clients = Authority::new("kubernetes");
    let api = ApiServer::start(&clients, &Authority::new("front-proxy-ca")).await;
    let (kubeconfig, authority, token) = (api.kubeconfig(), api.authority.pem(), api.token());
    let directory = folder(&[
        ("rules.yaml", RULES),
        ("kubeconfig", &kubeconfig),
        ("ca.crt", &authority),
        ("token", &token),
    ]);
    let prometheus = format!("--prometheus-url={}", worlds.tap.url);
    let own = [
        "--config=rules.yaml",
        "--lister-kubeconfig=kubeconfig",
        &prometheus,
    ];
    let asked = ["pods/depth", "-n", "shop", "-l", "app=web"];
    let said = run(&directory, &[&asked[..], &own[..]].concat()).await;
    // These pods are there, and Prometheus has series of others.
    assert_eq!(said.code, Some(1), "{}", said.whole());
    for part in ["other-objects", "pod: web-1, web-2", "web-a"] {
        assert!(said.stdout.contains(part), "{part}\n{}", said.whole());
    }
}
