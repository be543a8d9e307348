//! What came of the tests, for people and for programs.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Asked, Outcome};

const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

/// A line for each test, and of those that fail what differs.
pub(super) fn text(outcomes: &[Outcome], color: bool) -> String {
    let paint = |how: &str, text: &str| match color {
        true => format!("{how}{text}{PLAIN}"),
        false => text.to_owned(),
    };
    let mut report = String::new();
    for outcome in outcomes {
        let place = format!("{}:{}", outcome.file, outcome.line);
        let word = match outcome.is_well() {
            true => paint(GREEN, "ok  "),
            false => paint(RED, "FAIL"),
        };
        report += &format!("{word}  {place}: {}\n", shown(&outcome.name));
        for Asked {
            line,
            ask,
            time,
            differences,
        } in outcome.asks.iter().filter(|it| !it.differences.is_empty())
        {
            let what = paint(BOLD, &format!("{} at {}", shown(ask), shown(time)));
            report += &format!("      {}:{line}: {what}\n", outcome.file);
            for difference in differences {
                let text = difference.to_string();
                let how = if text.starts_with('-') { RED } else { GREEN };
                report += &format!("        {}\n", paint(how, &shown(&text)));
            }
        }
    }
    let failed = outcomes.iter().filter(|it| !it.is_well()).count();
    if failed > 0 {
        report += "\n- is what was expected, + is what came\n";
    }
    let asks: usize = outcomes.iter().map(|it| it.asks.len()).sum();
    let count = outcomes.len();
    let (tests, asks) = (many(count, "test"), many(asks, "ask"));
    report
        + &match failed {
            0 => format!("{tests} with {asks}: all as expected\n"),
            failed => format!("{tests} with {asks}: {failed} failed\n"),
        }
}

fn many(count: usize, word: &str) -> String {
    match count {
        1 => format!("1 {word}"),
        count => format!("{count} {word}s"),
    }
}

/// On one line, and without what a terminal would obey.
fn shown(text: &str) -> String {
    let one = |c: char| match c.is_control() {
        true => c.escape_debug().collect::<String>(),
        false => c.to_string(),
    };
    text.chars().map(one).collect()
}

/// One object: `tests`, each with its asks, and `summary`.
pub(super) fn json(outcomes: &[Outcome]) -> String {
    let ask = |it: &Asked| {
        let differences = it.differences.iter().map(ToString::to_string);
        json!({
            "ask": it.ask,
            "evalTime": it.time,
            "line": it.line,
            "passed": it.differences.is_empty(),
            "differences": differences.collect::<Vec<_>>(),
        })
    };
    let tests: Vec<Value> = outcomes
        .iter()
        .map(|it| {
            json!({
                "file": it.file,
                "name": it.name,
                "line": it.line,
                "passed": it.is_well(),
                "seconds": it.took.as_secs_f64(),
                "asks": it.asks.iter().map(ask).collect::<Vec<_>>(),
            })
        })
        .collect();
    let failed = outcomes.iter().filter(|it| !it.is_well()).count();
    let summary = json!({"tests": outcomes.len(), "failed": failed});
    format!("{:#}\n", json!({"tests": tests, "summary": summary}))
}

/// JUnit's XML, as CI servers read it: a suite for each file, a case for each test.
pub(super) fn junit(outcomes: &[Outcome]) -> String {
    let mut files: Vec<&str> = outcomes.iter().map(|it| it.file.as_str()).collect();
    files.dedup();
    let failures = |of: &[&Outcome]| of.iter().filter(|it| !it.is_well()).count();
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for file in files {
        let of_file: Vec<&Outcome> = outcomes.iter().filter(|it| it.file == file).collect();
        let time: Duration = of_file.iter().map(|it| it.took).sum();
        let (tests, failed) = (of_file.len(), failures(&of_file));
        let file = escaped(file);
        let _ = writeln!(
            xml,
            "  <testsuite name=\"{file}\" tests=\"{tests}\" failures=\"{failed}\" errors=\"0\" \
             time=\"{:.3}\">",
            time.as_secs_f64()
        );
        for it in of_file {
            let (name, time) = (escaped(&it.name), it.took.as_secs_f64());
            let line = it.line;
            let case = format!(
                "name=\"{name}\" classname=\"{file}\" file=\"{file}\" line=\"{line}\" \
                 time=\"{time:.3}\""
            );
            if it.is_well() {
                let _ = writeln!(xml, "    <testcase {case}/>");
                continue;
            }
            let wrong = it.asks.iter().filter(|it| !it.differences.is_empty());
            let wrong: Vec<&Asked> = wrong.collect();
            let message = wrong.first().map_or("", |it| it.ask.as_str());
            let _ = writeln!(xml, "    <testcase {case}>");
            let _ = writeln!(xml, "      <failure message=\"{}\">", escaped(message));
            for Asked {
                ask,
                time,
                differences,
                ..
            } in wrong
            {
                let _ = writeln!(xml, "{}", escaped(&format!("{ask} at {time}")));
                for difference in differences {
                    let _ = writeln!(xml, "  {}", escaped(&difference.to_string()));
                }
            }
            xml += "      </failure>\n    </testcase>\n";
        }
        xml += "  </testsuite>\n";
    }
    xml + "</testsuites>\n"
}

/// As text and in attributes; what no XML may hold is left out.
fn escaped(text: &str) -> String {
    let one = |c: char| match c {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '"' => "&quot;".to_owned(),
        '\n' | '\t' => c.to_string(),
        c if c.is_control() => String::new(),
        c => c.to_string(),
    };
    text.chars().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::super::expected::Difference;
    use super::*;

    fn outcome(name: &str, differences: Vec<Difference>) -> Outcome {
        Outcome {
            file: "a.test.yaml".to_owned(),
            name: name.to_owned(),
            line: 3,
            took: Duration::from_millis(1500),
            asks: vec![Asked {
                line: 9,
                ask: "pods/rps".to_owned(),
                time: "5m".to_owned(),
                differences,
            }],
        }
    }

    fn both() -> Vec<Outcome> {
        let differences = vec![
            Difference::Missing("web-1: 20".to_owned()),
            Difference::Surplus("web-1: 10\x1b[2J".to_owned()),
        ];
        vec![outcome("well", Vec::new()), outcome("<wrong>", differences)]
    }

    #[test]
    fn a_person_is_told_what_differs_and_where() {
        let expected = "\
ok    a.test.yaml:3: well
FAIL  a.test.yaml:3: <wrong>
      a.test.yaml:9: pods/rps at 5m
        - web-1: 20
        + web-1: 10\\u{1b}[2J

- is what was expected, + is what came
2 tests with 2 asks: 1 failed
";
        assert_eq!(text(&both(), false), expected);
        assert!(text(&both(), true).contains("\x1b[31mFAIL\x1b[0m"));
        let well = text(&both()[..1], false);
        assert!(
            well.ends_with("1 test with 1 ask: all as expected\n"),
            "{well}"
        );
    }

    #[test]
    fn programs_are_told_the_same() {
        let read: Value = serde_json::from_str(&json(&both())).unwrap();
        assert_eq!(read["summary"], json!({"tests": 2, "failed": 1}));
        assert_eq!(read["tests"][1]["asks"][0]["differences"][0], "- web-1: 20");
        let xml = junit(&both());
        let suite = "<testsuite name=\"a.test.yaml\" tests=\"2\" failures=\"1\" errors=\"0\" \
                     time=\"3.000\">";
        assert!(xml.contains(suite), "{xml}");
        assert!(
            xml.contains("name=\"&lt;wrong&gt;\"") && xml.contains("- web-1: 20\n"),
            "{xml}"
        );
        assert!(!xml.contains('\x1b'));
    }
}
