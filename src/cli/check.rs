//! `tidegauge check`: what is wrong with rules, without a cluster.
//!
//! `sources` finds the texts, `embedded` those in ConfigMaps, `values` those of Helm; `set` has
//! those that a server would read as one judged by `crate::rules` and `crate::check`; `upstream`
//! asks Prometheus what they find; the rest writes the report.

use std::io::IsTerminal;
use std::process::ExitCode;

use super::{failed, stopped, written};
use crate::config::rules::{Check, CheckOutput};
use crate::rules::{Code, Severity};
use set::{Checked, Set};
use upstream::Found;

mod embedded;
mod github;
mod json;
mod sarif;
mod set;
mod sources;
mod text;
mod upstream;
mod values;

/// The flags are wrong, or a file cannot be read.
const UNUSABLE: u8 = 2;

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
            rules: all.iter().map(|it| it.count).sum(),
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
    let all = match checked(&flags).await {
        Ok(all) => all,
        Err(error) => return failed("check", &error, UNUSABLE),
    };
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

/// All texts, judged set by set.
async fn checked(flags: &Check) -> anyhow::Result<Vec<Checked>> {
    let mut all = Vec::new();
    for sources in sources::read(&flags.files, flags.together)? {
        let mut set = Set::new(sources)?;
        if let Some(from) = &flags.upstream {
            upstream::ask(&mut set, from).await?;
        }
        all.extend(set.into_files());
    }
    Ok(all)
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
