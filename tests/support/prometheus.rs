//! The real Prometheus, on a free port with data of its own, that can be killed, hung and brought back.

use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tempfile::TempDir;

use super::poll;
use super::process::Process;

/// A Debian machine starts it in well under a second; a loaded one gets the benefit of the doubt.
const START: Duration = Duration::from_secs(30);
/// Two scrapes a second apart make a rate; several series may come from several targets.
const SERIES: Duration = Duration::from_secs(30);

/// How many free ports are tried.
const PORTS: usize = 3;

/// What happens to the `job` and `instance` that a scrape adds.
#[derive(Clone, Copy)]
pub enum TargetLabels {
    /// Dropped from every series.
    Dropped,
    /// Given to each series that has none of its own.
    Added {
        /// The value of `job`.
        job: &'static str,
        /// The value of `instance`.
        instance: &'static str,
    },
}

/// A Prometheus that scrapes its targets each second. Dropping it ends it and removes its data.
pub struct Prometheus {
    /// `http://127.0.0.1:PORT`
    pub url: String,
    process: Option<Process>,
    directory: TempDir,
    client: reqwest::Client,
}

/// The HTTP API of a Prometheus-compatible server.
#[derive(Clone, Copy)]
pub struct Api<'a> {
    url: &'a str,
    client: &'a reqwest::Client,
}

impl<'a> Api<'a> {
    /// That of a server at `url`.
    pub fn at(url: &'a str, client: &'a reqwest::Client) -> Api<'a> {
        Api { url, client }
    }

    /// Waits until each of these PromQL expressions gives at least one sample.
    pub async fn wait_for(&self, expressions: &[&str]) {
        for expression in expressions {
            poll::until(
                &format!("the server has {expression}"),
                SERIES,
                async || match self.query(expression).await?.as_slice() {
                    [] => Err("no sample yet".to_owned()),
                    _ => Ok(()),
                },
            )
            .await;
        }
    }

    /// An instant query now: the result's elements, as Prometheus gives them.
    ///
    /// # Errors
    /// What the client or Prometheus says.
    pub async fn query(&self, promql: &str) -> Result<Vec<Value>, String> {
        self.ask(format!("query={}", percent_encode(promql))).await
    }

    /// As [`query`](Self::query), for a time in seconds since 1970.
    ///
    /// # Errors
    /// What the client or Prometheus says.
    pub async fn query_at(&self, promql: &str, at: f64) -> Result<Vec<Value>, String> {
        self.ask(format!("query={}&time={at}", percent_encode(promql)))
            .await
    }

    async fn ask(&self, body: String) -> Result<Vec<Value>, String> {
        let answer = self
            .client
            .post(format!("{}/api/v1/query", self.url))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(body)
            .send()
            .await
            .map_err(|error| error.to_string())?;
        let text = answer.text().await.map_err(|error| error.to_string())?;
        let body: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        match &body["data"]["result"] {
            Value::Array(result) => Ok(result.clone()),
            _ => Err(text),
        }
    }
}

impl Prometheus {
    /// Starts one that scrapes `targets`, and waits until it is ready.
    ///
    /// # Panics
    /// When `prometheus` is not installed or does not become ready: a test without it proves nothing.
    pub async fn start(targets: &[SocketAddr], labels: TargetLabels) -> Prometheus {
        Prometheus::configured(&configuration(targets, labels)).await
    }

    /// Starts one with a `prometheus.yml` of its own, and waits until it is ready.
    ///
    /// # Panics
    /// When `prometheus` is not installed or does not become ready.
    pub async fn configured(configuration: &str) -> Prometheus {
        let directory = TempDir::new().expect("a temporary directory must be possible");
        Prometheus::within(directory, configuration).await
    }

    /// Starts one that scrapes nothing and holds these samples, in OpenMetrics' text format with a
    /// timestamp each: what it answers is then a matter of arithmetic.
    ///
    /// # Panics
    /// When `promtool` does not take them, or `prometheus` does not become ready.
    pub async fn holding(samples: &str) -> Prometheus {
        let directory = TempDir::new().expect("a temporary directory must be possible");
        std::fs::write(directory.path().join("samples"), samples)
            .expect("the own temporary directory must be writable");
        let mut promtool = Command::new("promtool");
        promtool.current_dir(directory.path());
        promtool.args([
            "tsdb",
            "create-blocks-from",
            "openmetrics",
            "samples",
            "data",
        ]);
        let output = promtool.output().expect("promtool must start");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "promtool: {told}");
        Prometheus::within(directory, "{}").await
    }

    async fn within(directory: TempDir, configuration: &str) -> Prometheus {
        std::fs::write(directory.path().join("prometheus.yml"), configuration)
            .expect("the own temporary directory must be writable");
        let client = super::http_client();
        let mut prometheus = Prometheus {
            url: String::new(),
            process: None,
            directory,
            client,
        };
        // It wants to be told a port, and one that was free may be taken before it binds.
        for _ in 0..PORTS {
            let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
            prometheus.url = format!("http://{}", free.expect("a loopback port must be free"));
            match prometheus.launch().await {
                Ok(()) => return prometheus,
                Err(reason) if reason.contains("address already in use") => {}
                Err(reason) => panic!("{reason}"),
            }
        }
        panic!("{PORTS} free ports in a row were taken by others");
    }

    /// Starts it again after [`kill`](Self::kill) or [`stop`](Self::stop): same port, same data.
    pub async fn restart(&mut self) {
        if let Err(reason) = self.launch().await {
            panic!("{reason}");
        }
    }

    /// Starts the process and waits until it is ready, or gives why it will not be.
    async fn launch(&mut self) -> Result<(), String> {
        let mut command = Command::new("prometheus");
        let address = self.url.trim_start_matches("http://");
        command.current_dir(self.directory.path()).args([
            "--config.file=prometheus.yml",
            "--storage.tsdb.path=data",
            &format!("--web.listen-address={address}"),
            "--log.level=warn",
        ]);
        let log = self.directory.path().join("stderr");
        let process = match Process::start(command, &log) {
            Ok(process) => self.process.insert(process),
            Err(error) => {
                return Err(format!(
                    "cannot start `prometheus`: {error}. These tests run against the real one: \
                     `make test` installs it (Debian: apt-get install prometheus)"
                ));
            }
        };
        let ready = format!("{}/-/ready", self.url);
        let ended = poll::try_until("prometheus is ready", START, async || {
            if let Some(status) = process.ended() {
                return Ok(Err(format!(
                    "prometheus ended, {status}: {}",
                    process.stderr()
                )));
            }
            let answer = self
                .client
                .get(&ready)
                .send()
                .await
                .map_err(|error| error.to_string())?;
            if answer.status().is_success() {
                Ok(Ok(()))
            } else {
                Err(answer.status().to_string())
            }
        });
        ended.await?
    }

    /// Waits until each of these PromQL expressions gives at least one sample.
    pub async fn wait_for(&self, expressions: &[&str]) {
        self.api().wait_for(expressions).await;
    }

    /// An instant query now: the result's elements, as Prometheus gives them.
    ///
    /// # Errors
    /// What the client or Prometheus says.
    pub async fn query(&self, promql: &str) -> Result<Vec<Value>, String> {
        self.api().query(promql).await
    }

    /// As [`query`](Self::query), for a time in seconds since 1970.
    ///
    /// # Errors
    /// What the client or Prometheus says.
    pub async fn query_at(&self, promql: &str, at: f64) -> Result<Vec<Value>, String> {
        self.api().query_at(promql, at).await
    }

    /// Its HTTP API.
    pub fn api(&self) -> Api<'_> {
        Api {
            url: &self.url,
            client: &self.client,
        }
    }

    /// Ends it as a crash does.
    pub fn kill(&mut self) {
        self.running().kill();
    }

    /// Ends it as an operator does (SIGTERM), and waits.
    pub async fn stop(&mut self) {
        let process = self.running();
        process.signal("TERM");
        poll::until("prometheus ends", START, async || {
            process
                .ended()
                .map(|_| ())
                .ok_or_else(|| "it still runs".to_owned())
        })
        .await;
    }

    /// Takes its time away (SIGSTOP): it accepts connections and answers nothing.
    pub async fn hang(&mut self) {
        self.running().freeze().await;
    }

    /// Ends [`hang`](Self::hang).
    pub fn resume(&mut self) {
        self.running().signal("CONT");
    }

    fn running(&mut self) -> &mut Process {
        self.process
            .as_mut()
            .expect("a started Prometheus must have a process")
    }
}

/// Samples for [`Prometheus::holding`]: ten minutes before and after now, a scrape every 15 seconds.
/// Each line of `rising` and `still` is a series with labels and a value; the ones rise by it each
/// second, the others keep it. All get `labels` as well, as a monitor would add them.
pub fn history(rising: &str, still: &str, labels: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let start = now.expect("now must be after 1970").as_secs() - 600;
    let mut samples = String::new();
    for (series, is_rising) in [(rising, true), (still, false)] {
        for line in series.lines().filter(|line| !line.is_empty()) {
            let (name, value) = line.rsplit_once("} ").expect("a series must have labels");
            let value: f64 = value.parse().expect("a value must be a number");
            for at in (0..1200_u32).step_by(15) {
                let factor = if is_rising { f64::from(1000 + at) } else { 1.0 };
                let (value, time) = (value * factor, start + u64::from(at));
                samples.push_str(&format!("{name},{labels}}} {value} {time}\n"));
            }
        }
    }
    samples + "# EOF\n"
}

/// `text` as a value in a query string or a form.
fn percent_encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

pub(super) fn configuration(targets: &[SocketAddr], labels: TargetLabels) -> String {
    let targets: Vec<String> = targets
        .iter()
        .map(|target| format!("\"{target}\""))
        .collect();
    let (job, relabelling) = match labels {
        TargetLabels::Dropped => (
            "tests",
            "  metric_relabel_configs:\n  - {action: labeldrop, regex: job|instance}\n".to_owned(),
        ),
        TargetLabels::Added { job, instance } => (
            job,
            format!(
                "  relabel_configs:\n  - {{target_label: instance, replacement: \"{instance}\"}}\n"
            ),
        ),
    };
    // A subquery without a step takes the evaluation interval for one: a minute by default, and empty
    // until the first full minute has passed.
    format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}\n\
         scrape_configs:\n\
         - job_name: {job}\n  \
           honor_labels: true\n  \
           static_configs: [{{targets: [{}]}}]\n{relabelling}",
        targets.join(", ")
    )
}
