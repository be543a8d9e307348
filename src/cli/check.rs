//! `tidegauge check`: what is wrong with rules, without a cluster.
//!
//! `sources` finds the texts, `embedded` those in ConfigMaps; `crate::rules` and `crate::check`
//! judge them; `upstream` asks Prometheus what they find; the rest writes the report.

use std::io::{IsTerminal, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use crate::check::{self, Summary};
use crate::config::Stop;
use crate::config::rules::{Check, CheckOutput};
use crate::rules::{self, Code, Finding, Rules, Severity};
use sources::Source;
use upstream::Found;

mod embedded;
mod github;
mod json;
mod sarif;
mod sources;
mod text;
mod upstream;

/// The flags are wrong, or a file cannot be read.
const UNUSABLE: u8 = 2;

/// As of a process that wrote where nobody reads.
const NOBODY_READS: u8 = 141;

/// One text of rules, and all that is found.
struct Checked {
    /// The file's name, as it was given.
    name: String,
    /// The whole file, also where the rules are a part of it.
    text: String,
    /// `None` where it cannot be loaded.
    rules: Option<Arc<Rules>>,
    findings: Vec<Finding>,
    summaries: Vec<Summary>,
    /// What Prometheus says of each rule; empty where nobody asked.
    found: Vec<Found>,
}

impl Checked {
    fn new(source: Source) -> Checked {
        let Source { name, text, rules } = source;
        let read = match rules {
            Ok(rules) => rules::parse(&rules),
            Err(findings) => Err(findings),
        };
        let (rules, findings) = match read {
            Ok((rules, mut findings)) => {
                let rules = Arc::new(rules);
                findings.extend(check::lint(&rules, &text, &findings));
                findings.sort_by_key(|it| (it.span.start, it.severity));
                (Some(rules), findings)
            }
            Err(findings) => (None, findings),
        };
        Checked {
            summaries: rules
                .as_ref()
                .map(|it| check::summaries(it))
                .unwrap_or_default(),
            name,
            text,
            rules,
            findings,
            found: Vec::new(),
        }
    }

    fn rule_count(&self) -> usize {
        let resource = |rules: &Rules| 2 * usize::from(rules.resource.is_some());
        let count =
            |rules: &Arc<Rules>| rules.custom.len() + rules.external.len() + resource(rules);
        self.rules.as_ref().map_or(0, count)
    }
}

/// How many findings there are of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    files: usize,
    rules: usize,
    errors: usize,
    warnings: usize,
    notes: usize,
}

impl Counts {
    fn of(all: &[Checked]) -> Counts {
        let findings = all.iter().flat_map(|it| &it.findings);
        let count = |severity| {
            findings
                .clone()
                .filter(|it| it.severity == severity)
                .count()
        };
        Counts {
            files: all.len(),
            rules: all.iter().map(Checked::rule_count).sum(),
            errors: count(Severity::Error),
            warnings: count(Severity::Warning),
            notes: count(Severity::Note),
        }
    }
}

/// Checks what the arguments name.
pub async fn run() -> ExitCode {
    let flags = match Check::from_process() {
        Ok(flags) => flags,
        Err(stop) => return stopped(&stop),
    };
    if flags.list {
        return written(&listed(), 0);
    }
    let sources = match sources::read(&flags.files) {
        Ok(sources) => sources,
        Err(error) => return unusable(&error),
    };
    let mut all: Vec<Checked> = sources.into_iter().map(Checked::new).collect();
    if let Some(from) = &flags.upstream {
        for checked in &mut all {
            if let Err(error) = upstream::ask(checked, from).await {
                return unusable(&error);
            }
        }
    }
    let counts = Counts::of(&all);
    let report = match flags.output {
        CheckOutput::Text => {
            let color = !flags.plain && std::io::stdout().is_terminal();
            text::report(&all, counts, flags.verbose, color)
        }
        CheckOutput::Json => json::report(&all, counts),
        CheckOutput::Sarif => sarif::report(&all),
        CheckOutput::Github => github::report(&all, counts, flags.verbose),
    };
    let fails = counts.errors > 0 || (flags.strict && counts.warnings > 0);
    written(&report, u8::from(fails))
}

/// Prints what was asked for; nobody who reads is an end of its own.
pub(super) fn written(text: &str, code: u8) -> ExitCode {
    let mut output = std::io::stdout().lock();
    match output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
    {
        Ok(()) => ExitCode::from(code),
        Err(_) => ExitCode::from(NOBODY_READS),
    }
}

/// Help, or what is wrong with the flags.
pub(super) fn stopped(stop: &Stop) -> ExitCode {
    match stop {
        Stop::Asked(text) => written(text, stop.code()),
        Stop::Wrong(text) => {
            // Nobody listening is no reason to fail otherwise.
            let _ = std::io::stderr().write_all(text.as_bytes());
            ExitCode::from(stop.code())
        }
    }
}

fn unusable(error: &anyhow::Error) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "tidegauge check: {error:#}");
    ExitCode::from(UNUSABLE)
}

/// All codes, each with what it means.
fn listed() -> String {
    let widest = Code::ALL.iter().map(|(_, slug, _)| slug.len()).max();
    let widest = widest.unwrap_or_default();
    let lines = Code::ALL.iter();
    let lines = lines.map(|(_, slug, meaning)| format!("{slug:widest$}  {meaning}\n"));
    lines.collect()
}

#[cfg(test)]
mod tests;
