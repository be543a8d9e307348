//! A Prometheus of its own for each test, that holds the test's series and nothing else.
//!
//! `promtool test rules` evaluates expressions, but it cannot tell their values, and what is asked
//! here only becomes an expression on its way through the adapter. So a real server gets the series
//! by remote write, which unlike `promtool tsdb create-blocks-from openmetrics` can also say that a
//! series has ended. The series begin at the Unix epoch, as promtool's do: `time()` is the seconds
//! of `eval_time`, and nothing depends on the clock.

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::file::Series;
use super::notation::Sample;
use super::remote_write;
use crate::cli::processes::{Group, Process};

/// How long it may take to start on a busy machine.
const START: Duration = Duration::from_secs(60);

const PAUSE: Duration = Duration::from_millis(20);

/// How many free ports are tried.
const PORTS: usize = 3;

/// Samples are sent by time, for a server takes none that is an hour older than its newest
/// (`tsdb/head_append.go`, `appendableMinValidTime`).
const SPAN: i64 = 30 * 60 * 1000;

/// About how many samples one request holds.
const REQUEST_SAMPLES: usize = 20_000;

/// A server that runs, and where.
pub(super) struct Storage {
    process: Process,
    pub(super) url: String,
}

impl Storage {
    /// Starts `program` with a folder of its own called `name`, and gives it `series`.
    ///
    /// # Errors
    /// The program is missing or too old, or does not take the series.
    pub(super) async fn start(
        group: &Group,
        program: &PathBuf,
        name: &str,
        series: &[Series],
    ) -> anyhow::Result<Storage> {
        let client = reqwest::Client::builder().no_proxy().build();
        let client = client.context("making an HTTP client")?;
        let mut failure = None;
        for attempt in 0..PORTS {
            let folder = format!("{name}-{attempt}");
            let mut storage = Storage::launch(group, program, &folder)?;
            match storage.ready(&client).await {
                Ok(()) => {
                    storage.fill(&client, series).await?;
                    return Ok(storage);
                }
                // Somebody was faster.
                Err(error) if error.to_string().contains("address already in use") => {
                    failure = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(failure.context("no port was tried")?)
    }

    fn launch(group: &Group, program: &PathBuf, name: &str) -> anyhow::Result<Storage> {
        let config = group.write(&format!("{name}.yml"), "{}")?;
        let free = TcpListener::bind(("127.0.0.1", 0)).and_then(|free| free.local_addr());
        let address = free.context("looking for a free port")?;
        let argument = |flag: &str, path: &PathBuf| {
            let mut argument = std::ffi::OsString::from(format!("{flag}="));
            argument.push(path);
            argument
        };
        let mut command = Command::new(program);
        command
            .arg(argument("--config.file", &config))
            .arg(argument("--storage.tsdb.path", &group.folder().join(name)))
            .arg(format!("--web.listen-address={address}"))
            .args(["--web.enable-remote-write-receiver", "--log.level=warn"]);
        let process = group.start("prometheus", command, |_| {});
        let process = process.with_context(|| {
            format!(
                "these tests are evaluated by a real Prometheus, and {} cannot be started: install \
                 it (Debian and Ubuntu: apt-get install prometheus; macOS: brew install \
                 prometheus; else https://prometheus.io/download), or name it by --prometheus=FILE",
                program.display()
            )
        })?;
        Ok(Storage {
            process,
            url: format!("http://{address}"),
        })
    }

    async fn ready(&mut self, client: &reqwest::Client) -> anyhow::Result<()> {
        let deadline = Instant::now() + START;
        let url = format!("{}/-/ready", self.url);
        loop {
            let answer = client.get(&url).send().await;
            // Whoever answers is not ours if ours has ended.
            self.process
                .must_run()
                .context("Prometheus does not run (2.33 or newer is needed)")
                .map_err(|error| anyhow::anyhow!("{error:#}"))?;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("Prometheus is not ready after {START:?}");
            }
            sleep(PAUSE).await;
        }
    }

    async fn fill(&self, client: &reqwest::Client, series: &[Series]) -> anyhow::Result<()> {
        for request in requests(series) {
            let answer = client
                .post(format!("{}/api/v1/write", self.url))
                .header("Content-Type", "application/x-protobuf")
                .header("Content-Encoding", "snappy")
                .header("X-Prometheus-Remote-Write-Version", "0.1.0")
                .body(request)
                .send()
                .await
                .context("sending the series to Prometheus")?;
            let status = answer.status();
            if !status.is_success() {
                let text = answer.text().await.unwrap_or_default();
                bail!(
                    "Prometheus does not take the series: {status}: {}",
                    text.trim()
                );
            }
        }
        Ok(())
    }
}

/// All samples, in requests that each hold those of one span of time.
fn requests(series: &[Series]) -> impl Iterator<Item = Vec<u8>> + '_ {
    let last = series.iter().map(|it| time(it, it.samples.len())).max();
    let spans = last.unwrap_or(0) / SPAN + 1;
    (0..spans).flat_map(move |span| {
        let (begin, end) = (span * SPAN, (span + 1) * SPAN);
        let mut batches: Vec<Vec<remote_write::Timed<'_>>> = vec![Vec::new()];
        let mut count = 0;
        for one in series {
            let samples = one.samples.iter().enumerate();
            let timed = samples.map(|(at, sample)| (time(one, at), *sample));
            let of_span = timed
                .filter(|(time, sample)| (begin..end).contains(time) && *sample != Sample::Missing);
            let of_span: Vec<_> = of_span.collect();
            if of_span.is_empty() {
                continue;
            }
            if count > REQUEST_SAMPLES {
                batches.push(Vec::new());
                count = 0;
            }
            count += of_span.len();
            if let Some(batch) = batches.last_mut() {
                batch.push((&one.labels, of_span));
            }
        }
        batches.retain(|batch| !batch.is_empty());
        batches
            .into_iter()
            .map(|batch| remote_write::request(&batch))
    })
}

/// When a sample of a series is, in milliseconds.
fn time(series: &Series, at: usize) -> i64 {
    let interval = i64::try_from(series.interval.as_millis()).unwrap_or(i64::MAX);
    let at = i64::try_from(at).unwrap_or(i64::MAX);
    interval.saturating_mul(at)
}
