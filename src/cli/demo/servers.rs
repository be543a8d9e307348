//! The servers of the demo, each started as a user would start it.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use anyhow::Context;
use serde_json::{Value, json};
use tokio::process::Command;

use super::http::{Http, until};
use super::processes::{Group, Process};
use super::replicas::{OBJECTS_FILE, TARGETS_FILE};

const RULES: &str = include_str!("../../../manifests/example/adapter-rules.yaml");
const RESOURCE_RULES: &str = include_str!("../../../manifests/example/adapter-rules-process.yaml");

/// The rules' windows are for scrapes every 15 seconds; Prometheus scrapes every second here.
const WINDOW: &str = "1m";
pub(super) const SHORT_WINDOW: &str = "5s";

/// What the processes are called.
pub(super) const REDIS: &str = "redis-server";
pub(super) const ADAPTER: &str = "the adapter";

/// The servers that must run, beside the replicas.
pub(super) struct Servers(RefCell<Vec<Process>>);

impl Servers {
    pub(super) fn new(running: Vec<Process>) -> Servers {
        Servers(RefCell::new(running))
    }

    /// An error if one of them has ended.
    pub(super) fn must_run(&self) -> anyhow::Result<()> {
        let mut servers = self.0.borrow_mut();
        servers.iter_mut().try_for_each(Process::must_run)
    }

    pub(super) fn put(&self, process: Process) {
        self.0.borrow_mut().push(process);
    }

    pub(super) fn take(&self, name: &str) -> anyhow::Result<Process> {
        let mut servers = self.0.borrow_mut();
        let at = servers.iter().position(|it| it.name() == name);
        let at = at.with_context(|| format!("{name} must have been started"))?;
        Ok(servers.remove(at))
    }
}

/// A program that was built beside this one, or is on the PATH.
pub(super) fn beside(name: &str) -> anyhow::Result<PathBuf> {
    let here = std::env::current_exe()?.with_file_name(name);
    Ok(if here.exists() { here } else { name.into() })
}

/// Prometheus, ready; and where it is.
pub(super) async fn prometheus(group: &Group, http: &Http) -> anyhow::Result<(Process, String)> {
    let targets = group.folder().join(TARGETS_FILE);
    let config = json!({
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [{
            "job_name": "shop",
            "file_sd_configs": [{"files": [targets], "refresh_interval": "1s"}],
        }],
    });
    let config = group.write("prometheus.json", &config.to_string())?;
    let address = format!("127.0.0.1:{}", free_port()?);
    let mut command = Command::new("prometheus");
    command
        .arg(argument("--config.file", &config))
        .arg(argument(
            "--storage.tsdb.path",
            &group.folder().join("data"),
        ))
        .arg(format!("--web.listen-address={address}"));
    let mut process = group
        .start("prometheus", command, |_| {})
        .context("is it installed? On Debian: apt-get install prometheus")?;
    let url = format!("http://{address}");
    until("Prometheus becomes ready", async || {
        process.must_run()?;
        Ok(http.get(&format!("{url}/-/ready")).await.ok())
    })
    .await?;
    Ok((process, url))
}

/// Redis. Its changes are in a file, so that a restart loses nothing. It is stopped by SIGTERM,
/// before whose end it flushes that file; so it need not do so in between, which would make it wait
/// for a slow disk.
pub(super) fn redis(group: &Group, port: u16) -> anyhow::Result<Process> {
    let mut command = Command::new("redis-server");
    command
        .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
        .args(["--appendonly", "yes", "--appendfsync", "no"])
        .args(["--save", "", "--dir"])
        .arg(group.folder());
    group
        .start(REDIS, command, |_| {})
        .context("is it installed? On Debian: apt-get install redis-server")
}

/// The adapter as a process of its own, and the queries that it logs.
pub(super) struct Adapter {
    pub(super) process: Process,
    pub(super) url: String,
    page: Arc<OnceLock<String>>,
    last_query: Arc<Mutex<Option<String>>>,
}

impl Adapter {
    pub(super) async fn start(group: &Group, prometheus: &str) -> anyhow::Result<Adapter> {
        let rules = group.write("rules.json", &rules()?)?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg(argument("--config", &rules))
            .arg(argument("--standalone", &group.folder().join(OBJECTS_FILE)))
            .arg(format!("--prometheus-url={prometheus}"))
            .args(["--secure-port=0", "--status-address=127.0.0.1:0"])
            .args(["--metrics-relist-interval=1s", "--v=6", "--log-format=json"]);
        let (heard_url, page) = (Arc::new(OnceLock::new()), Arc::new(OnceLock::new()));
        let heard_query = Arc::new(Mutex::new(None));
        let (hear_url, last_query) = (Arc::clone(&heard_url), Arc::clone(&heard_query));
        let hear_page = Arc::clone(&page);
        let hear = move |line: &str| {
            let Ok(event) = serde_json::from_str::<Value>(line) else {
                return;
            };
            let message = event["message"].as_str().unwrap_or_default();
            if let Some((_, url)) = message.split_once("listening on ") {
                // It is said once.
                let _ = hear_url.set(url.to_owned());
            }
            if let Some(page) = message.strip_prefix("status page: ") {
                let _ = hear_page.set(page.to_owned());
            }
            if let Some(query) = event["promql"].as_str() {
                let mut last = heard_query.lock().unwrap_or_else(PoisonError::into_inner);
                *last = Some(query.to_owned());
            }
        };
        let mut process = group.start(ADAPTER, command, hear)?;
        let url = until("the adapter listens", async || {
            process.must_run()?;
            Ok(heard_url.get().cloned())
        });
        Ok(Adapter {
            url: url.await?,
            process,
            page,
            last_query,
        })
    }

    /// Where its status page is, once it has said so.
    pub(super) fn page(&self) -> Option<String> {
        self.page.get().cloned()
    }

    /// The query that the last ask became.
    pub(super) fn last_query(&self) -> Option<String> {
        let last = self.last_query.lock();
        last.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The rules of manifests/example with short windows, and with CPU and memory as the processes tell
/// them, for there is no kubelet.
fn rules() -> anyhow::Result<String> {
    let read = |text: &str| -> anyhow::Result<Value> {
        let short = text.replace(&format!("[{WINDOW}]"), &format!("[{SHORT_WINDOW}]"));
        let short = short.replace(
            &format!("window: {WINDOW}"),
            &format!("window: {SHORT_WINDOW}"),
        );
        Ok(serde_saphyr::from_str(&short)?)
    };
    let mut rules = read(RULES).context("adapter-rules.yaml")?;
    let mut others = read(RESOURCE_RULES).context("adapter-rules-process.yaml")?;
    rules["resourceRules"] = others["resourceRules"].take();
    Ok(rules.to_string())
}

fn argument(flag: &str, path: &Path) -> std::ffi::OsString {
    let mut argument = std::ffi::OsString::from(format!("{flag}="));
    argument.push(path);
    argument
}

/// Asks the kernel for a free port of loopback.
pub(super) fn free_port() -> anyhow::Result<u16> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    Ok(listener.local_addr()?.port())
}

/// The queries that the adapter sends to Prometheus, from some time on.
pub(super) struct Queries {
    adapter: String,
    before: u64,
}

impl Queries {
    /// From now on.
    pub(super) async fn from_now(http: &Http, adapter: &str) -> anyhow::Result<Queries> {
        Ok(Queries {
            before: sent(http, adapter).await?,
            adapter: adapter.to_owned(),
        })
    }

    /// How many there were.
    pub(super) async fn count(&self, http: &Http) -> anyhow::Result<u64> {
        let now = sent(http, &self.adapter).await?;
        now.checked_sub(self.before)
            .context("the adapter must count upwards")
    }
}

/// How many queries the adapter has sent since its start.
async fn sent(http: &Http, adapter: &str) -> anyhow::Result<u64> {
    let metrics = http.get(&format!("{adapter}/metrics")).await?;
    let requests = "tidegauge_upstream_requests_total{";
    Ok(total(&metrics, requests, "kind=\"query\""))
}

/// The sum of the samples of a metric that have a label.
fn total(metrics: &str, name: &str, label: &str) -> u64 {
    let samples = metrics
        .lines()
        .filter(|line| line.starts_with(name) && line.contains(label));
    let values = samples.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    values.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_are_those_of_the_example_with_short_windows_and_no_kubelet() {
        let rules = rules().unwrap();
        assert!(rules.contains("[5s]") && !rules.contains("1m"), "{rules}");
        assert!(rules.contains("process_cpu_seconds_total") && !rules.contains("container_cpu"));
        if let Err(findings) = crate::rules::parse(&rules) {
            panic!("{findings:?}");
        }
    }

    #[test]
    fn samples_of_one_label_are_added() {
        let metrics = "# TYPE a counter\na_total{kind=\"query\",outcome=\"ok\"} 3\n\
                       a_total{kind=\"names\",outcome=\"ok\"} 5\n\
                       a_total{kind=\"query\",outcome=\"timeout\"} 1\n";
        assert_eq!(total(metrics, "a_total{", "kind=\"query\""), 4);
        assert_eq!(total(metrics, "a_total{", ""), 9);
    }
}
