//! The report for people.

use super::{Checked, Counts, Found};
use crate::check::Summary;
use crate::rules::{Code, Finding, Severity, render_with_codes};

/// Code frames, what the rules make, and a line that sums up.
pub(super) fn report(all: &[Checked], counts: Counts, verbose: bool, color: bool) -> String {
    let mut report = String::new();
    for checked in all {
        let is_shown = |it: &&Finding| verbose || it.severity != Severity::Note;
        let shown: Vec<Finding> = checked.findings.iter().filter(is_shown).cloned().collect();
        if !shown.is_empty() {
            report += &render_with_codes(&shown, &checked.text, &checked.name, color);
            report += "\n\n";
        }
        let found = found(&checked.found);
        if !found.is_empty() {
            let title = checked.title();
            report += &format!("{title}, as Prometheus has it now:\n{found}\n");
        } else if verbose && !checked.summaries.is_empty() {
            report += &format!("{}:\n{}\n", checked.title(), table(&checked.summaries));
        }
    }
    if all.iter().any(is_at_odds) {
        report += "Files of a folder, and keys of a ConfigMap, are read as one, as a server reads \
                   them. Name a file to check it by itself.\n\n";
    }
    report + &summary(counts) + "\n"
}

/// Whether something is wrong with a text for others that are read with it.
fn is_at_odds(checked: &Checked) -> bool {
    const OF_SEVERAL: [Code; 2] = [Code::GivenTwice, Code::NameCollision];
    let mut findings = checked.findings.iter();
    checked.is_one_of_several() && findings.any(|it| OF_SEVERAL.contains(&it.code))
}

/// `2 files, 14 rules: 1 error, 2 warnings`
pub(super) fn summary(counts: Counts) -> String {
    let many = |count: usize, word: &str| match count {
        1 => format!("1 {word}"),
        count => format!("{count} {word}s"),
    };
    let found = [(counts.errors, "error"), (counts.warnings, "warning")];
    let found = found.into_iter().filter(|(count, _)| *count > 0);
    let found: Vec<String> = found.map(|(count, word)| many(count, word)).collect();
    let found = match found.is_empty() {
        true => "nothing wrong".to_owned(),
        false => found.join(", "),
    };
    let notes = match counts.notes {
        0 => String::new(),
        notes => format!(" ({})", many(notes, "note")),
    };
    let (files, rules) = (many(counts.files, "file"), many(counts.rules, "rule"));
    format!("{files}, {rules}: {found}{notes}")
}

/// Each rule in a line.
fn table(summaries: &[Summary]) -> String {
    let mut rows = vec![["RULE", "LINE", "METRICS", "KINDS", "ONE QUERY FOR"].map(str::to_owned)];
    rows.extend(summaries.iter().map(|it| {
        let kinds = match it.kinds.is_empty() {
            true => "-".to_owned(),
            false => it.kinds.join(","),
        };
        let (rule, asked_for) = (it.rule.in_file(), it.asked_for.clone());
        [
            rule,
            it.line.to_string(),
            it.makes.clone(),
            kinds,
            asked_for,
        ]
    }));
    aligned(&rows)
}

/// What Prometheus holds for each rule.
fn found(found: &[Found]) -> String {
    if found.is_empty() {
        return String::new();
    }
    let mut rows =
        vec![["RULE", "LINE", "SERIES", "METRICS", "KINDS", "SUCH AS"].map(str::to_owned)];
    rows.extend(found.iter().map(|it| {
        let kinds = match it.kinds.is_empty() {
            true => "-".to_owned(),
            false => it.kinds.join(","),
        };
        let names = match &it.failure {
            Some(failure) => failure.clone(),
            None => it.samples(),
        };
        let (rule, line) = (it.rule.in_file(), it.line.to_string());
        [
            rule,
            line,
            it.series.to_string(),
            it.metrics.len().to_string(),
            kinds,
            names,
        ]
    }));
    aligned(&rows)
}

fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(&widths);
        let cells: Vec<String> = cells
            .map(|(cell, &width)| format!("{cell:width$}"))
            .collect();
        format!("  {}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}
