//! `tidegauge test`: series in, asks as autoscalers make them, values out.
//!
//! `file` reads the tests, `notation` their series; `storage` starts a Prometheus that holds them,
//! by `remote_write`; `app::local` is the adapter over it at one moment; `expected` compares and
//! `report` tells.

use std::io::{IsTerminal, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use tokio::time::Instant;

use super::processes::Group;
use super::{failed, stopped, written};
use crate::app::local::Local;
use crate::app::rules::{Mistakes, compile};
use crate::app::stop::told_to_stop;
use crate::config::rules::{Test as Flags, TestOutput, Upstream};
use crate::reload::config;
use crate::rules::{Rules, render_findings};
use expected::{Answer, Difference};
use file::{Test, TestFile};
use storage::Storage;

mod expected;
mod file;
mod notation;
mod remote_write;
mod report;
mod storage;

/// Something is not as expected.
const FAILED: u8 = 1;

/// The flags, the files or Prometheus are not usable.
const UNUSABLE: u8 = 2;

/// As of a process that SIGINT ended.
const STOPPED: u8 = 130;

/// After so long a terminal is told what is being done.
const PATIENCE: Duration = Duration::from_secs(2);

/// No file of tests is larger.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// What came of one test.
struct Outcome {
    file: String,
    name: String,
    line: usize,
    took: Duration,
    asks: Vec<Asked>,
}

/// What came of one ask.
struct Asked {
    line: usize,
    ask: String,
    time: String,
    /// Empty where all is as expected.
    differences: Vec<Difference>,
}

impl Outcome {
    fn is_well(&self) -> bool {
        self.asks.iter().all(|ask| ask.differences.is_empty())
    }
}

/// One file of tests with the rules that it is about.
struct Loaded {
    name: String,
    file: TestFile,
    rules: Arc<Rules>,
}

/// Runs the tests that the arguments name.
pub async fn run() -> ExitCode {
    let flags = match Flags::from_process() {
        Ok(flags) => flags,
        Err(stop) => return stopped(&stop),
    };
    let outcome = tokio::select! {
        outcome = run_all(&flags) => outcome,
        () = told_to_stop() => return ExitCode::from(STOPPED),
    };
    match outcome {
        Ok(outcomes) => {
            let color = !flags.plain && std::io::stdout().is_terminal();
            let report = match flags.output {
                TestOutput::Text => report::text(&outcomes, color),
                TestOutput::Json => report::json(&outcomes),
                TestOutput::Junit => report::junit(&outcomes),
            };
            let is_well = outcomes.iter().all(Outcome::is_well);
            written(&report, if is_well { 0 } else { FAILED })
        }
        Err(error) => failed("test", &error, UNUSABLE),
    }
}

async fn run_all(flags: &Flags) -> anyhow::Result<Vec<Outcome>> {
    let color = !flags.plain && std::io::stderr().is_terminal();
    let loaded = flags.files.iter().map(|path| load(path, color));
    let mut loaded = loaded.collect::<anyhow::Result<Vec<Loaded>>>()?;
    if let Some(wanted) = &flags.run {
        for one in &mut loaded {
            one.file.tests.retain(|test| test.name.contains(wanted));
        }
        if loaded.iter().all(|one| one.file.tests.is_empty()) {
            bail!("--run={wanted}: no test has this in its name");
        }
    }
    let group = Group::new("test")?;
    let outcomes = run_in(&group, flags, &loaded).await;
    let ended = group.end().await;
    let outcomes = outcomes?;
    ended?;
    Ok(outcomes)
}

async fn run_in(group: &Group, flags: &Flags, loaded: &[Loaded]) -> anyhow::Result<Vec<Outcome>> {
    let count: usize = loaded.iter().map(|it| it.file.tests.len()).sum();
    let mut progress = Progress::new(count);
    let mut outcomes = Vec::new();
    for Loaded { name, file, rules } in loaded {
        for test in &file.tests {
            progress.next(&test.name);
            let started = Instant::now();
            let folder = format!("{}", outcomes.len());
            let storage = Storage::start(group, &flags.prometheus, &folder, &test.series).await?;
            let asks = asks(test, rules, &storage).await;
            let asks = asks.with_context(|| format!("{name}:{}: {}", test.line, test.name))?;
            outcomes.push(Outcome {
                file: name.clone(),
                name: test.name.clone(),
                line: test.line,
                took: started.elapsed(),
                asks,
            });
        }
    }
    progress.end();
    Ok(outcomes)
}

async fn asks(test: &Test, rules: &Arc<Rules>, storage: &Storage) -> anyhow::Result<Vec<Asked>> {
    let upstream = Upstream::at(&storage.url).map_err(|stop| anyhow!("{stop}"))?;
    let local = Local::listed(rules, &test.objects, upstream.flags()).await?;
    let mut asked = Vec::new();
    for question in &test.asks {
        let (code, body) = local.get(&question.path, question.at).await?;
        let answer = Answer::read(code, &body);
        let answer = answer.map_err(|error| anyhow!("{}: {error}", question.text))?;
        asked.push(Asked {
            line: question.line,
            ask: question.text.clone(),
            time: question.time.clone(),
            differences: question.expected.differences(&answer),
        });
    }
    Ok(asked)
}

fn load(path: &Path, color: bool) -> anyhow::Result<Loaded> {
    let name = path.display().to_string();
    let text = text_of(path)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let file = file::read(&text, folder).map_err(|findings| {
        let frames = render_findings(&findings, &text, &name, color);
        anyhow!("the tests cannot be used\n{frames}")
    })?;
    let files = config::read(&file.rule_files).context("rule_files")?;
    let compiled = compile(&files, color);
    let (rules, _) = compiled
        .map_err(|Mistakes { frames, .. }| anyhow!("the rules cannot be used\n{frames}"))?;
    Ok(Loaded {
        name,
        file,
        rules: Arc::new(rules),
    })
}

fn text_of(path: &Path) -> anyhow::Result<String> {
    let name = path.display().to_string();
    let length = std::fs::metadata(path)
        .with_context(|| format!("reading {name}"))?
        .len();
    if length > FILE_BYTES_MAX {
        bail!("{name} has more than {FILE_BYTES_MAX} bytes");
    }
    std::fs::read_to_string(path).with_context(|| format!("reading {name}"))
}

/// Tells a terminal which test runs, once it takes a while.
struct Progress {
    count: usize,
    done: usize,
    began: Instant,
    shown: bool,
}

impl Progress {
    fn new(count: usize) -> Progress {
        Progress {
            count,
            done: 0,
            began: Instant::now(),
            shown: false,
        }
    }

    fn next(&mut self, name: &str) {
        self.done += 1;
        let mut terminal = std::io::stderr();
        if terminal.is_terminal() && self.began.elapsed() >= PATIENCE {
            let name: String = name.chars().filter(|c| !c.is_control()).take(50).collect();
            // Nobody listening is no reason to fail.
            let _ = write!(terminal, "\r\x1b[K{}/{}: {name}", self.done, self.count);
            self.shown = true;
        }
    }

    fn end(&self) {
        if self.shown {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
