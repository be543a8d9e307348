//! Rule files that people published, against what the Go adapter 0.12 makes of each: `make wild WILD=DIR`.
//!
//! DIR holds `NNN.yaml` files, `index.jsonl` (whether each loads, the names it lists, and the PromQL and
//! status of some requests) and `series.prom` (what Prometheus held). The files are other people's work
//! and not part of this repository, so this runs on request. Each file gets an adapter of its own; all
//! share one Prometheus. What differs is printed, except where `allowed` names the reason; nothing may.

// These are tests in all but the harness: a broken assumption ends the run, and what differs is printed.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]
// The files are shared with `it`, which uses the rest of them.
#![allow(unreachable_pub, dead_code)]

#[path = "../support/lib.rs"]
mod support;

mod allowed;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::Value;

use allowed::Allowed;
use support::adapter::Adapter;
use support::exporter::{self, Exporter};
use support::poll;
use support::prometheus::{Prometheus, TargetLabels};
use support::tap::Tap;

/// Adapters at one time.
const AT_ONCE: usize = 4;
/// From ready to all names listed.
const LISTED: Duration = Duration::from_secs(5);

/// The cluster of the recording: these, and the built-in kinds.
const OBJECTS: &str = "
{apiVersion: v1, kind: Namespace, metadata: {name: default}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: shop}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: bank}}
---
{apiVersion: v1, kind: Node, metadata: {name: node-1}}
---
{apiVersion: v1, kind: Node, metadata: {name: node-2}}
---
{apiVersion: v1, kind: Pod, metadata: {name: teller-a, namespace: bank}, spec: {nodeName: node-1}}
";

/// What the Go adapter made of one file.
#[derive(Deserialize)]
struct Recorded {
    file: String,
    verdict: Verdict,
    error: Option<String>,
    custom: BTreeSet<String>,
    external: BTreeSet<String>,
    queries: Vec<Query>,
}

#[derive(Deserialize, PartialEq, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Loads,
    Refuses,
}

/// One request and what it came to.
#[derive(Deserialize)]
struct Query {
    path: String,
    #[serde(default, deserialize_with = "one_or_many")]
    promql: Vec<String>,
    status: u16,
    /// Prometheus' own status, where it refused.
    prometheus_status: Option<u16>,
    message: Option<String>,
}

fn one_or_many<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Promql {
        One(String),
        Many(Vec<String>),
        None(()),
    }
    Ok(match Promql::deserialize(from)? {
        Promql::One(promql) => vec![promql],
        Promql::Many(promql) => promql,
        Promql::None(()) => Vec::new(),
    })
}

/// What one file came to.
#[derive(Default)]
struct Outcome {
    requests: usize,
    differs: Vec<String>,
    allowed: BTreeMap<Allowed, usize>,
}

impl Outcome {
    fn allow(&mut self, reason: Allowed) {
        *self.allowed.entry(reason).or_default() += 1;
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    // The one input of this program; it has no flags because cargo starts it.
    #[allow(clippy::disallowed_methods)]
    let Ok(directory) = std::env::var("WILD") else {
        eprintln!("say where the rule files are: make wild WILD=DIR");
        return ExitCode::FAILURE;
    };
    let directory = PathBuf::from(directory);
    let read = |name: &str| match std::fs::read_to_string(directory.join(name)) {
        Ok(text) => text,
        Err(error) => panic!("{}: {error}", directory.join(name).display()),
    };
    let series = read("series.prom");
    let index = read("index.jsonl");
    let files: Vec<Recorded> = index
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();

    let started = Instant::now();
    let exporter = Exporter::start(move |elapsed| exporter::rising(&series, elapsed)).await;
    let labels = TargetLabels::Added {
        job: "wild",
        instance: "127.0.0.1:9187",
    };
    let prometheus = Arc::new(Prometheus::start(&[exporter.address], labels).await);
    // The shortest range in the files is five seconds: once it has a rate, every rate has one. The
    // coarsest subquery takes a point every two seconds, and a slope needs two of them.
    const SERIES: &str = "rabbitmq_global_messages_received_total";
    let rate = format!("rate({SERIES}[5s])");
    let slope = format!("deriv({SERIES}[1m:2s])");
    prometheus.wait_for(&[&rate, &slope]).await;

    let total = files.len();
    let mut outcomes = futures_util::stream::iter(&files)
        .map(async |file| (file, run(&directory, file, &prometheus).await))
        .buffer_unordered(AT_ONCE);
    let (mut done, mut requests, mut broken) = (0, 0, BTreeMap::new());
    let mut allowed: BTreeMap<Allowed, usize> = BTreeMap::new();
    while let Some((file, outcome)) = outcomes.next().await {
        done += 1;
        requests += outcome.requests;
        for (reason, count) in outcome.allowed {
            *allowed.entry(reason).or_default() += count;
        }
        if !outcome.differs.is_empty() {
            broken.insert(file.file.clone(), outcome.differs);
        }
        eprint!(
            "\r{done}/{total} files, {requests} requests, {} differ ",
            broken.len()
        );
    }
    eprintln!("in {:?}", started.elapsed());
    report(total, requests, &broken, &allowed)
}

fn report(
    total: usize,
    requests: usize,
    broken: &BTreeMap<String, Vec<String>>,
    allowed: &BTreeMap<Allowed, usize>,
) -> ExitCode {
    for (file, differs) in broken {
        println!("{file}\n    {}", differs.join("\n    "));
    }
    println!("different on purpose:");
    for (reason, count) in allowed {
        println!("    {count:4} {}", reason.why());
    }
    println!("{} files, {requests} requests", total);
    println!("{} passed, {} failed", total - broken.len(), broken.len());
    if broken.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Starts an adapter with one file and compares everything that is known of it.
async fn run(directory: &Path, recorded: &Recorded, prometheus: &Prometheus) -> Outcome {
    let mut outcome = Outcome::default();
    let rules = std::fs::read_to_string(directory.join(&recorded.file)).unwrap();
    let tap = Tap::start(&prometheus.url).await;
    let started = Adapter::standalone(OBJECTS, &rules, &tap.url, &[]).await;
    let error = recorded.error.as_deref().unwrap_or_default();
    let adapter = match (started, recorded.verdict) {
        (Err(refusal), Verdict::Refuses) if !allowed::loads_here(error) => {
            if refusal.stderr.trim().is_empty() || refusal.status.success() {
                outcome
                    .differs
                    .push(format!("refused without a word: {}", refusal.status));
            }
            return outcome;
        }
        (Err(refusal), _) => {
            outcome
                .differs
                .push(format!("refused: {}", refusal.stderr.trim()));
            return outcome;
        }
        (Ok(adapter), Verdict::Refuses) => {
            if !allowed::loads_here(error) {
                outcome
                    .differs
                    .push(format!("loads, but must be refused: {error}"));
            } else if !allowed::warns_of_kind(error, &adapter.stderr()) {
                outcome
                    .differs
                    .push(format!("no warning of what is missing: {error}"));
            } else {
                outcome.allow(Allowed::UnknownKind);
            }
            return outcome;
        }
        (Ok(adapter), Verdict::Loads) => adapter,
    };
    for (list, names) in [
        ("/apis/custom.metrics.k8s.io/v1beta1", &recorded.custom),
        ("/apis/external.metrics.k8s.io/v1beta1", &recorded.external),
    ] {
        if let Err(differs) = lists(&adapter, list, names).await {
            outcome.differs.push(differs);
        }
    }
    for query in &recorded.queries {
        outcome.requests += 1;
        ask(&adapter, &tap, prometheus, query, &mut outcome).await;
    }
    outcome
}

/// Waits until the list at `path` has exactly these names.
async fn lists(adapter: &Adapter, path: &str, names: &BTreeSet<String>) -> Result<(), String> {
    poll::try_until(path, LISTED, async || {
        let answer = adapter.get(path).await;
        let list: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        let Some(resources) = list["resources"].as_array() else {
            return Err(format!("{}: {}", answer.status, answer.body));
        };
        let name = |resource: &Value| resource["name"].as_str().unwrap_or_default().to_owned();
        let listed: BTreeSet<String> = resources.iter().map(name).collect();
        if listed == *names {
            return Ok(());
        }
        let missing: Vec<_> = names.difference(&listed).collect();
        let extra: Vec<_> = listed.difference(names).collect();
        Err(format!("missing {missing:?}, extra {extra:?}"))
    })
    .await
}

/// Sends one request and notes in what its answer or its PromQL differs.
async fn ask(
    adapter: &Adapter,
    tap: &Tap,
    prometheus: &Prometheus,
    query: &Query,
    outcome: &mut Outcome,
) {
    tap.take();
    let answer = adapter.get(&query.path).await;
    let (mut wanted, mut sent) = (query.promql.clone(), tap.take_queries());
    wanted.sort();
    sent.sort();
    let status = answer.status.as_u16();
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let message = body["message"].as_str().unwrap_or_default();

    if sent != wanted {
        outcome.differs.push(format!(
            "{}: PromQL {sent:?}, recorded {wanted:?}",
            query.path
        ));
    }
    let expected = allowed::expected(query, prometheus).await;
    if status != expected.status || !message.contains(&expected.message) {
        let allowed::Expected {
            status: wanted,
            message: text,
            ..
        } = expected;
        let path = &query.path;
        outcome.differs.push(format!(
            "{path}: {status} {message:?}, expected {wanted} {text:?}"
        ));
    } else if let Some(reason) = expected.reason {
        outcome.allow(reason);
    }
}
