//! The report for programs.

use serde_json::{Value, json};

use super::{Checked, Counts, Found};
use crate::rules::{Finding, Severity};

/// One object: `files`, each with its findings and rules, and `summary`.
pub(super) fn report(all: &[Checked], counts: Counts) -> String {
    let files: Vec<Value> = all.iter().map(file).collect();
    let report = json!({
        "files": files,
        "summary": {
            "files": counts.files,
            "rules": counts.rules,
            "errors": counts.errors,
            "warnings": counts.warnings,
            "notes": counts.notes,
        },
    });
    format!("{report:#}\n")
}

fn file(checked: &Checked) -> Value {
    let findings = checked.findings.iter();
    let findings: Vec<Value> = findings.map(|it| finding(it, &checked.text)).collect();
    let rules = checked.summaries.iter().map(|it| {
        let found = checked.found.iter().find(|found| found.rule == it.rule);
        json!({
            "rule": it.rule.in_file(),
            "line": it.line,
            "seriesQuery": it.series,
            "makes": it.makes,
            "kinds": it.kinds,
            "oneQueryFor": it.asked_for,
            "found": found.map(self::found),
        })
    });
    json!({
        "file": checked.name,
        "loads": checked.loads,
        "findings": findings,
        "rules": rules.collect::<Vec<_>>(),
    })
}

fn found(found: &Found) -> Value {
    json!({
        "seriesNames": found.series,
        "metrics": found.metrics,
        "kinds": found.kinds,
        "error": found.failure,
    })
}

fn finding(finding: &Finding, text: &str) -> Value {
    let (end_line, end_column) = end(finding, text);
    json!({
        "severity": word(finding.severity),
        "code": finding.code.slug(),
        "line": finding.line,
        "column": finding.column,
        "endLine": end_line,
        "endColumn": end_column,
        "field": finding.field,
        "message": finding.message,
        "help": finding.help,
    })
}

/// The word for it in JSON and SARIF.
pub(super) fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

/// Line and column of the first character behind a finding, from 1; a finding of nothing is one
/// character wide.
pub(super) fn end(finding: &Finding, text: &str) -> (usize, usize) {
    let covered = text.get(finding.span.clone()).unwrap_or_default();
    match covered.rsplit_once('\n') {
        Some((above, last)) => {
            let line = finding.line + above.matches('\n').count() + 1;
            (line, last.chars().count() + 1)
        }
        None => (
            finding.line,
            finding.column + covered.chars().count().max(1),
        ),
    }
}
