//! The report as annotations of a GitHub Actions workflow.
//!
//! (`actions/toolkit`, `packages/core/src/command.ts`: what is escaped in data and in properties.)

use super::json::end;
use super::text::summary;
use super::{Checked, Counts};
use crate::rules::{Finding, Severity};

/// A workflow command for each finding, and a line that sums up.
pub(super) fn report(all: &[Checked], counts: Counts, verbose: bool) -> String {
    let mut report = String::new();
    for checked in all {
        for finding in &checked.findings {
            if verbose || finding.severity != Severity::Note {
                report += &command(finding, checked);
            }
        }
    }
    report + &summary(counts) + "\n"
}

fn command(finding: &Finding, checked: &Checked) -> String {
    let word = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    };
    let (end_line, end_column) = end(finding, &checked.text);
    let help = finding.help.as_ref().map(|help| format!("\n{help}"));
    let text = format!("{}{}", finding.message, help.unwrap_or_default());
    format!(
        "::{word} file={},line={},endLine={end_line},col={},endColumn={end_column},title={}::{}\n",
        property(&checked.name),
        finding.line,
        finding.column,
        property(finding.code.slug()),
        data(&text),
    )
}

fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
