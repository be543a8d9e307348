//! The real VictoriaMetrics, a single node on a free port with data of its own.

// Not every program that shares this asks for all of it.
#![allow(dead_code)]

use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::poll;
use super::process::Process;
use super::prometheus::{Api, TargetLabels, configuration};

const START: Duration = Duration::from_secs(30);

/// How many free ports are tried.
const PORTS: usize = 3;

/// A VictoriaMetrics that scrapes its targets each second. Dropping it ends it and removes its data.
pub struct Victoria {
    /// `http://127.0.0.1:PORT`
    pub url: String,
    process: Option<Process>,
    directory: TempDir,
    client: reqwest::Client,
}

impl Victoria {
    /// Starts one that scrapes `targets`, and waits until it is ready.
    ///
    /// # Panics
    /// When `victoria-metrics` is not installed or does not become ready: a test without it proves
    /// nothing.
    pub async fn start(targets: &[SocketAddr], labels: TargetLabels) -> Victoria {
        let directory = TempDir::new().expect("a temporary directory must be possible");
        let text = configuration(targets, labels);
        // It knows no evaluation of rules.
        let text = text.replace(", evaluation_interval: 1s", "");
        std::fs::write(directory.path().join("scrape.yml"), text)
            .expect("the own temporary directory must be writable");
        let mut victoria = Victoria {
            url: String::new(),
            process: None,
            directory,
            client: super::http_client(),
        };
        for _ in 0..PORTS {
            let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
            victoria.url = format!("http://{}", free.expect("a loopback port must be free"));
            match victoria.launch().await {
                Ok(()) => return victoria,
                Err(reason) if reason.contains("address already in use") => {}
                Err(reason) => panic!("{reason}"),
            }
        }
        panic!("{PORTS} free ports in a row were taken by others");
    }

    async fn launch(&mut self) -> Result<(), String> {
        let mut command = Command::new("victoria-metrics");
        let address = self.url.trim_start_matches("http://");
        command.current_dir(self.directory.path()).args([
            &format!("-httpListenAddr={address}"),
            "-promscrape.config=scrape.yml",
            "-storageDataPath=data",
            // By default it answers with what it had half a minute ago.
            "-search.latencyOffset=0s",
            "-loggerLevel=WARN",
        ]);
        let log = self.directory.path().join("stderr");
        let process = match Process::start(command, &log) {
            Ok(process) => self.process.insert(process),
            Err(error) => {
                return Err(format!(
                    "cannot start `victoria-metrics`: {error}. These tests run against the real \
                     one: `make test` installs it (Debian: apt-get install victoria-metrics)"
                ));
            }
        };
        let ready = format!("{}/health", self.url);
        let ended = poll::try_until("victoria-metrics is ready", START, async || {
            if let Some(status) = process.ended() {
                let stderr = process.stderr();
                return Ok(Err(format!("victoria-metrics ended, {status}: {stderr}")));
            }
            let answer = self.client.get(&ready).send().await;
            let answer = answer.map_err(|error| error.to_string())?;
            match answer.status().is_success() {
                true => Ok(Ok(())),
                false => Err(answer.status().to_string()),
            }
        });
        ended.await?
    }

    /// Its HTTP API, as Prometheus'.
    pub fn api(&self) -> Api<'_> {
        Api::at(&self.url, &self.client)
    }
}
