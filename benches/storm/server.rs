//! What is measured: a metrics adapter as a process, started as in a cluster.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::ask;
use super::client::Client;
use super::population::{GAUGE, RATE};
use super::procfs;
use super::support::poll;
use super::support::process::Process;
use super::world::World;

/// From its start until it is ready and lists both metrics.
const START: Duration = Duration::from_secs(120);
/// The rules of the Helm chart, which the benchmark of relists has.
const CHART: &str = include_str!("../relist/rules.yaml");

/// What the image is made of.
const IMAGE: &str = include_str!("../../Dockerfile");

/// The environment that our image sets, by name.
fn of_image() -> Vec<(String, String)> {
    let (_, last_stage) = IMAGE.rsplit_once("\nFROM ").unwrap();
    let lines = last_stage.lines();
    let set = lines.filter_map(|line| line.strip_prefix("ENV ")?.split_once('='));
    set.map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Who can be measured.
#[derive(Clone)]
pub struct Program {
    /// How it stands in the tables.
    pub title: String,
    binary: PathBuf,
    flags: Vec<String>,
    environment: Vec<(String, String)>,
}

/// One that runs. Dropping it ends it.
pub struct Server {
    url: String,
    roots: String,
    process: Process,
    /// The name of its process.
    name: String,
    _directory: TempDir,
}

impl Program {
    /// Ours, with these flags.
    pub fn ours(title: &str, flags: &[&str]) -> Program {
        Program {
            title: title.to_owned(),
            binary: env!("CARGO_BIN_EXE_tidegauge").into(),
            flags: flags.iter().map(|&flag| flag.to_owned()).collect(),
            environment: of_image(),
        }
    }

    /// Another one, at this path, with these flags beside its own.
    pub fn peer(path: &str, flags: &str) -> Program {
        Program {
            title: "peer".to_owned(),
            binary: path.into(),
            flags: flags.split_whitespace().map(str::to_owned).collect(),
            environment: Vec::new(),
        }
    }

    /// The name of its process: Linux keeps that many bytes of the file's.
    fn name(&self) -> String {
        let file = self.binary.file_name().unwrap_or_default();
        file.to_string_lossy().chars().take(15).collect()
    }

    /// Starts it, and waits until it lists both metrics.
    pub async fn start(&self, world: &World) -> Server {
        let directory = TempDir::new().unwrap();
        let own = world.authority.server("adapter");
        let (kubeconfig, token) = (world.api.kubeconfig(), world.api.token());
        for (name, text) in [
            ("rules.yaml", world.size.rules(CHART)),
            ("kubeconfig", kubeconfig),
            ("ca.crt", world.api.authority.pem()),
            ("token", token),
            ("tls.crt", own.certificate),
            ("tls.key", own.key),
        ] {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        // The Go adapter takes 0 for "do not serve".
        let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let port = free.unwrap().port();
        let mut command = Command::new(&self.binary);
        command
            .current_dir(directory.path())
            .args([
                "--config=rules.yaml",
                &format!("--prometheus-url={}", world.tap.url),
                "--lister-kubeconfig=kubeconfig",
                "--authentication-kubeconfig=kubeconfig",
                "--authorization-kubeconfig=kubeconfig",
                "--bind-address=127.0.0.1",
                &format!("--secure-port={port}"),
                "--cert-dir=certificates",
                "--tls-cert-file=tls.crt",
                "--tls-private-key-file=tls.key",
            ])
            .args(&self.flags)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env_remove("KUBERNETES_SERVICE_HOST")
            .env_remove("KUBERNETES_SERVICE_PORT");
        let process = Process::start(command, &directory.path().join("stderr"));
        let process = process.unwrap_or_else(|error| {
            panic!("{} does not start: {error}", self.binary.display());
        });
        let mut server = Server {
            url: format!("https://127.0.0.1:{port}"),
            roots: world.authority.pem(),
            process,
            name: self.name(),
            _directory: directory,
        };
        server.listed(world).await;
        server
    }
}

impl Server {
    /// The front proxy's one connection.
    pub async fn connect(&self, world: &World) -> Arc<Client> {
        Arc::new(Client::connect(&self.url, &self.roots, Some(&world.proxy)).await)
    }

    /// What it uses.
    pub fn usage(&self) -> procfs::Process {
        procfs::Process::child(&self.name)
    }

    async fn listed(&mut self, world: &World) {
        let client = super::support::https_client(&self.roots, Some(&world.proxy), true);
        let (ready, list) = ("/readyz", "/apis/custom.metrics.k8s.io/v1beta2");
        let listed = poll::try_until("both metrics are listed", START, async || {
            if let Some(status) = self.process.ended() {
                return Ok(Err(format!("it ended, {status}")));
            }
            let mut text = String::new();
            for path in [ready, list] {
                let request = client.get(format!("{}{path}", self.url));
                let answer = request.headers(ask::of_aggregator()).send().await;
                let answer = answer.and_then(reqwest::Response::error_for_status);
                let answer = answer.map_err(|error| error.to_string())?;
                text = answer.text().await.map_err(|error| error.to_string())?;
            }
            match [GAUGE, RATE].iter().all(|metric| {
                let resource = format!("\"pods/{metric}\"");
                text.contains(&resource)
            }) {
                true => Ok(Ok(())),
                false => Err(text),
            }
        });
        if let Err(reason) = listed.await.flatten() {
            panic!("{reason}\nit said:\n{}", self.process.stderr());
        }
    }
}
