//! 131 recorded patterns, and properties.

use proptest::prelude::*;
use serde::Deserialize;

use super::*;

/// Patterns and inputs that were given to Go 1.26.
#[derive(Deserialize)]
struct Cases {
    p: Vec<String>,
    i: Vec<String>,
}

/// What Go made of one pattern: a refusal, or for each input the submatch indices.
#[derive(Deserialize)]
struct Recorded {
    err: Option<String>,
    m: Option<Vec<Option<Vec<i64>>>>,
    n: Option<Vec<String>>,
}

fn cases() -> (Cases, Vec<Recorded>) {
    let cases = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/go/regex.cases.json"
    ));
    let go = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/go/regex.go126.json"
    ));
    (
        serde_json::from_str(cases).unwrap(),
        serde_json::from_str(go).unwrap(),
    )
}

/// Go's `FindStringSubmatchIndex`.
fn indices(re: &Regex, text: &str) -> Option<Vec<i64>> {
    let captures = re.captures(text)?;
    let ends = captures.iter().flat_map(|group| match group {
        Some(m) => [
            i64::try_from(m.start()).unwrap(),
            i64::try_from(m.end()).unwrap(),
        ],
        None => [-1, -1],
    });
    Some(ends.collect())
}

fn refusal(pattern: &str) -> String {
    compile(pattern).expect_err(pattern).to_string()
}

#[test]
fn every_recorded_pattern_matches_as_in_go_or_is_refused_in_its_words() {
    let (cases, recorded) = cases();
    assert_eq!(
        (cases.p.len(), cases.i.len(), recorded.len()),
        (131, 33, 131)
    );
    for (pattern, go) in cases.p.iter().zip(recorded) {
        let re = match compile(pattern) {
            Ok(re) => re,
            Err(error) => {
                assert_eq!(Some(error.to_string()), go.err, "{pattern}");
                continue;
            }
        };
        assert_eq!(go.err, None, "{pattern}");
        let names: Vec<&str> = group_names(&re).collect();
        assert_eq!(names, go.n.unwrap(), "{pattern}");
        for (input, expected) in cases.i.iter().zip(go.m.unwrap()) {
            assert_eq!(indices(&re, input), expected, "{pattern} on {input}");
        }
    }
}

#[test]
fn invalid_patterns_of_gos_own_tests_are_refused() {
    // invalidRegexps in Go's regexp/syntax/parse_test.go, as far as they are UTF-8 and not about
    // the size of a pattern.
    for pattern in [
        "(",
        ")",
        "(a",
        "a)",
        "(a))",
        "(a|b|",
        "a|b|)",
        "(a|b|))",
        "(a|b",
        "a|b)",
        "(a|b))",
        "[a-z",
        "([a-z)",
        "[a-z)",
        "([a-z]))",
        "x{1001}",
        "x{9876543210}",
        "x{2,1}",
        "x{1,9876543210}",
        "(?P<name>a",
        "(?P<name>",
        "(?P<name",
        "(?P<x y>a)",
        "(?P<>a)",
        "(?<name>a",
        "(?<name>",
        "(?<name",
        "(?<x y>a)",
        "(?<>a)",
        "[a-Z]",
        "(?i)[a-Z]",
        r"\Q\E*",
        r"a{100000}",
        r"a{100000,}",
        r"((((((((((x{2}){2}){2}){2}){2}){2}){2}){2}){2}){2})",
        r"\Q\E*",
        "a**",
        "a*+",
        "a??*",
        r"(?i)(?s",
        r"(?i)(?s*)",
        "(?i-)a",
        "(?i--s)a",
        r"\8",
        "*",
        "+a",
        "?",
        "|*",
        "(*)",
        "a|*",
        "(|*)",
        "{1}*{2}{3}",
        r"\x",
        r"\x{110000}",
        r"\x{}",
        r"\x{1",
        r"\xg",
        r"a\",
        r"[\",
        r"[a-\d]",
        "[[:foo:]]",
        r"\pX",
        r"\p",
        r"\p{",
        r"\p{a=b}",
        r"[\p{Foo}]",
    ] {
        assert!(compile(pattern).is_err(), "{pattern}");
    }
}

#[test]
fn refusals_quote_what_go_quotes() {
    for (pattern, text) in [
        ("a)", "unexpected ): `a)`"),
        ("x[a", "missing closing ]: `[a`"),
        ("[a-", "missing closing ]: `[a-`"),
        (r"a\", "trailing backslash at end of expression: ``"),
        ("a|*?b", "missing argument to repetition operator: `*?`"),
        ("(?i)+", "missing argument to repetition operator: `+`"),
        ("a{2}{3}", "invalid nested repetition operator: `{2}{3}`"),
        ("a*?+?b", "invalid nested repetition operator: `*?+?`"),
        ("(?P<a>x", "missing closing ): `(?P<a>x`"),
        ("(?P<a", "invalid named capture: `(?P<a`"),
        ("((a{10}){20}){6}x", "invalid repeat count: `{6}`"),
        ("a{3,2}?", "invalid repeat count: `{3,2}`"),
        ("(?is-", "invalid or unsupported Perl syntax: `(?is-`"),
        ("[[:foo:]]", "invalid character class range: `[:foo:]`"),
        (r"\p{Nope}a", "invalid character class range: `\\p{Nope}`"),
        (
            r"[\p{Alphabetic}]",
            "invalid character class range: `\\p{Alphabetic}`",
        ),
        (r"\x{110000}", "invalid escape sequence: `\\x{110000`"),
        (r"[a-\d]", "invalid escape sequence: `\\d`"),
    ] {
        assert_eq!(
            refusal(pattern),
            format!("error parsing regexp: {text}"),
            "{pattern}"
        );
    }
}

#[test]
fn flags_last_to_the_end_of_their_group_and_do_not_part_an_operand_from_its_operator() {
    for (pattern, text, matched) in [
        ("a(?i)b|c", "C", Some("C")),
        ("(?:(?i)a)b", "Ab", Some("Ab")),
        ("(?:(?i)a)b", "AB", None),
        ("a(?i)*", "aaA", Some("aa")),
        ("a(?U)*", "aaa", Some("")),
        ("(?U)a+?", "aaa", Some("aaa")),
        ("(?U:a+)a*", "aaa", Some("aaa")),
        ("(?ii)A", "a", Some("a")),
        ("(?i)(?-i)A", "a", None),
        ("(?i-s)A.", "a\n", None),
        ("(?s)(?)a.", "a\n", Some("a\n")),
        ("a*(?i)*", "aa", Some("aa")),
        (r"a*\Q\E*", "aa", Some("aa")),
        (r"\Qa+\E+", "a++", Some("a++")),
    ] {
        let re = compile(pattern).expect(pattern);
        assert_eq!(re.find(text).map(|m| m.as_str()), matched, "{pattern}");
    }
}

#[test]
fn surrogates_match_nothing() {
    for pattern in [r"\x{D800}", r"[\x{D800}-\x{DFFF}]", r"[\x{DABC}]"] {
        assert!(
            !compile(pattern).expect(pattern).is_match("a\u{FFFD}"),
            "{pattern}"
        );
    }
    assert!(compile(r"[^\x{D800}]").unwrap().is_match("a"));
    assert!(
        compile(r"^[\x{D800}-\x{E001}]$")
            .unwrap()
            .is_match("\u{E000}")
    );
}

#[test]
fn patterns_that_go_takes_are_not_refused_for_their_size() {
    let many = (0..5_000)
        .map(|i| format!("metric_{i}_total"))
        .collect::<Vec<_>>()
        .join("|");
    for pattern in [
        r"\pL{1000}",
        r"(?i)(\w{100}){10}",
        ".{0,1000}x",
        "(?i:[^a]{500}){2}",
        &many,
    ] {
        assert!(compile(pattern).is_ok(), "{:.40}", pattern);
    }
}

#[test]
fn deep_nesting_is_compiled_or_refused_within_the_stack_of_a_thread() {
    let nested = |n: usize| format!("{}x{}", "(a|b".repeat(n), "c|[^[:alpha:]])*".repeat(n));
    assert!(compile(&nested(MAX_DEPTH)).is_ok());
    let refused = refusal(&nested(MAX_DEPTH + 1));
    assert!(refused.starts_with("error parsing regexp: expression nests too deeply: `"));
}

#[test]
fn expands_as_gos_expand_string() {
    // The table of naming rules in practice, then Go's replaceTests and extract().
    for (pattern, template, text, expanded) in [
        ("^(.*)_total$", "$1", "http_requests_total", "http_requests"),
        (
            "^(.*)_total$",
            "${1}_per_second",
            "http_requests_total",
            "http_requests_per_second",
        ),
        ("^(.*)_total", "$1_per_second", "d_total", ""),
        ("^(.*)_total", "$1", "foo_total_bar", "foo"),
        ("_total$", "$0", "c_total", "_total"),
        (".*", "$0", "ns:http:rate5m", "ns:http:rate5m"),
        ("(a)|(b)", "[$1$2$3]", "b", "[b]"),
        (
            "a",
            "$$1 $ $- ${ ${} ${0 ${0} $",
            "a",
            "$1 $ $- ${ ${} ${0 a $",
        ),
        ("(a)", "<${01}$01$00>", "a", "<>"),
        ("(?P<n>a)|(?P<n>b)", "$n", "b", "b"),
        ("(?P<1a>x)y", "<$1a ${1}>", "xy", "<x x>"),
        ("(?P<x>a)(?P<y>b)", "$x-$y-$x_y-${x}_y", "ab", "a-b--a_y"),
        ("(a)", "$1é ${1}é", "a", " aé"),
        ("(a)", "$99999999999999999999999", "a", ""),
    ] {
        let re = compile(pattern).expect(pattern);
        assert_eq!(
            expand(template, &re, text).as_deref(),
            Some(expanded),
            "{template}"
        );
    }
    assert_eq!(expand("$0", &compile("^a$").unwrap(), "b"), None);
}

/// Text in which what is special to either dialect is frequent.
fn pattern() -> impl Strategy<Value = String> {
    let token = prop::sample::select(vec![
        "a",
        "b",
        "-",
        "]",
        "[",
        "[^",
        "(",
        "(?:",
        "(?i)",
        "(?-s:",
        "(?U)",
        "(?P<n>",
        ")",
        "|",
        "*",
        "+",
        "?",
        "{",
        "{2}",
        "{2,}",
        "{,3}",
        "{1,3}",
        "}",
        "^",
        "$",
        ".",
        "\\",
        "\\Q",
        "\\E",
        "\\d",
        "\\W",
        "\\b",
        "\\B",
        "\\pL",
        "\\P{^Greek}",
        "\\x41",
        "\\x{d800}",
        "\\07",
        "\\.",
        "[:alpha:]",
        "[:^word:]",
        "&&",
        "~~",
        "--",
        "\\<",
        "é",
        "\n",
        " ",
        "#",
        "\\z",
        "\\A",
        "\\C",
    ]);
    prop_oneof![
        3 => prop::collection::vec(token, 0..14).prop_map(|tokens| tokens.concat()),
        1 => "\\PC{0,16}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn what_is_translated_the_regex_crate_reads(text in pattern()) {
        if let Ok(translated) = translate::translate(&text) {
            let parsed = RegexBuilder::new(&translated).nest_limit(NEST_LIMIT).build();
            prop_assert!(parsed.is_ok(), "{text:?} became {translated:?}: {parsed:?}");
        }
    }

    #[test]
    fn a_text_in_quotes_matches_itself_only(text in "\\PC{0,20}", other in "\\PC{0,20}") {
        prop_assume!(!text.contains(r"\E"));
        let re = compile(&format!(r"^\Q{text}\E$")).unwrap();
        prop_assert!(re.is_match(&text));
        prop_assert_eq!(re.is_match(&other), text == other);
    }

    #[test]
    fn a_text_with_its_punctuation_escaped_matches_itself(text in "[ -~é]{0,20}") {
        let escaped: String = text
            .chars()
            .flat_map(|c| [(c.is_ascii_punctuation()).then_some('\\'), Some(c)])
            .flatten()
            .collect();
        let re = compile(&format!("^{escaped}$")).unwrap();
        prop_assert!(re.is_match(&text), "{}", escaped);
    }

    #[test]
    fn expanding_never_panics(template in "[$a1{}_é ]{0,12}|\\PC{0,12}", text in "[ab]{0,3}") {
        let re = compile("(?P<a>a)|(b)").unwrap();
        let expanded = expand(&template, &re, &text);
        prop_assert_eq!(expanded.is_some(), re.is_match(&text));
    }
}
