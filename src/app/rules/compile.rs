//! What rules files hold, made into rules.

use std::borrow::Cow;

use crate::reload::config::ConfigFile;
use crate::rules::{self, File, Finding, Findings, Rules, Severity};

/// Findings of all files that are written out, at most.
const FRAMES_MAX: usize = 100;

/// Why no rules come of files.
#[derive(Debug, thiserror::Error)]
#[error("{first}")]
pub(crate) struct Mistakes {
    /// The first of them, on one line, as `rules.yaml:12:5: rules[0].name: message`.
    first: String,
    /// All of them, as code frames.
    pub(crate) frames: String,
}

/// The findings about one file.
struct Found<'a> {
    path: &'a str,
    text: Cow<'a, str>,
    findings: Vec<Finding>,
}

fn found((file, findings): (&ConfigFile, Vec<Finding>)) -> Found<'_> {
    Found {
        path: &file.path,
        text: String::from_utf8_lossy(&file.bytes),
        findings,
    }
}

/// The rules of the files, read as one, and the warnings of reading each.
///
/// # Errors
/// They have mistakes; `color` is for their frames.
pub(crate) fn compile(files: &[ConfigFile], color: bool) -> Result<(Rules, Findings), Mistakes> {
    let decoded = texts(files);
    let unreadable: Vec<_> = files
        .iter()
        .zip(&decoded)
        .filter_map(|(file, text)| Some(found((file, text.as_ref().err()?.clone()))))
        .collect();
    if !unreadable.is_empty() {
        return Err(mistakes(&unreadable, color));
    }
    let texts: Vec<File<'_>> = decoded.into_iter().flatten().collect();
    rules::parse_files(&texts).map_err(|findings| {
        let found: Vec<Found<'_>> = files.iter().zip(findings).map(found).collect();
        mistakes(&found, color)
    })
}

/// What the files hold.
pub(super) fn texts(files: &[ConfigFile]) -> Vec<Result<File<'_>, Vec<Finding>>> {
    files.iter().map(text).collect()
}

fn text(file: &ConfigFile) -> Result<File<'_>, Vec<Finding>> {
    let name = file.name.as_deref();
    rules::decode(&file.bytes).map(|text| File { name, text })
}

fn mistakes(found: &[Found<'_>], color: bool) -> Mistakes {
    let errors = found.iter().flat_map(|file| {
        let errors = file.findings.iter();
        let errors = errors.filter(|it| it.severity == Severity::Error);
        errors.map(move |it| (file.path, it))
    });
    let errors: Vec<(&str, &Finding)> = errors.collect();
    let first = errors.first().map(|(path, it)| {
        let place = format!("{path}:{}:{}", it.line, it.column);
        match it.field.as_str() {
            "" => format!("{place}: {}", it.message),
            field => format!("{place}: {field}: {}", it.message),
        }
    });
    let mut first = first.unwrap_or_default();
    if errors.len() > 1 {
        first.push_str(&format!(" (and {} more)", errors.len() - 1));
    }
    Mistakes {
        first,
        frames: frames(found, color),
    }
}

/// Findings as code frames, the first of them where there are very many.
fn frames(found: &[Found<'_>], color: bool) -> String {
    let mut left = FRAMES_MAX;
    let mut shown = Vec::new();
    for file in found.iter().filter(|it| !it.findings.is_empty()) {
        let some = &file.findings[..file.findings.len().min(left)];
        left -= some.len();
        if !some.is_empty() {
            shown.push(rules::render_findings(some, &file.text, file.path, color));
        }
    }
    let all: usize = found.iter().map(|it| it.findings.len()).sum();
    if all > FRAMES_MAX {
        shown.push(format!("and {} more findings, not shown", all - FRAMES_MAX));
    }
    shown.join("\n\n")
}
