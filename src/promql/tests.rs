//! Names, selectors, and how deep a query may be.

use proptest::prelude::*;

use super::*;

fn selector(text: &str) -> SeriesSelector {
    SeriesSelector::parse(text).unwrap_or_else(|| panic!("{text} must parse"))
}

#[test]
fn a_literal_name_is_found_in_both_spellings() {
    assert_eq!(
        selector(r#"a:b_total{x!=""}"#).literal_name(),
        Some("a:b_total")
    );
    assert_eq!(
        selector(r#"{__name__="lag",x!=""}"#).literal_name(),
        Some("lag")
    );
    assert_eq!(selector(r#"{__name__=~"lag"}"#).literal_name(), None);
    assert_eq!(
        selector(r#"{__name__="a",__name__=~"b"}"#).literal_name(),
        None
    );
    assert_eq!(selector(r#"{x="y"}"#).literal_name(), None);
}

#[test]
fn a_matcher_that_refuses_the_empty_string_guarantees_its_label() {
    let s = selector(r#"m{a!="",b="x",c=~"y|z",d=~".*",e!="w",f!~"",g=""}"#);
    let guaranteed: Vec<_> = ["a", "b", "c", "d", "e", "f", "g", "h"]
        .into_iter()
        .filter(|l| s.guarantees(l))
        .collect();
    assert_eq!(guaranteed, ["a", "b", "c", "f"]);
}

#[test]
fn a_label_is_added_without_changing_the_rest() {
    for (text, extended) in [
        ("up", r#"up{pod!=""}"#),
        ("up{}", r#"up{pod!=""}"#),
        (
            r#"{__name__=~"^c_.*",x!="POD",}"#,
            r#"{__name__=~"^c_.*",x!="POD",pod!=""}"#,
        ),
        (
            r#"m{path=~"/a\\.b|\"c"}"#,
            r#"m{path=~"/a\\.b|\"c",pod!=""}"#,
        ),
        ("m{a='x'}", r#"m{a="x",pod!=""}"#),
    ] {
        assert_eq!(selector(text).with_label("pod"), extended);
    }
    assert_eq!(selector("up").with_label("a.b"), r#"up{"a.b"!=""}"#);
}

#[test]
fn a_selector_knows_which_names_it_admits_and_is_narrowed_to_one() {
    for (text, admits, refuses, narrowed) in [
        (r#"{x="y"}"#, "a", None, r#"a{x="y"}"#),
        ("a", "a", Some("b"), "a"),
        (
            r#"{__name__=~"a.*",__name__!~".*b",x!=""}"#,
            "ac",
            Some("ab"),
            r#"ac{x!=""}"#,
        ),
    ] {
        let selector = selector(text);
        assert!(selector.admits(admits), "{text}");
        assert!(!refuses.is_some_and(|it| selector.admits(it)), "{text}");
        assert_eq!(selector.names_series(), refuses.is_some(), "{text}");
        assert_eq!(selector.of_series(admits), narrowed);
    }
    let quoted = selector(r#"{x="y"}"#).of_series("a.b");
    assert_eq!(quoted, r#"{__name__="a.b",x="y"}"#);
    assert!(SeriesSelector::parse(&quoted).is_some());
}

#[test]
fn anything_but_a_plain_selector_is_left_to_prometheus() {
    for text in [
        "",
        "rate(a[5m])",
        "a offset 5m",
        "a @ 5",
        "a[5m]",
        "a + b",
        "a{",
        r#"{a="1" or b="2"}"#,
    ] {
        assert!(SeriesSelector::parse(text).is_none(), "{text}");
    }
}

#[test]
fn the_deepest_tree_is_walked_and_a_deeper_one_is_not_made() {
    let repeated = |head: &str, level: &str, tail: &str, end: &str, n: usize| {
        format!("{head}{}{tail}{}", level.repeat(n), end.repeat(n))
    };
    for (head, level, tail, end) in [
        ("", "-", "a", ""),
        ("a", " + a", "", ""),
        ("a", " and on () a", "", ""),
        ("a", " == bool 1", "", ""),
        ("", "(", "a", ")"),
        ("", "abs(", "a", ")"),
        ("", "sum(", "a", ") by (b)"),
        ("a", "[1h:1m]", "", ""),
    ] {
        let of = |n| repeated(head, level, tail, end, n);
        let deep = of((LEVELS_MAX - 1) / levels(&of(1)).saturating_sub(1).max(1));
        assert!(levels(&deep) <= LEVELS_MAX);
        if let Ok(tree) = syntax(&deep) {
            assert!(!tree.to_string().is_empty());
        }
        let deeper = of(100_000);
        let cause = syntax(&deeper).expect_err(level);
        assert!(
            cause.contains("more than 250 operators"),
            "{level}: {cause}"
        );
        assert_eq!(doubt(&deeper), None, "{level}");
        assert!(SeriesSelector::parse(&deeper).is_none(), "{level}");
    }
    // A comment ends at either, to the parser as well.
    for end in ["\n", "\r", "\r\n"] {
        let hidden = format!("# {end}{}a", "-".repeat(100_000));
        assert!(syntax(&hidden).is_err(), "{end:?}");
    }
}

#[test]
fn levels_are_of_operators_and_not_of_texts() {
    for (query, expected) in [
        ("a", 1),
        (r#"a{b="((", c=~'\'--', d=`-"-`} # + + +"#, 1),
        (r#"a{b!="x"} == 1"#, 3),
        ("a or b\nOR c unless(d)", 5),
        ("sum(rate(nor_and[5m])) by (b)", 5),
    ] {
        assert_eq!(levels(query), expected, "{query}");
        assert!(parse(query).is_some_and(|it| it.is_ok()), "{query}");
    }
}

proptest! {
    #[test]
    fn a_quoted_string_reads_back_as_itself(text in "\\PC*|[\\x00-\\x7f]*") {
        let s = selector(&format!("m{{a={}}}", quote(&text)));
        prop_assert_eq!(&s.selector.matchers.matchers[0].value, &text);
    }

    #[test]
    fn an_escaped_value_matches_only_itself(value in "\\PC{0,12}", other in "\\PC{0,12}") {
        let re = regex::Regex::new(&format!("^(?:{})$", escape_regex(&value))).unwrap();
        prop_assert!(re.is_match(&value));
        prop_assert_eq!(re.is_match(&other), value == other);
    }

    #[test]
    fn an_extended_selector_parses_to_the_same_matchers_and_one_more(
        value in "[a-z./\"\\\\ ]{0,8}", op in prop::sample::select(vec!["=", "!="]),
    ) {
        let original = selector(&format!("m{{a{op}{},b=\"c\"}}", quote(&value)));
        let extended = selector(&original.with_label("pod"));
        let before = original.selector.matchers.matchers;
        let after = extended.selector.matchers.matchers;
        prop_assert_eq!(&after[..before.len()], &before[..]);
        prop_assert_eq!(after.len(), before.len() + 1);
    }

    #[test]
    fn parsing_never_panics(text in "\\PC*") {
        let _ = SeriesSelector::parse(&text);
    }
}
