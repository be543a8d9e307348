//! The real `kubectl` against the real server, through the aggregator.
//!
//! Each command must say exactly what is expected and nothing on standard error: a person would see
//! it at once, and scripts break on it.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::aggregator::{Cluster, REGISTERED, Recorded};
use crate::support::aggregator::discovery::Fetched;
use crate::support::aggregator::{ADMIN, Aggregator, BOB, User};
use crate::support::poll;

/// `kubectl`, as one user, with a home of its own.
struct Kubectl {
    home: TempDir,
}

/// What a command said.
#[derive(Debug, PartialEq)]
struct Said {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Kubectl {
    fn new(aggregator: &Aggregator, user: &User) -> Kubectl {
        let home = TempDir::new().expect("a temporary directory must be possible");
        for (name, text) in [
            ("config", aggregator.kubeconfig(user)),
            ("ca.crt", aggregator.authority.pem()),
        ] {
            std::fs::write(home.path().join(name), text)
                .expect("the own directory must be writable");
        }
        Kubectl { home }
    }

    async fn run(&self, arguments: &str) -> Said {
        let output = tokio::process::Command::new("kubectl")
            .args(arguments.split(' '))
            .env("HOME", self.home.path())
            .env("KUBECONFIG", self.home.path().join("config"))
            .stdin(Stdio::null())
            .output()
            .await
            .expect("kubectl must be there: tests/support/install.sh kubectl");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Said {
            code: output.status.code().unwrap_or(-1),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// What it prints; it must succeed and say nothing else.
    async fn print(&self, arguments: &str) -> String {
        let said = self.run(arguments).await;
        let Said {
            code,
            stdout,
            stderr,
        } = said;
        assert_eq!(
            (code, stderr.as_str()),
            (0, ""),
            "kubectl {arguments}: {stdout}"
        );
        stdout
    }

    /// The same as columns without the space between them.
    async fn table(&self, arguments: &str) -> Vec<Vec<String>> {
        let text = self.print(arguments).await;
        let cells = |line: &str| line.split_whitespace().map(str::to_owned).collect();
        text.lines().map(cells).collect()
    }

    /// What it says instead of printing.
    async fn fail(&self, arguments: &str) -> String {
        let said = self.run(arguments).await;
        let Said {
            code,
            stdout,
            stderr,
        } = said;
        assert_eq!(
            (code, stdout.as_str()),
            (1, ""),
            "kubectl {arguments}: {stderr}"
        );
        stderr
    }
}

/// Lines of words.
fn lines(text: &[&str]) -> Vec<Vec<String>> {
    let words = |line: &&str| line.split(' ').map(str::to_owned).collect();
    text.iter().map(words).collect()
}

/// The recorded world with a `kubectl` of an administrator.
async fn start() -> (Recorded, Cluster, Kubectl) {
    let recorded = Recorded::start().await;
    let cluster = Cluster::start(recorded.rules, &recorded.prometheus.url, &[], &REGISTERED).await;
    // A busy machine may miss the 5 s of one fetch; the aggregator tries again too.
    poll::until(
        "the API is discovered",
        Duration::from_secs(60),
        async || match cluster.aggregator.fetch().await {
            Fetched::Aggregated(_) => Ok(()),
            other => Err(format!("{other:?}")),
        },
    )
    .await;
    let kubectl = Kubectl::new(&cluster.aggregator, &ADMIN);
    (recorded, cluster, kubectl)
}

#[tokio::test]
async fn get_raw_prints_what_we_answer() {
    let (_recorded, cluster, kubectl) = start().await;
    let get = async |path: &str| -> Value {
        let text = kubectl.print(&format!("get --raw {path}")).await;
        serde_json::from_str(&text).unwrap()
    };
    let values = |list: &Value| -> Vec<String> {
        let items = list["items"].as_array().unwrap().iter();
        items
            .map(|item| item["value"].as_str().unwrap().to_owned())
            .collect()
    };
    let custom = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop";
    let one = get(&format!("{custom}/pods/web-b/queue_depth")).await;
    assert_eq!(values(&one), ["20500m"]);
    let selected = format!("{custom}/pods/*/queue_depth?labelSelector=app%3Dweb");
    assert_eq!(values(&get(&selected).await), ["10", "20500m", "0"]);
    assert_eq!(
        values(&get(&format!("{custom}/metrics/ns_budget")).await),
        ["99"]
    );
    let external = "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/lag";
    assert_eq!(values(&get(external).await), ["150"]);
    let nodes = get("/apis/metrics.k8s.io/v1beta1/nodes").await;
    assert_eq!(nodes["items"][0]["usage"]["cpu"], "3500m");
    for version in REGISTERED {
        let document = get(&format!("/apis/{version}")).await;
        assert_eq!(document["groupVersion"], version);
        assert_ne!(document["resources"], serde_json::json!([]));
    }

    let bob = Kubectl::new(&cluster.aggregator, &BOB);
    let said = bob
        .fail("get --raw /apis/metrics.k8s.io/v1beta1/nodes")
        .await;
    let forbidden = "Error from server (Forbidden): nodes.metrics.k8s.io is forbidden: User \"bob\" cannot \
                     list resource \"nodes\" in API group \"metrics.k8s.io\" at the cluster scope\n";
    assert_eq!(said, forbidden);
    let unknown = format!("get --raw {custom}/pods/web-a/unheard_of");
    let missing = "Error from server (NotFound): the server could not find the metric unheard_of for \
                   pods: no rule makes it\n";
    assert_eq!(kubectl.fail(&unknown).await, missing);
}

#[tokio::test]
async fn the_api_is_listed_beside_the_clusters_own() {
    let (_recorded, _cluster, kubectl) = start().await;
    let versions = kubectl.print("api-versions").await;
    for version in REGISTERED.iter().chain(&["apps/v1", "v1"]) {
        assert!(
            versions.lines().any(|line| line == *version),
            "{version}: {versions}"
        );
    }
    let of = async |group: &str| {
        let arguments = format!("api-resources --no-headers --api-group={group}");
        kubectl.table(&arguments).await
    };
    // Names with a slash are no resources to kubectl.
    assert_eq!(of("custom.metrics.k8s.io").await, lines(&[]));
    let external = [
        "lag external.metrics.k8s.io/v1beta1 true ExternalMetricValueList",
        "lag_global external.metrics.k8s.io/v1beta1 true ExternalMetricValueList",
    ];
    assert_eq!(of("external.metrics.k8s.io").await, lines(&external));
    let resource = [
        "nodes metrics.k8s.io/v1beta1 false NodeMetrics",
        "pods metrics.k8s.io/v1beta1 true PodMetrics",
    ];
    assert_eq!(of("metrics.k8s.io").await, lines(&resource));
    // The cluster's own pods are not ours.
    let own = kubectl
        .table("api-resources --no-headers --api-group=")
        .await;
    assert!(
        own.iter().any(|line| line.contains(&"pods".to_owned())),
        "{own:?}"
    );
}

#[tokio::test]
async fn top_shows_nodes_pods_and_containers() {
    let (_recorded, cluster, kubectl) = start().await;
    let nodes = [
        "NAME CPU(cores) CPU(%) MEMORY(bytes) MEMORY(%)",
        "node-1 3500m 175% 2048Mi 50%",
        "node-2 333m 16% 1024Mi 25%",
    ];
    // Older ones write the percent sign before its bracket.
    let table = async |arguments: &str| {
        let mut table = kubectl.table(arguments).await;
        for cell in table.iter_mut().flatten() {
            *cell = cell
                .replace("CPU%", "CPU(%)")
                .replace("MEMORY%", "MEMORY(%)");
        }
        table
    };
    assert_eq!(table("top nodes").await, lines(&nodes));
    assert_eq!(table("top node node-1").await, lines(&nodes[..2]));
    let everywhere = [
        "NAMESPACE NAME CPU(cores) MEMORY(bytes)",
        "bank teller-a 100m 0Mi",
        "shop web-a 252m 101Mi",
        "shop web-b 1500m 50Mi",
    ];
    assert_eq!(table("top pods -A").await, lines(&everywhere));
    // Without a value there is no line: web-c has none.
    let selected = [
        "NAME CPU(cores) MEMORY(bytes)",
        "web-a 252m 101Mi",
        "web-b 1500m 50Mi",
    ];
    assert_eq!(table("top pod -l app=web -n shop").await, lines(&selected));
    assert_eq!(table("top pod web-a -n shop").await, lines(&selected[..2]));
    let containers = [
        "POD NAME CPU(cores) MEMORY(bytes)",
        "web-a app 250m 100Mi",
        "web-a sidecar 2m 1Mi",
    ];
    assert_eq!(
        table("top pod web-a -n shop --containers").await,
        lines(&containers)
    );

    let said = kubectl.fail("top pod web-c -n shop").await;
    let missing =
        "Error from server (NotFound): podmetrics.metrics.k8s.io \"shop/web-c\" not found\n";
    assert_eq!(said, missing);
    let said = Kubectl::new(&cluster.aggregator, &BOB)
        .fail("top nodes")
        .await;
    assert!(
        said.starts_with("Error from server (Forbidden): nodes.metrics.k8s.io is"),
        "{said}"
    );
}

#[tokio::test]
async fn metrics_are_objects_that_can_be_got_described_and_explained() {
    let (_recorded, _cluster, kubectl) = start().await;
    let names = async |arguments: &str| -> Vec<String> {
        let lines = kubectl
            .table(&format!("get {arguments} --no-headers"))
            .await;
        lines.iter().map(|line| line[0].clone()).collect()
    };
    assert_eq!(
        names("nodes.metrics.k8s.io -o wide").await,
        ["node-1", "node-2"]
    );
    assert_eq!(names("podmetrics -A").await, ["bank", "shop", "shop"]);
    assert_eq!(names("podmetrics -n shop").await, ["web-a", "web-b"]);
    let selected = "pods.metrics.k8s.io -n shop -l app!=web -o name";
    assert_eq!(kubectl.print(&format!("get {selected}")).await, "");
    let named = "get pods.metrics.k8s.io -A --field-selector metadata.name=teller-a -o name";
    assert_eq!(
        kubectl.print(named).await,
        "podmetrics.metrics.k8s.io/teller-a\n"
    );
    let yaml = kubectl.print("get podmetrics web-a -n shop -o yaml").await;
    for line in [
        "kind: PodMetrics",
        "  name: web-a",
        "    cpu: 1500u",
        "window: 1m0s",
    ] {
        assert!(yaml.contains(line), "{line}: {yaml}");
    }
    let described = kubectl.print("describe nodemetrics node-1").await;
    for words in [["Name:", "node-1"], ["Cpu:", "3500m"], ["Memory:", "2Gi"]] {
        let is_said = |line: &str| line.split_whitespace().eq(words);
        assert!(described.lines().any(is_said), "{words:?}: {described}");
    }
    let explained = kubectl.print("explain nodemetrics").await;
    assert!(explained.contains("usage"), "{explained}");
}
