//! Reports, for people and for programs.

use proptest::prelude::*;
use serde_json::Value;

use super::sources::{Source, Text};
use super::*;
use crate::rules::Finding;

const RULES: &str = "\
rules:
- seriesQuery: 'hits_total{code=\"200\"}'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}}}
  metricsQuery: 'sum(rate(<<.Series>>{<<.LabelMatchers>>}[2m])) by (<<.GroupBy>>)'
";

fn checked(text: &str) -> Vec<Checked> {
    named("a b.yaml", text)
}

fn named(name: &str, text: &str) -> Vec<Checked> {
    let source = Source {
        name: name.to_owned(),
        text: text.to_owned(),
        config_map: None,
        rules: Text::InPlace(text.to_owned()),
    };
    Set::new(vec![source]).unwrap().into_files()
}

fn counts(all: &[Checked]) -> (usize, usize, usize) {
    let Counts {
        errors,
        warnings,
        notes,
        ..
    } = Counts::of(all);
    (errors, warnings, notes)
}

#[test]
fn a_person_sees_frames_with_codes_and_a_summary() {
    let all = checked(RULES);
    let report = text::report(&all, Counts::of(&all), false, false);
    assert!(
        report.starts_with("warning[matcher-ignored]: `code=\"200\"` only"),
        "{report}"
    );
    assert!(report.contains("--> a b.yaml:2:28"), "{report}");
    assert!(
        report.ends_with("1 file, 1 rule: 1 warning (2 notes)\n"),
        "{report}"
    );
    assert!(!report.contains("note["), "{report}");
    let report = text::report(&all, Counts::of(&all), true, false);
    assert!(report.contains("note[widening]"), "{report}");
    let table = "  RULE      LINE  METRICS     KINDS            ONE QUERY FOR\n  rules[0]  2     hits_total  namespaces,pods  all namespaces\n";
    assert!(report.contains(table), "{report}");
    let none = text::summary(Counts::default());
    assert_eq!(none, "0 files, 0 rules: nothing wrong");
}

#[test]
fn programs_get_the_findings_with_their_places() {
    let all = checked(RULES);
    let report: Value = serde_json::from_str(&json::report(&all, Counts::of(&all))).unwrap();
    assert_eq!(report["summary"]["warnings"], 1);
    let findings = report["files"][0]["findings"].as_array().unwrap();
    let warning = findings
        .iter()
        .find(|it| it["severity"] == "warning")
        .unwrap();
    assert_eq!(warning["code"], "matcher-ignored");
    assert_eq!(
        (&warning["line"], &warning["column"]),
        (&2.into(), &28.into())
    );
    assert_eq!(
        (&warning["endLine"], &warning["endColumn"]),
        (&2.into(), &32.into())
    );
    assert_eq!(warning["field"], "rules[0].seriesQuery");
    assert!(warning["help"].as_str().unwrap().contains("code=\"200\""));
    assert_eq!(report["files"][0]["rules"][0]["makes"], "hits_total");
    assert_eq!(report["files"][0]["loads"], true);
}

/// Fails unless an object has these members and no others.
fn members(object: &Value, required: &[&str], optional: &[&str]) {
    let keys: Vec<&str> = object.as_object().unwrap().keys().map(|it| &**it).collect();
    for key in required {
        assert!(keys.contains(key), "{key}: {object}");
    }
    for key in keys {
        assert!(
            required.contains(&key) || optional.contains(&key),
            "{key}: {object}"
        );
    }
}

/// What `sarif-schema-2.1.0.json` demands of the objects that are used: `required`, and
/// `additionalProperties: false`.
fn is_sarif(report: &str) {
    let log: Value = serde_json::from_str(report).unwrap();
    members(&log, &["version", "runs"], &["$schema"]);
    assert_eq!(log["version"], "2.1.0");
    let schema = log["$schema"].as_str().unwrap();
    assert!(schema.ends_with("sarif-schema-2.1.0.json"));
    assert_eq!(log["runs"].as_array().unwrap().len(), 1);
    let run = &log["runs"][0];
    members(run, &["tool"], &["results", "columnKind"]);
    assert_eq!(run["columnKind"], "unicodeCodePoints");
    members(&run["tool"], &["driver"], &[]);
    let driver = &run["tool"]["driver"];
    members(driver, &["name"], &["version", "semanticVersion", "rules"]);
    assert!(driver["name"].is_string() && driver["semanticVersion"].is_string());
    let rules = driver["rules"].as_array().unwrap();
    for (at, rule) in rules.iter().enumerate() {
        members(rule, &["id"], &["shortDescription"]);
        members(&rule["shortDescription"], &["text"], &[]);
        assert!(rule["id"].is_string() && rule["shortDescription"]["text"].is_string());
        assert!(!rules[..at].contains(rule), "uniqueItems");
    }
    for result in run["results"].as_array().unwrap() {
        members(
            result,
            &["message"],
            &["ruleId", "ruleIndex", "level", "locations"],
        );
        let at = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[at]["id"], result["ruleId"]);
        assert!(["error", "warning", "note"].contains(&result["level"].as_str().unwrap()));
        members(&result["message"], &["text"], &[]);
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
        let place = &result["locations"][0]["physicalLocation"];
        members(place, &["artifactLocation", "region"], &[]);
        members(&place["artifactLocation"], &["uri"], &[]);
        let uri = place["artifactLocation"]["uri"].as_str().unwrap();
        let is_of_uris = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=@/%:".contains(c);
        assert!(uri.chars().all(is_of_uris), "{uri}");
        let of = |name: &str| place["region"][name].as_u64().unwrap();
        assert!(of("startLine") >= 1 && of("startColumn") >= 1);
        assert!((of("endLine"), of("endColumn")) > (of("startLine"), of("startColumn")));
    }
}

#[test]
fn sarif_has_what_its_standard_demands() {
    for text in [RULES, "rules:\n- seriesQuery: 'a\n", "", "rules: [~]\n"] {
        let report = sarif::report(&checked(text));
        is_sarif(&report);
        let log: Value = serde_json::from_str(&report).unwrap();
        for result in log["runs"][0]["results"].as_array().unwrap() {
            let place = &result["locations"][0]["physicalLocation"];
            assert_eq!(place["artifactLocation"]["uri"], "a%20b.yaml");
        }
    }
}

#[test]
fn annotations_of_a_workflow_are_one_line_each() {
    let all = checked(RULES);
    let report = github::report(&all, Counts::of(&all), true);
    for line in report.lines().take(report.lines().count() - 1) {
        let word = line.strip_prefix("::").unwrap().split(' ').next().unwrap();
        assert!(["error", "warning", "notice"].contains(&word), "{line}");
        assert!(
            line.contains("file=a b.yaml,line=") && line.contains(",title="),
            "{line}"
        );
    }
    assert!(report.contains("%0A"), "{report}");
}

/// The properties and the data of a workflow command, as the runner reads them
/// (`actions/runner`, `ActionCommand.cs`).
fn command(line: &str) -> (std::collections::BTreeMap<String, String>, String) {
    let (head, data) = line.strip_prefix("::").unwrap().split_once("::").unwrap();
    let (_, properties) = head.split_once(' ').unwrap();
    let unescaped = |text: &str| {
        let text = text.replace("%3A", ":").replace("%2C", ",");
        let text = text.replace("%0D", "\r").replace("%0A", "\n");
        text.replace("%25", "%")
    };
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap();
        (name.to_owned(), unescaped(value))
    };
    let data = data.replace("%0D", "\r").replace("%0A", "\n");
    (
        properties.split(',').map(pair).collect(),
        data.replace("%25", "%"),
    )
}

#[test]
fn every_code_has_a_word_of_its_own_and_a_meaning() {
    let slugs: std::collections::BTreeSet<&str> = Code::ALL.iter().map(|it| it.1).collect();
    assert_eq!(slugs.len(), Code::ALL.len());
    for (code, slug, meaning) in Code::ALL {
        assert!(
            slug.bytes()
                .all(|b| b.is_ascii_lowercase() || b == b'-' || b == b'8'),
            "{slug}"
        );
        assert!(meaning.ends_with('.'), "{meaning}");
        assert_eq!(code.slug(), *slug);
        assert!(listed().contains(meaning));
    }
}

#[test]
fn errors_are_counted_as_errors() {
    assert_eq!(counts(&checked("rules: 1\n")).0, 1);
    let (errors, warnings, _) = counts(&checked(RULES));
    assert_eq!((errors, warnings), (0, 1));
}

proptest! {
    #[test]
    fn any_text_has_a_report(text in "\\PC{0,100}|[-a-z: \n'{}<>.]{0,200}|(rules:\n- \\PC{0,40}\n){0,3}") {
        let all = checked(&text);
        let counts = Counts::of(&all);
        text::report(&all, counts, true, true);
        github::report(&all, counts, true);
        let _: Value = serde_json::from_str(&json::report(&all, counts)).unwrap();
        is_sarif(&sarif::report(&all));
        // What loads has warnings at most.
        prop_assert_eq!(!all[0].loads, counts.errors > 0);
    }

    #[test]
    fn what_a_workflow_reads_is_what_was_found(
        name in "[a-z%:,=;\\[\\]\r\n ü/]{1,12}",
        text in "rules:\n- \\PC{0,30}|\\PC{0,30}",
        help in "[a-z%:,;\r\n ü]{0,12}",
    ) {
        let mut all = named(&name, &text);
        for finding in &mut all[0].findings {
            finding.help = Some(help.clone());
        }
        let report = github::report(&all, Counts::of(&all), true);
        let mut lines = report.lines();
        for Finding { line, column, message, code, .. } in &all[0].findings {
            let (properties, data) = command(lines.next().unwrap());
            prop_assert_eq!(&properties["file"], &name);
            prop_assert_eq!(&properties["line"], &line.to_string());
            prop_assert_eq!(&properties["col"], &column.to_string());
            prop_assert_eq!(&properties["title"], code.slug());
            prop_assert_eq!(data, format!("{message}\n{help}"));
        }
        prop_assert_eq!(lines.count(), 1);
    }
}
