//! `tidegauge demo`: the main job on one machine, visibly.
//!
//! A real Prometheus scrapes a few real targets; the adapter, started as a user would start it,
//! answers for a pod, an object and an external metric. Each request, the PromQL it became and the
//! answer are printed. All that was started is stopped at the end, and on Ctrl-C.

use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

mod targets;

const RULES: &str = include_str!("../../manifests/demo/rules.yaml");
const OBJECTS: &str = include_str!("../../manifests/demo/objects.yaml");

/// Prints a line. Nobody listening (`| head`) is no reason to fail.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($text)*);
    }};
}

/// How long anything may take to come up.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is asked, in plain words and as a path below `/apis/`.
const ASKS: [(&str, &str, &str); 3] = [
    (
        "A metric of pods",
        "an HPA of type Pods asks for all pods behind a label selector",
        "custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/queue_depth?labelSelector=app%3Dweb",
    ),
    (
        "A metric of an object",
        "an HPA of type Object asks for the service in front: a rate, from a counter",
        "custom.metrics.k8s.io/v1beta2/namespaces/shop/services/web/http_requests_per_second",
    ),
    (
        "An external metric",
        "an HPA of type External asks for something outside of the cluster",
        "external.metrics.k8s.io/v1beta1/namespaces/shop/orders_waiting\
         ?labelSelector=queue%3Dorders",
    ),
];

/// Runs the demo to its end or to Ctrl-C.
pub async fn run(has_arguments: bool) -> ExitCode {
    if has_arguments {
        say!("Usage: tidegauge demo");
        say!("Shows the main job on this machine, with a real Prometheus. It takes no arguments.");
        return ExitCode::from(2);
    }
    let outcome = tokio::select! {
        outcome = demo() => outcome,
        _ = tokio::signal::ctrl_c() => {
            say!("\nStopped; Prometheus and the adapter with it.");
            return ExitCode::from(130);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say!("\nThe demo failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn demo() -> anyhow::Result<()> {
    let folder = Folder::new()?;
    let targets = targets::start().await.context("starting the targets")?;
    say!("Targets: three pods of a web shop and a queue, each with its own /metrics.");
    let (_prometheus, prometheus_url) = start_prometheus(&folder, &targets).await?;
    say!("Prometheus: {prometheus_url}, scraping them each second.");
    let mut adapter = Adapter::start(&folder, &prometheus_url).await?;
    say!("Adapter: tidegauge --standalone=objects.yaml --config=rules.yaml --prometheus-url=…");
    say!("         {}", adapter.url);
    say!("Waiting until each target has been scraped three times, so that a rate can be told …");
    until(|| scraped(&prometheus_url)).await?;
    for (title, words, path) in ASKS {
        let (query, answer) = adapter.ask(path).await?;
        say!("\n── {title}\n   {words}\n");
        say!(
            "  $ kubectl --server={} get --raw \\\n      '/apis/{path}'\n",
            adapter.url
        );
        say!("  became\n      {query}\n");
        say!(
            "  answered  {}",
            answer.replace('\n', "\n            ").trim_end()
        );
        say!("\n  {}", in_words(&answer)?);
    }
    say!("\nThe same file, flags and paths as prometheus-adapter. Stopping all that was started.");
    Ok(())
}

/// One sentence per item.
fn in_words(answer: &str) -> anyhow::Result<String> {
    let answer: serde_json::Value = serde_json::from_str(answer)?;
    let items = answer["items"]
        .as_array()
        .context("an answer must have items")?;
    let sentences = items.iter().map(|item| {
        let value = item["value"].as_str().unwrap_or("?");
        let name = item["describedObject"]["name"].as_str();
        let name = name
            .or_else(|| item["metricLabels"]["queue"].as_str())
            .unwrap_or("?");
        match value
            .strip_suffix('m')
            .and_then(|milli| milli.parse::<f64>().ok())
        {
            Some(milli) => format!("{name}: {value}, that is {}.", milli / 1000.0),
            None => format!("{name}: {value}."),
        }
    });
    Ok(sentences.collect::<Vec<_>>().join(" "))
}

/// A folder of our own that goes when the demo ends.
struct Folder(PathBuf);

impl Folder {
    fn new() -> anyhow::Result<Folder> {
        let path = std::env::temp_dir().join(format!("tidegauge-demo-{}", std::process::id()));
        std::fs::create_dir_all(&path).with_context(|| format!("creating {}", path.display()))?;
        Ok(Folder(path))
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.0.join(name);
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Best effort: a folder that is left in /tmp hurts nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn start_prometheus(
    folder: &Folder,
    targets: &[targets::Target],
) -> anyhow::Result<(Child, String)> {
    let config = folder.write("prometheus.yml", &targets::scrape_config(targets))?;
    let port = free_port()?;
    let child = Command::new("prometheus")
        .arg(format!("--config.file={}", config.display()))
        .arg(format!(
            "--storage.tsdb.path={}",
            folder.0.join("data").display()
        ))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stdout(Stdio::null())
        .stderr(Stdio::from(std::fs::File::create(
            folder.0.join("prometheus.log"),
        )?))
        .kill_on_drop(true)
        .spawn()
        .context("starting prometheus: is it installed? (apt-get install prometheus)")?;
    let url = format!("http://127.0.0.1:{port}");
    let ready = format!("{url}/-/ready");
    until(|| async { Ok(get(&ready).await.is_ok().then_some(())) })
        .await
        .with_context(|| log_tail(&folder.0.join("prometheus.log")))?;
    Ok((child, url))
}

fn log_tail(path: &Path) -> String {
    let log = std::fs::read_to_string(path).unwrap_or_default();
    let last = log.lines().rev().take(3).collect::<Vec<_>>().join("; ");
    format!("prometheus did not become ready; its last words: {last}")
}

/// Asks the kernel for a free port of loopback.
fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?
        .local_addr()?
        .port())
}

/// The adapter as a process of its own, and the queries that it logs.
struct Adapter {
    _child: Child,
    url: String,
    log: mpsc::UnboundedReceiver<serde_json::Value>,
}

impl Adapter {
    async fn start(folder: &Folder, prometheus_url: &str) -> anyhow::Result<Adapter> {
        let rules = folder.write("rules.yaml", RULES)?;
        let objects = folder.write("objects.yaml", OBJECTS)?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg(format!("--config={}", rules.display()))
            .arg(format!("--standalone={}", objects.display()))
            .arg(format!("--prometheus-url={prometheus_url}"))
            .args([
                "--secure-port=0",
                "--metrics-relist-interval=1s",
                "--v=6",
                "--log-format=json",
            ])
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("starting the adapter")?;
        let stderr = child
            .stderr
            .take()
            .context("the adapter must have a standard error")?;
        let (sender, mut log) = mpsc::unbounded_channel::<serde_json::Value>();
        tokio::spawn(async move {
            let mut lines = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                // Whatever is not JSON is not a log line of ours.
                let Ok(event) = serde_json::from_str(&line) else {
                    continue;
                };
                if sender.send(event).is_err() {
                    return;
                }
            }
        });
        let listening = async {
            while let Some(event) = log.recv().await {
                let message = event["message"].as_str().unwrap_or_default();
                if let Some((_, url)) = message.split_once("listening on ") {
                    return Ok(url.to_owned());
                }
            }
            bail!("the adapter ended before it listened")
        };
        let url = timeout(PATIENCE, listening)
            .await
            .context("the adapter does not listen")??;
        Ok(Adapter {
            _child: child,
            url,
            log,
        })
    }

    /// The query that an ask became, and its answer.
    async fn ask(&mut self, path: &str) -> anyhow::Result<(String, String)> {
        let pretty = if path.contains('?') { "&" } else { "?" };
        let url = format!("{}/apis/{path}{pretty}pretty=true", self.url);
        // A list is asked for again while it is young: the relist may not have seen the last name.
        let answer = until(|| async {
            let answer = get(&url).await?;
            Ok((!answer.contains("\"items\": []")).then_some(answer))
        });
        let answer = answer.await.with_context(|| format!("asking for {path}"))?;
        let mut query = None;
        while let Ok(event) = self.log.try_recv() {
            query = event["promql"].as_str().map(str::to_owned).or(query);
        }
        Ok((
            query.context("the adapter must have logged its query")?,
            answer,
        ))
    }
}

/// Whether Prometheus has three scrapes of every target.
async fn scraped(prometheus_url: &str) -> anyhow::Result<Option<()>> {
    let query = "min(count_over_time(up[1m]))%20%2B%200*count(up)";
    let answer = get(&format!("{prometheus_url}/api/v1/query?query={query}")).await?;
    let answer: serde_json::Value = serde_json::from_str(&answer)?;
    let scrapes = answer["data"]["result"][0]["value"][1].as_str();
    let scrapes = scrapes.and_then(|text| text.parse::<f64>().ok());
    Ok(scrapes.is_some_and(|scrapes| scrapes >= 3.0).then_some(()))
}

async fn get(url: &str) -> anyhow::Result<String> {
    Ok(reqwest::get(url).await?.error_for_status()?.text().await?)
}

/// Polls until there is something, or patience ends with the last error.
async fn until<T, F>(mut poll: impl FnMut() -> F) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<Option<T>>>,
{
    let deadline = Instant::now() + PATIENCE;
    loop {
        let outcome = poll().await;
        match outcome {
            Ok(Some(found)) => return Ok(found),
            Err(error) if Instant::now() > deadline => return Err(error),
            Ok(None) if Instant::now() > deadline => bail!("nothing came in {PATIENCE:?}"),
            _ => sleep(Duration::from_millis(200)).await,
        }
    }
}
