//! The report for code scanning: SARIF 2.1.0.
//!
//! (OASIS Standard, `sarif-v2.1.0-errata01-os`: 3.13 log file, 3.14 run, 3.19 tool component, 3.27
//! result, 3.29 physical location, 3.30 region.)

use std::collections::BTreeSet;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Value, json};

use super::Checked;
use super::json::{end, word};
use crate::rules::{Code, Finding};

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// What cannot stand in a relative reference (RFC 3986); `:` would make a scheme of what is before.
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b':')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// One run with all findings.
pub(super) fn report(all: &[Checked]) -> String {
    let findings = all.iter().flat_map(|it| &it.findings);
    let codes: BTreeSet<Code> = findings.map(|it| it.code).collect();
    let codes: Vec<Code> = codes.into_iter().collect();
    let rules = codes.iter().map(|code| {
        json!({
            "id": code.slug(),
            "shortDescription": {"text": code.meaning()},
        })
    });
    let results = all.iter().flat_map(|checked| {
        let findings = checked.findings.iter();
        findings.map(|finding| result(finding, checked, &codes))
    });
    let report = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "tidegauge check",
                "version": env!("CARGO_PKG_VERSION"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules.collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": results.collect::<Vec<_>>(),
        }],
    });
    format!("{report:#}\n")
}

fn result(finding: &Finding, checked: &Checked, codes: &[Code]) -> Value {
    let (end_line, end_column) = end(finding, &checked.text);
    let help = finding.help.as_ref().map(|help| format!(" ({help})"));
    let field = match finding.field.as_str() {
        "" => String::new(),
        field => format!("{field}: "),
    };
    let text = format!("{field}{}{}", finding.message, help.unwrap_or_default());
    json!({
        "ruleId": finding.code.slug(),
        "ruleIndex": codes.iter().position(|code| *code == finding.code),
        "level": word(finding.severity),
        "message": {"text": text},
        "locations": [{"physicalLocation": {
            "artifactLocation": {"uri": uri(&checked.name)},
            "region": {
                "startLine": finding.line,
                "startColumn": finding.column,
                "endLine": end_line,
                "endColumn": end_column,
            },
        }}],
    })
}

/// A relative reference, or one to this machine.
fn uri(name: &str) -> String {
    let path = utf8_percent_encode(name, PATH).to_string();
    match name.starts_with('/') {
        true => format!("file://{path}"),
        false => path.strip_prefix("./").unwrap_or(&path).to_owned(),
    }
}
