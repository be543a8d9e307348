//! Good and malformed files, with their reports.

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;

fn data(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/rules")
        .join(folder)
}

fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect();
    files.sort();
    files
}

/// Compares the report on every file of `folder` with the text beside it; UPDATE_EXPECT=1 writes
/// that text. Returns how many files there are.
fn check_reports(folder: &str, loads: bool) -> usize {
    let files = yaml_files(&data(folder));
    let mut wrong = Vec::new();
    for path in &files {
        let name = path.file_name().unwrap().to_str().unwrap();
        let bytes = std::fs::read(path).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let result = decode(&bytes).and_then(parse);
        if result.is_ok() != loads {
            wrong.push(format!("{name} loads: {}", !loads));
        }
        let findings = result.map_or_else(|findings| findings, |(_, warnings)| warnings);
        let mut report = render_findings(&findings, &text, name, false);
        if !report.is_empty() {
            report.push('\n');
        }
        let expected = path.with_extension("txt");
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(&expected, &report).unwrap();
        }
        let expected = std::fs::read_to_string(&expected).unwrap_or_default();
        if report != expected {
            wrong.push(format!("{name} reports\n{report}\nand not\n{expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    files.len()
}

#[test]
fn malformed_files_are_refused_with_every_error_at_its_place() {
    assert!(check_reports("bad", false) >= 40);
}

#[test]
fn good_files_load_with_the_warnings_beside_them() {
    assert!(check_reports("good", true) >= 10);
}

fn one(rule: &str) -> Arc<Rule> {
    let (rules, _) = parse(&format!("rules:\n- {rule}\n")).unwrap();
    Arc::clone(&rules.custom[0])
}

#[test]
fn names_follow_the_table_of_the_go_adapter() {
    let cases = [
        (
            "http_requests_total",
            "matches: ^(.*)_total$",
            "http_requests",
        ),
        (
            "http_requests_total",
            "{matches: ^(.*)_total$, as: '${1}_per_second'}",
            "http_requests_per_second",
        ),
        (
            "container_cpu_usage_seconds_total",
            "{matches: '^container_(.*)_seconds_total$'}",
            "cpu_usage",
        ),
        ("http_requests_total", "{}", "http_requests_total"),
        ("c_total", "{matches: _total$}", "_total"),
        ("foo_total_bar", "{matches: ^(.*)_total}", "foo"),
        ("d_total", "{matches: ^(.*)_total, as: $1_per_second}", ""),
        ("ns:http:rate5m", "", "ns:http:rate5m"),
        ("anything", "{as: 'yes'}", "yes"),
    ];
    for (series, name, expected) in cases {
        let name = name
            .strip_prefix("matches:")
            .map_or(name.to_owned(), |m| format!("{{matches: '{}'}}", m.trim()));
        let rule = one(&format!("{{seriesQuery: x, name: {name}}}"));
        assert_eq!(
            rule.naming.api_name(series).as_deref(),
            Some(expected),
            "{series} {name}"
        );
    }
}

#[test]
fn a_series_must_pass_every_filter_and_matches() {
    let rule = one(
        "{seriesQuery: x, seriesFilters: [{is: ^my_}, {isNot: _bucket$}], name: {matches: total}}",
    );
    assert!(rule.naming.keeps("my_total"));
    assert!(!rule.naming.keeps("your_total"));
    assert!(!rule.naming.keeps("my_total_bucket"));
    assert!(!rule.naming.keeps("my_sum"));
}

#[test]
fn a_label_template_leads_both_ways_as_in_go() {
    let rule = one("{seriesQuery: x, resources: {template: kube_<<.Group>>_<<.Resource>>}}");
    let template = rule.association.template.as_ref().unwrap();
    let of = |label| template.resource_of(label);
    assert_eq!(
        of("kube_apps_deployment"),
        Some(("apps".into(), "deployment".into()))
    );
    assert_eq!(
        of("kube_networking_k8s_io_ingress"),
        Some(("networking".into(), "k8s_io_ingress".into()))
    );
    assert_eq!(of("kube__pod"), None);
    assert_eq!(of("pod"), None);
    assert_eq!(
        template.label_for("networking.k8s.io", "ingress").unwrap(),
        "kube_networking_k8s_io_ingress"
    );
}

#[test]
fn the_last_of_two_resources_in_a_label_template_counts() {
    let rule = one("{seriesQuery: x, resources: {template: a_<<.Resource>>_<<.Resource>>}}");
    let template = rule.association.template.as_ref().unwrap();
    assert_eq!(
        template.resource_of("a_x_pod"),
        Some((String::new(), "pod".into()))
    );
}

#[test]
fn scalars_keep_their_text_and_null_is_nothing() {
    for (written, text) in [
        ("yes", "yes"),
        ("7", "7"),
        ("0x10", "0x10"),
        ("1e3", "1e3"),
        ("2001-12-14", "2001-12-14"),
        ("!!str 5", "5"),
        ("'null'", "null"),
        ("~", ""),
        ("null", ""),
        ("", ""),
        ("|\n    a\n    b\n", "a\nb\n"),
        (">-\n    a\n    b\n", "a b"),
        ("\"a\\tb\"", "a\tb"),
    ] {
        let (rules, _) = parse(&format!("rules:\n- seriesQuery: {written}\n")).unwrap();
        assert_eq!(rules.custom[0].series_query.text, text, "{written}");
    }
}

#[test]
fn booleans_are_those_of_yaml_1_1() {
    for (written, value) in [
        ("no", false),
        ("N", false),
        ("off", false),
        ("yes", true),
        ("On", true),
        ("~", true),
    ] {
        let rule = one(&format!(
            "{{seriesQuery: x, resources: {{namespaced: {written}}}}}"
        ));
        assert_eq!(rule.association.namespaced, value, "{written}");
    }
}

#[test]
fn resource_rules_exist_when_the_field_is_not_null() {
    assert!(parse("resourceRules: {}").unwrap().0.resource.is_some());
    assert!(parse("resourceRules:").unwrap().0.resource.is_none());
    assert!(parse("").unwrap().0.custom.is_empty());
    assert_eq!(parse("rules: [null]").unwrap().0.custom.len(), 1);
}

#[test]
fn merge_keys_apply_where_they_stand() {
    let (rules, _) = parse(
        "rules:\n- &base\n  seriesQuery: a\n  resources: {template: <<.Resource>>}\n  \
         metricsQuery: q\n- <<: *base\n  seriesQuery: b\n  resources: \
         {overrides: {p: {resource: pod}}}\n\
         - seriesQuery: c\n  <<: *base\n",
    )
    .unwrap();
    let [_, second, third] = rules.custom.as_slice() else {
        panic!("three rules")
    };
    assert_eq!(second.series_query.text, "b");
    assert_eq!(second.query.source.text, "q");
    assert!(
        second.association.template.is_some(),
        "yaml.v2 fills the struct it has"
    );
    assert_eq!(second.association.overrides.len(), 1);
    assert_eq!(
        third.series_query.text, "a",
        "yaml.v2 lets a later merge win"
    );
}

#[test]
fn aliases_cannot_make_few_lines_stand_for_billions() {
    let mut text = "rules: &a0 [{}, {}, {}, {}, {}, {}, {}, {}]\nexternalRules:\n".to_owned();
    text.push_str("- &m0 {seriesQuery: x}\n");
    for level in 1..40 {
        let below = level - 1;
        text.push_str(&format!(
            "- &m{level} {{<<: [*m{below}, *m{below}, *m{below}]}}\n"
        ));
    }
    let findings = parse(&text).unwrap_err();
    assert!(
        findings
            .iter()
            .any(|f| f.message.contains("repeat too much")),
        "{findings:?}"
    );
}

#[test]
fn a_long_text_cannot_be_repeated_without_end() {
    let mut text = format!("rules:\n- seriesQuery: &q '{}'\n", "x".repeat(100_000));
    text.push_str(&"- seriesQuery: *q\n".repeat(10_000));
    let findings = parse(&text).unwrap_err();
    assert!(
        findings
            .iter()
            .any(|f| f.message.contains("repeat too much"))
    );
}

#[test]
fn a_long_chain_of_merges_is_refused_and_not_followed() {
    let mut text = "externalRules:\n- &m0 {seriesQuery: x}\n".to_owned();
    for level in 1..5000 {
        text.push_str(&format!("- &m{level} {{<<: *m{}}}\n", level - 1));
    }
    let findings = parse(&text).unwrap_err();
    assert!(
        findings.iter().any(|f| f.message.contains("deep")),
        "{findings:?}"
    );
    assert!(findings.len() <= 101);
}

#[test]
fn a_place_inside_a_value_is_found_in_every_style() {
    let text = "v: [plain x(, 'it''s x(', \"a\\tb \\\"x(\"]\nw: >-\n  folded\n  and x(\n";
    let document = yaml::compose(text).unwrap();
    let mut found = 0;
    for node in document.nodes() {
        if let yaml::Content::Scalar {
            text: value, style, ..
        } = &node.content
        {
            let (text_of, span) = (value.clone(), node.span.clone());
            let located = Located {
                text: text_of,
                span,
                style: *style,
            };
            if let Some(at) = value.find("x(") {
                assert_eq!(
                    &text[located.span_in(text, at..at + 2)],
                    "x(",
                    "{located:?}"
                );
                found += 1;
            }
        }
    }
    assert_eq!(found, 4);
}

#[test]
fn text_that_is_not_utf_8_is_named_by_line() {
    let finding = decode(b"rules:\n- seriesQuery: caf\xe9\n")
        .unwrap_err()
        .remove(0);
    assert_eq!((finding.line, finding.column), (2, 19));
}

/// Rule files that people published, with what Go makes of each: WILD=folder with `index.jsonl`.
#[test]
#[ignore = "needs a folder of rule files in WILD"]
fn what_go_loads_loads_and_what_go_refuses_for_its_syntax_is_refused() {
    let folder = PathBuf::from(std::env::var_os("WILD").expect("WILD must name a folder"));
    let index = std::fs::read_to_string(folder.join("index.jsonl")).unwrap();
    let (mut loaded, mut refused) = (0, 0);
    for line in index.lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let name = case["file"].as_str().unwrap();
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        let error = case["error"].as_str().unwrap_or_default();
        let loads = error.is_empty() || error.contains("no matches for");
        let result = parse(&text);
        let findings = match &result {
            Ok((_, warnings)) => warnings,
            Err(findings) => findings,
        };
        print!("{}", render_findings(findings, &text, name, false));
        println!();
        assert_eq!(result.is_ok(), loads, "{name}: Go says {error}");
        if loads { loaded += 1 } else { refused += 1 }
    }
    println!("{loaded} loaded, {refused} refused");
}

/// Pieces that rule files are made of, right and wrong, so that chance reaches far into the reader.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "rules:",
        "externalRules:",
        "resourceRules:",
        "backends:",
        "url: ",
        "urls: ",
        "headersFrom: ",
        "queryParams: ",
        "auth: ",
        "backend: a",
        "\n- ",
        "\n  ",
        "\n    ",
        "\n",
        " ",
        "seriesQuery: ",
        "metricsQuery: ",
        "seriesFilters: ",
        "resources: ",
        "overrides: ",
        "template: ",
        "name: ",
        "{",
        "}",
        "[",
        "]",
        ", ",
        "matches: ",
        "as: ",
        "is: ",
        "isNot: ",
        "cpu: ",
        "window: ",
        "resource: pod",
        "namespace: ",
        "<<.Series>>",
        "<<.Resource>>",
        "<<",
        ">>",
        "<<: ",
        "*a",
        "&a ",
        "'",
        "\"",
        "|",
        ">-",
        "(",
        ")",
        "$1",
        "${1}",
        "~",
        "null",
        "5",
        "é",
        "\t",
        "\r\n",
        "#",
        "---",
        "\\",
        ": ",
        "!!str ",
        "\u{feff}",
    ]);
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

fn check_any(text: &str) {
    let findings = parse(text).map_or_else(|findings| findings, |(_, warnings)| warnings);
    let lines = text.matches('\n').count() + 1;
    for finding in &findings {
        assert!((1..=lines).contains(&finding.line), "{finding:?}");
        assert!(finding.span.start <= finding.span.end && finding.span.end <= text.len());
    }
    render_findings(&findings, text, "rules.yaml", false);
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic_and_findings_lie_inside_it(text in any::<String>()) {
        check_any(&text);
    }

    #[test]
    fn any_arrangement_of_the_words_of_rule_files_is_read_without_panic(text in pieces()) {
        check_any(&text);
    }

    #[test]
    fn a_place_is_traced_to_the_same_character(
        value in "[a-z<>.(\\\\'\" ]{1,40}",
        at in 0..40usize,
    ) {
        let quoted = value.replace('\'', "''");
        let text = format!("v: '{quoted}'");
        let located = Located { text: value.clone(), span: 3..text.len(), style: Style::Single };
        let at = at.min(value.len() - 1);
        let found = located.span_in(&text, at..at);
        let wanted = value[at..].chars().next().unwrap();
        if !wanted.is_whitespace() {
            prop_assert!(text[found.start..].starts_with(wanted));
        }
    }
}
